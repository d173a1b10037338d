"""Slack and Teams: when a channel gets a message, what it says, and that nothing in it is more than text."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dora_metrics.core.facts.jsonl import decode_lines
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.periodic.page_address import NO_PAGE, PageAddress
from dora_metrics.core.shapes.shape import FactChange, ShapeInput
from dora_metrics.core.shapes.shipped import shipped_shape
from dora_metrics.core.shapes.teams import MAX_BODY_LENGTH
from dora_metrics.core.shapes.words import words_of
from support import adaptive_card, block_kit
from support.chat_examples import EXAMPLES, bodies, input_of, owed_report
from support.facts import (
    at,
    change,
    deployment,
    deployments_of_versions,
    failed_deployment,
    incident,
    results_of,
    vulnerability,
)
from support.golden_cases import CASES, load_case
from support.hostile_text import HOSTILE
from support.property_cases import cases
from support.runs import run_action
from support.strategies import fact_lists

Json = dict[str, Any]
CHATS = ("slack", "teams")
PUBLISHED = PageAddress("https://acme.github.io/shop/")
CHECKS: dict[str, Callable[[Json], list[str]]] = {"slack": block_kit.problems, "teams": adaptive_card.problems}


def payloads(shape: str, shape_input: ShapeInput) -> list[Json]:
    """The messages, after the checks that hold for every message."""
    first, second = bodies(shape, shape_input), bodies(shape, shape_input)
    assert first == second, "the same facts make the same bytes"
    for body in first:
        assert CHECKS[shape](json.loads(body)) == []
        assert shape == "slack" or len(body) <= MAX_BODY_LENGTH
    return [json.loads(body) for body in first]


def texts_in(value: object) -> list[str]:
    """Every text that a payload shows, in order."""
    match value:
        case dict():
            shown = [value[key] for key in ("text", "title", "value") if isinstance(value.get(key), str)]
            return shown + [text for key, each in value.items() if key != "url" for text in texts_in(each)]
        case list():
            return [text for each in value for text in texts_in(each)]
        case _:
            return []


def text_of(shape: str, *facts: Fact, **options: Any) -> str:  # noqa: ANN401
    return "\n".join(text for payload in payloads(shape, input_of(*facts, **options)) for text in texts_in(payload))


# What a channel gets


def news(before: Fact | None, after: Fact, now: str = "03-05T13:00") -> bool:
    return shipped_shape("slack").is_owed(FactChange(before, after, at(now), Policy()))


def test_production_deployments_are_news_for_a_day() -> None:
    assert news(None, deployment(1, "03-05T12:00"))
    assert news(None, failed_deployment(1, "03-05T12:00"))
    assert not news(None, deployment(1, "03-04T12:59"))
    assert not news(None, deployment(1, "03-07"))
    assert not news(None, deployment(1, status="cancelled"))
    assert not news(None, deployment(1, environment="staging"))
    assert not news(None, deployment(1, retracted=True))


def test_each_outcome_is_news_once() -> None:
    failed, succeeded = failed_deployment(1), deployment(1)
    assert news(failed, succeeded)
    assert not news(succeeded, replace(succeeded, version="v2"))
    assert news(replace(succeeded, retracted=True), succeeded)
    opened = incident(1, "03-05T11:00")
    resolved = replace(opened, resolved_at=at("03-05T12:50"))
    assert news(None, opened)
    assert not news(opened, replace(opened, title="Worse"))
    assert news(opened, resolved)
    assert not news(resolved, replace(resolved, resolved_at=at("03-05T12:55")))
    merged = change(1, merged_at="03-05T12:00")
    assert news(None, merged)
    assert not news(merged, replace(merged, title="Other"))
    assert not news(None, vulnerability(1, "03-05T12:00"))
    assert not news(None, incident(1, "03-05T11:00", environment="staging"))


def test_an_old_incident_that_is_resolved_now_is_news() -> None:
    opened = incident(1, "02-05")
    assert news(opened, replace(opened, resolved_at=at("03-05T12:50")))
    assert not news(None, replace(opened, resolved_at=at("02-06")))


def test_without_an_environment_a_fact_may_be_of_production() -> None:
    policy = Policy(production_environments=("live",))
    fact = deployment(1, environment=None)
    assert shipped_shape("slack").is_owed(FactChange(None, fact, at("03-05T13:00"), policy))
    assert not shipped_shape("slack").is_owed(FactChange(None, deployment(1), at("03-05T13:00"), policy))


@pytest.mark.parametrize("shape", CHATS)
def test_messages_are_on_what_counts_as_production(shape: str) -> None:
    alone = deployment(1, "03-17", version="v1", environment=None)
    assert "v1 was deployed to production" in text_of(shape, alone, production_environments=("live",))
    named = deployment(2, "03-16", version="v2", environment="prod-eu")
    assert payloads(shape, input_of(alone, named, owed=[alone])) == []


@pytest.mark.parametrize("shape", CHATS)
def test_an_incident_with_several_reports_is_said_to_be_open_and_resolved_once(shape: str) -> None:
    shop = deployment(1, "03-16")
    page, ticket = (
        incident(5, "03-17T11:00", id="pagerduty:Q1"),
        incident(6, "03-17T11:05", id="jira:OPS-1", title="Down"),
    )
    page = replace(page, also=("jira:OPS-1",))
    assert len(payloads(shape, input_of(shop, page, ticket, owed=[ticket, page]))) == 1
    assert "Incident: Down" in text_of(shape, shop, page, ticket, owed=[page])
    ended = replace(page, resolved_at=at("03-17T12:00"))
    resolved = text_of(shape, shop, ended, ticket, owed=[ended])
    assert "Incident resolved after 1 h: Down" in resolved
    assert "Sun 17 Mar, 12:00" in resolved
    closed = replace(ticket, resolved_at=at("03-17T13:00"))
    assert len(payloads(shape, input_of(shop, ended, closed, owed=[ended, closed]))) == 1


def test_channels_get_deployments_and_reports_by_default() -> None:
    assert [shipped_shape(name).events for name in CHATS] == [frozenset({"deployment", "report"})] * 2


# What messages say


@pytest.mark.parametrize("shape", CHATS)
def test_a_deployment_has_numbers_attention_and_links(shape: str) -> None:
    failed = failed_deployment(2, "03-17T12:00", version="v2", url="https://github.com/acme/shop/deployments/2")
    facts = (deployment(1, "03-16"), replace(failed, reached_users=True))
    (payload,) = payloads(shape, input_of(*facts, owed=facts[1:]))
    text = "\n".join(texts_in(payload))
    for expected in (
        "❌ Deployment of v2 to production failed",
        "It reached users, so it counts as a failed deployment.",
        "Last 30 days",
        "Deployment frequency",
        "Lead time for changes",
        "Change failure rate",
        "Recovery time",
        "Rework rate",
        "Needs attention",
        "1 of 2 attempts failed, 1 not recovered yet",
        "Open the deployment",
        "Open the page",
    ):
        assert expected in text
    addresses = json.dumps(payload)
    assert "https://github.com/acme/shop/deployments/2" in addresses
    assert "https://acme.github.io/shop/#scope=acme%2Fshop%2Fshop%2Fproduction" in addresses


@pytest.mark.parametrize("shape", CHATS)
def test_without_a_published_page_nothing_links_to_it(shape: str) -> None:
    assert "Open the page" not in text_of(shape, deployment(1, "03-17"), page=NO_PAGE, reports=True)


@pytest.mark.parametrize("shape", CHATS)
def test_incidents_and_changes_are_one_message_each(shape: str) -> None:
    facts = (
        incident(1, "03-17T12:00", title="Shop is down", severity="high"),
        incident(2, "03-17T12:00", title="Slow", resolved_at="03-17T12:41"),
        change(3, "03-17", merged_at="03-17T10:00", title="Add it"),
    )
    messages = payloads(shape, input_of(*facts))
    assert len(messages) == len(facts)
    text = "\n".join(map(str, map(texts_in, messages)))
    assert "🔥 Incident: Shop is down (open since Sun 17 Mar, 12:00)" in text
    assert "Severity: high." in text
    assert "✅ Incident resolved after 41 min: Slow" in text
    assert "🔀 #3 Add it was merged" in text


@pytest.mark.parametrize("shape", CHATS)
def test_the_change_against_the_previous_window_has_a_verdict(shape: str) -> None:
    many = [deployment(number, f"03-{number:02}T12:00") for number in range(1, 18)]
    few = [deployment(100 + number, f"01-{10 + 10 * number}T12:00") for number in range(3)]
    text = text_of(shape, *few, *many, owed=many[-1:])
    assert "better (before: 2 in 30 days)" in text
    assert "no clear change (before: 0 of 2)" in text


@pytest.mark.parametrize("shape", CHATS)
def test_up_to_five_facts_are_a_message_each_and_more_are_one(shape: str) -> None:
    facts = [deployment(number, f"03-17T{number:02}:00", version=f"v{number}") for number in range(1, 24)]
    assert len(payloads(shape, input_of(*facts, owed=facts[:5]))) == 5
    (request,) = shipped_shape(shape).requests(input_of(*facts, owed=facts))
    assert request.delivers == tuple(fact.id for fact in facts)
    text = "\n".join(texts_in(json.loads(request.body)))
    assert "23 production deployments in acme/shop" in text
    assert text.count("was deployed to production") == 20
    assert "and 3 more" in text


@pytest.mark.parametrize("shape", CHATS)
def test_a_digest_of_several_scopes_and_repositories_names_each(shape: str) -> None:
    facts = [
        deployment(number, f"03-1{number}", version=f"v{number}", service="web", repository=f"acme/{repository}")
        for number, repository in enumerate(("api", "api", "api", "shop", "shop", "shop"), 1)
    ]
    text = text_of(shape, *facts)
    assert "📋 6 production deployments in 2 repositories" in text
    assert "v1 was deployed to production, Mon 11 Mar, 00:00 (acme/api · web · production)" in text
    alone = text_of(shape, *facts, owed=[replace(fact, repository="acme/api") for fact in facts[:3]] * 2)
    assert "6 production deployments in acme/api" in alone
    assert "(acme/api" not in alone


@pytest.mark.parametrize("shape", CHATS)
def test_neither_a_rollback_nor_what_it_undid_is_a_launch(shape: str) -> None:
    facts = deployments_of_versions("V1 V2 V1")
    text = text_of(shape, *facts, now="03-02T06:00")
    assert "❌ V2 was deployed to production, but counts as failed" in text
    assert "↩️ Rolled back to V1 in production" in text


@pytest.mark.parametrize("shape", CHATS)
def test_failures_are_the_first_lines_of_a_digest(shape: str) -> None:
    facts: list[Fact] = [deployment(number, f"03-17T{number:02}:00", version=f"v{number}") for number in range(1, 24)]
    facts.append(failed_deployment(30, "03-17T23:30", version="v30"))
    text = text_of(shape, *facts)
    assert "24 production deployments (1 failed)" in text
    assert text.index("Deployment of v30") < text.index("v1 was deployed")


@pytest.mark.parametrize("shape", CHATS)
def test_a_report_lists_the_scopes_in_most_need_first_and_counts_the_others(shape: str) -> None:
    facts: list[Fact] = [
        deployment(10 * number + week, f"03-{6 + 6 * week:02}", service=f"service-{number:02}")
        for number in range(12)
        for week in (0, 1)
    ]
    facts.append(incident(1, "03-12T01:00", service="service-11", title="Down"))
    (request,) = shipped_shape(shape).requests(input_of(*facts, owed=[], reports=True))
    assert request.delivers == ("report:weekly:2024-W11",)
    text = "\n".join(texts_in(json.loads(request.body)))
    assert "📊 Delivery report · acme/shop · week 11, 2024" in text
    assert "1 of 12 scopes needs attention. 12 deployments reached production; 1 of 12 failed; 1 incident open." in text
    assert text.index("service-11") < text.index("service-00") < text.index("service-08")
    assert "service-09" not in text
    assert "2 further scopes are left out." in text


@pytest.mark.parametrize("shape", CHATS)
def test_a_report_on_one_scope_has_its_numbers_and_what_to_improve(shape: str) -> None:
    facts = [deployment(number, f"03-{number:02}T12:00") for number in range(1, 17)]
    text = text_of(shape, *facts, owed=[], reports=True)
    for expected in ("week 11, 2024", "Week 11", "Deployments", "6 on 6 days", "no clear change (before: 7 on 7 days)"):
        assert expected in text


def test_jobs_of_one_attempt_are_one_message() -> None:
    jobs = [
        deployment(
            number,
            f"03-17T12:0{number}",
            run_id="7",
            job_id=str(number),
            workflow="Deploy",
            url=f"https://github.com/acme/shop/actions/runs/7/job/{number}",
            sha="a" * 40,
        )
        for number in (1, 2, 3)
    ]
    (request,) = shipped_shape("slack").requests(input_of(*jobs))
    assert set(request.delivers) == {job.id for job in jobs}
    first, *others = words_of(input_of(*jobs)).facts
    assert [each.is_repetition for each in (first, *others)] == [False, True, True]


def test_the_job_that_made_a_deployment_succeed_is_what_its_message_is_about() -> None:
    failed, repeated = (
        deployment(
            number,
            f"03-17T12:0{number}",
            run_id="7",
            run_attempt=number,
            job_name="deploy",
            url=f"https://github.com/acme/shop/actions/runs/7/job/{number}",
            status=status,
        )
        for number, status in ((1, "failure"), (2, "success"))
    )
    for owed in ([failed, repeated], [repeated, failed]):
        (request,) = shipped_shape("slack").requests(input_of(failed, repeated, owed=owed))
        assert request.delivers == (repeated.id, failed.id)
        assert b"/runs/7/job/2" in request.body


def test_a_job_that_ends_as_its_deployment_did_is_no_news() -> None:
    first, second = deployment(1, "03-05T12:00"), deployment(2, "03-05T12:01")
    change = FactChange(None, second, at("03-05T13:00"), Policy(), whole=second)
    is_owed = shipped_shape("slack").is_owed
    assert is_owed(change)
    assert not is_owed(replace(change, wholes_before=(first,)))
    assert is_owed(replace(change, wholes_before=(replace(first, status="failure"),)))
    assert is_owed(replace(change, wholes_before=(replace(first, environment="staging"),))), "nobody was told"
    assert not is_owed(replace(change, whole=replace(second, status="cancelled")))


def test_what_says_nothing_is_in_no_message() -> None:
    silent = (
        deployment(1, environment="staging"),
        deployment(2, "03-17", status="cancelled"),
        deployment(3, "03-17", retracted=True),
        vulnerability(4),
    )
    assert shipped_shape("slack").requests(input_of(*silent)) == []


def test_the_key_depends_on_the_facts_only() -> None:
    fact = deployment(1, "03-17")
    keys = {
        request.key
        for now in ("03-18", "03-19")
        for request in shipped_shape("slack").requests(input_of(fact, owed=[fact], now=now))
    }
    assert len(keys) == 1


# Every message


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("shape", CHATS)
def test_examples_are_within_the_rules(shape: str, name: str) -> None:
    assert payloads(shape, EXAMPLES[name]())


@pytest.mark.parametrize("name", CASES)
def test_golden_cases_are_within_the_rules(name: str, tmp_path: Path) -> None:
    case = load_case(name)
    case.write_ledger(tmp_path)
    run_action(tmp_path, case.event, case.payload, case.inputs, now=case.now)
    lines = b"".join(path.read_bytes() for path in sorted((tmp_path / "ledger").glob("facts/*/*.jsonl")))
    facts = [fact for fact in decode_lines(lines)[0] if isinstance(fact, get_args(Fact))]
    shape_input = input_of(*facts, reports=True, now=case.now.isoformat())
    for shape in CHATS:
        messages = payloads(shape, shape_input)
        assert messages or not facts or name in ("nothing-known", "vulnerabilities")


@pytest.mark.parametrize("shape", CHATS)
@given(facts=fact_lists(), page=st.sampled_from([NO_PAGE, PUBLISHED]))
@settings(max_examples=cases(30))
def test_messages_on_any_facts_are_within_the_rules(shape: str, facts: list[Fact], page: PageAddress) -> None:
    shape_input = input_of(*facts, reports=True, page=page)
    owed = {fact.id for fact in facts} | {report.id for report in shape_input.reports}
    requests = shipped_shape(shape).requests(shape_input)
    payloads(shape, shape_input)
    delivered = [each for request in requests for each in request.delivers]
    assert len(delivered) == len(set(delivered)), "nothing is said twice"
    assert set(delivered) <= owed
    assert len({request.key for request in requests}) == len(requests)


hostile_texts = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=20), min_size=1, max_size=10).map(" ".join)
MORE_HOSTILE = [
    "<!channel>", "<@U1>", "<https://evil.example|x>", "&amp;", "*b*", "~s~", "@here", "<at>all</at>", " ", "\u200b",
    "{{DATE(2024-01-01T00:00:00Z,SHORT)}}", "{{{{x", "é" * 3000, "🔥" * 3000,
]  # fmt: skip


@pytest.mark.parametrize("shape", CHATS)
@given(data=st.data())
@settings(max_examples=cases(30))
def test_text_of_strangers_is_text_only(shape: str, data: st.DataObject) -> None:
    text = hostile_texts | st.sampled_from(MORE_HOSTILE)
    url = text.map("https://evil.example/{}".format) | text
    facts: list[Fact] = []
    for number in range(data.draw(st.integers(1, 4))):
        day = f"03-17T{number:02}:00"
        service, title = data.draw(text), data.draw(text)
        facts += [
            deployment(number, day, version=data.draw(text), url=data.draw(url), service=service),
            incident(number, day, title=title, url=data.draw(url), service=service),
            change(number, day, title=title, merged_at=day, url=data.draw(url)),
        ]
    count = data.draw(st.integers(1, len(facts)))
    payloads(shape, input_of(*facts, owed=facts[:count], reports=True))


@pytest.mark.parametrize("shape", CHATS)
def test_a_hostile_title_is_shown_as_it_is(shape: str) -> None:
    title = "<!channel> <@U1> <https://evil.example|x> *b* _i_ ~s~ `c` @here [x](https://evil.example) <at>all</at>"
    (payload,) = payloads(shape, input_of(incident(1, "03-17T12:00", title=title)))
    assert any(title in text for text in texts_in(payload["blocks"] if shape == "slack" else payload))


@pytest.mark.parametrize("shape", CHATS)
def test_no_hostile_title_is_more_than_text(shape: str) -> None:
    titles = [*HOSTILE, *MORE_HOSTILE]
    facts = [incident(number, "03-17T12:00", title=title) for number, title in enumerate(titles)]
    shape_input = input_of(*facts)
    for start in range(0, len(facts), 5):
        payloads(shape, dataclasses.replace(shape_input, facts=facts[start : start + 5]))


def test_the_longest_digest_fits_into_a_card() -> None:
    facts = [
        deployment(number, f"03-17T{number:02}:00", version="版" * 3000, url="https://a.example/" + "x" * 1400)
        for number in range(1, 24)
    ]
    (payload,) = payloads("teams", input_of(*facts))
    assert "The numbers are left out, because Teams limits the length of a message." in texts_in(payload)
    assert "and 3 more" in texts_in(payload)


# The checks themselves find faults


def planted(shape: str, old: str, new: str) -> list[str]:
    text = json.dumps(json.loads(bodies(shape, EXAMPLES["failure"]())[0]), ensure_ascii=False)
    assert old in text
    return CHECKS[shape](json.loads(text.replace(old, new, 1)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('failed", "unfurl_links"', 'failed <!channel>", "unfurl_links"'),
        ('"plain_text"', '"mrkdwn"'),
        ('"emoji": false', '"emoji": true'),
        ('"verbatim": true', '"verbatim": false'),
        ("*4.8 %*", "*<https://evil.example|4.8 %>*"),
        ("*4.8 %*", "x" * 2001),
        ("It reached users", "\\u202e"),
        ("It reached users", "x" * 3001),
        ('{"text": "It reached', '{"url": "javascript:x", "type": "link", "text": "It reached'),
        ('"type": "text"', '"type": "broadcast", "range": "here"'),
        ('"type": "header"', '"type": "markdown"'),
        ('"Open the page"', '""'),
        ("https://acme.github.io/shop/#", "javascript:"),
    ],
)
def test_faults_in_a_slack_message_are_noticed(old: str, new: str) -> None:
    assert planted("slack", old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"version": "1.4"', '"version": "1.9"'),
        ('"type": "message"', '"type": "card"'),
        ("It reached users", "{{DATE(2024-01-01T00:00:00Z)}}"),
        ("It reached users", "\\u202e"),
        ("It reached users", "x" * 30_000),
        ("4.8 %", "[x](https://evil.example)"),
        ('"type": "TextRun"', '"type": "TextBlock"'),
        ('"size": "Large"', '"size": "Huge"'),
        ('"style": "attention"', '"style": "red"'),
        ("https://acme.github.io/shop/#", "javascript:"),
        ('"Open the page"', '""'),
    ],
)
def test_faults_in_a_card_are_noticed(old: str, new: str) -> None:
    assert planted("teams", old, new)


# Answers


def refusal(shape: str, status: int, body: str) -> str:
    return shipped_shape(shape).refusal(status, body.encode())


def test_slack_says_ok() -> None:
    assert refusal("slack", 200, "ok") == refusal("slack", 200, "ok\n") == ""
    assert refusal("slack", 200, "invalid_blocks").startswith("invalid_blocks: Slack rejected the layout")
    assert "create a new incoming webhook" in refusal("slack", 404, "no_service")
    assert "archived" in refusal("slack", 410, "channel_is_archived")
    assert refusal("slack", 400, "something_new").startswith("something_new: see this name")


@pytest.mark.parametrize("body", ["", "<html>sign in</html>", '{"ok": true}', "ok ::error::x", "OK", "::stop::"])
def test_an_answer_that_is_not_slacks_is_a_refusal_that_repeats_nothing_of_it(body: str) -> None:
    assert refusal("slack", 200, body) == (
        "the answer is not `ok`, so it is probably not Slack's: check the address, and any proxy between"
    )


def test_teams_accepts_or_says_why_not() -> None:
    assert refusal("teams", 202, "") == refusal("teams", 200, "1") == refusal("teams", 200, "") == ""
    failed = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 413"
    assert refusal("teams", 200, failed).startswith("Teams did not deliver the message")
    assert "not one of a Teams workflow" in refusal("teams", 200, "<html>sign in</html>")


def test_a_report_without_scopes_is_no_message() -> None:
    results = results_of(deployment(1, "2023-01-01"), window="30d", now="03-18T06:00")
    shape_input = input_of(deployment(1, "2023-01-01"), owed=[])
    without_scopes = dataclasses.replace(shape_input, reports=[owed_report(results)])
    assert shipped_shape("slack").requests(without_scopes) == []

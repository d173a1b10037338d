"""The words that messages and templates share: what each field says, and that all of it is plain text on one line."""

import msgspec
from hypothesis import given, settings

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.markdown import printable
from dora_metrics.core.reports.periodic.page_address import NO_PAGE
from dora_metrics.core.shapes.words import FactWords, MetricWords, Words, words_of
from support.chat_examples import input_of
from support.facts import change, deployment, failed_deployment, incident, sha, vulnerability
from support.property_cases import cases
from support.strategies import fact_lists


def words(*facts: Fact, reports: bool = False) -> Words:
    return words_of(input_of(*facts, reports=reports))


def fact_words(*facts: Fact) -> FactWords:
    """The words of the first of some facts."""
    return words(*facts).facts[0]


def sentence(*facts: Fact) -> str:
    return fact_words(*facts).sentence


def test_each_kind_of_fact_has_a_sentence_and_a_state() -> None:
    said = {
        fact_words(fact).state: sentence(fact)
        for fact in (
            deployment(1, "03-17", version="v1.4.2"),
            failed_deployment(2, "03-17", version="v1.4.2"),
            deployment(3, "03-17", version="v1.4.2", status="cancelled"),
            incident(4, "03-17T12:00", title="Down"),
            incident(5, "03-17T12:00", title="Down", resolved_at="03-17T13:00"),
            change(6, "03-17", title="Add it"),
            incident(7, "03-17", title="Down", retracted=True),
        )
    }
    assert said == {
        "success": "v1.4.2 was deployed to production",
        "failure": "Deployment of v1.4.2 to production failed",
        "cancelled": "Deployment of v1.4.2 to production was cancelled",
        "open": "Incident: Down (open since Sun 17 Mar, 12:00)",
        "resolved": "Incident resolved after 1 h: Down",
        "merged": "#6 Add it was merged",
        "retracted": "No longer an incident: Down",
    }


def test_production_is_what_counts_there() -> None:
    named, unnamed = (
        deployment(1, "03-16", environment="prod-eu"),
        deployment(2, "03-17", version="v2", environment=None),
    )
    alone = words_of(input_of(unnamed, production_environments=("live",))).facts[0]
    assert alone.is_production
    assert alone.details[0].startswith("The 1st deployment in the last 30 days.")
    elsewhere = fact_words(unnamed, named)
    assert (elsewhere.is_production, elsewhere.sentence) == (False, "v2 was deployed")
    assert fact_words(incident(3, "03-17", environment=None), named).is_production


def test_a_rollback_and_the_deployment_that_it_undid_are_said_to_be_that() -> None:
    first, bad, back = (
        deployment(number, day, version=version, sha=sha(version))
        for number, day, version in ((1, "03-15", "v1"), (2, "03-16", "v2"), (3, "03-17", "v1"))
    )
    _, undone, rollback = words(first, bad, back).facts
    assert (undone.sentence, undone.is_failed) == ("v2 was deployed to production, but counts as failed", True)
    assert (rollback.sentence, rollback.is_rollback) == ("Rolled back to v1 in production", True)


def test_what_was_withdrawn_is_said_to_be_that() -> None:
    assert sentence(deployment(1, "03-17", version="v4", retracted=True)) == "v4 is withdrawn"
    assert sentence(change(6, "03-17", title="Add it", retracted=True)) == "#6 Add it is withdrawn"
    assert sentence(vulnerability(1, retracted=True)) == "High vulnerability is withdrawn"


def test_an_incident_that_ended_at_once_has_no_duration() -> None:
    fact = incident(1, "03-17T12:00", title="Down", resolved_at="03-17T12:00")
    assert sentence(fact) == "Incident resolved: Down"


def test_names_of_invisible_characters_can_be_seen() -> None:
    fact = deployment(1, "03-17", version="\u200b", service="\u2060")
    (scope,) = words(fact).scopes
    assert (scope.service, scope.name) == ("%E2%81%A0", "%E2%81%A0 · production")
    assert sentence(fact) == "github:deployment:1 was deployed to production"


def test_long_names_are_cut_not_the_sentence() -> None:
    said = sentence(failed_deployment(1, "03-17", version="v" * 300, environment=f"production-{'x' * 300}"))
    assert said.startswith("Deployment of vvv")
    assert said.endswith("… failed")
    assert len(said) < 150


def test_a_vulnerability_says_what_was_done_about_it() -> None:
    assert sentence(vulnerability(1, package="left-pad")) == "High vulnerability in left-pad was detected"
    assert sentence(vulnerability(1, fixed_at="03-07")) == "High vulnerability was fixed"
    assert sentence(vulnerability(1, severity=None, dismissed_at="03-07")) == "Vulnerability was dismissed"


def test_a_fact_names_its_scope_and_its_page() -> None:
    url = "https://github.com/acme/shop/deployments/1"
    said = words(deployment(1, "03-17T12:00", url=url, service="web"))
    assert (said.facts[0].scope, said.facts[0].url) == ("acme/shop/web/production", url)
    assert said.facts[0].time == "Sun 17 Mar, 12:00"
    (scope,) = said.scopes
    assert (scope.key, scope.name, scope.window) == ("acme/shop/web/production", "web · production", "last 30 days")
    assert scope.page == "https://acme.github.io/shop/#scope=acme%2Fshop%2Fweb%2Fproduction"
    assert fact_words(deployment(1, url="javascript:x")).url == ""


def test_scopes_of_several_repositories_have_their_repository_in_the_name() -> None:
    said = words(deployment(1, service="web"), deployment(2, repository="acme/api", service="api"))
    assert [scope.name for scope in said.scopes] == ["acme/shop · web · production", "acme/api"]


def test_only_what_counts_is_part_of_an_attempt() -> None:
    assert fact_words(deployment(1)).attempt == "github:deployment:1"
    staging = fact_words(deployment(1, environment="staging"))
    assert (staging.attempt, staging.is_production, staging.scope) == ("", False, "")


def test_a_recovery_is_in_the_details_of_the_deployment_that_ended_the_failure() -> None:
    failed = failed_deployment(1, "03-17T12:00", version="v1", reached_users=True)
    fixed = deployment(2, "03-17T12:41", version="v2")
    (detail,) = fact_words(fixed, failed).details
    assert "It ended the failure of v1 (rule failed-run) after 41 min." in detail


def metric(said: Words, key: str) -> MetricWords:
    return next(each for each in said.scopes[0].metrics if each.key == key)


def test_a_metric_without_a_value_has_a_reason() -> None:
    recovery = metric(words(deployment(1, "03-17")), "recovery_time")
    assert (recovery.value, recovery.reason, recovery.before, recovery.verdict, recovery.change) == (
        "–",
        "no failed deployment in the window",
        "",
        "",
        "",
    )


def test_a_report_has_every_active_scope_the_one_in_most_need_first() -> None:
    (report,) = words(
        *(deployment(number, f"03-1{number}", service=service) for number, service in enumerate(("web", "api"), 1)),
        incident(3, "03-13", service="api", title="Down"),
        reports=True,
    ).reports
    assert [scope.service for scope in report.scopes] == ["api", "web"]
    assert (report.id, report.kind, report.period) == ("report:weekly:2024-W11", "weekly", "week 11, 2024")
    assert report.scopes[0].attention[0] == "1 incident open, since Wed 13 Mar, 00:00"
    assert report.scopes[0].metrics[0].label == "Deployments"


@given(facts=fact_lists())
@settings(max_examples=cases(30))
def test_words_of_any_facts_are_plain_lines(facts: list[Fact]) -> None:
    said = words_of(input_of(*facts, reports=True, page=NO_PAGE))
    assert [fact.id for fact in said.facts] == [fact.id for fact in facts]
    keys = {scope.key for scope in said.scopes}
    assert {fact.scope for fact in said.facts} - {""} == keys
    for text in texts_of(msgspec.to_builtins(said)):
        assert text == " ".join(printable(text).split())
        assert not any(markup in text for markup in ("**", "&amp;", "](", "`", "\\"))


def texts_of(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for each in value.values() for text in texts_of(each)]
        case list() | tuple():
            return [text for each in value for text in texts_of(each)]
        case _:
            return []

"""Facts whose every text is hostile, in every format: nothing is mentioned, referenced, run or rendered but as text."""

import json
import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from io import BytesIO, StringIO
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from msgspec import to_builtins
from prometheus_client.parser import text_string_to_metric_families

from dora_metrics import cli
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.facts.model import CHOICES, Fact, Vulnerability
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.reports import summary
from dora_metrics.core.reports.event_story import EventInfo
from dora_metrics.core.reports.render import summary_markdown
from dora_metrics.core.reports.sections import METRIC_TITLES
from dora_metrics.core.reports.site.feeds import build_badges
from dora_metrics.core.scope import Scope
from dora_metrics.pipeline.evaluate import evaluate
from dora_metrics.runtime import Runtime
from dora_metrics.settings.model import Settings
from dora_metrics.sources import fact_files
from dora_metrics.templates import load_parts, load_template
from support.facts import at, change, deployment, deployment_id, incident, pull_id, vulnerability
from support.hostile_text import HOSTILE, assert_logs_nothing
from support.property_cases import cases

NOW = "2024-03-18T06:00:00Z"
REFERENCES = [
    "#12",
    "@octocat",
    "#12@octocat",
    "commit:#12",
    "commit:@octocat",
    "github:pull:acme/api#12",
    "-->",
    "<b>",
]


def hostile_facts() -> list[Fact]:
    """A deployment that was rolled back, one that an incident names, a revert, a failed run: every kind of sentence."""
    third = {"changes": [1, "commit:" + "a" * 40], "previous": deployment_id(2), "commit_count": 2}
    return [
        deployment(0, "03-01T12:00", version="v0"),
        deployment(1, "03-12T12:00", version="v1"),
        deployment(2, "03-13T12:00", version="v2", changes=[2, 3], health="failed", workflow="Deploy", job_name="job"),
        deployment(3, "03-14T12:00", version="v3", remediates=deployment_id(2), ref="main", **third),
        deployment(4, "03-14T13:00", version="v2"),
        deployment(5, "03-14T14:00", status="failure", reached_users=True),
        deployment(6, "03-14T15:00", status="cancelled"),
        deployment(7, "03-14T16:00", environment="prod-eu", service="till", changes=[4]),
        change(1, "03-10", title="Add", labels=("hotfix",), branch="hotfix/1"),
        change(2, "03-10", title="Change", source="pulls"),
        change(3, "03-11", title='Revert "Add"', reverts=pull_id(1), url="https://github.com/acme/shop/pull/3"),
        change(4, "03-11", title="Other", bot=True),
        incident(
            1, "03-13T13:00", title="Down", deployment=deployment_id(2), url="https://github.com/acme/shop/issues/1"
        ),
        incident(2, "03-14T13:30", title="Slow", resolved_at="03-14T15:00"),
        incident(3, "03-14T13:30", title="Lost", deployment="nowhere", service="till", environment="prod-eu"),
        vulnerability(1, package="lib", severity="high", fixed_at="03-14T10:00"),
    ]


ENUMERATED = {"kind", "sha", "authored_at", *CHOICES}


def poisoned(facts: Sequence[Fact], payloads: st.DataObject) -> bytes:
    """The facts as lines, with a hostile text in every text; equal texts stay equal, so that facts stay connected."""
    hostile: dict[str, str] = {}

    def text_for(name: str, value: str) -> str:
        if name == "url":
            return value + payloads.draw(st.sampled_from(HOSTILE))
        if value not in hostile:
            hostile[value] = value + payloads.draw(st.sampled_from(["", " "])) + payloads.draw(st.sampled_from(HOSTILE))
        is_id = ids.is_valid(value)
        return re.sub(r"[^!-~]", "", hostile[value]) if is_id else hostile[value]

    def poison(name: str, value: Any) -> Any:  # noqa: ANN401
        match value:
            case str() if name not in ENUMERATED and not name.endswith("_at"):
                return text_for(name, value)
            case list() if name == "changes":
                return [*(poison(name, each) for each in value), payloads.draw(st.sampled_from(REFERENCES))]
            case list() if name != "commits":
                return [poison(name, each) for each in value]
            case _:
                return value

    fields = (to_builtins(fact) for fact in facts)
    return b"".join(
        canonical_json({name: poison(name, value) for name, value in each.items()}) + b"\n" for each in fields
    )


def compute(facts: bytes, *flags: str) -> str:
    """What the program prints; problems fail the test."""
    out, errors = StringIO(), StringIO()
    runtime = Runtime({}, BytesIO(facts), out, errors, at("03-18"), lambda _: None)
    assert cli.run(["compute", "--facts", "-", "--now", NOW, *flags], runtime) == 0, errors.getvalue()
    return out.getvalue()


def job_summaries(facts: bytes) -> Iterator[str]:
    """The summary of a run for each of the facts."""
    source = fact_files.read("-", BytesIO(facts))
    results = evaluate(source.facts, Settings(), at("03-18T06:00"))
    for fact in source.facts:
        if not isinstance(fact, Vulnerability):
            yield job_summary(results, fact)


def job_summary(results: Results, fact: Fact) -> str:
    scopes = [history.scope for history in results.evaluation.histories]
    own = Scope(fact.repository, fact.service or "", getattr(fact, "environment", None) or "production")
    scope = own if own in scopes else scopes[0]
    event = EventInfo(f"Something about {fact.id}", (fact,), part_count=2)
    return summary_markdown(summary.build(results, scope, event, None), load_template("summary.md.j2"), load_parts())


# What GitHub would make of it

OWN_HTML = re.compile(
    r"</?(?:details|summary|sub|br|b)(?: open)?>"
    r"|<!-- dora-metrics:report (?:weekly:2024-W11|monthly:2024-02|quarterly:2023-Q4):(?!0123)[0-9a-f]{16} -->"
    r"|<!-- dora-metrics:end: Text between the two markers is rewritten. All other text is yours. -->"
)
LIVE = re.compile(
    r"@\w|(?<![&])#\d|\bGH-\d|https?://|ftp://|\bwww\.|(?<![^\W_])[0-9a-f]{7,40}(?![^\W_])", re.IGNORECASE
)


def tokens_of(markdown: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown):
        yield token
        yield from token.children or ()


def assert_is_inert(markdown: str) -> None:
    """No HTML but the templates' own, no image, links to the web only, and nothing that GitHub links by itself."""
    depth = 0
    for token in tokens_of(markdown):
        if token.type in ("html_block", "html_inline"):
            assert "<" not in OWN_HTML.sub("", token.content), token.content
        assert token.type != "image"
        depth += {"link_open": 1, "link_close": -1}.get(token.type, 0)
        if token.type == "link_open":
            assert str(token.attrs["href"]).startswith(("http://", "https://"))
        if token.type == "text" and not depth:
            assert not LIVE.search(token.content), token.content
    assert_logs_nothing(markdown)


class Tags(HTMLParser):
    """The tags of a page, and their attributes that run or load something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.active: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.active += [(name, value) for name, value in attrs if name.startswith("on") or name in ("src", "href")]


CASES = settings(max_examples=cases(3), phases=[Phase.generate])
"""A case takes a tenth of a second, so one that fails is not made smaller."""

FACTS = hostile_facts()


@pytest.mark.parametrize("per_scope", ["true", "false"])
@pytest.mark.parametrize("form", ["markdown", "weekly", "monthly", "quarterly"])
@CASES
@given(payloads=st.data())
def test_reports_hold_nothing_live(form: str, per_scope: str, payloads: st.DataObject) -> None:
    flags = ("--report-per-scope", per_scope, "--page-url", "https://acme.github.io/shop/")
    assert_is_inert(compute(poisoned(FACTS, payloads), "--format", form, *flags))


@CASES
@given(payloads=st.data())
def test_the_summary_of_each_event_holds_nothing_live(payloads: st.DataObject) -> None:
    for markdown in job_summaries(poisoned(FACTS, payloads)):
        assert_is_inert(markdown)


@settings(CASES, max_examples=cases(1))
@given(payloads=st.data())
def test_the_explanation_of_each_fact_holds_nothing_live(payloads: st.DataObject) -> None:
    facts = poisoned(FACTS, payloads)
    for line in facts.splitlines():
        assert_is_inert(compute(facts, f"--explain={json.loads(line)['id']}"))


@CASES
@given(payloads=st.data())
def test_the_page_has_no_tag_of_a_fact(payloads: st.DataObject) -> None:
    page, usual = (compute(facts, "--format", "html") for facts in (poisoned(FACTS, payloads), lines(FACTS)))
    tags = Tags(page)
    assert set(tags.names) <= {*Tags(usual).names, "li"}
    assert tags.names.count("script") == Tags(usual).names.count("script")
    assert all((value or "").startswith(("http://", "https://", "#", "data:")) for _, value in tags.active)
    assert "<img" not in page


def lines(facts: Sequence[Fact]) -> bytes:
    return b"".join(canonical_json(to_builtins(fact)) + b"\n" for fact in facts)


@CASES
@given(payloads=st.data())
def test_metrics_are_metrics_and_no_command(payloads: st.DataObject) -> None:
    text = compute(poisoned(FACTS, payloads), "--format", "prometheus")
    assert_logs_nothing(text)
    names = {family.name for family in text_string_to_metric_families(text)}
    usual = {family.name for family in text_string_to_metric_families(compute(lines(FACTS), "--format", "prometheus"))}
    assert names == usual


@CASES
@given(payloads=st.data())
def test_json_is_json_and_no_command(payloads: st.DataObject) -> None:
    text = compute(poisoned(FACTS, payloads))
    assert_logs_nothing(text)
    assert json.loads(text)["schema"] == "dora-metrics/1"


@CASES
@given(payloads=st.data())
def test_badges_are_files_in_their_folder_with_texts_of_the_program(payloads: st.DataObject) -> None:
    source = fact_files.read("-", BytesIO(poisoned(FACTS, payloads)))
    badges = build_badges(evaluate(source.facts, Settings(), at("03-18T06:00")))
    assert badges
    assert not [path for path in badges if not re.fullmatch(r"badges/(?:[a-z0-9][a-z0-9._-]*/)*[a-z_]+\.json", path)]
    assert {badge.label for badge in badges.values()} == {*(title.lower() for title in METRIC_TITLES.values()), "DORA"}
    texts = {badge.message for badge in badges.values()}
    assert not [
        text for text in texts if not re.fullmatch(r"(?:no data|\d+ of \d+|[\d.]+ (?:[a-z ]|\d)+|[a-z (),]+)", text)
    ]

"""Events of issues that arrive after a sync, or are run again: what GitHub shows now stays recorded."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dora_metrics.core.facts.merge import CLOCK_SKEW
from fakes import rest_views
from fakes.github import FakeGitHub
from fakes.records import Issue
from support.property_cases import cases
from support.runs import NOW, ActionRun, run_action

LABEL = "incident"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
Event = dict[str, Any]


@dataclass
class IssueShop:
    """A repository with one issue that is an incident, its events, and runs at the time that has come."""

    github: FakeGitHub
    folder: Path
    inputs: dict[str, object] = field(default_factory=dict)
    now: datetime = NOW
    issue: Issue = field(init=False)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.github.state.now = lambda: self.now
        self.repository = self.github.repository(f"acme/{self.folder.name}")
        self.issue = self.repository.issue("Checkout is down", labels=[LABEL], created_at=self.now)
        self._remember("opened")

    def change(self, action: str) -> bool:
        """Do it if the issue is in a state that allows it."""
        has_label, is_closed = LABEL in self.issue.labels, self.issue.closed
        changes: dict[str, tuple[bool, Callable[[], None]]] = {
            "closed": (not is_closed, lambda: self.repository.close(self.issue, at=self.now)),
            "not planned": (not is_closed, lambda: self.repository.close(self.issue, "not_planned", at=self.now)),
            "reopened": (is_closed, lambda: self.repository.reopen(self.issue, at=self.now)),
            "labeled": (not has_label, lambda: self.repository.label(self.issue, LABEL, at=self.now)),
            "unlabeled": (has_label, lambda: self.repository.unlabel(self.issue, LABEL, at=self.now)),
        }
        is_possible, do = changes[action]
        if is_possible:
            do()
            self._remember("closed" if action == "not planned" else action)
        return is_possible

    def _remember(self, action: str) -> None:
        self.events.append(self.event(action))

    def event(self, action: str) -> Event:
        name = self.repository.name_with_owner
        shown = rest_views.issue("https://api.github.com", self.issue)
        repository = {"name": self.folder.name, "full_name": name, "default_branch": "main"}
        event = {"action": action, "issue": shown, "label": {"name": LABEL}, "repository": repository}
        return json.loads(json.dumps(event))  # type: ignore[no-any-return]

    def record(self, event: Event) -> ActionRun:
        return self._run("issues", event)

    def sync(self) -> ActionRun:
        return self._run("schedule", {"schedule": "17 5 * * *"})

    def _run(self, event: str, payload: Event) -> ActionRun:
        given_inputs = {"github-token": self.github.token, "report": "off", "page": "false", **self.inputs}
        environment = {"GITHUB_API_URL": self.github.api_url, "GITHUB_REPOSITORY": self.repository.name_with_owner}
        ran = run_action(self.folder, event, payload, given_inputs, now=self.now, environment=environment)
        assert ran.code == 0
        return ran

    @property
    def recorded(self) -> object:
        """When the incident ended, `open`, or None if none counts."""
        paths = sorted((self.folder / "ledger" / "facts").rglob("*.jsonl"))
        records = [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]
        own = [record for record in records if record["kind"] == "incident"]
        fact = max(own, key=lambda record: (record["observed_at"], json.dumps(record, sort_keys=True)), default=None)
        return None if fact is None or fact["retracted"] else fact["resolved_at"] or "open"

    @property
    def shown(self) -> object:
        """The same as GitHub shows it."""
        if LABEL not in self.issue.labels or self.issue.state_reason == "not_planned":
            return None
        return f"{self.issue.closed_at:%Y-%m-%dT%H:%M:%SZ}" if self.issue.closed_at else "open"


@contextmanager
def issue_shop(folder: Path) -> Iterator[IssueShop]:
    """Each with a GitHub of its own, whose hourly limit no other case has used."""
    with FakeGitHub() as github:
        yield IssueShop(github, Path(mkdtemp(prefix="shop-", dir=folder)))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[IssueShop]:
    with issue_shop(tmp_path) as shop:
        yield shop


@pytest.mark.parametrize("action", ["deleted", "transferred"])
def test_an_issue_that_was_removed_after_a_sync_is_withdrawn(shop: IssueShop, action: str) -> None:
    """Its removal leaves `updated_at` as it was, and no sync sees the issue any more."""
    shop.record(shop.events[0])
    shop.now += 9 * HOUR
    shop.sync()
    assert shop.recorded == "open"
    shop.now += HOUR
    shop.record(shop.event(action))
    assert shop.recorded is None


def test_an_incident_that_was_none_any_more_at_the_first_sync_stays_none(shop: IssueShop) -> None:
    """The first sync reads issues with the label, so the ledger does not have this one."""
    shop.now += HOUR
    shop.change("unlabeled")
    shop.now += HOUR
    shop.sync()
    ran = shop.record(shop.events[0])
    assert "since this event" in ran.log
    assert shop.recorded is None


def test_an_event_from_before_what_the_syncs_have_read_is_recorded(shop: IssueShop) -> None:
    shop.inputs["since"] = "1w"
    shop.record(shop.events[0])
    shop.now += HOUR
    shop.change("closed")
    shop.now += 10 * DAY
    shop.sync()
    assert shop.recorded == "open"
    shop.record(shop.events[1])
    assert shop.recorded == shop.shown


def test_an_event_after_what_a_sync_has_read_is_recorded(shop: IssueShop) -> None:
    shop.now += HOUR
    shop.sync()
    shop.now += MINUTE
    shop.change("closed")
    shop.record(shop.events[1])
    assert shop.recorded == shop.shown


def test_a_change_in_the_last_second_that_a_sync_has_read_is_recorded(shop: IssueShop) -> None:
    """The sync may have read before it."""
    shop.change("unlabeled")
    shop.change("labeled")
    shop.sync()
    shop.record({**shop.events[1], "action": "unlabeled"})
    shop.change("unlabeled")
    shop.record(shop.events[-1])
    assert shop.recorded is None


Step = tuple[str, bool, timedelta, bool, timedelta, int]
STEP = st.tuples(
    st.sampled_from(["closed", "not planned", "reopened", "labeled", "unlabeled"]),
    st.booleans(),
    st.sampled_from([MINUTE, 9 * MINUTE, 11 * MINUTE, HOUR, DAY]),
    st.booleans(),
    st.sampled_from([MINUTE, HOUR]),
    st.integers(0, 12),
)


@settings(max_examples=cases(12), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(is_first_lost=st.booleans(), steps=st.lists(STEP, min_size=2, max_size=6))
def test_whatever_was_lost_and_is_run_again_the_next_sync_records_what_github_shows(
    tmp_path: Path, *, is_first_lost: bool, steps: list[Step]
) -> None:
    with issue_shop(tmp_path) as shop:
        if not is_first_lost:
            shop.record(shop.events[0])
        for step in steps:
            follow(shop, step)
        shop.now += HOUR
        shop.sync()
        assert shop.recorded == shop.shown


def follow(shop: IssueShop, step: Step) -> None:
    """Change the issue, perhaps read it, and run one of all events so far again, which changes nothing that was read.

    A sync reads all that changed until ten minutes before it.
    """
    action, is_delivered, pause, is_read, pause_before_rerun, number = step
    shop.now += pause
    if shop.change(action) and is_delivered:
        shop.record(shop.events[-1])
    if is_read:
        shop.now += pause
        shop.sync()
        assert shop.recorded == shop.shown
    shop.now += pause_before_rerun
    shop.record(shop.events[number % len(shop.events)])
    if is_read and pause > CLOCK_SKEW:
        assert shop.recorded == shop.shown

"""A read continues where the last one stopped: open items, later changes, and what a limit or a kill left unread."""

import json
from dataclasses import dataclass

import msgspec
import pytest
from msgspec.structs import replace

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts.merge import CLOCK_SKEW, changed_facts
from dora_metrics.core.facts.model import Deployment, Fact, Incident
from dora_metrics.github.history import GatheredHistory, HistoryPart, HistoryRequest, deployments, read_history
from dora_metrics.settings.model import Settings
from fakes.faults import Fault, ReplacedAnswer, RequestInFlight, primary_limit, unavailable
from fakes.github import FakeGitHub
from fakes.records import Deployment as Record
from fakes.repository import Repository
from fakes.routing import Answer
from support.github_history import (
    HistoryRead,
    at,
    deploy,
    ledger_after,
    make_client,
    make_history_run,
    merge_pull_request,
    read_fake_history,
)

KNOWN_SOURCES = frozenset({"deployments"})


def read_again(github: FakeGitHub, first: HistoryRead, **options: object) -> tuple[HistoryRead, dict[str, Fact]]:
    """A second read, and the new facts in it."""
    ledger = ledger_after({}, first)
    second = read_fake_history(github, cursors=first.cursors, ledger=ledger, known_sources=KNOWN_SOURCES, **options)  # type: ignore[arg-type]
    return second, {fact.id: fact for fact in changed_facts(ledger, second.facts.values())}


def test_a_deployment_that_had_not_ended_is_looked_at_again(github: FakeGitHub, shop: Repository) -> None:
    deploy(shop, 1)
    waiting = shop.deployment(status="in_progress", at=at(1900))
    for number in range(30):
        deploy(shop, 1901 + number / 10, environment="staging")
    first = read_fake_history(github)
    assert len(first.cursors["deployments"].open) == 1
    shop.deployment_status(waiting, "success", at=at(1950))
    second, found = read_again(github, first)
    assert found.keys() == {f"github:deployment:{waiting.database_id}"}
    assert second.cursors["deployments"].open == ()
    assert second.requests == 1


def test_one_that_was_deleted_meanwhile_spoils_nothing(github: FakeGitHub, shop: Repository) -> None:
    gone = shop.deployment(status="in_progress", at=at(1900))
    first = read_fake_history(github)
    shop.records.remove(gone)
    del shop.state.nodes[gone.id]
    new = deploy(shop, 1910)
    second, found = read_again(github, first)
    assert second.gathered.failures == []
    assert found.keys() == {new}
    assert second.cursors["deployments"].open == ()


@pytest.mark.parametrize("fault", [None, unavailable(502)], ids=["all at once", "by themselves"])
def test_those_that_still_exist_are_looked_at_again_all_the_same(
    github: FakeGitHub, shop: Repository, fault: Fault | None
) -> None:
    gone = shop.deployment(status="in_progress", at=at(1900))
    waiting = shop.deployment(status="in_progress", at=at(1901))
    for number in range(130):
        deploy(shop, 1902 + number / 10)
    first = read_fake_history(github)
    shop.records.remove(gone)
    del shop.state.nodes[gone.id]
    shop.deployment_status(waiting, "success", at=at(1940))
    if fault:
        github.fail(fault, to="NewestItems", times=3)
    second, found = read_again(github, first)
    assert found.keys() == {f"github:deployment:{waiting.database_id}"}
    assert second.cursors["deployments"].open == ()


def preview_deployments(shop: Repository, number: int) -> None:
    for minute in range(number):
        shop.deployment("preview", status="in_progress", at=at(1900 + minute / 60))


@pytest.mark.parametrize("ends_of", ["production", "preview"])
def test_many_deployments_that_never_end_crowd_out_none(github: FakeGitHub, shop: Repository, ends_of: str) -> None:
    preview_deployments(shop, 230)
    waiting = shop.deployment(ends_of, status="queued", at=at(1905))
    for number in range(130):
        deploy(shop, 1910 + number / 10)
    first = read_fake_history(github)
    assert len(first.cursors["deployments"].open) == 231
    shop.deployment_status(waiting, "success", at=at(1940))
    _, found = read_again(github, first)
    assert found.keys() == {f"github:deployment:{waiting.database_id}"}


def test_of_too_many_that_have_not_ended_production_and_the_newest_are_looked_at_again(
    github: FakeGitHub, shop: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployments, "_MAX_OPEN_IDS", 3)
    waiting = shop.deployment("production", status="queued", at=at(1890))
    preview_deployments(shop, 4)
    first = read_fake_history(github)
    newest = [each.id for each in shop.records_of(Record)[:-3:-1]]
    assert first.cursors["deployments"].open == (waiting.id, *newest)
    assert "More than 3 deployments have not ended. Of these, syncs look again at 3: those to production" in first.notes


def test_an_incident_that_lost_its_label_is_withdrawn(github: FakeGitHub, shop: Repository) -> None:
    issue = shop.issue("Checkout answers 500", labels=["incident"], created_at=at(1))
    never = shop.issue("A question", labels=["question"], created_at=at(2))
    first = read_fake_history(github)
    assert list(first.incidents) == [f"github:issue:acme/shop#{issue.number}"]
    shop.unlabel(issue, "incident", at=at(1944))
    shop.unlabel(never, "question", at=at(1944))
    _, found = read_again(github, first)
    assert [fact.retracted for fact in found.values()] == [True]


def test_an_issue_that_becomes_an_incident_is_one(github: FakeGitHub, shop: Repository) -> None:
    issue = shop.issue("Slow", created_at=at(1))
    first = read_fake_history(github)
    assert not first.incidents
    shop.label(issue, "incident", at=at(1944))
    _, found = read_again(github, first)
    assert list(found) == [f"github:issue:acme/shop#{issue.number}"]


@pytest.mark.parametrize("answer", ["shop", "_No response_"])
def test_the_answers_of_an_incident_that_are_corrected_on_github_are_corrected_here(
    github: FakeGitHub, shop: Repository, answer: str
) -> None:
    form = "### Service\n\n{}\n\n### Environment\n\nprod\n\n### Severity\n\n{}\n"
    issue = shop.issue("Down", labels=["incident"], body=form.format("shpo", "low"), created_at=at(1))
    first = read_fake_history(github)
    issue.body, issue.updated_at = form.format(answer, "high"), at(1944)
    _, found = read_again(github, first)
    (corrected,) = found.values()
    assert isinstance(corrected, Incident)
    assert corrected == replace(
        next(iter(read_fake_history(github).incidents.values())), observed_at=corrected.observed_at
    )
    assert (corrected.service, corrected.severity) == (answer if answer == "shop" else None, "high")


def test_if_github_does_not_know_the_next_page_any_more_all_issues_are_read(
    github: FakeGitHub, shop: Repository
) -> None:
    for number in range(160):
        shop.issue(f"Down {number}", labels=["incident"], created_at=at(1 + number))
    github.fail(unavailable(502), to="IssuePage", times=None, skip=1)
    first = read_fake_history(github)
    github.heal()
    assert 0 < len(first.incidents) < 160
    cursor = replace(first.cursors["issues"], after="gone")
    second = read_fake_history(github, cursors={**first.cursors, "issues": cursor}, ledger=ledger_after({}, first))
    assert len(first.incidents | second.incidents) == 160
    assert second.cursors["issues"].after is None


def test_a_label_that_comes_after_the_merge_is_news(github: FakeGitHub, shop: Repository) -> None:
    merge_pull_request(shop, "Faster", 2)
    first = read_fake_history(github)
    pull = shop.records_of(type(shop.pull("Other", created_at=at(3))))[0]
    pull.labels.append("hotfix")
    pull.updated_at = at(20)
    _, found = read_again(github, first)
    assert list(found) == ["github:pull:acme/shop#1"]


def test_what_production_lags_behind_is_linked_when_it_comes(github: FakeGitHub, shop: Repository) -> None:
    deploy(shop, 1)
    for number in range(60):
        merge_pull_request(shop, f"Pull {number}", 2 + number / 10)
    first = read_fake_history(github)
    assert read_again(github, first)[0].requests == 1, "nothing to link, so no commits are read"
    identity = deploy(shop, 1900)
    second, _ = read_again(github, first)
    assert len(second.deployments[identity].changes or ()) == 60
    assert second.requests <= 4


def test_a_limit_in_the_middle_keeps_what_there_is_and_the_next_reading_goes_on(
    github: FakeGitHub, shop: Repository
) -> None:
    for number in range(165):
        merge_pull_request(shop, f"Pull {number}", 1 + number)
    github.fail(primary_limit(), to="PullPage", times=None, skip=1)
    first = read_fake_history(github)
    failures = {one.kind: str(one) for one in first.gathered.failures}
    assert "rate limit" in failures["pulls"]
    assert failures.keys() <= {"pulls", "commits"}, "commits are read at the same time: before the limit, or not at all"
    assert len([one for one in first.changes if one.startswith("github:pull:")]) == 140
    assert str(first.gathered.last_parts["pulls"]) == "pull requests back to 2026-09-02"
    github.heal()
    merge_pull_request(shop, "While nobody looked", 200)
    second, found = read_again(github, first)
    assert len([one for one in found if one.startswith("github:pull:")]) == 26
    assert str(second.gathered.last_parts["pulls"]) == "all pull requests"
    third = read_fake_history(
        github,
        cursors=second.cursors,
        ledger=ledger_after(ledger_after({}, first), second),
        known_sources=KNOWN_SOURCES,
    )
    assert third.cursors["pulls"] == second.cursors["pulls"]


def test_incidents_that_a_limit_left_unread_come_with_the_next_reading(github: FakeGitHub, shop: Repository) -> None:
    for number in range(80):
        shop.issue(f"Issue {number}", labels=["incident"], created_at=at(number))
        shop.issue(f"Question {number}", created_at=at(number))
    github.fail(primary_limit(), to="IssuePage", times=None)
    first = read_fake_history(github)
    assert len(first.incidents) == 40
    github.heal()
    second, found = read_again(github, first)
    assert len(found) == 40
    assert str(second.gathered.last_parts["issues"]) == "all incidents"
    assert read_again(github, second)[0].requests == 1


def test_whoever_stops_listening_keeps_what_came_until_then(github: FakeGitHub, shop: Repository) -> None:
    for number in range(60):
        merge_pull_request(shop, f"Pull {number}", 1 + number)
    deploy(shop, 100)
    gathered = GatheredHistory()
    parts = read_history(make_client(github), HistoryRequest(make_history_run(), Settings()))
    gathered.add(next(parts))
    parts.close()
    assert len(gathered.last_parts) == 1
    ledger = dict(gathered.facts)
    rest = read_fake_history(github, cursors=gathered.cursors, ledger=ledger)
    assert {**ledger, **rest.facts}.keys() == read_fake_history(github).facts.keys()


def test_older_deployments_that_come_later_are_linked_all_the_same(github: FakeGitHub, shop: Repository) -> None:
    for number in range(130):
        shop.commit({"a": str(number)}, message=f"Commit {number}", author_date=at(number))
        deploy(shop, number + 0.5)
    github.fail(primary_limit(), to="DeploymentPage", times=None)
    first = read_fake_history(github)
    assert len(first.deployments) == 40
    github.heal()
    second, _ = read_again(github, first)
    ledger = ledger_after(ledger_after({}, first), second)
    known = [one for one in ledger.values() if isinstance(one, Deployment)]
    assert len(known) == 130
    assert sum(1 for one in known if one.changes is None) == 1


def test_a_time_to_begin_with_is_kept_and_can_be_moved_back(github: FakeGitHub, shop: Repository) -> None:
    for number in range(120):
        merge_pull_request(shop, f"Pull {number}", 24.0 * number / 2)
        deploy(shop, 24.0 * number / 2 + 1)
    first = read_fake_history(github, since=at(24 * 50))
    assert min(one.finished_at for one in first.deployments.values()) >= at(24 * 50)
    merges = [part for part in first.parts if isinstance(part, HistoryPart) and part.kind == "pulls"]
    assert sum(len(part.facts) for part in merges) == 20, "others come with the commits that were read"
    assert len(first.deployments) == 20
    second, found = read_again(github, first)
    assert len(found) + len(first.facts) >= 240
    assert len({**first.deployments, **second.deployments}) == 120


@pytest.mark.parametrize("since", [None, at(-1)])
def test_a_page_that_github_cannot_make_in_time_is_asked_for_in_halves(
    github: FakeGitHub, shop: Repository, since: object
) -> None:
    for number in range(80):
        shop.issue(f"Issue {number}", labels=["incident"], created_at=at(number))
    github.fail(unavailable(502), to="IssuePage", times=3)
    found = read_fake_history(github, since=since)  # type: ignore[arg-type]
    assert len(found.incidents) == 80
    assert found.gathered.failures == []


@dataclass(frozen=True)
class too_expensive(Fault):  # noqa: N801 - read as a verb
    """GitHub refuses pages of more than this many items."""

    longest_page: int

    def before(self, in_flight: RequestInFlight) -> None:
        if json.loads(in_flight.request.body)["variables"].get("first", 25) > self.longest_page:
            error = {"type": "RESOURCE_LIMITS_EXCEEDED", "message": "Resource limits for this query exceeded."}
            raise ReplacedAnswer(Answer(200, {"data": None, "errors": [error]}))


def test_a_page_that_is_too_expensive_for_github_is_asked_for_in_halves(github: FakeGitHub, shop: Repository) -> None:
    for number in range(40):
        merge_pull_request(shop, f"Pull {number}", 1 + number)
        shop.issue(f"Issue {number}", labels=["incident"], created_at=at(number))
    for operation in ("NewestItems", "PullPage", "IssuePage", "CommitPage"):
        github.fail(too_expensive(12), to=operation, times=None)
    found = read_fake_history(github)
    assert found.gathered.failures == []
    assert (len(found.changes), len(found.incidents)) == (40, 40)


def test_cursors_are_plain_data(github: FakeGitHub, shop: Repository) -> None:
    deploy(shop, 1)
    shop.deployment(status=None, at=at(1930))
    cursors = read_fake_history(github).cursors
    text = msgspec.json.encode(cursors)
    assert msgspec.json.decode(text, type=dict[str, Cursor]) == cursors


def test_a_part_says_how_far_it_got() -> None:
    assert str(HistoryPart("pulls", reached=at(0))) == "pull requests back to 2026-09-01"
    assert str(HistoryPart("issues", is_complete=True)) == "all incidents"
    assert str(HistoryPart("runs")) == "workflow runs"


@pytest.mark.parametrize("kind", ["pulls", "deployments"])
def test_a_place_that_github_no_longer_knows_is_read_from_the_newest_on(
    github: FakeGitHub, shop: Repository, kind: str
) -> None:
    for number in range(3):
        merge_pull_request(shop, f"Pull {number}", number + 1)
        deploy(shop, number + 1.5)
    lost = Cursor(newest=at(2), reached=at(1), after="gone")
    found = read_fake_history(github, cursors={kind: lost}, known_sources=KNOWN_SOURCES)
    assert found.gathered.failures == []
    assert (len(found.changes), len(found.deployments)) == (3, 3)
    assert found.cursors[kind].after is None


def test_incidents_among_many_changed_issues_come_after_a_fault_in_the_middle(
    github: FakeGitHub, shop: Repository
) -> None:
    first = read_fake_history(github)
    issue = shop.issue("Checkout answers 500", labels=["incident"], created_at=at(1950))
    for number in range(230):
        shop.issue(f"Question {number}", created_at=at(1951 + number / 100))
    github.fail(primary_limit(), to="IssuePage", times=None, skip=1)
    second, found = read_again(github, first, now=at(1960))
    assert not found
    assert second.cursors["issues"].newest == first.cursors["issues"].newest, "so that the rest is read again"
    github.heal()
    third, found = read_again(github, second, now=at(1961))
    assert list(found) == [f"github:issue:acme/shop#{issue.number}"]
    assert third.cursors["issues"].newest == at(1961) - CLOCK_SKEW

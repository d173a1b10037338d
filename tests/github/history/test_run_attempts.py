"""A sync and attempts: GitHub's lists show only the newest attempt of a run, so the earlier ones are asked for."""

import pytest

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts.merge import changed_facts
from dora_metrics.github.history import run_attempts
from fakes.faults import custom_answer, unavailable
from fakes.github import FakeGitHub
from fakes.records import WorkflowRun
from fakes.repository import Repository
from support.github_history import HistoryRead, at, ledger_after, read_fake_history

RUNS = frozenset({"workflow-runs"})


def attempts_of(history: HistoryRead) -> dict[str, tuple[str, int | None]]:
    return {fact_id: (fact.status, fact.run_attempt) for fact_id, fact in history.deployments.items()}


def attempt_requests(github: FakeGitHub) -> int:
    return len([request for request in github.requests if "/attempts/" in request.path])


def test_an_attempt_after_a_success_is_a_deployment_of_its_own(github: FakeGitHub, shop: Repository) -> None:
    run = shop.run(at=at(1), finished_at=at(1.1), conclusion="failure")
    for hour, conclusion in ((2, "success"), (3, "failure"), (4, "success")):
        shop.rerun(run, at=at(hour), finished_at=at(hour + 0.1), conclusion=conclusion)
    name = f"github:run:{run.database_id}"
    history = read_fake_history(github)
    assert attempts_of(history) == {
        name: ("success", 2),
        f"{name}:attempt:3": ("failure", 3),
        f"{name}:attempt:4": ("success", 4),
    }
    assert history.deployments[f"{name}:attempt:3"].started_at == at(3)


def test_all_attempts_of_a_run_are_read_together(github: FakeGitHub, shop: Repository) -> None:
    run = shop.run(at=at(1), finished_at=at(1.1))
    for number in range(2, 51):
        shop.rerun(run, at=at(number), finished_at=at(number + 0.1), conclusion="failure")
    shop.rerun(run, at=at(51), finished_at=at(51.1))
    name = f"github:run:{run.database_id}"
    history = read_fake_history(github)
    assert "earlier attempts" not in history.notes
    attempts = attempts_of(history)
    assert attempts.pop(name) == ("success", 1)
    assert attempts.pop(f"{name}:attempt:51") == ("success", 51)
    assert attempts == {f"{name}:attempt:{number}": ("failure", number) for number in range(2, 51)}


def test_the_requests_for_one_run_are_bounded(github: FakeGitHub, shop: Repository) -> None:
    shop.run(at=at(1), attempt=1_000_000)
    history = read_fake_history(github)
    assert attempt_requests(github) == 100
    assert "Of 1 run with more than 100 earlier attempts, only the newest of these are read." in history.notes
    assert history.cursors["runs"].open == ()


def test_a_run_that_succeeds_when_it_is_run_again_is_one_deployment(github: FakeGitHub, shop: Repository) -> None:
    run = shop.rerun(shop.run(at=at(1), conclusion="failure"), at=at(2))
    assert attempts_of(read_fake_history(github)) == {f"github:run:{run.database_id}": ("success", 2)}


def test_attempts_are_asked_for_once(github: FakeGitHub, shop: Repository) -> None:
    run = shop.rerun(shop.run(at=at(1)), at=at(2))
    shop.rerun(shop.run("CI", at=at(3)), at=at(4))
    shop.rerun(shop.run(branch="feature", at=at(3)), at=at(4))
    first = read_fake_history(github)
    assert attempt_requests(github) == 1
    again = read_fake_history(github, cursors=first.cursors, known_sources=RUNS)
    assert attempt_requests(github) == 1
    ledger = ledger_after({}, first)
    assert changed_facts(ledger, again.gathered.facts.values()) == ()
    shop.rerun(run, at=at(1935), finished_at=at(1936))
    news = read_fake_history(github, cursors=again.cursors, known_sources=RUNS)
    changed = {fact.id for fact in changed_facts(ledger, news.gathered.facts.values())}
    assert f"github:run:{run.database_id}:attempt:3" in changed


def test_only_so_many_are_asked_for_at_once_and_the_next_sync_goes_on(github: FakeGitHub, shop: Repository) -> None:
    runs = [shop.rerun(shop.run(at=at(number)), at=at(number + 0.5)) for number in range(1, 26)]
    first = read_fake_history(github)
    assert attempt_requests(github) == 20
    assert "5 runs were run again, and their earlier attempts are not read yet" in first.notes
    ledger = ledger_after({}, first)
    second = read_fake_history(github, cursors=first.cursors, known_sources=RUNS, ledger=ledger)
    assert attempt_requests(github) == 25
    assert "not read yet" not in second.notes
    names = [f"github:run:{run.database_id}" for run in runs]
    assert ledger_after(ledger, second).keys() >= {name + end for name in names for end in ("", ":attempt:2")}


def deployments_after_syncs(github: FakeGitHub, max_syncs: int) -> int:
    """The deployments in the ledger after as many syncs as it takes until nothing is left to read."""
    history = read_fake_history(github)
    ledger = ledger_after({}, history)
    for _ in range(max_syncs):
        if not history.cursors["runs"].open:
            break
        assert "not read yet" in history.notes
        assert len(history.cursors["runs"].open) <= 10 + 2
        history = read_fake_history(github, cursors=history.cursors, known_sources=RUNS, ledger=ledger)
        ledger = ledger_after(ledger, history)
    assert "not read yet" not in history.notes
    return sum(fact_id.startswith("github:run:") for fact_id in ledger)


def test_more_than_a_cursor_names_are_read_in_the_end(
    github: FakeGitHub, shop: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_attempts, "_MAX_RUNS_REMEMBERED", 10)
    monkeypatch.setattr(run_attempts, "MAX_ATTEMPTS_READ", 8)
    for number in range(1, 46):
        name = "Deploy EU" if number % 3 else "Deploy US"
        path = f".github/workflows/{name[-2:]}.yml"
        shop.rerun(shop.run(name, path=path, at=at(number)), at=at(number + 0.2), finished_at=at(number + 0.4))
    assert deployments_after_syncs(github, max_syncs=8) == 90


def test_an_older_run_that_waits_for_an_approval_keeps_no_attempt_from_being_read(
    github: FakeGitHub, shop: Repository
) -> None:
    waiting = shop.run(at=at(1450), conclusion=None)
    for number in range(1, 46):
        shop.rerun(shop.run(at=at(1450 + number)), at=at(1450 + number + 0.2), finished_at=at(1450 + number + 0.4))
    history = read_fake_history(github)
    ledger = ledger_after({}, history)
    for left in (25, 5, 0):
        entries = history.cursors["runs"].open
        assert len(set(entries)) == len(entries) == left
        history = read_fake_history(github, cursors=history.cursors, known_sources=RUNS, ledger=ledger)
        ledger = ledger_after(ledger, history)
    assert attempt_requests(github) == 45
    assert sum(fact_id.startswith("github:run:") for fact_id in ledger) == 90
    waiting.status, waiting.conclusion, waiting.updated_at = "completed", "success", at(1940)
    ended = read_fake_history(github, cursors=history.cursors, known_sources=RUNS)
    assert f"github:run:{waiting.database_id}" in ended.deployments


def test_what_is_left_is_read_before_what_is_run_again_later(github: FakeGitHub, shop: Repository) -> None:
    left = shop.rerun(shop.run(at=at(1)), at=at(2))
    for number in range(1, 26):
        shop.rerun(shop.run(at=at(1900 + number)), at=at(1900 + number + 0.5))
    cursors = {"runs": Cursor(newest=at(1900), open=(f"{left.database_id}/2",))}
    history = read_fake_history(github, cursors=cursors, known_sources=RUNS)
    assert f"github:run:{left.database_id}:attempt:2" in history.deployments
    assert len(history.cursors["runs"].open) == 6


def test_a_run_whose_attempts_were_left_keeps_its_success(github: FakeGitHub, shop: Repository) -> None:
    run = shop.run(at=at(1), conclusion="failure")
    shop.rerun(run, at=at(2), conclusion="failure")
    shop.rerun(run, at=at(3), finished_at=at(4))
    cursors = {"runs": Cursor(newest=at(5), open=(f"{run.database_id}/3",))}
    history = read_fake_history(github, cursors=cursors, known_sources=RUNS)
    assert attempts_of(history) == {f"github:run:{run.database_id}": ("success", 3)}


def test_a_success_counts_although_the_run_is_under_way_again(github: FakeGitHub, shop: Repository) -> None:
    run = shop.run(at=at(1), finished_at=at(1.1))
    shop.rerun(run, at=at(1930), conclusion=None)
    name = f"github:run:{run.database_id}"
    first = read_fake_history(github)
    assert attempts_of(first) == {name: ("success", 1)}
    ledger = ledger_after({}, first)
    run.status, run.conclusion, run.updated_at = "completed", "failure", at(1941)
    history = read_fake_history(github, cursors=first.cursors, known_sources=RUNS, ledger=ledger)
    assert ledger_after(ledger, history).keys() >= {name, f"{name}:attempt:2"}
    assert attempt_requests(github) == 1


def test_of_more_than_a_cursor_names_no_wrong_number_is_said(
    github: FakeGitHub, shop: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_attempts, "_MAX_RUNS_REMEMBERED", 3)
    for number in range(1, 31):
        shop.rerun(shop.run(at=at(number)), at=at(number + 0.5))
    assert "More than 3 runs were run again, and their earlier attempts are not read" in read_fake_history(github).notes


def test_entries_of_another_form_are_left_out(github: FakeGitHub, shop: Repository) -> None:
    run = shop.rerun(shop.run(at=at(1)), at=at(2))
    cursor = Cursor(newest=at(3), open=("abc", "1/", "7@", "x@2026", f"{run.database_id}/2"))
    history = read_fake_history(github, cursors={"runs": cursor}, known_sources=RUNS)
    assert f"github:run:{run.database_id}" in history.deployments


def test_an_attempt_that_was_deleted_is_left_out(github: FakeGitHub, shop: Repository) -> None:
    run = shop.run(at=at(1), attempt=3)
    assert attempts_of(read_fake_history(github)) == {f"github:run:{run.database_id}": ("success", 3)}


def refuse_first_attempt(github: FakeGitHub, run: WorkflowRun, status: int, times: int | None = None) -> None:
    github.fail(unavailable(status), to=f"GET /repos/acme/shop/actions/runs/{run.database_id}/attempts/1", times=times)


@pytest.mark.parametrize("status", [403, 500])
def test_one_attempt_that_github_does_not_return_keeps_nothing_else_from_being_read(
    github: FakeGitHub, shop: Repository, status: int
) -> None:
    runs = [shop.rerun(shop.run(at=at(number)), at=at(number + 0.5)) for number in range(1, 4)]
    refuse_first_attempt(github, runs[1], status)
    first = read_fake_history(github)
    assert first.gathered.failures == []
    assert "GitHub did not return the earlier attempts of 1 run (" in first.notes
    assert "The next sync asks again." in first.notes
    names = [f"github:run:{run.database_id}" for run in runs]
    assert first.deployments.keys() == {names[0], f"{names[0]}:attempt:2", names[1], names[2], f"{names[2]}:attempt:2"}
    github.heal()
    second = read_fake_history(github, cursors=first.cursors, known_sources=RUNS)
    ledger = ledger_after(ledger_after({}, first), second)
    assert ledger.keys() >= {name + end for name in names for end in ("", ":attempt:2")}
    assert second.cursors["runs"].open == ()


def test_after_three_runs_without_an_answer_no_other_is_asked_for(github: FakeGitHub, shop: Repository) -> None:
    runs = [shop.rerun(shop.run(at=at(number)), at=at(number + 0.5)) for number in range(1, 9)]
    for run in runs[4:]:
        refuse_first_attempt(github, run, 403)
    first = read_fake_history(github)
    assert attempt_requests(github) == 3
    assert len(first.cursors["runs"].open) == 8
    assert first.cursors["runs"].open[-3:] == tuple(f"{run.database_id}/2" for run in reversed(runs[5:]))
    second = read_fake_history(github, cursors=first.cursors, known_sources=RUNS)
    assert {f"github:run:{run.database_id}:attempt:2" for run in runs[:4]} <= second.deployments.keys()


def test_after_a_rate_limit_no_attempt_is_asked_for(github: FakeGitHub, shop: Repository) -> None:
    runs = [shop.rerun(shop.run(at=at(number)), at=at(number + 0.5)) for number in range(1, 4)]
    answer = custom_answer(403, {"message": "API rate limit exceeded"}, {"retry-after": "3600"})
    github.fail(answer, to=f"GET /repos/acme/shop/actions/runs/{runs[-1].database_id}/attempts/1", times=None)
    history = read_fake_history(github)
    assert [failure.kind for failure in history.gathered.failures] == ["runs"]
    assert "runs" not in history.cursors
    assert attempt_requests(github) == 1


def test_what_events_recorded_keeps_its_place(github: FakeGitHub, shop: Repository) -> None:
    run = shop.run(at=at(1), finished_at=at(1.1))
    shop.rerun(run, at=at(2), finished_at=at(2.1))
    ledger = ledger_after({}, read_fake_history(github))
    only_newest = {fact.id: fact for fact in ledger.values() if fact.id.endswith(":attempt:2")}
    again = ledger_after(only_newest, read_fake_history(github))
    assert again.keys() == ledger.keys()


def test_workflows_that_ran_and_do_not_count_are_named_most_runs_first(github: FakeGitHub, shop: Repository) -> None:
    for number in range(3):
        shop.run("Ship", at=at(number))
    shop.run("CI", at=at(4))
    shop.run("Review", event="pull_request", at=at(5))
    notes = read_fake_history(github).notes
    assert (
        "No successful run of acme/shop counts as a deployment. If one of these workflows deploys, "
        "add it to `deploy-workflows`: Ship (3), CI (1), from the newest 5 runs."
    ) in notes


def test_many_workflows_are_named_up_to_ten(github: FakeGitHub, shop: Repository) -> None:
    for number in range(12):
        shop.run(f"Job {number}", path=f".github/workflows/{number}.yml", at=at(number))
    assert " and 2 more, from the newest 12 runs" in read_fake_history(github).notes


def test_where_a_run_counts_no_other_workflow_is_named(github: FakeGitHub, shop: Repository) -> None:
    shop.run(at=at(1))
    shop.run("CI", at=at(2))
    assert "`deploy-workflows`" not in read_fake_history(github).notes

"""A fault at every request of every kind of run, then healthy runs: no traceback, nothing lost, nothing twice."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dora_metrics.core.reports.periodic.claims import CLAIM_DURATION
from fakes import rest_views
from fakes.faults import (
    Fault,
    RequestInFlight,
    custom_answer,
    dropped,
    partial_errors,
    primary_limit,
    secondary_limit,
    unavailable,
)
from fakes.github import FakeGitHub
from fakes.records import Deployment, Issue
from fakes.routing import Answer
from support.github_history import NOW, at
from support.property_cases import cases, some
from support.runs import ActionRun, PausedClock, run_action, write_settings
from support.sync_shop import SyncShop, facts_on_branch

Json = Any


@dataclass(frozen=True)
class reshaped(Fault):  # noqa: N801 - read as a verb
    """GitHub does what it was asked, and answers with every value changed."""

    change: Callable[[Json], Json]

    def after(self, in_flight: RequestInFlight, answer: Answer) -> Answer:
        del in_flight
        return replace(answer, body=_everywhere(self.change, answer.body))


def _everywhere(change: Callable[[Json], Json], value: Json) -> Json:
    """Change the values below the top: an answer without its `data` is another case."""
    if isinstance(value, dict):
        return {key: _everywhere(change, change(each)) for key, each in value.items()}
    if isinstance(value, list):
        return [_everywhere(change, change(each)) for each in value]
    return value


def _leaf_to(new: Json) -> Callable[[Json], Json]:
    return lambda value: value if isinstance(value, dict | list) else new


def _lists_to_objects(value: Json) -> Json:
    return {} if isinstance(value, list) else value


def _without_last_key(value: Json) -> Json:
    return dict(list(value.items())[:-1]) if isinstance(value, dict) else value


def _items_to_null(value: Json) -> Json:
    return [None for _ in value] if isinstance(value, list) else value


def _objects_to_lists(value: Json) -> Json:
    return [] if isinstance(value, dict) and "repository" not in value else value


ODD_ANSWERS: dict[str, Fault] = {
    "no repository": custom_answer(200, {"data": {"repository": None}}),
    "no data": custom_answer(200, {"data": None}),
    "an empty object": custom_answer(200, {}),
    "a list": custom_answer(200, []),
    "a list in its place": custom_answer(200, {"data": {"repository": []}}),
    "a text": custom_answer(200, b'"text"'),
    "HTML": custom_answer(200, b"<html>Sign in</html>", {"Content-Type": "text/html"}),
    "half of it": custom_answer(200, b'{"data": {"repository": {"ref"'),
    "every value null": reshaped(_leaf_to(None)),
    "every value a number": reshaped(_leaf_to(7)),
    "every value a text": reshaped(_leaf_to("x")),
    "objects for lists": reshaped(_lists_to_objects),
    "lists for objects": reshaped(_objects_to_lists),
    "lists of nulls": reshaped(_items_to_null),
    "a key too few": reshaped(_without_last_key),
}


OUTAGES: dict[str, tuple[Fault, int | None]] = {
    "502 once": (unavailable(502), 1),
    "502 for good": (unavailable(502), None),
    "503 once although it was done": (unavailable(503, applied=True), 1),
    "502 for good although all is done": (unavailable(502, applied=True), None),
    "no answer for good": (dropped(), None),
    "no answer once although it was done": (dropped(applied=True), 1),
    "no answer for good although all is done": (dropped(applied=True), None),
    "401 for good": (custom_answer(401, {"message": "Bad credentials"}), None),
    "403 for good": (custom_answer(403, {"message": "Resource not accessible by integration"}), None),
    "404 for good": (custom_answer(404, {"message": "Not Found"}), None),
    "422 once": (custom_answer(422, {"message": "Validation Failed"}), 1),
    "a limit for an hour": (primary_limit(), None),
    "a short limit": (secondary_limit(retry_after=1), 1),
    "an error beside the data": (partial_errors(), 1),
}
"""Faults with how many requests they meet."""

FAULTS = {**{name: (answer, None) for name, answer in ODD_ANSWERS.items()}, **OUTAGES}


class Shop(SyncShop):
    """A shop whose runs each have a ledger of their own, on a branch that may begin as a copy of another."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        super().__init__(github, folder)
        self.branch = ""
        self._number = 0

    def use_new_branch(self, copy_of: str | None = None) -> None:
        self._number += 1
        self.branch = f"ledger-{self._number}"
        if copy_of:
            head = self.repository.git.commit(self.repository.head(copy_of) or "")
            paths = self.repository.git.changes(None, head.tree) if head else {}
            files = {path: self.repository.read(path, copy_of) or b"" for path in paths}
            self.repository.commit(files, message="Copy", branch=self.branch, parents=[])

    def go(self, event: str, payload: object, now: datetime = NOW, **inputs: object) -> ActionRun:
        clock = PausedClock()
        settings = write_settings(self.folder)
        all_inputs = {"ledger": f"branch:{self.branch}", "github-token": self.github.token, **settings, **inputs}
        environment = {"GITHUB_API_URL": self.github.api_url, "RUNNER_TEMP": str(self.folder / "temp")}
        self.github.requests.clear()
        return run_action(
            self.folder,
            event,
            payload,  # type: ignore[arg-type]
            all_inputs,
            now=now,
            environment=environment,
            pause=clock.pause,
            monotonic=clock.monotonic,
        )

    def sync(self, now: datetime = NOW, **inputs: object) -> ActionRun:
        return self.go("schedule", {"schedule": "17 5 * * *"}, now, **{"report": "weekly", **inputs})

    def event(self) -> ActionRun:
        status = self.repository.records_of(Deployment)[-1].status_history[-1]
        return self.go("deployment_status", rest_views.deployment_status_event(self.github.api_url, status))

    def report(self) -> ActionRun:
        return self.go("workflow_dispatch", {"inputs": {}}, mode="report", report="weekly")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with a ledger of its first deployments on `ledger-1`, and one deployment and one incident after that."""
    with FakeGitHub(now=lambda: NOW) as github:
        for budget in github.state.budgets.values():
            budget.limit = 1_000_000
        shop = Shop(github, tmp_path_factory.mktemp("shop"))
        shop.use_new_branch()
        shop.sync(report="off")
        shop.merge_and_deploy(6)
        shop.repository.issue("Checkout answers 500", labels=["incident"])
        yield shop


RUNS: dict[str, tuple[Callable[[Shop], ActionRun], str | None]] = {
    "event": (Shop.event, "ledger-1"),
    "first sync": (Shop.sync, None),
    "report": (Shop.report, "ledger-1"),
}


@pytest.fixture(scope="module")
def every_fact(shop: Shop) -> set[str]:
    shop.use_new_branch()
    shop.sync()
    return set(facts_on_branch(shop.repository, shop.branch))


def report_issues(shop: Shop) -> list[Issue]:
    return [issue for issue in shop.repository.records_of(Issue) if "dora-metrics:report" in issue.body]


@pytest.fixture
def without_reports(shop: Shop) -> Iterator[None]:
    yield
    shop.github.heal()
    remove_reports(shop)


def remove_reports(shop: Shop) -> None:
    for issue in report_issues(shop):
        shop.repository.records.remove(issue)


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("run_name", RUNS)
@pytest.mark.usefixtures("without_reports")
def test_a_fault_at_any_request_ends_no_run_and_nothing_is_lost_or_twice(
    shop: Shop, every_fact: set[str], run_name: str, name: str
) -> None:
    """Half of the faults meet the odd requests, half the even ones; in the nightly run all meet each."""
    run, ledger = RUNS[run_name]
    fault, times = FAULTS[name]
    step = 2 if cases(1) == 1 else 1
    request_number = list(FAULTS).index(name) % step
    while True:
        remove_reports(shop)
        shop.use_new_branch(copy_of=ledger)
        shop.github.fail(fault, times=times, skip=request_number)
        ran = run(shop)
        was_met = len(shop.github.requests) > request_number
        shop.github.heal()
        assert ran.code == 0
        assert "Traceback" not in ran.log
        assert ran.summary.startswith("### ")
        assert ran.outputs["metrics"].startswith("{")
        assert shop.sync(now=NOW + 2 * CLAIM_DURATION).code == 0
        assert set(facts_on_branch(shop.repository, shop.branch)) == every_fact, "each once: two would be an error"
        assert len(report_issues(shop)) == 1
        if not was_met:
            break
        request_number += step
    assert request_number > 1


ITEMS_OF_A_KIND = 10
LONGEST_PAGE = 4
"""So every kind has three pages."""

ALL_KINDS = {
    "window": "90d",
    "report": "off",
    "security": "dependabot, code-scanning, secret-scanning",
    "deployment-source": "deployments, releases, workflow-runs",
}
PAGES = {
    **dict.fromkeys(("IssuePage", "PullPage", "DeploymentPage", "ReleasePage", "CommitPage"), 2),
    "/repos/acme/shop/actions/workflows/1/runs": 3,
    **{f"/repos/acme/shop/{kind}/alerts": 3 for kind in ("dependabot", "code-scanning", "secret-scanning")},
}
"""At least so many requests for each kind; GraphQL's come after the first page, which is read for all kinds at once."""

LEDGER_OPERATIONS = {"Ledger", "Append", "Head", "GitObjects"}


def add_items(shop: Shop, first_day: int) -> None:
    """Ten days with a pull request, a deployment, a release, a run, an incident and three alerts each."""
    repository = shop.repository
    for day in range(first_day, first_day + ITEMS_OF_A_KIND):
        shop.merge_and_deploy(day)
        time = at(24 * day + 7)
        repository.issue(f"Broken on day {day}", labels=["incident"], created_at=time)
        repository.issue(f"Question on day {day}", created_at=time)
        repository.release(f"v{day}", sha=repository.head("main"), published_at=time)
        repository.run("Deploy", sha=repository.head("main"), at=time, finished_at=time + timedelta(minutes=5))
        for kind in ("dependabot", "code-scanning", "secret-scanning"):
            repository.alert(kind, at=time)


@dataclass(frozen=True)
class PagedShop:
    """A shop whose lists have several pages, with a ledger that has the older half of it on `older`."""

    shop: Shop
    older: str

    def sync(self, now: datetime = NOW) -> ActionRun:
        return self.shop.sync(now, **ALL_KINDS)

    def reads(self, ledger: str | None) -> list[tuple[str, int]]:
        """The requests of an undisturbed sync, as an operation and how many of that came before."""
        self.shop.use_new_branch(copy_of=ledger)
        self.sync()
        names = [request.operation or request.path for request in self.shop.github.requests]
        counted = [(name, names[:index].count(name)) for index, name in enumerate(names)]
        return [(name, number) for name, number in counted if name not in LEDGER_OPERATIONS and "/git/" not in name]

    def results(self) -> dict[str, object]:
        """The facts after one more sync, and the numbers that follow from them and from how they are linked."""
        ran = self.sync(NOW + timedelta(hours=2))
        facts = facts_on_branch(self.shop.repository, self.shop.branch)
        return {"metrics": ran.outputs["metrics"], **{fact_id: _unlinked(fact) for fact_id, fact in facts.items()}}


def _unlinked(fact: dict[str, object]) -> dict[str, object]:
    """A fact without what is computed; what does not count may be linked or not."""
    computed = {"observed_at", "changes", "commit_count", "descends_from", "previous"}
    return {name: value for name, value in fact.items() if name not in computed}


@pytest.fixture(scope="module")
def paged_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PagedShop]:
    with FakeGitHub(now=lambda: NOW) as github:
        for budget in github.state.budgets.values():
            budget.limit = 1_000_000
        github.state.longest_page = LONGEST_PAGE
        shop = Shop(github, tmp_path_factory.mktemp("paged-shop"))
        add_items(shop, 6)
        shop.use_new_branch()
        shop.sync(at(24 * 17), **ALL_KINDS)
        older = shop.branch
        add_items(shop, 17)
        yield PagedShop(shop, older)


@pytest.mark.parametrize(("name", "first"), [("502 for good", 0), ("a limit for an hour", 1)])
@pytest.mark.parametrize("sync", ["first", "later"])
def test_a_fault_at_any_page_of_any_kind_loses_nothing(paged_shop: PagedShop, sync: str, name: str, first: int) -> None:
    """Half of the pages meet the one fault, half the other; in the nightly run all meet both."""
    shop, ledger = paged_shop.shop, paged_shop.older if sync == "later" else None
    reads = paged_shop.reads(ledger)
    undisturbed = paged_shop.results()
    pages = Counter(operation for operation, _ in reads)
    assert {kind: pages[kind] for kind, number in PAGES.items() if pages[kind] < number} == {}
    differences = {}
    for operation, number in some(reads, of_each=2, first=first):
        shop.use_new_branch(copy_of=ledger)
        to = f"GET {operation}" if operation.startswith("/") else operation
        shop.github.fail(FAULTS[name][0], to=to, times=None, skip=number)
        assert paged_shop.sync().code == 0
        shop.github.heal()
        results = paged_shop.results()
        different = {key for key in results.keys() | undisturbed.keys() if results.get(key) != undisturbed.get(key)}
        differences[operation, number] = sorted(different)
    assert {read: keys for read, keys in differences.items() if keys} == {}

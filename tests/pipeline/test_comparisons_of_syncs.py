"""What GitHub answers when a sync asks for what deployments delivered, and what the next sync asks again."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dora_metrics.pipeline import sync
from fakes.faults import Fault, ReplacedAnswer, RequestInFlight, custom_answer
from fakes.github import FakeGitHub
from fakes.routing import Answer
from support.monorepo import SERVICES, Monorepo, at
from support.runs import NOW, ActionRun

COMPARE = "GET /repos/acme/shop/compare/*"
MANY_FOLDERS = {**SERVICES, "other": [f"other/{number}/**" for number in range(50)]}
"""More folders of services than are read with commits, so that deployments are compared."""
NOT_FOUND = custom_answer(404, {"message": "Not Found"})


@dataclass(frozen=True)
class broken_comparisons(Fault):  # noqa: N801 - read as a verb
    """GitHub answers 500 to every comparison, apart from those of later commits."""

    later: list[str]

    def before(self, in_flight: RequestInFlight) -> None:
        if not any(sha in in_flight.request.path for sha in self.later):
            raise ReplacedAnswer(Answer(500, {"message": "Server Error"}))


class Shop(Monorepo):
    def deploy_web(self, hours: float, sha: str | None = None) -> str:
        """Change the service and deploy it, by GitHub's own deployment; return the id of its fact."""
        own_sha = self.commit(f"web/{hours}.txt", hours=hours - 0.5)
        made = self.repository.deployment(
            "production", sha=sha or own_sha, at=at(hours), finished_at=at(hours + 0.1), payload={"service": "web"}
        )
        return f"github:deployment:{made.database_id}"

    def sync(self, **inputs: str) -> ActionRun:
        self.github.requests.clear()
        return self.run_event("schedule", {"schedule": "17 5 * * *"}, hours=None, report="off", **inputs)

    @property
    def comparison_count(self) -> int:
        return sum(request.matches(COMPARE) for request in self.github.requests)

    def changes(self, deployment_id: str) -> object:
        return self.ledger_facts("deployment")[deployment_id]["changes"]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with FakeGitHub(now=lambda: NOW) as github:
        yield Shop(github, tmp_path, MANY_FOLDERS)


@pytest.mark.parametrize("times", [1, None], ids=["once", "for good"])
def test_a_404_for_commits_that_github_has_is_no_answer(shop: Shop, times: int | None) -> None:
    deployment_ids = [shop.deploy_web(hours) for hours in (3, 6, 9)]
    shop.github.fail(NOT_FOUND, to=COMPARE, times=times)
    ran = shop.sync()
    assert f"GitHub did not return what {deployment_ids[0]} delivered: GitHub answered 404 to a comparison" in ran.log
    assert shop.changes(deployment_ids[0]) is None
    shop.github.heal()
    shop.sync()
    assert all(shop.changes(deployment_id) for deployment_id in deployment_ids)


def test_a_commit_that_github_no_longer_has_is_named_and_asked_for_once(shop: Shop) -> None:
    gone = shop.deploy_web(3, sha="f" * 40)
    ran = shop.sync()
    assert f"what {gone} delivered stays unknown: GitHub no longer has its commit" in ran.log
    assert shop.comparison_count
    assert gone not in shop.sync().log
    assert shop.comparison_count == 0


@pytest.mark.parametrize(
    ("failing", "status"), [("GET /repos/acme/shop/actions/workflows", 403), ("GET /repos/acme/shop/*/alerts", 500)]
)
def test_it_is_asked_for_once_although_a_kind_fails_for_good_that_has_no_say_in_it(
    shop: Shop, failing: str, status: int
) -> None:
    gone = shop.deploy_web(3, sha="f" * 40)
    refusal = custom_answer(status, {"message": "Resource not accessible by integration"})
    shop.github.fail(refusal, to=failing, times=None)
    inputs = {"deployment-source": "deployments, workflow-runs", "security": "dependabot"}
    assert f"what {gone} delivered stays unknown" in shop.sync(**inputs).log
    assert gone not in shop.sync(**inputs).log
    assert shop.comparison_count == 0


def test_it_is_asked_for_again_after_a_sync_that_lacked_deployments_before_it(shop: Shop) -> None:
    """They may have its history."""
    gone = shop.deploy_web(3, sha="f" * 40)
    shop.github.fail(custom_answer(500, {"message": "Error"}), to="GET /repos/acme/shop/actions/workflows", times=None)
    inputs = {"deployment-source": "deployments, workflow-runs"}
    for _ in range(2):
        assert f"what {gone} delivered stays unknown" in shop.sync(**inputs).log


def test_comparisons_that_never_succeed_take_the_place_of_no_other(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "MAX_COMPARISONS", 2)
    broken = [shop.deploy_web(hours) for hours in (2, 3, 4)]
    later: list[str] = []
    shop.github.fail(broken_comparisons(later), to=COMPARE, times=None)
    shop.sync()
    new = shop.deploy_web(5)
    later.append(str(shop.repository.head()))
    shop.sync()
    assert shop.changes(new)
    shop.github.heal()
    shop.sync()
    shop.sync()
    assert all(shop.changes(deployment_id) for deployment_id in broken)


def test_two_comparisons_in_a_row_without_an_answer_end_the_comparing_of_a_sync(shop: Shop) -> None:
    """Each is three tries; 22 of them would be a minute of silence, and nothing that was read would be recorded."""
    deployment_ids = [shop.deploy_web(hours) for hours in range(1, 23)]
    shop.github.fail(broken_comparisons([]), to=COMPARE, times=None)
    ran = shop.sync()
    assert shop.comparison_count == 2 * 3
    assert "GitHub did not answer the last comparisons; the next sync continues" in ran.log
    assert shop.ledger_facts("deployment").keys() >= set(deployment_ids)
    shop.github.heal()
    shop.sync()
    assert all(shop.changes(deployment_id) for deployment_id in deployment_ids)

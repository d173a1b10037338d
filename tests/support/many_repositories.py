"""Repositories with much to read: a dense one, a monorepo, and an organisation of many."""

import json
from datetime import datetime, timedelta

from fakes.github import FakeGitHub
from fakes.records import Actor, PullRequest
from fakes.repository import Repository
from support.github_history import NOW, at, deploy

DENSE_PULLS, DENSE_DEPLOYMENTS, DENSE_DAYS = 5_000, 2_000, 89
SERVICES, DEPLOYMENTS_OF_SERVICE = 10, 12
MONOREPO_CONFIG = json.dumps({"services": {f"service-{number}": f"services/{number}/**" for number in range(SERVICES)}})


def fill_dense(repository: Repository, pulls: int = DENSE_PULLS, deployments: int = DENSE_DEPLOYMENTS) -> None:
    """Add pull requests, seven of ten merged with a commit of their own beside the merge, and deployments to two
    environments, spread over 89 days.
    """
    step, deployed = timedelta(days=DENSE_DAYS) / pulls, 0
    for number in range(pulls):
        merged_at = NOW - timedelta(days=DENSE_DAYS) + step * number
        add_merged_pull(repository, f"Pull {number}", merged_at, commits=2 if number % 10 < 7 else 1)
        if deployed * pulls <= number * deployments:
            deployed += 1
            environment = "production" if deployed % 2 else "staging"
            repository.deployment(environment, at=merged_at, finished_at=merged_at + step / 3, transient=True)


def add_merged_pull(
    repository: Repository, title: str, merged_at: datetime, *, commits: int = 1, path: str = "file.txt"
) -> PullRequest:
    """Add a pull request that was merged with so many commits, without the work of merging."""
    opened_at = merged_at - timedelta(hours=1)
    number = repository._next_number()  # noqa: SLF001 - as `pull` does, which also starts git for each
    own = [
        repository.commit({path: f"{title} {index}"}, message=f"{title} {index}", author_date=merged_at)
        for index in range(commits)
    ]
    pull = PullRequest(
        repository, next(repository.state.ids), opened_at, number, title, "", [], Actor("octocat"), opened_at,
        head_ref_name=f"feature-{number}", base_ref_name=repository.default_branch, head_ref_oid=own[-1], shas=own,
        merged_at=merged_at, closed_at=merged_at, merge_commit_sha=own[-1],
    )  # fmt: skip
    pull.updated_at = merged_at
    for sha in own:
        repository.pulls_by_commit.setdefault(sha, []).append(pull)
    return repository.add_record(pull)


def fill_monorepo(repository: Repository) -> None:
    """Add ten services; each has twelve deployments, each with a pull request and a commit without one."""
    repository.commit({".github/dora.yml": MONOREPO_CONFIG}, message="Services", author_date=at(0))
    for number in range(SERVICES * DEPLOYMENTS_OF_SERVICE):
        service, hours = number % SERVICES, 10.0 * number
        folder = f"services/{service}"
        add_merged_pull(repository, f"Pull {number}", at(hours + 1), path=f"{folder}/pull.txt")
        repository.commit({f"{folder}/direct.txt": str(number)}, message="By hand", author_date=at(hours + 2))
        deploy(repository, hours + 3, payload={"service": f"service-{service}"})


def fill_organisation(github: FakeGitHub, count: int) -> None:
    """Add repositories of one owner, each with 30 pull requests and as many deployments."""
    for number in range(count):
        name = "acme/shop" if number == 0 else f"acme/service-{number:03}"
        repository = github.repository(name)
        for index in range(30):
            add_merged_pull(repository, f"Pull {index}", at(20 * index + 1), commits=2)
            deploy(repository, 20 * index + 2)

"""Syncs of shards: together they record what one sync of all repositories records, each fact once."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, cast

import pytest
import yaml

from dora_metrics import cli
from dora_metrics.core.shards import Shard
from dora_metrics.runtime import Runtime
from fakes.bigquery import NAME, TOKEN, FakeBigQuery, bigquery
from fakes.faults import Fault, custom_answer, primary_limit
from fakes.github import FakeGitHub
from fakes.records import Deployment
from fakes.repository import Repository
from support.github_history import NOW, at, deploy
from support.many_repositories import add_merged_pull
from support.organisation import Organisation
from support.paths import ROOT
from support.runs import ActionRun
from support.sync_shop import records_on_branch
from support.warehouse_contents import LIMITS

DAY = timedelta(days=1)
REPOSITORIES = "acme/*, other/*"


class ShardedOrganisation(Organisation):
    """acme and other with repositories; their ledgers are branches of acme/shop, one for each shard."""

    def __init__(self, github: FakeGitHub, folder: Path, count: int = 0) -> None:
        super().__init__(github, folder)
        self.environment["GITHUB_REPOSITORY_ID"] = str(self.shop.database_id)
        self.others = [self.add_small(number) for number in range(count)]

    def add_small(self, number: int) -> Repository:
        """Add a repository of one of two owners, with a deployed pull request and two more deployments."""
        repository = self.github.repository(f"{('acme', 'other')[number % 2]}/service-{number}")
        add_merged_pull(repository, f"Pull {number}", at(1 + number))
        for hours in (0.5, 2 + number, 30 + number):
            deploy(repository, hours)
        return repository

    def sync_shards(self, count: int, **inputs: object) -> list[ActionRun]:
        return [self.sync_shard(Shard(number, count), **inputs) for number in range(1, count + 1)]

    def sync_shard(self, shard: Shard, **inputs: object) -> ActionRun:
        fixed = {"repositories": REPOSITORIES, "shard": str(shard), "ledger": f"branch:{branch_of(shard)}"}
        all_inputs: dict[str, Any] = {**fixed, **inputs}
        return self.sync(**all_inputs)

    def records_of(self, count: int) -> list[dict[str, dict[str, Any]]]:
        """The records of each shard, by id."""
        shards = [Shard(number, count) for number in range(1, count + 1)]
        return [records_on_branch(self.shop, branch_of(shard)) for shard in shards]

    def numbers_of(self, *counts: int) -> dict[str, Any]:
        """What `compute` prints of all shards together; of several numbers of shards, of all their ledgers."""
        folder = Path(mkdtemp(dir=self.folder))
        for number, records in enumerate(records for count in counts for records in self.records_of(count)):
            (folder / f"{number}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records.values()))
        out, errors = StringIO(), StringIO()
        world = Runtime({}, BytesIO(), out, errors, self.now, lambda _: None)
        assert cli.run(["compute", "--facts", str(folder), "--format", "json", "--window", "all"], world) == 0, errors
        document: dict[str, Any] = json.loads(out.getvalue())
        return document


def branch_of(shard: Shard) -> str:
    return f"shard-{shard.number}of{shard.count}"


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[ShardedOrganisation]:
    with FakeGitHub(now=lambda: NOW) as github:
        organisation = ShardedOrganisation(github, tmp_path)
        github.state.now = lambda: organisation.now
        yield organisation


def test_one_three_and_ten_shards_record_the_same_facts_each_once(tmp_path: Path) -> None:
    """33 repositories; an incident of one names a deployment of another, which another shard reads."""
    with FakeGitHub(now=lambda: NOW) as github:
        acme = ShardedOrganisation(github, tmp_path, count=30)
        github.state.now = lambda: acme.now
        deployment = acme.api.records_of(Deployment)[-1]
        address = f"https://github.com/acme/api/deployments/{deployment.database_id}"
        acme.web.issue("Down", body=f"### Deployment\n\n{address}\n", labels=["incident"], created_at=NOW - DAY)
        for count in (1, 3, 10):
            assert {ran.code for ran in acme.sync_shards(count)} == {0}
        (expected,) = acme.records_of(1)
        assert len({record["repository"] for record in expected.values()}) == 33
        for count in (3, 10):
            shards = acme.records_of(count)
            facts = [fact_id for records in shards for fact_id in records if not is_name_of_own(records[fact_id])]
            assert len(facts) == len(set(facts))
            assert {fact_id: each for records in shards for fact_id, each in records.items()} == expected
        numbers = acme.numbers_of(1)
        assert "acme/api/deployments" in json.dumps(numbers["scopes"])
        assert acme.numbers_of(3) == numbers == acme.numbers_of(10)
        assert acme.numbers_of(3, 10) == numbers, "ledgers of a former number of shards change nothing"


def is_name_of_own(record: dict[str, Any]) -> bool:
    """Whether a record has the names of the repository that all shards run in, which each ledger has."""
    return (record["kind"], record["repository"]) == ("repository", "acme/shop")


def test_a_shard_reads_its_repositories_alone_and_says_how_many(acme: ShardedOrganisation) -> None:
    """acme/api is in shard 5 of 10, acme/shop in 6 and acme/web in 8."""
    assert acme.read_by_sync(shard="5/10", ledger="branch:a") == ["acme/api"]
    ran = acme.sync_shard(Shard(6, 10))
    assert "Shard 6/10 has 1 of 3 selected repositories." in ran.summary
    assert "is attributed to it only where the shards are read together" in ran.summary


def test_a_shard_without_repositories_is_no_failure(acme: ShardedOrganisation) -> None:
    ran = acme.sync_shard(Shard(1, 10), strict=True)
    assert ran.code == 0
    assert "This shard has no repository to read" in ran.summary
    assert "Shard 1/10 has 0 of 3 selected repositories." in ran.summary
    assert "::warning" not in ran.log


def list_of(*nodes: None) -> dict[str, Any]:
    """An answer with a list of repositories that GitHub hides."""
    page_info = {"hasNextPage": False, "endCursor": None}
    return {"data": {"repositoryOwner": {"repositories": {"nodes": nodes, "pageInfo": page_info}}}}


REFUSED_LISTS = {
    "refused": custom_answer(403, {"message": "Resource not accessible"}),
    "limit used up": primary_limit(),
    "no such owner": custom_answer(200, {"data": {"repositoryOwner": None}}),
    "no repository": custom_answer(200, list_of()),
    "all hidden": custom_answer(200, list_of(None, None)),
}


@pytest.mark.parametrize("fault", REFUSED_LISTS.values(), ids=REFUSED_LISTS)
def test_a_shard_whose_list_github_refuses_begins_no_ledger(acme: ShardedOrganisation, fault: Fault) -> None:
    """One without facts would say that the shard has no repository."""
    acme.github.fail(fault, to="OwnedRepositories", times=None)
    ran = acme.sync_shard(Shard(1, 2), strict=True)
    assert ran.code == 1
    assert "GitHub's history could not be read" in ran.summary
    assert acme.shop.head("shard-1of2") is None
    acme.github.heal()
    acme.sync_shard(Shard(2, 2))
    ran = acme.run("schedule", {}, mode="rebuild", ledger="none", **{"shard-ledgers": "branch:shard-1of2"})
    assert "branch:shard-1of2" in json.loads(ran.outputs["metrics"])["notes"][0]


def test_a_refused_list_leaves_the_ledger_of_a_shard_as_it_is(acme: ShardedOrganisation) -> None:
    acme.sync_shards(2)
    before = acme.records_of(2)
    acme.github.fail(custom_answer(403, {"message": "Resource not accessible"}), to="OwnedRepositories", times=None)
    acme.now += DAY
    acme.sync_shards(2)
    assert acme.records_of(2) == before


def test_a_shard_whose_repositories_github_does_not_show_begins_no_ledger(acme: ShardedOrganisation) -> None:
    for query in ("News", "NewestItems", "RepositoryInfo"):
        acme.github.fail(custom_answer(403, {"message": "Resource not accessible"}), to=query, times=None)
    assert acme.sync_shard(Shard(1, 1)).code == 0
    assert acme.shop.head("shard-1of1") is None


def test_a_full_name_is_in_its_shard_as_well_whatever_its_letters(acme: ShardedOrganisation) -> None:
    for name in ("acme/api", "ACME/Api"):
        assert acme.read_by_sync(shard="6/10", repositories=name, ledger="branch:a") == []
        assert acme.read_by_sync(shard="5/10", repositories=name, ledger=f"branch:{name[:4]}") == [name]


def test_without_repositories_the_shard_of_the_runs_own_reads_it_and_the_others_say_what_to_set(
    acme: ShardedOrganisation,
) -> None:
    assert acme.read_by_sync(shard="6/10", repositories="", ledger="branch:a") == ["acme/shop"]
    ran = acme.sync(shard="7/10", repositories="", ledger="branch:b")
    assert ran.code == 0
    assert "acme/shop is not in shard 7/10. Set `repositories`, such as owner/*, to what the shards divide" in ran.log


def test_an_event_is_recorded_whatever_the_shard(acme: ShardedOrganisation) -> None:
    payload = {"action": "dora-incident", "client_payload": {"id": "pager:1", "title": "Down"}}
    ran = acme.run("repository_dispatch", payload, shard="1/10", ledger="branch:a")
    assert [fact["repository"] for fact in ran.facts] == ["acme/shop"]


# --- a repository that moves ---


def shard_of(name: str) -> int:
    """The shard of three that has a repository."""
    return next(number for number in range(1, 4) if Shard(number, 3).holds(name))


@pytest.mark.parametrize("since", ["all", "20d"])
def test_a_repository_that_moves_to_another_shard_counts_once_over_all_shards(
    acme: ShardedOrganisation, since: str
) -> None:
    """Its former shard keeps its facts as they are. Its new one reads the history again, as far as `since` goes."""
    for days in (15, 5):
        add_merged_pull(acme.api, f"Pull of {days} days ago", NOW - days * DAY - timedelta(hours=2))
        acme.api.deployment(at=NOW - days * DAY)
    issue = acme.api.issue("Down", labels=["incident"], created_at=NOW - 5 * DAY + timedelta(hours=1))
    for count in (1, 3):
        acme.sync_shards(count, since=since)
    before = acme.records_of(3)
    acme.now += 8 * DAY
    acme.github.state.rename("acme/api", "other/store")
    assert shard_of("acme/api") != shard_of("other/store")
    add_merged_pull(acme.api, "After the move", acme.now - timedelta(hours=2))
    acme.api.deployment(at=acme.now - timedelta(hours=1))
    acme.api.close(issue, at=acme.now - timedelta(hours=1))
    for count in (1, 3):
        acme.sync_shards(count, since=since)
    after = acme.records_of(3)
    assert all(new.items() >= old.items() for old, new in zip(before, after, strict=True))
    numbers = acme.numbers_of(3)
    assert numbers == acme.numbers_of(1)
    (scope,) = [each for each in numbers["scopes"] if each["service"] == "store"]
    assert scope["repository"] == "other/store"
    assert (scope["metrics"]["incident_restore"]["incidents"], scope["metrics"]["incident_restore"]["open"]) == (1, 0)
    assert scope["metrics"]["deployment_frequency"]["deployments"] == (6 if since == "all" else 3)
    assert scope["metrics"]["lead_time"]["changes"] == (5 if since == "all" else 2)


@pytest.mark.parametrize("nights_until_renumbered", [0, 2])
def test_a_recreated_name_and_another_number_of_shards_leave_each_repository_its_own(
    acme: ShardedOrganisation, nights_until_renumbered: int
) -> None:
    """acme/api becomes acme/x1, and a new acme/api is created; the ledgers of the old shards are still read."""
    acme.sync(repositories=REPOSITORIES, ledger="branch:one")
    acme.sync_shards(3)
    acme.now += DAY
    acme.github.state.rename("acme/api", "acme/x1")
    new_api = acme.github.repository("acme/api")
    for hours in (6, 5, 4):
        deployed_at = acme.now - timedelta(hours=hours)
        add_merged_pull(new_api, f"Pull of {hours} hours ago", deployed_at - timedelta(minutes=5))
        new_api.deployment(at=deployed_at)
    for night in range(nights_until_renumbered + 2):
        acme.sync(repositories=REPOSITORIES, ledger="branch:one")
        acme.sync_shards(3 if night < nights_until_renumbered else 2)
        acme.now += DAY
    ledgers = [branch_of(Shard(number, count)) for count in (3, 2) for number in range(1, count + 1)]
    assert metrics_over(acme, *ledgers) == metrics_over(acme, "one")


def metrics_over(acme: ShardedOrganisation, *branches: str) -> list[dict[str, Any]]:
    """What the last job computes for each service over the ledgers in these branches."""
    ledgers = ", ".join(f"branch:{branch}" for branch in branches)
    ran = acme.run("schedule", {}, mode="rebuild", ledger="none", **{"shard-ledgers": ledgers})
    assert ran.code == 0
    scopes: list[dict[str, Any]] = json.loads(ran.outputs["metrics"])["scopes"]
    return scopes


# --- the example ---

EXAMPLE = yaml.safe_load((ROOT / "examples" / "organisation.yml").read_text("utf-8"))


def inputs_of_example(job: str, number: int = 0) -> dict[str, str]:
    """The inputs of the action in a job of the example, with its expressions replaced."""
    (step,) = [step for step in EXAMPLE["jobs"][job]["steps"] if "dora-metrics" in step["uses"]]
    inputs = {name: str(value).replace("${{ matrix.number }}", str(number)) for name, value in step["with"].items()}
    return {name: value.replace("my-org", "acme") for name, value in inputs.items() if name != "github-token"}


def test_the_example_reads_each_repository_once_and_reports_on_all(acme: ShardedOrganisation) -> None:
    for name in ("sandbox", "left-out"):
        acme.add(name).topics = ["no-dora"] if name == "left-out" else []
    numbers = EXAMPLE["jobs"]["shard"]["strategy"]["matrix"]["number"]
    for number in numbers:
        assert acme.sync(**cast("Any", inputs_of_example("shard", number))).code == 0
    shards = [records_on_branch(acme.shop, f"dora-metrics-{number}of{len(numbers)}") for number in numbers]
    facts = [record["repository"] for records in shards for record in records.values() if not is_name_of_own(record)]
    assert Counter(facts) == {"acme/api": 7, "acme/shop": 6, "acme/web": 7}
    ran = acme.run("schedule", {"schedule": "37 3 * * *"}, **inputs_of_example("report"))
    assert ran.code == 0
    assert f"shard ledgers: {len(numbers)} read" in ran.log
    metrics = json.loads(acme.shop.read("metrics.json", "dora-metrics") or b"{}")
    assert {scope["repository"] for scope in metrics["scopes"]} == {"acme/api", "acme/shop", "acme/web"}


# --- one page over all shards ---


@pytest.mark.parametrize("count", [3, 10])
def test_a_last_job_shows_what_one_sync_of_all_repositories_shows(tmp_path: Path, count: int) -> None:
    """Some of ten shards have no repository. Their ledgers are read as well."""
    with FakeGitHub(now=lambda: NOW) as github:
        acme = ShardedOrganisation(github, tmp_path, count=5)
        github.state.now = lambda: acme.now
        acme.sync(repositories=REPOSITORIES, ledger="branch:one")
        acme.sync_shards(count)
        ledgers = [f"branch:{branch_of(Shard(number, count))}" for number in range(1, count + 1)]
        ran = acme.run("schedule", {}, mode="rebuild", ledger="branch:all", **{"shard-ledgers": ", ".join(ledgers)})
        assert ran.code == 0
        assert "::warning" not in ran.log
        for name in ("metrics.json", "evidence.json", "history.json"):
            assert acme.shop.read(name, "all") == acme.shop.read(name, "one")


# With a warehouse

ROWS = {"repositories": "acme/*", "bigquery-dataset": NAME, "bigquery-token": TOKEN}
THREE_EACH = {"acme/api": 3, "acme/shop": 3, "acme/web": 3}


@pytest.fixture
def dataset(acme: ShardedOrganisation) -> Iterator[FakeBigQuery]:
    with bigquery() as started:
        acme.environment["BIGQUERY_EMULATOR_HOST"] = started.url
        acme.limits = LIMITS
        yield started


def deployments_in(dataset: FakeBigQuery) -> Counter[str | None]:
    return Counter(row[0] for row in dataset.rows("deployments"))


def warehouse_line(ran: ActionRun) -> str:
    return next(part for part in ran.summary.split(" · ") if part.startswith("BigQuery"))


def test_another_number_of_shards_loses_no_row_of_a_warehouse(acme: ShardedOrganisation, dataset: FakeBigQuery) -> None:
    """The new ledgers begin with 90 days. A repository that is archived is in none of them."""
    acme.sync_shards(3, **ROWS)
    acme.now += 200 * DAY
    acme.web.is_archived = True
    add_merged_pull(acme.api, "Later", acme.now - DAY)
    acme.api.deployment("production", at=acme.now - DAY / 2, finished_at=acme.now - DAY / 2)
    ran = acme.sync_shards(5, **ROWS, since="90d")
    assert deployments_in(dataset) == THREE_EACH
    assert sum("BigQuery ✗ acme/api: the dataset has facts from another ledger" in each.summary for each in ran) == 1
    acme.sync_shards(5, **ROWS)
    assert deployments_in(dataset) == {**THREE_EACH, "acme/api": 4}, "as the message says"
    ledgers = {row[0]: row[5] for row in dataset.rows("loads") if row[1] == "facts"}
    assert "of3" in str(ledgers["acme/web"])
    assert "of5" in str(ledgers["acme/api"])
    again = acme.sync_shards(5, **ROWS)
    assert {warehouse_line(each) for each in again} == {"BigQuery ✓ nothing has changed; 0 rows sent"}


def test_a_repository_that_is_renamed_into_another_shard_is_in_a_warehouse_once(
    acme: ShardedOrganisation, dataset: FakeBigQuery
) -> None:
    assert not any(Shard(number, 3).holds("acme/api") and Shard(number, 3).holds("acme/core") for number in (1, 2, 3))
    acme.sync_shards(3, **ROWS)
    acme.github.state.rename("acme/api", "acme/core")
    acme.now += DAY
    for _ in range(2):
        acme.sync_shards(3, **ROWS)
        assert deployments_in(dataset) == {"acme/core": 3, "acme/shop": 3, "acme/web": 3}
        assert set(Counter(row[0] for row in dataset.rows("facts")).values()) == {1}
    last = acme.sync_shards(3, **ROWS)
    left = [
        warehouse_line(each) for each in last if "left to another ledger, which has all of these facts" in each.summary
    ]
    assert len(left) == 1
    assert "acme/api" in left[0]
    assert not any("BigQuery ✗" in each.summary for each in last)

"""Which runs send rows to a warehouse, and what of a ledger they send."""

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from io import BytesIO, StringIO
from pathlib import Path

import pytest

from dora_metrics import cli
from dora_metrics.core.shards import Shard
from dora_metrics.runtime import Runtime
from fakes.bigquery import NAME, TOKEN, FakeBigQuery, bigquery
from fakes.repository import Repository
from support.github_history import NOW as HISTORY_NOW
from support.ledger_writer import record_facts
from support.many_repositories import add_merged_pull
from support.runs import ActionRun, check_out, deployment_status, run_action
from support.sink_payloads import NOW
from support.sync_shop import SyncShop
from support.warehouse_contents import LIMITS, deployments

DAY = timedelta(days=1)
CONFIG = ".github/dora.yml"
INPUTS = {"bigquery-dataset": NAME, "bigquery-token": TOKEN, "ledger": "dir:ledger"}


@pytest.fixture
def fake() -> Iterator[FakeBigQuery]:
    with bigquery() as started:
        yield started


def rebuild(
    folder: Path, fake: FakeBigQuery, *, emulator: str = "", repository: str = "acme/shop", **inputs: object
) -> ActionRun:
    environment = {"BIGQUERY_EMULATOR_HOST": emulator or fake.url, "GITHUB_REPOSITORY": repository}
    settings = {"mode": "rebuild", **INPUTS, **{name.replace("_", "-"): value for name, value in inputs.items()}}
    return run_action(
        folder, "workflow_dispatch", {"inputs": {}}, settings, now=NOW, environment=environment, limits=LIMITS
    )


def record(folder: Path) -> None:
    record_facts(folder / "ledger", *deployments("acme/shop", 3), *deployments("acme/pay", 2))


def test_a_rebuild_sends_all_repositories_and_the_next_one_nothing(tmp_path: Path, fake: FakeBigQuery) -> None:
    record(tmp_path)
    ran = rebuild(tmp_path, fake)
    assert "BigQuery ✓ 3,724 rows of 2 repositories sent" in ran.summary
    assert {row[0] for row in fake.rows("scopes")} == {"acme/shop", "acme/pay"}
    assert {row[5] for row in fake.rows("loads")} == {"dir:ledger@acme/shop"}
    fake.forget_requests()
    assert "BigQuery ✓ nothing has changed; 0 rows sent" in rebuild(tmp_path, fake).summary
    assert fake.uploaded_bytes == 0


def test_folders_of_the_same_name_in_two_repositories_are_two_ledgers(tmp_path: Path, fake: FakeBigQuery) -> None:
    """As with examples/ledger-in-cache.yml in each: neither takes the other's rows for those of one that has left."""
    for name, count in (("acme/shop", 3), ("acme/pay", 2)):
        record_facts(tmp_path / name / "ledger", *deployments(name, count))
    for name in ("acme/shop", "acme/pay", "acme/shop"):
        assert "BigQuery ✓" in rebuild(tmp_path / name, fake, repository=name).summary
    assert {row[0] for row in fake.rows("deployments")} == {"acme/shop", "acme/pay"}
    assert {row[5] for row in fake.rows("loads")} == {"dir:ledger@acme/shop", "dir:ledger@acme/pay"}


def test_an_event_sends_no_rows(tmp_path: Path, fake: FakeBigQuery) -> None:
    environment = {"BIGQUERY_EMULATOR_HOST": fake.url}
    ran = run_action(tmp_path, "deployment_status", deployment_status(), INPUTS, environment=environment)
    assert fake.requests == []
    assert "BigQuery" not in ran.summary


def test_a_run_over_shards_leaves_the_rows_to_the_shards(tmp_path: Path, fake: FakeBigQuery) -> None:
    record(tmp_path)
    ran = rebuild(tmp_path, fake, ledger="dir:all", shard_ledgers="dir:ledger")
    assert "the runs that write the `shard-ledgers` send the rows of their repositories" in ran.summary
    assert fake.requests == []


def sync(shop: SyncShop, fake: FakeBigQuery, repository: str = "acme/shop", number: int | None = None) -> ActionRun:
    environment = {
        "GITHUB_API_URL": shop.github.api_url,
        "GITHUB_REPOSITORY": repository,
        "GITHUB_REPOSITORY_ID": str(number or shop.repository.database_id),
        "BIGQUERY_EMULATOR_HOST": fake.url,
    }
    inputs = {**INPUTS, "ledger": "branch:dora-metrics", "github-token": shop.github.token, "report": "off"}
    event = {"schedule": "17 5 * * *"}
    return run_action(shop.folder, "schedule", event, inputs, now=HISTORY_NOW, environment=environment, limits=LIMITS)


def test_a_sync_sends_rows(sync_shop: SyncShop, fake: FakeBigQuery) -> None:
    assert "BigQuery ✓" in sync(sync_shop, fake).summary
    assert (len(fake.rows("deployments")), len(fake.rows("lead_times"))) == (6, 5)
    assert {row[5] for row in fake.rows("loads")} == {
        f"branch:dora-metrics@acme/shop@{sync_shop.repository.database_id}"
    }


def test_rows_under_the_former_name_of_a_repository_are_replaced(sync_shop: SyncShop, fake: FakeBigQuery) -> None:
    """The ledger on its branch keeps its name, so that the rows under the former one are known to be its own."""
    sync(sync_shop, fake)
    sync_shop.github.state.rename("acme/shop", "acme/store")
    assert "BigQuery ✓" in sync(sync_shop, fake, "acme/store").summary
    assert {row[0] for row in fake.rows("deployments")} == {"acme/store"}
    assert {row[2] for row in fake.rows("facts")} == {"acme/store"}


def night(shop: SyncShop, fake: FakeBigQuery, now: datetime, shards: int) -> list[str]:
    """What each shard of all repositories says about BigQuery."""
    runs = [shard(shop, fake, now, f"{number}/{shards}") for number in range(1, shards + 1)]
    return [part.strip() for ran in runs for part in ran.summary.split(" · ") if part.startswith("BigQuery")]


def shard(shop: SyncShop, fake: FakeBigQuery, now: datetime, number: str) -> ActionRun:
    environment = {
        "GITHUB_API_URL": shop.github.api_url,
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_REPOSITORY_ID": str(shop.repository.database_id),
        "BIGQUERY_EMULATOR_HOST": fake.url,
    }
    inputs = {
        **INPUTS,
        "ledger": f"branch:dora-{number.replace('/', 'of')}",
        "github-token": shop.github.token,
        "report": "off",
        "repositories": "acme/*",
        "shard": number,
        "since": "all",
    }
    event = {"schedule": "17 5 * * *"}
    folder = shop.folder / f"{number.replace('/', 'of')}-{len(list(shop.folder.iterdir()))}"
    folder.mkdir()
    return run_action(folder, "schedule", event, inputs, now=now, environment=environment, limits=LIMITS)


def merge_before_the_first_deployment(api: Repository) -> None:
    add_merged_pull(api, "First", HISTORY_NOW - DAY)


def push_directly_before_the_first_deployment(api: Repository) -> None:
    for days in (4, 2):
        add_merged_pull(api, f"Pull {days}", HISTORY_NOW - days * DAY)
        api.commit({"by-hand.txt": str(days)}, message="By hand", author_date=HISTORY_NOW - (days - 1) * DAY)
    add_merged_pull(api, "Last", HISTORY_NOW - DAY / 2)


def release_before_the_first_deployment(api: Repository) -> None:
    add_merged_pull(api, "First", HISTORY_NOW - 3 * DAY)
    api.release("v1", published_at=HISTORY_NOW - DAY)


@pytest.mark.parametrize(
    "begin",
    [
        merge_before_the_first_deployment,
        push_directly_before_the_first_deployment,
        release_before_the_first_deployment,
    ],
)
def test_after_another_number_of_shards_what_a_new_ledger_never_reads_disputes_nothing(
    sync_shop: SyncShop, fake: FakeBigQuery, begin: Callable[[Repository], None]
) -> None:
    api = sync_shop.github.repository("acme/api")
    begin(api)
    now = HISTORY_NOW
    night(sync_shop, fake, now, 1)
    now += DAY
    api.deployment(at=now - DAY / 2, finished_at=now - DAY / 2)
    night(sync_shop, fake, now, 1)
    for number in range(2):
        now += DAY
        add_merged_pull(api, f"Later {number}", now - DAY / 2)
        api.deployment(at=now - DAY / 3, finished_at=now - DAY / 3)
        assert all("✓" in text for text in night(sync_shop, fake, now, 2))
    assert all("of2@" in str(row[5]) for row in fake.rows("loads") if row[1] == "facts")
    assert sum(row[0] == "acme/api" for row in fake.rows("deployments")) == 3
    assert all("nothing has changed" in text for text in night(sync_shop, fake, now, 2))


def test_an_incident_whose_label_was_removed_disputes_nothing(sync_shop: SyncShop, fake: FakeBigQuery) -> None:
    api = sync_shop.github.repository("acme/api")
    api.deployment(at=HISTORY_NOW - 2 * DAY, finished_at=HISTORY_NOW - 2 * DAY)
    issue = api.issue("Not one", labels=["incident"], created_at=HISTORY_NOW - DAY)
    night(sync_shop, fake, HISTORY_NOW, 1)
    api.unlabel(issue, "incident", at=HISTORY_NOW + DAY / 2)
    night(sync_shop, fake, HISTORY_NOW + DAY, 1)
    assert sum("issue" in str(row[0]) for row in fake.rows("facts")) == 1
    api.deployment(at=HISTORY_NOW + 1.5 * DAY, finished_at=HISTORY_NOW + 1.5 * DAY)
    assert all("✓" in text for text in night(sync_shop, fake, HISTORY_NOW + 2 * DAY, 2))
    assert sum(row[0] == "acme/api" for row in fake.rows("deployments")) == 2


def test_a_tracker_that_is_renamed_into_another_shard_is_there_once(sync_shop: SyncShop, fake: FakeBigQuery) -> None:
    tracker = sync_shop.github.repository("acme/incidents")
    issue = tracker.issue("Down", labels=["incident"], created_at=HISTORY_NOW - 9 * DAY)
    night(sync_shop, fake, HISTORY_NOW, 3)
    former = next(number for number in (1, 2, 3) if Shard(number, 3).holds("acme/incidents"))
    name = next(name for name in map("acme/ops{}".format, range(50)) if not Shard(former, 3).holds(name))
    sync_shop.github.state.rename("acme/incidents", name)
    tracker.close(issue, at=HISTORY_NOW + DAY / 2)
    for number in (1, 2):
        assert all("✓" in text for text in night(sync_shop, fake, HISTORY_NOW + number * DAY, 3))
        rows = [row for row in fake.rows("incidents") if row[0] != "acme/shop"]
        assert [(row[0], row[9] is None) for row in rows] == [(name, False)]


def test_a_new_repository_with_the_name_of_a_renamed_one_has_a_ledger_of_its_own(
    sync_shop: SyncShop, fake: FakeBigQuery
) -> None:
    """Each has its own workflow. Neither takes the rows of the other for those of one that has left."""
    old = sync_shop.repository
    sync(sync_shop, fake)
    sync_shop.github.state.rename("acme/shop", "acme/legacy")
    sync(sync_shop, fake, "acme/legacy")
    new = sync_shop.github.repository("acme/shop")
    for days in (3, 2, 1):
        new.deployment(at=HISTORY_NOW - days * DAY, finished_at=HISTORY_NOW - days * DAY)
        for name, repository in (("acme/shop", new), ("acme/legacy", old)):
            assert "BigQuery ✓" in sync(sync_shop, fake, name, repository.database_id).summary
            assert sum(row[0] == "acme/legacy" for row in fake.rows("deployments")) == 6
    assert sum(row[0] == "acme/shop" for row in fake.rows("deployments")) == 3


def test_what_was_sent_before_ledgers_had_numbers_is_taken_over(sync_shop: SyncShop, fake: FakeBigQuery) -> None:
    sync(sync_shop, fake)
    (name,) = {row[5] for row in fake.rows("loads")}
    sent = {table: fake.rows(table) for table in ("facts", "deployments", "lead_times")}
    without_numbers = "UPDATE dora.loads SET ledger = 'branch:dora-metrics@acme/shop', repository_id = NULL"
    fake._database.execute(without_numbers)  # noqa: SLF001 - as if an earlier version had sent them
    assert "BigQuery ✓" in sync(sync_shop, fake).summary
    assert {row[5] for row in fake.rows("loads") if row[0] == "acme/shop"} == {name}
    assert {table: fake.rows(table) for table in sent} == sent


@pytest.mark.parametrize("ledger", ["none", "branch:dora-metrics"], ids=["none", "a branch without a token"])
def test_without_a_whole_ledger_nothing_is_sent(tmp_path: Path, fake: FakeBigQuery, ledger: str) -> None:
    """Rows of some facts would replace those of all."""
    ran = rebuild(tmp_path, fake, ledger=ledger)
    assert fake.requests == []
    assert "BigQuery: it gets the facts of a whole ledger, and this run has none" in ran.summary.replace("**", "")


def test_only_the_selected_parts_are_sent(tmp_path: Path, fake: FakeBigQuery) -> None:
    record(tmp_path)
    rebuild(tmp_path, fake, warehouse="facts, metrics")
    assert {name for name, rows in fake.state.items() if rows} == {"facts", "metrics", "loads"}


def test_a_failure_is_a_warning_and_strict_makes_it_an_error(tmp_path: Path, fake: FakeBigQuery) -> None:
    record(tmp_path)
    ran = rebuild(tmp_path, fake, bigquery_token="of yesterday")
    assert ran.code == 0
    assert "BigQuery ✗ HTTP 401: `bigquery-token` is wrong, or older than an hour" in ran.summary
    assert "of yesterday" not in ran.summary + ran.log
    assert rebuild(tmp_path, fake, bigquery_token="of yesterday", strict="true").code == 1


@pytest.mark.parametrize(
    ("emulator", "problem"),
    [
        ("http://bigquery.example:9050", "http is for this machine only"),
        ("https://user:secret@bigquery.example", "not a valid address"),
        ("ftp://localhost", "not a valid address"),
    ],
)
def test_a_token_goes_to_google_this_machine_or_through_tls(
    tmp_path: Path, fake: FakeBigQuery, emulator: str, problem: str
) -> None:
    record(tmp_path)
    ran = rebuild(tmp_path, fake, emulator=emulator)
    assert fake.requests == []
    assert f"BigQuery ✗ BIGQUERY_EMULATOR_HOST: {problem}" in ran.summary.replace("\\", "")


def test_an_emulator_may_be_named_without_a_scheme(tmp_path: Path, fake: FakeBigQuery) -> None:
    record(tmp_path)
    assert "BigQuery ✓" in rebuild(tmp_path, fake, emulator=fake.host).summary


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("bigquery_dataset", "dora", "input bigquery-dataset: 'dora' is not a dataset; write project.dataset"),
        ("bigquery_dataset", "acme`.dora", "is not a dataset; write project.dataset"),
        ("bigquery_dataset", "acme/x.dora", "is not a dataset; write project.dataset"),
        ("bigquery_dataset", "acme.do-ra", "is not a dataset; write project.dataset"),
        ("bigquery_location", "E U", "input bigquery-location: 'E U' is not a location; write for example EU, US"),
        ("warehouse", "facts, lines", "input warehouse: 'lines' is not one of 'facts', 'rows', 'metrics'"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_is_sent(
    tmp_path: Path, fake: FakeBigQuery, name: str, value: str, problem: str
) -> None:
    ran = rebuild(tmp_path, fake, **{name: value})
    assert ran.code == 2
    assert problem in ran.log
    assert fake.requests == []


def test_a_dataset_and_a_location_may_have_white_space_around_them(tmp_path: Path, fake: FakeBigQuery) -> None:
    record(tmp_path)
    assert "BigQuery ✓" in rebuild(tmp_path, fake, bigquery_dataset=f" {NAME}\n", bigquery_location=" EU ").summary


NO_TOKEN = "BigQuery ✗ `bigquery-token` is not set; pass the `access_token` that google-github-actions/auth made"


def test_without_a_token_a_run_that_sends_rows_fails_if_it_is_strict(tmp_path: Path, fake: FakeBigQuery) -> None:
    record(tmp_path)
    ran = rebuild(tmp_path, fake, bigquery_token="")
    assert NO_TOKEN in ran.summary
    assert (ran.code, rebuild(tmp_path, fake, bigquery_token="", strict="true").code) == (0, 1)
    assert fake.requests == []


def test_an_event_needs_no_token_for_a_dataset_in_the_file(tmp_path: Path, fake: FakeBigQuery) -> None:
    """It reads the same file as the nightly run, and sends nothing."""
    record(tmp_path)
    check_out(tmp_path, {CONFIG: f"bigquery-dataset: {NAME}"})
    environment = {"BIGQUERY_EMULATOR_HOST": fake.url}
    assert run_action(tmp_path, "deployment_status", deployment_status(), environment=environment).code == 0
    assert fake.requests == []


@pytest.mark.parametrize("command", [("compute",), ("rows", "--to", "rows")], ids=["compute", "rows"])
def test_a_command_that_sends_nothing_needs_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    record(tmp_path)
    (tmp_path / "dora.yml").write_text(f"bigquery-dataset: {NAME}")
    errors = StringIO()
    runtime = Runtime({}, BytesIO(), StringIO(), errors, NOW, lambda _: None)
    arguments = [command[0], "--facts", "ledger", "--config", "dora.yml", *command[1:]]
    assert cli.run(arguments, runtime) == 0, errors.getvalue()


def test_a_ledger_that_begins_again_fails_if_the_run_is_strict(tmp_path: Path, fake: FakeBigQuery) -> None:
    """As after a lost cache. A later run of the same ledger would only be faster."""
    fake.now = NOW - timedelta(days=1)
    for count in (1, 2, 3):
        record_facts(tmp_path / "ledger", *deployments("acme/shop", count))
    rebuild(tmp_path, fake)
    shutil.rmtree(tmp_path / "ledger")
    record_facts(tmp_path / "ledger", *deployments("acme/shop", 4))
    ran = rebuild(tmp_path, fake, strict="true")
    assert ran.code == 1
    assert "The ledger was restored or begun again; to have its rows replaced, run UPDATE" in ran.summary
    assert "WHERE ledger = CONCAT('dir:ledger', CHR(64), 'acme/shop')" in ran.summary, "it can be copied"


def test_a_project_with_a_domain_is_a_valid_one(tmp_path: Path, fake: FakeBigQuery) -> None:
    record(tmp_path)
    ran = rebuild(tmp_path, fake, bigquery_dataset="example.com:metrics.dora")
    assert "BigQuery ✗ HTTP 404" in ran.summary


def test_a_dataset_that_only_the_checkout_names_gets_nothing(tmp_path: Path, fake: FakeBigQuery) -> None:
    """The file may be of somebody who is not trusted, and the token must not fill their dataset."""
    record(tmp_path)
    check_out(tmp_path, {CONFIG: f"bigquery-dataset: {NAME}"})
    ran = rebuild(tmp_path, fake, bigquery_dataset="")
    assert fake.requests == []
    assert "bigquery-dataset: nothing is sent there: `bigquery-dataset` is in the checkout's" in ran.summary

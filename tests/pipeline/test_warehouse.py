"""Which runs send rows to a warehouse, and what of a ledger they send."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO, StringIO
from pathlib import Path

import pytest

from dora_metrics import cli
from dora_metrics.runtime import Runtime
from fakes.bigquery import NAME, TOKEN, FakeBigQuery, bigquery
from support.github_history import NOW as HISTORY_NOW
from support.ledger_writer import record_facts
from support.runs import ActionRun, check_out, deployment_status, run_action
from support.sink_payloads import NOW
from support.sync_shop import SyncShop
from support.warehouse_contents import LIMITS, deployments

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


def sync(shop: SyncShop, fake: FakeBigQuery, repository: str = "acme/shop") -> ActionRun:
    environment = {
        "GITHUB_API_URL": shop.github.api_url,
        "GITHUB_REPOSITORY": repository,
        "GITHUB_REPOSITORY_ID": str(shop.repository.database_id),
        "BIGQUERY_EMULATOR_HOST": fake.url,
    }
    inputs = {**INPUTS, "ledger": "branch:dora-metrics", "github-token": shop.github.token, "report": "off"}
    event = {"schedule": "17 5 * * *"}
    return run_action(shop.folder, "schedule", event, inputs, now=HISTORY_NOW, environment=environment, limits=LIMITS)


def test_a_sync_sends_rows(sync_shop: SyncShop, fake: FakeBigQuery) -> None:
    assert "BigQuery ✓" in sync(sync_shop, fake).summary
    assert (len(fake.rows("deployments")), len(fake.rows("lead_times"))) == (6, 5)
    assert {row[5] for row in fake.rows("loads")} == {"branch:dora-metrics@acme/shop"}


def test_rows_under_the_former_name_of_a_repository_are_replaced(sync_shop: SyncShop, fake: FakeBigQuery) -> None:
    """The ledger on its branch keeps its name, so that the rows under the former one are known to be its own."""
    sync(sync_shop, fake)
    sync_shop.github.state.rename("acme/shop", "acme/store")
    assert "BigQuery ✓" in sync(sync_shop, fake, "acme/store").summary
    assert {row[0] for row in fake.rows("deployments")} == {"acme/store"}
    assert {row[2] for row in fake.rows("facts")} == {"acme/store"}


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

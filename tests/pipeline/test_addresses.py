"""A secret goes only where the workflow or the default branch says.

A checkout may be the head of a stranger's pull request, or what an earlier job left on the runner, so its file alone
decides neither where secrets go, nor whom a health check asks, nor which folder outside of the workspace is written.
"""

import json
from collections.abc import Iterator, Mapping
from io import BytesIO, StringIO
from pathlib import Path

import pytest

from dora_metrics import cli
from dora_metrics.core.ledger.layout import OUTBOX_FILE
from dora_metrics.runtime import Runtime
from fakes.faults import unavailable
from fakes.github import FakeGitHub
from support.branch_shop import BranchShop
from support.github_history import deploy
from support.reporting_shop import MONDAY, ReportingShop
from support.runs import NOW, ActionRun, check_out, deployment_status, run_action
from support.servers import Answer, Listener, listen
from support.shard_ledgers import write_ledger
from support.sink_payloads import deployment

CONFIG = ".github/dora.yml"
ENDPOINT_SECRETS = {"endpoint-token": "endpoint-t0ken", "endpoint-secret": "hm4c-k3y"}
GATEWAY_SECRETS = {"pushgateway-username": "pusher", "pushgateway-password": "gateway-pa55word"}
WHAT_TO_DO = "Set it as an input, or add the same line to the default branch's file"


class CheckedOutShop:
    """A repository whose default branch has one config file, and a checkout that has another."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.repository = github.repository("acme/shop")

    def run(self, checkout: str, inputs: Mapping[str, object], default_branch: str | bytes | None = None) -> ActionRun:
        """Run with these config files; `default_branch` None means that it has none."""
        self.repository.commit({CONFIG: default_branch}, message="Configure")
        check_out(self.folder, {CONFIG: checkout})
        self.github.requests.clear()
        token = {"github-token": self.github.token, "ledger": "branch:dora-metrics"}
        environment = {"GITHUB_API_URL": self.github.api_url}
        return run_action(
            self.folder, "deployment_status", deployment_status(), {**token, **inputs}, environment=environment
        )

    def run_by_hand(self, command: str, *flags: str) -> tuple[int, str]:
        """Run `dora-metrics sync` or `rebuild` in the folder, as a person who has a token."""
        self.github.requests.clear()
        environment = {
            "GITHUB_WORKSPACE": str(self.folder),
            "GITHUB_API_URL": self.github.api_url,
            "GITHUB_TOKEN": self.github.token,
        }
        return run_by_hand([command, "--repository", "acme/shop", "--ledger", "dir:ledger", *flags], environment)

    @property
    def requested_operations(self) -> list[str | None]:
        return [logged.operation for logged in self.github.requests]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[CheckedOutShop]:
    with FakeGitHub() as github:
        yield CheckedOutShop(github, tmp_path)


@pytest.fixture
def branch_shop(tmp_path: Path) -> Iterator[BranchShop]:
    with FakeGitHub(now=lambda: NOW) as github:
        yield BranchShop(github, tmp_path)


@pytest.fixture
def outside() -> Iterator[Listener]:
    with listen(Answer(200)) as listener:
        yield listener


def credentials(listener: Listener) -> set[str]:
    """The names of the headers with a secret that arrived."""
    names = {name.lower() for request in listener.requests for name in request.headers}
    return names & {"authorization", "x-dora-signature-256"}


def sent_ids(listener: Listener) -> list[str]:
    """The ids of the facts that arrived, in order."""
    return [fact["id"] for request in listener.requests for fact in json.loads(request.body)["facts"]]


# Endpoint


def test_an_endpoint_that_only_the_checkout_names_gets_nothing(shop: CheckedOutShop, outside: Listener) -> None:
    ran = shop.run(f"endpoint-url: {outside.url}", ENDPOINT_SECRETS)
    assert ran.code == 0
    assert outside.requests == []
    assert (
        "endpoint-url: nothing is sent there: `endpoint-url` is in the checkout's .github/dora.yml, "
        f"but not with this value on the default branch. {WHAT_TO_DO}" in ran.summary
    )


def test_what_one_endpoint_is_owed_is_not_sent_to_one_that_only_the_checkout_names(
    shop: CheckedOutShop, outside: Listener
) -> None:
    with listen(Answer(503)) as owner:
        line = f"endpoint-url: {owner.url}"
        shop.run(line, {"ledger": "dir:ledger"}, default_branch=line)
    owed = (shop.folder / "ledger" / OUTBOX_FILE).read_bytes()
    shop.run(f"endpoint-url: {outside.url}", {"ledger": "dir:ledger"}, default_branch=line)
    assert outside.requests == []
    assert (shop.folder / "ledger" / OUTBOX_FILE).read_bytes() == owed != b""


def test_what_the_default_branch_says_decides_not_that_it_says_something(
    shop: CheckedOutShop, outside: Listener
) -> None:
    shop.run(f"endpoint-url: {outside.url}/stolen", ENDPOINT_SECRETS, default_branch=f"endpoint-url: {outside.url}")
    assert {request.path for request in outside.requests} == {"/"}


def test_no_checkout_makes_the_default_branchs_endpoint_miss_a_fact(branch_shop: BranchShop, outside: Listener) -> None:
    line = f"endpoint-url: {outside.url}"
    branch_shop.repository.commit({CONFIG: line}, message="Configure")
    with listen() as stranger:
        other_files = ({CONFIG: f"endpoint-url: {stranger.url}"}, {CONFIG: "window: 7d"}, dict[str, str]())
        checkouts: tuple[dict[str, str] | None, ...] = (None, *other_files)
        for number, workspace in enumerate(checkouts, 1):
            branch_shop.run_event("deployment_status", deployment_status(number), workspace=workspace)
    assert sent_ids(outside) == [f"github:deployment:{number}" for number in range(1, 5)]
    assert stranger.requests == []


def test_an_address_that_a_checkouts_file_lacks_costs_no_request(shop: CheckedOutShop, outside: Listener) -> None:
    shop.run("window: 7d", {}, default_branch=f"endpoint-url: {outside.url}")
    assert len(outside.requests) == 1
    assert shop.requested_operations.count("Ledger") == 1
    assert "GitObjects" not in shop.requested_operations


def test_without_a_ledger_on_github_an_address_that_a_checkouts_file_lacks_is_not_requested(
    shop: CheckedOutShop, outside: Listener
) -> None:
    shop.run("window: 7d", {"ledger": "none"}, default_branch=f"endpoint-url: {outside.url}")
    assert outside.requests == []
    assert "GitObjects" not in shop.requested_operations


def test_a_checkout_from_before_the_alerts_were_read_is_no_error(shop: CheckedOutShop, outside: Listener) -> None:
    """Only the default branch's file says which alerts are incidents, so the run reads none."""
    default_branch = f'prometheus-url: {outside.url}\nincident-alerts: team="shop"'
    for mode in ("auto", "sync"):
        ran = shop.run("window: 7d", {"mode": mode}, default_branch=default_branch)
        assert (ran.code, outside.requests) == (0, [])


BROKEN: dict[str, tuple[str | bytes, str]] = {
    "broken YAML": ("window: [\n", "not valid YAML"),
    "a key that is there twice": ("window: 7d\nwindow: 7d", "the key 'window' is there twice; keep one"),
    "not a mapping": ("- window", "expected one `name: value` per line"),
    "not UTF-8": (b"window: \xff\x00", "it is not UTF-8"),
    "too large": ("# " + "x" * 600_000, "it is larger than 500,000 bytes"),
    "a wrong ledger": ("ledger: 5", "ledger: '5' is not a valid ledger"),
    "a wrong endpoint": ("endpoint-url: 5", "endpoint-url: not a valid address"),
    "a wrong page": ("page-url: example.com", "page-url: not a valid address"),
}


@pytest.mark.parametrize("checkout", ["window: 7d", "health-check-url: https://shop.example/health"])
@pytest.mark.parametrize(("default_branch", "problem"), BROKEN.values(), ids=BROKEN)
def test_a_run_ends_where_the_default_branchs_file_may_name_addresses_that_it_cannot_read(
    shop: CheckedOutShop, checkout: str, default_branch: str | bytes, problem: str
) -> None:
    """Another ledger would begin, or an endpoint would miss the facts of this run."""
    ran = shop.run(checkout, {"ledger": ""}, default_branch=default_branch)
    assert ran.code == 2
    assert "settings::default branch: " in ran.log
    assert problem in ran.log
    assert shop.repository.head("dora-metrics") is None


@pytest.mark.parametrize("line", ["windw: 7d", "window: 7 years", "github-token: x"])
def test_what_else_is_wrong_on_the_default_branch_does_not_concern_a_checkout_with_a_file(
    shop: CheckedOutShop, line: str
) -> None:
    """A release branch may pin an earlier version, which does not know all settings of the default branch."""
    ran = shop.run("window: 7d", {"ledger": ""}, default_branch=f"{line}\nledger: branch:delivery")
    assert ran.code == 0
    assert shop.repository.read("facts/2026/11.jsonl", "delivery")


def test_a_wrong_address_on_the_default_branch_does_not_count_where_an_input_has_one(
    shop: CheckedOutShop, outside: Listener
) -> None:
    ran = shop.run("window: 7d", {"endpoint-url": outside.url}, default_branch="endpoint-url: 5")
    assert ran.code == 0
    assert len(outside.requests) == 1


def test_the_same_line_on_the_default_branch_is_enough_and_costs_no_request(
    shop: CheckedOutShop, outside: Listener
) -> None:
    line = f"endpoint-url: {outside.url}"
    ran = shop.run(f"{line}\nwindow: 7d", ENDPOINT_SECRETS, default_branch=f"{line}\nwindow: 90d")
    assert credentials(outside) == {"authorization", "x-dora-signature-256"}
    assert "not sent" not in ran.summary
    assert "7 days" in ran.summary
    assert shop.requested_operations[0] == "Ledger"
    assert "GitObjects" not in shop.requested_operations


def test_an_input_decides_where_secrets_go_whatever_a_checkout_says(shop: CheckedOutShop, outside: Listener) -> None:
    with listen() as stranger:
        shop.run(f"endpoint-url: {stranger.url}", {**ENDPOINT_SECRETS, "endpoint-url": outside.url})
    assert credentials(outside) == {"authorization", "x-dora-signature-256"}
    assert stranger.requests == []


def test_an_endpoint_without_secrets_needs_a_second_word_too(shop: CheckedOutShop, outside: Listener) -> None:
    ran = shop.run(f"endpoint-url: {outside.url}", {"ledger": "none"})
    assert outside.requests == []
    assert "nothing is sent there" in ran.summary


def test_without_a_token_nothing_confirms_an_address(shop: CheckedOutShop, outside: Listener) -> None:
    inputs = {**ENDPOINT_SECRETS, "github-token": "", "ledger": "none"}
    ran = shop.run(f"endpoint-url: {outside.url}", inputs)
    assert outside.requests == []
    assert "but there is no `github-token` to compare it with" in ran.summary


@pytest.mark.parametrize("ledger", ["branch:dora-metrics", "none"])
def test_where_the_default_branch_cannot_be_read_nothing_is_sent_at_all(
    shop: CheckedOutShop, outside: Listener, ledger: str
) -> None:
    line = f"endpoint-url: {outside.url}"
    shop.repository.commit({CONFIG: line}, message="Configure")
    shop.github.fail(unavailable(502), to="*", times=None)
    ran = shop.run(line, {**ENDPOINT_SECRETS, "ledger": ledger}, default_branch=line)
    assert ran.code == 0
    assert outside.requests == []
    assert "Nothing was recorded, sent or reported" in ran.summary


def test_a_strict_checkout_fails_where_the_default_branch_cannot_be_read(
    shop: CheckedOutShop, outside: Listener
) -> None:
    shop.github.fail(unavailable(502), to="*", times=None)
    assert shop.run(f"endpoint-url: {outside.url}\nstrict: true", ENDPOINT_SECRETS).code == 1


# Pushgateway


def test_a_pushgateway_that_only_the_checkout_names_gets_nothing(shop: CheckedOutShop, outside: Listener) -> None:
    ran = shop.run(f"pushgateway-url: {outside.url}", GATEWAY_SECRETS)
    assert outside.requests == []
    assert "pushgateway-url: nothing is sent there: `pushgateway-url` is in the checkout's" in ran.summary


def test_a_pushgateway_of_the_default_branch_gets_them(shop: CheckedOutShop, outside: Listener) -> None:
    line = f"pushgateway-url: {outside.url}"
    shop.run(line, GATEWAY_SECRETS, default_branch=line)
    assert credentials(outside) == {"authorization"}


def test_no_secret_is_in_the_log_or_the_summary_that_says_so(shop: CheckedOutShop, outside: Listener) -> None:
    lines = f"pushgateway-url: {outside.url}/?key=in-the-url\nendpoint-url: {outside.url}"
    ran = shop.run(lines, {**GATEWAY_SECRETS, **ENDPOINT_SECRETS})
    text = ran.log + ran.summary
    assert [
        secret for secret in (*GATEWAY_SECRETS.values(), *ENDPOINT_SECRETS.values(), "in-the-url") if secret in text
    ] == []


# Prometheus


MATCHERS = {"incident-alerts": 'dora_incident="true"'}
PROMETHEUS_SECRETS = {"prometheus-token": "prom-t0ken", "mode": "sync"}


def test_a_prometheus_that_only_the_checkout_names_gets_nothing(shop: CheckedOutShop, outside: Listener) -> None:
    ran = shop.run(f"prometheus-url: {outside.url}", {**PROMETHEUS_SECRETS, **MATCHERS})
    assert outside.requests == []
    assert "Prometheus: its alerts are not read: `prometheus-url` is in the checkout's" in ran.summary
    assert WHAT_TO_DO in ran.summary
    assert "prom-t0ken" not in ran.log + ran.summary


def test_a_prometheus_of_the_default_branch_gets_the_token(shop: CheckedOutShop, outside: Listener) -> None:
    line = f"prometheus-url: {outside.url}"
    shop.run(line, {**PROMETHEUS_SECRETS, **MATCHERS}, default_branch=line)
    assert credentials(outside) == {"authorization"}


def test_the_default_branchs_prometheus_is_read_whatever_the_checkout_names(
    shop: CheckedOutShop, outside: Listener
) -> None:
    with listen() as trusted:
        default_branch = f"prometheus-url: {trusted.url}\n{json.dumps(MATCHERS)[1:-1]}"
        shop.run(f"prometheus-url: {outside.url}", {**PROMETHEUS_SECRETS, **MATCHERS}, default_branch=default_branch)
        assert credentials(trusted) == {"authorization"}
    assert outside.requests == []


def test_an_event_neither_reads_a_prometheus_nor_asks_who_named_it(shop: CheckedOutShop, outside: Listener) -> None:
    ran = shop.run(f"prometheus-url: {outside.url}", {"prometheus-token": "prom-t0ken", **MATCHERS})
    assert outside.requests == []
    assert "its alerts are not read" not in ran.summary


def test_a_run_by_hand_reads_a_prometheus_that_was_named_only(shop: CheckedOutShop, outside: Listener) -> None:
    check_out(shop.folder, {CONFIG: f"prometheus-url: {outside.url}\n{json.dumps(MATCHERS)[1:-1]}"})
    _, printed = shop.run_by_hand("sync")
    assert outside.requests == []
    assert "its alerts are not read: `prometheus-url` is only in" in printed
    shop.run_by_hand("sync", "--config", str(shop.folder / CONFIG))
    assert outside.requests != []


# Remote write

WRITE_SECRETS = {"remote-write-username": "123", "remote-write-token": "wr1te-t0ken"}


def test_a_target_of_remote_write_that_only_the_checkout_names_gets_nothing(
    shop: CheckedOutShop, outside: Listener
) -> None:
    ran = shop.run(f"remote-write-url: {outside.url}/api/v1/write", WRITE_SECRETS)
    assert ran.code == 0
    assert outside.requests == []
    assert "remote-write-url: nothing is sent there: `remote-write-url` is in the checkout's" in ran.summary


def test_a_target_of_remote_write_of_the_default_branch_gets_them(shop: CheckedOutShop, outside: Listener) -> None:
    line = f"remote-write-url: {outside.url}/api/v1/write"
    shop.run(line, WRITE_SECRETS, default_branch=line)
    assert credentials(outside) == {"authorization"}


def test_a_user_that_only_the_checkout_names_sends_the_token_nowhere_else(
    shop: CheckedOutShop, outside: Listener
) -> None:
    line = f"remote-write-url: {outside.url}/api/v1/write"
    with listen() as stranger:
        checkout = f"{line}\nremote-write-username: '@{stranger.host}/'"
        shop.run(checkout, {"remote-write-token": "wr1te-t0ken"}, default_branch=line)
    assert credentials(outside) == {"authorization"}
    assert stranger.requests == []


# Health check


def test_a_health_check_that_only_the_checkout_names_is_not_made(shop: CheckedOutShop, outside: Listener) -> None:
    ran = shop.run(f"health-check-url: {outside.url}", {})
    assert outside.requests == []
    assert ran.facts[0]["health"] is None
    assert "health check: not checked: `health-check-url` is in the checkout's .github/dora.yml, but" in ran.summary


def test_a_health_check_of_the_default_branch_is_made_and_costs_no_request(
    shop: CheckedOutShop, outside: Listener
) -> None:
    line = f"health-check-url: {outside.url}"
    ran = shop.run(line, {}, default_branch=line)
    assert len(outside.requests) == 1
    assert ran.facts[0]["health"] == "passed"
    assert "GitObjects" not in shop.requested_operations


def test_a_health_check_of_an_input_is_made(shop: CheckedOutShop, outside: Listener) -> None:
    with listen() as stranger:
        ran = shop.run(f"health-check-url: {stranger.url}", {"health-check-url": outside.url})
    assert ran.facts[0]["health"] == "passed"
    assert stranger.requests == []


# A ledger in a folder


def test_a_checkout_does_not_have_a_folder_outside_of_the_workspace_written(
    shop: CheckedOutShop, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    ran = shop.run(f"ledger: dir:{elsewhere}/ledger", {"ledger": ""})
    assert ran.code == 2
    assert list(elsewhere.iterdir()) == []
    assert (
        "dora.yml: ledger: a ledger outside the workspace, in another repository or on another branch is not used: "
        f"`ledger` is in the checkout's .github/dora.yml, but not with this value on the default branch. {WHAT_TO_DO}"
        in ran.log
    )


def test_nor_one_behind_a_link(shop: CheckedOutShop, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (shop.folder / "inside").symlink_to(elsewhere)
    assert shop.run("ledger: dir:inside/ledger", {"ledger": ""}).code == 2
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("from_input", [True, False], ids=["input", "default branch"])
def test_a_folder_that_the_workflow_or_the_default_branch_names_is_written(
    shop: CheckedOutShop, tmp_path_factory: pytest.TempPathFactory, *, from_input: bool
) -> None:
    place = f"dir:{tmp_path_factory.mktemp('elsewhere')}/ledger"
    line = f"ledger: {place}"
    ran = shop.run(line, {"ledger": place if from_input else ""}, default_branch=None if from_input else line)
    assert ran.code == 0
    assert (Path(place.removeprefix("dir:")) / "facts").is_dir()


def test_a_checkout_does_not_have_another_repository_written(shop: CheckedOutShop) -> None:
    other = shop.github.repository("stranger/inbox")
    ran = shop.run("ledger: branch:facts@stranger/inbox", {"ledger": ""})
    assert ran.code == 2
    assert (
        ".github/dora.yml: ledger: a ledger outside the workspace, in another repository or on another branch"
        in ran.log
    )
    assert other.head("facts") is None


def test_a_central_ledger_of_the_default_branch_is_written_and_costs_no_request(shop: CheckedOutShop) -> None:
    central = shop.github.repository("acme/metrics")
    line = "ledger: branch:all@acme/metrics"
    assert shop.run(line, {"ledger": ""}, default_branch=line).code == 0
    assert central.read("facts/2026/11.jsonl", "all")
    assert shop.requested_operations[0] == "Ledger"
    assert "GitObjects" not in shop.requested_operations


def test_a_checkout_does_not_have_another_branch_written(shop: CheckedOutShop) -> None:
    ran = shop.run("ledger: branch:evil/release", {"ledger": ""}, default_branch="ledger: branch:delivery")
    assert ran.code == 2
    assert shop.repository.head("evil/release") is None
    assert shop.run("ledger: branch:delivery", {"ledger": ""}, default_branch="ledger: branch:delivery").code == 0
    assert shop.repository.read("facts/2026/11.jsonl", "delivery")


def test_the_usual_branch_needs_no_second_word(shop: CheckedOutShop) -> None:
    assert shop.run("ledger: branch:dora-metrics@acme/shop", {"ledger": ""}).code == 0
    assert shop.repository.read("facts/2026/11.jsonl", "dora-metrics")


@pytest.mark.parametrize("checkout", ["window: 7d", "ledger: branch:dora-metrics"])
def test_a_checkout_does_not_begin_a_ledger_beside_that_of_the_default_branch(
    shop: CheckedOutShop, checkout: str
) -> None:
    ran = shop.run(checkout, {"ledger": ""}, default_branch="ledger: branch:delivery")
    assert ran.code == 0
    assert shop.repository.head("dora-metrics") is None
    assert shop.repository.read("facts/2026/11.jsonl", "delivery")
    assert ("ledger: not used: `ledger` is in the checkout's" in ran.summary) == ("ledger" in checkout)


def test_another_repository_is_not_even_read_for_a_ledger_that_only_a_checkout_names(shop: CheckedOutShop) -> None:
    """If it were, the request would fail, as there is no such repository, and the file would be read by another one."""
    assert shop.run("ledger: branch:dora-metrics@acme/nowhere", {"ledger": ""}).code == 2
    assert shop.requested_operations == ["Ledger"]


def test_a_branch_whose_name_differs_in_case_is_another_branch(shop: CheckedOutShop) -> None:
    ran = shop.run("ledger: branch:DORA-METRICS", {"ledger": ""})
    assert ran.code == 2
    assert "on another branch is not used" in ran.log
    assert shop.repository.head("DORA-METRICS") is None
    assert shop.run("ledger: branch:dora-metrics@ACME/Shop", {"ledger": ""}).code == 0


def test_a_folder_in_the_workspace_needs_no_second_word(shop: CheckedOutShop) -> None:
    assert shop.run("ledger: dir:ledger", {"ledger": ""}).code == 0
    assert (shop.folder / "ledger" / "facts").is_dir()
    assert "GitObjects" not in shop.requested_operations


def test_what_a_checkouts_own_ledger_says_goes_to_the_endpoints_of_the_default_branch_only(
    shop: CheckedOutShop, outside: Listener
) -> None:
    """Its numbers are as true as its author. SECURITY.md tells whoever checks out a stranger's pull request."""
    default_branch = f"endpoint-url: {outside.url}"
    with listen() as stranger:
        checkout = f"ledger: dir:ledger\nendpoint-url: {stranger.url}"
        forged = [deployment(number, id=f"dispatch:forged-{number}") for number in range(5)]
        write_ledger(shop.folder / "ledger", forged)
        assert shop.run(checkout, {"ledger": "", **ENDPOINT_SECRETS}, default_branch).code == 0
    assert stranger.requests == []
    (body,) = (json.loads(request.body) for request in outside.requests)
    assert body["metrics"]["scopes"][0]["metrics"]["deployment_frequency"]["deployments"] == 6


# Other repositories


@pytest.mark.parametrize("is_confirmed", [False, True])
def test_a_checkout_does_not_have_other_repositories_read(shop: CheckedOutShop, *, is_confirmed: bool) -> None:
    other = shop.github.repository("acme/secret")
    deploy(other, 1)
    line = "repositories: acme/secret"
    ran = shop.run(line, {"mode": "sync", "report": "off"}, default_branch=line if is_confirmed else None)
    assert ran.code == 0
    recorded = shop.repository.read("metrics.json", "dora-metrics") or b""
    assert (b"acme/secret" in recorded) == is_confirmed
    assert (
        "repositories: not read: `repositories` is in the checkout's .github/dora.yml" in ran.summary
    ) != is_confirmed


# The page


PAGE_URL = "https://pages.example/shop/"


@pytest.mark.parametrize("confirmation", ["none", "input", "default branch"])
def test_a_report_links_to_no_page_that_only_a_checkout_names(tmp_path: Path, confirmation: str) -> None:
    line = f"page-url: {PAGE_URL}"
    with FakeGitHub(now=lambda: MONDAY) as github:
        team = ReportingShop(github, tmp_path)
        if confirmation == "default branch":
            team.repository.commit({CONFIG: line}, message="Configure")
        inputs = {"report": "weekly", **({"page-url": PAGE_URL} if confirmation == "input" else {})}
        ran = team.run_event("workflow_dispatch", {"inputs": {}}, inputs, now=MONDAY, workspace={CONFIG: line})
        (report,) = team.reports
    assert (PAGE_URL in report.body) == (confirmation != "none")
    note = (
        "page-url: not linked: `page-url` is in the checkout's .github/dora.yml, but not with this value on the "
        f"default branch. {WHAT_TO_DO}"
    )
    assert (note in ran.summary) == (confirmation == "none")


def test_a_page_that_no_report_links_to_needs_no_second_word(shop: CheckedOutShop) -> None:
    ran = shop.run(f"page-url: {PAGE_URL}", {"report": "off", "ledger": "none"})
    assert "page-url" not in ran.summary
    assert "GitObjects" not in shop.requested_operations


# A person who starts a run


@pytest.mark.parametrize("has_git", [True, False])
def test_a_run_by_hand_trusts_a_file_that_was_named_only(tmp_path: Path, outside: Listener, *, has_git: bool) -> None:
    if has_git:
        (tmp_path / ".git").mkdir()
    folder = tmp_path / "below"
    (folder / ".github").mkdir(parents=True)
    (folder / CONFIG).write_text(f"endpoint-url: {outside.url}\nledger: dir:ledger", "utf-8")
    assert rebuild(folder) == 0
    assert outside.requests == []
    assert rebuild(folder, "--config", CONFIG) == 0
    assert credentials(outside) == {"authorization", "x-dora-signature-256"}


def rebuild(folder: Path, *flags: str) -> int:
    """Run `dora-metrics rebuild` in a folder, with secrets in its environment."""
    environment = {"GITHUB_WORKSPACE": str(folder), "DORA_INPUTS": json.dumps(ENDPOINT_SECRETS)}
    return run_by_hand(["rebuild", "--repository", "acme/shop", *flags], environment)[0]


def run_by_hand(arguments: list[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command as a person does; its exit code and what it printed."""
    printed = StringIO()
    runtime = Runtime(environment, BytesIO(), printed, StringIO(), NOW, lambda _: None)
    return cli.run(arguments, runtime), printed.getvalue()


@pytest.mark.parametrize("place", ["clone", "default branch", "both"])
@pytest.mark.parametrize("confirmation", ["none", "options", "--config"])
def test_a_strangers_repository_neither_has_others_read_nor_facts_sent(
    shop: CheckedOutShop, outside: Listener, place: str, confirmation: str
) -> None:
    """Whoever syncs a stranger's repository, cloned or not, has a token that may read a lot of others."""
    deploy(shop.github.repository("acme/secret"), 1)
    config = {CONFIG: f"repositories: [acme/*]\nendpoint-url: {outside.url}"}
    if place != "default branch":
        check_out(shop.folder, config)
    if place != "clone":
        shop.repository.commit(config, message="Configure")
    options = {
        "none": [],
        "options": ["--repositories", "acme/*", "--endpoint-url", outside.url],
        "--config": ["--config", str(shop.folder / CONFIG)],
    }
    code, printed = shop.run_by_hand("sync", *options[confirmation])
    assert code == 0
    is_confirmed = confirmation != "none"
    assert any("acme/secret" in str(logged) for logged in shop.github.requests) == is_confirmed
    assert bool(outside.requests) == is_confirmed
    reason = (
        "is only in .github/dora.yml, and the settings in this checkout are not trusted. Set it as an option, or "
        "name the file with --config"
    )
    notes = {
        f"repositories: not read: `repositories` {reason}",
        f"endpoint-url: nothing is sent there: `endpoint-url` {reason}",
    }
    assert {note for note in notes if note in printed} == (set() if is_confirmed else notes)


def test_a_strangers_repository_does_not_have_a_ledger_elsewhere_written(shop: CheckedOutShop) -> None:
    private = shop.github.repository("acme/private")
    shop.repository.commit({CONFIG: "ledger: branch:numbers@acme/private"}, message="Configure")
    environment = {"GITHUB_API_URL": shop.github.api_url, "GITHUB_TOKEN": shop.github.token}
    code, printed = run_by_hand(
        ["sync", "--repository", "acme/shop"], {"GITHUB_WORKSPACE": str(shop.folder), **environment}
    )
    assert code == 2
    assert private.head("numbers") is None
    assert "a ledger outside the workspace, in another repository or on another branch is not used" in printed


@pytest.mark.parametrize(
    ("command", "line"), [("sync", "health-check-url: {url}"), ("rebuild", "repositories: [acme/*]")]
)
def test_an_address_that_a_run_by_hand_does_not_use_is_no_note(
    shop: CheckedOutShop, outside: Listener, command: str, line: str
) -> None:
    deploy(shop.repository, 1)
    (shop.folder / "ledger").mkdir()
    check_out(shop.folder, {CONFIG: line.format(url=outside.url)})
    code, printed = shop.run_by_hand(command)
    assert code == 0
    assert line.partition(":")[0] not in printed
    assert outside.requests == []


# The file itself


def test_a_file_behind_a_link_that_leaves_the_checkout_is_not_read(
    shop: CheckedOutShop, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "dora.yml"
    elsewhere.write_text("window: 7d", "utf-8")
    check_out(shop.folder, {"README.md": "shop"})
    (shop.folder / "linked.yml").symlink_to(elsewhere)
    ran = shop.run("window: 7d", {"config": "linked.yml"})
    assert ran.code == 2
    assert "linked.yml: cannot be read (it links to a file outside the checkout" in ran.log


def test_a_link_beside_the_workspace_does_not_make_its_file_trusted(
    shop: CheckedOutShop, outside: Listener, tmp_path_factory: pytest.TempPathFactory
) -> None:
    link = tmp_path_factory.mktemp("beside") / "link"
    link.symlink_to(shop.folder)
    ran = shop.run(f"endpoint-url: {outside.url}\nwindow: 7d", {"config": str(link / CONFIG), **ENDPOINT_SECRETS})
    assert outside.requests == []
    assert "7 days" in ran.summary


def test_what_an_earlier_job_left_without_a_checkout_redirects_nothing(shop: CheckedOutShop, outside: Listener) -> None:
    (shop.folder / ".github").mkdir()
    (shop.folder / CONFIG).write_text(f"endpoint-url: {outside.url}", "utf-8")
    inputs = {"github-token": shop.github.token, "ledger": "branch:dora-metrics", **ENDPOINT_SECRETS}
    environment = {"GITHUB_API_URL": shop.github.api_url}
    ran = run_action(shop.folder, "deployment_status", deployment_status(), inputs, environment=environment)
    assert ran.code == 0
    assert outside.requests == []

"""What a checkout's file says about endpoints counts only where the default branch's file says the same.

A checkout may be a stranger's pull request, or an older commit. Its file must neither send facts or tokens elsewhere,
nor make an endpoint that the default branch names miss a fact or get it in another shape.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest

from dora_metrics import cli
from dora_metrics.github.runner import Runner
from dora_metrics.pipeline.context import RunContext
from dora_metrics.pipeline.inputs import RunRequest
from dora_metrics.runtime import Runtime
from dora_metrics.settings.loading import COMMAND_LINE, Layer
from fakes.github import FakeGitHub
from support.branch_shop import BranchShop
from support.runs import NOW, check_out, deployment_status, run_action, write_event
from support.servers import listen

CONFIG = ".github/dora.yml"
TOKENS = {"endpoint-tokens": "chat: T0/B0/Hush1\nstore: Hush2"}
CHAT = {"name": "chat", "url": "https://hooks.example/services/${token}", "token": "chat"}
STORE = {"name": "store", "url": "https://metrics.example/dora", "token": "store"}
THIEF = {"name": "store", "url": "https://evil.example/${token}", "token": "store"}
OWN_TEMPLATE = ".github/endpoint.json.j2"


class CheckedOutShop:
    """A repository whose default branch has one file, and a checkout that has another; nothing is sent."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.repository = github.repository("acme/shop")
        self.log = StringIO()

    def load(
        self, checkout: Mapping[str, object] | None, default_branch: Mapping[str, object] | None, **inputs: str
    ) -> RunContext:
        """Load a run's settings; None for no file."""
        content = None if default_branch is None else json.dumps(default_branch)
        self.repository.commit({CONFIG: content}, message="Configure")
        write_event(self.folder / "event.json", json.dumps(deployment_status()).encode())
        check_out(self.folder, {} if checkout is None else {CONFIG: json.dumps(checkout)})
        self.github.requests.clear()
        settings = {name.replace("_", "-"): value for name, value in inputs.items()}
        access = {"github-token": self.github.token, "ledger": "branch:dora-metrics", **TOKENS}
        runtime = self._runtime({"DORA_INPUTS": json.dumps({**access, **settings})})
        return RunContext.load(RunRequest.from_runner(runtime), runtime, Runner.of({}, self.log))

    def load_by_hand(self, checkout: Mapping[str, object], *, is_named: bool, **flags: str) -> RunContext:
        """Load the settings of `dora-metrics sync` in the folder."""
        check_out(self.folder, {CONFIG: json.dumps(checkout)})
        config = {"config": str(self.folder / CONFIG)} if is_named else {}
        values = {"mode": "sync", "ledger": "dir:ledger", **config, **TOKENS}
        layer = Layer(COMMAND_LINE, {**values, **{name.replace("_", "-"): value for name, value in flags.items()}})
        runtime = self._runtime({})
        return RunContext.load(
            RunRequest.from_command_line(runtime, "acme/shop", layer), runtime, Runner.of({}, self.log)
        )

    def _runtime(self, variables: Mapping[str, str]) -> Runtime:
        environment = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.github.api_url,
            "GITHUB_EVENT_NAME": "deployment_status",
            "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
            "GITHUB_REPOSITORY": "acme/shop",
            "GITHUB_WORKSPACE": str(self.folder),
        }
        return Runtime({**environment, **variables}, BytesIO(), self.log, self.log, NOW, lambda _: None)


@pytest.fixture
def branch_shop(tmp_path: Path) -> Iterator[BranchShop]:
    with FakeGitHub(now=lambda: NOW) as github:
        yield BranchShop(github, tmp_path)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[CheckedOutShop]:
    with FakeGitHub(now=lambda: NOW) as github:
        yield CheckedOutShop(github, tmp_path)


def addresses(context: RunContext) -> list[str]:
    return [endpoint.url for endpoint in context.settings.all_endpoints]


def notes(context: RunContext) -> str:
    return "\n".join(f"{outcome.name}: {outcome.detail}" for outcome in context.outcomes)


PLANTED: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "another address": [THIEF],
    "one more": [STORE, {"name": "more", "url": "https://evil.example"}],
    "another token for a known address": [{**STORE, "token": "chat"}],
    "another shape": [{**STORE, "template": OWN_TEMPLATE}],
    "other events": [{**STORE, "events": ["report"]}],
}


@pytest.mark.parametrize("checkout", PLANTED.values(), ids=PLANTED)
def test_endpoints_that_only_a_checkout_names_get_nothing(
    shop: CheckedOutShop, checkout: Sequence[Mapping[str, Any]]
) -> None:
    context = shop.load({"endpoints": checkout}, default_branch=None)
    assert context.settings.all_endpoints == ()
    assert (
        f"endpoints: nothing is sent there: `endpoints` is in the checkout's {CONFIG}, but not with this value on the "
        "default branch"
    ) in notes(context)
    assert "evil.example" not in notes(context) + shop.log.getvalue()


@pytest.mark.parametrize("checkout", PLANTED.values(), ids=PLANTED)
def test_those_of_the_default_branch_count_in_their_place_with_their_tokens_and_cost_no_request(
    shop: CheckedOutShop, checkout: Sequence[Mapping[str, Any]]
) -> None:
    context = shop.load({"endpoints": checkout}, default_branch={"endpoints": [STORE]})
    (endpoint,) = context.settings.all_endpoints
    assert (endpoint.name, endpoint.url, endpoint.template) == ("store", STORE["url"], "dora")
    assert (endpoint.token, endpoint.events) == ("Hush2", None)
    assert "GitObjects" not in [logged.operation for logged in shop.github.requests]


@pytest.mark.parametrize("checkout", [None, {"window": "7d"}, {"endpoints": []}, {"endpoints": None}])
def test_no_checkout_makes_those_of_the_default_branch_miss_a_fact(
    shop: CheckedOutShop, checkout: Mapping[str, object] | None
) -> None:
    context = shop.load(checkout, default_branch={"endpoints": [CHAT, STORE]})
    assert addresses(context) == ["https://hooks.example/services/T0/B0/Hush1", STORE["url"]]


def test_the_same_value_on_the_default_branch_is_enough(shop: CheckedOutShop) -> None:
    context = shop.load({"endpoints": [CHAT], "window": "7d"}, {"endpoints": [CHAT]})
    assert addresses(context) == ["https://hooks.example/services/T0/B0/Hush1"]
    assert (context.settings.window, notes(context)) == ("7d", "")


def test_without_a_token_nothing_confirms_them(shop: CheckedOutShop) -> None:
    context = shop.load({"endpoints": [STORE]}, {"endpoints": [STORE]}, github_token="", ledger="dir:ledger")
    assert context.settings.all_endpoints == ()
    assert "there is no `github-token` to compare it with" in notes(context)


def test_no_text_of_a_run_shows_a_filled_address(shop: CheckedOutShop) -> None:
    context = shop.load({"endpoints": [THIEF]}, {"endpoints": [CHAT, STORE]})
    assert "Hush" in addresses(context)[0]
    texts = [repr(context.settings), repr(context.settings.all_endpoints), repr(context.request), notes(context)]
    assert "Hush" not in "".join(texts) + shop.log.getvalue()


def test_an_address_that_is_an_input_stays_beside_those_of_the_default_branch(shop: CheckedOutShop) -> None:
    context = shop.load({"endpoints": [THIEF]}, {"endpoints": [STORE]}, endpoint_url="https://own.example")
    assert addresses(context) == ["https://own.example", STORE["url"]]


def test_a_token_goes_only_to_the_address_that_names_it_on_the_default_branch(branch_shop: BranchShop) -> None:
    """A checkout points the name of the token at a server of its own."""
    with listen() as store, listen() as evil:
        trusted = {"name": "store", "url": f"{store.url}/${{token}}", "token": "store"}
        branch_shop.repository.commit({CONFIG: json.dumps({"endpoints": [trusted]})}, message="Configure")
        for planted in ({**trusted, "url": evil.url}, {**trusted, "url": f"{evil.url}/${{token}}"}):
            checkout = {CONFIG: json.dumps({"endpoints": [planted]})}
            ran = branch_shop.run_event("deployment_status", deployment_status(), TOKENS, workspace=checkout)
            assert "Hush2" not in ran.log + ran.summary
    assert evil.requests == []
    assert {request.path for request in store.requests} == {"/Hush2"}
    assert not any("Authorization" in request.headers for request in store.requests)


def test_a_template_is_read_from_the_default_branch_whatever_a_checkout_has(branch_shop: BranchShop) -> None:
    with listen() as endpoint:
        files = {CONFIG: json.dumps({"endpoint-template": OWN_TEMPLATE}), OWN_TEMPLATE: '{"from": "default branch"}'}
        branch_shop.repository.commit(files, message="Configure")
        checkout = {**files, OWN_TEMPLATE: '{"from": "checkout"}'}
        inputs = {"endpoint-url": endpoint.url}
        branch_shop.run_event("deployment_status", deployment_status(), inputs, workspace=checkout)
    assert [json.loads(request.body) for request in endpoint.requests] == [{"from": "default branch"}]


# The shape of the endpoint of the single inputs


@pytest.mark.parametrize(
    ("checkout", "default_branch", "used"),
    [
        (OWN_TEMPLATE, None, "dora"),
        (OWN_TEMPLATE, ".github/other.json.j2", ".github/other.json.j2"),
        ("dora", OWN_TEMPLATE, OWN_TEMPLATE),
        (None, OWN_TEMPLATE, OWN_TEMPLATE),
        (OWN_TEMPLATE, OWN_TEMPLATE, OWN_TEMPLATE),
        ("dora", None, "dora"),
    ],
)
def test_a_checkout_does_not_change_the_shape_that_an_endpoint_gets(
    shop: CheckedOutShop, checkout: str | None, default_branch: str | None, used: str
) -> None:
    context = shop.load(
        {"endpoint-template": checkout}, {"endpoint-template": default_branch}, endpoint_url="https://own.example"
    )
    assert [endpoint.template for endpoint in context.settings.all_endpoints] == [used]
    is_withheld = checkout not in (None, used)
    assert ("endpoint-template: not used: `endpoint-template` is in the checkout's" in notes(context)) == is_withheld


def test_a_shape_that_is_an_input_counts(shop: CheckedOutShop) -> None:
    inputs = {"endpoint_url": "https://own.example", "endpoint_template": OWN_TEMPLATE}
    context = shop.load({"endpoint-template": "dora"}, {"endpoint-template": ".github/other.json.j2"}, **inputs)
    assert [endpoint.template for endpoint in context.settings.all_endpoints] == [OWN_TEMPLATE]
    assert notes(context) == ""


# On a command line


def test_a_run_by_hand_sends_nothing_to_endpoints_of_a_file_that_was_not_named(shop: CheckedOutShop) -> None:
    context = shop.load_by_hand({"endpoints": [THIEF], "endpoint-template": OWN_TEMPLATE}, is_named=False)
    assert context.settings.all_endpoints == ()
    assert context.settings.endpoint_template == "dora"
    for name in ("endpoints", "endpoint-template"):
        assert f"`{name}` is only in {CONFIG}, and the settings in this checkout are not trusted" in notes(context)


def test_a_run_by_hand_trusts_a_file_that_was_named(shop: CheckedOutShop) -> None:
    context = shop.load_by_hand({"endpoints": [STORE], "endpoint-template": OWN_TEMPLATE}, is_named=True)
    assert addresses(context) == [STORE["url"]]
    assert context.settings.endpoint_template == OWN_TEMPLATE


@pytest.mark.parametrize("is_named", [False, True])
def test_a_run_by_hand_takes_tokens_from_the_environment_for_a_file_that_was_named(
    tmp_path: Path, *, is_named: bool
) -> None:
    run_action(tmp_path, "deployment_status", deployment_status())
    with listen() as store:
        check_out(tmp_path, {CONFIG: json.dumps({"endpoints": [{**STORE, "url": store.url}]})})
        config = ["--config", str(tmp_path / CONFIG)] if is_named else []
        environment = {"GITHUB_WORKSPACE": str(tmp_path), "ENDPOINT_TOKENS": TOKENS["endpoint-tokens"]}
        log = StringIO()
        runtime = Runtime(environment, BytesIO(), log, log, NOW, lambda _: None)
        arguments = ["rebuild", "--repository", "acme/shop", "--ledger", "dir:ledger", *config]
        assert cli.run(arguments, runtime) == 0, log.getvalue()
    assert [request.headers["Authorization"] for request in store.requests] == ["Bearer Hush2"] * is_named
    assert "Hush" not in log.getvalue()

"""What an event run waits for: only the modules that it needs, since most of its time is imports."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fakes.github import FakeGitHub
from support.gitops_events import flux_event
from support.runs import deployment_status, run_action
from support.servers import listen

NEVER_IMPORTED = {"github", "jmespath", "yaml", "rich", "rjsmin", "chartkick"}
"""Packages; `github` is PyGithub, which takes longer to import than its requests."""

ONLY_FOR_OTHERS = {
    f"dora_metrics.{name}"
    for name in (
        "commands.rows", "commands.send", "core.ledger.outbox", "core.rows", "core.shapes",
        "commands.compute", "commands.demo", "commands.incidents", "commands.init", "commands.kubernetes",
        "commands.ledger", "core.alertmanager", "core.facts.as_of", "core.failures.incident_names", "core.gitops",
        "core.ledger.remote_write_file", "core.ledger.union", "core.linking.commit_graph", "core.metrics.pooled",
        "core.reports.explain", "core.reports.periodic", "core.reports.site", "core.reports.teams", "core.teams",
        "core.shapes.messages", "core.shapes.slack", "core.shapes.teams", "core.shapes.words",
        "core.shapes.datadog", "core.shapes.otlp",
        "github.events.alertmanager", "github.events.gitops", "github.history", "github.issues",
        "pipeline.alert_history", "pipeline.backfill", "pipeline.cluster_rollouts", "pipeline.commit_lookup",
        "pipeline.deliver", "pipeline.endpoint_batches", "pipeline.endpoint_template", "pipeline.endpoints",
        "pipeline.health", "pipeline.incident_history", "pipeline.owed",
        "pipeline.publish", "pipeline.remote_writing", "pipeline.report_issues", "pipeline.reports",
        "pipeline.selected_repositories", "pipeline.shard_ledgers", "pipeline.sync", "pipeline.template_process",
        "pipeline.user_templates", "pipeline.warehouse", "schemas",
        "settings.endpoint_list", "settings.endpoints", "settings.hosts", "settings.incident_access",
        "settings.incidents",
        "settings.tokens", "settings.yaml_text", "sinks", "sources.fact_files", "sources.git",
        "sources.health_check", "sources.incidents", "sources.kubernetes", "sources.prometheus",
    )
}  # fmt: skip
"""Modules of a sync, of sinks, of reports and of the other commands."""

FROZEN_DATACLASSES = {
    "ChangeIndex", "Globs", "HttpRequest", "Layer", "LedgerCollector", "Policy", "ReadOnlyStorage", "Recorder",
    "RepositoryComparer", "RepositoryJobs", "Run", "RunRequest", "Runner", "Runtime", "ServiceMatcher", "Services",
    "Terminal",
}  # fmt: skip
"""Those in the modules of an event run. Each takes 0.6 ms to define, so other values are msgspec structs."""

RUN_WITHOUT = """
import dataclasses
import sys

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name in {refused!r}:
            raise ImportError(f"an event run imports {{name}}")

sys.meta_path.insert(0, Refusal())
sys.argv = ["dora-metrics", "action"]
from dora_metrics.__main__ import main
code = main()
assert sys.modules.keys().isdisjoint({refused!r})
for_events = {{name for name in sys.modules if name.startswith("dora_metrics") and not name.startswith({others!r})}}
defined = {{each for name in for_events for each in vars(sys.modules[name]).values() if isinstance(each, type)}}
dataclasses_defined = {{each for each in defined if each.__module__ in for_events and dataclasses.is_dataclass(each)}}
frozen = {{each.__name__ for each in dataclasses_defined if each.__dataclass_params__.frozen}}
assert frozen <= {dataclasses!r}, frozen - {dataclasses!r}
sys.exit(code)
"""


NOW = datetime.now(UTC)
PAYLOAD = deployment_status(at=f"{NOW:%Y-%m-%dT%H:%M:%SZ}")


def run_without(
    refused: AbstractSet[str],
    folder: Path,
    inputs: Mapping[str, object],
    api_url: str = "",
    *,
    event_name: str = "deployment_status",
    payload: Mapping[str, object] = PAYLOAD,
) -> str:
    """The summary of an event run in a process that cannot import some modules; a failure fails the test."""
    event, summary = folder / "deployed.json", folder / "summary.md"
    event.write_text(json.dumps(payload), "utf-8")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "INPUT_", "DORA_"))},
        "GITHUB_EVENT_NAME": event_name,
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_WORKSPACE": str(folder),
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_API_URL": api_url,
        "DORA_INPUTS": json.dumps(inputs),
    }
    script = RUN_WITHOUT.format(refused=refused, others=tuple(ONLY_FOR_OTHERS), dataclasses=FROZEN_DATACLASSES)
    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return summary.read_text("utf-8")


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub() as made:
        made.repository("acme/shop").commit({"a": "1"}, message="Begin")
        yield made


def test_an_event_run_on_a_folder_imports_only_what_it_needs(tmp_path: Path) -> None:
    """It sends no request, so requests is not among it either."""
    refused = NEVER_IMPORTED | ONLY_FOR_OTHERS | {"requests"}
    assert "reached production" in run_without(refused, tmp_path, {"ledger": "dir:ledger"})


def test_an_event_run_on_a_branch_imports_only_what_it_needs(tmp_path: Path, github: FakeGitHub) -> None:
    """Neither the first run, which makes the branch, nor the next one, which reads it."""
    inputs = {"github-token": github.token, "ledger": "branch:dora-metrics"}
    for _ in range(2):
        assert "reached production" in run_without(NEVER_IMPORTED | ONLY_FOR_OTHERS, tmp_path, inputs, github.api_url)
    assert len(github.requests) == 6


OF_ROLLOUTS = {"dora_metrics.core.gitops", "dora_metrics.github.events.gitops"}


def test_an_event_of_flux_imports_what_rollouts_need_and_nothing_that_reads_a_cluster(tmp_path: Path) -> None:
    refused = (NEVER_IMPORTED | ONLY_FOR_OTHERS | {"requests"}) - OF_ROLLOUTS
    event = flux_event(timestamp=f"{NOW:%Y-%m-%dT%H:%M:%SZ}")
    inputs = {"ledger": "dir:ledger"}
    for expected in ("reached production", "Nothing to record"):
        summary = run_without(refused, tmp_path, inputs, event_name="repository_dispatch", payload=event)
        assert expected in summary
        (tmp_path / "summary.md").unlink()


OF_REMOTE_WRITE = {
    f"dora_metrics.{name}"
    for name in (
        "core.ledger.remote_write_file", "pipeline.backfill", "pipeline.remote_writing",
        "sinks.remote_write", "sinks.write_request",
    )
}  # fmt: skip


def test_a_run_with_other_sinks_imports_nothing_of_remote_write(tmp_path: Path) -> None:
    with listen() as sink:
        inputs = {"ledger": "dir:ledger", "pushgateway-url": sink.url, "endpoint-url": sink.url}
        run_without(NEVER_IMPORTED | OF_REMOTE_WRITE, tmp_path, inputs)
        assert {request.method for request in sink.requests} == {"GET", "PUT", "POST"}


def test_an_event_with_remote_write_imports_nothing_of_the_past(tmp_path: Path) -> None:
    of_the_past = OF_REMOTE_WRITE - {"dora_metrics.sinks.remote_write", "dora_metrics.sinks.write_request"}
    with listen() as target:
        inputs = {"ledger": "dir:ledger", "remote-write-url": target.url}
        run_without(NEVER_IMPORTED | of_the_past, tmp_path, inputs)
        assert len(target.requests) == 1


def test_an_event_run_whose_report_is_made_already_imports_no_pygithub(tmp_path: Path, github: FakeGitHub) -> None:
    inputs = {"github-token": github.token, "ledger": "branch:dora-metrics", "report": "weekly"}
    environment = {"GITHUB_API_URL": github.api_url}
    last_week = deployment_status(2, at=f"{NOW - timedelta(weeks=1):%Y-%m-%dT%H:%M:%SZ}")
    run_action(tmp_path, "deployment_status", last_week, inputs, now=NOW, environment=environment)
    by_hand = {**inputs, "mode": "report"}
    run_action(tmp_path, "workflow_dispatch", {"inputs": {}}, by_hand, now=NOW, environment=environment)
    assert len(github.requests_matching("POST */issues")) == 1
    run_without(NEVER_IMPORTED, tmp_path, inputs, github.api_url)

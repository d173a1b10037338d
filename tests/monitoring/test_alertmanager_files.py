"""Alertmanager keeps alerts about DORA numbers apart from incidents; its two files differ in one receiver."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from support.paths import ROOT
from support.rules import ALERTS, read_yaml
from support.servers import free_port, listen, running
from support.tools import require_tool

FOLDER = ROOT / "monitoring" / "alertmanager"
ANY_VERSION, NEW_VERSION = FOLDER / "alertmanager.yml", FOLDER / "alertmanager-0.32.yml"
INCIDENT = {"alertname": "ShopDown", "severity": "critical", "dora_incident": "true"}


def amtool(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(require_tool("amtool")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def incident_receiver(config: dict[str, Any]) -> dict[str, Any]:
    (receiver,) = (each for each in config["receivers"] if each["name"] == "dora-incidents")
    (webhook,) = receiver["webhook_configs"]
    return dict(webhook)


def test_alertmanager_takes_the_file_for_any_version() -> None:
    done = amtool("check-config", str(ANY_VERSION))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_files_differ_in_the_receiver_of_incidents_only() -> None:
    old, new = read_yaml(ANY_VERSION), read_yaml(NEW_VERSION)
    assert {key: old[key] for key in ("route", "inhibit_rules")} == {
        key: new[key] for key in ("route", "inhibit_rules")
    }
    assert [each["name"] for each in old["receivers"]] == [each["name"] for each in new["receivers"]]


def test_the_newer_file_is_valid_but_for_what_is_newer(tmp_path: Path) -> None:
    """Debian has 0.25. `payload` came with 0.32, `http_headers` with 0.28."""
    config = read_yaml(NEW_VERSION)
    webhook = config["receivers"][-1]["webhook_configs"][0]
    assert webhook.pop("payload")
    assert webhook["http_config"].pop("http_headers")
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(config), "utf-8")
    done = amtool("check-config", str(tmp_path / "alertmanager.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_payload_is_a_dispatch_with_the_whole_message() -> None:
    """Alertmanager executes each text as a template, and reads the result as YAML, which JSON is."""
    webhook = incident_receiver(read_yaml(NEW_VERSION))
    assert webhook["url"] == "https://api.github.com/repos/OWNER/REPO/dispatches"
    assert webhook["payload"] == {
        "event_type": "dora-incident",
        "client_payload": {"alertmanager": "{{ . | toJson }}"},
    }


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        (INCIDENT, "dora-incidents,default"),
        ({"alertname": "DiskFull", "severity": "page"}, "default"),
        ({"alertname": "Pandora", "dora_incident": "true"}, "dora-incidents,default"),
        ({"alertname": "Dora", "dora_incident": "true"}, "dora"),
        *(({"alertname": name, "dora_incident": "true"}, "dora") for name in ALERTS),
    ],
    ids=lambda value: value["alertname"] if isinstance(value, dict) else "",
)
def test_an_alert_has_its_receivers(labels: dict[str, str], receivers: str) -> None:
    """An alert of ours is never an incident, whatever labels it has."""
    options = [f"{name}={value}" for name, value in labels.items()]
    done = amtool(
        "config", "routes", "test", f"--config.file={ANY_VERSION}", f"--verify.receivers={receivers}", *options
    )
    assert done.returncode == 0, done.stdout + done.stderr


def active_alerts(url: str) -> dict[tuple[str, str, str], bool]:
    """Whether each alert, by name, repository and cluster, is inhibited."""
    answer = requests.get(f"{url}/api/v2/alerts", timeout=5)
    answer.raise_for_status()
    return {
        tuple(alert["labels"].get(name, "") for name in ("alertname", "repository", "cluster")): bool(
            alert["status"]["inhibitedBy"]
        )
        for alert in answer.json()
    }


def post(url: str, *alerts: dict[str, str]) -> None:
    body = [{"labels": labels, "annotations": {"summary": "It is down"}} for labels in alerts]
    requests.post(f"{url}/api/v2/alerts", json=body, timeout=5).raise_for_status()


def test_a_running_alertmanager_sends_incidents_to_the_bridge_and_inhibits_old_numbers(tmp_path: Path) -> None:
    with listen() as bridge:
        config = ANY_VERSION.read_text("utf-8").replace("http://127.0.0.1:9099", bridge.url)
        (tmp_path / "alertmanager.yml").write_text(config, "utf-8")
        url = f"http://127.0.0.1:{free_port()}"
        command = [
            str(require_tool("prometheus-alertmanager")),
            f"--config.file={tmp_path / 'alertmanager.yml'}",
            f"--storage.path={tmp_path / 'data'}",
            f"--web.listen-address={url.removeprefix('http://')}",
            "--cluster.listen-address=",
        ]
        with running(command, url, tmp_path / "alertmanager.log"):
            stale = {"alertname": "DoraMetricsStale", "job": "dora"}
            slow = {"alertname": "DoraLeadTimeHigh", "job": "dora", "service": "shop"}
            post(
                url,
                INCIDENT,
                {**stale, "repository": "acme/old"},
                {**slow, "repository": "acme/old"},
                {**slow, "repository": "acme/new"},
                {"alertname": "DoraMetricsRejected", "job": "dora", "repository": "acme/old"},
                {**stale, "repository": "acme/both", "cluster": "eu"},
                {**slow, "repository": "acme/both", "cluster": "eu"},
                {**slow, "repository": "acme/both", "cluster": "us"},
            )
            assert bridge.called.wait(10)
            inhibited = active_alerts(url)
    (request,) = bridge.requests
    message = json.loads(request.body)
    assert [alert["labels"] for alert in message["alerts"]] == [INCIDENT]
    assert message["version"] == "4"
    assert {alert for alert, is_inhibited in inhibited.items() if is_inhibited} == {
        ("DoraLeadTimeHigh", "acme/old", ""),
        ("DoraLeadTimeHigh", "acme/both", "eu"),
    }

"""The files of docs/alertmanager.md work: Alertmanager accepts the settings, and the bridge sends what is recorded."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from dora_metrics.settings.alert_matchers import parse_alert_matchers
from dora_metrics.settings.model import Settings
from support.alerted_shop import alert, notification
from support.events import observe_event
from support.paths import ROOT
from support.servers import free_port, listen
from support.tools import require_tool

PAGE = (ROOT / "docs" / "alertmanager.md").read_text("utf-8")
OLD, NEW = "alertmanager.yml, before 0.32", "alertmanager.yml, from 0.32"


def file(name: str) -> str:
    (content,) = re.findall(rf"^<!-- file: {re.escape(name)} -->\n\n```\w+\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(content)


def settings_for_old(name: str) -> dict[str, Any]:
    """Settings of Alertmanager without what the version of Debian does not know."""
    content: dict[str, Any] = yaml.safe_load(file(name))
    for receiver in content["receivers"]:
        for webhook in receiver.get("webhook_configs", []):
            webhook.pop("payload", None)
    return content


def write_settings(folder: Path, name: str) -> Path:
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(settings_for_old(name)), "utf-8")
    return path


def amtool(*arguments: str) -> str:
    done = subprocess.run([str(require_tool("amtool")), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


each_version = pytest.mark.parametrize("name", [OLD, NEW])


@each_version
def test_alertmanager_accepts_the_settings(tmp_path: Path, name: str) -> None:
    amtool("check-config", str(write_settings(tmp_path, name)))


@each_version
@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        (("alertname=ShopDown", "dora_incident=true"), "dora,team"),
        (("alertname=DiskFull",), "team"),
        (("alertname=DoraRecoverySlow", "dora_incident=true"), "team"),
    ],
)
def test_incidents_and_alerts_about_the_metrics_go_apart(
    tmp_path: Path, name: str, labels: tuple[str, ...], receivers: str
) -> None:
    settings = str(write_settings(tmp_path, name))
    assert amtool("config", "routes", "test", f"--config.file={settings}", *labels) == receivers


def test_the_payload_of_the_new_version_is_the_dispatch() -> None:
    (webhook,) = yaml.safe_load(file(NEW))["receivers"][1]["webhook_configs"]
    assert webhook["payload"] == {"event_type": "dora-incident", "client_payload": {"alertmanager": "{{ toJson . }}"}}


def test_the_bridge_sends_each_alert_as_a_dispatch(tmp_path: Path) -> None:
    (tmp_path / "bridge.py").write_text(file("bridge.py"), "utf-8")
    port = free_port()
    with listen() as github:
        access = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": "acme/shop", "GITHUB_TOKEN": "t0ken"}
        environment = {**os.environ, **access, "PORT": str(port)}
        with subprocess.Popen([sys.executable, str(tmp_path / "bridge.py")], env=environment) as bridge:
            try:
                assert _post(f"http://127.0.0.1:{port}/", notification(alert(), alert(fingerprint="f" * 16))) == 200
            finally:
                bridge.terminate()
        sent = [(request.path, request.headers["Authorization"], request.json) for request in github.requests]
    assert {(path, token) for path, token, _ in sent} == {("/repos/acme/shop/dispatches", "Bearer t0ken")}
    observed = [
        observe_event("repository_dispatch", {"action": body["event_type"], "client_payload": body["client_payload"]})
        for _, _, body in sent
    ]
    assert [len(each.facts) for each in observed] == [1, 1]


def test_the_bridge_has_alertmanager_send_again_what_github_did_not_take(tmp_path: Path) -> None:
    (tmp_path / "bridge.py").write_text(file("bridge.py"), "utf-8")
    port = free_port()
    access = {
        "GITHUB_API_URL": f"http://127.0.0.1:{free_port()}",
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_TOKEN": "t",
    }
    environment = {**os.environ, **access, "PORT": str(port)}
    with subprocess.Popen([sys.executable, str(tmp_path / "bridge.py")], env=environment) as bridge:
        try:
            assert _post(f"http://127.0.0.1:{port}/", notification(alert())) == 502
        finally:
            bridge.terminate()


def _post(url: str, body: object) -> int:
    """Post a notification once somebody listens."""
    end = time.monotonic() + 20
    while True:
        try:
            return requests.post(url, json=body, timeout=10).status_code
        except requests.ConnectionError:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_the_settings_on_the_page_are_accepted() -> None:
    blocks = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)]
    own = [block for block in blocks if set(block) <= {name.replace("_", "-") for name in Settings.model_fields}]
    assert len(own) == 2
    for block in own:
        Settings.model_validate(block)


def test_the_refused_matcher_on_the_page_is_refused() -> None:
    assert '`severity!="info"` alone is refused' in PAGE
    with pytest.raises(ValueError, match="alerts without any of its labels"):
        parse_alert_matchers('severity!="info"')


def test_prometheus_accepts_the_rule(tmp_path: Path) -> None:
    (rules,) = re.findall(r"^```yaml\n(groups:\n.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (tmp_path / "rules.yml").write_text(rules, "utf-8")
    command = [str(require_tool("promtool")), "check", "rules", "--lint-fatal", str(tmp_path / "rules.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

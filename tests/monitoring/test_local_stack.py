"""The local stack: up.sh with the real programs, compose.yml and compose.sh as far as they go without Docker."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from support.local_stack import FREE_PORTS, LocalStack, environment, local_stack, run_script
from support.paths import ROOT
from support.rules import ALERTS, RECORDS, read_yaml
from support.servers import Prometheus, PushgatewayGroups, pushgateway
from support.tools import require_tool

MONITORING = ROOT / "monitoring"
COMPOSE = MONITORING / "compose.yml"
REPOSITORIES = ["acme/legacy", "acme/pay", "acme/shop", "acme/web"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with local_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="module")
def server(stack: LocalStack) -> Prometheus:
    return Prometheus(stack.urls["Prometheus"])


# --- What it shows ---


def test_every_address_that_is_printed_answers_on_this_machine_only(stack: LocalStack) -> None:
    assert {"Prometheus", "alerts", "Alertmanager", "Pushgateway"} <= set(stack.urls)
    for url in stack.urls.values():
        assert url.startswith("http://127.0.0.1:")
        assert requests.get(url, timeout=10).status_code == 200


def test_ninety_days_of_every_scope_are_there(server: Prometheus) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=88)
    then = server.vector('last_over_time(dora_window_deployments{window="30d"}[26h])', long_ago)
    now = server.vector('last_over_time(dora_window_deployments{window="30d"}[26h])')
    scopes = [
        {(each["metric"]["repository"], each["metric"]["environment"]) for each in each_time}
        for each_time in (then, now)
    ]
    assert scopes[0] == scopes[1]
    assert {repository for repository, _ in scopes[0]} == set(REPOSITORIES)


def test_what_is_pushed_continues_the_history(server: Prometheus) -> None:
    """The same labels: no series begins beside a back-filled one."""
    server.await_at_least("count(count by (repository) (dora_ledger_facts))", 4)
    twice = server.vector(
        'count by (repository, service, environment) (last_over_time(dora_window_deployments{window="30d"}[26h])) > 1'
    )
    assert twice == []


def test_the_gateway_has_a_group_for_each_repository(stack: LocalStack) -> None:
    groups = PushgatewayGroups.read(stack.urls["Pushgateway"])
    assert sorted(group["labels"]["repository"] for group in groups.groups) == REPOSITORIES


def test_rules_and_alerts_are_loaded(server: Prometheus) -> None:
    answer = requests.get(f"{server.url}/api/v1/rules", timeout=5).json()
    names = [rule["name"] for group in answer["data"]["groups"] for rule in group["rules"]]
    assert sorted(names) == sorted([*ALERTS, *RECORDS])


EXPECTED = {
    "DoraDeploymentFrequencyLow": {"legacy"},
    "DoraLeadTimeHigh": {"ledger", "shop"},
    "DoraRecoverySlow": {"shop"},
    "DoraChangeFailureRateHigh": {"shop"},
    "DoraGoalMissed": {"legacy", "ledger", "shop"},
    "DoraRegressed": {"shop"},
    "DoraIncidentOpen": {"shop"},
    "DoraNoDeployment": {"legacy"},
    "DoraLevelDropped": set(),
    "DoraMetricsStale": set(),
    "DoraMetricsRejected": set(),
    "DoraCounterFell": set(),
}


@pytest.mark.parametrize("alert", ALERTS)
def test_the_demo_has_what_the_alert_is_about(alert: str, server: Prometheus) -> None:
    """Whether an alert is due is what its expression says; it fires hours later."""
    server.await_at_least("count(count by (repository) (dora_ledger_facts))", 4)
    assert {each["metric"].get("service", "") for each in server.vector(ALERTS[alert]["expr"])} == EXPECTED[alert]


def test_alerts_go_to_the_alertmanager(stack: LocalStack, server: Prometheus) -> None:
    assert known_alertmanagers(server) == [f"{stack.urls['Alertmanager']}/api/v2/alerts"]


def known_alertmanagers(server: Prometheus) -> list[str]:
    """The addresses that Prometheus sends alerts to; it looks for them some seconds after its start."""
    for _ in range(300):
        answer = requests.get(f"{server.url}/api/v1/alertmanagers", timeout=5).json()
        if known := [each["url"] for each in answer["data"]["activeAlertmanagers"]]:
            return known
        time.sleep(0.1)
    return []


def test_two_years_are_kept(server: Prometheus) -> None:
    flags = requests.get(f"{server.url}/api/v1/status/flags", timeout=5).json()["data"]
    assert flags["storage.tsdb.retention.time"] == "2y"


# --- How it ends ---


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_every_program_and_removes_the_files(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with local_stack(tmp_path) as running:
        children = running.children()
        assert len(children) == 3
        assert running.end(number) == code
        assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
        assert list(running.folder.iterdir()) == []


def test_it_ends_with_a_program_that_ends_by_itself(tmp_path: Path) -> None:
    with local_stack(tmp_path) as running:
        first, *others = running.children()
        os.kill(first, signal.SIGKILL)
        assert running.process.wait(60) == 1
        assert [pid for pid in others if Path(f"/proc/{pid}").exists()] == []
    assert "Pushgateway ended (exit code 137):" in (tmp_path / "up.log").read_text("utf-8")


# --- Where it cannot start ---


def test_all_ports_that_are_taken_are_named(tmp_path: Path) -> None:
    for program in ("prometheus", "prometheus-pushgateway", "prometheus-alertmanager"):
        require_tool(program)
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as other:
        ports = {"PROMETHEUS_PORT": str(taken.getsockname()[1]), "ALERTMANAGER_PORT": str(other.getsockname()[1])}
        done = run_script(tmp_path, **{**FREE_PORTS, **ports})
    assert done.returncode == 1
    for name, port in ports.items():
        assert f"port {port} is taken: set {name} to another one, or to 0 for any free port" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_not_one_is_named(tmp_path: Path) -> None:
    require_tool("prometheus-alertmanager")
    done = run_script(tmp_path, **{**FREE_PORTS, "PROMETHEUS_PORT": "many"})
    assert (done.returncode, "PROMETHEUS_PORT: 'many' is not a number" in done.stderr) == (1, True)


def test_programs_that_are_missing_are_named_with_their_packages(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "env"):
        (tools / name).symlink_to(require_tool(name))
    done = run_script(tmp_path, PATH=str(tools), **FREE_PORTS)
    assert done.returncode == 1
    assert "not installed: prometheus promtool prometheus-pushgateway prometheus-alertmanager" in done.stderr
    assert "apt-get install prometheus prometheus-pushgateway prometheus-alertmanager" in done.stderr


# --- Containers ---


def test_compose_takes_the_file() -> None:
    """Docker's own schema; and its client, where there is one."""
    checker = str(require_tool("check-jsonschema"))
    done = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", COMPOSE], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout
    for client in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(client[0])
            and subprocess.run([*client, "version"], capture_output=True, check=False).returncode == 0
        ):
            config = subprocess.run(
                [*client, "-f", COMPOSE, "config", "-q"], capture_output=True, text=True, check=False
            )
            assert config.returncode == 0, config.stderr


def test_containers_listen_on_this_machine_only_and_are_of_a_named_version() -> None:
    services = read_yaml(COMPOSE)["services"]
    assert set(services) == {"pushgateway", "prometheus", "alertmanager", "grafana"}
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])


def test_every_file_that_a_container_mounts_exists() -> None:
    mounts = [volume for service in read_yaml(COMPOSE)["services"].values() for volume in service["volumes"]]
    missing = [mount for mount in mounts if mount.startswith("./") and not (MONITORING / mount.split(":")[0]).exists()]
    assert missing == []


def test_grafana_is_provisioned_with_what_is_mounted() -> None:
    (source, _) = read_yaml(MONITORING / "grafana/provisioning/datasources.yml")["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    (provider,) = read_yaml(MONITORING / "grafana/provisioning/dashboards.yml")["providers"]
    volumes = read_yaml(COMPOSE)["services"]["grafana"]["volumes"]
    assert f"./grafana:{provider['options']['path']}:ro" in volumes


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """This repository, with a folder `build` of its own and its packages installed."""
    folder = tmp_path / "dora-metrics"
    (folder / ".venv" / "bin").mkdir(parents=True)
    python = folder / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    (folder / ".venv" / "runtime").touch()
    for part in ("Makefile", "pyproject.toml", "requirements", "src", "templates", "tools"):
        (folder / part).symlink_to(ROOT / part)
    shutil.copytree(MONITORING, folder / "monitoring")
    return folder


def fake_docker(folder: Path, script: str) -> str:
    """A PATH on which `docker` is a script that notes what it is asked, and nothing more."""
    folder.mkdir()
    docker = folder / "docker"
    docker.write_text(f'#!/bin/sh\necho "$@" >>{shlex.quote(str(folder / "asked"))}\n{script}\n')
    docker.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def make_monitoring(checkout: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [str(require_tool("make")), "monitoring"]
    variables = environment(checkout, **variables)
    del variables["PYTHON"]
    return subprocess.run(
        command, cwd=checkout, env=variables, capture_output=True, text=True, check=False, timeout=180
    )


def test_make_starts_containers_where_docker_works(checkout: Path, tmp_path: Path) -> None:
    """The demo data are pushed for real; the fake Docker's logs end at once, as after Ctrl-C."""
    path = fake_docker(tmp_path / "bin", "exit 0")
    with pushgateway(tmp_path) as url:
        done = make_monitoring(checkout, PATH=path, PUSHGATEWAY_PORT=url.rpartition(":")[2], GRAFANA_PORT="3333")
        groups = PushgatewayGroups.read(url).groups
    assert done.returncode == 0, done.stderr
    assert "make: Docker with compose works" in done.stdout
    assert "Grafana       http://127.0.0.1:3333" in done.stdout
    assert len(groups) == 4
    options = f"compose --project-name dora-metrics-demo --file {checkout}/monitoring/compose.yml "
    asked = [line.removeprefix(options) for line in (tmp_path / "bin" / "asked").read_text("utf-8").splitlines()]
    assert [line.split()[0] for line in asked] == ["info", "compose", "down", "run", "up", "exec", "logs", "down"]
    assert "tsdb create-blocks-from openmetrics --max-block-duration=2160h /demo/history.om /prometheus" in asked[3]
    assert (checkout / "build" / "monitoring" / "history.om").read_text("utf-8").endswith("# EOF\n")


def test_make_starts_the_programs_where_docker_does_not_work(checkout: Path, tmp_path: Path) -> None:
    """The port is taken, so that it ends at once."""
    require_tool("prometheus-alertmanager")
    path = fake_docker(tmp_path / "bin", "exit 1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = {**FREE_PORTS, "PROMETHEUS_PORT": str(taken.getsockname()[1])}
        done = make_monitoring(checkout, PATH=path, **ports)
    assert "make: Docker with compose does not work here" in done.stdout
    assert "set PROMETHEUS_PORT to another one" in done.stderr
    assert done.returncode != 0

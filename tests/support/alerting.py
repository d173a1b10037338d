"""A real Prometheus with an alert rule, and a real Alertmanager that sends its notifications to a listener."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from support.servers import (
    Listener,
    Prometheus,
    configured_prometheus,
    free_port,
    listen,
    pushgateway,
    running,
    scrape_of_pushgateway,
)
from support.tools import require_tool

_PATIENCE_SECONDS = 40

RULE = {
    "alert": "ShopDown",
    "expr": "shop_up == 0",
    "labels": {"severity": "critical", "dora_incident": "true", "service": "till", "environment": "production"},
    "annotations": {"summary": "The shop is down"},
}


@dataclass
class AlertingStack:
    """Running programs, and the notifications that Alertmanager has sent."""

    prometheus: Prometheus
    receiver: Listener
    pushgateway_url: str

    @property
    def notifications(self) -> list[dict[str, Any]]:
        return [request.json for request in self.receiver.requests]

    def alerts(self, status: str) -> dict[str, dict[str, Any]]:
        """The newest notification of each occurrence with a status, by its start."""
        alerts = (alert for body in self.notifications for alert in body["alerts"] if alert["status"] == status)
        return {alert["startsAt"]: alert for alert in alerts}

    def fire(self) -> None:
        """Let the alert fire once, and end."""
        count = len(self.alerts("resolved"))
        self.begin()
        self._set_up(is_up=True)
        self._await("resolved", count + 1)

    def begin(self) -> None:
        """Let the alert fire."""
        count = len(self.alerts("firing"))
        self._set_up(is_up=False)
        self._await("firing", count + 1)

    def _set_up(self, *, is_up: bool) -> None:
        requests.put(f"{self.pushgateway_url}/metrics/job/shop", data=f"shop_up {int(is_up)}\n", timeout=5)

    def _await(self, status: str, count: int) -> None:
        end = time.monotonic() + _PATIENCE_SECONDS
        while len(self.alerts(status)) < count:
            assert time.monotonic() < end, self.notifications
            time.sleep(0.1)


@contextmanager
def alerting(folder: Path, external_labels: Mapping[str, str] | None = None) -> Iterator[AlertingStack]:
    """Start all programs; rules are evaluated every second, and each notification has one alert."""
    with (
        listen() as receiver,
        pushgateway(folder) as gateway_url,
        _alertmanager(folder, receiver.url) as alertmanager_url,
        _prometheus(folder, gateway_url, alertmanager_url, external_labels or {}) as prometheus_url,
    ):
        yield AlertingStack(Prometheus(prometheus_url), receiver, gateway_url)


@contextmanager
def _alertmanager(folder: Path, receiver_url: str) -> Iterator[str]:
    program, port, settings = require_tool("prometheus-alertmanager"), free_port(), folder / "alertmanager.yml"
    route = {"receiver": "dora", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"}
    receiver = {"name": "dora", "webhook_configs": [{"url": f"{receiver_url}/dispatches", "send_resolved": True}]}
    settings.write_text(json.dumps({"route": route, "receivers": [receiver]}), "utf-8")
    command = [
        str(program),
        f"--config.file={settings}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with running(command, f"http://127.0.0.1:{port}", folder / "alertmanager.log") as url:
        yield url


@contextmanager
def _prometheus(
    folder: Path, gateway_url: str, alertmanager_url: str, external_labels: Mapping[str, str]
) -> Iterator[str]:
    rules = folder / "rules.yml"
    rules.write_text(json.dumps({"groups": [{"name": "shop", "rules": [RULE]}]}), "utf-8")
    general = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"}
    targets = [{"static_configs": [{"targets": [alertmanager_url.removeprefix("http://")]}]}]
    content = {
        "global": {**general, "external_labels": external_labels},
        "rule_files": [str(rules)],
        "alerting": {"alertmanagers": targets},
        "scrape_configs": [scrape_of_pushgateway(gateway_url)],
    }
    with configured_prometheus(folder, content) as started:
        yield started.url

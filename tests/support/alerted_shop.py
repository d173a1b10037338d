"""acme/shop with a ledger in a folder, whose runs get notifications of Alertmanager or read a Prometheus."""

import json
from collections.abc import Mapping
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.runtime import HttpLimits
from dora_metrics.sources import fact_files
from fakes.github import FakeGitHub
from support.runs import FAST_LIMITS, NOW, ActionRun, check_out, run_action

MATCHERS = 'dora_incident="true"'
TOKEN = "prom-t0ken"

Incidents = dict[str, dict[str, Any]]


class AlertedShop:
    """A repository without deployments, and its runs."""

    def __init__(self, github: FakeGitHub, folder: Path, prometheus_url: str) -> None:
        self.github, self.folder, self.prometheus_url = github, folder, prometheus_url
        self.folder.mkdir(exist_ok=True)

    def configure(self, settings: Mapping[str, object]) -> None:
        """Check out a repository with these settings."""
        check_out(self.folder, {".github/dora.yml": json.dumps(settings)})

    def dispatch(self, *alerts: object, now: datetime = NOW, **fields: object) -> ActionRun:
        """Record a notification with these alerts."""
        return self.dispatch_payload({"alertmanager": notification(*alerts, **fields)}, now=now)

    def dispatch_payload(self, client_payload: object, now: datetime = NOW) -> ActionRun:
        payload = {"action": "dora-incident", "client_payload": client_payload}
        return run_action(self.folder, "repository_dispatch", payload, now=now)

    def sync(self, *, now: datetime = NOW, limits: HttpLimits = FAST_LIMITS, **inputs: object) -> ActionRun:
        """Read GitHub and Prometheus."""
        return self.run("schedule", {"schedule": "17 5 * * *"}, now=now, limits=limits, **inputs)

    def run(
        self,
        event: str,
        payload: Mapping[str, object],
        *,
        now: datetime = NOW,
        limits: HttpLimits = FAST_LIMITS,
        **inputs: object,
    ) -> ActionRun:
        """Run with access to GitHub and Prometheus."""
        access = {"github-token": self.github.token, "prometheus-url": self.prometheus_url, "prometheus-token": TOKEN}
        settings = {"incident-alerts": MATCHERS, **{name.replace("_", "-"): value for name, value in inputs.items()}}
        environment = {"GITHUB_API_URL": self.github.api_url}
        return run_action(
            self.folder, event, payload, {**access, **settings}, now=now, environment=environment, limits=limits
        )

    def incidents(self) -> Incidents:
        """The newest record of each incident."""
        if not (self.folder / "ledger").exists():
            return {}
        facts = fact_files.read(str(self.folder / "ledger"), BytesIO()).facts
        records = (json.loads(encode_fact(fact)) for fact in facts)
        return {record["id"]: record for record in records if record["kind"] == "incident"}


def notification(*alerts: object, **fields: object) -> dict[str, object]:
    """The body of Alertmanager's webhook."""
    return {
        "receiver": "dora",
        "status": "firing",
        "alerts": list(alerts),
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        **fields,
    }


def alert(**fields: object) -> dict[str, object]:
    """An alert of a notification as Alertmanager sends it while it fires."""
    return {
        "status": "firing",
        "labels": {"alertname": "ShopDown", "severity": "critical", "dora_incident": "true"},
        "annotations": {"summary": "The shop is down"},
        "startsAt": "2026-11-21T10:00:00.82Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph?g0.expr=shop_up+%3D%3D+0&g0.tab=1",
        "fingerprint": "c59d274570a8a903",
        **fields,
    }

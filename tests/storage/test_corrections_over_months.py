"""Random years of issues and corrections: after each, a record is the overlay, and the numbers are a rebuild's."""

import json
import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.property_cases import cases
from support.runs import deployment_status, incident_issue, run_action, write_settings

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ID = "github:issue:acme/shop#{}"
REPOSITORY = {"name": "shop", "full_name": "acme/shop", "default_branch": "main"}
Fields = dict[str, Any]


def text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


class Years:
    """A shop with a ledger of three months before checkpoints, and what its people and its issues say."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random, self.folder, self.now = random.Random(seed), folder, datetime(2026, 1, 5, 12, tzinfo=UTC)
        self.inputs = write_settings(folder, "window: 30d\n")
        self.issues: dict[int, Fields] = {}
        self.stated: dict[int, Fields] = {}
        self.hidden_ends: set[int] = set()
        """Of issues whose corrected beginning is after their end: their next report has it again."""
        self.deployment_count = 0
        self.counters: dict[str, float] = {}

    def run(self, event: str, payload: Mapping[str, object], **inputs: str) -> None:
        payload = {**payload, "repository": REPOSITORY}
        ran = run_action(self.folder, event, payload, {**self.inputs, **inputs}, now=self.now)
        assert ran.code == 0, ran.log
        counters = self.read_counters()
        fallen = {name for name, value in self.counters.items() if counters.get(name, 0) < value}
        assert fallen == set()
        self.counters = counters

    def read_counters(self) -> dict[str, float]:
        path = self.folder / "ledger" / "metrics.prom"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs if name.partition("{")[0].endswith(("_total", "_count"))}

    def numbers(self) -> object:
        return json.loads((self.folder / "ledger" / "metrics.json").read_text("utf-8"))["scopes"]

    def records(self) -> dict[str, Fields]:
        """The newest record of each incident, and no second line of it in another month."""
        newest: dict[str, tuple[str, Fields, str]] = {}
        for path in sorted((self.folder / "ledger" / "facts").rglob("*.jsonl")):
            for line in path.read_text("utf-8").splitlines():
                fact = json.loads(line)
                if fact["kind"] == "incident":
                    month = str(path.relative_to(self.folder))[: len("ledger/facts/2026/01")]
                    best = newest.setdefault(fact["id"], (line, fact, month))
                    assert best[2] == month, "one incident, one month"
                    if (fact["observed_at"], line) > (best[1]["observed_at"], best[0]):
                        newest[fact["id"]] = (line, fact, month)
        return {fact_id: fact for fact_id, (_, fact, _) in newest.items()}

    def deploy(self) -> None:
        self.deployment_count += 1
        number, now = self.deployment_count, text(self.now)
        self.run("deployment_status", deployment_status(number, at=now, created_at=now))

    def issue(self) -> None:
        number = self.random.choice([*self.issues, len(self.issues) + 1])
        state = self.issues.setdefault(number, {"created_at": text(self.now), "state": "open"})
        if "updated_at" in state:
            state |= self.random.choice([self.closed("completed"), self.closed("not_planned"), self.opened(), {}])
            if self.random.random() < 0.4:
                state["detected_at"] = text(self.now - self.random.choice([1, 20, 60, 200]) * DAY)
        state["updated_at"] = text(self.now)
        self.hidden_ends.discard(number)
        body = f"### Detected at\n\n{state['detected_at']}" if "detected_at" in state else None
        fields = {key: value for key, value in state.items() if key != "detected_at"}
        for _ in range(self.random.choice([1, 1, 2])):
            self.run("issues", {**incident_issue(number, **fields, body=body), "action": "edited"})

    def closed(self, reason: str) -> Fields:
        return {"state": "closed", "state_reason": reason, "closed_at": text(self.now)}

    def opened(self) -> Fields:
        return {"state": "open", "state_reason": "reopened", "closed_at": None}

    def correct(self) -> None:
        number = self.random.choice([*self.issues, len(self.issues) + 1])
        beginning = text(self.now - self.random.choice([1, 20, 60, 200]) * DAY)
        choices = {"severity": "low", "deployment": "v1.1.0", "detected_at": beginning}
        names = self.random.sample(sorted({*choices, "retracted"}), self.random.choice([1, 1, 2]))
        fields: Fields = {name: choices.get(name, self.random.random() < 0.5) for name in names}
        payload = {"action": "dora-incident", "client_payload": {"id": ID.format(number), **fields}}
        self.run("repository_dispatch", payload)
        self.stated.setdefault(number, {}).update(fields)

    def steps(self, count: int) -> Iterator[int]:
        for number in range(count):
            self.now += self.random.choice([1, 5, 30, 200, 900]) * HOUR
            self.random.choice([self.deploy, self.issue, self.issue, self.correct])()
            if self.random.random() < 0.1:
                self.run("workflow_dispatch", {"inputs": {}}, mode="rebuild")
            yield number

    def overlays(self) -> dict[str, Fields]:
        """The model: what each issue last said, overlaid by what people stated."""
        overlays = {}
        for number, state in self.issues.items():
            reason = state.get("state_reason") if state["state"] == "closed" else None
            stated = self.stated.get(number, {})
            said = {
                "detected_at": state.get("detected_at", state["created_at"]),
                "resolved_at": state["closed_at"] if reason == "completed" else None,
                "retracted": reason == "not_planned",
                "severity": None,
                "deployment": None,
            }
            known = said | stated
            end = known["resolved_at"]
            if "detected_at" in stated and end is not None and str(end) < str(known["detected_at"]):
                known["resolved_at"] = None
                self.hidden_ends.add(number)
            elif number in self.hidden_ends:
                del known["resolved_at"]
            overlays[ID.format(number)] = known
        return overlays


@pytest.mark.seeds
@pytest.mark.parametrize("seed", range(cases(3)))
def test_over_months_and_checkpoints_each_incident_is_its_overlay_and_counts_as_in_a_rebuild(
    seed: int, tmp_path: Path
) -> None:
    years = Years(tmp_path, seed)
    years.deploy()
    for _ in years.steps(20):
        records = years.records()
        for fact_id, overlay in years.overlays().items():
            assert {name: records[fact_id][name] for name in overlay} == overlay
    years.deploy()
    numbers, counters = years.numbers(), years.counters
    years.run("workflow_dispatch", {"inputs": {}}, mode="rebuild")
    assert years.numbers() == numbers
    assert years.counters == counters

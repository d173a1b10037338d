"""What reading incident systems and clusters costs a command, with its start: `python bench/other_systems.py`."""

import json
import sys
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from run import Measurement, measure

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from fakes.incident_systems import NOW, TOKEN, FakePagerDuty  # noqa: E402 - from tests
from support.cluster import FluxKustomization, kubectl_list  # noqa: E402 - from tests
from support.servers import listening  # noqa: E402 - from tests

INCIDENTS = 10_000
KUSTOMIZATIONS = 5_000
_BETWEEN = timedelta(minutes=12)


def main() -> None:
    print("| what | figure | goal |\n|---|---|---|")
    with TemporaryDirectory() as folder:
        for row in (*incident_rows(Path(folder)), *cluster_rows(Path(folder))):
            print(row, flush=True)


def incident_rows(folder: Path) -> list[str]:
    """Rows for one reading of many incidents of PagerDuty."""
    with listening(FakePagerDuty()) as pager:
        for number in range(INCIDENTS):
            began = NOW - timedelta(days=89) + number * _BETWEEN
            pager.add(f"A{number:05}", began, began + timedelta(hours=1))
        system = {"system": "pagerduty", "url": pager.url, "services": {"*": {"service": "shop"}}}
        config = folder / "dora.yml"
        config.write_text(json.dumps({"incidents": [system]}), "utf-8")
        access = {"INCIDENT_TOKENS": f"pagerduty: {TOKEN}", "GITHUB_REPOSITORY": "acme/shop"}
        options = ["--config", str(config), "--incident-hosts", pager.host, "--now", NOW.isoformat()]
        reading = run("incidents", "--system", "pagerduty", "--out", str(folder / "facts.jsonl"), *options, **access)
        requests = len(pager.requests)
    recorded = (folder / "facts.jsonl").read_bytes().count(b"\n")
    assert recorded == INCIDENTS, recorded
    return [
        f"| {INCIDENTS:,} incidents of PagerDuty: requests | {requests} | <= 100 |",
        f"| their CPU seconds | {reading.cpu_seconds:.1f} | <= 10 |",
    ]


def cluster_rows(folder: Path) -> list[str]:
    """Rows for one reading of many objects of Flux."""
    objects = []
    for number in range(KUSTOMIZATIONS):
        kustomization = FluxKustomization(name=f"service-{number}")
        kustomization.reconcile(str(number), "2026-11-20T12:00")
        objects.append(kustomization.object)
    file = folder / "cluster.json"
    file.write_bytes(kubectl_list(*objects))
    reading = run(
        "kubernetes", "--from", str(file), "--out", str(folder / "deployments.jsonl"), "--now", NOW.isoformat()
    )
    recorded = (folder / "deployments.jsonl").read_bytes().count(b"\n")
    assert recorded == KUSTOMIZATIONS, recorded
    size = f"{file.stat().st_size / 1e6:.1f} MB"
    return [f"| {KUSTOMIZATIONS:,} Kustomizations in a file of {size}: CPU seconds | {reading.cpu_seconds:.1f} | |"]


def run(command: str, *arguments: str, **environment: str) -> Measurement:
    """Run a command of the program in a process of its own."""
    return measure([sys.executable, "-m", "dora_metrics", command, *arguments], environment)


if __name__ == "__main__":
    main()

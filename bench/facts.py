"""Write N plausible facts of about 530 bytes each: `python bench/facts.py N FILE`.

A deployment with two changes and, for every tenth deployment, an incident, over a year, in 40 repositories.
"""

import json
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2025, 11, 1, tzinfo=UTC)
LINE_BYTES = 530


def facts(count: int, repositories: int = 40, seed: int = 7, days: int = 365) -> "list[dict[str, object]]":
    rng = random.Random(seed)
    records: list[dict[str, object]] = []
    step = timedelta(days=days) / max(1, count // 3)
    for number in range(count // 3 + 1):
        repository = f"acme/service-{number % repositories}"
        at = START + number * step
        common = {"v": 1, "repository": repository, "service": repository[5:], "retracted": False}
        changes = [f"github:pull:{repository}#{number * 2 + i}" for i in (0, 1)]
        records.append(_deployment(common, number, at, changes, rng))
        records += [_change(common, change, at, rng) for change in changes]
        if number % 10 == 0:
            records.append(_incident(common, number, at, rng))
    return records[:count]


def _deployment(
    common: "dict[str, object]", number: int, at: datetime, changes: list[str], rng: random.Random
) -> "dict[str, object]":
    return common | {
        "kind": "deployment", "id": f"github:deployment:{number}", "environment": "production",
        "sha": f"{rng.getrandbits(160):040x}", "ref": "main", "version": f"v{number}", "source": "deployments",
        "status": "success" if number % 17 else "failure", "started_at": _timestamp(at - timedelta(minutes=9)),
        "finished_at": _timestamp(at), "observed_at": _timestamp(at), "changes": changes,
    }  # fmt: skip


def _change(common: "dict[str, object]", identity: str, at: datetime, rng: random.Random) -> "dict[str, object]":
    start = at - timedelta(hours=rng.lognormvariate(3, 1))
    return common | {
        "kind": "change", "id": identity, "sha": f"{rng.getrandbits(160):040x}", "source": "github",
        "title": "Make the basket keep its contents over a restart", "first_commit_at": _timestamp(start),
        "opened_at": _timestamp(start + (at - start) / 4), "merged_at": _timestamp(start + (at - start) / 2),
        "observed_at": _timestamp(at), "labels": ["feature", "backend"], "branch": "basket", "bot": rng.random() < 0.1,
    }  # fmt: skip


def _incident(common: "dict[str, object]", number: int, at: datetime, rng: random.Random) -> "dict[str, object]":
    detected = at + timedelta(minutes=rng.uniform(1, 300))
    return common | {
        "kind": "incident", "id": f"github:issue:{common['repository']}#{number}", "environment": "production",
        "severity": "high", "title": "Checkout answers 500", "detected_at": _timestamp(detected), "source": "github",
        "resolved_at": _timestamp(detected + timedelta(minutes=rng.uniform(5, 900))), "observed_at": _timestamp(at),
    }  # fmt: skip


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def line(fact: "dict[str, object]") -> str:
    """One line of about LINE_BYTES bytes; the url is padded."""
    short = json.dumps(fact | {"url": ""}, sort_keys=True, separators=(",", ":"))
    return (
        short[:-1].replace(
            '"url":""',
            f'"url":"https://github.com/{fact["repository"]}/{"x" * max(0, LINE_BYTES - len(short) - 40)}"',
        )
        + "}\n"
    )


if __name__ == "__main__":
    with Path(sys.argv[2]).open("w", encoding="utf-8") as file:
        file.writelines(line(fact) for fact in facts(int(sys.argv[1])))

"""How well the words in names find the production of real repositories, as people judged it (docs/events.md)."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from dora_metrics.core.names import PRODUCTION_NAMES, is_production_name
from dora_metrics.core.versions import versions_by_tag
from dora_metrics.github.events.observe import observe
from dora_metrics.settings.model import Settings
from support.events import make_run
from support.tools import leave_out

COLLECTION = Path(__file__).parents[4] / "shared" / "wild"


def judged(name: str, key: str) -> list[dict[str, Any]]:
    """The rows of one file of the collection."""
    path = COLLECTION / name
    if not path.is_file():
        leave_out("there is no ../shared/wild beside this checkout")
    rows: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))[key]
    return rows


def precision_and_recall(pairs: Iterable[tuple[bool, bool]]) -> tuple[float, float]:
    """Precision and recall of pairs: whether a name is production, and whether it counts as such."""
    all_pairs = list(pairs)
    hits = sum(is_production and counts for is_production, counts in all_pairs)
    return hits / sum(counts for _, counts in all_pairs), hits / sum(is_production for is_production, _ in all_pairs)


def test_environments() -> None:
    precision, recall = precision_and_recall(
        (row["judged"] == "P", is_production_name(row["name"], PRODUCTION_NAMES))
        for row in judged("environments.json", "names")
    )
    assert precision >= 0.92
    assert recall >= 0.92


def test_runs_where_no_setting_decides() -> None:
    precision, recall = precision_and_recall(
        (row["gold"] == "P", counts_as_deployment(row)) for row in judged("runs.json", "runs") if row["gold"] != "M"
    )
    assert precision >= 0.65
    assert recall >= 0.85


def counts_as_deployment(row: dict[str, Any]) -> bool:
    """Whether a run of this workflow, event and branch is recorded as a deployment."""
    payload = {
        "action": "completed",
        "workflow": {"name": row["name"], "path": f".github/workflows/{row['path']}"},
        "repository": {"default_branch": row["default"]},
        "workflow_run": {
            "id": 1,
            "head_sha": "a" * 40,
            "head_branch": row["branch"],
            "event": row["event"],
            "conclusion": "success",
            "updated_at": "2026-11-21T12:00:00Z",
        },
    }
    inputs = {"deployment-source": "workflow-runs"}
    return bool(observe(make_run("workflow_run"), payload, Settings.model_validate(inputs), frozenset()).facts)


def test_styles_of_tags() -> None:
    rows = judged("tags.json", "tags")
    assert {row["name"]: tag_reads_as(row["name"]) for row in rows} == {row["name"]: expected(row) for row in rows}


def tag_reads_as(tag: str) -> str:
    # `v10` moves where a longer version of it exists
    beside = ["v10.1.0"] if tag == "v10" else []
    version = versions_by_tag(dict.fromkeys([tag, *beside], 0)).get(tag)
    if version is None:
        return "no release"
    return "prerelease" if version.is_prerelease else "release"


def expected(row: dict[str, Any]) -> str:
    return row["judged"] if row["judged"] in ("release", "prerelease") else "no release"


@pytest.mark.parametrize("name", ["environments.json", "runs.json", "tags.json"])
def test_the_collection_has_rows(name: str) -> None:
    assert len(judged(name, {"environments.json": "names"}.get(name, name.removesuffix(".json")))) > 20

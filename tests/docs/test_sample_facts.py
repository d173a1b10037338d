"""examples/facts: every number that its README derives by hand, and every text in it, is the program's output."""

import json
import os
import re
import shlex
from datetime import UTC, datetime
from functools import reduce
from io import BytesIO, StringIO
from typing import Any

import pytest

from dora_metrics.cli import run
from dora_metrics.runtime import Runtime
from support.paths import ROOT

PAGE = ROOT / "examples" / "facts" / "README.md"
TEXT = PAGE.read_text("utf-8")
COMMANDS = re.findall(r"^dora-metrics (compute .*)$", TEXT, flags=re.MULTILINE)
VALUES = re.findall(r"^\| ([^|]+) \| [^|]+ \| ([^|]+) \| `([a-z0-9_.]+)` \|$", TEXT, flags=re.MULTILINE)


def printed_by(command: str) -> str:
    """Output of a command from the page, run in the root of the repository."""
    out, err = StringIO(), StringIO()
    arguments = [str(ROOT / part) if part == "examples/facts" else part for part in shlex.split(command)]
    world = Runtime({}, BytesIO(), out, err, datetime(2026, 4, 1, tzinfo=UTC), lambda _: None)
    assert run(arguments, world) == 0, err.getvalue()
    return out.getvalue()


@pytest.fixture(scope="module")
def metrics() -> dict[str, Any]:
    (scope,) = json.loads(printed_by(COMMANDS[0]))["scopes"]
    found: dict[str, Any] = scope["metrics"]
    return found


def test_the_page_derives_the_five_metrics_and_their_levels() -> None:
    paths = {path for _, _, path in VALUES}
    assert len(VALUES) == len(paths) >= 35
    for metric in ("deployment_frequency", "lead_time", "change_failure_rate", "recovery_time"):
        assert f"{metric}.level" in paths


@pytest.mark.parametrize(("name", "value", "path"), VALUES, ids=[path for _, _, path in VALUES])
def test_a_number_is_the_one_that_was_worked_out_by_hand(
    metrics: dict[str, Any], name: str, value: str, path: str
) -> None:
    found: Any = reduce(lambda part, key: part[key], path.split("."), metrics)
    assert found == (value if isinstance(found, str) else pytest.approx(float(value), rel=1e-5)), name


@pytest.mark.parametrize("command", COMMANDS[1:])
def test_an_explanation_that_is_shown_is_the_one_that_is_given(command: str) -> None:
    """`DORA_GOLDEN=write` writes it, like golden files."""
    block = re.compile(rf"(```bash\ndora-metrics {re.escape(command)}\n```\n```markdown\n)(.*?)(```\n)", re.DOTALL)
    given = printed_by(command).rstrip() + "\n"
    if os.environ.get("DORA_GOLDEN") == "write":
        text = block.sub(lambda found: found[1] + given + found[3], PAGE.read_text("utf-8"))
        PAGE.write_text(text, "utf-8", newline="\n")
    shown = block.search(PAGE.read_text("utf-8"))
    assert shown
    assert shown[2] == given


def test_three_explanations_are_shown_a_deployment_a_change_and_an_incident() -> None:
    assert [command.partition("--explain ")[2] for command in COMMANDS[1:]] == ["v1.2", "'#6'", "'#41'"]

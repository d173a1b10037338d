"""`demo` writes into a folder of the user's: what it did not write itself stays."""

from io import BytesIO, StringIO
from pathlib import Path

import pytest

from dora_metrics import cli
from dora_metrics.runtime import Runtime
from support.facts import at
from support.runs import deployment_status, run_action

NAMES = ("ledger", "summary.md", "outputs.txt", "weekly.md")


def run_demo(output: Path) -> tuple[int, str]:
    """Exit code and standard error of the command."""
    errors = StringIO()
    runtime = Runtime({}, BytesIO(), StringIO(), errors, at("04-01"), lambda _: None)
    return cli.run(["demo", "--output", str(output)], runtime), errors.getvalue()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_has_the_name_of_its_files_stays(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "notes").write_text("mine", "utf-8")
    match kind:
        case "file":
            (tmp_path / name).write_text("mine", "utf-8")
        case "folder":
            (tmp_path / name / "within").mkdir(parents=True)
            (tmp_path / name / "within" / "notes").write_text("mine", "utf-8")
        case _:
            (tmp_path / name).symlink_to(tmp_path / "gone")
    before = contents(tmp_path)
    code, problem = run_demo(tmp_path)
    assert code == 2
    assert problem == (
        f"dora-metrics: {tmp_path / name} is not from a demo of this version, so it stays as it is; "
        "pass another folder with --output\n"
    )
    assert contents(tmp_path) == before
    assert (tmp_path / name).is_symlink() == (kind == "link")


def test_a_ledger_of_the_users_own_stays(tmp_path: Path) -> None:
    run_action(tmp_path, "deployment_status", deployment_status(), {"ledger": "dir:ledger"})
    before = contents(tmp_path / "ledger")
    assert before
    code, problem = run_demo(tmp_path)
    assert (code, "ledger is not from a demo of this version" in problem) == (2, True)
    assert contents(tmp_path / "ledger") == before


def test_an_earlier_demo_is_replaced(tmp_path: Path) -> None:
    assert run_demo(tmp_path)[0] == 0
    first = contents(tmp_path / "ledger")
    (tmp_path / "ledger" / "index.html").write_text("old", "utf-8")
    assert run_demo(tmp_path)[0] == 0
    assert contents(tmp_path / "ledger") == first


def test_a_folder_in_place_of_a_file_of_an_earlier_demo_stays(tmp_path: Path) -> None:
    assert run_demo(tmp_path)[0] == 0
    (tmp_path / "weekly.md").unlink()
    (tmp_path / "weekly.md").mkdir()
    (tmp_path / "weekly.md" / "notes").write_text("mine", "utf-8")
    code, problem = run_demo(tmp_path)
    assert (code, "cannot be written" in problem) == (2, True)
    assert (tmp_path / "weekly.md" / "notes").read_text("utf-8") == "mine"

"""`ledger: dir:PATH` in a checkout that brings links, pipes and devices.

Nothing outside of the folder is read or written, no run waits, and a message names the place. The same holds where
names cannot be relative to an open folder, as on Windows.
"""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dora_metrics.core.ledger.layout import BADGES_FOLDER, DERIVED_FILES, ROOT_FILES
from dora_metrics.errors import LedgerError
from dora_metrics.storage.folder import MAX_FILE_BYTES, Folder
from support.ledger_writer import RUN, deployment, record_facts
from support.runs import ActionRun, check_out, deployment_status, run_action

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes need privileges there")

SECRET = "the secret of the runner"
FACT = deployment("a", RUN.now)


@pytest.fixture(params=["open folders", "paths"], autouse=True)
def names_relative_to(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Test with the calls of this system, and with those of one that has only paths and follows links."""
    if request.param == "paths":
        monkeypatch.setattr(os, "supports_dir_fd", set())
        monkeypatch.delattr(os, "O_NOFOLLOW")


@pytest.fixture
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside of the workspace, with a file whose lines a run must not see."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "secret").write_text(f"{SECRET}\n", "utf-8")
    return folder


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8", "replace") for path in files}


def run_in(workspace: Path, ledger: str = "ledger", *, is_named_by_input: bool = True, **inputs: object) -> ActionRun:
    """Run the action on a deployment in a checkout, whose folder `ledger` is named by the input or by its own file."""
    named = {"ledger": f"dir:{ledger}"} if is_named_by_input else {"ledger": ""}
    check_out(workspace, {} if is_named_by_input else {".github/dora.yml": f"ledger: dir:{ledger}\n"})
    return run_action(workspace, "deployment_status", deployment_status(1), {**named, **inputs})


def shows_secret(workspace: Path) -> bool:
    """Whether a regular file of the workspace holds the secret."""
    files = (path for path in workspace.rglob("*") if path.is_file() and not path.is_symlink())
    return any(SECRET in path.read_text("utf-8", "replace") for path in files)


# Links


@pytest.mark.parametrize("is_named_by_input", [True, False], ids=["input", "checkout's file"])
def test_a_facts_file_that_is_a_link_is_not_read(tmp_path: Path, outside: Path, *, is_named_by_input: bool) -> None:
    (tmp_path / "ledger/facts/2026").mkdir(parents=True)
    (tmp_path / "ledger/facts/2026/11.jsonl").symlink_to(outside / "secret")
    ran = run_in(tmp_path, is_named_by_input=is_named_by_input)
    assert ran.code == 0
    assert not shows_secret(tmp_path)
    assert SECRET not in ran.log + ran.summary
    assert (
        f"dir:{tmp_path}/ledger: cannot be used: facts/2026/11.jsonl is a link, which could lead out of the folder; "
        "remove it, or put the file itself in its place" in ran.log
    )
    assert [fact["id"] for fact in ran.facts] == ["github:deployment:1"]
    assert (tmp_path / "ledger/facts/2026/11.jsonl").is_symlink()


def test_nor_is_one_that_stays_in_the_workspace(tmp_path: Path) -> None:
    check_out(tmp_path, {".git/config": f"token = {SECRET}\n"})
    (tmp_path / "ledger/facts/2026").mkdir(parents=True)
    (tmp_path / "ledger/facts/2026/11.jsonl").symlink_to("../../../.git/config")
    run_in(tmp_path)
    (tmp_path / ".git/config").unlink()
    assert not shows_secret(tmp_path)


def test_a_strict_run_fails_with_such_a_link(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger/facts").symlink_to(outside)
    assert run_in(tmp_path, strict="true").code == 1


PLACES = (
    *ROOT_FILES,
    *DERIVED_FILES,
    ".lock",
    "facts",
    "facts/2026",
    "facts/2026/10.jsonl",
    "facts/other",
    BADGES_FOLDER.rstrip("/"),
    "badges/shop",
    "badges/shop/production/overall.json",
)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("target", [".", "secret", "missing"], ids=["folder", "file", "nothing"])
def test_a_link_anywhere_in_a_ledger_refuses_it_as_a_whole(
    tmp_path: Path, outside: Path, place: str, target: str
) -> None:
    link = tmp_path / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside / target)
    with pytest.raises(LedgerError, match=f"cannot be used: {re.escape(place)} is a link"):
        record_facts(tmp_path, FACT)
    assert contents(outside) == {"secret": f"{SECRET}\n"}
    assert [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()] == []


def test_a_link_that_comes_between_reading_and_writing_is_not_written_through(tmp_path: Path, outside: Path) -> None:
    folder = Folder(tmp_path)
    (tmp_path / "facts").symlink_to(outside)
    with pytest.raises(LedgerError, match="facts is a link"):
        folder.replace("facts/2026/11.jsonl", b"x")
    with pytest.raises(LedgerError, match="facts is a link"):
        folder.remove("facts/secret")
    assert contents(outside) == {"secret": f"{SECRET}\n"}


@pytest.mark.parametrize("names_relative_to", ["open folders"], indirect=True)
@pytest.mark.parametrize("swapped", ["facts", "facts/secret"])
def test_a_link_that_comes_right_after_the_look_is_not_followed(
    tmp_path: Path, outside: Path, swapped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "facts").mkdir()
    (tmp_path / "facts/secret").write_text("mine", "utf-8")
    look = os.stat

    def look_and_swap(name: str, **keywords: Any) -> os.stat_result:  # noqa: ANN401 - keywords of os.stat
        status = look(name, **keywords)
        if name == Path(swapped).name:
            (tmp_path / swapped).rename(tmp_path / "aside")
            (tmp_path / swapped).symlink_to(outside / Path(swapped).relative_to("facts"))
        return status

    monkeypatch.setattr(os, "stat", look_and_swap)
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        Folder(tmp_path).read("facts/secret")


def test_a_link_in_place_of_a_temporary_file_goes_and_what_it_leads_to_stays(tmp_path: Path, outside: Path) -> None:
    record_facts(tmp_path, FACT)
    (tmp_path / ".metrics.json.new").symlink_to(outside / "secret")
    record_facts(tmp_path, deployment("b", RUN.now))
    assert contents(outside) == {"secret": f"{SECRET}\n"}
    assert not (tmp_path / ".metrics.json.new").is_symlink()


def test_the_folder_itself_may_be_a_link(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "ledger").symlink_to(outside / "kept", target_is_directory=True)
    (outside / "kept").mkdir()
    assert run_in(tmp_path).code == 0
    assert "facts/2026/11.jsonl" in contents(outside / "kept")


def test_links_of_the_user_beside_the_ledger_do_no_harm(tmp_path: Path, outside: Path) -> None:
    record_facts(tmp_path, FACT)
    (tmp_path / "latest.html").symlink_to("index.html")
    (tmp_path / "more").symlink_to(outside)
    record_facts(tmp_path, deployment("b", RUN.now))
    assert b"test:b" in (tmp_path / "facts/2026/11.jsonl").read_bytes()


# Pipes, devices and endless files


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("place", [*ROOT_FILES, *DERIVED_FILES, ".lock", "facts/2026/11.jsonl", "badges/overall.json"])
@pytest.mark.parametrize("make", [pipe, endless_device])
def test_no_run_waits_for_a_pipe_or_reads_a_device(tmp_path: Path, place: str, make: Callable[[Path], None]) -> None:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    make(tmp_path / place)
    with pytest.raises(LedgerError, match=f"cannot be used: {re.escape(place)} is a (link|pipe)"):
        record_facts(tmp_path, FACT)


def test_a_file_that_no_run_has_written_by_its_size_is_not_read(tmp_path: Path) -> None:
    record_facts(tmp_path, FACT)
    with (tmp_path / "facts/2026/10.jsonl").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(LedgerError, match=r"facts/2026/10.jsonl is larger than 100,000,000 bytes"):
        record_facts(tmp_path, FACT)


def test_a_name_that_is_no_text_is_named_all_the_same(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "ledger/facts").mkdir(parents=True)
    (tmp_path / "ledger" / os.fsdecode(b"facts/\xff::error::.jsonl")).symlink_to(outside / "secret")
    ran = run_in(tmp_path)
    assert ran.code == 0
    assert r"\xff" in ran.log

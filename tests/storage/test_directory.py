"""`ledger: dir:PATH`: whatever happens to a run or to the folder, every fact is there, once.

Writers compete as threads and as processes, are killed at every file that they write, and find lines,
kinds, versions and files in the ledger that are not theirs.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.core.facts.model import Change, Deployment
from dora_metrics.core.ledger import layout
from dora_metrics.core.ledger.snapshot import Snapshot
from dora_metrics.errors import LedgerError
from dora_metrics.storage.directory import DirectoryStorage
from support import ledger_writer
from support.ledger_writer import record_facts
from support.paths import ROOT
from support.property_cases import cases
from support.runs import deployment_status, incident_issue, run_action

NOVEMBER = datetime(2026, 11, 3, 12, tzinfo=UTC)
COMMIT_MESSAGE = "a test"


def deployment(name: str = "a", finished: datetime = NOVEMBER) -> Deployment:
    return ledger_writer.deployment(name, finished)


def fact_ids(root: Path) -> list[str]:
    """Ids of all fact lines of a ledger. An id that is stored twice is listed twice."""
    return sorted(json.loads(line)["id"] for line in fact_lines(root))


def fact_lines(root: Path) -> list[bytes]:
    return [line for content in fact_files(root).values() for line in content.splitlines()]


def fact_files(root: Path) -> dict[str, bytes]:
    return {path: content for path, content in all_files(root).items() if re.fullmatch(r"facts/.*\.jsonl", path)}


def all_files(root: Path) -> dict[str, bytes]:
    found = (path for path in root.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(found)}


def write_lines(root: Path, path: str, *content: bytes) -> Path:
    """Write these lines to a file of a ledger."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join(line + b"\n" for line in content))
    return file


def test_a_folder_that_is_not_there_is_an_empty_ledger(tmp_path: Path) -> None:
    assert DirectoryStorage(tmp_path / "new").read() == Snapshot({}, 0)
    assert not (tmp_path / "new").exists()


def test_a_folder_in_the_place_of_a_file_of_facts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "facts/2026/10.jsonl").mkdir(parents=True)
    with pytest.raises(LedgerError, match=r"facts/2026/10\.jsonl is a folder in the place of a file of facts"):
        DirectoryStorage(tmp_path).read()


def test_what_was_written_is_read(tmp_path: Path) -> None:
    ledger = DirectoryStorage(tmp_path / "a" / "b")
    line = encode_fact(deployment()) + b"\n"
    saved = ledger.write(ledger.read(), {"facts/2026/11.jsonl": line, "metrics.json": b"{}"}, COMMIT_MESSAGE)
    assert saved is not None
    assert saved.sequence == 1
    assert (ledger.read().files, ledger.read().sequence) == ({"facts/2026/11.jsonl": line}, 1)
    assert (tmp_path / "a" / "b" / "metrics.json").read_bytes() == b"{}"


def test_an_empty_file_is_removed(tmp_path: Path) -> None:
    ledger = DirectoryStorage(tmp_path)
    ledger.write(ledger.read(), {layout.OUTBOX_FILE: b'{"id":"x"}\n'}, COMMIT_MESSAGE)
    ledger.write(ledger.read(), {layout.OUTBOX_FILE: b"", "never": b""}, COMMIT_MESSAGE)
    assert ledger.read().files == {}
    assert not (tmp_path / layout.OUTBOX_FILE).exists()


def test_who_has_not_seen_the_newest_state_writes_nothing(tmp_path: Path) -> None:
    ledger, other = DirectoryStorage(tmp_path), DirectoryStorage(tmp_path)
    stale = ledger.read()
    assert other.write(other.read(), {"facts/2026/11.jsonl": b"newer\n"}, COMMIT_MESSAGE) is not None
    assert ledger.has_changed_since(stale)
    assert ledger.write(stale, {"facts/2026/11.jsonl": b"older\n", "metrics.json": b"{}"}, COMMIT_MESSAGE) is None
    assert fact_files(tmp_path) == {"facts/2026/11.jsonl": b"newer\n"}
    assert not (tmp_path / "metrics.json").exists()


def test_who_has_seen_the_newest_state_writes(tmp_path: Path) -> None:
    ledger = DirectoryStorage(tmp_path)
    saved = ledger.write(ledger.read(), {"facts/2026/11.jsonl": b"one\n"}, COMMIT_MESSAGE)
    assert saved is not None
    assert not ledger.has_changed_since(saved)
    assert ledger.write(saved, {"facts/2026/11.jsonl": b"two\n"}, COMMIT_MESSAGE) is not None


def test_the_sequence_grows_with_facts_and_not_with_what_is_computed_from_them(tmp_path: Path) -> None:
    first = record_facts(tmp_path, deployment("a"))
    again = record_facts(tmp_path, deployment("a"))
    second = record_facts(tmp_path, deployment("b"))
    assert [one.snapshot.sequence for one in (first, again, second)] == [1, 1, 2]
    assert "dora_ledger_sequence 2.0" in (tmp_path / "metrics.prom").read_text("utf-8")


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"-3", b"2.5", b"9" * 5000])
def test_a_broken_sequence_begins_anew(tmp_path: Path, content: bytes) -> None:
    record_facts(tmp_path, deployment("a"))
    (tmp_path / "sequence").write_bytes(content)
    assert record_facts(tmp_path, deployment("b")).snapshot.sequence == 1
    assert fact_ids(tmp_path) == ["test:a", "test:b"]


def test_eight_threads_that_record_at_once_lose_nothing(tmp_path: Path) -> None:
    def write(writer: int) -> None:
        for number in range(3):
            record_facts(tmp_path, deployment(f"{writer}-{number}", NOVEMBER + timedelta(days=10 * number)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert fact_ids(tmp_path) == sorted(f"test:{writer}-{number}" for writer in range(8) for number in range(3))


KILLED_WRITER = """
import os, signal, sys

from support import ledger_writer

left, replace = int(sys.argv.pop()), os.replace

def dying(*names, **folders):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return replace(*names, **folders)

os.replace = dying
ledger_writer.main(*sys.argv[1:])
"""


def start_writer(root: Path, name: str, count: int, *, dies_after: int | None = None) -> "subprocess.Popen[str]":
    """Start a process that records `count` facts, one a run, and prints their ids; it may die after some files."""
    program = [ledger_writer.__file__] if dies_after is None else ["-c", KILLED_WRITER]
    words = [str(root), name, str(count), *([] if dies_after is None else [str(dies_after)])]
    path = os.pathsep.join(filter(None, [str(ROOT / "tests"), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen([sys.executable, *program, *words], stdout=subprocess.PIPE, text=True, env=environment)


def test_processes_that_record_at_once_lose_nothing(tmp_path: Path) -> None:
    running = [start_writer(tmp_path, str(number), 4) for number in range(3)]
    for process in running:
        with process:
            assert process.wait(60) == 0
    assert fact_ids(tmp_path) == sorted(f"test:{name}-{number}" for name in range(3) for number in range(4))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("lines_read", [1, 4, 9])
def test_a_writer_that_is_killed_leaves_a_ledger_that_reads_whole(tmp_path: Path, lines_read: int) -> None:
    with start_writer(tmp_path, "a", 10_000) as process:
        assert process.stdout
        done = [process.stdout.readline().strip() for _ in range(lines_read)]
        time.sleep(0.003 * lines_read)
        process.kill()
        done += process.stdout.read().split()
    contents = layout.parse_ledger(DirectoryStorage(tmp_path).read().files)
    assert contents.quarantined == ()
    assert set(done) <= contents.lines_by_id.keys()
    record_facts(tmp_path, deployment("after"))
    assert {*done, "test:after"} <= set(fact_ids(tmp_path))
    assert len(fact_ids(tmp_path)) == len(set(fact_ids(tmp_path)))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("dies_after", range(5))
def test_wherever_a_run_is_killed_the_ledger_reads_whole_and_the_next_run_goes_on(
    tmp_path: Path, dies_after: int
) -> None:
    """The files of a run: outbox, facts, JSON, text, sequence."""
    record_facts(tmp_path, deployment("before"))
    with start_writer(tmp_path, "killed", 1, dies_after=dies_after) as process:
        assert process.wait(60) == -9
    contents = layout.parse_ledger(DirectoryStorage(tmp_path).read().files)
    assert contents.quarantined == ()
    assert contents.lines_by_id.keys() - {"test:killed-0"} == {"test:before"}
    with start_writer(tmp_path, "killed", 1) as process:
        assert process.wait(60) == 0
    assert fact_ids(tmp_path) == ["test:before", "test:killed-0"]
    assert len([path for path in all_files(tmp_path) if path.endswith(".new")]) <= 1


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("dies_after", range(4))
def test_wherever_the_first_run_is_killed_its_folder_is_a_ledger_for_the_next(tmp_path: Path, dies_after: int) -> None:
    """The files of the first run: README, outbox, facts, counters and so on."""
    with start_writer(tmp_path, "killed", 1, dies_after=dies_after) as process:
        assert process.wait(60) == -9
    record_facts(tmp_path, deployment("next"))
    assert {*fact_ids(tmp_path)} - {"test:killed-0"} == {"test:next"}


def test_what_a_killed_run_has_written_survives_those_who_read_before_it(tmp_path: Path) -> None:
    """It died before it incremented the sequence, so only the file itself shows the change."""
    ledger = DirectoryStorage(tmp_path)
    stale = ledger.read()
    write_lines(tmp_path, "facts/2026/11.jsonl", encode_fact(deployment("killed")))
    assert ledger.write(stale, {"facts/2026/11.jsonl": encode_fact(deployment("late")) + b"\n"}, COMMIT_MESSAGE) is None
    record_facts(tmp_path, deployment("late"))
    assert fact_ids(tmp_path) == ["test:killed", "test:late"]


def test_a_broken_line_is_set_aside_with_its_place_and_nothing_else_is_lost(tmp_path: Path) -> None:
    whole = [encode_fact(deployment(name)) for name in "abc"]
    cut, binary, no_fact = whole[0][:40], b"\xff\xfe{}", b'{"kind":"deployment","id":"x"}'
    write_lines(tmp_path, "facts/2026/11.jsonl", whole[0], cut, whole[1], binary)
    write_lines(tmp_path, "facts/2026/10.jsonl", no_fact)
    write_lines(tmp_path, layout.QUARANTINE_FILE, b'{"file":"of before"}')
    record_facts(tmp_path, deployment("new"))
    assert fact_ids(tmp_path) == ["test:a", "test:b", "test:new"]
    aside = [json.loads(line) for line in (tmp_path / layout.QUARANTINE_FILE).read_text("utf-8").splitlines()]
    assert [(one["file"], one.get("line"), one.get("text")) for one in aside] == [
        ("of before", None, None),
        ("facts/2026/10.jsonl", 1, no_fact.decode()),
        ("facts/2026/11.jsonl", 2, cut.decode()),
        ("facts/2026/11.jsonl", 4, "\\xff\\xfe{}"),
    ]
    assert all(one["problem"] for one in aside[1:])
    assert not (tmp_path / "facts" / "2026" / "10.jsonl").exists()


def test_what_is_set_aside_is_set_aside_once(tmp_path: Path) -> None:
    write_lines(tmp_path, "facts/2026/11.jsonl", b"broken", encode_fact(deployment("a")))
    record_facts(tmp_path, deployment("b"))
    before = (tmp_path / layout.QUARANTINE_FILE).read_bytes()
    record_facts(tmp_path, deployment("c"))
    assert (tmp_path / layout.QUARANTINE_FILE).read_bytes() == before


STRANGE_LINES = [
    {**json.loads(encode_fact(deployment("more"))), "new_key": {"b": [1, 2.5, None], "a": "ü"}, "z": True},
    {"kind": "experiment", "id": "test:kind", "observed_at": "2026-11-05T00:00:00Z", "anything": [{"x": 1}]},
    {"kind": "deployment", "id": "test:v2", "v": 2, "observed_at": "2026-11-06T00:00:00Z", "finished_at": 7},
    {**json.loads(encode_fact(deployment("v2-that-fits"))), "v": 2, "risk": 0.1},
]


def test_what_newer_versions_have_written_survives_a_rewrite_as_it_is(tmp_path: Path) -> None:
    written = [msgspec.json.encode(one, order="sorted") for one in STRANGE_LINES]
    write_lines(tmp_path, "facts/2026/11.jsonl", *written)
    record_facts(tmp_path, deployment("new"))
    assert "test:new" in fact_ids(tmp_path)
    assert set(written) <= set(fact_lines(tmp_path))
    assert not (tmp_path / layout.QUARANTINE_FILE).exists()


def test_records_of_newer_versions_are_used_where_their_fields_fit(tmp_path: Path) -> None:
    write_lines(tmp_path, "facts/2026/11.jsonl", *(msgspec.json.encode(one) for one in STRANGE_LINES))
    scope = record_facts(tmp_path).results.document.scopes[0]
    assert scope.metrics.deployment_frequency.deployments == 2


def test_a_month_is_split_before_a_file_passes_its_limit(tmp_path: Path) -> None:
    many = [deployment(f"{number:04}", NOVEMBER + timedelta(seconds=number)) for number in range(3000)]
    record_facts(tmp_path, *many)
    found = fact_files(tmp_path)
    assert list(found) == ["facts/2026/11-2.jsonl", "facts/2026/11-3.jsonl", "facts/2026/11.jsonl"]
    assert all(len(content) <= 400_000 for content in found.values())
    assert fact_ids(tmp_path) == [fact.id for fact in many]
    record_facts(tmp_path, deployment("late", NOVEMBER + timedelta(days=1)))
    assert len(fact_ids(tmp_path)) == 3001


def test_a_split_month_that_shrinks_leaves_no_part_behind(tmp_path: Path) -> None:
    many = [replace(deployment(f"{number:04}"), url="u" * 200) for number in range(1000)]
    record_facts(tmp_path, *many)
    assert "facts/2026/11-2.jsonl" in fact_files(tmp_path)
    shorter = [replace(fact, url=None, observed_at=NOVEMBER + timedelta(days=1)) for fact in many]
    record_facts(tmp_path, *shorter)
    assert list(fact_files(tmp_path)) == ["facts/2026/11.jsonl"]
    assert len(fact_ids(tmp_path)) == 1000


def test_a_fact_whose_month_changes_moves_and_is_there_once(tmp_path: Path) -> None:
    october = NOVEMBER - timedelta(days=10)
    record_facts(tmp_path, deployment("moves", october), deployment("stays", october))
    record_facts(tmp_path, replace(deployment("moves"), observed_at=NOVEMBER))
    found = {path: ids_of(content) for path, content in fact_files(tmp_path).items()}
    assert found == {"facts/2026/10.jsonl": ["test:stays"], "facts/2026/11.jsonl": ["test:moves"]}
    record_facts(tmp_path, replace(deployment("stays"), observed_at=NOVEMBER))
    assert list(fact_files(tmp_path)) == ["facts/2026/11.jsonl"]


def ids_of(content: bytes) -> list[str]:
    return [json.loads(line)["id"] for line in content.splitlines()]


def test_a_fact_that_lies_there_twice_is_once_the_newest_after_it_changes(tmp_path: Path) -> None:
    """As after a run that was killed while it moved a fact to another month."""
    october = NOVEMBER - timedelta(days=10)
    write_lines(tmp_path, "facts/2026/10.jsonl", encode_fact(deployment("twice", october)))
    write_lines(tmp_path, "facts/2026/11.jsonl", encode_fact(deployment("twice")))
    assert record_facts(tmp_path).results.document.scopes[0].metrics.deployment_frequency.deployments == 1
    record_facts(tmp_path, deployment("twice", NOVEMBER + timedelta(hours=1)))
    assert fact_ids(tmp_path) == ["test:twice"]


def test_a_change_without_a_merge_lies_in_the_month_of_its_first_commit(tmp_path: Path) -> None:
    commit = Change(id="commit:1", repository="acme/shop", observed_at=NOVEMBER)
    record_facts(tmp_path, replace(commit, first_commit_at=NOVEMBER - timedelta(days=40)))
    assert list(fact_files(tmp_path)) == ["facts/2026/09.jsonl"]


def test_folders_in_folders_without_end_are_named_and_not_followed(tmp_path: Path) -> None:
    record_facts(tmp_path, deployment("a"))
    (tmp_path / "facts" / "/".join("x" * 31)).mkdir(parents=True)
    with pytest.raises(LedgerError, match="is more than 30 folders deep; remove it"):
        record_facts(tmp_path, deployment("b"))


def test_files_of_the_user_stay_as_they_are(tmp_path: Path) -> None:
    own = {
        "notes.jsonl": b"not json\n",
        "facts/README": b"mine\n",
        "facts/2026/11.jsonl.orig": b"broken\n",
        "facts/2026/.11.jsonl.tmp": b"broken\n",
        "deeper/facts/2026/11.jsonl": b"broken\n",
        "index.html": b"<p>",
        ".git/config": b"[core]\n",
    }
    record_facts(tmp_path, deployment("a"))
    for path, content in own.items():
        write_lines(tmp_path, path).write_bytes(content)
    record_facts(tmp_path, deployment("b"))
    record_facts(tmp_path, deployment("c"))
    found = all_files(tmp_path)
    assert {path: found[path] for path in own} == own
    assert found.keys() - own.keys() == {
        "README.md", "counters.json", "facts/2026/11.jsonl", "metrics.json", "metrics.prom", "sequence",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["index.html", "metrics.json", "badges/mine.json", "sequence", "facts/mine.txt"])
def test_a_folder_that_holds_something_else_is_refused_and_stays_as_it_is(tmp_path: Path, path: str) -> None:
    write_lines(tmp_path, path, b"mine")
    with pytest.raises(LedgerError, match="holds other files, which stay unchanged; give the ledger its own place"):
        record_facts(tmp_path, deployment("a"))
    assert all_files(tmp_path) == {path: b"mine\n"}


def test_a_folder_that_git_keeps_empty_is_no_other_content(tmp_path: Path) -> None:
    for path in (".git/config", ".gitignore", ".gitkeep"):
        write_lines(tmp_path, path, b"mine")
    record_facts(tmp_path, deployment("a"))
    assert fact_ids(tmp_path) == ["test:a"]


def test_facts_that_somebody_put_into_a_folder_are_a_ledger(tmp_path: Path) -> None:
    write_lines(tmp_path, "facts/2026/11.jsonl", encode_fact(deployment("copied")))
    record_facts(tmp_path, deployment("a"))
    assert fact_ids(tmp_path) == ["test:a", "test:copied"]


def test_facts_files_of_any_name_are_read_and_stay_while_nothing_in_them_changes(tmp_path: Path) -> None:
    imported = write_lines(tmp_path, "facts/imported/jenkins.jsonl", encode_fact(deployment("imported")))
    before = imported.read_bytes()
    assert "test:imported" in {fact.id for fact in record_facts(tmp_path, deployment("a")).merge.after.facts}
    assert imported.read_bytes() == before


def below_a_file(folder: Path) -> Path:
    return write_lines(folder, "file", b"x") / "ledger"


def with_a_file_for_facts(folder: Path) -> Path:
    write_lines(folder, "ledger/facts", b"x")
    return folder / "ledger"


def with_a_folder_for_a_file(folder: Path) -> Path:
    (folder / "ledger" / "sequence").mkdir(parents=True)
    return folder / "ledger"


@pytest.mark.parametrize("made", [below_a_file, with_a_file_for_facts, with_a_folder_for_a_file])
def test_a_folder_that_cannot_be_read_says_so_and_what_to_do(tmp_path: Path, made: Callable[[Path], Path]) -> None:
    root = made(tmp_path)
    with pytest.raises(LedgerError, match=r"cannot be read \(.+\); check the path and its permissions") as caught:
        DirectoryStorage(root).read()
    assert str(caught.value).startswith(f"dir:{root}: ")


def test_a_folder_that_cannot_be_written_says_so_and_what_to_do(tmp_path: Path) -> None:
    ledger = DirectoryStorage(tmp_path)
    write_lines(tmp_path, "facts/2026", b"a file")
    with pytest.raises(LedgerError, match=r"cannot be written \(.+\); check the path and its permissions"):
        ledger.write(ledger.read(), {"facts/2026/11.jsonl": b"x\n"}, COMMIT_MESSAGE)
    with pytest.raises(LedgerError, match=r"cannot be written \(.+\); check the path and its permissions"):
        DirectoryStorage(below_a_file(tmp_path)).write(Snapshot({}, 0), {"facts/2026/11.jsonl": b"x\n"}, COMMIT_MESSAGE)


def test_nothing_half_written_is_left_where_a_file_cannot_be_replaced(tmp_path: Path) -> None:
    record_facts(tmp_path, deployment("a"))
    (tmp_path / "metrics.json").unlink()
    (tmp_path / "metrics.json" / "x").mkdir(parents=True)
    with pytest.raises(LedgerError):
        record_facts(tmp_path, deployment("b"))
    assert [path for path in all_files(tmp_path) if path.startswith(".")] == []
    assert fact_ids(tmp_path) == ["test:a", "test:b"]


EVENTS: Sequence[tuple[str, dict[str, object]]] = (
    ("deployment_status", deployment_status(3, at="2026-10-31T23:59:59Z")),
    ("deployment_status", deployment_status(3, state="failure", at="2026-11-01T00:00:01Z")),
    ("deployment_status", deployment_status(4, state="failure", at="2026-11-21T11:40:00Z")),
    ("deployment_status", deployment_status(4, at="2026-11-21T11:45:00Z")),
    ("issues", incident_issue()),
    (
        "issues",
        {
            **incident_issue(state="closed", closed_at="2026-11-21T11:50:00Z", updated_at="2026-11-21T11:50:00Z"),
            "action": "closed",
        },
    ),
)


def fact_files_after(folder: Path, order: Iterable[int]) -> dict[str, bytes]:
    """Fact files after these events."""
    folder.mkdir()
    for number in order:
        event, payload = EVENTS[number]
        assert run_action(folder, event, payload, {"deployment-source": "deployments"}).code == 0
    return fact_files(folder / "ledger")


@pytest.fixture(scope="module")
def files_in_time(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Fact files after each event in its order, once."""
    return fact_files_after(tmp_path_factory.mktemp("in-time") / "ledger", range(len(EVENTS)))


@settings(max_examples=cases(3))
@given(st.permutations(range(len(EVENTS))), st.lists(st.integers(0, len(EVENTS) - 1), min_size=10, max_size=10))
def test_events_delivered_ten_times_in_any_order_leave_the_same_files(
    tmp_path_factory: pytest.TempPathFactory, files_in_time: dict[str, bytes], once: list[int], again: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("orders")
    assert fact_files_after(folder / "otherwise", [*again, *once]) == files_in_time
    assert list(files_in_time) == ["facts/2026/10.jsonl", "facts/2026/11.jsonl"]


def test_one_event_delivered_ten_times_leaves_the_files_of_once(tmp_path: Path) -> None:
    assert fact_files_after(tmp_path / "once", [0]) == fact_files_after(tmp_path / "often", [0] * 10)

"""Data folders of git that someone made by hand: `report --git` and `init` always end, with at most a few lines."""

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.checkouts import Checkout
from support.git_repository import GitRepository, ReportCommand, two_releases
from support.property_cases import cases
from support.tools import require_tool

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes with a name")

CASES = int(os.environ.get("FUZZ_CASES", cases(12)))
MAX_LINES = 3

PLACES = (
    "", "HEAD", "config", "config.worktree", "commondir", "gitdir", "shallow", "packed-refs", "index", "description",
    "objects", "objects/info", "objects/info/alternates", "objects/info/commit-graph", "objects/pack",
    "objects/pack/pack-1.idx", "objects/pack/pack-1.pack", "objects/pack/multi-pack-index", "objects/4b", "refs",
    "refs/heads", "refs/heads/main", "refs/tags", "refs/tags/v1.0.0", "refs/tags/v9.0.0", "refs/remotes/origin/HEAD",
    "refs/replace/x", "info", "info/grafts", "info/attributes", "logs/HEAD", "remotes/origin", "branches/origin",
    "worktrees/x/HEAD", "modules/x", "hooks/post-checkout",
)  # fmt: skip
"""Files and folders below `.git`, and itself."""

TARGETS = (
    ".git", "../.git", "gitdir: .git", "gitdir: ../x", "gitdir: .", "gitdir: /", "commondir", ".", "..", "/", "/dev",
    "/dev/null", "/nonexistent", "refs", "objects", "../objects", "info/alternates", "a" * 5_000, "a/" * 3_000,
    "ref: refs/heads/main", "ref: refs/tags/../../x", "ref: HEAD", "0" * 40, "f" * 40, "x", "", "\xff", "# x", '"x',
)  # fmt: skip
"""What a file says."""

LINKS = ("config", "HEAD", "main", "alternates", "info", "refs", "objects", "x", "/dev/null", "/nonexistent")
"""What a link leads to. None leads to a folder around it: with two of those, git itself finds no end."""

CONFIG = """\
[core] worktree = ../..
[core] worktree = /nonexistent
[core] worktree = .
[core] bare = true
[core] bare = maybe
[core] repositoryFormatVersion = 99
[core] repositoryFormatVersion = 1
[core] abbrev = 99
[extensions] objectFormat = sha256
[extensions] worktreeConfig = true
[extensions] partialClone = origin
[extensions] x = y
[include] path = config
[include] path = /dev/null
[includeIf "gitdir:/"] path = ../x
[remote "origin"] url =
[remote "origin"] url
[remote "origin"] url = "a\\nb:c/d"
[url "x"] insteadOf = https://
[submodule] recurse = true
[grep] threads = -1
[alias] grep = !false
[core
]
x = y
""".splitlines()
LONG_CONFIG = (f'[remote "origin"] url = https://h{"/" * 3_000}!', f'[a "{"b" * 5_000}"] c = d')

Change = tuple[str, str, Sequence[str]]
CHANGES = st.one_of(
    st.tuples(st.just("file"), st.sampled_from(PLACES), st.lists(st.sampled_from(TARGETS), max_size=3)),
    st.tuples(st.just("link"), st.sampled_from(PLACES), st.tuples(st.sampled_from(LINKS))),
    st.tuples(st.sampled_from(["pipe", "folder", "removed", "locked"]), st.sampled_from(PLACES), st.just(())),
    st.tuples(st.just("config"), st.just("config"), st.tuples(st.sampled_from([*CONFIG, *LONG_CONFIG]))),
)


def apply(change: Change, git_folder: Path) -> None:
    """Change a place below `.git`. Left out is what other changes made impossible, or what would be behind a link."""
    kind, place, texts = change
    path = git_folder / place
    with suppress(OSError):
        if os.path.realpath(path.parent) != str(path.parent):
            return
        if kind == "config" and path.is_file() and not path.is_symlink():
            path.write_bytes(path.read_bytes() + "".join(f"{text}\n" for text in texts).encode())
        elif kind == "locked" and path.exists() and not path.is_symlink():
            path.chmod(0)
        elif kind not in ("config", "locked"):
            replace(kind, path, texts)


def replace(kind: str, path: Path, texts: Sequence[str]) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if kind == "removed":
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    match kind:
        case "file":
            path.write_bytes("".join(f"{text}\n" for text in texts).encode("latin-1"))
        case "link":
            path.symlink_to(texts[0])
        case "pipe":
            os.mkfifo(path)
        case _:
            path.mkdir()


@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(CHANGES, min_size=1, max_size=5))
def check_that_both_end(template: Path, changes: list[Change]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        checkout = folder / "around" / "shop"
        shutil.copytree(template, checkout, symlinks=True)
        for change in changes:
            apply(change, checkout / ".git")
        reported = ReportCommand(folder)(checkout)
        assert reported.code in (0, 2)
        assert len(reported.err.splitlines()) <= MAX_LINES
        proposed = Checkout(checkout).run_init("--yes")
        assert proposed.code in (0, 1, 2)
        assert len(proposed.stderr.splitlines()) <= MAX_LINES
        assert not list((folder / "around").glob(".github"))
        assert not (folder / ".github").exists()


def test_a_data_folder_of_any_shape_is_read_or_named(tmp_path: Path) -> None:
    require_tool("git")
    repository = GitRepository.create(tmp_path / "shop")
    two_releases(repository)
    check_that_both_end(repository.folder)

"""Make a git repository with a long history: `python bench/git_history.py FOLDER [COMMITS [TAGS]]`.

Merged and squashed pull requests, direct commits, plain merges, reverts, bots; always the same ones.
"""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

START = int(datetime(2023, 11, 1, tzinfo=UTC).timestamp())
DURATION_SECONDS = 3 * 365 * 86400
BODY = (
    "The basket forgot what was in it when the service restarted.\n\nIt is written down now, and read at the start.\n"
)


class FastImportStream:
    """A stream for `git fast-import`, commit by commit."""

    def __init__(self, commits: int, tags: int, seed: int = 7) -> None:
        self._rng = random.Random(seed)
        self._commits, self._tags = commits, tags
        self._commit_count = 0
        self._main_mark = 0
        self._pull_number = 0

    def stream(self) -> Iterator[str]:
        released = 0
        while self._commit_count < self._commits:
            yield from self._rng.choices(
                (self._merged_pull, self._squashed_pull, self._direct_commit, self._plain_merge), (4, 5, 2, 1)
            )[0]()
            due = self._commit_count * self._tags // self._commits
            while released < due:
                released += 1
                yield self._tag(released)
        yield "done\n"

    def _time(self) -> int:
        return START + self._commit_count * DURATION_SECONDS // self._commits

    def _commit(self, message: str, *parents: int, age_seconds: int = 0, committed: int | None = None) -> str:
        self._commit_count += 1
        authors = ("Ada <ada@example.org>", "dependabot[bot] <1+dependabot[bot]@users.noreply.github.com>")
        author = self._rng.choices(authors, (9, 1))[0]
        at = committed or self._time()
        links = "".join(f"{'merge' if index else 'from'} :{mark}\n" for index, mark in enumerate(parents) if mark)
        text = f"file {self._commit_count}\n"
        return (
            f"commit refs/heads/work\nmark :{self._commit_count}\nauthor {author} {at - age_seconds} +0000\n"
            f"committer Ada <ada@example.org> {at} +0000\ndata {len(message.encode())}\n{message}\n{links}"
            f"M 644 inline src/{self._commit_count % 97}/{self._commit_count % 89}.txt\ndata {len(text)}\n{text}\n"
        )

    def _branch(self) -> Iterator[str]:
        """Some commits outside the main branch; the last one has the newest mark."""
        parent_mark = self._main_mark
        for _ in range(self._rng.randint(1, 5)):
            yield self._commit(
                f"Step {self._commit_count}\n\n{BODY}", parent_mark, age_seconds=self._rng.randint(0, 90_000)
            )
            parent_mark = self._commit_count

    def _merged_pull(self) -> Iterator[str]:
        yield from self._branch()
        self._pull_number += 1
        message = f"Merge pull request #{self._pull_number} from acme/topic-{self._pull_number}\n\nKeep the basket\n"
        yield self._commit(message, self._main_mark, self._commit_count)
        self._main_mark = self._commit_count

    def _plain_merge(self) -> Iterator[str]:
        yield from self._branch()
        yield self._commit(f"Merge branch 'topic-{self._commit_count}'\n", self._main_mark, self._commit_count)
        self._main_mark = self._commit_count

    def _squashed_pull(self) -> Iterator[str]:
        self._pull_number += 1
        title, body = f"Keep the basket, part {self._pull_number}", BODY
        if self._rng.random() < 0.02 and self._pull_number > 20:
            title, body = (
                f'Revert "Keep the basket, part {self._pull_number - 9}"',
                f"Reverts acme/shop#{self._pull_number - 9}\n",
            )
        yield self._commit(
            f"{title} (#{self._pull_number})\n\n{body}", self._main_mark, age_seconds=self._rng.randint(0, 9000)
        )
        self._main_mark = self._commit_count

    def _direct_commit(self) -> Iterator[str]:
        yield self._commit(f"Tidy up {self._commit_count}\n\n{BODY}", self._main_mark)
        self._main_mark = self._commit_count

    def _tag(self, number: int) -> str:
        """A tag: four in five are annotated, every tenth raises only the patch number."""
        minor, patch = number - number // 10, int(number % 10 == 0)
        name = f"v1.{minor}.{patch}"
        if number % 5 == 0:
            return f"reset refs/tags/{name}\nfrom :{self._main_mark}\n\n"
        return (
            f"tag {name}\nfrom :{self._main_mark}\ntagger Ada <ada@example.org> {self._time() + 600} +0000\ndata 0\n\n"
        )


def make(folder: Path, commits: int, tags: int) -> None:
    """Create a bare, packed repository."""
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    git = ["git", "-C", str(folder)]
    folder.mkdir(parents=True)

    def run(*arguments: str, stdin: bytes | None = None) -> None:
        subprocess.run([*git, *arguments], input=stdin, check=True, env={**os.environ, **settings})

    run("init", "--quiet", "--bare")
    run("fast-import", "--quiet", "--done", stdin="".join(FastImportStream(commits, tags).stream()).encode())
    run("remote", "add", "origin", "https://github.com/acme/shop.git")
    run("update-ref", "refs/heads/main", "refs/heads/work")
    run("symbolic-ref", "HEAD", "refs/heads/main")
    run("repack", "-adq")


if __name__ == "__main__":
    make(Path(sys.argv[1]), *map(int, sys.argv[2:] or ("18000", "300")))

"""Makes a git repository with a long history: `python bench/git_history.py FOLDER [COMMITS [TAGS]]`.

Pull requests that were merged or squashed, direct commits, plain merges, reverts, bots; always the same ones.
"""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

START = int(datetime(2023, 11, 1, tzinfo=UTC).timestamp())
YEARS = 3 * 365 * 86400
BODY = (
    "The basket forgot what was in it when the service restarted.\n\nIt is written down now, and read at the start.\n"
)


class History:
    """A stream for `git fast-import`, commit by commit."""

    def __init__(self, commits: int, tags: int, seed: int = 7) -> None:
        self._chance = random.Random(seed)
        self._commits, self._tags = commits, tags
        self._made = 0
        self._main = 0
        self._number = 0

    def stream(self) -> Iterator[str]:
        released = 0
        while self._made < self._commits:
            yield from self._chance.choices((self._merged, self._squashed, self._direct, self._plain), (4, 5, 2, 1))[
                0
            ]()
            due = self._made * self._tags // self._commits
            while released < due:
                released += 1
                yield self._tag(released)
        yield "done\n"

    def _time(self) -> int:
        return START + self._made * YEARS // self._commits

    def _commit(self, message: str, *parents: int, waited: int = 0, committed: int | None = None) -> str:
        self._made += 1
        authors = ("Ada <ada@example.org>", "dependabot[bot] <1+dependabot[bot]@users.noreply.github.com>")
        author = self._chance.choices(authors, (9, 1))[0]
        at = committed or self._time()
        links = "".join(f"{'merge' if place else 'from'} :{mark}\n" for place, mark in enumerate(parents) if mark)
        text = f"file {self._made}\n"
        return (
            f"commit refs/heads/work\nmark :{self._made}\nauthor {author} {at - waited} +0000\n"
            f"committer Ada <ada@example.org> {at} +0000\ndata {len(message.encode())}\n{message}\n{links}"
            f"M 644 inline src/{self._made % 97}/{self._made % 89}.txt\ndata {len(text)}\n{text}\n"
        )

    def _branch(self) -> Iterator[str]:
        """Some commits beside the main branch; what they end with is the newest mark."""
        at = self._main
        for _ in range(self._chance.randint(1, 5)):
            yield self._commit(f"Step {self._made}\n\n{BODY}", at, waited=self._chance.randint(0, 90_000))
            at = self._made

    def _merged(self) -> Iterator[str]:
        yield from self._branch()
        self._number += 1
        message = f"Merge pull request #{self._number} from acme/topic-{self._number}\n\nKeep the basket\n"
        yield self._commit(message, self._main, self._made)
        self._main = self._made

    def _plain(self) -> Iterator[str]:
        yield from self._branch()
        yield self._commit(f"Merge branch 'topic-{self._made}'\n", self._main, self._made)
        self._main = self._made

    def _squashed(self) -> Iterator[str]:
        self._number += 1
        title, body = f"Keep the basket, part {self._number}", BODY
        if self._chance.random() < 0.02 and self._number > 20:
            title, body = (
                f'Revert "Keep the basket, part {self._number - 9}"',
                f"Reverts acme/shop#{self._number - 9}\n",
            )
        yield self._commit(f"{title} (#{self._number})\n\n{body}", self._main, waited=self._chance.randint(0, 9000))
        self._main = self._made

    def _direct(self) -> Iterator[str]:
        yield self._commit(f"Tidy up {self._made}\n\n{BODY}", self._main)
        self._main = self._made

    def _tag(self, number: int) -> str:
        """Four in five are annotated; each tenth raises the patch number only."""
        minor, patch = number - number // 10, int(number % 10 == 0)
        name = f"v1.{minor}.{patch}"
        if number % 5 == 0:
            return f"reset refs/tags/{name}\nfrom :{self._main}\n\n"
        return f"tag {name}\nfrom :{self._main}\ntagger Ada <ada@example.org> {self._time() + 600} +0000\ndata 0\n\n"


def make(folder: Path, commits: int, tags: int) -> None:
    """A bare, packed repository."""
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    git = ["git", "-C", str(folder)]
    folder.mkdir(parents=True)

    def run(*arguments: str, given: bytes | None = None) -> None:
        subprocess.run([*git, *arguments], input=given, check=True, env={**os.environ, **settings})

    run("init", "--quiet", "--bare")
    run("fast-import", "--quiet", "--done", given="".join(History(commits, tags).stream()).encode())
    run("remote", "add", "origin", "https://github.com/acme/shop.git")
    run("update-ref", "refs/heads/main", "refs/heads/work")
    run("symbolic-ref", "HEAD", "refs/heads/main")
    run("repack", "-adq")


if __name__ == "__main__":
    make(Path(sys.argv[1]), *map(int, sys.argv[2:] or ("18000", "300")))

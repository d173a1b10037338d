"""Real git repositories, commit by commit, and what `report` makes of them.

Times are those of `support.making`: of the year 2024 and in UTC, `03-05T12:00`.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

from dora_metrics.cli import run
from dora_metrics.runtime import World
from support.facts import at

NOW = "2024-04-01T00:00:00Z"
ADA = "Ada <ada@example.org>"
CLEAN = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}
"""The same git on every machine."""

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@dataclass(frozen=True)
class Repository:
    """A repository in a folder. Commits hold no files: a history is all that is read."""

    folder: Path

    @classmethod
    def new(cls, folder: Path, *options: str, origin: str | None = "https://github.com/acme/shop.git") -> "Repository":
        made = cls(folder)
        folder.mkdir(parents=True)
        made.git("init", "--quiet", "--initial-branch=main", *options)
        made.git("hash-object", "-t", "tree", "-w", "--stdin")
        if origin:
            made.git("remote", "add", "origin", origin)
        return made

    def git(self, *arguments: str, given: str | bytes = b"", **variables: str) -> str:
        data = given.encode() if isinstance(given, str) else given
        done = subprocess.run(
            ["git", "-C", str(self.folder), *arguments],
            input=data,
            capture_output=True,
            check=False,
            env={**CLEAN, **variables},
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode("utf-8", "replace").strip()

    def commit(
        self,
        message: str,
        *parents: str,
        at: str = "03-01",
        authored: str | None = None,
        author: str = ADA,
        committer: str = ADA,
    ) -> str:
        """A commit, and the branch main on it."""
        lines = [
            f"tree {EMPTY_TREE}",
            *(f"parent {parent}" for parent in parents),
            f"author {author} {seconds(authored or at)} +0000",
            f"committer {committer} {seconds(at)} +0000",
        ]
        return self.write("\n".join([*lines, "", message + "\n"]).encode())

    def write(self, raw: bytes) -> str:
        """A commit from its bytes, whatever they say."""
        sha = self.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", given=raw)
        self.git("update-ref", "refs/heads/main", sha)
        return sha

    def tag(self, name: str, target: str, at: str | None = None) -> None:
        """A tag; an annotated one where it has a time of its own."""
        if at is None:
            self.git("update-ref", f"refs/tags/{name}", target)
            return
        kind = self.git("cat-file", "-t", target)
        raw = f"object {target}\ntype {kind}\ntag {name}\ntagger {ADA} {seconds(at)} +0000\n\n{name}\n"
        self.git("update-ref", f"refs/tags/{name}", self.git("mktag", given=raw))

    def release(self, name: str, message: str, *parents: str, at: str, tagged: str | None = None) -> str:
        """A commit and a tag on it."""
        sha = self.commit(message, *parents, at=at)
        self.tag(name, sha, tagged)
        return sha


def merge(number: int, branch: str = "acme/topic", title: str = "A title") -> str:
    return f"Merge pull request #{number} from {branch}\n\n{title}"


def two(repository: Repository) -> tuple[str, str]:
    """Two releases; the second brings one commit that waited a day."""
    first = repository.release("v1.0.0", "Start", at="03-01")
    return first, repository.release("v1.1.0", "More", first, at="03-02", tagged="03-03")


def seconds(text: str) -> int:
    """A time, or the number itself that git is to write."""
    return int(text) if text.lstrip("-").isdecimal() else int(at(text).timestamp())


@dataclass(frozen=True)
class Reported:
    """What `report` said."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        assert (self.code, self.err) == (0, ""), self.err
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def problem(self) -> str:
        assert (self.code, self.out) == (2, "")
        return self.err.removeprefix("dora-metrics: ").strip()

    @property
    def notes(self) -> str:
        return "\n".join(self.answer["notes"])

    @property
    def scope(self) -> dict[str, Any]:
        """The only scope."""
        (scope,) = self.answer["scopes"]
        found: dict[str, Any] = scope
        return found

    @property
    def metrics(self) -> dict[str, Any]:
        found: dict[str, Any] = self.scope["metrics"]
        return found

    @property
    def deployments(self) -> dict[str, dict[str, Any]]:
        """The evidence of each deployment, by its tag."""
        return {one["deployment"].removeprefix("git:tag:"): one for one in self.scope["evidence"]["deployments"]}

    @property
    def changes(self) -> dict[str, list[str] | None]:
        """What each tag brought: `#7` for a pull request, else the sha of a commit."""
        found = ((tag, one["changes"]) for tag, one in self.deployments.items())
        return {tag: ids if ids is None else [short(one) for one in ids] for tag, ids in found}

    @property
    def hours(self) -> dict[str, float]:
        """The lead time of each change that has one."""
        return {short(one["change"]): one["seconds"] / 3600 for one in self.scope["evidence"]["lead_times"]}

    @property
    def failures(self) -> dict[str, str]:
        """The tags that failed, and by which rule."""
        found = self.scope["evidence"]["failed_deployments"]
        return {one["deployment"].removeprefix("git:tag:"): one["rule"] for one in found}


def short(identity: str) -> str:
    return identity.removeprefix("github:pull:acme/shop").removeprefix("commit:")


@dataclass(frozen=True)
class Report:
    """The command, in a folder of its own; every window is `all`, unless a flag says otherwise."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, place: object, *flags: str, window: str = "all", now: str = NOW) -> Reported:
        (self.folder / "none.yml").write_text("", "utf-8")
        config = ["--config", str(self.folder / "none.yml")]
        given = ["report", "--git", str(place), *config, "--window", window, "--now", now, *flags]
        out, err = StringIO(), StringIO()
        world = World({**CLEAN, **self.variables}, BytesIO(), out, err, at("04-01"), lambda _: None)
        code = run(given, world)
        return Reported(code, out.getvalue(), err.getvalue())

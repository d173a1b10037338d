"""Real git repositories, made commit by commit, and the output of `report` on them.

Times are as in `support.facts`: in 2024 and in UTC, such as `03-05T12:00`.
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
from dora_metrics.runtime import Runtime
from support.facts import at

NOW = "2024-04-01T00:00:00Z"
ADA = "Ada <ada@example.org>"
CLEAN_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}
"""Environment in which git behaves the same on every machine."""

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@dataclass(frozen=True)
class GitRepository:
    """A repository in a folder. Commits hold no files, since only the history is read."""

    folder: Path

    @classmethod
    def create(
        cls, folder: Path, *options: str, origin: str | None = "https://github.com/acme/shop.git"
    ) -> "GitRepository":
        repository = cls(folder)
        folder.mkdir(parents=True)
        repository.git("init", "--quiet", "--initial-branch=main", *options)
        repository.git("hash-object", "-t", "tree", "-w", "--stdin")
        if origin:
            repository.git("remote", "add", "origin", origin)
        return repository

    def git(self, *arguments: str, stdin: str | bytes = b"", **variables: str) -> str:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        completed = subprocess.run(
            ["git", "-C", str(self.folder), *arguments],
            input=data,
            capture_output=True,
            check=False,
            env={**CLEAN_ENVIRONMENT, **variables},
        )
        assert completed.returncode == 0, completed.stderr.decode()
        return completed.stdout.decode("utf-8", "replace").strip()

    def commit(
        self,
        message: str,
        *parents: str,
        at: str = "03-01",
        authored: str | None = None,
        author: str = ADA,
        committer: str = ADA,
    ) -> str:
        """Write a commit and move main to it; return its sha."""
        lines = [
            f"tree {EMPTY_TREE}",
            *(f"parent {parent}" for parent in parents),
            f"author {author} {unix_seconds(authored or at)} +0000",
            f"committer {committer} {unix_seconds(at)} +0000",
        ]
        return self.write_commit("\n".join([*lines, "", message + "\n"]).encode())

    def write_commit(self, raw: bytes) -> str:
        """Write a commit from raw bytes, valid or not, and move main to it."""
        sha = self.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=raw)
        self.git("update-ref", "refs/heads/main", sha)
        return sha

    def tag(self, name: str, target: str, at: str | None = None) -> None:
        """Create a tag: annotated if `at` is given, otherwise lightweight."""
        if at is None:
            self.git("update-ref", f"refs/tags/{name}", target)
            return
        kind = self.git("cat-file", "-t", target)
        raw = f"object {target}\ntype {kind}\ntag {name}\ntagger {ADA} {unix_seconds(at)} +0000\n\n{name}\n"
        self.git("update-ref", f"refs/tags/{name}", self.git("mktag", stdin=raw))

    def release(self, name: str, message: str, *parents: str, at: str, tagged: str | None = None) -> str:
        """Write a commit and a tag on it; return the sha."""
        sha = self.commit(message, *parents, at=at)
        self.tag(name, sha, tagged)
        return sha


def merge_message(number: int, branch: str = "acme/topic", title: str = "A title") -> str:
    return f"Merge pull request #{number} from {branch}\n\n{title}"


def two_releases(repository: GitRepository) -> tuple[str, str]:
    """Create two releases; the second delivers one commit that waited a day."""
    first = repository.release("v1.0.0", "Start", at="03-01")
    return first, repository.release("v1.1.0", "More", first, at="03-02", tagged="03-03")


def unix_seconds(text: str) -> int:
    """Unix seconds of a time; digits are taken as they are."""
    return int(text) if text.lstrip("-").isdecimal() else int(at(text).timestamp())


@dataclass(frozen=True)
class ReportRun:
    """Exit code and output of `report`."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        assert (self.code, self.err) == (0, ""), self.err
        document: dict[str, Any] = json.loads(self.out)
        return document

    @property
    def problem(self) -> str:
        assert (self.code, self.out) == (2, "")
        return self.err.removeprefix("dora-metrics: ").strip()

    @property
    def notes(self) -> str:
        return "\n".join(self.document["notes"])

    @property
    def scope(self) -> dict[str, Any]:
        """The only scope."""
        (scope,) = self.document["scopes"]
        typed_scope: dict[str, Any] = scope
        return typed_scope

    @property
    def metrics(self) -> dict[str, Any]:
        metrics: dict[str, Any] = self.scope["metrics"]
        return metrics

    @property
    def deployments(self) -> dict[str, dict[str, Any]]:
        """Evidence of each deployment, by tag."""
        return {
            evidence["deployment"].removeprefix("git:tag:"): evidence
            for evidence in self.scope["evidence"]["deployments"]
        }

    @property
    def changes(self) -> dict[str, list[str] | None]:
        """Changes that each tag delivered: `#7` for a pull request, otherwise the sha of a commit."""
        changes_by_tag = ((tag, evidence["changes"]) for tag, evidence in self.deployments.items())
        return {tag: ids if ids is None else [short_id(change) for change in ids] for tag, ids in changes_by_tag}

    @property
    def lead_time_hours(self) -> dict[str, float]:
        """Lead time in hours of each change that has one."""
        return {
            short_id(lead_time["change"]): lead_time["seconds"] / 3600
            for lead_time in self.scope["evidence"]["lead_times"]
        }

    @property
    def failure_rules(self) -> dict[str, str]:
        """The failed tags, each with its rule."""
        failed_deployments = self.scope["evidence"]["failed_deployments"]
        return {failure["deployment"].removeprefix("git:tag:"): failure["rule"] for failure in failed_deployments}


def short_id(identity: str) -> str:
    return identity.removeprefix("github:pull:acme/shop").removeprefix("commit:")


@dataclass(frozen=True)
class ReportCommand:
    """The command, run in its own folder. The window is `all` unless a flag says otherwise."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, repository_path: object, *flags: str, window: str = "all", now: str = NOW) -> ReportRun:
        (self.folder / "none.yml").write_text("", "utf-8")
        config = ["--config", str(self.folder / "none.yml")]
        arguments = ["report", "--git", str(repository_path), *config, "--window", window, "--now", now, *flags]
        out, err = StringIO(), StringIO()
        world = Runtime({**CLEAN_ENVIRONMENT, **self.variables}, BytesIO(), out, err, at("04-01"), lambda _: None)
        code = run(arguments, world)
        return ReportRun(code, out.getvalue(), err.getvalue())

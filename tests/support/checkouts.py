"""Checkouts to be looked at, and `dora-metrics init` run on them with caught streams."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path

import yaml

from dora_metrics.cli import run
from dora_metrics.commands.init.findings import Found, OnGitHub
from dora_metrics.commands.init.gather import ask, gather
from dora_metrics.commands.init.proposal import Proposal, decide
from dora_metrics.runtime import World
from support.git_repository import CLEAN
from support.runs import NOW

__all__ = ["ask"]

WORKFLOW, CONFIG, FORM = ".github/workflows/dora.yml", ".github/dora.yml", ".github/ISSUE_TEMPLATE/incident.yml"

DEPLOY = """\
name: Ship it
on: {push: {branches: [main]}}
jobs:
  staging:
    environment: staging
    runs-on: ubuntu-latest
    steps: [{run: ./deploy}]
  deploy:
    environment:
      name: production
      url: https://shop.example
    runs-on: ubuntu-latest
    steps: [{run: ./deploy}]
"""
RELEASE = """\
on: {push: {branches: [main]}}
name: Release please
jobs:
  release-please:
    runs-on: ubuntu-latest
    steps:
      - uses: googleapis/release-please-action@v4
"""
CI = "name: CI\non: [push, pull_request]\njobs: {test: {runs-on: ubuntu-latest, steps: [{run: make test}]}}\n"


class Terminal(BytesIO):
    """Where somebody types."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Ran:
    code: int
    said: str
    complained: str


@dataclass(frozen=True)
class Checkout:
    """A folder with files, and, if it is one, a git repository."""

    folder: Path

    @classmethod
    def of(
        cls,
        folder: Path,
        files: Mapping[str, str | bytes] | None = None,
        *,
        origin: str | None = "https://github.com/acme/shop.git",
        tags: Sequence[str] = (),
    ) -> "Checkout":
        made = cls(folder / "checkout")
        made.folder.mkdir()
        for name, content in (files or {}).items():
            made.put(name, content)
        made.git("init", "--quiet", "--initial-branch=main")
        if origin:
            made.git("remote", "add", "origin", origin)
        made.git("add", "--all")
        made.git("commit", "--quiet", "--allow-empty", "--message=Begin")
        for tag in tags:
            made.git("tag", tag)
        return made

    def put(self, name: str, content: str | bytes) -> None:
        place = self.folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.folder, check=True, env=CLEAN)

    def files(self) -> dict[str, bytes]:
        """All files but git's, by their names."""
        found = (one for one in self.folder.rglob("*") if one.is_file() and ".git" not in one.parts)
        return {one.relative_to(self.folder).as_posix(): one.read_bytes() for one in found}

    def text(self, name: str) -> str:
        return (self.folder / name).read_text("utf-8")

    def proposal(self, github: OnGitHub | None = None, environment: Mapping[str, str] | None = None) -> Proposal:
        return decide(Found(gather(self.folder, {**CLEAN, **(environment or {})}), github, "nobody was asked"))

    def init(self, *options: str, answer: str | None = None, environment: Mapping[str, str] | None = None) -> Ran:
        """The command; `answer` is what is typed at a terminal, without one there is none."""
        stdin = BytesIO() if answer is None else Terminal(f"{answer}\n".encode())
        stdout, stderr = StringIO(), StringIO()
        world = World({**CLEAN, **(environment or {})}, stdin, stdout, stderr, NOW, lambda _: None)
        code = run(["init", "--directory", str(self.folder), *options], world)
        return Ran(code, stdout.getvalue(), stderr.getvalue())


def workflow(name: str, **jobs: object) -> str:
    """A workflow that runs at a push."""
    return yaml.safe_dump({"name": name, "on": {"push": None}, "jobs": jobs}, allow_unicode=True)

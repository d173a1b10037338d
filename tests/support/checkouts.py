"""Checkouts for `dora-metrics init`, and the command run on them with captured streams."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path

import yaml

from dora_metrics.cli import run
from dora_metrics.commands.init.findings import Findings, GitHubFindings
from dora_metrics.commands.init.gather import gather_checkout, query_github
from dora_metrics.commands.init.proposal import Proposal, propose
from dora_metrics.runtime import Runtime
from support.git_repository import CLEAN_ENVIRONMENT
from support.runs import NOW

__all__ = ["query_github"]

WORKFLOW_PATH, CONFIG_PATH, FORM_PATH = (
    ".github/workflows/dora.yml",
    ".github/dora.yml",
    ".github/ISSUE_TEMPLATE/incident.yml",
)

DEPLOY_WORKFLOW = """\
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
RELEASE_WORKFLOW = """\
on: {push: {branches: [main]}}
name: Release please
jobs:
  release-please:
    runs-on: ubuntu-latest
    steps:
      - uses: googleapis/release-please-action@v4
"""
CI_WORKFLOW = "name: CI\non: [push, pull_request]\njobs: {test: {runs-on: ubuntu-latest, steps: [{run: make test}]}}\n"


class Terminal(BytesIO):
    """Standard input that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class InitRun:
    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Checkout:
    """A folder with files that is a git repository."""

    folder: Path

    @classmethod
    def create(
        cls,
        folder: Path,
        files: Mapping[str, str | bytes] | None = None,
        *,
        origin: str | None = "https://github.com/acme/shop.git",
        tags: Sequence[str] = (),
    ) -> "Checkout":
        checkout = cls(folder / "checkout")
        checkout.folder.mkdir()
        for name, content in (files or {}).items():
            checkout.write_file(name, content)
        checkout.git("init", "--quiet", "--initial-branch=main")
        if origin:
            checkout.git("remote", "add", "origin", origin)
        checkout.git("add", "--all")
        checkout.git("commit", "--quiet", "--allow-empty", "--message=Begin")
        for tag in tags:
            checkout.git("tag", tag)
        return checkout

    def write_file(self, name: str, content: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def git(self, *arguments: str, **environment: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.folder, check=True, env=CLEAN_ENVIRONMENT | environment)

    def git_output(self, *arguments: str, stdin: str = "") -> str:
        return subprocess.check_output(
            ["git", *arguments], cwd=self.folder, env=CLEAN_ENVIRONMENT, input=stdin.encode()
        ).decode()

    def files(self) -> dict[str, bytes]:
        """Contents of all files except git's, by path."""
        paths = (path for path in self.folder.rglob("*") if path.is_file() and ".git" not in path.parts)
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in paths}

    def text(self, name: str) -> str:
        return (self.folder / name).read_text("utf-8")

    def findings(self, github: GitHubFindings | None = None, environment: Mapping[str, str] | None = None) -> Findings:
        checkout = gather_checkout(self.folder, {**CLEAN_ENVIRONMENT, **(environment or {})})
        return Findings(checkout, github, "nobody was asked")

    def proposal(self, github: GitHubFindings | None = None, environment: Mapping[str, str] | None = None) -> Proposal:
        return propose(self.findings(github, environment))

    def run_init(
        self,
        *options: str,
        answer: str | None = None,
        environment: Mapping[str, str] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> InitRun:
        """Run the command. `answer` is typed at a terminal; None means there is no terminal."""
        stdin = BytesIO() if answer is None else Terminal(f"{answer}\n".encode())
        stdout, stderr = StringIO(), StringIO()
        variables = {**CLEAN_ENVIRONMENT, **(environment or {})}
        world = Runtime(variables, stdin, stdout, stderr, NOW, lambda _: None, monotonic=monotonic)
        code = run(["init", "--directory", str(self.folder), *options], world)
        return InitRun(code, stdout.getvalue(), stderr.getvalue())


def workflow(name: str, **jobs: object) -> str:
    """A workflow that runs on push."""
    return yaml.safe_dump({"name": name, "on": {"push": None}, "jobs": jobs}, allow_unicode=True)

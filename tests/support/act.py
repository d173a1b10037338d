"""Run workflows on this machine with act: the real action.yml, run.sh and program.

act differs from GitHub's runner in two ways: it leaks INPUT_* variables into composite actions, and it empties its
single summary file after each step. https://nektosact.com/not_supported.html
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from support.paths import ROOT
from support.tools import require_tool

PASSED_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")

DEPLOYMENT_JOB_HEAD = """
on: deployment_status
jobs:
  metrics:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4 # act does it by itself, and needs it
      - id: dora
        uses: acme/dora-metrics@v1
        with:
"""
"""Start of a workflow that calls the action on `deployment_status`; the inputs below `with:` are appended."""


@dataclass(frozen=True)
class ActRun:
    """The exit code and log of one act run."""

    code: int
    log: str

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]

    @property
    def output(self) -> str:
        return "".join(message["msg"] for message in self.messages if message.get("raw_output"))

    @property
    def outputs(self) -> dict[str, str]:
        """Outputs of the action's only step, as the composite action passes them on."""
        output_messages = [message for message in self.messages if message.get("command") == "set-output"]
        return {message["name"]: message["arg"] for message in output_messages if message["stepID"] == ["dora"]}

    @property
    def summary(self) -> str:
        summary_messages = [message for message in self.messages if message.get("command") == "summary"]
        return summary_messages[-1]["content"] if summary_messages else ""


def copy_action(target: Path) -> Path:
    """Copy only the files that the action consists of; act would copy the whole repository."""
    ignored = shutil.ignore_patterns("__pycache__", "image")
    for name in ("action", "requirements", "src", "templates"):
        shutil.copytree(ROOT / name, target / name, ignore=ignored)
    for name in ("action.yml", "Dockerfile"):
        shutil.copy(ROOT / name, target)
    return target


UV_WITH_PACKAGES = """#!/bin/sh
# uv whose `pip install` takes the packages that the tests run with, so that no network is needed.
[ "$1" = pip ] || exec {uv} "$@"
while [ "$1" != --python ]; do shift; done
exec "$2" -c "import sysconfig; open(sysconfig.get_path('purelib') + '/tests.pth', 'w').write('{packages}')"
"""


def create_programs(folder: Path) -> Path:
    """A folder for the PATH with this Python, and a uv that installs the packages that are there already."""
    folder.mkdir()
    (folder / "python3").symlink_to(sys.executable)
    (folder / "uv").write_text(
        UV_WITH_PACKAGES.format(uv=require_tool("uv"), packages=sysconfig.get_path("purelib")), "utf-8"
    )
    (folder / "uv").chmod(0o755)
    return folder


def deployment_event(number: int = 145988746) -> dict[str, Any]:
    """A payload of a deployment that has just succeeded."""
    now = datetime.now(UTC) - timedelta(hours=1)
    at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "action": "created",
        "deployment_status": {
            "id": 209916254,
            "state": "success",
            "environment": "production",
            "environment_url": "",
            "log_url": "",
            "target_url": "",
            "description": "",
            "created_at": at,
            "updated_at": at,
            "creator": {"login": "octocat", "type": "User"},
        },
        "deployment": {
            "id": number,
            "sha": "f95f852bd8fca8fcc58a9a2d6c842781e32a215e",
            "ref": "main",
            "task": "deploy",
            "payload": {},
            "original_environment": "production",
            "environment": "production",
            "description": None,
            "created_at": at,
            "updated_at": at,
            "creator": {"login": "octocat", "type": "User"},
        },
        "repository": {
            "id": 186853002,
            "name": "shop",
            "full_name": "acme/shop",
            "default_branch": "main",
            "html_url": "https://github.com/acme/shop",
            "owner": {"login": "acme"},
        },
    }


def create_checkout(folder: Path, workflow: str, called_workflows: Mapping[str, str]) -> Path:
    """Create a checkout of acme/shop with this workflow and the workflows that it calls, by file name."""
    git = require_tool("git")
    (folder / ".github" / "workflows").mkdir(parents=True)
    for name, text in {**called_workflows, "metrics.yml": workflow}.items():
        (folder / ".github" / "workflows" / name).write_text(text)
    # The workspace belongs to somebody else: its modules and its tools' settings must have no effect.
    (folder / "pydantic.py").write_text('raise SystemExit("the workspace was imported")')
    (folder / "pyproject.toml").write_text('[tool.uv]\nrequired-version = "==0.0.1"\n')
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["remote", "add", "origin", "https://github.com/acme/shop.git"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "--message=x"],
    ):
        subprocess.run([git, *arguments], cwd=folder, check=True)
    return folder


@dataclass(frozen=True)
class ActRunner:
    """How act is called: the copied action, GitHub's API, the job's secrets and the PATH."""

    action: Path
    api_url: str
    secrets: Mapping[str, str]
    path: tuple[Path, ...]
    called_workflows: Mapping[str, str] = field(default_factory=dict)

    def run(self, folder: Path, workflow: str, number: int = 145988746) -> ActRun:
        """Run a workflow on a `deployment_status` event."""
        return self.run_event(folder, workflow, "deployment_status", deployment_event(number))

    def run_event(self, folder: Path, workflow: str, name: str, payload: Mapping[str, Any]) -> ActRun:
        """Run a workflow on any event."""
        (folder / "event.json").write_text(json.dumps(payload))
        environment = {
            **{name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ},
            **self.secrets,
            "HOME": str(folder / "home"),
            "PATH": ":".join([*map(str, self.path), "/usr/local/bin", "/usr/bin", "/bin"]),
        }
        result = subprocess.run(
            self._command(name, folder / "event.json"),
            cwd=create_checkout(folder / "shop", workflow, self.called_workflows),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return ActRun(result.returncode, result.stdout)

    def _command(self, name: str, event: Path) -> list[str]:
        return [
            str(require_tool("act")),
            name,
            *("--workflows", ".github/workflows/metrics.yml"),
            *("--eventpath", str(event)),
            *("--platform", "ubuntu-latest=-self-hosted"),
            *("--local-repository", f"acme/dora-metrics@v1={self.action}"),
            *("--env", f"GITHUB_API_URL={self.api_url}", "--env", f"GITHUB_GRAPHQL_URL={self.api_url}/graphql"),
            *(argument for name in self.secrets for argument in ("--secret", name)),
            # Masking would hide a leak, so secrets stay readable.
            *("--json", "--insecure-secrets"),
        ]

"""The real action.yml, run.sh and program in a workflow, run by act on this machine.

What act does otherwise than GitHub's runner: it leaks INPUT_* into composites, and its one summary file is
emptied after each step. https://nektosact.com/not_supported.html
"""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from support.tools import needs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="act's host mode is used on Linux only")

ROOT = Path(__file__).parents[2]
SECRETS = {"GITHUB_TOKEN": "ghs_0123456789abcdef", "ENDPOINT_TOKEN": "endpoint-t0ken", "HMAC_KEY": "hm4c-k3y"}
PASSED_ON = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")

WORKFLOW = """
on: deployment_status
jobs:
  metrics:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4 # act does it by itself, and needs it
      - id: dora
        uses: acme/dora-metrics@v1
        with:
          runtime: RUNTIME
          ledger: dir:ledger
          deployment-source: deployments
          endpoint-url: API_URL/endpoint
          endpoint-token: ${{ secrets.ENDPOINT_TOKEN }}
          endpoint-secret: ${{ secrets.HMAC_KEY }}
      - run: grep -rhoE 'github:deployment:[0-9]+' ledger | sort -u
"""

# Docker as far as run.sh uses it: only the variables it names reach the "container", which is this Python.
STAND_IN = """#!{python}
import os, sys
from pathlib import Path

context = Path(__file__).with_name("context")
command, *words = sys.argv[1:]
if command == "image":
    sys.exit(0 if context.exists() else 1)
if command == "build":
    context.write_text(words[-1])
if command == "run":
    def values(option):
        return [words[place + 1] for place, word in enumerate(words) if word == option]
    for mount in values("--mount"):
        source = dict(pair.split("=") for pair in mount.split(",") if "=" in pair)["source"]
        assert Path(source).exists(), source
    os.chdir(*values("--workdir"))
    environment = {{name: os.environ[name] for name in values("--env")}}
    environment["PYTHONPATH"] = context.read_text() + "/src"
    print("the container starts", flush=True)
    os.execve(sys.executable, [sys.executable, "-P", "-m", "dora_metrics", words[-1]], environment)
"""


@dataclass(frozen=True)
class Run:
    """What act says about one run of the workflow."""

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
        """Return the outputs of the action, which its only step makes, and which it hands on."""
        said = [message for message in self.messages if message.get("command") == "set-output"]
        return {message["name"]: message["arg"] for message in said if message["stepID"] == ["dora"]}

    @property
    def summary(self) -> str:
        said = [message for message in self.messages if message.get("command") == "summary"]
        return said[-1]["content"] if said else ""


class Refusal(BaseHTTPRequestHandler):
    """An API that refuses everything, as GitHub's does where the token has no permission."""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b'{"message": "Resource not accessible by integration"}'
        self.send_response(403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815 - named by http.server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by http.server
        pass


@pytest.fixture
def api_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def action(tmp_path: Path) -> Path:
    """Return a copy of what the action consists of, since act would copy the whole repository."""
    target = tmp_path / "action"
    ignored = shutil.ignore_patterns("__pycache__", "image")
    for name in ("action", "requirements", "src"):
        shutil.copytree(ROOT / name, target / name, ignore=ignored)
    for name in ("action.yml", "Dockerfile"):
        shutil.copy(ROOT / name, target)
    return target


def event() -> dict[str, Any]:
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
            "id": 145988746,
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


def repository(place: Path, workflow: str) -> Path:
    git = needs("git")
    (place / ".github" / "workflows").mkdir(parents=True)
    (place / ".github" / "workflows" / "metrics.yml").write_text(workflow)
    # A workspace is not ours: neither its modules nor its tools' settings may have a say.
    (place / "pydantic.py").write_text('raise SystemExit("the workspace was imported")')
    (place / "pyproject.toml").write_text('[tool.uv]\nrequired-version = "==0.0.1"\n')
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["remote", "add", "origin", "https://github.com/acme/shop.git"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "--message=x"],
    ):
        subprocess.run([git, *arguments], cwd=place, check=True)
    return place


def act(tmp_path: Path, action: Path, api_url: str, *, runtime: str, path: list[Path]) -> Run:
    program = needs("act")
    uv_cache = subprocess.run([needs("uv"), "cache", "dir"], capture_output=True, text=True, check=True)
    workflow = WORKFLOW.replace("RUNTIME", runtime).replace("API_URL", api_url)
    (tmp_path / "event.json").write_text(json.dumps(event()))
    command = [
        str(program),
        "deployment_status",
        *("--eventpath", str(tmp_path / "event.json")),
        *("--platform", "ubuntu-latest=-self-hosted"),
        *("--local-repository", f"acme/dora-metrics@v1={action}"),
        *("--env", f"GITHUB_API_URL={api_url}", "--env", f"GITHUB_GRAPHQL_URL={api_url}/graphql"),
        *(word for name in SECRETS for word in ("--secret", name)),
        # Secrets as they are: act's masking would hide a leak.
        *("--json", "--insecure-secrets"),
    ]
    environment = {
        **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
        **SECRETS,
        "HOME": str(tmp_path / "home"),
        "PATH": ":".join([*map(str, path), "/usr/local/bin", "/usr/bin", "/bin"]),
        # The real one: with it, only the first run ever needs a network.
        "UV_CACHE_DIR": uv_cache.stdout.strip(),
    }
    result = subprocess.run(
        command,
        cwd=repository(tmp_path / "shop", workflow),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Run(result.returncode, result.stdout)


def check(run: Run) -> None:
    assert run.code == 0, run.log
    assert "github:deployment:145988746\n" in run.output
    assert "production" in run.summary
    assert float(run.outputs["deployment-frequency"]) > 0
    assert run.outputs["change-failure-rate"] in {"0", "0.0"}
    assert json.loads(run.outputs["metrics"])["scopes"][0]["environment"] == "production"
    assert [fact["id"] for fact in json.loads(run.outputs["facts"])] == ["github:deployment:145988746"]
    assert [name for name, secret in SECRETS.items() if secret in run.log] == []


def test_a_deployment_is_recorded_and_shown_by_the_runners_own_python(
    tmp_path: Path, action: Path, api_url: str
) -> None:
    run = act(tmp_path, action, api_url, runtime="python", path=[Path(sys.executable).parent])

    check(run)


def test_a_deployment_is_recorded_and_shown_by_the_container(tmp_path: Path, action: Path, api_url: str) -> None:
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(STAND_IN.format(python=sys.executable))
    docker.chmod(0o755)

    run = act(tmp_path, action, api_url, runtime="auto", path=[docker.parent])

    assert "the container starts" in run.output
    check(run)

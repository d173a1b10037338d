"""The real action.yml, run.sh and program in a workflow, run by act."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from support.act import DEPLOYMENT_JOB_HEAD, ActRun, ActRunner, copy_action

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="act's host mode is used on Linux only")

SECRETS = {"GITHUB_TOKEN": "ghs_0123456789abcdef", "ENDPOINT_TOKEN": "endpoint-t0ken", "HMAC_KEY": "hm4c-k3y"}

WORKFLOW = (
    DEPLOYMENT_JOB_HEAD
    + """\
          runtime: RUNTIME
          ledger: dir:ledger
          deployment-source: deployments
          endpoint-url: API_URL/endpoint
          endpoint-token: ${{ secrets.ENDPOINT_TOKEN }}
          endpoint-secret: ${{ secrets.HMAC_KEY }}
      - run: grep -rhoE 'github:deployment:[0-9]+' ledger | sort -u
"""
)

# Docker as far as run.sh uses it: only the variables it names reach the "container", which is this Python.
DOCKER_STUB = """#!{python}
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


class RefusingApi(BaseHTTPRequestHandler):
    """An API that refuses every request, as GitHub does if the token has no permission."""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b'{"message": "Resource not accessible by integration"}'
        self.send_response(403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815 - names that http.server requires

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - names that http.server requires
        pass


@pytest.fixture
def api_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), RefusingApi) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def run_act(folder: Path, api_url: str, *, runtime: str, path: Path) -> ActRun:
    action = copy_action(folder / "action")
    workflow = WORKFLOW.replace("RUNTIME", runtime).replace("API_URL", api_url)
    return ActRunner(action, api_url, SECRETS, (path,)).run(folder, workflow)


def check_run(run: ActRun) -> None:
    assert run.code == 0, run.log
    assert "github:deployment:145988746\n" in run.output
    assert "production" in run.summary
    assert float(run.outputs["deployment-frequency"]) > 0
    assert run.outputs["change-failure-rate"] in {"0", "0.0"}
    assert json.loads(run.outputs["metrics"])["scopes"][0]["environment"] == "production"
    assert [fact["id"] for fact in json.loads(run.outputs["facts"])] == ["github:deployment:145988746"]
    assert [name for name, secret in SECRETS.items() if secret in run.log] == []


def test_a_deployment_is_recorded_and_shown_by_the_runners_own_python(tmp_path: Path, api_url: str) -> None:
    run = run_act(tmp_path, api_url, runtime="python", path=Path(sys.executable).parent)

    check_run(run)


def test_a_deployment_is_recorded_and_shown_by_the_container(tmp_path: Path, api_url: str) -> None:
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER_STUB.format(python=sys.executable))
    docker.chmod(0o755)

    run = run_act(tmp_path, api_url, runtime="auto", path=docker.parent)

    assert "the container starts" in run.output
    check_run(run)

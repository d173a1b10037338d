"""NUL characters and unpaired surrogates, wherever they come from: cleaned or named, never a traceback."""

import json
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest

from dora_metrics import cli
from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.runtime import Runtime
from support.events import dispatch
from support.facts import at, deployment
from support.runs import deployment_status, run_action

BAD = ["\ud800", "a\udcffb", "\0", "a\0b"]
FACT = encode_fact(deployment(1, "03-05T12:00")) + b"\n"


def run(*arguments: str, facts: bytes = FACT) -> tuple[int, str, str]:
    out, errors = StringIO(), StringIO()
    runtime = Runtime({}, BytesIO(facts), out, errors, at("04-01"), lambda _: None)
    code = cli.run(["compute", "--facts", "-", *arguments], runtime)
    for text in (out.getvalue(), errors.getvalue()):
        text.encode()
    return code, out.getvalue(), errors.getvalue()


@pytest.mark.parametrize("bad", BAD)
def test_in_inputs(tmp_path: Path, bad: str) -> None:
    own_job = {"environment": f"production{bad}", "status": "success", "service": f"till{bad}", "version": f"v1{bad}"}
    ran = run_action(tmp_path, "workflow_dispatch", {"inputs": {}}, own_job)
    assert ran.code == 0
    assert str(ran.facts[0]["environment"]).startswith("production")
    wrong = run_action(tmp_path, "push", {"ref": "refs/heads/main"}, {f"windo{bad}w": "7d", "timezone": f"UTC{bad}x"})
    assert wrong.code == 2
    assert "timezone" in wrong.log


@pytest.mark.parametrize("bad", ["\udcff", "a\udcffb"])
def test_in_the_environment(tmp_path: Path, bad: str) -> None:
    names = ("GITHUB_REPOSITORY", "GITHUB_SHA", "GITHUB_REF", "GITHUB_RUN_ID", "GITHUB_WORKFLOW", "GITHUB_JOB")
    for name in names:
        ran = run_action(tmp_path, "deployment_status", deployment_status(), environment={name: f"acme/shop{bad}"})
        assert ran.code == 0, name
        assert len(ran.facts) == 1, name


@pytest.mark.parametrize("bad", BAD)
def test_in_a_payload(tmp_path: Path, bad: str) -> None:
    payload: dict[str, Any] = dispatch(
        "dora-deployment", id="1", version=f"v{bad}", service=f"till{bad}", url=f"x{bad}"
    )
    payload["client_payload"][f"key{bad}"] = bad
    ran = run_action(tmp_path, "repository_dispatch", payload)
    assert (ran.code, len(ran.facts)) == (0, 1)
    refused = run_action(tmp_path, "repository_dispatch", dispatch("dora-deployment", id="1", status=f"x{bad}"))
    assert (refused.code, refused.facts) == (0, [])


@pytest.mark.parametrize("bad", BAD)
def test_in_flags(bad: str) -> None:
    assert run(f"--service=till{bad}")[0] == 0
    assert run(f"--window=30{bad}d!")[0] == 2
    assert run(f"--explain=nothing{bad}")[0] == 2


@pytest.mark.parametrize("bad", ["\\ud800", "a\\udcffb", "\\0", "a\\0b"])
def test_in_the_config_file(tmp_path: Path, bad: str) -> None:
    (tmp_path / "dora.yml").write_text(f'service: "till{bad}"\nservices: {{"web{bad}": ["web/{bad}/**"]}}\n', "utf-8")
    code, _, errors = run(f"--config={tmp_path / 'dora.yml'}")
    assert code in (0, 2)
    assert bool(errors) == bool(code)


def test_a_value_that_doubles_itself_is_refused_before_it_is_made(tmp_path: Path) -> None:
    levels = "\n".join(f"x{n}: &x{n} [*x{n - 1}, *x{n - 1}]" for n in range(1, 60))
    (tmp_path / "dora.yml").write_text(f"x0: &x0 [a]\n{levels}\n", "utf-8")
    code, _, errors = run(f"--config={tmp_path / 'dora.yml'}")
    assert (code, "its aliases stand for more than 500,000 characters" in errors) == (2, True)


def test_inputs_that_are_nested_deeply_are_named(tmp_path: Path) -> None:
    deep: Any = "x"
    for _ in range(400):
        deep = [deep]
    ran = run_action(
        tmp_path, "push", {"ref": "refs/heads/main"}, environment={"DORA_INPUTS": json.dumps({"window": deep})}
    )
    assert ran.code == 2
    assert "::error" in ran.log


@pytest.mark.parametrize("bad", [b"\\ud800", b"\\u0000", b"\x00", b"\xed\xa0\x80"])
def test_in_a_facts_file(bad: bytes) -> None:
    code, out, errors = run(facts=FACT.replace(b'"shop"', b'"sh%sop"' % bad))
    assert (code == 0 and json.loads(out)) or errors.startswith("dora-metrics: standard input:1: ")

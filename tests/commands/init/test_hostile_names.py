"""Names in a checkout and on GitHub are strangers' texts: `init` shows and writes them as names."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dora_metrics.commands.init.files import DEFAULT_ACTION, TEMPLATE_NAMES, render_files
from dora_metrics.commands.init.findings import GitHubDeployment, GitHubFindings
from dora_metrics.templates import load_template
from support.checkouts import CONFIG_PATH, FORM_PATH, WORKFLOW_PATH, Checkout, workflow
from support.hostile_text import HOSTILE, assert_logs_nothing

TEMPLATES = {name: load_template(f"init/{name}") for name in TEMPLATE_NAMES}


def hostile_checkout(folder: Path, text: str) -> Checkout:
    """A checkout that has the text in the names of a workflow, a job, an environment, a step, a branch and folders."""
    name = f"Deploy {text}"
    job = {"name": name, "environment": f"prod {text}", "steps": [{"name": name, "run": f"gh release create {text}"}]}
    odd_name = re.sub(r"[/\0]", "", text) or "x"
    return Checkout.create(
        folder,
        {
            ".github/workflows/deploy.yml": workflow(name, **{"deploy": job, text: job}),
            f"services/{odd_name}/go.mod": "",
            "services/b/go.mod": "",
            f".github/workflows/{odd_name}.yml": workflow(name, deploy=job),
            ".github/dora.yml": f"# {text!r}\n",
        },
    )


def hostile_github(text: str) -> GitHubFindings:
    return GitHubFindings(
        default_branch=f"main{text}",
        labels=(f"incident {text}", f"hotfix {text}"),
        releases=(f"v1 {text}",),
        deployments=(GitHubDeployment(f"prod {text}", "2026-11-20", f"vercel {text}"),),
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_printed_is_no_command_and_steers_no_terminal(tmp_path: Path, text: str) -> None:
    ran = hostile_checkout(tmp_path, text).run_init("--yes")
    assert ran.code == 0
    assert_logs_nothing(ran.stdout + ran.stderr)


def without_texts(value: object) -> object:
    """The structure of a document: keys, and the texts without what strangers named."""
    match value:
        case dict():
            return {key: without_texts(each) for key, each in value.items()}
        case list():
            return [without_texts(each) for each in value]
        case str():
            return re.findall(r"\$\{\{.*?\}\}", value)
        case _:
            return value


def files_of(folder: Path, text: str) -> dict[str, Any]:
    folder.mkdir()
    proposal = hostile_checkout(folder, text).proposal(hostile_github(text))
    written = render_files(proposal, DEFAULT_ACTION, TEMPLATES)
    return {path: yaml.safe_load(content) for path, content in written.items()}


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_written_has_the_structure_that_plain_names_give(tmp_path: Path, text: str) -> None:
    hostile, plain = files_of(tmp_path / "hostile", text), files_of(tmp_path / "plain", "x")
    assert without_texts(hostile[WORKFLOW_PATH]) == without_texts(plain[WORKFLOW_PATH])
    assert hostile[WORKFLOW_PATH]["permissions"] == plain[WORKFLOW_PATH]["permissions"]
    assert without_texts(hostile[FORM_PATH]) == without_texts(plain[FORM_PATH])
    assert set(hostile[CONFIG_PATH]) <= set(plain[CONFIG_PATH])


def test_an_expression_in_a_name_is_where_github_evaluates_none(tmp_path: Path) -> None:
    written = files_of(tmp_path / "hostile", "${{ secrets.DEPLOY_KEY }}")[WORKFLOW_PATH]
    assert "secrets.DEPLOY_KEY" not in str({key: value for key, value in written.items() if key is not True}), "on:"

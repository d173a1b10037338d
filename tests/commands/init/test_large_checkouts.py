"""Checkouts that would make `init` work for minutes, or stumble: what is followed is bounded."""

import subprocess
import sys
from pathlib import Path

import pytest

from dora_metrics.commands.init.deploy_targets import deploy_targets, possible_texts
from dora_metrics.commands.init.gather import MAX_FILES, MAX_TOTAL_BYTES
from dora_metrics.commands.init.publishers import publications_of_step
from dora_metrics.commands.init.workflows import MAX_VALUES, LocatedText, WorkflowStep
from dora_metrics.commands.init.yaml_nodes import content_tokens
from support.checkouts import CONFIG_PATH, DEPLOY_WORKFLOW, FORM_PATH, WORKFLOW_PATH, Checkout, workflow

READ_A_WORKFLOW = """
import resource, sys
from dora_metrics.commands.init.publishers import publication_of
from dora_metrics.commands.init.workflows import parse_workflow
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
read = parse_workflow("w.yml", sys.stdin.read())
print(publication_of(read, {}, {}))
"""
"""A process that is killed if it needs minutes."""

FILE_OF = {
    "workflows": ".github/workflows/{}.yml",
    "forms": ".github/ISSUE_TEMPLATE/{}.yml",
    "actions": "actions/{}/action.yml",
}
CONTENT = {
    "workflows": DEPLOY_WORKFLOW,
    "forms": "name: Incident\nlabels: [incident]\n",
    "actions": "name: A\nruns: {using: composite, steps: []}\n",
}
CALLED = "name: {name}\non: {{push: , workflow_call: }}\njobs:\n{jobs}"


def test_workflows_that_call_each_other_many_times_are_followed_once(tmp_path: Path) -> None:
    files = {}
    for number in range(9):
        jobs = "".join(f"  j{job}: {{uses: ./.github/workflows/w{number + 1}.yml}}\n" for job in range(30))
        files[f".github/workflows/w{number}.yml"] = CALLED.format(name=f"Deploy {number}", jobs=jobs)
    files[".github/workflows/w9.yml"] = DEPLOY_WORKFLOW.replace("on: {push: {branches: [main]}}", "on: workflow_call")
    workflows = Checkout.create(tmp_path, files).findings().checkout.workflows
    targets = deploy_targets(workflows[".github/workflows/w0.yml"], workflows)
    assert {target.environment for target in targets.targets} == {"production", "staging"}


def read_in_a_process(content: str) -> str:
    command = [sys.executable, "-c", READ_A_WORKFLOW]
    return subprocess.run(command, input=content, capture_output=True, check=True, encoding="utf-8").stdout.strip()


@pytest.mark.skipif(sys.platform == "win32", reason="processor time has no limit there")
@pytest.mark.parametrize(
    "line",
    [
        pytest.param("a=do " * 50_000, id="beginnings of commands"),
        pytest.param("do sudo " + "--a " * 60_000, id="options"),
    ],
)
def test_a_script_of_one_long_line_is_read(line: str) -> None:
    assert read_in_a_process(workflow("W", go={"steps": [{"run": line}]})) == "None"


@pytest.mark.skipif(sys.platform == "win32", reason="processor time has no limit there")
def test_a_script_is_searched_once_however_many_variables_have_their_values_from_it() -> None:
    variables = {f"v{number}": "${{ fromJSON(env.x) }}" for number in range(6_000)}
    job = {"strategy": {"matrix": variables}, "steps": [{"run": '["a"],' * 40_000}]}
    assert read_in_a_process(workflow("W", go=job)) == "None"


@pytest.mark.parametrize(
    "command", ["CI=1 TOKEN='x' npm publish", "sudo -E --user=ci gem push a.gem", "npm --access=public publish"]
)
def test_a_command_has_variables_and_options_before_it(command: str) -> None:
    step = WorkflowStep(script=LocatedText(f"if a; then {command}; fi", 1))
    assert [each.product for each in publications_of_step(step)] == ["package"]


def test_very_long_texts_with_expressions_are_not_read() -> None:
    assert possible_texts("${{" * 80_000, lambda _: ()) == ()


def test_a_text_that_expressions_make_very_long_is_not_followed_through_calls() -> None:
    texts: tuple[str, ...] = ("production",)
    for _ in range(10):
        texts = possible_texts("${{inputs.x}}" * 140, {"inputs.x": texts}.__getitem__)
    assert texts == ()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 41 + "]" * 41, id="deep"),
        pytest.param("[" * 250_000, id="very deep"),
        pytest.param("- a\n" * 20_001, id="long"),
        pytest.param("a: &a b\nc: *d\n", id="alias without anchor"),
        pytest.param("a: b\n---\na: b\n", id="two documents"),
    ],
)
def test_yaml_beyond_the_limits_has_no_content(text: str) -> None:
    assert content_tokens(text) is None


@pytest.mark.parametrize("path", [CONFIG_PATH, FORM_PATH, WORKFLOW_PATH])
def test_a_file_of_brackets_is_the_users_and_stays(tmp_path: Path, path: str) -> None:
    checkout = Checkout.create(tmp_path, {path: "[" * 250_000})
    ran = checkout.run_init("--yes")
    assert ran.code == 0
    assert f"yours, unchanged: {path}\n" in ran.stdout
    assert checkout.text(path) == "[" * 250_000


def test_values_of_a_matrix_are_followed_up_to_a_number(tmp_path: Path) -> None:
    values = [f"v{number}" for number in range(9_000)]
    job = {"environment": "${{ matrix.a }}" * 100, "strategy": {"matrix": {"a": values}}}
    checkout = Checkout.create(tmp_path, {".github/workflows/w.yml": workflow("Deploy", go=job)})
    workflows = checkout.findings().checkout.workflows
    (name,) = workflows
    assert len(deploy_targets(workflows[name], workflows).targets) <= MAX_VALUES


@pytest.mark.parametrize("name", ["a\nb.yaml", "a.yaml"])
def test_names_and_lines_of_manifests_may_hold_anything(tmp_path: Path, name: str) -> None:
    manifest = "apiVersion: argoproj.io/v1alpha1\x0cx\nkind: Application\n"
    ran = Checkout.create(tmp_path, {name: manifest, "b.yaml": manifest}).run_init("--dry-run")
    assert ran.code == 0


def test_a_tag_of_the_far_future_spoils_nothing(tmp_path: Path) -> None:
    checkout = Checkout.create(tmp_path)
    head = checkout.git_output("rev-parse", "HEAD").strip()
    tag = f"object {head}\ntype commit\ntag v1.0.0\ntagger n <a@b> 9223372036854775807 +0000\n\nx\n"
    tag_id = checkout.git_output("hash-object", "-t", "tag", "-w", "--stdin", "--literally", stdin=tag).strip()
    checkout.git("update-ref", "refs/tags/v1.0.0", tag_id)
    assert checkout.run_init("--dry-run").code == 0


@pytest.mark.parametrize("label", ["x'\\n    env: {INJECTED: yes}\\n    #", "incident ${{ github.token }}"])
def test_a_label_of_the_config_file_adds_nothing_to_the_workflow(tmp_path: Path, label: str) -> None:
    checkout = Checkout.create(tmp_path, {".github/dora.yml": f'incident-labels: ["{label}"]\n'})
    assert checkout.run_init("--yes").code == 0
    written = checkout.text(WORKFLOW_PATH)
    assert "INJECTED" not in written
    assert "incident ${{" not in written


MANY = MAX_FILES + 5
LARGE_COUNT = MAX_TOTAL_BYTES // 250_000 + 5


@pytest.mark.parametrize("kind", ["workflows", "forms", "actions"])
@pytest.mark.parametrize(("count", "size", "read_count"), [(MANY, 0, MAX_FILES), (LARGE_COUNT, 250_000, 20)])
def test_files_beyond_a_number_or_a_size_are_left_out_and_named(
    tmp_path: Path, kind: str, count: int, size: int, read_count: int
) -> None:
    names = [f"f{number:03}" for number in range(count)]
    files = {FILE_OF[kind].format(name): f"{CONTENT[kind]}# {'x' * size}\n" for name in names}
    steps = [{"uses": f"./actions/{name}"} for name in names] if kind == "actions" else []
    checkout = Checkout.create(tmp_path, {**files, WORKFLOW_PATH: workflow("All", go={"steps": steps})})
    read = checkout.findings().checkout
    (problem,) = [problem for problem in read.problems if "left out" in problem]
    assert problem.endswith(f"left out, because init reads {MAX_FILES} files of a kind and 5 MB of them")
    if kind == "workflows":
        assert read_count - 1 <= len(read.workflows) <= read_count
    if kind == "forms":
        assert read_count - 1 <= len(read.incident_forms) <= read_count

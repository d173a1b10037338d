"""Any bad input leads to a clear message and the right exit code, never to a traceback."""

import json
import os
import sys
from pathlib import Path

import pytest

from support.runs import check_out, deployment_status, run_action

CONFIG = ".github/dora.yml"


def test_all_problems_of_the_settings_are_told_at_once_and_end_with_two(tmp_path: Path) -> None:
    inputs = {"window": "soon", "strict": "ture", "benchmark": "2020", "windw": "1d"}
    ran = run_action(tmp_path, "deployment_status", deployment_status(), inputs)
    assert ran.code == 2
    for said in ("input window: 'soon'", "input strict: 'ture'", "input benchmark: '2020'", "did you mean window?"):
        assert said in ran.log
    assert ran.summary == ""


def test_a_ledger_in_a_home_folder_needs_the_whole_path(tmp_path: Path) -> None:
    """Else the folder `~` in the workspace would be made, which the next checkout removes."""
    ran = run_action(tmp_path, "deployment_status", deployment_status(), {"ledger": "dir:~/dora"})
    assert ran.code == 2
    assert "write the whole path" in ran.log
    assert not (tmp_path / "~").exists()


def test_a_wrong_config_file_is_named_with_its_line(tmp_path: Path) -> None:
    check_out(tmp_path, {CONFIG: "window: 30d\nbenchmark: ["})
    ran = run_action(tmp_path, "deployment_status", deployment_status())
    assert ran.code == 2
    assert "dora.yml" in ran.log
    assert "not valid YAML" in ran.log


def test_everything_that_is_wrong_with_services_is_told_at_once(tmp_path: Path) -> None:
    written = 'window: soon\nservices:\n  web: [/web/**, "a\\\\b"]\n  api: []\n  "": x\n  docs: "../docs"\n'
    check_out(tmp_path, {CONFIG: written})
    ran = run_action(tmp_path, "deployment_status", deployment_status())
    assert ran.code == 2
    for said in (
        "dora.yml: window: 'soon'",
        "dora.yml: services: web: '/web/**' begins with /",
        "dora.yml: services: web: 'a\\\\b' has a backslash",
        "dora.yml: services: api: it has no paths",
        "dora.yml: services: a service has no name",
        "dora.yml: services: docs: '../docs' contains '..'",
    ):
        assert said in ran.log


def test_services_that_are_no_mapping_are_a_problem_and_none_at_all_are_none(tmp_path: Path) -> None:
    check_out(tmp_path, {CONFIG: "services: [web]"})
    ran = run_action(tmp_path, "deployment_status", deployment_status())
    assert ran.code == 2
    assert "services: ['web'] is not a mapping" in ran.log
    for nothing in ("services: {}", "services:"):
        check_out(tmp_path, {CONFIG: nothing})
        assert run_action(tmp_path, "deployment_status", deployment_status()).code == 0


def test_the_config_file_counts_where_an_input_only_has_its_default(tmp_path: Path) -> None:
    check_out(tmp_path, {CONFIG: "window: 7d\nbenchmark: 2021"})
    ran = run_action(tmp_path, "deployment_status", deployment_status(), {"window": "30d", "benchmark": "2019"})
    document = json.loads(ran.outputs["metrics"])
    assert (document["window"]["days"], document["benchmark"]) == (7, "2019")


def test_a_secret_in_a_wrong_place_is_not_shown(tmp_path: Path) -> None:
    ran = run_action(
        tmp_path, "deployment_status", deployment_status(), {"endpoint-url": "s3cret", "pushgateway-password": "s3cret"}
    )
    assert ran.code == 2
    assert "endpoint-url" in ran.log
    assert "s3cret" not in ran.log


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the event file is not JSON"),
        (b"[]", "holds no JSON object"),
        (b"\xff\xfe", "not UTF-8"),
        (b"{" * 100_000, "the event file is not JSON"),
        (b'{"deployment_status": {"state": 1}}', "deployment_status"),
        (None, "cannot be read"),
    ],
)
def test_an_unreadable_event_is_named_and_spares_the_job(tmp_path: Path, content: bytes | None, said: str) -> None:
    ran = run_action(tmp_path, "deployment_status", content)
    assert ran.code == 0
    assert said in ran.log
    assert "::warning title=dora-metrics%3A event::" in ran.log
    assert "nothing was recorded" in ran.summary


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("{folder}/pipe", "it is not a regular file"),
        ("/dev/zero", "it is not a regular file"),
        ("{folder}", "it is not a regular file"),
        ("x" * 5_000, "File name too long"),
    ],
    ids=["pipe", "device", "folder", "long name"],
)
@pytest.mark.skipif(sys.platform == "win32", reason="there are none of these")
def test_what_is_no_file_is_no_event(tmp_path: Path, path: str, reason: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    environment = {"GITHUB_EVENT_PATH": path.format(folder=tmp_path)}
    ran = run_action(tmp_path, "deployment_status", None, environment=environment)
    assert ran.code == 0
    assert f"the event file cannot be read ({reason})" in ran.log
    assert len(ran.log) < 2_000


def test_an_unreadable_event_fails_a_strict_job(tmp_path: Path) -> None:
    assert run_action(tmp_path, "deployment_status", b"", {"strict": "true"}).code == 1


def test_an_event_of_thirty_megabytes_is_read(tmp_path: Path) -> None:
    payload = {**deployment_status(), "noise": "x" * 30_000_000}
    assert len(run_action(tmp_path, "deployment_status", payload).facts) == 1


def test_an_unknown_event_is_nothing_to_record(tmp_path: Path) -> None:
    ran = run_action(tmp_path, "gollum", {})
    assert ran.code == 0
    assert "Nothing to record: gollum events are not recorded" in ran.summary


def test_a_broken_ledger_line_is_set_aside_and_told_and_nothing_else_is_lost(tmp_path: Path) -> None:
    run_action(tmp_path, "deployment_status", deployment_status(1))
    file = tmp_path / "ledger" / "facts" / "2026" / "11.jsonl"
    file.write_bytes(b'{"id":"cut\n' + file.read_bytes())
    ran = run_action(tmp_path, "deployment_status", deployment_status(2))
    assert ran.code == 0
    assert "facts/2026/11.jsonl:1:" in ran.log
    aside = json.loads((tmp_path / "ledger" / "quarantine.jsonl").read_text("utf-8"))
    assert (aside["file"], aside["line"], aside["text"]) == ("facts/2026/11.jsonl", 1, '{"id":"cut')
    assert len(file.read_bytes().splitlines()) == 2


def test_a_ledger_that_cannot_be_used_leaves_the_event_alone_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("a file", "utf-8")
    ran = run_action(tmp_path, "deployment_status", deployment_status())
    assert ran.code == 0
    assert "reached production" in ran.summary
    assert "check the path and its permissions" in ran.log


def test_outside_of_a_runner_the_missing_variables_are_named(tmp_path: Path) -> None:
    ran = run_action(tmp_path, "", {}, environment={"GITHUB_REPOSITORY": ""})
    assert ran.code == 2
    assert "GITHUB_EVENT_NAME: not set" in ran.log
    assert "GITHUB_REPOSITORY: not set" in ran.log


def test_inputs_that_are_no_object_are_named(tmp_path: Path) -> None:
    ran = run_action(tmp_path, "push", {}, environment={"DORA_INPUTS": "[1]"})
    assert ran.code == 2
    assert "DORA_INPUTS is not a JSON object" in ran.log


def test_whoever_runs_the_image_directly_sets_a_variable_for_each_input(tmp_path: Path) -> None:
    variables = {"DORA_INPUTS": "", "INPUT_WINDOW": "7d", "INPUT_REPOSITORY": "of another step"}
    ran = run_action(tmp_path, "deployment_status", deployment_status(), environment=variables)
    assert json.loads(ran.outputs["metrics"])["window"]["days"] == 7


def test_variables_of_the_job_are_no_inputs_of_the_action(tmp_path: Path) -> None:
    """GitHub's advice against text of others in scripts makes `INPUT_ENVIRONMENT` a common variable of jobs."""
    variables = {"INPUT_WINDOW": "7d", "INPUT_ENVIRONMENT": "production", "INPUT_MODE": "fast"}
    ran = run_action(tmp_path, "push", {"ref": "refs/heads/feature"}, environment=variables)
    assert ran.code == 0
    assert json.loads(ran.outputs["metrics"])["window"]["days"] == 30
    assert ran.outputs["deployment-frequency"] == ""


def test_a_folder_with_a_readme_of_its_own_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Shop", "utf-8")
    ran = run_action(tmp_path, "deployment_status", deployment_status(), {"ledger": "dir:."})
    assert ran.code == 0
    assert "holds other files" in ran.log
    assert (tmp_path / "README.md").read_text("utf-8") == "# Shop"
    assert not (tmp_path / "metrics.json").exists()


@pytest.mark.parametrize("name", ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"])
def test_a_file_of_the_runner_that_cannot_be_written_is_told_and_spares_the_job(tmp_path: Path, name: str) -> None:
    gone = {name: str(tmp_path / "nowhere" / "file")}
    ran = run_action(tmp_path, "deployment_status", deployment_status(), environment=gone)
    assert ran.code == 0
    assert "cannot write" in ran.log
    assert (
        run_action(tmp_path, "deployment_status", deployment_status(), {"strict": "true"}, environment=gone).code == 1
    )


def test_texts_of_any_length_are_cut_before_they_are_kept(tmp_path: Path) -> None:
    ran = run_action(tmp_path, "deployment_status", deployment_status(payload={"version": "v" * 600_000}))
    assert ran.code == 0
    assert len(str(ran.facts[0]["version"])) == 300
    assert len(ran.summary) < 10_000


@pytest.mark.parametrize("inputs", [{"ledger": "dir:\0"}, {"config": "a\0b"}], ids=["ledger", "config"])
def test_a_name_that_no_file_can_have_is_a_problem_of_the_settings(tmp_path: Path, inputs: dict[str, object]) -> None:
    assert run_action(tmp_path, "deployment_status", deployment_status(), inputs).code == 2


def test_a_wrong_look_back_names_its_choices(tmp_path: Path) -> None:
    ran = run_action(tmp_path, "schedule", {}, {"since": "ages"})
    assert ran.code == 2
    assert "input since: 'ages' is not a valid period; write for example 90d, 12w or all" in ran.log


def test_of_very_many_problems_the_first_are_named_and_the_others_counted(tmp_path: Path) -> None:
    check_out(tmp_path, {".github/dora.yml": f"deployment-source: [{'a, ' * 19_000}a]"})
    ran = run_action(tmp_path, "deployment_status", deployment_status())
    assert ran.code == 2
    assert "18,981 more problems like these" in ran.log
    assert len(ran.log) < 200_000


@pytest.mark.parametrize("number", ["9" * 5_000, "x", ""])
def test_a_number_of_a_repository_that_is_none_is_ignored(tmp_path: Path, number: str) -> None:
    ran = run_action(tmp_path, "push", {}, environment={"GITHUB_REPOSITORY_ID": number})
    assert ran.code == 0


@pytest.mark.parametrize("name", ["acme/\ud800", "acme/a\nb", "acme/"])
def test_a_name_in_an_event_that_no_repository_has_is_ignored(tmp_path: Path, name: str) -> None:
    payload = deployment_status()
    payload["repository"] = {"id": 7, "full_name": name}
    ran = run_action(tmp_path, "deployment_status", payload, {"ledger": "dir:ledger"})
    assert ran.code == 0
    assert not [
        line
        for path in tmp_path.glob("ledger/facts/**/*.jsonl")
        for line in path.read_text().splitlines()
        if '"kind":"repository"' in line
    ]

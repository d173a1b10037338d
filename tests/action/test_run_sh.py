"""action/run.sh with real bash; engines, Python and uv are stubs that record how they are called."""

import ast
import csv
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from support.paths import ROOT
from support.step import start_step
from support.tools import require_tool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the stand-ins are made for Linux")

SCRIPT = ROOT / "action" / "run.sh"
COREUTILS = [
    *("bash", "cat", "cp", "cut", "dirname", "env", "find", "grep", "id", "mkdir", "mktemp", "mv", "rm"),
    *("sha256sum", "sleep", "sort", "timeout", "tr", "uname", "xargs"),
]
SECRET = "t0p-s3cret"
PROXIES = [name for kind in ("http", "https", "all", "no") for name in (f"{kind}_proxy", f"{kind}_proxy".upper())]
RELEASED_IMAGE = "registry.example/dora-metrics@sha256:" + "0" * 64

# Every stub begins with this: it appends its name and arguments to a file, one call a line.
RECORDING_SCRIPT = """#!/usr/bin/env bash
( IFS=$'\\x1f'; printf '%s\\n' "${0##*/}"$'\\x1f'"$*" >> "$CALLS" )
"""

PYTHON_STUB = """
[[ $* == "-m dora_metrics action" || -z ${PYTHONPATH+set}${PYTHONHOME+set} ]] || echo "the job's modules reach $*"
case "$*" in
  "-I -P -c "*) ((@old@)) && exit 2; printf '%s\\n' "$0" ;;
  -VV) echo "Python 3.13.1" ;;
  "-I -m venv "*) mkdir -p "${!#}/@bin@" && cp "$0" "${!#}/@bin@/@made@" ;;
  "-I -m pip config list "*) cat "${0%/*}/pip-settings" ;;
  "-I "*/index_settings.py" "*) exec "@real@" "$@" ;;
  "-I "*/check_packages.py" "*) exit @broken@ ;;
  "-I -m pip install "*--target*) "${0%/*}/bring-uv" "$@" ;;
  "-I -m pip "*) exit @pip@ ;;
  "-m dora_metrics action")
    printf '%s\\n' "ran in $PWD with PYTHONPATH=$PYTHONPATH PYTHONSAFEPATH=$PYTHONSAFEPATH"
    exit @program@ ;;
esac
"""

BRING_UV_STUB = """
until [[ $1 == --target ]]; do shift; done
mkdir -p "$2/bin" && cp "${0%/*}/brought-uv" "$2/bin/uv"
"""

UV_STUB = """
case "$1" in
  venv) echo "uv runs in $PWD"; mkdir -p "${!#}/bin" && cp "@python@" "${!#}/bin/python"; exit @status@ ;;
  pip) exit @status@ ;;
esac
"""

ENGINE_STUB = """
case "$1" in
  info) echo "@info@"; exit @info_status@ ;;
  image) exit @missing@ ;;
  pull | build) exit @fetch@ ;;
  run) @run_script@ exit @run@ ;;
esac
"""

# Docker's client hands a signal on to the container, and ends with its exit code.
WAITING_CONTAINER = """
    trap 'kill %1; echo "the container was told to end"; exit 143' TERM
    sleep 60 &
    echo "the container runs"
    wait
"""


PACKAGE = ROOT / "src" / "dora_metrics"
NOT_OF_THE_ACTION = (
    "commands/init/",
    "commands/ledger.py",
    "commands/rows.py",
    "commands/send.py",
    "github/terminal.py",
    "sources/git/",
)
"""What other commands read, or a run whose summary is for a terminal."""

SET_BY_THE_IMAGE = "DORA_IN_CONTAINER"


@cache
def names_of_variables() -> frozenset[str]:
    """The variables that the source of `dora-metrics action` reads by name; libraries read those of proxies."""
    paths = [path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")]
    trees = [ast.parse((PACKAGE / path).read_text("utf-8")) for path in paths if not path.startswith(NOT_OF_THE_ACTION)]
    texts = {text for tree in trees for node in ast.walk(tree) for text in variables_in(node)}
    names = {text for text in texts if text.isupper()}
    assert {"DORA_INPUTS", "GITHUB_WORKSPACE", "RUNNER_TEMP", SET_BY_THE_IMAGE} < names
    return frozenset(names - {SET_BY_THE_IMAGE})


def variables_in(node: ast.AST) -> Iterator[str]:
    """Yield names that are read from `environment`, and other texts that can only be names of variables."""
    match node:
        case ast.Subscript(value=ast.Name("environment"), slice=ast.Constant(str(name))):
            yield name
        case ast.Call(ast.Attribute(ast.Name("environment"), "get"), [ast.Constant(str(name)), *_]):
            yield name
        case ast.Call(args=[ast.Name("environment"), ast.Constant(str(name)), *_]):
            yield name
        case ast.Constant(str(name)) if re.fullmatch(r"(ACTIONS|DORA|GITHUB|RUNNER)_[A-Z_]+", name):
            yield name


@dataclass
class FakeRunner:
    """A runner with only the programs that a test installs on it."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        folders = [self.action / name for name in ("src", "templates", "requirements", "action")]
        for folder in (self.bin, *folders):
            folder.mkdir(parents=True)
        for folder in (self.workspace, self.temp / "_github_workflow", self.temp / "_runner_file_commands"):
            folder.mkdir(parents=True)
        for name in COREUTILS:
            (self.bin / name).symlink_to(shutil.which(name) or pytest.fail(f"{name} is missing"))
        for helper in SCRIPT.parent.glob("*.py"):
            shutil.copy(helper, self.action / "action")
        (self.action / "Dockerfile").write_text("FROM somewhere\n")
        (self.action / "requirements" / "runtime.txt").write_text("somepackage==1 --hash=sha256:0\n")
        (self.action / "requirements" / "uv.txt").write_text("uv==1 --hash=sha256:0\n")
        (self.action / "src" / "program.py").write_text("")
        self.write_pip_settings("")

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    @property
    def action(self) -> Path:
        return self.root / "the action"

    @property
    def workspace(self) -> Path:
        return self.root / "my work" / "repository"

    @property
    def temp(self) -> Path:
        return self.root / "my work" / "_temp"

    def add_program(self, name: str, script: str, **values: object) -> None:
        for key, value in values.items():
            script = script.replace(f"@{key}@", str(value))
        (self.bin / name).write_text(RECORDING_SCRIPT + script)
        (self.bin / name).chmod(0o755)

    def add_python(
        self,
        name: str = "python3",
        *,
        old: bool = False,
        pip: int = 0,
        broken: int = 0,
        program: int = 0,
        windows: bool = False,
    ) -> None:
        place, made = ("Scripts", "python.exe") if windows else ("bin", "python")
        statuses = {"old": int(old), "pip": pip, "broken": broken, "program": program}
        self.add_program(name, PYTHON_STUB, **statuses, bin=place, made=made, real=sys.executable)

    def add_uv(self, name: str = "uv", *, status: int = 0) -> None:
        self.add_program(name, UV_STUB, python=self.bin / "python3", status=status)

    def add_uv_that_pip_brings(self, *, status: int = 0) -> None:
        self.add_uv("brought-uv", status=status)
        self.add_program("bring-uv", BRING_UV_STUB)

    def write_pip_settings(self, settings: str) -> None:
        """What `pip config list` prints."""
        (self.bin / "pip-settings").write_text(settings)

    def add_engine(
        self,
        name: str = "docker",
        *,
        info: str = "Server:",
        works: bool = True,
        has_image: bool = False,
        fetch: int = 0,
        run: int = 0,
        run_script: str = "",
    ) -> None:
        self.add_program(
            name,
            ENGINE_STUB,
            info=info,
            info_status=int(not works),
            missing=int(not has_image),
            fetch=fetch,
            run=run,
            run_script=run_script,
        )

    def make_release(self) -> None:
        (self.action / "action" / "image").write_text(RELEASED_IMAGE + "\n")

    def begin_job(self) -> None:
        """Empty the temporary folder, as a runner does."""
        for file in self.temp.iterdir():
            if file.is_file():
                file.unlink()

    def environment(self, runtime: str) -> dict[str, str]:
        return {
            "PATH": str(self.bin),
            "CALLS": str(self.root / "calls"),
            "DORA_ACTION_PATH": str(self.action),
            "DORA_RUNTIME": runtime,
            "DORA_INPUTS": f'{{"github-token": "{SECRET}"}}',
            "DORA_CHECK_RUN_ID": "9",
            "DORA_JOB_INDEX": "0",
            "DORA_JOB_TOTAL": "1",
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_EVENT_PATH": str(self.temp / "_github_workflow" / "event.json"),
            "GITHUB_OUTPUT": str(self.temp / "_runner_file_commands" / "set_output"),
            "GITHUB_STEP_SUMMARY": str(self.temp / "_runner_file_commands" / "step_summary"),
            "GITHUB_TOKEN": SECRET,
            "RUNNER_TEMP": str(self.temp),
            "HOME": str(self.root),
            **self.variables,
        }

    def run_script(self, runtime: str = "auto", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / "bash"), str(SCRIPT)],
            cwd=self.workspace,
            env={**self.environment(runtime), **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def cancel_step(self, number: signal.Signals) -> tuple[int, str]:
        """Run the step of action.yml, and signal its process, as GitHub does, once it has printed a line."""
        shutil.copy(SCRIPT, self.action / "action")
        step = start_step(self.root, self.environment("auto"), cwd=self.workspace)
        with step:
            assert step.stdout
            first = step.stdout.readline()
            step.send_signal(number)
            rest, _ = step.communicate(timeout=30)
        return step.returncode, (first + rest).decode()

    def calls_beginning(self, *beginning: str) -> list[list[str]]:
        """Recorded calls that begin with these words, each without them."""
        file = self.root / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        words = [line.split("\x1f") for line in lines]
        return [call[len(beginning) :] for call in words if call[: len(beginning)] == list(beginning)]

    def run_options(self, engine: str = "docker") -> list[str]:
        (call,) = self.calls_beginning(engine, "run")
        return call


@pytest.fixture
def runner(tmp_path: Path) -> FakeRunner:
    return FakeRunner(tmp_path / "a runner")


def values_after(option: str, words: list[str]) -> list[str]:
    return [words[place + 1] for place, word in enumerate(words) if word == option]


def test_the_script_is_valid_bash() -> None:
    result = subprocess.run([require_tool("bash"), "-n", SCRIPT], capture_output=True, text=True, check=False)

    assert (result.returncode, result.stderr) == (0, "")


class TestChoice:
    def test_takes_the_container_where_an_engine_works(self, runner: FakeRunner) -> None:
        runner.add_engine()
        runner.add_python()

        assert runner.run_script().returncode == 0
        assert len(runner.calls_beginning("docker", "run")) == 1
        assert runner.calls_beginning("python3") == []

    def test_takes_podman_where_docker_has_no_daemon(self, runner: FakeRunner) -> None:
        runner.add_engine("docker", works=False)
        runner.add_engine("podman")

        assert runner.run_script().returncode == 0
        assert len(runner.calls_beginning("podman", "run")) == 1

    def test_takes_python_without_a_word_where_no_engine_is(self, runner: FakeRunner) -> None:
        runner.add_python()

        result = runner.run_script()

        assert result.returncode == 0
        assert "ran in" in result.stdout
        assert "::warning" not in result.stdout

    def test_takes_python_inside_a_container_job_whose_files_the_engine_does_not_see(self, runner: FakeRunner) -> None:
        runner.add_engine()
        runner.add_python()
        runner.variables["GITHUB_WORKSPACE"] = "/__w/repository/repository"

        assert "ran in" in runner.run_script().stdout
        assert runner.calls_beginning("docker") == []

    @pytest.mark.parametrize("system", ["Darwin", "MINGW64_NT-10.0-26100"])
    def test_takes_python_on_other_systems_whatever_engine_they_have(self, runner: FakeRunner, system: str) -> None:
        (runner.bin / "uname").unlink()
        runner.add_program("uname", f"echo {system}")
        runner.add_engine()
        runner.add_python()

        assert "ran in" in runner.run_script().stdout
        assert runner.calls_beginning("docker") == []

    def test_takes_python_when_told_to(self, runner: FakeRunner) -> None:
        runner.add_engine()
        runner.add_python()

        assert "ran in" in runner.run_script("python").stdout
        assert runner.calls_beginning("docker") == []

    def test_an_unknown_runtime_is_an_error_that_names_the_choices(self, runner: FakeRunner) -> None:
        result = runner.run_script("dokcer")

        assert result.returncode == 2
        assert result.stdout == (
            "::error title=DORA metrics::The input runtime is 'dokcer', which is not one of auto, container, python.\n"
        )

    def test_a_value_cannot_smuggle_a_command_into_the_log(self, runner: FakeRunner) -> None:
        result = runner.run_script("x\n::set-output name=a::b")

        assert "%0A::set-output" in result.stdout
        assert len(result.stdout.splitlines()) == 1

    def test_runtime_container_without_an_engine_is_an_error_that_says_what_to_do(self, runner: FakeRunner) -> None:
        runner.add_python()

        result = runner.run_script("container")

        assert result.returncode == 1
        assert result.stdout.startswith("::error title=DORA metrics::runtime: container needs Docker or Podman")
        assert runner.calls_beginning("python3") == []


class TestContainer:
    def test_no_secret_is_on_a_command_line(self, runner: FakeRunner) -> None:
        runner.add_engine()

        runner.run_script()

        assert SECRET not in (runner.root / "calls").read_text()

    def test_passes_what_the_program_reads_by_name(self, runner: FakeRunner) -> None:
        runner.add_engine()
        others = ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_RUNTIME_TOKEN", "AWS_SECRET_ACCESS_KEY", "GITHUB_PAT")
        runner.variables |= {
            **dict.fromkeys((*others, "GITHUB_ENV", "RUNNER_TRACKING_ID", "CI"), SECRET),
            **dict.fromkeys(names_of_variables(), "value"),
            "GITHUB_WORKSPACE": str(runner.workspace),
            "RUNNER_TEMP": str(runner.temp),
            "https_proxy": f"http://me:{SECRET}@proxy",
        }

        runner.run_script()

        assert sorted(values_after("--env", runner.run_options())) == sorted({*names_of_variables(), "https_proxy"})

    def test_passes_no_variable_that_is_not_set(self, runner: FakeRunner) -> None:
        runner.add_engine()

        runner.run_script()

        assert set(values_after("--env", runner.run_options())) == {
            "DORA_CHECK_RUN_ID",
            "DORA_INPUTS",
            "DORA_JOB_INDEX",
            "DORA_JOB_TOTAL",
            "GITHUB_EVENT_PATH",
            "GITHUB_OUTPUT",
            "GITHUB_STEP_SUMMARY",
            "GITHUB_WORKSPACE",
            "RUNNER_TEMP",
        }

    def test_mounts_the_runners_folders_at_their_own_paths(self, runner: FakeRunner) -> None:
        runner.add_engine()

        runner.run_script()

        options = runner.run_options()
        assert values_after("--mount", options) == [
            f"type=bind,source={folder},target={folder}" for folder in (runner.workspace, runner.temp)
        ]
        assert values_after("--workdir", options) == [str(runner.workspace)]

    @pytest.mark.parametrize("name", ["a,b", 'a"b', 'a,"b",readonly'])
    def test_mounts_a_workspace_whose_name_separates_options(self, runner: FakeRunner, name: str) -> None:
        runner.add_engine()
        workspace = runner.root / name
        workspace.mkdir()
        runner.variables["GITHUB_WORKSPACE"] = str(workspace)

        runner.run_script()

        (fields,) = csv.reader([values_after("--mount", runner.run_options())[0]], strict=True)
        assert fields == ["type=bind", f"source={workspace}", f"target={workspace}"]

    def test_mounts_the_folders_of_files_that_lie_elsewhere(self, runner: FakeRunner) -> None:
        runner.add_engine()
        runner.variables["GITHUB_OUTPUT"] = str(runner.root / "else where" / "output")

        runner.run_script()

        assert f"type=bind,source={runner.root}/else where,target={runner.root}/else where" in values_after(
            "--mount", runner.run_options()
        )

    @pytest.mark.parametrize("make", [Path.touch, Path.mkdir], ids=["a file", "a folder"])
    def test_mounts_a_certificate_authority_once_and_read_only(
        self, runner: FakeRunner, make: Callable[[Path], None]
    ) -> None:
        runner.add_engine()
        certificates = runner.root / "certificates"
        make(certificates)
        runner.variables |= {"SSL_CERT_FILE": str(certificates), "REQUESTS_CA_BUNDLE": str(certificates)}

        runner.run_script()

        mounts = values_after("--mount", runner.run_options())
        assert mounts[2:] == [f"type=bind,source={certificates},target={certificates},readonly"]

    def test_gives_the_container_no_right_that_it_does_not_need(self, runner: FakeRunner) -> None:
        runner.add_engine()

        runner.run_script()

        options = runner.run_options()
        assert values_after("--cap-drop", options) == ["ALL"]
        assert values_after("--cap-add", options) == []
        assert values_after("--security-opt", options) == ["no-new-privileges", "label=disable"]
        assert "--privileged" not in options
        assert not any("docker.sock" in word for word in options)

    def test_reaches_the_runners_files_whatever_separates_containers(self, runner: FakeRunner) -> None:
        """SELinux, which Docker and Podman both know, and Docker's `userns-remap`; both options change nothing else."""
        runner.add_engine()

        runner.run_script()

        options = runner.run_options()
        assert values_after("--userns", options) == ["host"]
        assert "label=disable" in values_after("--security-opt", options)

    def test_writes_as_the_runners_user(self, runner: FakeRunner) -> None:
        runner.add_engine()
        (runner.bin / "id").unlink()
        runner.add_program("id", 'case "$1" in -u) echo 1001 ;; -g) echo 118 ;; esac')

        runner.run_script()

        assert values_after("--user", runner.run_options()) == ["1001:118"]

    @pytest.mark.parametrize("info", [" Security Options:\n  seccomp\n  rootless", "    rootless: true"])
    def test_writes_as_root_in_a_rootless_engine_where_that_is_the_runners_user(
        self, runner: FakeRunner, info: str
    ) -> None:
        runner.add_engine(info=info)

        runner.run_script()

        assert values_after("--user", runner.run_options()) == ["0:0"]

    def test_reaches_the_runners_own_localhost(self, runner: FakeRunner) -> None:
        runner.add_engine()

        runner.run_script()

        assert values_after("--network", runner.run_options()) == ["host"]

    @pytest.mark.parametrize("code", [0, 1, 2, 137])
    def test_the_programs_exit_code_is_the_scripts(self, runner: FakeRunner, code: int) -> None:
        runner.add_engine(run=code)
        runner.add_python()

        assert runner.run_script().returncode == code
        assert runner.calls_beginning("python3") == []

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_cancel_reaches_the_container_and_its_exit_code_is_the_scripts(
        self, runner: FakeRunner, number: signal.Signals
    ) -> None:
        runner.add_engine(has_image=True, run_script=WAITING_CONTAINER)
        runner.make_release()
        runner.add_python()

        code, log = runner.cancel_step(number)

        assert (code, log) == (143, "the container runs\nthe container was told to end\n")
        assert runner.calls_beginning("python3") == []

    def test_a_container_that_a_cancel_keeps_from_starting_is_no_reason_to_run_python(self, runner: FakeRunner) -> None:
        runner.add_engine(has_image=True, run_script=WAITING_CONTAINER.replace("143", "125"))
        runner.make_release()
        runner.add_python()

        assert runner.cancel_step(signal.SIGINT)[0] == 125
        assert runner.calls_beginning("python3") == []


class TestImage:
    def test_a_release_pulls_its_image_by_digest(self, runner: FakeRunner) -> None:
        runner.add_engine()
        runner.make_release()

        runner.run_script()

        assert runner.calls_beginning("docker", "pull") == [[RELEASED_IMAGE]]
        assert runner.calls_beginning("docker", "build") == []
        assert runner.run_options()[-2:] == [RELEASED_IMAGE, "action"]

    def test_between_releases_it_is_built_from_the_sources(self, runner: FakeRunner) -> None:
        runner.add_engine()

        runner.run_script()

        (build,) = runner.calls_beginning("docker", "build")
        assert build[-1] == str(runner.action)
        assert runner.run_options()[-2:] == [*values_after("--tag", build), "action"]

    def test_a_second_step_uses_what_the_first_built(self, runner: FakeRunner) -> None:
        runner.add_engine(has_image=True)

        runner.run_script()
        runner.run_script()

        assert len(runner.calls_beginning("docker", "build")) == 1
        assert len(runner.calls_beginning("docker", "run")) == 2

    def test_an_image_that_an_earlier_job_left_under_its_name_is_built_over(self, runner: FakeRunner) -> None:
        runner.add_engine(has_image=True)

        runner.run_script()
        runner.begin_job()
        runner.run_script()

        first, second = runner.calls_beginning("docker", "build")
        assert first == second, "no tag is left for each job"

    def test_if_it_cannot_be_built_one_that_an_earlier_job_left_is_not_used(self, runner: FakeRunner) -> None:
        runner.add_engine(has_image=True, fetch=1)
        runner.add_python()

        runner.run_script()
        runner.run_script()

        assert runner.calls_beginning("docker", "run") == []

    def test_one_that_was_removed_since_the_first_step_is_built_again(self, runner: FakeRunner) -> None:
        runner.add_engine(has_image=False)

        runner.run_script()
        runner.run_script()

        assert len(runner.calls_beginning("docker", "build")) == 2

    def test_a_changed_source_is_another_image(self, runner: FakeRunner) -> None:
        runner.add_engine()

        runner.run_script()
        (runner.action / "src" / "program.py").write_text("changed")
        runner.run_script()

        first, second = runner.calls_beginning("docker", "build")
        assert values_after("--tag", first) != values_after("--tag", second)

    def test_compiled_files_are_no_change(self, runner: FakeRunner) -> None:
        runner.add_engine()

        runner.run_script()
        (runner.action / "src" / "program.cpython-313.pyc").write_text("")
        runner.run_script()

        first, second = runner.calls_beginning("docker", "build")
        assert first == second

    @pytest.mark.parametrize("name", PROXIES)
    def test_the_build_and_the_program_get_the_proxies_by_name(self, runner: FakeRunner, name: str) -> None:
        runner.add_engine()
        runner.variables[name] = f"http://me:{SECRET}@proxy"

        runner.run_script()

        (build,) = runner.calls_beginning("docker", "build")
        assert values_after("--build-arg", build) == [name]
        assert name in values_after("--env", runner.run_options())

    def test_its_output_is_folded_away(self, runner: FakeRunner) -> None:
        runner.add_engine()
        runner.make_release()

        assert runner.run_script().stdout == f"::group::Pull {RELEASED_IMAGE}\n::endgroup::\n"

    def test_one_that_cannot_be_fetched_is_a_warning_and_python_runs(self, runner: FakeRunner) -> None:
        runner.add_engine(fetch=1)
        runner.add_python(program=1)

        result = runner.run_script()

        assert result.returncode == 1
        assert "::warning title=DORA metrics::The container could not be started" in result.stdout
        assert "ran in" in result.stdout

    @pytest.mark.parametrize("code", [125, 126, 127])
    def test_one_that_the_engine_cannot_start_is_a_warning_and_python_runs(self, runner: FakeRunner, code: int) -> None:
        runner.add_engine(run=code)
        runner.add_python()

        result = runner.run_script()

        assert result.returncode == 0
        assert "::warning" in result.stdout
        assert "ran in" in result.stdout

    @pytest.mark.parametrize(("fetch", "run"), [(1, 0), (0, 125)])
    def test_with_runtime_container_that_is_an_error(self, runner: FakeRunner, fetch: int, run: int) -> None:
        runner.add_engine(fetch=fetch, run=run)
        runner.add_python()

        result = runner.run_script("container")

        assert result.returncode == 1
        assert "::error title=DORA metrics::The container could not be started" in result.stdout
        assert runner.calls_beginning("python3") == []


class TestPython:
    def test_runs_the_sources_in_the_workspace_which_has_no_say_in_imports(self, runner: FakeRunner) -> None:
        runner.add_python()

        result = runner.run_script()

        assert f"ran in {runner.workspace} with PYTHONPATH={runner.action}/src PYTHONSAFEPATH=1" in result.stdout

    @pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONHOME"])
    def test_modules_that_the_job_names_have_no_say_in_the_installation(self, runner: FakeRunner, name: str) -> None:
        """pip starts Python again in the new environment, without -I."""
        runner.add_python()
        result = runner.run_script(**{name: "src"})
        assert result.returncode == 0, result.stdout
        assert "the job's modules reach" not in result.stdout

    @pytest.mark.parametrize("code", [0, 1, 2])
    def test_the_programs_exit_code_is_the_scripts(self, runner: FakeRunner, code: int) -> None:
        runner.add_python(program=code)

        assert runner.run_script().returncode == code

    def test_none_is_an_error_that_says_what_to_do(self, runner: FakeRunner) -> None:
        result = runner.run_script()

        assert result.returncode == 1
        assert "::error title=DORA metrics::No Python 3.11 or newer" in result.stdout
        assert "actions/setup-python" in result.stdout

    def test_one_that_is_too_old_is_passed_over(self, runner: FakeRunner) -> None:
        runner.add_python("python3", old=True)
        runner.add_python("python3.12")

        assert runner.run_script().returncode == 0
        assert len(runner.calls_beginning("python3.12", "-I", "-m", "venv")) == 1

    def test_only_one_that_is_too_old_is_as_good_as_none(self, runner: FakeRunner) -> None:
        runner.add_python(old=True)

        assert "::error title=DORA metrics::No Python 3.11 or newer" in runner.run_script().stdout

    def test_windows_has_its_own_launcher_and_folders(self, runner: FakeRunner) -> None:
        (runner.bin / "uname").unlink()
        runner.add_program("uname", "echo MINGW64_NT-10.0-26100")
        runner.add_program("cygpath", """case "$1" in -w) echo "D:$2" ;; *) echo "$2" ;; esac""")
        runner.add_python("py", windows=True)
        (runner.bin / "py").write_text((runner.bin / "py").read_text().replace("-I -P -c", "-3 -I -P -c"))

        result = runner.run_script()

        assert result.returncode == 0, result.stdout + result.stderr
        assert f"PYTHONPATH=D:{runner.action}/src" in result.stdout

    def test_uv_installs_where_it_is_there_and_is_not_configured_by_the_workspace(self, runner: FakeRunner) -> None:
        runner.add_python()
        runner.add_uv()

        result = runner.run_script()

        assert result.returncode == 0
        (install,) = runner.calls_beginning("uv", "pip", "install")
        assert "--require-hashes" in install
        assert "--no-cache" in install, "what a cache holds is not hashed again"
        assert f"uv runs in {runner.temp}" in result.stdout
        assert runner.calls_beginning("python3", "-I", "-m", "pip") == []

    def test_pip_brings_uv_with_hashes_where_there_is_none_and_it_installs_the_rest(self, runner: FakeRunner) -> None:
        runner.add_python()
        runner.add_uv_that_pip_brings()

        result = runner.run_script()

        assert "ran in" in result.stdout
        (bring,) = runner.calls_beginning("python3", "-I", "-m", "pip", "install")
        assert {"--require-hashes", "--no-deps", "--no-cache-dir"} < set(bring)
        assert values_after("--requirement", bring) == [f"{runner.action}/requirements/uv.txt"]
        (install,) = runner.calls_beginning("uv", "pip", "install")
        assert {"--require-hashes", "--no-deps", "--no-cache"} < set(install)
        assert values_after("--requirement", install) == [f"{runner.action}/requirements/runtime.txt"]
        assert runner.calls_beginning("python3", "-I", "-m", "pip", "--python") == []

    def test_nothing_but_the_environment_is_left_for_a_later_step(self, runner: FakeRunner) -> None:
        runner.add_python()
        runner.add_uv_that_pip_brings()

        runner.run_script()

        (environment,) = runner.temp.glob("dora-metrics-*")
        assert not environment.name.startswith("dora-metrics-draft")

    @pytest.mark.parametrize(
        "settings",
        [
            "global.index-url='https://packages.example/simple'\n",
            ":env:.index-url='https://packages.example/simple'\n",
            "global.timeout='9'\ninstall.extra-index-url='https://packages.example/simple'\n",
            "global.find-links='wheels'\n",
            "global.no-index='true'\n",
            "global.proxy='http://proxy.example'\n",
            "global.cert='ca.pem'\n",
            "global.trusted-host='packages.example'\n",
        ],
    )
    def test_uv_is_not_brought_where_pip_has_an_index_that_uv_does_not_know(
        self, runner: FakeRunner, settings: str
    ) -> None:
        runner.add_python()
        runner.add_uv_that_pip_brings()
        runner.write_pip_settings(settings)

        assert "ran in" in runner.run_script().stdout
        assert runner.calls_beginning("bring-uv") == runner.calls_beginning("uv") == []
        assert len(runner.calls_beginning("python3", "-I", "-m", "pip", "--python")) == 1

    def test_however_many_settings_pip_has_none_is_overlooked(self, runner: FakeRunner) -> None:
        """More than a pipe holds: who reads only up to the index would have pip's own end look like a failure."""
        runner.add_python()
        runner.add_uv_that_pip_brings()
        others = "".join(f"install.setting{number}='value'\n" for number in range(20_000))
        runner.write_pip_settings(f"global.index-url='https://packages.example/simple'\n{others}")

        runner.run_script()

        assert runner.calls_beginning("bring-uv") == runner.calls_beginning("uv") == []
        assert len(runner.calls_beginning("python3", "-I", "-m", "pip", "--python")) == 1

    def test_settings_of_pip_that_cannot_be_listed_are_an_error_since_they_may_name_an_index(
        self, runner: FakeRunner
    ) -> None:
        runner.add_python()
        runner.add_uv_that_pip_brings()
        (runner.bin / "pip-settings").unlink()

        result = runner.run_script()

        assert result.returncode == 1
        assert "::error title=DORA metrics::The action's Python packages could not be installed" in result.stdout
        assert runner.calls_beginning("bring-uv") == runner.calls_beginning("uv") == []
        assert runner.calls_beginning("python3", "-I", "-m", "pip", "--python") == []

    def test_other_settings_of_pip_are_no_reason_against_uv(self, runner: FakeRunner) -> None:
        runner.add_python()
        runner.add_uv_that_pip_brings()
        runner.write_pip_settings("global.break-system-packages='true'\nglobal.timeout='60'\n")

        runner.run_script()

        assert len(runner.calls_beginning("uv", "pip", "install")) == 1

    def test_pip_installs_with_hashes_where_no_uv_can_be_had(self, runner: FakeRunner) -> None:
        runner.add_python()

        assert "ran in" in runner.run_script().stdout
        (install,) = runner.calls_beginning("python3", "-I", "-m", "pip", "--python")
        assert {"--require-hashes", "--no-cache-dir"} < set(install)
        assert values_after("--requirement", install) == [f"{runner.action}/requirements/runtime.txt"]

    @pytest.mark.parametrize("brought", [False, True])
    def test_pip_installs_where_uv_fails(self, runner: FakeRunner, *, brought: bool) -> None:
        runner.add_python()
        if brought:
            runner.add_uv_that_pip_brings(status=2)
        else:
            runner.add_uv(status=2)

        assert runner.run_script().returncode == 0
        assert len(runner.calls_beginning("uv")) == 1
        assert len(runner.calls_beginning("python3", "-I", "-m", "pip", "--python")) == 1

    def test_a_second_use_installs_nothing(self, runner: FakeRunner) -> None:
        runner.add_python()

        runner.run_script()
        result = runner.run_script()

        assert "ran in" in result.stdout
        assert len(runner.calls_beginning("python3", "-I", "-m", "pip", "--python")) == 1

    def test_another_lock_file_is_another_environment(self, runner: FakeRunner) -> None:
        runner.add_python()

        runner.run_script()
        (runner.action / "requirements" / "runtime.txt").write_text("somepackage==2 --hash=sha256:1\n")
        runner.run_script()

        assert len(runner.calls_beginning("python3", "-I", "-m", "pip", "--python")) == 2

    def test_a_failed_installation_is_an_error_and_leaves_nothing_behind(self, runner: FakeRunner) -> None:
        runner.add_python(pip=1)

        result = runner.run_script()

        assert result.returncode == 1
        assert "::error title=DORA metrics::The action's Python packages could not be installed" in result.stdout
        assert list(runner.temp.glob("dora-metrics-*")) == []

    @pytest.mark.parametrize("uv", [False, True])
    def test_packages_that_cannot_be_imported_are_an_error(self, runner: FakeRunner, *, uv: bool) -> None:
        runner.add_python(broken=1)
        if uv:
            runner.add_uv()

        result = runner.run_script()

        assert result.returncode == 1
        assert "::error title=DORA metrics::The action's Python packages could not be installed" in result.stdout
        assert "ran in" not in result.stdout
        assert list(runner.temp.glob("dora-metrics-*")) == []

    def test_without_a_temporary_folder_nothing_is_moved_or_deleted(self, runner: FakeRunner) -> None:
        """A name below a folder that was not made would be a name in the root folder of the machine."""
        runner.add_python()
        runner.add_uv_that_pip_brings()
        for name, script in (("mktemp", "exit 1"), ("rm", ""), ("mv", "")):
            (runner.bin / name).unlink()
            runner.add_program(name, script)

        result = runner.run_script()

        assert result.returncode == 1
        assert "::error title=DORA metrics::The action's Python packages could not be installed" in result.stdout
        assert runner.calls_beginning("rm") == runner.calls_beginning("mv") == []
        assert runner.calls_beginning("python3", "-I", "-m") == []

    def test_a_runner_that_names_no_temporary_folder_is_an_error(self, runner: FakeRunner) -> None:
        runner.add_python()
        runner.variables["RUNNER_TEMP"] = ""

        result = runner.run_script()

        assert result.returncode == 1
        assert result.stdout.startswith("::error title=DORA metrics::RUNNER_TEMP is not set")

    def test_half_an_environment_is_never_used(self, runner: FakeRunner) -> None:
        runner.add_python()
        (runner.temp / "dora-metrics-draft.killed" / "venv" / "bin").mkdir(parents=True)

        assert runner.run_script().returncode == 0
        assert len(runner.calls_beginning("python3", "-I", "-m", "pip", "--python")) == 1

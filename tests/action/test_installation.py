"""action/run.sh installs with real pip and uv what the lock file says, whatever an earlier job left on the machine."""

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from support.paths import ROOT
from support.tools import leave_out, require_tool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the runner is made of links")

PROGRAM = "import idna, sys; print('the program uses', idna.TEXT); print('evil' in sys.modules)"
WHEEL = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
LOCKED = "the package of the lock file"
EVIL = "the package of the earlier job"
EVIL_PTH = "import evil\n"


def write_wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", WHEEL)
        wheel.writestr(f"{info}/RECORD", "")
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the standard library
        pass


@dataclass
class Machine:
    """A self-hosted runner with a real Python, and an index with the one package that the program needs."""

    root: Path
    index_url: str
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder in (self.home, self.temp, self.workspace, self.bin, self.action / "src" / "dora_metrics"):
            folder.mkdir(parents=True)
        shutil.copytree(ROOT / "action", self.action / "action")
        (self.action / "src" / "dora_metrics" / "__main__.py").write_text(PROGRAM)
        (self.bin / "python3").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
        self.wheel = write_wheel(self.index / "idna", "idna", "3.20", {"idna.py": f"TEXT = {LOCKED!r}"})
        link = f'<a href="{self.wheel.name}#sha256={sha256(self.wheel)}">{self.wheel.name}</a>'
        (self.index / "idna" / "index.html").write_text(link)
        self.variables["PIP_INDEX_URL"] = self.index_url
        self.lock("idna==3.20", self.wheel)
        (self.action / "requirements" / "uv.txt").write_text(f"uv==1 --hash=sha256:{'0' * 64}\n")

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def temp(self) -> Path:
        return self.root / "work" / "_temp"

    @property
    def workspace(self) -> Path:
        return self.root / "work" / "shop"

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    @property
    def action(self) -> Path:
        return self.root / "action"

    @property
    def index(self) -> Path:
        return self.root / "index"

    def lock(self, package: str, wheel: Path) -> None:
        (self.action / "requirements").mkdir(exist_ok=True)
        (self.action / "requirements" / "runtime.txt").write_text(f"{package} --hash=sha256:{sha256(wheel)}\n")

    def add_uv(self) -> None:
        (self.bin / "uv").symlink_to(require_tool("uv"))
        self.variables["UV_DEFAULT_INDEX"] = self.index_url

    def write_home_file(self, name: str, text: str) -> None:
        (self.home / name).parent.mkdir(parents=True, exist_ok=True)
        (self.home / name).write_text(text)

    def run(self) -> subprocess.CompletedProcess[str]:
        environment = {
            "HOME": str(self.home),
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "DORA_ACTION_PATH": str(self.action),
            "DORA_RUNTIME": "python",
            "RUNNER_TEMP": str(self.temp),
            **self.variables,
        }
        script = self.action / "action" / "run.sh"
        return subprocess.run(
            ["bash", str(script)], cwd=self.workspace, env=environment, capture_output=True, text=True, check=False
        )


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    base_python = Path(sys.base_prefix) / "bin" / "python3"
    if subprocess.run([base_python, "-I", "-c", "import pip, venv"], capture_output=True, check=False).returncode:
        leave_out("the base installation of Python has no pip")
    handler = partial(QuietHandler, directory=str(tmp_path / "index"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Machine(tmp_path, f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()


def assert_uses_locked_package(result: subprocess.CompletedProcess[str]) -> None:
    assert f"the program uses {LOCKED}\nFalse\n" in result.stdout, result.stdout + result.stderr


def evil_package(machine: Machine) -> Path:
    files = {"evil.py": "print('code of the earlier job')", "evil.pth": EVIL_PTH}
    return write_wheel(machine.root / "evil", "evilpackage", "1", files)


def test_a_wheel_in_the_cache_of_an_earlier_job_is_not_installed(machine: Machine) -> None:
    """pip hashes no wheel in its cache: it compares the hash that a file beside the wheel says."""
    url = f"{machine.index_url}/idna/{machine.wheel.name}"
    print_place = (
        "import sys; from pip._internal.cache import SimpleWheelCache as Cache; from pip._internal.models.link "
        "import Link; print(Cache(sys.argv[1]).get_path_for_link(Link(sys.argv[2])))"
    )
    link = f"{url}#sha256={sha256(machine.wheel)}"
    command = [str(machine.bin / "python3"), "-c", print_place, str(machine.home / ".cache" / "pip"), link]
    place = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    write_wheel(place, "idna", "3.20", {"idna.py": f"TEXT = {EVIL!r}"})
    origin = {"url": url, "archive_info": {"hashes": {"sha256": sha256(machine.wheel)}}}
    (place / "origin.json").write_text(json.dumps(origin))

    assert_uses_locked_package(machine.run())


def test_a_settings_file_of_pip_adds_no_package(machine: Machine) -> None:
    wheel = evil_package(machine)
    machine.write_home_file("more.txt", f"evilpackage @ file://{wheel} --hash=sha256:{sha256(wheel)}\n")
    machine.write_home_file(".config/pip/pip.conf", f"[install]\nrequirement = {machine.home}/more.txt\n")

    assert_uses_locked_package(machine.run())


@pytest.mark.parametrize("place", ["home", "workspace", "above"])
def test_a_settings_file_of_uv_replaces_no_package(machine: Machine, place: str) -> None:
    machine.add_uv()
    machine.variables["PIP_INDEX_URL"] = f"{machine.index_url}/nothing"
    wheel = write_wheel(machine.root / "evil", "idna", "3.20", {"idna.py": f"TEXT = {EVIL!r}"})
    override = f'override-dependencies = ["idna @ file://{wheel}#sha256={sha256(wheel)}"]\n'
    folder = {"home": machine.home / ".config/uv", "workspace": machine.workspace, "above": machine.temp.parent}[place]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "uv.toml").write_text(override + '[pip]\ntarget = "elsewhere"\n')

    assert_uses_locked_package(machine.run())


@pytest.mark.parametrize(
    "setting",
    [
        *("PIP_TARGET={folder}", "PIP_PREFIX={folder}", "PIP_ROOT={folder}", "PIP_DRY_RUN=1", "PIP_NO_BINARY=:all:"),
        *("PIP_CONSTRAINT={folder}/none.txt", "PIP_REQUIREMENT={folder}/none.txt", "PIP_CONFIG_FILE={folder}/none"),
        *("PIP_PLATFORM=win32", "PIP_REQUIRE_VIRTUALENV=1", "PIP_USER=1", "PIP_PYTHON={folder}/none"),
    ],
)
def test_a_variable_of_pip_changes_nothing(machine: Machine, setting: str) -> None:
    name, _, value = setting.partition("=")
    machine.variables[name] = value.format(folder=machine.root / "elsewhere")

    assert_uses_locked_package(machine.run())


@pytest.mark.parametrize(
    "setting",
    [
        *("UV_TARGET={folder}", "UV_PREFIX={folder}", "UV_NO_BINARY=1", "UV_CONSTRAINT={folder}/none.txt"),
        *("UV_OVERRIDE={folder}/none.txt", "UV_EXCLUDE_NEWER=2000-01-01", "UV_PROJECT={folder}", "UV_OFFLINE=0"),
        *("UV_NO_VERIFY_HASHES=1", "UV_EXCLUDE={folder}/none.txt", "UV_CACHE_DIR=/proc/none", "UV_PYTHON=3.9"),
    ],
)
def test_a_variable_of_uv_changes_nothing(machine: Machine, setting: str) -> None:
    machine.add_uv()
    machine.variables["PIP_INDEX_URL"] = f"{machine.index_url}/nothing"
    name, _, value = setting.partition("=")
    machine.variables[name] = value.format(folder=machine.root / "elsewhere")

    assert_uses_locked_package(machine.run())


def test_an_index_in_a_settings_file_of_pip_is_asked(machine: Machine) -> None:
    del machine.variables["PIP_INDEX_URL"]
    settings = f"[global]\nindex-url = {machine.index_url}/nothing\nextra-index-url =\n  {machine.index_url}\n"
    machine.write_home_file(".config/pip/pip.conf", settings)

    assert_uses_locked_package(machine.run())


@pytest.mark.parametrize(
    "text", ['index-url = "{url}"', '[[index]]\nurl = "{url}"\ndefault = true', '[pip]\nindex-url = "{url}"']
)
def test_an_index_in_a_settings_file_of_uv_is_asked(machine: Machine, text: str) -> None:
    machine.add_uv()
    del machine.variables["UV_DEFAULT_INDEX"]
    machine.variables["PIP_INDEX_URL"] = f"{machine.index_url}/nothing"
    machine.write_home_file(".config/uv/uv.toml", text.format(url=machine.index_url))

    assert_uses_locked_package(machine.run())


def test_a_package_that_is_missing_though_the_installer_was_content_is_an_error_in_two_lines(machine: Machine) -> None:
    (machine.bin / "uv").write_text(f'#!/bin/sh\n[ "$1" = venv ] && exec {require_tool("uv")} "$@"\nexit 0\n')
    (machine.bin / "uv").chmod(0o755)
    machine.variables["PIP_INDEX_URL"] = f"{machine.index_url}/nothing"

    result = machine.run()

    assert result.returncode == 1
    assert "idna 3.20 is not installed\n" in result.stdout
    assert "::error title=DORA metrics::The action's Python packages could not be installed" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    assert list(machine.temp.iterdir()) == []

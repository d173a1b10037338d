"""What is installed holds all that it needs: a wheel, built directly or from the source distribution, runs the demo."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.paths import ROOT

TEMPLATES = {path.relative_to(ROOT / "templates") for path in (ROOT / "templates").rglob("*") if path.is_file()}


def build(target: str, source: Path, folder: Path) -> Path:
    """A distribution of a source folder, built without network; the build environment is this one."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (distribution,) = folder.iterdir()
    return distribution


@pytest.fixture(scope="module", params=["from the checkout", "from the source distribution"])
def site_packages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel, far from the checkout."""
    folder, source = tmp_path_factory.mktemp("build"), ROOT
    if request.param == "from the source distribution":
        archive = build("sdist", ROOT, folder / "sdist")
        subprocess.run(["tar", "-xzf", str(archive), "-C", str(folder)], check=True)
        (source,) = (path for path in folder.iterdir() if path.name != "sdist")
    site = folder / "site-packages"
    with zipfile.ZipFile(build("wheel", source, folder / "wheel")) as wheel:
        wheel.extractall(site)
    return site


def run(site_packages: Path, folder: Path, *arguments: str) -> tuple[Path, str]:
    """Run the installed command in a folder; return where its package is, and what it printed."""
    code = (
        "import dora_metrics as d; print(d.__file__); from dora_metrics.__main__ import main; raise SystemExit(main())"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site_packages)}
    command = [sys.executable, "-c", code, *arguments]
    ran = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    module, _, output = ran.stdout.partition("\n")
    return Path(module), output


def test_it_holds_every_template(site_packages: Path) -> None:
    packaged = site_packages / "dora_metrics" / "templates"
    assert {path.relative_to(packaged) for path in packaged.rglob("*") if path.is_file()} == TEMPLATES


def test_it_knows_incident_systems(site_packages: Path) -> None:
    assert (site_packages / "dora_metrics" / "settings" / "incidents" / "presets.yml").is_file()


def test_it_runs_the_demo_with_its_own_files(site_packages: Path, tmp_path: Path) -> None:
    module, output = run(site_packages, tmp_path, "demo", "--output", str(tmp_path / "demo"))
    assert module.is_relative_to(site_packages)
    assert "This run used sample data: it recorded one event (a deployment of acme/shop)" in output
    assert (tmp_path / "demo" / "ledger" / "index.html").stat().st_size > 100_000


def test_it_proposes_a_workflow(site_packages: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "shop")], check=True)
    run(site_packages, tmp_path, "init", "--directory", str(tmp_path / "shop"), "--yes")
    assert (tmp_path / "shop" / ".github" / "workflows" / "dora.yml").is_file()

"""The action's step, started as GitHub's runner starts it."""

import subprocess
from pathlib import Path

import yaml

from support.paths import ROOT

SHELL = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail")
"""https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell"""


def start_step(folder: Path, environment: dict[str, str], cwd: Path) -> subprocess.Popen[bytes]:
    """Start the command of action.yml, from a file in the folder. A cancelled job signals this process alone."""
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    script = folder / "step.sh"
    script.write_text(action["runs"]["steps"][0]["run"] + "\n")
    return subprocess.Popen(
        [*SHELL, str(script)], cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )

"""What some tests need and a machine may lack."""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest


def require_tool(tool: str) -> Path:
    """Path of the program. Without it the test is skipped; in CI it fails."""
    beside_python = Path(sys.executable).with_name(tool)
    program = str(beside_python) if beside_python.exists() else shutil.which(tool)
    if not program:
        leave_out(f"{tool} is not installed")
    return Path(program)


def leave_out(reason: str) -> NoReturn:
    """Skip the test for what this machine lacks; in CI, where everything is installed, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)

"""Programs that some tests need and a machine may lack."""

import os
import shutil
import sys
from pathlib import Path

import pytest


def require_tool(tool: str) -> Path:
    """Path of the program. Without it the test is skipped; in CI it fails."""
    beside_python = Path(sys.executable).with_name(tool)
    program = str(beside_python) if beside_python.exists() else shutil.which(tool)
    if program:
        return Path(program)
    reason = f"{tool} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)

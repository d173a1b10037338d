"""Programs that some tests need and a user's machine may lack."""

import os
import shutil
import sys
from pathlib import Path

import pytest


def needs(tool: str) -> Path:
    """Return the program, or skip the test; in CI, where it has to be there, fail."""
    beside_python = Path(sys.executable).with_name(tool)
    found = str(beside_python) if beside_python.exists() else shutil.which(tool)
    if found:
        return Path(found)
    reason = f"{tool} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)

"""Fail unless every package of a lock file is installed here, in its version, with its modules.

Nothing is imported: that would take longer than uv takes to install, and hashes say what the files hold.
"""

import importlib.metadata
import re
import sys
from importlib.util import find_spec
from pathlib import Path

PINNED_PACKAGE = re.compile(r"^([\w.-]+)==([^\s;\\]+) *(;)?", re.MULTILINE)


def problems(lock: str) -> list[str]:
    """What is wrong, a line each. A package with a condition, such as of one platform, need not be there."""
    versions = {name_of(package.name): package.version for package in importlib.metadata.distributions()}
    missing = [
        f"{name} {version} is not installed"
        for name, version, condition in PINNED_PACKAGE.findall(lock)
        if versions.get(name_of(name), version if condition else "") != version
    ]
    modules = (name for name in importlib.metadata.packages_distributions() if not name.startswith("_"))
    return [*missing, *(f"the module {name} is not there" for name in modules if find_spec(name) is None)]


def name_of(package: str) -> str:
    """A name as it is compared: https://packaging.python.org/en/latest/specifications/name-normalization/."""
    return re.sub(r"[-_.]+", "-", package).lower()


if __name__ == "__main__":
    sys.exit("\n".join(problems(Path(sys.argv[1]).read_text("utf-8"))) or 0)

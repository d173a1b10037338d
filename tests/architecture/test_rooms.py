"""The tables of docs/architecture.md, section "Every file", list the package as it is."""

import re
from collections import Counter

from support.paths import ROOT

PACKAGE = ROOT / "src" / "dora_metrics"
SAMPLE = "sample/"
"""Sample data: its row describes everything below it."""


def listed_paths() -> list[str]:
    """The first cells of the tables, in order."""
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    (section,) = re.findall(r"^## Every file$(.*?)^## ", page, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"^\| `([^`]+)` \|", section, flags=re.MULTILINE)


def existing_paths() -> set[str]:
    """Every folder, with a slash at the end, and every module but the `__init__.py` of a folder."""
    entries = [path for path in PACKAGE.rglob("*") if "__pycache__" not in path.parts]
    folders = {f"{path.relative_to(PACKAGE).as_posix()}/" for path in entries if path.is_dir()}
    modules = {path.relative_to(PACKAGE).as_posix() for path in entries if path.suffix == ".py"}
    modules -= {f"{folder}__init__.py" for folder in folders}
    return {path for path in folders | modules if path == SAMPLE or not path.startswith(SAMPLE)} | {"py.typed"}


def test_every_module_and_folder_is_listed() -> None:
    assert existing_paths() - set(listed_paths()) == set()


def test_nothing_is_listed_that_does_not_exist() -> None:
    assert [path for path in listed_paths() if not (PACKAGE / path).exists()] == []


def test_nothing_is_listed_twice() -> None:
    assert [path for path, count in Counter(listed_paths()).items() if count > 1] == []


def test_folders_are_listed_before_what_they_hold() -> None:
    listed = listed_paths()
    folders = [path for path in listed if path.endswith("/")]
    for folder in folders:
        below = [path for path in listed if path.startswith(folder)]
        assert below[0] == folder


def test_other_files_are_in_a_folder_whose_row_describes_them() -> None:
    others = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".py"}
    data = {path.as_posix() for path in others if "__pycache__" not in path.parts}
    described = ("py.typed", SAMPLE, "github/queries/", "settings/incidents/")
    assert [path for path in sorted(data) if not path.startswith(described)] == []

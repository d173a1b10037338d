"""The templates of the package."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def load_template(name: str) -> str:
    """A template of the package."""
    return (_templates_folder() / name).read_text("utf-8")


def load_parts() -> dict[str, str]:
    """The templates of which others are made, by name."""
    entries = (_templates_folder() / "parts").iterdir()
    return {entry.name: entry.read_text("utf-8") for entry in entries if entry.name.endswith(".j2")}


def _templates_folder() -> Traversable:
    """In the package where it was built; beside `src` in a checkout, and so in the action and in its image."""
    packaged = files("dora_metrics") / "templates"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "templates"

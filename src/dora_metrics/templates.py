"""The templates of the package."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def template(name: str) -> str:
    """A template of the package."""
    return (_folder() / name).read_text("utf-8")


def parts() -> dict[str, str]:
    """The templates of which others are made, by name."""
    found = (_folder() / "parts").iterdir()
    return {one.name: one.read_text("utf-8") for one in found if one.name.endswith(".j2")}


def _folder() -> Traversable:
    """In the package where it was built; beside `src` in a checkout, and so in the action and in its image."""
    built = files("dora_metrics") / "templates"
    return built if built.is_dir() else Path(__file__).parents[2] / "templates"

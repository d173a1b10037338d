"""Load the Jinja templates of the package."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def load_template(name: str) -> str:
    """Return the text of a template, by its file name."""
    return (_templates_folder() / name).read_text("utf-8")


def load_parts() -> dict[str, str]:
    """Return the partial templates that others include, by file name."""
    entries = (_templates_folder() / "parts").iterdir()
    return {entry.name: entry.read_text("utf-8") for entry in entries if entry.name.endswith(".j2")}


def _templates_folder() -> Traversable:
    """Return the folder: inside an installed wheel, else next to `src` (checkout, editable install, the image)."""
    packaged = files("dora_metrics") / "templates"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "templates"

"""The templates of the package."""

from importlib.resources import files


def template(name: str) -> str:
    """A template of the package."""
    return (files("dora_metrics") / "templates" / name).read_text("utf-8")


def parts() -> dict[str, str]:
    """The templates of which others are made, by name."""
    found = (files("dora_metrics") / "templates" / "parts").iterdir()
    return {one.name: one.read_text("utf-8") for one in found if one.name.endswith(".j2")}

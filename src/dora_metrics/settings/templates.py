"""Which template a setting names: a file of the repository, or a shape that is shipped."""

from pathlib import Path


def parse_template_path(value: object) -> Path:
    """Return the path of a template, from the root of the repository.

    Raises:
        ValueError: if it leads elsewhere.
    """
    text = str(value).strip()
    if text.startswith("/") or ".." in Path(text).parts or "\0" in text:
        raise ValueError(f"{text!r} is not a path in the repository")
    return Path(text)


def parse_endpoint_template(text: str) -> str:
    """Return the name of a shipped shape, or the path of a template in the repository.

    Raises:
        ValueError: if it is neither.
    """
    from dora_metrics.core.shapes.shipped import SHIPPED_SHAPES  # noqa: PLC0415 - most runs have no endpoint

    text = text.strip()
    if text in SHIPPED_SHAPES:
        return text
    if not {"/", "."} & set(text):
        choices = ", ".join(SHIPPED_SHAPES)
        raise ValueError(f"{text!r} is not one of {choices}; a file is written with its ending, as in chat.json.j2")
    return parse_template_path(text).as_posix()

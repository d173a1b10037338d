"""GitHub's schemas of its files, as check-jsonschema has them. Its command runs in this process, which is faster."""

from pathlib import Path

from check_jsonschema import main as check_jsonschema  # type: ignore[import-untyped] # it has no types
from click.testing import CliRunner


def assert_github_accepts(schema: str, path: Path) -> None:
    """Check a file against a schema such as `vendor.github-workflows`."""
    checked = CliRunner().invoke(check_jsonschema, ["--builtin-schema", schema, str(path)])
    assert checked.exit_code == 0, checked.output + path.read_text("utf-8")

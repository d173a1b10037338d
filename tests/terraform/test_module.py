"""The Terraform module: valid by the provider's own schema, and its tests pass and notice mistakes."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dora_metrics.core.rows.tables import TABLES
from support.paths import ROOT
from support.terraform import MODULE, Terraform

EXAMPLE = ROOT / "examples" / "terraform"
README = MODULE / "README.md"


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return Terraform(tmp_path_factory.mktemp("provider"))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the module, beside a copy of the views that it reads."""
    shutil.copytree(ROOT / "sql", tmp_path / "sql")
    return Path(shutil.copytree(MODULE, tmp_path / "terraform"))


def test_the_files_are_formatted(terraform: Terraform) -> None:
    for folder in (MODULE, EXAMPLE):
        result = terraform.run(folder, "fmt", "-check", "-diff", "-recursive")
        assert result.returncode == 0, result.stdout


def test_the_module_is_valid(terraform: Terraform) -> None:
    result = terraform.run(MODULE, "validate", "-no-color")
    assert result.returncode == 0, result.stderr


def test_the_tests_of_the_module_pass(terraform: Terraform) -> None:
    result = terraform.run(MODULE, "test", "-no-color")
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"Success! \d+ passed, 0 failed", result.stdout)


def test_the_example_is_valid(terraform: Terraform, copy: Path) -> None:
    example = Path(shutil.copytree(EXAMPLE, copy.parent / "example"))
    main = example / "main.tf"
    text, count = re.subn(r'source = "github\.com/[^"]+"', 'source = "../terraform"', main.read_text("utf-8"))
    assert count == 1
    main.write_text(text, "utf-8")
    assert terraform.run(example, "get", "-no-color").returncode == 0
    result = terraform.run(example, "validate", "-no-color")
    assert result.returncode == 0, result.stderr


class Mistake(NamedTuple):
    """A text in a file of the module, what a mistake puts in its place, and what notices it."""

    file: str
    text: str
    instead: str
    command: str
    message: str


MISTAKES = (
    Mistake("main.tf", "table_id ", "table_name ", "validate", "table_name"),
    Mistake("main.tf", '  role       = "roles/bigquery.dataEditor"\n', "", "validate", '"role" is required'),
    Mistake("main.tf", "time_partitioning", "partitioning", "validate", "partitioning"),
    Mistake("main.tf", "var.labels", '"team"', "validate", "map of string required"),
    Mistake("identity.tf", "oidc {", "openid {", "validate", "openid"),
    Mistake(
        "identity.tf", "google_iam_workload_identity_pool.github.name", "google_iam_pool.github.name", "validate", ""
    ),
    Mistake("identity.tf", "[local.is_owner], ", "", "test", "trusts more"),
    Mistake("identity.tf", "attribute.repository/${each.value}", "*", "test", "Another repository"),
    Mistake("main.tf", "roles/bigquery.dataEditor", "roles/bigquery.admin", "test", "other roles"),
    Mistake("main.tf", "roles/bigquery.dataViewer", "roles/bigquery.dataOwner", "test", "A reader has"),
    Mistake("main.tf", '"MONTH"', '"DAY"', "test", "partitioned by the month"),
    Mistake("views.tf", "use_legacy_sql", "legacy_sql", "validate", "legacy_sql"),
    Mistake("views.tf", "${var.project}.${google", "${google", "test", "another dataset"),
    Mistake("views.tf", '["from", "to", "now"]', '["to", "from", "now"]', "test", "other arguments"),
    Mistake("variables.tf", "default     = true", "default     = false", "test", "protected"),
    Mistake("variables.tf", "'\\\\\\\\[:space:]", "[:space:]", "test", "expected failure"),
    Mistake("variables.tf", "[:space:][:cntrl:]]+)?", "]+)?", "test", "expected failure"),
    Mistake("variables.tf", "(principal|", "all|(principal|", "test", "expected failure"),
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: f"{mistake.file}: {mistake.instead or 'nothing'}")
def test_a_mistake_is_noticed(terraform: Terraform, copy: Path, mistake: Mistake) -> None:
    file = copy / mistake.file
    text = file.read_text("utf-8")
    assert mistake.text in text
    file.write_text(text.replace(mistake.text, mistake.instead), "utf-8")
    result = terraform.run(copy, mistake.command, "-no-color")
    assert result.returncode != 0
    assert mistake.message in " ".join((result.stdout + result.stderr).replace("│", " ").split())


def test_the_tables_are_those_of_the_program() -> None:
    tables = json.loads((MODULE / "tables.json").read_text("utf-8"))
    assert {table.name for table in TABLES} <= tables.keys()


def _declared(file: str, kind: str) -> Iterator[tuple[str, str]]:
    """The names of variables or outputs with their descriptions, in their order."""
    blocks = re.findall(
        rf'^{kind} "(\w+)" \{{\n(.*?)^\}}', (MODULE / file).read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    for name, body in blocks:
        (description,) = re.findall(r'^  description = "(.*)"$', body, re.MULTILINE)
        yield name, description


@pytest.mark.parametrize(("file", "kind"), [("variables.tf", "variable"), ("outputs.tf", "output")])
def test_the_readme_has_each_variable_and_output(file: str, kind: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", README.read_text("utf-8"), re.MULTILINE)
    for name, description in _declared(file, kind):
        assert (name, description) in rows

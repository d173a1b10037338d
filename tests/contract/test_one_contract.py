"""action.yml, the settings model, the program's outputs and schema/ agree."""

import pytest
import yaml

from dora_metrics.pipeline import outputs
from dora_metrics.schemas import schemas, warehouse_tables
from dora_metrics.settings.model import FLAGS, INPUTS, NAMES, Settings, default_text
from support.paths import ROOT

ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))


def test_action_yml_has_exactly_the_inputs_of_the_settings_in_the_same_order() -> None:
    assert list(INPUTS) == list(ACTION["inputs"])


@pytest.mark.parametrize("name", INPUTS)
def test_an_inputs_default_is_the_settings_default(name: str) -> None:
    assert default_text(name) == ACTION["inputs"][name]["default"]


@pytest.mark.parametrize("name", INPUTS)
def test_an_inputs_description_is_the_settings_description(name: str) -> None:
    described = " ".join(ACTION["inputs"][name]["description"].split())
    assert Settings.model_fields[name.replace("-", "_")].description == described


def test_no_description_holds_an_expression() -> None:
    """GitHub evaluates expressions there too, and fails on a context that actions do not have."""
    described = [*ACTION["inputs"].values(), *ACTION["outputs"].values()]
    assert not [item["description"] for item in described if "${{" in item["description"]]


@pytest.mark.parametrize("name", INPUTS)
def test_a_default_written_as_text_is_read_as_the_default(name: str) -> None:
    if name == "github-token":
        return
    field = Settings.model_fields[name.replace("-", "_")]
    given = {name: default_text(name)} if default_text(name) else {}
    assert getattr(Settings.model_validate(given), name.replace("-", "_")) == field.default


def test_the_program_sets_exactly_the_outputs_that_action_yml_declares() -> None:
    others = {"violations", "metrics", "page-path", "facts", "report-issue", "unrecorded-facts"}
    assert {*outputs.METRIC_OUTPUTS, *others} == set(ACTION["outputs"])


def test_every_output_is_passed_on_under_its_own_name() -> None:
    for name, output in ACTION["outputs"].items():
        assert output["value"] == f"${{{{ steps.dora.outputs.{name} }}}}"


def test_every_flag_is_a_setting() -> None:
    assert set(FLAGS) <= set(NAMES)


@pytest.mark.parametrize("name", sorted(schemas()))
def test_the_schema_in_the_repository_is_the_one_the_models_make(name: str) -> None:
    """`make schema` writes the schemas."""
    assert schemas()[name] == (ROOT / "schema" / name).read_text("utf-8")


def test_the_tables_of_terraform_are_those_of_the_rows() -> None:
    """`make schema` writes them."""
    for name, text in warehouse_tables().items():
        assert text == (ROOT / "terraform" / name).read_text("utf-8")

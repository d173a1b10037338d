"""docs/reference.md has every setting and every output once, with the defaults and meanings of the program."""

import re

import pytest
import reference
import yaml

from support.paths import ROOT

PAGE = (ROOT / "docs" / "reference.md").read_text("utf-8")


def test_the_tables_are_those_that_the_program_makes() -> None:
    """`make schema` writes them."""
    assert reference.filled(PAGE) == PAGE


def test_the_tables_are_grouped_by_the_questions_of_a_reader() -> None:
    headings = re.findall(r"^## (.*\?)$", PAGE, flags=re.MULTILINE)
    for question in ("What is a deployment?", "What is a failure?", "Where do numbers go?", "How are they shown?"):
        assert question in headings


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("settings: window, ", "settings: "), r"settings .* \['window'\]"),
        (("settings: window, ", "settings: window, window, "), r"settings .* \['window'\]"),
        (("settings: window, ", "settings: window, windows, "), r"settings .* \['windows'\]"),
        (("outputs: metrics, facts", "outputs: metrics"), r"outputs .* \['facts'\]"),
    ],
)
def test_a_name_that_is_missing_repeated_or_unknown_is_an_error(change: tuple[str, str], problem: str) -> None:
    with pytest.raises(reference.ReferencePageError, match=problem):
        reference.filled(PAGE.replace(*change))


def test_the_example_of_an_output_uses_outputs_that_exist() -> None:
    used = set(re.findall(r"steps\.dora\.outputs\.([\w-]+)", PAGE))
    assert used
    assert used <= set(reference.outputs())
    (step,) = yaml.safe_load(re.findall(r"^```yaml\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)[-1])
    assert "${{" not in step["run"]

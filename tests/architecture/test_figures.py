"""The structure in numbers (`make figures`): names that say what they hold, one word for one type, a short way down."""

import figures
import pytest


@pytest.fixture(scope="module")
def measured() -> figures.Figures:
    return figures.measure()


def test_the_root_of_the_package_has_few_modules(measured: figures.Figures) -> None:
    assert measured.root_modules <= 8


def test_variables_are_named_for_what_they_hold(measured: figures.Figures) -> None:
    assert measured.vague_words <= 2


def test_a_type_name_means_one_thing(measured: figures.Figures) -> None:
    assert measured.repeated_types == {}


def test_no_module_imports_itself_through_others(measured: figures.Figures) -> None:
    assert measured.import_cycles == 0


def test_settings_and_context_only_go_down_the_layers(measured: figures.Figures) -> None:
    assert not measured.trace.upward_calls


def test_the_way_of_an_event_to_its_lead_time_is_short(measured: figures.Figures) -> None:
    assert len(measured.trace.path) <= 10, measured.trace.path
    assert measured.trace.files <= 6, measured.trace.path


def test_functions_are_short(measured: figures.Figures) -> None:
    assert measured.quantile(0.5) <= 6
    assert measured.quantile(0.9) <= 16


def test_a_cycle_and_a_vague_word_are_seen() -> None:
    package = [
        figures.Module("a", "from dora_metrics import b\nfound = one = 1\n"),
        figures.Module("b", "from dora_metrics import a\nclass Twice: ...\n"),
        figures.Module("c", "class Twice: ...\n"),
    ]
    assert figures.import_cycles(package) == 1
    assert figures.vague_words_per_1000_lines(package) == 400
    assert figures.repeated_types(package) == {"Twice": ["b", "c"]}

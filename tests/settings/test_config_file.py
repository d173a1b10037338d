"""A config file is read within limits, and only a path with nothing at it means that there is none."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.errors import SettingsError
from dora_metrics.settings.config_file import MAX_CONFIG_BYTES, config_layer, read_config_file
from dora_metrics.settings.loading import Layer, load_settings
from dora_metrics.settings.yaml_text import MAX_VALUES

LAUGHS = "a0: &a0 [ha, ha]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 20))
MERGES = "a0: &a0 {b: c}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 20))
CHAIN = "a0: &a0 x\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 3_000))
DEPTH = 10_000


def problems_of(text: str | bytes) -> tuple[str, ...]:
    """What loading the text as a config file finds; empty if nothing is wrong."""
    content = text.encode() if isinstance(text, str) else text
    try:
        load_settings([config_layer("dora.yml", content)])
    except SettingsError as error:
        return error.problems
    return ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (LAUGHS, "dora.yml:7: cannot be used: its aliases stand for more than 500,000 characters; use fewer aliases"),
        (MERGES, "cannot be used: its aliases stand for more than 500,000 characters; use fewer aliases"),
        (CHAIN, "cannot be used: nested more than 40 levels deep; check brackets, indentation and aliases"),
        ("a: &a [*a]", "dora.yml:1: cannot be used: an alias refers to a value that contains it; write the value out"),
        ("window: " + "[" * DEPTH, "dora.yml:1: cannot be used: nested more than 40 levels deep"),
        ("{a: " * DEPTH, "nested more than 40 levels deep"),
        ("- " * DEPTH, "nested more than 40 levels deep"),
        ("[" + "a," * MAX_VALUES + "]", "dora.yml:1: cannot be used: more than 20,000 keys and values"),
        ("".join(f"k{n}:\n" for n in range(MAX_VALUES)), "more than 20,000 keys and values; keep only what is needed"),
        ("window: 0x" + "f" * 9_000, "dora.yml:1: cannot be used: a number of more than 30 digits"),
        ("window: " + "1:" * 400 + "1.0", "a number of more than 30 digits; put it in quotes if it is a string"),
        ('service: "\\ud800"', "dora.yml:1: cannot be used: holds a NUL or half a character"),
        ('service: "\\0"', "dora.yml:1: cannot be used: holds a NUL"),
        ("window: !!bool maybe", "dora.yml:1: 'maybe' is not a valid boolean"),
        ("window: !!timestamp soon", "dora.yml: window: 'soon' is not a valid window"),
        ("window: 2026-02-31", "dora.yml: window: '2026-02-31' is not a valid window"),
        ("window: !!python/name:os.system", "dora.yml:1: not valid YAML: could not determine a constructor"),
        (
            "window: 7d\nservice: web\nwindow: 30d",
            "dora.yml:3: cannot be used: the key 'window' is there twice; keep one",
        ),
        ("services: {web: a/**, web: b/**}", "dora.yml:1: cannot be used: the key 'web' is there twice; keep one"),
        (
            "deploy-workflows: [012]",
            "dora.yml:1: cannot be used: 012 is a number in another notation; put it in quotes",
        ),
        (
            "incident-labels: [1:30]",
            "1:30 is a number in another notation; put it in quotes, or write a decimal number",
        ),
        ("incident-labels: [no]", "dora.yml: incident-labels: false is not a string in YAML; put the item in quotes"),
        ("incident-labels: [1.10]", "dora.yml: incident-labels: 1.1 is not a string in YAML; put the item in quotes"),
        (b"#" * (MAX_CONFIG_BYTES + 1), "it is larger than 500,000 bytes, so probably not the intended file"),
        (b"window: \xff", "config dora.yml: cannot be read (it is not UTF-8)"),
    ],
)
def test_what_a_file_may_not_hold_is_named_with_its_place(text: str | bytes, problem: str) -> None:
    (found,) = problems_of(text)
    assert problem in found


def test_a_status_may_be_a_bare_number() -> None:
    assert load_settings([config_layer("dora.yml", b"health-check-status: 200")]).health_check_status == ("200",)
    (problem,) = problems_of("health-check-status: 700")
    assert problem == "dora.yml: health-check-status: '700' is not an HTTP status; write for example 200 or 200-299"


def test_aliases_that_save_some_lines_are_fine() -> None:
    text = (
        "hotfix-labels: &labels [hotfix, urgent]\nreport-labels: *labels\nservices: {web: &paths [web/**], api: *paths}"
    )
    assert load_settings([config_layer("dora.yml", text.encode())]).report_labels == ("hotfix", "urgent")


def test_a_merge_key_gives_defaults_that_a_key_of_its_own_replaces() -> None:
    text = "goals:\n  lead_time: &goal {target: 1d}\n  recovery_time: {<<: *goal, target: 2h}\n"
    assert len(load_settings([config_layer("dora.yml", text.encode())]).goals) == 2


def test_a_monorepo_of_a_thousand_services_is_fine() -> None:
    paths = "".join(f"  service-{n}: [services/service-{n}/**, libs/shared/**]\n" for n in range(1_000))
    assert len(load_settings([config_layer("dora.yml", f"services:\n{paths}".encode())]).services) == 1_000


def test_a_misplaced_setting_and_an_invalid_date_hide_no_other_problem() -> None:
    goals = "goals:\n  lead_time: {target: 1d, by: 2027-02-31}\n"
    problems = problems_of(f"mode: sync\ngithub-token: secret\n{goals}strict: maybe\n")
    assert [problem.partition(";")[0] for problem in problems] == [
        "dora.yml: mode: it belongs to one run",
        "dora.yml: github-token: a secret does not belong in a file",
        "dora.yml: goals: lead_time by: '2027-02-31' is not a valid date",
        "dora.yml: strict: 'maybe' is not a boolean",
    ]


def test_of_many_problems_the_first_are_listed_and_the_others_counted() -> None:
    problems = problems_of("".join(f"window-{n}: 7d\n" for n in range(9_000)))
    assert problems[0] == "dora.yml: window-0: unknown setting; did you mean window?"
    assert (len(problems), problems[-1]) == (21, "8,980 more problems like these")


def test_a_long_value_is_shortened_where_it_is_named() -> None:
    (problem,) = problems_of("window: " + "x" * 300_000)
    assert problem.startswith("dora.yml: window: 'xxx")
    assert len(problem) < 600


FRAGMENTS = st.text(alphabet="ab:-[]{}&*!?|>'\"%@#, \n\t\\x0159", max_size=30)
TAGS = ("int", "float", "bool", "null", "timestamp", "binary", "set", "omap", "pairs", "str", "seq", "map")


@given(st.lists(FRAGMENTS, max_size=8).map("".join))
def test_any_text_is_settings_or_a_problem(text: str) -> None:
    problems_of(text)


@given(st.sampled_from(TAGS), st.text(max_size=12))
def test_any_value_of_any_type_is_one_or_a_problem(tag: str, value: str) -> None:
    problems_of(f"service: !!{tag} {value}")
    problems_of(f"service: !!{tag} [{value}]")


# Which file is read


def write(folder: Path, text: str = "window: 7d") -> Path:
    path = folder / ".github" / "dora.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def link(path: Path, target: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


def problem_of_reading(path: Path, folder: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        read_config_file(path, folder)
    (problem,) = caught.value.problems
    return problem


def test_a_path_with_nothing_at_it_is_no_file(tmp_path: Path) -> None:
    assert read_config_file(tmp_path / ".github" / "dora.yml", tmp_path) is None
    (tmp_path / ".github").mkdir()
    assert read_config_file(tmp_path / ".github" / "dora.yml", tmp_path) is None


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    settings = write(tmp_path / "settings")
    layer = read_config_file(link(tmp_path / "dora.yml", settings), tmp_path)
    assert layer == Layer(str(tmp_path / "dora.yml"), {"window": "7d"})


def test_the_folder_itself_may_be_behind_a_link(tmp_path: Path) -> None:
    write(tmp_path / "real")
    workspace = link(tmp_path / "workspace", tmp_path / "real")
    assert read_config_file(workspace / ".github" / "dora.yml", workspace) is not None


@pytest.mark.parametrize("linked", [".github/dora.yml", ".github"])
def test_a_link_that_leaves_the_folder_is_not_followed(tmp_path: Path, linked: str) -> None:
    write(tmp_path)
    link(tmp_path / "workspace" / linked, tmp_path / linked)
    problem = problem_of_reading(tmp_path / "workspace" / ".github" / "dora.yml", tmp_path / "workspace")
    assert "it links to a file outside the checkout; put the settings into the file itself" in problem


@pytest.mark.parametrize("linked", [".github/dora.yml", ".github"])
def test_a_link_to_nothing_is_a_file_that_cannot_be_read(tmp_path: Path, linked: str) -> None:
    link(tmp_path / linked, tmp_path / "nothing")
    problem = problem_of_reading(tmp_path / ".github" / "dora.yml", tmp_path)
    assert "it is a broken link; replace it with a file that has the settings" in problem


def test_links_in_a_circle_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "dora.yml"
    link(path, path)
    assert "cannot be read (Too many levels of symbolic links)" in problem_of_reading(path, tmp_path)


def test_a_folder_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "dora.yml").mkdir()
    assert "cannot be read (Is a directory)" in problem_of_reading(tmp_path / "dora.yml", tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "dora.yml")
    assert "it is not a regular file" in problem_of_reading(tmp_path / "dora.yml", tmp_path)


def test_of_a_huge_file_no_more_is_read_than_settings_may_be_large(tmp_path: Path) -> None:
    path = tmp_path / "dora.yml"
    with path.open("wb") as file:
        file.truncate(2**40)  # a terabyte, of which the disk stores nothing; it does not fit into memory
    assert "it is larger than 500,000 bytes" in problem_of_reading(path, tmp_path)

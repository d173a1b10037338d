"""Properties try few cases in each run, and many each night."""

import re
from typing import Any

import yaml
from hypothesis import settings

from support.paths import ROOT
from support.property_cases import DEEP, FACTORS, QUICK, cases

NIGHTLY = ROOT / ".github" / "workflows" / "nightly.yml"


def test_a_run_is_quick_unless_it_asks_for_more() -> None:
    assert cases(3) == 3 * FACTORS[settings.get_current_profile_name()]
    assert (FACTORS[QUICK], FACTORS[DEEP]) == (1, 20)
    assert settings.get_profile(DEEP).max_examples == 20 * settings.get_profile(QUICK).max_examples


def test_the_nightly_run_tries_new_cases_each_night() -> None:
    assert not settings.get_profile(DEEP).derandomize


def test_a_nightly_run_has_the_deep_profile() -> None:
    workflow: dict[Any, Any] = yaml.safe_load(NIGHTLY.read_text("utf-8"))
    assert workflow[True]["schedule"]  # YAML 1.1 reads `on` as true
    assert "bash .ci/run deep" in [step.get("run") for step in workflow["jobs"]["properties"]["steps"]]
    (command,) = re.findall(r"^deep:.*\n\t(.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert f"--hypothesis-profile={DEEP}" in command


def test_no_property_has_a_number_of_its_own_that_the_profile_cannot_raise() -> None:
    tests = (path for path in (ROOT / "tests").rglob("test_*.py") if "node_modules" not in path.parts)
    assert [path.name for path in tests if re.search(r"max_examples=\d", path.read_text("utf-8"))] == []

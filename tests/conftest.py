"""A property tries few cases, unless `--hypothesis-profile=deep` asks for many. Files that take longest run first."""

import pytest

from support.property_cases import register_profiles

register_profiles()

LONGEST_FILES = (
    "test_conformance.py",
    "test_rule_mutations.py",
    "test_local_stack.py",
    "test_page.py",
    "test_pushgateway_real.py",
    "test_counters_real.py",
    "test_remote_write_real.py",
    "test_remote_writing.py",
    "test_killed_while_sealing.py",
    "test_promql.py",
    "test_branch_act.py",
    "test_reusable_act.py",
)
"""At the end, the other worker would wait for one of them: a file runs on one worker (`--dist loadfile`)."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST_FILES)

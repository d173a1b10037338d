"""The rules of monitoring/prometheus, changed one by one, against their own unit tests."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support.paths import ROOT
from support.tools import require_tool

PROMETHEUS = ROOT / "monitoring" / "prometheus"
RULE_FILES = (PROMETHEUS / "dora-alerts.yml", PROMETHEUS / "dora-recording.yml")
TEST_FILES = sorted((PROMETHEUS / "tests").glob("*.yml"))

Rule = dict[str, Any]
"""A rule as its file has it: `alert` or `record`, `expr`, for alerts also `for`, `labels`, `annotations`."""


def read_yaml(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return content


def rules_of(path: Path) -> list[Rule]:
    return [rule for group in read_yaml(path)["groups"] for rule in group["rules"]]


def name_of(rule: Rule) -> str:
    name: str = rule.get("alert") or rule["record"]
    return name


ALERTS = {name_of(rule): rule for rule in rules_of(RULE_FILES[0])}
RECORDS = {name_of(rule): rule for rule in rules_of(RULE_FILES[1])}


def promtool(*arguments: str | Path, folder: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    command = [str(require_tool("promtool")), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class RuleSuite:
    """A folder with some rules and the unit tests about them, which run in it."""

    folder: Path

    @classmethod
    def about(cls, rule: Rule, folder: Path) -> "RuleSuite":
        """The tests that name this rule. An alert is alone there; what is recorded is made from other records."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        suite = cls(folder)
        suite.write_rule(rule)
        for path in TEST_FILES:
            content = read_yaml(path)
            tests = [kept for test in content["tests"] if (kept := _only_about(_names_affected_by(rule), test))]
            if tests:
                renamed = {**content, "rule_files": ["rules.yml"], "tests": tests}
                (folder / f"test-{path.name}").write_text(json.dumps(renamed), "utf-8")
        return suite

    def write_rule(self, rule: Rule) -> None:
        """Put a rule in place of the one of its name."""
        records = [rule if name_of(rule) == name_of(other) else other for other in RECORDS.values()]
        rules = [rule] if "alert" in rule else records
        content = json.dumps({"groups": [{"name": "rules", "rules": rules}]})
        (self.folder / "rules.yml").write_text(content, "utf-8")

    @property
    def tests(self) -> list[Path]:
        return sorted(self.folder.glob("test-*.yml"))

    def run(self) -> "subprocess.CompletedProcess[str]":
        assert self.tests, "no unit test names the rule"
        return promtool("test", "rules", *self.tests, folder=self.folder)

    def check(self) -> "subprocess.CompletedProcess[str]":
        return promtool("check", "rules", "--lint-fatal", "rules.yml", folder=self.folder)


def _names_affected_by(rule: Rule) -> set[str]:
    """The rule, and what is recorded from it."""
    name = name_of(rule)
    return {name, *(other for other, record in RECORDS.items() if name in record["expr"])}


def _only_about(names: set[str], test: dict[str, Any]) -> dict[str, Any] | None:
    """What a test says about these rules; None if it says nothing."""
    alerts = [case for case in test.get("alert_rule_test", ()) if case["alertname"] in names]
    queries = [kept for case in test.get("promql_expr_test", ()) if (kept := _only_query_about(names, case))]
    return {**test, "alert_rule_test": alerts, "promql_expr_test": queries} if alerts or queries else None


def _only_query_about(names: set[str], case: dict[str, Any]) -> dict[str, Any] | None:
    """A query that names one of these rules, or the part about them of one of all alerts; None for any other."""
    if any(name in case["expr"] for name in names):
        return case
    if "ALERTS" not in case["expr"] or "alertname=" in case["expr"]:
        return None
    samples = [sample for sample in case["exp_samples"] if any(name in sample["labels"] for name in names)]
    return {**case, "exp_samples": samples}


# --- Mutations ---


@dataclass(frozen=True)
class Mutation:
    """A rule with one change."""

    what: str
    rule: Rule


_OTHER_OPERATORS = {"<": (">", "<="), ">": ("<", ">="), "<=": (">=", "<"), ">=": ("<=", ">")}
_OTHER_RANGES = {"26h": "5m", "30d": "1d", "7d": "1d", "8d": "1h", "9d": "4d", "2d": "9d"}


def _other_numbers(number: str) -> tuple[str, ...]:
    """A bit more and a bit less. Small whole numbers are counts."""
    value = float(number)
    if value == int(value) and value < 100:
        return str(int(value) + 1), str(int(value) - 1)
    return f"{value * 1.01:.10g}", f"{value * 0.99:.10g}"


def _without_clause(clause: str) -> tuple[str, ...]:
    """Nothing, if the clause is whole: it ends no parenthesis that it did not begin."""
    return ("",) if clause.count("(") == clause.count(")") else ()


_CHANGES: tuple[tuple[str, Callable[[str], Sequence[str]]], ...] = (
    (r"(?<= )(?:<=|>=|<|>)(?= )", lambda operator: _OTHER_OPERATORS[operator]),
    (r"(?<![\w.\"\[])\d+(?:\.\d+)?(?![\w.\"\]])", _other_numbers),
    (r"(?<=\[)\w+(?=\])", lambda length: [_OTHER_RANGES[length]]),
    (r" offset \w+", lambda _: [""]),
    (r" \* 86400", lambda _: [""]),
    (r"(?:sum|count) (?:by|without) \([^)]*\)", lambda grouping: [grouping.split()[0]]),
    (r"ignoring \([^)]*\)", lambda _: ["on (repository)"]),
    (r"\n *(?:and|or|unless) [^\n]*[^\n(,](?=,?\n)(?!,?\n *[<>])", _without_clause),
    (r"\nunless ignoring [\s\S]*\Z", lambda _: [""]),
)
"""Parts of an expression, each as a pattern, and what to put in their place one by one."""


def mutations(rule: Rule) -> Iterator[Mutation]:
    """Every change of one operator, number, range, matcher, grouping, clause or duration of a rule."""
    for what, expr in _changed_expressions(rule["expr"]):
        yield Mutation(what, {**rule, "expr": expr})
    if "for" in rule:
        for what, duration in (("no `for`", None), ("a longer `for`", "3d")):
            changed = deepcopy(rule)
            del changed["for"]
            yield Mutation(what, changed if duration is None else {**changed, "for": duration})


def _changed_expressions(expr: str) -> Iterator[tuple[str, str]]:
    for pattern, others in _CHANGES:
        for match in re.finditer(pattern, expr):
            line = expr[: match.start()].count("\n") + 1
            for other in others(match[0]):
                what = f"line {line}: {match[0].strip()} -> {other or 'nothing'}"
                yield what, expr[: match.start()] + other + expr[match.end() :]
    for length in sorted({match[1] for match in re.finditer(r"\[(\w+)\]", expr)}):
        yield f"[{length}] everywhere", expr.replace(f"[{length}]", f"[{_OTHER_RANGES[length]}]")
    for name, matcher in sorted({(match[1], match[0]) for match in re.finditer(r'(\w+)=~?"[^"]*"', expr)}):
        yield f"no {matcher}", expr.replace(matcher, f'{name}=~".+"')

"""Results that are larger than GitHub passes on: what is kept, and what is said."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from dora_metrics.core.outcome import Outcome
from dora_metrics.core.reports import summary
from dora_metrics.core.reports.render import MAX_SUMMARY_BYTES, summary_markdown
from dora_metrics.pipeline.outputs import MAX_OUTPUT_BYTES, document_output
from dora_metrics.templates import load_parts, load_template
from support.facts import deployment, results_of
from support.runs import deployment_status, run_action, write_settings

SENTENCE = "**The summary ends here**: GitHub shows at most 1 MiB of it. The outputs and the ledger have everything."
RESULTS = results_of(*(deployment(1, "03-12T12:00", repository=f"acme/shop-{number}") for number in range(30)))
SCOPE = RESULTS.evaluation.histories[7].scope


def rendered(max_bytes: int = MAX_SUMMARY_BYTES, outcome_count: int = 1) -> str:
    outcomes = [Outcome("ledger", "failed", f"line {number} – ✓ is broken") for number in range(outcome_count)]
    report = summary.build(RESULTS, SCOPE, None, None, outcomes)
    return summary_markdown(report, load_template("summary.md.j2"), load_parts(), max_bytes)


# The job summary


def test_a_summary_that_fits_is_whole() -> None:
    assert SENTENCE not in rendered()


def test_a_summary_over_a_mebibyte_is_cut_with_a_sentence() -> None:
    text = rendered(outcome_count=60_000)
    assert len(text.encode()) <= MAX_SUMMARY_BYTES
    assert text.endswith(f"\n\n{SENTENCE}\n")


@pytest.mark.parametrize("max_bytes", range(1_000, len(rendered().encode()) - 1, 97))
def test_wherever_a_summary_is_cut_its_blocks_are_closed(max_bytes: int) -> None:
    text = rendered(max_bytes)
    assert len(text.encode()) <= max_bytes
    assert text.count("<details>") == text.count("</details>")
    assert sum(line.startswith("```") for line in text.splitlines()) % 2 == 0
    assert text.endswith(f"\n\n{SENTENCE}\n")


@pytest.mark.parametrize(("is_in_ledger", "where"), [(False, ""), (True, "; see `metrics.json` in the ledger")])
def test_scopes_without_a_row_are_counted(*, is_in_ledger: bool, where: str) -> None:
    many = results_of(*(deployment(1, "03-12", repository=f"acme/shop-{number}") for number in range(203)))
    report = summary.build(replace(many, is_in_ledger=is_in_ledger), many.evaluation.histories[0].scope, None, None)
    text = summary_markdown(report, load_template("summary.md.j2"), load_parts())
    assert f"\n2 more scopes are not listed{where}.\n" in text


# Outputs


@pytest.mark.parametrize(
    ("share", "scope_count", "has_evidence", "has_weeks", "note"),
    [
        (1.0, 30, True, True, None),
        (0.99, 30, False, True, "The evidence is too large to include here"),
        (0.7, 30, False, False, "Evidence and weeks are too large to include here"),
        (0.1, 1, False, False, "Only 1 of 30 scopes is included"),
    ],
)
def test_a_document_loses_evidence_then_weeks_then_other_scopes(
    share: float, scope_count: int, note: str | None, *, has_evidence: bool, has_weeks: bool
) -> None:
    whole = document_output(RESULTS.document, SCOPE, 10**9)
    max_bytes = round(len(whole) * share)
    text = document_output(RESULTS.document, SCOPE, max_bytes)
    document = json.loads(text)
    assert len(text) <= max_bytes
    assert len(document["scopes"]) == scope_count
    assert any(scope["evidence"]["deployments"] for scope in document["scopes"]) == has_evidence
    assert any(scope["weeks"] for scope in document["scopes"]) == has_weeks
    assert note is None or document["notes"][-1].startswith(note)
    assert SCOPE.repository in {scope["repository"] for scope in document["scopes"]}


LARGE_EVENT = {"action": "dora-deployment", "client_payload": {"changes": ["x" * 200] * 4_000, "version": "v1"}}


def test_facts_that_are_too_large_for_an_output_are_counted_in_the_summary(tmp_path: Path) -> None:
    ran = run_action(tmp_path, "repository_dispatch", LARGE_EVENT)
    assert ran.outputs["facts"] == "[]"
    assert "outputs: `facts` is empty: too large for an output (1 fact); they are in the ledger" in ran.summary
    assert len(ran.outputs["metrics"]) <= MAX_OUTPUT_BYTES
    assert run_action(tmp_path, "deployment_status", deployment_status(2)).outputs["facts"] != "[]"


@pytest.mark.parametrize(
    ("ledger", "place"),
    [
        ("none", "they are in no ledger"),
        ("branch:dora-metrics", "the file in `unrecorded-facts` has the new ones"),
    ],
)
def test_where_large_facts_are_is_said_also_if_no_ledger_has_them(tmp_path: Path, ledger: str, place: str) -> None:
    inputs = {"ledger": ledger, "github-token": "ghs_1", **write_settings(tmp_path)}
    environment = {"GITHUB_API_URL": "http://127.0.0.1:9", "RUNNER_TEMP": str(tmp_path / "temp")}
    ran = run_action(tmp_path, "repository_dispatch", LARGE_EVENT, inputs, environment=environment)
    assert f"`facts` is empty: too large for an output (1 fact); {place}" in ran.summary
    assert Path(ran.outputs["unrecorded-facts"]).is_file() == (ledger != "none")

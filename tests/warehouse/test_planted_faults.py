"""The comparison finds faults: each of these changes of a view makes a number differ."""

from pathlib import Path

import pytest

from support.warehouse import DuckDb, compare, differing, view_texts
from support.warehouse_questions import QUESTIONS

FAULTS = {
    "failed runs are deployments": ("COUNT_IF(status = 'success') AS deployments", "COUNT(*) AS deployments"),
    "a wrong quantile": ("QUANTILE_CONT(seconds, 0.5) AS lead_p50", "QUANTILE_CONT(seconds, 0.51) AS lead_p50"),
    "a discrete quantile": ("QUANTILE_CONT(seconds, 0.5)", "QUANTILE_DISC(seconds, 0.5)"),
    "the end belongs to the window": ("finished_at < (", "finished_at <= ("),
    "the start does not": ("finished_at >= (", "finished_at > ("),
    "weeks instead of days": ("'success' THEN day ELSE", "'success' THEN week ELSE"),
    "open failures are recovered": ("failed AND NOT recovery_seconds IS NULL) AS rec", "failed) AS rec"),
    "recovered ones are open": ("failed AND recovered_at IS NULL)", "failed)"),
    "bots are measured": ("COUNT_IF(excluded IS NULL)", "COUNT(*)"),
    "exclusions are rows": ("'first_deployment' THEN changes", "'first_deployment' THEN 2"),
    "stages of one another": ("QUANTILE_CONT(pickup_seconds", "QUANTILE_CONT(review_seconds"),
    "resolved when detected": ("resolved_at < (", "detected_at < ("),
    "detected at any time": ("COUNT_IF(is_detected)", "COUNT(*)"),
    "unmatched at any time": ("COUNT_IF(is_detected AND deployment IS NULL)", "COUNT_IF(deployment IS NULL)"),
    "unknown incidents are 0": (
        "CASE WHEN knows_incidents THEN COALESCE(incidents, 0) ELSE NULL",
        "CASE WHEN TRUE THEN COALESCE(incidents, 0) ELSE NULL",
    ),
    "every attempt counts": ("COUNT_IF(counts)", "COUNT(*)"),
    "rework that no user saw": ("COUNT_IF(reached_users AND rework)", "COUNT_IF(NOT reached_users AND rework)"),
    "streaks of all time": ("since >= (", "TRUE OR since >= ("),
    "a lower bound is taken for the value": ("changes <= 2 * late_starts", "changes < late_starts"),
    "all failures are known": ("counts AND NOT knows_incidents", "FALSE"),
    "all rework is known": ("reached_users AND NOT knows_rollbacks", "FALSE"),
    "weeks before the first deployment": ("AND began_at < ends_at", ""),
    "weeks that are not over": ("ends_at <= CASE", "starts_at <= CASE"),
    "a week without a deployment is left out": ("LEFT JOIN attempts", "JOIN attempts"),
    "a week is never partial": ("NOT BOOL_OR", "FALSE AND BOOL_OR"),
    "a mean of medians": ("QUANTILE_CONT(seconds, 0.5) AS lead_p50", "AVG(seconds) AS lead_p50"),
    "a frequency before the first deployment": ("has_begun THEN COALESCE", "TRUE THEN COALESCE"),
}
"""The text in a view, and what a fault puts in its place."""


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(name: str, tmp_path: Path) -> None:
    text, fault = FAULTS[name]
    assert any(text in view for view in view_texts("duckdb"))
    database = DuckDb(lambda view: view.replace(text, fault))
    assert any(differing(compare(question(), database, tmp_path)) for question in QUESTIONS.values())

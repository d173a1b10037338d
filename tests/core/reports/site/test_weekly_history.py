"""history.json: every week of each scope."""

import json

import jsonschema  # type: ignore[import-untyped]
import pytest

from dora_metrics.core.reports.site.feeds import build_weekly_history, max_weeks_per_scope, weeks_of_all_scopes
from dora_metrics.core.reports.summary import build
from dora_metrics.pipeline.publish import site_files
from dora_metrics.schemas import schemas
from support.facts import change, deployment, incident, results_of, scope_of


def test_weeks_go_from_the_first_deployment_to_now_whatever_the_window() -> None:
    shop = results_of(deployment(1, "01-10"), deployment(2, "03-20"), window="7d", now="04-01T12:00")
    (scope,) = build_weekly_history(shop, weeks_of_all_scopes(shop)).scopes
    assert (scope.repository, scope.service, scope.environment) == ("acme/shop", "shop", "production")
    assert [scope.weeks[0].week, scope.weeks[-1].week, len(scope.weeks)] == ["2024-W02", "2024-W14", 13]
    assert [week.deployments for week in scope.weeks] == [1, *[0] * 9, 1, 0, 0]


def test_a_week_is_that_of_the_answer_for_a_window_that_contains_it() -> None:
    facts = [
        deployment(1, "01-10"),
        change(7, "01-11"),
        deployment(2, "01-20", changes=[7]),
        incident(1, "01-20T01:00"),
    ]
    shop = results_of(*facts)
    answer = scope_of(*facts, window="2024-01-08..2024-04-01").weeks
    assert list(weeks_of_all_scopes(shop)[shop.evaluation.histories[0].scope]) == answer


@pytest.mark.parametrize("window", ["30d", "90d", "all"])
def test_the_week_of_the_first_deployment_is_complete_on_the_page_and_in_the_summary(window: str) -> None:
    shop = results_of(deployment(1, "02-21"), deployment(2, "03-20"), incident(1, "02-20"), window=window)
    scope = shop.evaluation.histories[0].scope
    weeks = [week for week in weeks_of_all_scopes(shop)[scope] if not week.partial]
    chart = build(shop, scope, None, None).chart
    assert chart
    assert [row[0] for row in reversed(chart.rows)] == [week.week for week in weeks]
    assert [row[-1] for row in reversed(chart.rows)] == [str(week.incidents) for week in weeks]
    assert weeks[0].week == "2024-W08"


def test_history_evidence_and_badges_are_what_their_schemas_say() -> None:
    shop = results_of(deployment(1, "01-10"), change(7, "01-11"), deployment(2, "03-20", changes=[7]))
    written = {path: json.loads(content) for path, content in site_files(shop).items() if path.endswith(".json")}
    for path, found in written.items():
        name = "badge" if path.startswith("badges/") else path.removesuffix(".json")
        schema = json.loads(schemas()[f"{name}.schema.json"])
        jsonschema.Draft202012Validator(schema).validate(found)
    assert len(written) == 8


def test_every_scope_starts_with_its_own_first_deployment() -> None:
    shop = results_of(deployment(1, "01-10"), deployment(2, "03-20", service="web"))
    assert [len(scope.weeks) for scope in build_weekly_history(shop, weeks_of_all_scopes(shop)).scopes] == [12, 2]


def test_a_scope_without_a_deployment_has_no_weeks() -> None:
    shop = results_of(incident(1))
    assert [scope.weeks for scope in build_weekly_history(shop, weeks_of_all_scopes(shop)).scopes] == [[]]
    assert build_weekly_history(results_of(), {}).scopes == []


def test_a_deployment_of_tomorrow_has_no_weeks_yet() -> None:
    shop = results_of(deployment(1, "04-02"), now="04-01")
    assert [scope.weeks for scope in build_weekly_history(shop, weeks_of_all_scopes(shop)).scopes] == [[]]


def test_of_many_scopes_only_the_newest_weeks_are_kept_and_that_is_said() -> None:
    facts = [deployment(1, "2023-01-10"), deployment(2, "2023-06-10", service="web"), deployment(3, "03-20")]
    shop = results_of(*facts)
    found = build_weekly_history(shop, weeks_of_all_scopes(shop, 60), 60)
    assert [len(scope.weeks) for scope in found.scopes] == [30, 30]
    assert found.scopes[0].weeks[-1].week == "2024-W13"
    assert found.notes == [
        "acme/shop · shop · production has only its last 30 weeks here",
        "acme/shop · web · production has only its last 30 weeks here",
    ]
    assert max_weeks_per_scope(1_000) == 26

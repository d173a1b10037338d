"""Which earlier deployments a deployment is compared with."""

from typing import Any

from dora_metrics.core.linking.earlier_successes import earlier_successes, may_reach, tips_of
from support.facts import at, change, deployment, deployment_id, failed_deployment


def tip_ids(latest: Any, facts: list[Any]) -> list[str]:  # noqa: ANN401 - any deployment
    earlier = earlier_successes(latest, facts)
    return [] if earlier is None else [tip.id for tip in earlier.tips]


def test_it_is_compared_with_successes_of_its_scope_that_ended_before_it() -> None:
    facts: list[Any] = [
        deployment(1, "03-01"),
        deployment(2, "03-02", descends_from=(deployment_id(1),)),
        failed_deployment(4, "03-04"),
        deployment(5, "03-05", retracted=True),
        deployment(6, "03-05", service="api"),
        deployment(7, "03-05", environment="staging"),
        deployment(10, "03-05", sha=None),
        deployment(9, "03-09"),
        change(1),
    ]
    latest = deployment(8, "03-06")
    for order in (facts, facts[::-1]):
        earlier = earlier_successes(latest, [*order, latest])
        assert earlier is not None
        assert earlier.latest.id == deployment_id(2)
        assert [tip.id for tip in earlier.tips] == [deployment_id(2)]


def test_the_first_success_is_compared_with_nothing() -> None:
    assert earlier_successes(deployment(1, "03-01"), [deployment(2, "03-02")]) is None


def test_release_lines_that_are_kept_side_by_side_are_all_compared_the_nearest_first() -> None:
    facts = [
        deployment(1, "03-01", version="v2.0.0"),
        deployment(2, "03-02", version="v1.9.5", descends_from=()),
        deployment(3, "03-03", version="v2.0.1", descends_from=(deployment_id(1),)),
    ]
    assert tip_ids(deployment(4, "03-04", version="v1.9.6"), facts) == [deployment_id(2), deployment_id(3)]
    assert tip_ids(deployment(4, "03-04", version="v2.1.0"), facts) == [deployment_id(3), deployment_id(2)]


def test_a_rollback_reaches_nothing_that_others_do_not() -> None:
    facts = [
        deployment(1, "03-01"),
        deployment(2, "03-02", commit_count=3, descends_from=(deployment_id(1),)),
        deployment(3, "03-03", commit_count=0, descends_from=()),
    ]
    earlier = earlier_successes(deployment(4, "03-04"), facts)
    assert earlier is not None
    assert earlier.latest.id == deployment_id(3)
    assert [tip.id for tip in earlier.tips] == [deployment_id(2)]


def test_a_deployment_whose_comparison_failed_is_compared_with_as_well() -> None:
    facts = [
        deployment(1, "03-01", changes=None),
        deployment(2, "03-02", descends_from=(deployment_id(1),)),
        deployment(3, "03-03", changes=None),
    ]
    assert tip_ids(deployment(4, "03-04"), facts) == [deployment_id(3), deployment_id(2)]


def test_records_without_known_ancestors_descend_from_what_they_were_compared_with() -> None:
    facts = [deployment(1, "03-01"), deployment(2, "03-02", previous=deployment_id(1))]
    assert [tip.id for tip in tips_of(facts)] == [deployment_id(2)]


def test_of_one_commit_the_last_deployment_is_compared() -> None:
    facts = [deployment(1, "03-01"), deployment(2, "03-02", sha="a" * 40), deployment(3, "03-03", sha="a" * 40)]
    assert [tip.id for tip in tips_of(facts)] == [deployment_id(1), deployment_id(3)]


def test_a_deployment_cannot_hold_a_commit_that_was_made_long_after_it() -> None:
    deployed = deployment(1, "03-01")
    assert may_reach(deployed, [at("03-01")])
    assert may_reach(deployed, [at("03-02"), None])
    assert not may_reach(deployed, [at("03-02"), at("03-03")])
    assert not may_reach(deployed, [])

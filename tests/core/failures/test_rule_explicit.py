"""DEFINITIONS §3, rule `explicit`: an incident or a deployment names what failed."""

import pytest

from dora_metrics.core.facts.model import Deployment
from support.facts import (
    change,
    commit_id,
    commits,
    deployment,
    deployment_id,
    document_of,
    failed_deployment,
    failure_rules,
    incident,
    metrics_of,
    scope_of,
    sha,
    unmatched_reasons,
)

ONE = deployment(1, "03-01", version="1.0", ref="refs/tags/v1.0")
TWO = deployment(2, "03-02", version="2.0", ref="v2.0")


@pytest.mark.parametrize(
    "name", [deployment_id(1), str(ONE.sha), str(ONE.sha).upper(), "1.0", "v1.0", "refs/tags/v1.0", "  v1.0\n"]
)
def test_an_incident_names_a_deployment_by_id_sha_version_or_tag(name: str) -> None:
    """The latest before it would have been the second."""
    assert failure_rules(ONE, TWO, incident(1, "03-03", deployment=name)) == {1: "explicit"}


def test_neither_the_age_limit_nor_the_time_of_detection_matters_to_a_name() -> None:
    assert failure_rules(ONE, incident(1, "06-01", deployment="1.0"), now="07-01") == {1: "explicit"}
    assert failure_rules(ONE, incident(1, "02-01", deployment="1.0")) == {1: "explicit"}


@pytest.mark.parametrize("name", [sha("landed"), sha("03-01"), sha("direct"), sha("late")])
def test_a_sha_means_the_first_successful_deployment_that_contains_it(name: str) -> None:
    """By the commit that landed, a commit of the pull request, a direct commit, or one of a failed attempt before."""
    direct_commit = f"commit:{sha('direct')}"
    facts = (
        deployment(1, "03-01"),
        failed_deployment(2, "03-02", changes=[f"commit:{sha('late')}"]),
        deployment(3, "03-03", changes=[1, direct_commit]),
        deployment(4, "03-04", changes=[1]),
        change(1, sha=sha("landed"), commits=commits("03-01")),
    )
    assert failure_rules(*facts, incident(1, "03-05", deployment=name)) == {3: "explicit"}


def test_the_sha_of_several_deployments_means_the_first_success_with_it() -> None:
    facts = (
        failed_deployment(1, "03-01", sha="a" * 40, reached_users=True),
        deployment(2, "03-02", sha="a" * 40),
        deployment(3, "03-03", sha="a" * 40),
    )
    found = failure_rules(*facts, incident(1, "03-05", deployment="a" * 40))
    assert found == {1: "failed-run", 2: "explicit"}


def test_the_one_named_fails_also_in_another_scope_and_repository() -> None:
    other = deployment(2, "03-02", repository="acme/infra", service="net", environment="live", version="9")
    facts = (ONE, other, incident(1, "03-03", deployment="9"))
    assert failure_rules(*facts) == {2: "explicit"}
    infra, shop = document_of(*facts).scopes
    assert (infra.metrics.incident_restore.incidents, shop.metrics.incident_restore.incidents) == (0, 1)


def in_three_places(own: str, repository: str, elsewhere: str) -> list[Deployment]:
    """Version 1.0 in the incident's own scope, in its repository, and in another, at these times."""
    return [
        deployment(1, own, version="1.0"),
        deployment(2, repository, version="1.0", service="api"),
        deployment(3, elsewhere, version="1.0", repository="acme/other", service="shop"),
    ]


def test_a_name_that_fits_several_means_those_of_the_own_scope_first_then_its_repository_then_all() -> None:
    own, repository, elsewhere = in_three_places("03-03", "03-02", "03-01")
    named = incident(1, "03-05", deployment="1.0")
    assert failure_rules(own, repository, elsewhere, named) == {1: "explicit"}
    assert failure_rules(repository, elsewhere, named) == {2: "explicit"}
    assert failure_rules(elsewhere, named) == {3: "explicit"}


def test_among_those_it_means_the_first_success_in_order() -> None:
    facts = [deployment(n, f"03-0{9 - n}", version="1.0") for n in (1, 2, 3)]
    assert failure_rules(*facts, incident(1, "03-09", deployment="1.0")) == {3: "explicit"}
    failure = failed_deployment(4, "03-01", version="1.0", reached_users=True)
    assert failure_rules(*facts, failure, incident(1, "03-09", deployment="1.0")) == {3: "explicit", 4: "failed-run"}


def test_an_incident_without_a_service_or_environment_has_its_repository_for_its_own_scope() -> None:
    own, repository, elsewhere = in_three_places("03-03", "03-02", "03-01")
    for missing in ({"service": None}, {"service": None, "environment": None}):
        named = incident(1, "03-05", deployment="1.0", **missing)
        assert failure_rules(own, repository, elsewhere, named) == {2: "explicit"}


@pytest.mark.parametrize("name", ["3.0", sha("nobody"), "abc", deployment_id(9), "shop", "v1"])
def test_a_name_that_leads_nowhere_is_never_replaced_by_a_guess(name: str) -> None:
    facts = (ONE, TWO, incident(1, "03-02T01:00", deployment=name))
    assert failure_rules(*facts) == {}
    assert name in unmatched_reasons(*facts)[1]
    assert metrics_of(*facts).incident_restore.unmatched == 1


def test_a_name_that_leads_to_an_environment_that_is_not_production_leads_nowhere() -> None:
    facts = (ONE, deployment(2, "03-02", environment="staging", version="2.0"), incident(1, deployment="2.0"))
    assert failure_rules(*facts) == {}
    assert "2.0" in unmatched_reasons(*facts)[1]


def test_a_run_that_did_not_reach_users_can_be_named_only_where_such_runs_count() -> None:
    facts = (ONE, failed_deployment(2, "03-02", version="2.0"), incident(1, "03-03", deployment="2.0"))
    assert failure_rules(*facts) == {}
    assert list(unmatched_reasons(*facts)) == [1]
    assert failure_rules(*facts, count_failed_runs=True) == {2: "explicit"}
    assert unmatched_reasons(*facts, count_failed_runs=True) == {}


def test_a_cancelled_deployment_cannot_fail() -> None:
    facts = (ONE, deployment(2, "03-02", status="cancelled", version="2.0"), incident(1, "03-03", deployment="2.0"))
    for switch in (True, False):
        assert failure_rules(*facts, count_failed_runs=switch) == {}
        assert list(unmatched_reasons(*facts, count_failed_runs=switch)) == [1]


def test_a_deployment_that_remediates_another_makes_that_one_failed() -> None:
    for name in (deployment_id(1), str(ONE.sha), "1.0", "v1.0"):
        assert failure_rules(ONE, deployment(2, "03-02", remediates=name)) == {1: "explicit"}


def test_remediates_is_looked_for_in_the_own_scope_first_and_then_across_scopes() -> None:
    own, repository, elsewhere = in_three_places("03-03", "03-02", "03-01")
    fix = deployment(4, "03-04", remediates="1.0")
    assert failure_rules(own, repository, elsewhere, fix) == {1: "explicit"}
    assert failure_rules(repository, elsewhere, fix) == {2: "explicit"}


def test_a_deployment_that_remediates_an_incident_makes_no_second_failure() -> None:
    facts = (deployment(1, "03-05T12:00"), incident(1), deployment(2, "03-05T15:00", remediates=incident(1).id))
    assert failure_rules(*facts) == {1: "incident"}


def test_a_cancelled_deployment_remediates_nothing() -> None:
    facts = (ONE, deployment(2, "03-02", status="cancelled", remediates=deployment_id(1)))
    assert failure_rules(*facts, count_failed_runs=True) == {}


@pytest.mark.parametrize("name", [deployment_id(2), "2.0", sha(deployment_id(2)), "nothing known", ""])
def test_a_deployment_that_remediates_itself_or_nothing_known_makes_no_failure(name: str) -> None:
    assert failure_rules(ONE, deployment(2, "03-02", version="2.0", remediates=name)) == {}


def test_switched_off_it_marks_nothing_and_no_other_rule_guesses_instead() -> None:
    others = frozenset({"rollback", "revert", "hotfix", "incident", "health-check"})
    facts = (
        ONE,
        TWO,
        incident(1, "03-02T01:00", deployment="1.0"),
        deployment(3, "03-04", remediates=deployment_id(2)),
    )
    assert failure_rules(*facts) == {1: "explicit", 2: "explicit"}
    assert failure_rules(*facts, failure_rules=others) == {}
    assert list(unmatched_reasons(*facts, failure_rules=others)) == [1]


def test_the_evidence_says_who_named_it_and_where_that_can_be_read() -> None:
    named = incident(1, "03-03", deployment="1.0", url="https://github.com/acme/shop/issues/1")
    (one,) = scope_of(ONE, TWO, named).evidence.failed_deployments
    assert (one.rule, one.url) == ("explicit", "https://github.com/acme/shop/issues/1")
    assert "github:issue:acme/shop#1" in one.because
    assert "1.0" in one.because


def test_a_direct_commit_is_named_by_its_sha() -> None:
    facts = (deployment(1, "03-01"), deployment(2, "03-02", changes=[commit_id(7)]), deployment(3, "03-03"))
    assert failure_rules(*facts, incident(1, "03-04", deployment=sha(7))) == {2: "explicit"}

"""Rule `explicit`: an incident or a deployment names what failed."""

from typing import Any

import pytest

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy
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

FIRST = deployment(1, "03-01", version="1.0", ref="refs/tags/v1.0")
SECOND = deployment(2, "03-02", version="2.0", ref="v2.0")


@pytest.mark.parametrize(
    "name", [deployment_id(1), str(FIRST.sha), str(FIRST.sha).upper(), "1.0", "v1.0", "refs/tags/v1.0", "  v1.0\n"]
)
def test_an_incident_names_a_deployment_by_id_sha_version_or_tag(name: str) -> None:
    """By time it would have been attributed to the second deployment."""
    assert failure_rules(FIRST, SECOND, incident(1, "03-03", deployment=name)) == {1: "explicit"}


def test_neither_the_age_limit_nor_the_time_of_detection_matters_to_a_name() -> None:
    assert failure_rules(FIRST, incident(1, "06-01", deployment="1.0"), now="07-01") == {1: "explicit"}
    assert failure_rules(FIRST, incident(1, "02-01", deployment="1.0")) == {1: "explicit"}


@pytest.mark.parametrize("name", [sha("landed"), sha("03-01"), sha("direct"), sha("late")])
def test_a_sha_means_the_first_successful_deployment_that_contains_it(name: str) -> None:
    """Named by the merge commit, a commit of the pull request, a direct commit, or one of an earlier failed attempt."""
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
    facts = (FIRST, other, incident(1, "03-03", deployment="9"))
    assert failure_rules(*facts) == {2: "explicit"}
    infra, shop = document_of(*facts).scopes
    assert (infra.metrics.incident_restore.incidents, shop.metrics.incident_restore.incidents) == (0, 1)


def in_three_scopes(own: str, repository: str, elsewhere: str) -> list[Deployment]:
    """Version 1.0 in the incident's own scope, in its repository, and elsewhere, at these times."""
    return [
        deployment(1, own, version="1.0"),
        deployment(2, repository, version="1.0", service="api"),
        deployment(3, elsewhere, version="1.0", repository="acme/other", service="shop"),
    ]


def test_a_name_that_fits_several_means_those_of_the_own_scope_first_then_its_repository_then_all() -> None:
    own, repository, elsewhere = in_three_scopes("03-03", "03-02", "03-01")
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
    own, repository, elsewhere = in_three_scopes("03-03", "03-02", "03-01")
    for missing in ({"service": None}, {"service": None, "environment": None}):
        named = incident(1, "03-05", deployment="1.0", **missing)
        assert failure_rules(own, repository, elsewhere, named) == {2: "explicit"}


@pytest.mark.parametrize("name", ["3.0", sha("nobody"), "abc", deployment_id(9), "shop", "v1"])
def test_a_name_that_leads_nowhere_is_never_replaced_by_a_guess(name: str) -> None:
    facts = (FIRST, SECOND, incident(1, "03-02T01:00", deployment=name))
    assert failure_rules(*facts) == {}
    assert name in unmatched_reasons(*facts)[1]
    assert metrics_of(*facts).incident_restore.unmatched == 1


def test_a_name_that_leads_to_an_environment_that_is_not_production_leads_nowhere() -> None:
    facts = (FIRST, deployment(2, "03-02", environment="staging", version="2.0"), incident(1, deployment="2.0"))
    assert failure_rules(*facts) == {}
    assert "2.0" in unmatched_reasons(*facts)[1]


def test_a_run_that_did_not_reach_users_can_be_named_only_where_such_runs_count() -> None:
    facts = (FIRST, failed_deployment(2, "03-02", version="2.0"), incident(1, "03-03", deployment="2.0"))
    assert failure_rules(*facts) == {}
    assert list(unmatched_reasons(*facts)) == [1]
    assert failure_rules(*facts, count_failed_runs=True) == {2: "explicit"}
    assert unmatched_reasons(*facts, count_failed_runs=True) == {}


def test_a_cancelled_deployment_cannot_fail() -> None:
    facts = (FIRST, deployment(2, "03-02", status="cancelled", version="2.0"), incident(1, "03-03", deployment="2.0"))
    for switch in (True, False):
        assert failure_rules(*facts, count_failed_runs=switch) == {}
        assert list(unmatched_reasons(*facts, count_failed_runs=switch)) == [1]


def test_a_deployment_that_remediates_another_makes_that_one_failed() -> None:
    for name in (deployment_id(1), str(FIRST.sha), "1.0", "v1.0"):
        assert failure_rules(FIRST, deployment(2, "03-02", remediates=name)) == {1: "explicit"}


def test_remediates_is_looked_for_in_the_own_scope_first_and_then_across_scopes() -> None:
    own, repository, elsewhere = in_three_scopes("03-03", "03-02", "03-01")
    fix = deployment(4, "03-04", remediates="1.0")
    assert failure_rules(own, repository, elsewhere, fix) == {1: "explicit"}
    assert failure_rules(repository, elsewhere, fix) == {2: "explicit"}


def test_a_deployment_that_remediates_an_incident_makes_no_second_failure() -> None:
    facts = (deployment(1, "03-05T12:00"), incident(1), deployment(2, "03-05T15:00", remediates=incident(1).id))
    assert failure_rules(*facts) == {1: "incident"}


def test_a_cancelled_deployment_remediates_nothing() -> None:
    facts = (FIRST, deployment(2, "03-02", status="cancelled", remediates=deployment_id(1)))
    assert failure_rules(*facts, count_failed_runs=True) == {}


@pytest.mark.parametrize("name", [deployment_id(2), "2.0", sha(deployment_id(2)), "nothing known", ""])
def test_a_deployment_that_remediates_itself_or_nothing_known_makes_no_failure(name: str) -> None:
    assert failure_rules(FIRST, deployment(2, "03-02", version="2.0", remediates=name)) == {}


def test_switched_off_it_marks_nothing_and_no_other_rule_guesses_instead() -> None:
    others = frozenset({"rollback", "revert", "hotfix", "incident", "health-check"})
    facts = (
        FIRST,
        SECOND,
        incident(1, "03-02T01:00", deployment="1.0"),
        deployment(3, "03-04", remediates=deployment_id(2)),
    )
    assert failure_rules(*facts) == {1: "explicit", 2: "explicit"}
    assert failure_rules(*facts, failure_rules=others) == {}
    assert list(unmatched_reasons(*facts, failure_rules=others)) == [1]


def test_the_evidence_says_who_named_it_and_where_that_can_be_read() -> None:
    named = incident(1, "03-03", deployment="1.0", url="https://github.com/acme/shop/issues/1")
    (one,) = scope_of(FIRST, SECOND, named).evidence.failed_deployments
    assert (one.rule, one.url) == ("explicit", "https://github.com/acme/shop/issues/1")
    assert "github:issue:acme/shop#1" in one.because
    assert "1.0" in one.because


def test_a_direct_commit_is_named_by_its_sha() -> None:
    facts = (deployment(1, "03-01"), deployment(2, "03-02", changes=[commit_id(7)]), deployment(3, "03-03"))
    assert failure_rules(*facts, incident(1, "03-04", deployment=sha(7))) == {2: "explicit"}


@pytest.mark.parametrize(
    ("ref", "source", "name", "known"),
    [
        ("refs/tags/stable", "deployments", "stable", True),
        ("stable", "releases", "stable", True),
        ("nightly", "git", "nightly", True),
        ("stable", "deployments", "stable", False),
        ("v2", "deployments", "v2", True),
        ("V2", "deployments", "V2", True),
        ("2.1", "pushes", "2.1", True),
        ("app-v2", "pushes", "app-v2", True),
        ("Release-2", "pushes", "Release-2", True),
        ("main", "pushes", "main", False),
        ("refs/heads/v2", "releases", "refs/heads/v2", False),
        (None, "releases", "None", False),
    ],
)
def test_a_tag_names_a_deployment_and_a_branch_does_not(ref: str, source: str, name: str, *, known: bool) -> None:
    facts = (deployment(1, ref=ref, source=source), incident(1, deployment=name))
    assert failure_rules(*facts) == ({1: "explicit"} if known else {})


def test_a_sha_is_compared_in_any_case_and_a_version_as_it_is_written() -> None:
    commit_sha = "abcdef" + "0" * 34
    for written in (commit_sha, commit_sha.upper(), "AbCdEf" + "0" * 34):
        assert failure_rules(deployment(1, sha=commit_sha), incident(1, deployment=written)) == {1: "explicit"}
    assert failure_rules(deployment(1, version="V1"), incident(1, deployment="v1")) == {}
    assert failure_rules(deployment(1, version="V1"), incident(1, deployment="V1")) == {1: "explicit"}


def test_a_name_that_fits_several_is_looked_for_where_it_was_used_then_in_its_repository_then_anywhere() -> None:
    here = deployment(1, "03-04", version="v1")
    beside = deployment(2, "03-03", version="v1", service="api")
    elsewhere = deployment(3, "03-02", version="v1", repository="acme/other", service="other")
    one = incident(1, deployment="v1")
    assert failure_rules(here, beside, elsewhere, one) == {1: "explicit"}
    assert failure_rules(beside, elsewhere, one) == {2: "explicit"}
    assert failure_rules(elsewhere, one) == {3: "explicit"}


def test_what_an_incident_names_is_told_as_it_named_it() -> None:
    (failure,) = (
        document_of(deployment(1, version="v1"), incident(1, deployment="v1")).scopes[0].evidence.failed_deployments
    )
    assert failure.because == "github:issue:acme/shop#1 names v1"


def test_the_evidence_of_a_failure_says_what_was_seen_and_where() -> None:
    def seen(*facts: Any, **policy: Any) -> tuple[str, str | None]:  # noqa: ANN401
        (one,) = document_of(*facts, **policy).scopes[0].evidence.failed_deployments
        return one.because, one.url

    fix = deployment(2, "03-06", remediates=deployment_id(1), url="https://a.example/fix")
    assert seen(deployment(1), fix) == (
        "github:deployment:2 says that it remediates this deployment",
        "https://a.example/fix",
    )
    ill = deployment(1, health="failed", url="https://a.example/1")
    assert seen(ill) == ("its health check failed", "https://a.example/1")
    run = failed_deployment(1, url="https://a.example/1")
    assert seen(run, count_failed_runs=True) == ("the run itself failed", "https://a.example/1")
    reached = failed_deployment(1, url="https://a.example/1", reached_users=True)
    assert seen(reached) == ("its run failed, but it reached users", "https://a.example/1")


def test_a_branch_names_no_deployment() -> None:
    facts = (
        deployment(1, "03-01", ref="main"),
        deployment(2, "03-17T16:00", ref="main"),
        incident(1, "03-17T17:00", deployment="main"),
    )
    (history,) = evaluate_facts(facts, Policy()).histories
    assert history.failures == []
    assert history.incidents[0].because == "names main, which is not a recorded production deployment that counts"


@pytest.mark.parametrize("name", ["#3", "https://github.com/acme/shop/pull/3", sha("merged"), sha("merged")[:8]])
def test_a_pull_request_that_only_carried_others_means_the_deployment_that_brought_it(name: str) -> None:
    feature = change(1, commits=commits("03-01"), merged_at="03-01T12:00")
    release = change(
        3, commits=feature.commits, merged_at="03-02", sha=sha("merged"), url="https://github.com/acme/shop"
    )
    facts = [deployment(1, "03-01"), deployment(2, "03-03", changes=[1, 3]), feature, release]
    assert failure_rules(*facts, incident(1, "03-09", deployment=name)) == {2: "explicit"}
    assert failure_rules(*facts, deployment(3, "03-08", remediates=name)) == {2: "explicit"}

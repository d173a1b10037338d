"""Scope, production, service, environment, order of deployments (docs/definitions.md, "Words")."""

from typing import Any

import pytest
from msgspec import Struct

from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope, default_service, deployment_label, scope_of
from support.facts import (
    at,
    change,
    deployment,
    deployment_id,
    document_of,
    failed_deployment,
    failure_rules,
    incident,
    metrics_of,
    sha,
    vulnerability,
)

DEFAULT_NAMES = ["production", "PRODUCTION", "Prod", "live", "prd"]
NAMES_WITH_MORE_WORDS = [
    "prod-eu",
    "eu_prod",
    "production/eu",
    "prd_us",
    "live.blue",
    "Production-1",
    "prod eu",
    " prod",
    "prod:eu",
    "Production – web",
    "shop / production",
    "Production (West Europe)",
    "eu-west-1-prod",
]
OTHER_NAMES = [
    "staging",
    "prerelease",
    "preprod",
    "pre-production",
    "non-prod",
    "nonprod",
    "qa/prod",
    "production-preview",
    "PROD plan",
    "prod_approval",
    "production-readonly",
    "live-e2e",
    "products",
    "prod2",
    "live2",
    "oliver",
]


def scope_names(*facts: Struct, **settings: Any) -> list[tuple[str, str, str]]:  # noqa: ANN401
    return [(one.repository, one.service, one.environment) for one in document_of(*facts, **settings).scopes]


@pytest.mark.parametrize("environment", [*DEFAULT_NAMES, *NAMES_WITH_MORE_WORDS])
def test_a_production_name_makes_a_scope_whatever_its_case_also_among_other_words(environment: str) -> None:
    assert scope_names(deployment(1, environment=environment)) == [("acme/shop", "shop", environment)]


@pytest.mark.parametrize("environment", OTHER_NAMES)
def test_any_other_environment_has_facts_but_no_scope_and_the_notes_say_so(environment: str) -> None:
    found = document_of(deployment(1, environment=environment))
    assert found.scopes == []
    assert found.notes[0] == f"1 deployment outside production ({environment}) is not counted."


def test_where_no_production_is_known_the_notes_name_what_was_seen_and_the_setting() -> None:
    environments = ["main-site", "stg", "main-site"]
    found = document_of(*(deployment(n, environment=name) for n, name in enumerate(environments, 1)))
    assert found.notes == [
        "3 deployments outside production are not counted: main-site (2), stg (1).",
        (
            "No production deployment of acme/shop is recorded, only deployments to main-site (2), stg (1). "
            "If one of these environments is production, add it to `production-environments`."
        ),
    ]


def test_where_production_is_known_they_do_not() -> None:
    found = document_of(deployment(1), deployment(2, environment="stg"))
    assert found.notes == ["1 deployment outside production (stg) is not counted."]


def test_each_repository_without_production_has_its_own_note_and_names_ten_environments() -> None:
    many = [deployment(n, environment=f"team-{n:02}") for n in range(1, 13)]
    other = deployment(20, repository="acme/web", environment="box")
    _, api, web = document_of(*many, other).notes
    assert "team-09 (1), team-10 (1) and 2 more. If one" in api
    assert web.startswith("No production deployment of acme/web is recorded, only deployments to box (1).")


def test_production_names_are_no_globs_and_no_patterns() -> None:
    facts = [deployment(n, environment=name) for n, name in enumerate(["p*", "prod", "p.d", "pxd", "P-eu", "d.p"], 1)]
    assert scope_names(*facts, production_environments=("p*", "p.d")) == [
        ("acme/shop", "shop", name) for name in ("P-eu", "d.p", "p*", "p.d")
    ]


def test_a_production_name_of_several_words_fits_them_in_a_row_and_in_order() -> None:
    environments = ["west-europe", "EU West Europe 2", "europe-west", "west", "west-of-europe", "west-europe-test"]
    facts = [deployment(n, environment=name) for n, name in enumerate(environments, 1)]
    assert scope_names(*facts, production_environments=("west europe",)) == [
        ("acme/shop", "shop", "EU West Europe 2"),
        ("acme/shop", "shop", "west-europe"),
    ]


@pytest.mark.parametrize(
    ("setting", "environment", "is_production"),
    [
        (("prod", "demo"), "demo-eu", True),
        (("prod", "demo"), "prod-demo", True),
        (("prod", "demo"), "prod-demo-test", False),
        (("prod", "live demo"), "live-demo", True),
        (("prod", "live demo"), "prod-demo", False),
        (("pre-prod",), "Pre Prod", True),
        (("pre-prod",), "prod", False),
        (("",), "", False),
        (("–",), "–", False),
    ],
)
def test_a_word_takes_nothing_back_where_the_setting_has_it(
    setting: tuple[str, ...], environment: str, *, is_production: bool
) -> None:
    assert Policy(production_environments=setting).is_production(environment) == is_production


def test_with_no_production_names_nothing_is_production() -> None:
    facts = (deployment(1), deployment(2, environment=""), deployment(3, environment="-eu"))
    assert scope_names(*facts, production_environments=()) == []


def test_scopes_are_compared_as_written_and_never_blended() -> None:
    facts = (
        deployment(1),
        deployment(2, environment="Production"),
        deployment(3, service="api"),
        deployment(4, repository="Acme/Shop"),
    )
    assert scope_names(*facts) == [
        ("Acme/Shop", "shop", "production"),
        ("acme/shop", "api", "production"),
        ("acme/shop", "shop", "Production"),
        ("acme/shop", "shop", "production"),
    ]
    assert [one.metrics.deployment_frequency.deployments for one in document_of(*facts).scopes] == [1, 1, 1, 1]


def test_the_service_is_by_default_the_name_of_the_repository_without_its_owner() -> None:
    facts = (deployment(1, service=None), deployment(2, service=""), deployment(3, service="shop"))
    assert scope_names(*facts) == [("acme/shop", "shop", "production")]


def test_repositories_that_have_a_part_of_their_name_in_common_are_others() -> None:
    """Trap 21: `api` and `app`."""
    facts = (deployment(1, repository="acme/api", service=None), deployment(2, repository="acme/api-2", service=None))
    assert scope_names(*facts) == [("acme/api", "api", "production"), ("acme/api-2", "api-2", "production")]


def test_without_any_recorded_environment_all_deployments_of_a_repository_are_production() -> None:
    found = document_of(deployment(1, environment=None), deployment(2, environment=""))
    assert [(one.environment, one.metrics.deployment_frequency.deployments) for one in found.scopes] == [
        ("production", 2)
    ]
    assert found.notes == ["No environment is recorded for acme/shop, so all its deployments count as production."]


def test_that_holds_whatever_production_is_called() -> None:
    found = document_of(deployment(1, environment=None), production_environments=("live",))
    assert [one.environment for one in found.scopes] == ["production"]
    assert len(found.notes) == 1


def test_once_one_environment_is_recorded_those_without_are_not_production() -> None:
    found = document_of(deployment(1, environment=None), deployment(2, environment="staging"))
    assert found.scopes == []
    assert "no environment (1), staging (1)" in found.notes[0]


def test_another_repository_that_records_environments_changes_nothing() -> None:
    facts = (deployment(1, environment=None), deployment(2, repository="acme/other", environment="staging"))
    assert scope_names(*facts) == [("acme/shop", "shop", "production")]


@pytest.mark.parametrize("status", ["success", "failure", "cancelled"])
def test_a_scope_exists_once_it_has_a_deployment_however_it_ended(status: str) -> None:
    assert scope_names(deployment(1, status=status)) == [("acme/shop", "shop", "production")]


def test_a_scope_exists_with_an_incident_that_matches_no_other() -> None:
    assert scope_names(incident(1)) == [("acme/shop", "shop", "production")]
    assert scope_names(deployment(1), incident(1, service="api")) == [
        ("acme/shop", "api", "production"),
        ("acme/shop", "shop", "production"),
    ]


def test_an_incident_without_an_environment_makes_no_scope_beside_one_that_only_had_failures() -> None:
    facts = (failed_deployment(1, environment="prod", service="api"), incident(1, environment=None, service=None))
    assert scope_names(*facts) == [("acme/shop", "api", "prod")]


def test_changes_and_vulnerabilities_make_no_scope() -> None:
    assert scope_names(change(1), vulnerability(1)) == []


def test_a_retracted_fact_is_in_no_number_and_makes_no_scope() -> None:
    assert scope_names(deployment(1, retracted=True), incident(1, retracted=True)) == []


def test_nothing_at_all_is_an_answer_without_scopes() -> None:
    """Trap 15."""
    found = document_of()
    assert (found.scopes, found.notes) == ([], [])


def test_a_cancelled_deployment_is_in_no_denominator() -> None:
    found = metrics_of(deployment(1, status="cancelled", reached_users=True), count_failed_runs=True)
    assert found.deployment_frequency.deployments == 0
    assert found.change_failure_rate.deployments == found.rework_rate.deployments == 0
    assert found.pipeline.failed_runs == 0


def test_deployments_are_in_order_of_their_finish_their_start_their_id() -> None:
    """The incident is attributed to the last deployment that finished in its second; trap 13."""
    tied = [
        deployment(1, "03-05T12:00", started_at="03-05T11:00"),
        deployment(2, "03-05T12:00", started_at="03-05T11:30"),
        deployment(3, "03-05T12:00", started_at="03-05T11:30"),
        deployment(4, "03-05T12:00"),
        deployment(9, "03-05T11:59", started_at="03-05T11:45"),
    ]
    one = incident(1, "03-05T12:00")
    for facts in ([*tied, one], [one, *reversed(tied)]):
        assert failure_rules(*facts) == {3: "incident"}
        (scope,) = document_of(*facts).scopes
        assert [found.deployment[-1] for found in scope.evidence.deployments] == ["9", "4", "1", "2", "3"]


def test_the_evidence_lists_every_deployment_of_the_window_with_what_it_brought() -> None:
    facts = (deployment(1, changes=[7], commit_count=4), failed_deployment(2, "03-06", sha=None, changes=None))
    (scope,) = document_of(*facts).scopes
    first, second = scope.evidence.deployments
    assert (first.sha, first.status, first.commit_count) == (sha("github:deployment:1"), "success", 4)
    assert first.changes == ("github:pull:acme/shop#7",)
    assert first.finished_at == at("03-05T12:00")
    assert (second.sha, second.status, second.commit_count, second.changes) == (None, "failure", None, None)


def test_a_scope_is_named_by_what_was_recorded_and_else_by_the_repository_and_production() -> None:
    assert scope_of(deployment(1, service="api", environment="prod")) == Scope("acme/shop", "api", "prod")
    assert scope_of(deployment(1, service=None, environment=None)) == Scope("acme/shop", "shop", "production")
    assert default_service("host/acme/shop") == "shop"


def test_a_deployment_is_called_by_its_version_else_by_seven_letters_of_its_sha_else_by_its_id() -> None:
    assert deployment_label(deployment(1, version="v1")) == "v1"
    assert deployment_label(deployment(1, sha="abcdef0123" + "0" * 30)) == "abcdef0"
    assert deployment_label(deployment(1, sha=None)) == deployment_id(1)

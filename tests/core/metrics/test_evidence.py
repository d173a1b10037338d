"""DEFINITIONS §2: redeploying the same sha delivers nothing new, and the evidence says so."""

from support.facts import change, deployment, document_of, failed_deployment


def listed_changes(*facts: object) -> list[tuple[str, ...] | None]:
    (scope,) = document_of(*facts).scopes  # type: ignore[arg-type]
    return [each.changes for each in scope.evidence.deployments]


def test_the_evidence_of_a_redeployed_sha_lists_no_change() -> None:
    facts = (
        deployment(1, "03-01", sha="a" * 40, changes=()),
        deployment(2, "03-02", sha="b" * 40, changes=[1]),
        deployment(3, "03-03", sha="b" * 40, changes=[1]),
        deployment(4, "03-04", sha="a" * 40, changes=[1]),
        change(1),
    )
    assert listed_changes(*facts) == [(), (change(1).id,), (), ()]


def test_what_failed_before_is_no_redeployment_and_what_is_unknown_stays_unknown() -> None:
    facts = (
        failed_deployment(1, "03-01", sha="b" * 40, changes=[1]),
        deployment(2, "03-02", sha="b" * 40, changes=[1]),
        deployment(3, "03-03", sha="b" * 40, changes=None),
        failed_deployment(4, "03-04", sha="b" * 40, changes=[1]),
        change(1),
    )
    assert listed_changes(*facts) == [(change(1).id,), (change(1).id,), None, (change(1).id,)]


def test_another_scope_has_its_own_first_deployment() -> None:
    facts = (
        deployment(1, "03-01", sha="b" * 40, changes=[1], service="api"),
        deployment(2, "03-02", sha="b" * 40, changes=[1], service="web"),
        change(1),
    )
    for scope in document_of(*facts).scopes:
        assert [each.changes for each in scope.evidence.deployments] == [(change(1).id,)]

"""Rollouts as deployments: which are new, under which id, and for whom."""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dora_metrics.core.facts import ids, jsonl
from dora_metrics.core.gitops.deployments import new_deployments
from dora_metrics.core.gitops.occurrence import GitOpsObject, Occurrence
from dora_metrics.core.gitops.targets import GitOpsTargets
from dora_metrics.core.linking.duplicates import deduplicate
from dora_metrics.core.policy import Policy
from support.facts import at, deployment, sha
from support.property_cases import cases
from support.rollouts import EVERYTHING, counted, occurrence, recorded_one_by_one, revision


def outcomes(occurrences: Sequence[Occurrence]) -> list[tuple[str, str]]:
    """Return version and status of what counts once all were recorded."""
    names = {sha(name): name for name in "ABC"}
    return [(names[str(each.sha)], each.status) for each in counted(recorded_one_by_one(occurrences))]


def test_a_rollout_is_a_deployment_with_the_object_the_revision_and_the_time_in_its_id() -> None:
    (made,) = new_deployments([occurrence("A")], [], EVERYTHING, "acme/shop").deployments
    assert made == replace(
        deployment(1, "03-05T12:00"),
        id=f"flux:flux-system/shop:main@sha1:{sha('A')}:2024-03-05T12:00:00Z",
        service="shop",
        source="flux",
        sha=sha("A"),
        changes=None,
        observed_at=at("03-05T12:00"),
    )
    assert jsonl.decode_line(jsonl.encode_fact(made)) == made


def test_a_hundred_reconciliations_without_a_change_add_nothing() -> None:
    periodic = [replace(occurrence("A"), finished_at=at("03-05T12:00") + n * timedelta(minutes=10)) for n in range(101)]
    assert len(recorded_one_by_one(periodic)) == 1
    assert len(new_deployments(periodic, [], EVERYTHING, "acme/shop").deployments) == 1


def test_a_revision_that_comes_back_is_deployed_again() -> None:
    there_and_back = [occurrence("A", "03-05T12:00"), occurrence("B", "03-05T12:05"), occurrence("A", "03-05T12:10")]
    assert outcomes(there_and_back) == [("A", "success"), ("B", "success"), ("A", "success")]


def failure(name: str, time: str) -> Occurrence:
    return occurrence(name, time, succeeded=False)


@pytest.mark.parametrize(
    ("occurrences", "expected"),
    [
        ([failure("A", "03-05T12:00"), failure("A", "03-05T12:30"), failure("A", "03-05T14:00")], ["A-"]),
        ([failure("A", "03-05T12:00"), occurrence("A", "03-05T12:01")], ["A-", "A+"]),
        ([occurrence("A", "03-05T12:00"), failure("A", "03-06T12:00"), occurrence("A", "03-06T12:05")], ["A+"]),
        ([failure("A", "03-05T12:00"), failure("B", "03-05T12:05"), failure("A", "03-05T12:10")], ["A-", "B-", "A-"]),
    ],
    ids=["tried-again", "recovered", "unwell-later", "each-revision"],
)
def test_a_failure_is_one_of_its_revision_and_none_once_that_was_deployed(
    occurrences: Sequence[Occurrence], expected: Sequence[str]
) -> None:
    assert [f"{name}{'+' if status == 'success' else '-'}" for name, status in outcomes(occurrences)] == expected


@pytest.mark.parametrize(("minutes", "count"), [(-16, 2), (-15, 1), (0, 1), (15, 1), (16, 1)])
def test_a_report_within_fifteen_minutes_is_of_the_same_rollout(minutes: int, count: int) -> None:
    """Later than that, it is a reconciliation; earlier, the recorded one was."""
    first = occurrence("A")
    again = replace(first, finished_at=first.finished_at + timedelta(minutes=minutes))
    ledger = recorded_one_by_one([first, again])
    assert len(ledger) == count
    assert len(counted(ledger)) == 1


def test_a_dispatch_of_argo_cd_with_plain_fields_is_the_same_as_what_is_read() -> None:
    """Its id has no revision, and the time of its start."""
    argocd = GitOpsObject("argocd", "Application", "argocd", "shop")
    dispatched = deployment(1, "03-05T12:04", id="argocd:argocd/shop:2024-03-05T12:00:00Z", sha=sha("A"))
    read = occurrence("A", "03-05T12:04", deployer=argocd, revision=sha("A"))
    assert new_deployments([read], [dispatched], EVERYTHING, "acme/shop").deployments == ()
    later = replace(read, finished_at=at("03-05T18:00"))
    assert new_deployments([later], [dispatched], EVERYTHING, "acme/shop").deployments == ()
    other = replace(read, revision=sha("B"), sha=sha("B"))
    assert new_deployments([other], [dispatched], EVERYTHING, "acme/shop").deployments


@pytest.mark.parametrize("tool_and_revision", [("flux", "6.6.1"), ("flagger", "765c47b8f7")])
def test_what_helm_and_flagger_report_again_they_did_again(tool_and_revision: tuple[str, str]) -> None:
    """Values, and configuration, can change without the chart or the pods."""
    tool, name = tool_and_revision
    deployer: Any = GitOpsObject(tool, "Any", "apps", "shop")  # type: ignore[arg-type]
    first = occurrence("A", deployer=deployer, revision=name, sha=None)
    later = replace(first, finished_at=at("03-05T13:00"))
    failed = replace(first, finished_at=at("03-05T14:00"), succeeded=False)
    ledger = recorded_one_by_one([first, later, later, failed])
    assert [each.status for each in counted(ledger)] == ["success", "success", "failure"]


def test_objects_environments_and_repositories_are_apart() -> None:
    elsewhere = [
        occurrence("A", deployer=GitOpsObject("flux", "Kustomization", "other", "shop")),
        occurrence("A", environment="staging"),
        occurrence("A", source_repository="acme/pay"),
        occurrence("A", deployer=GitOpsObject("argocd", "Application", "flux-system", "shop")),
    ]
    ledger = recorded_one_by_one([occurrence("A"), *elsewhere])
    assert len({each.id for each in ledger}) == 4, "the ledgers of repositories are apart, or have ids of one"
    assert len(ledger) == len(counted(ledger)) == 5
    staging = next(each for each in ledger if each.environment == "staging")
    assert staging.id.endswith(":2024-03-05T12:00:00Z:staging")


def test_a_chart_does_not_interrupt_the_revisions_of_a_kustomization_with_its_path() -> None:
    chart = occurrence("A", "03-05T13:00", revision="1.2.3", sha=None)
    assert len(recorded_one_by_one([occurrence("A"), chart, occurrence("A", "03-05T14:00")])) == 2


def test_what_two_runs_recorded_at_once_counts_once_with_its_commit() -> None:
    pushed, read = occurrence("A", sha=None), occurrence("A", "03-05T12:03")
    both = [
        *new_deployments([pushed], [], EVERYTHING, "acme/shop").deployments,
        *new_deployments([read], [], EVERYTHING, "acme/shop").deployments,
    ]
    deduplicated = deduplicate(both, Policy())
    assert [each.sha for each in deduplicated.deployments] == [sha("A")]
    (note,) = deduplicated.notes
    assert note == "1 report of a rollout is not counted, because the first report of the same rollout counts."


def test_the_settings_say_whose_deployment_it_is() -> None:
    targets = GitOpsTargets.parse(
        {
            "flux-system/shop": {"service": "checkout", "environment": "prod-eu", "repository": "acme/pay"},
            "*": "skip",
        }
    )
    result = new_deployments([occurrence("A", environment="staging")], [], targets, "acme/config")
    (made,) = result.deployments
    assert (made.service, made.environment, made.repository) == ("checkout", "prod-eu", "acme/pay")
    assert made.sha is None
    assert result.notes == (
        "flux-system/shop has no lead time: its revision is of acme/config, not of acme/pay; set `commit` in `gitops`",
    )
    other = occurrence("A", deployer=GitOpsObject("flux", "Kustomization", "flux-system", "infra"))
    skipped = new_deployments([other], [], targets, "acme/config")
    assert (skipped.deployments, skipped.skipped_count) == ((), 1)
    assert skipped.notes == ("Not recorded: 1 rollout of objects that the setting `gitops` skips",)


def test_notes_name_five_objects() -> None:
    objects = [GitOpsObject("flux", "HelmRelease", "apps", f"shop-{n}") for n in range(7)]
    charts = [occurrence("A", deployer=each, revision="1.2.3", sha=None) for each in objects]
    notes = new_deployments(charts, [], EVERYTHING, "acme/shop").notes
    assert notes[0] == "apps/shop-0 has no lead time: its revision 1.2.3 names no commit"
    assert notes[5:] == ("2 other objects have no lead time either",)


@pytest.mark.parametrize("name", ["A" * 5_000, "main@sha1:\x1b[31m\n", "a:2024-01-01T00:00:00Z", "%", "é/ü@sha1:1"])
def test_any_revision_makes_a_valid_id_that_is_read_again(name: str) -> None:
    hostile = occurrence("A", revision=name, environment="eu: west/" * 50)
    (made,) = new_deployments([hostile], [], EVERYTHING, "acme/shop").deployments
    assert ids.is_valid(made.id)
    parsed = ids.RolloutId.parse(made.id)
    assert parsed == ids.RolloutId("flux", "flux-system/shop", ids.rollout_revision(name))
    assert new_deployments([hostile], [made], EVERYTHING, "acme/shop").deployments == ()


@pytest.mark.parametrize(
    "fact_id", ["github:deployment:1", "flux:shop:main:2024-03-05T12:00:00Z", "flux:a/b:main", "argocd:a/b:2024-03-05"]
)
def test_other_ids_are_of_no_rollout(fact_id: str) -> None:
    assert ids.RolloutId.parse(fact_id) is None


@st.composite
def histories(draw: st.DrawFn) -> list[Occurrence]:
    """Rollouts of revisions that follow each other, each tried and reconciled several times.

    Different results are more than 15 minutes apart; closer ones can be taken for one rollout if they come late.
    """
    time = at("03-05T12:00")
    history: list[Occurrence] = []
    for name in "ABC":
        for succeeded in draw(st.lists(st.booleans(), min_size=1, max_size=5)):
            is_same = bool(history) and history[-1] == replace(
                history[-1], revision=revision(name), succeeded=succeeded
            )
            time += timedelta(minutes=draw(st.integers(1 if is_same else 16, 40)))
            history.append(replace(occurrence(name), succeeded=succeeded, finished_at=time, observed_at=time))
    return history


@settings(max_examples=cases(60))
@given(histories(), st.randoms(use_true_random=False))
def test_in_any_order_of_arrival_the_same_deployments_count(history: list[Occurrence], order: random.Random) -> None:
    """Unless a revision comes back, since what was taken for a reconciliation is not in the ledger."""
    shuffled = order.sample(history, len(history))
    assert outcomes(shuffled) == outcomes(history)
    at_once = new_deployments(shuffled, [], EVERYTHING, "acme/shop").deployments
    assert at_once == tuple(recorded_one_by_one(history))


@settings(max_examples=cases(60))
@given(histories())
def test_recording_again_adds_nothing(history: list[Occurrence]) -> None:
    ledger = recorded_one_by_one(history)
    assert recorded_one_by_one([*history, *history]) == ledger
    assert not new_deployments(history, ledger, EVERYTHING, "acme/shop").deployments


def test_what_was_taken_for_a_reconciliation_is_not_known_when_a_late_revision_arrives() -> None:
    """The only case in which the order of arrival matters. Reading the cluster finds what is missing."""
    late = [occurrence("A", "03-05T12:00"), occurrence("A", "03-05T14:00"), occurrence("B", "03-05T13:00")]
    assert outcomes(late) == [("A", "success"), ("B", "success")]
    assert revision("A") in recorded_one_by_one(late)[0].id

"""Rule `revert`: a change reverts what an earlier deployment delivered."""

from typing import Any

import pytest
from msgspec.structs import replace

from dora_metrics.core.facts.model import Fact
from support.facts import (
    at,
    change,
    commit_id,
    commits,
    deployment,
    direct_commit,
    failed_deployment,
    failure_rules,
    metrics_of,
    pull_id,
    scope_of,
    sha,
)

OTHER_RULES = frozenset({"explicit", "rollback", "hotfix", "incident", "health-check"})
ORIGINAL = change(1, title="Add a cart", sha=sha("landed"), commits=commits("03-01T08:00", "03-01T09:00"))


def reverted_history(*changes: Fact, originals: tuple[Any, ...] = (1,), reverts: tuple[Any, ...] = (9,)) -> list[Fact]:
    """Originals in the second deployment, something else in the third, the revert in the fourth."""
    return [
        deployment(1, "03-01"),
        deployment(2, "03-02", changes=originals),
        deployment(3, "03-03", changes=[5]),
        deployment(4, "03-04", changes=reverts),
        change(5, title="Add a wish list"),
        *changes,
    ]


@pytest.mark.parametrize("target", [pull_id(1), sha("landed"), sha("03-01T08:00"), sha("03-01T09:00")])
def test_by_id_or_by_the_sha_of_any_of_its_commits(target: str) -> None:
    assert failure_rules(*reverted_history(ORIGINAL, change(9, title="Oh dear", reverts=target))) == {2: "revert"}


def test_a_direct_commit_is_reverted_by_its_id_or_its_sha() -> None:
    for target in (commit_id(1), sha(1)):
        facts = reverted_history(direct_commit(1), change(9, reverts=target), originals=(commit_id(1),))
        assert failure_rules(*facts) == {2: "revert"}


def test_an_original_without_a_fact_can_be_reverted_by_id() -> None:
    assert failure_rules(*reverted_history(change(9, reverts=pull_id(1)))) == {2: "revert"}


def test_by_title_where_it_names_nothing_else() -> None:
    assert failure_rules(*reverted_history(ORIGINAL, change(9, title='Revert "Add a cart"'))) == {2: "revert"}


@pytest.mark.parametrize(
    "title",
    [
        "Revert Add a cart",
        'revert "Add a cart"',
        'Revert "Add a car"',
        'Revert "add a cart"',
        'Oh: Revert "Add a cart"',
    ],
)
def test_a_title_that_is_not_exactly_that_reverts_nothing(title: str) -> None:
    assert failure_rules(*reverted_history(ORIGINAL, change(9, title=title))) == {}


def test_a_title_is_used_only_without_a_name() -> None:
    """`reverts` names nothing that was deployed; the title would match the second deployment."""
    assert (
        failure_rules(*reverted_history(ORIGINAL, change(9, title='Revert "Add a cart"', reverts=sha("elsewhere"))))
        == {}
    )
    named = change(9, title='Revert "Add a wish list"', reverts=pull_id(1))
    assert failure_rules(*reverted_history(ORIGINAL, named)) == {2: "revert"}


def test_a_title_means_the_latest_change_of_that_title_delivered_before() -> None:
    facts = (
        deployment(1, "03-01"),
        deployment(2, "03-02", changes=[1]),
        deployment(3, "03-03", changes=[2]),
        deployment(4, "03-04", changes=[9]),
        deployment(5, "03-05", changes=[3]),
        *(change(n, title="Bump it") for n in (1, 2, 3)),
        change(9, title='Revert "Bump it"'),
    )
    assert failure_rules(*facts) == {3: "revert"}


def test_original_and_revert_in_the_same_deployment_mark_nothing() -> None:
    for revert in (change(9, reverts=pull_id(1)), change(9, title='Revert "Add a cart"')):
        assert failure_rules(*reverted_history(ORIGINAL, revert, originals=(), reverts=(1, 9))) == {}
        assert failure_rules(*reverted_history(ORIGINAL, revert, originals=(), reverts=(9, 1))) == {}


def test_an_original_that_comes_later_or_never_marks_nothing() -> None:
    assert failure_rules(*reverted_history(ORIGINAL, change(9, reverts=pull_id(1)), originals=(9,), reverts=(1,))) == {}
    assert failure_rules(*reverted_history(ORIGINAL, change(9, reverts=pull_id(1)), originals=())) == {}


def test_a_revert_of_a_revert_marks_nothing() -> None:
    """The second is attributed to the second deployment; the third reverts the revert and fails nothing."""
    chain = (
        deployment(1, "03-01"),
        deployment(2, "03-02", changes=[1]),
        deployment(3, "03-03", changes=[2]),
        deployment(4, "03-04", changes=[3]),
        ORIGINAL,
    )
    by_id = (change(2, reverts=pull_id(1)), change(3, reverts=pull_id(2)))
    by_title = (change(2, title='Revert "Add a cart"'), change(3, title='Revert "Revert "Add a cart""'))
    for two, three in (by_id, by_title, (by_id[0], change(3, reverts=str(by_id[0].sha)))):
        assert failure_rules(*chain, two, three) == {2: "revert"}
        assert metrics_of(*chain, two, three).rework_rate.rework == 1


def test_a_revert_that_the_failed_attempt_listed_comes_with_the_next_success() -> None:
    facts = (
        deployment(1, "03-01"),
        deployment(2, "03-02", changes=[1]),
        failed_deployment(3, "03-03", changes=[9]),
        deployment(4, "03-04"),
        ORIGINAL,
        change(9, reverts=pull_id(1)),
    )
    assert failure_rules(*facts) == {2: "revert"}
    assert metrics_of(*facts).recovery_time.p50_seconds == 2 * 86400


def test_it_is_recovered_by_the_first_deployment_with_a_revert() -> None:
    """Two of the second deployment's changes are reverted, on 4 and on 6 March."""
    reverts = (change(9, reverts=pull_id(1)), change(10, reverts=pull_id(2)))
    facts = [*reverted_history(ORIGINAL, change(2), *reverts, originals=(1, 2)), deployment(6, "03-06", changes=[10])]
    (one,) = scope_of(*facts).evidence.failed_deployments
    assert (one.deployment, one.remediated_by) == ("github:deployment:2", "github:deployment:4")
    assert metrics_of(*facts).rework_rate.rework == 2


def test_an_original_of_the_first_known_deployment_can_be_reverted() -> None:
    facts = (deployment(1, "03-01", changes=[1]), deployment(2, "03-02", changes=[9]), ORIGINAL)
    assert failure_rules(*facts, change(9, reverts=pull_id(1))) == {1: "revert"}


def test_the_evidence_names_both_changes_and_links_to_the_revert() -> None:
    (one,) = scope_of(
        *reverted_history(ORIGINAL, change(9, reverts=pull_id(1), url="https://a.example/9"))
    ).evidence.failed_deployments
    assert (pull_id(9) in one.because, pull_id(1) in one.because, one.url) == (True, True, "https://a.example/9")


def test_switched_off_it_marks_nothing_but_the_revert_stays_rework() -> None:
    facts = reverted_history(ORIGINAL, change(9, reverts=pull_id(1)))
    assert failure_rules(*facts, failure_rules=OTHER_RULES) == {}
    assert metrics_of(*facts, failure_rules=OTHER_RULES).rework_rate.rework == 1


def test_a_revert_by_the_sha_of_a_commit_that_is_only_listed_finds_it() -> None:
    facts = (
        deployment(0, "03-01"),
        deployment(1, "03-05", changes=[commit_id(1)]),
        deployment(2, "03-06", changes=[commit_id(2)]),
        direct_commit(2, reverts=sha(1)),
    )
    assert failure_rules(*facts) == {1: "revert"}


def test_one_change_may_revert_several_and_each_original_marks_its_deployment() -> None:
    facts = [
        deployment(1, "03-01"),
        deployment(2, "03-02", changes=[1]),
        deployment(3, "03-03", changes=[2]),
        deployment(4, "03-04", changes=[9]),
        ORIGINAL,
        change(2, title="Add a till"),
    ]
    for names in ((pull_id(1), pull_id(2)), (pull_id(2), sha("landed"), "nowhere", pull_id(1))):
        assert failure_rules(*facts, change(9, reverts=names)) == {2: "revert", 3: "revert"}
    assert metrics_of(*facts, change(9, reverts=(pull_id(1), pull_id(2)))).rework_rate.rework == 1
    assert failure_rules(*facts, change(9, reverts=(pull_id(2), pull_id(9)))) == {3: "revert"}


def test_a_list_of_one_is_like_a_string_and_an_empty_one_like_none() -> None:
    assert failure_rules(*reverted_history(ORIGINAL, change(9, reverts=(pull_id(1),)))) == {2: "revert"}
    assert failure_rules(*reverted_history(ORIGINAL, change(9, reverts=()))) == {}
    assert failure_rules(*reverted_history(ORIGINAL, change(9, reverts=(), title='Revert "Add a cart"'))) == {
        2: "revert"
    }


def test_a_title_is_used_only_where_the_change_names_nothing() -> None:
    revert = change(9, title='Revert "Add a cart"', reverts=("nowhere", "neither"))
    assert failure_rules(*reverted_history(ORIGINAL, revert)) == {}


def test_a_title_means_the_latest_change_of_exactly_that_title_delivered_before() -> None:
    facts = [
        deployment(1, "03-01"),
        deployment(2, "03-02", changes=[1]),
        deployment(3, "03-03", changes=[2]),
        deployment(4, "03-04", changes=[9]),
        deployment(5, "03-05", changes=[3]),
        *(change(number, title="Add a cart") for number in (1, 2, 3)),
    ]
    assert failure_rules(*facts, change(9, title='Revert "Add a cart"')) == {3: "revert"}
    assert failure_rules(*facts, change(9, title='Revert "add a cart"')) == {}


RELEASE = change(3, title="Release 1.1", sha=sha("merged"), commits=commits("03-01T08:00"), merged_at="03-02")
CARRIED = replace(ORIGINAL, commits=RELEASE.commits, merged_at=at("03-01T12:00"))


@pytest.mark.parametrize(
    "revert", [{"reverts": RELEASE.id}, {"reverts": RELEASE.sha}, {"title": 'Revert "Release 1.1"'}]
)
def test_a_pull_request_that_only_carried_others_is_reverted_where_it_came(revert: dict[str, Any]) -> None:
    facts = reverted_history(CARRIED, RELEASE, change(9, **revert), originals=(1, 3))
    assert failure_rules(*facts) == {2: "revert"}
    assert metrics_of(*facts).lead_time.changes == 3, "the original, the other one and the revert"


def test_what_a_deployment_had_for_its_head_stands_for_what_came_with_it() -> None:
    """A branch that was merged without a pull request is no change, so no deployment lists its merge."""
    original, head = direct_commit(1), str(deployment(2).sha)
    facts = reverted_history(original, change(9, reverts=head), originals=(original.id,))
    assert failure_rules(*facts) == {2: "revert"}
    revert = replace(original, reverts=sha("older"))
    assert failure_rules(*reverted_history(revert, *facts[6:], originals=(original.id,))) == {}

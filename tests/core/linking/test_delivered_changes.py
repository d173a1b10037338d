"""Which change each deployment delivered first, from facts alone."""

from typing import Any

from msgspec.structs import replace

from dora_metrics.core.facts.model import GIT_SOURCE, Change, Commit, Deployment
from dora_metrics.core.linking.delivered_changes import ChangeIndex, deliver_changes
from support.facts import (
    at,
    change,
    commit_id,
    deployment,
    deployment_id,
    direct_commit,
    failed_deployment,
    pull_id,
    sha,
)


def delivered(deployments: list[Deployment], *changes: Change) -> dict[str, str]:
    """The deployment that delivered each change, both by id."""
    deliveries = deliver_changes(deployments, ChangeIndex({each.id: each for each in changes}), {})
    return {each.change_id: each.deployment.id for each in deliveries.changes}


def pull(number: int, *commit_numbers: int, opened_at: str, merged_at: str, **fields: Any) -> Change:  # noqa: ANN401
    """A merged pull request whose commits have these numbers, authored an hour apart on 1 March."""
    commits = tuple(Commit(sha(each), at(f"03-01T{each:02}:00")) for each in commit_numbers)
    return change(number, opened_at=opened_at, merged_at=merged_at, commits=commits, **fields)


FIRST, SECOND, THIRD = (f"03-0{day}" for day in (5, 6, 7))


def test_a_branch_that_was_open_counts_as_its_pull_request_from_its_last_commit_on() -> None:
    deployments = [
        deployment(1, FIRST, changes=[commit_id(1)], previous=deployment_id(0)),
        deployment(2, SECOND, changes=[commit_id(2)]),
        deployment(3, THIRD, changes=[7]),
    ]
    branch = pull(7, 1, 2, opened_at="03-04", merged_at="03-06T12:00")
    assert delivered(deployments, branch, direct_commit(1), direct_commit(2)) == {pull_id(7): deployment_id(2)}


def test_a_pull_request_that_was_never_deployed_or_opened_later_takes_no_commit_away() -> None:
    deployments = [deployment(1, FIRST, changes=[commit_id(1)], previous=deployment_id(0))]
    never_deployed = pull(7, 1, opened_at="03-04", merged_at="03-06")
    expected = {commit_id(1): deployment_id(1)}
    assert delivered(deployments, never_deployed, direct_commit(1)) == expected
    later = [*deployments, deployment(2, THIRD, changes=[7])]
    opened_later = pull(7, 1, 2, opened_at="03-05T12:00", merged_at="03-06")
    assert delivered(later, opened_later, direct_commit(1)) == {**expected, pull_id(7): deployment_id(2)}


def test_a_pull_request_opened_for_commits_that_were_all_deployed_before_is_no_second_change() -> None:
    deployments = [
        deployment(1, FIRST, changes=[commit_id(1), commit_id(2)], previous=deployment_id(0)),
        deployment(2, THIRD, changes=[7, 8]),
    ]
    opened_later = pull(7, 1, 2, opened_at="03-05T12:00", merged_at="03-06")
    other = pull(8, 3, opened_at="03-05T12:00", merged_at="03-06")
    changes = ChangeIndex({each.id: each for each in (opened_later, other, direct_commit(1), direct_commit(2))})
    deliveries = deliver_changes(deployments, changes, {})
    assert {each.change_id: each.deployment.id for each in deliveries.changes} == {
        commit_id(1): deployment_id(1),
        commit_id(2): deployment_id(1),
        pull_id(8): deployment_id(2),
    }
    assert deliveries.deployments[1].changes == (pull_id(8),)
    (carrier,) = deliveries.carriers
    assert (carrier.change_id, carrier.deployment.id) == (pull_id(7), deployment_id(1)), "what a revert of it means"


def test_a_direct_commit_of_a_git_history_belongs_to_its_pull_request_whenever_it_was_tagged() -> None:
    deployments = [
        deployment(1, SECOND, changes=[commit_id(1)], previous=deployment_id(0)),
        deployment(2, THIRD, changes=[7]),
    ]
    merged_before = replace(pull(7, 1, opened_at="03-04", merged_at="03-05"), source=GIT_SOURCE, opened_at=None)
    assert delivered(deployments, merged_before, direct_commit(1)) == {pull_id(7): deployment_id(1)}


def test_a_fork_with_the_same_commits_takes_nothing_away() -> None:
    deployments = [
        deployment(1, FIRST, changes=[commit_id(1)], previous=deployment_id(0)),
        deployment(2, SECOND, changes=[7]),
    ]
    fork = pull(7, 1, opened_at="03-04", merged_at="03-05T12:00", repository="acme/fork")
    assert delivered(deployments, fork, direct_commit(1)) == {
        commit_id(1): deployment_id(1),
        pull_id(7): deployment_id(2),
    }


def test_a_pull_request_that_carries_others_is_no_change_beside_them() -> None:
    deployments = [deployment(1, FIRST, changes=[1, 2, 50], previous=deployment_id(0))]
    one = pull(1, 1, opened_at="03-01", merged_at="03-02", sha=sha(11))
    two = pull(2, 2, opened_at="03-01", merged_at="03-03", sha=sha(12))
    carrier = pull(50, 11, 12, opened_at="03-04", merged_at="03-04T12:00")
    assert list(delivered(deployments, one, two, carrier)) == [pull_id(1), pull_id(2)]
    alone = [deployment(1, FIRST, changes=[50], previous=deployment_id(0))]
    assert list(delivered(alone, one, two, carrier)) == [pull_id(50)], "squashed, it is all that arrives"


def test_carriers_are_in_the_order_in_which_their_deployment_lists_them() -> None:
    commits = [direct_commit(number) for number in range(1, 9)]
    numbers = [14, 11, 18, 12, 16, 13, 17, 15]
    carriers = [pull(number, number - 10, opened_at="03-05T12:00", merged_at="03-06") for number in numbers]
    deployments = [
        deployment(1, FIRST, changes=[each.id for each in commits], previous=deployment_id(0)),
        deployment(2, THIRD, changes=numbers),
    ]
    index = ChangeIndex({each.id: each for each in (*commits, *carriers)})
    deliveries = deliver_changes(deployments, index, {})
    assert [each.change_id for each in deliveries.carriers] == [pull_id(number) for number in numbers]


def test_a_pull_request_that_also_carries_others_starts_with_its_own_commit() -> None:
    deployments = [deployment(1, FIRST, changes=[1, 50], previous=deployment_id(0))]
    one = pull(1, 1, opened_at="03-01", merged_at="03-02", sha=sha(11))
    release = pull(50, 11, 13, opened_at="03-04", merged_at="03-04T12:00", first_commit_at="03-01T11:00")
    changes = deliver_changes(deployments, ChangeIndex({each.id: each for each in (one, release)}), {}).changes
    starts = {each.change_id: each.change.first_commit_at for each in changes if each.change}
    assert starts[pull_id(50)] == at("03-01T13:00")


def test_what_an_attempt_without_success_brought_goes_to_the_next_success_unless_that_lists_all_that_it_has() -> None:
    attempt = failed_deployment(1, FIRST, changes=[1])
    compared = deployment(2, SECOND, changes=[2], previous=deployment_id(0), descends_from=(deployment_id(0),))
    reported = deployment(3, THIRD, changes=[3])
    changes = [change(number) for number in (1, 2, 3)]
    assert delivered([attempt, compared], *changes) == {pull_id(2): deployment_id(2)}
    assert delivered([attempt, reported], *changes) == dict.fromkeys((pull_id(1), pull_id(3)), deployment_id(3))


def test_what_a_part_of_another_attempt_lists_is_delivered_by_the_first_success_that_contains_it() -> None:
    """Web's first part was compared before api's, but api was done first: with that commit, or with one after it."""
    eu = deployment(1, FIRST, sha=sha("one"), changes=[1], descends_from=(deployment_id(0),))
    us = deployment(2, THIRD, sha=sha("one"), changes=[], previous=eu.id, descends_from=())
    web = deployment(1, THIRD, sha=sha("one"), changes=[1], descends_from=eu.descends_from)
    api = deployment(3, SECOND, sha=sha("one"), changes=[], previous=eu.id, descends_from=())
    after = deployment(3, SECOND, sha=sha("two"), changes=[2], previous=eu.id, descends_from=(eu.id,))
    changes, parts = ChangeIndex({each.id: each for each in (change(1), change(2))}), {web.id: (eu, us)}
    by_same, by_after = (deliver_changes([each, web], changes, parts).changes for each in (api, after))
    assert [(each.change_id, each.deployment.id) for each in by_same] == [(pull_id(1), api.id)]
    assert [(each.change_id, each.deployment.id) for each in by_after] == [(pull_id(1), api.id), (pull_id(2), api.id)]


def test_what_a_part_of_another_attempt_lists_is_not_lost_where_its_own_changes_are_unknown() -> None:
    eu = deployment(1, FIRST, sha=sha("one"), changes=[1], descends_from=(deployment_id(0),))
    us = deployment(2, THIRD, sha=sha("one"), changes=[], previous=eu.id, descends_from=())
    web = deployment(1, THIRD, sha=sha("one"), changes=[1], descends_from=eu.descends_from)
    api = deployment(3, SECOND, sha=sha("one"), changes=None, descends_from=())
    deliveries = deliver_changes([api, web], ChangeIndex({pull_id(1): change(1)}), {web.id: (eu, us)})
    assert [(each.change_id, each.deployment.id) for each in deliveries.changes] == [(pull_id(1), api.id)]


def test_a_success_does_not_list_again_what_a_failed_attempt_listed_and_another_one_has_delivered() -> None:
    first = deployment(1, FIRST, changes=[1], previous=deployment_id(0))
    attempt = failed_deployment(2, SECOND, sha=sha("two"), changes=[1, 2])
    again = deployment(3, THIRD, sha=sha("two"), changes=[], descends_from=())
    changes = ChangeIndex({each.id: each for each in (change(1), change(2))})
    deliveries = deliver_changes([first, attempt, again], changes, {})
    assert deliveries.deployments[-1].changes == (pull_id(2),)


def test_what_a_part_lists_that_ended_later_is_its_own() -> None:
    """Somebody reports of the same commit, once more deployed, that it brought more: that is no matter of the first."""
    first = deployment(1, FIRST, sha=sha("one"), changes=[1], previous=deployment_id(0))
    again = deployment(2, SECOND, sha=sha("one"), changes=[2])
    last = deployment(3, THIRD, changes=[2])
    changes = [change(number) for number in (1, 2)]
    expected = {pull_id(1): deployment_id(1), pull_id(2): deployment_id(3)}
    assert delivered([first, again, last], *changes) == expected


def test_a_success_delivers_what_a_failed_attempt_listed_that_it_contains() -> None:
    """It was compared with a part of the attempt before that failed: so it lists only what is new after that."""
    attempt = failed_deployment(1, FIRST, sha=sha("one"), changes=[1], descends_from=(deployment_id(0),))
    again = deployment(2, SECOND, sha=sha("one"), changes=[], previous=attempt.id, descends_from=())
    after = deployment(2, SECOND, sha=sha("two"), changes=[2], descends_from=(attempt.id,))
    beside = deployment(2, SECOND, sha=sha("three"), changes=[3], descends_from=(deployment_id(0),))
    changes = [change(number) for number in (1, 2, 3)]
    assert delivered([attempt, again], *changes) == {pull_id(1): again.id}
    assert delivered([attempt, after], *changes) == {pull_id(1): after.id, pull_id(2): after.id}
    assert delivered([attempt, beside, replace(after, id=deployment_id(3), finished_at=at(THIRD))], *changes) == {
        pull_id(3): beside.id,
        pull_id(1): deployment_id(3),
        pull_id(2): deployment_id(3),
    }

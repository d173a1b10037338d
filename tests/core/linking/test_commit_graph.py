"""What each deployment delivered according to the commit graph, and where the graph ends."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident
from dora_metrics.core.linking.commit_graph import (
    CommitGraph,
    DeliveredCommits,
    ResolvedChanges,
    delivered_commits,
    resolve_changes,
)
from dora_metrics.core.linking.landed_commits import LandedCommit, MergedPull
from dora_metrics.core.policy import Policy

START = datetime(2026, 11, 1, tzinfo=UTC)


def sha(number: int) -> str:
    return f"{number:040x}"


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def graph_of(parents: Mapping[int, Iterable[int]], *, whole: bool = True, merges: Iterable[int] = ()) -> CommitGraph:
    """Commits by number, each a change unless it is a merge; greater numbers are newer."""
    graph = CommitGraph(is_complete=whole)
    for number in sorted(parents, reverse=True):
        graph.add([landed_commit(number, parents[number], is_change=number not in set(merges))])
    return graph


def landed_commit(number: int, parents: Iterable[int], *, is_change: bool = True) -> LandedCommit:
    """A commit that a squashed pull request of the same number made."""
    pull = MergedPull(f"github:pull:acme/shop#{number}", None, at(number), sha(number), None)
    return LandedCommit(sha(number), tuple(map(sha, parents)), at(number), (pull,) if is_change else ())


def deployment(number: int, commit: int | None, **fields: Any) -> Deployment:  # noqa: ANN401 - any field
    usual: dict[str, Any] = {
        "id": f"github:deployment:{number}",
        "repository": "acme/shop",
        "source": "deployments",
        "environment": "production",
        "status": "success",
        "sha": None if commit is None else sha(commit),
        "observed_at": at(number),
        "finished_at": at(number),
    }
    made: dict[str, Any] = {**usual, **fields}
    return Deployment(**made)


def link(graph: CommitGraph, *facts: Fact) -> ResolvedChanges:
    return resolve_changes(facts, graph, Policy())


def delivered_changes(linked_facts: ResolvedChanges) -> dict[str, list[str]]:
    """Numbers of the delivered changes, by number of the deployment."""
    deployments = [fact for fact in linked_facts.facts if isinstance(fact, Deployment)]
    return {one.id[18:]: [change.rpartition("#")[2] for change in one.changes or ()] for one in deployments}


LINEAR_PARENTS: dict[int, list[int]] = {1: [], 2: [1], 3: [2], 4: [3], 5: [4]}

graphs = st.integers(1, 14).flatmap(
    lambda size: st.tuples(
        *(
            st.sets(st.integers(1, number - 1), max_size=3) if number > 1 else st.just(set())
            for number in range(1, size + 1)
        )
    )
)


@given(graphs, st.lists(st.integers(1, 16), max_size=8))
def test_a_share_is_what_a_deployment_reaches_and_no_earlier_one_does(
    drawn: tuple[set[int], ...], deployed: list[int]
) -> None:
    parents = dict(enumerate(drawn, 1))
    graph = graph_of(parents)

    def reached(number: int) -> set[int]:
        return {number}.union(*(reached(parent) for parent in parents[number]))

    before: set[int] = set()
    in_graph = [commit for commit in deployed if commit in parents]
    shares = delivered_commits([deployment(number, commit) for number, commit in enumerate(in_graph)], graph)
    for commit, share in zip(in_graph, shares, strict=True):
        assert isinstance(share, DeliveredCommits)
        assert {int(one.sha, 16) for one in share.commits} == reached(commit) - before
        assert share.is_complete
        before |= reached(commit)


def test_every_commit_is_looked_at_once_a_scope() -> None:
    size = 20_000
    graph = graph_of({number: [number - 1] if number > 1 else [] for number in range(1, size + 1)})
    line = [deployment(number, number) for number in range(1, size + 1, 10)]
    assert (
        sum(len(share.commits) for share in delivered_commits(line, graph) if isinstance(share, DeliveredCommits))
        == size - 9
    )


def test_each_deployment_gets_its_changes_oldest_first_and_the_first_only_bounds() -> None:
    done = link(graph_of(LINEAR_PARENTS), deployment(1, 2), deployment(2, 4), deployment(3, 5))
    assert delivered_changes(done) == {"2": ["3", "4"], "3": ["5"]}
    second = done.facts[0]
    assert isinstance(second, Deployment)
    assert (second.previous, second.commit_count) == ("github:deployment:1", 2)


def test_a_history_without_a_commit_of_earlier_deployments_begins_with_a_new_baseline() -> None:
    graph = graph_of({**LINEAR_PARENTS, 11: [], 12: [11], 13: [12], 14: [13, 5]})
    line = [deployment(number, commit) for number, commit in enumerate((2, 4, 12, 13, 5, 14), 20)]
    linked = link(graph, *line)
    assert delivered_changes(linked) == {"21": ["3", "4"], "22": [], "23": ["13"], "24": ["5"], "25": ["14"]}
    (baseline,) = (fact for fact in linked.facts if isinstance(fact, Deployment) and fact.is_new_baseline)
    assert (baseline.id, baseline.changes, baseline.commit_count) == ("github:deployment:22", None, None)
    assert baseline.previous == "github:deployment:21"
    assert not linked.notes


def test_a_deployment_may_share_commits_that_were_not_read() -> None:
    graph = graph_of({3: [2], 4: [3], 5: [4]}, whole=False)
    linked = link(graph, deployment(20, 3), deployment(21, 5))
    assert delivered_changes(linked) == {"21": ["4", "5"]}
    assert not any(isinstance(fact, Deployment) and fact.is_new_baseline for fact in linked.facts)


def test_a_new_baseline_needs_no_comparison_once_it_is_recorded() -> None:
    line = deployment(20, 2), deployment(21, 12, previous="github:deployment:20", descends_from=())
    assert not link(graph_of({}), *line).unresolved


def test_a_merge_is_counted_as_a_commit_and_is_no_change() -> None:
    done = link(graph_of({1: [], 2: [1], 3: [1], 4: [2, 3]}, merges=[4]), deployment(1, 1), deployment(2, 4))
    assert delivered_changes(done) == {"2": ["2", "3"]}
    assert [fact.commit_count for fact in done.facts if isinstance(fact, Deployment)] == [3]


def test_a_rollback_and_the_same_commit_again_deliver_nothing() -> None:
    done = link(graph_of(LINEAR_PARENTS), deployment(1, 1), deployment(2, 4), deployment(3, 2), deployment(4, 4))
    assert delivered_changes(done) == {"2": ["2", "3", "4"], "3": [], "4": []}


def test_scopes_have_nothing_to_do_with_each_other_and_other_environments_get_nothing() -> None:
    europe = {"environment": "production-eu"}
    done = link(
        graph_of(LINEAR_PARENTS),
        deployment(1, 1),
        deployment(2, 1, **europe),
        deployment(3, 4),
        deployment(4, 3, **europe),
        deployment(5, 5, environment="staging"),
    )
    assert delivered_changes(done) == {"3": ["2", "3", "4"], "4": ["2", "3"]}


def test_failed_and_withdrawn_deployments_deliver_nothing_and_bound_nothing() -> None:
    done = link(
        graph_of(LINEAR_PARENTS),
        deployment(1, 1),
        deployment(2, 3, status="failure"),
        deployment(3, 4, retracted=True),
        deployment(4, 5),
    )
    assert delivered_changes(done) == {"4": ["2", "3", "4", "5"]}


def test_what_was_recorded_is_corrected_and_bounds_what_comes_after() -> None:
    known = deployment(2, 3, changes=("github:pull:acme/shop#3",), previous="github:deployment:1")
    done = link(graph_of(LINEAR_PARENTS), deployment(1, 1), known, deployment(3, 5))
    assert delivered_changes(done) == {"2": ["2", "3"], "3": ["4", "5"]}, "an older version had missed one"


def test_a_comparison_with_a_deployment_that_turned_out_not_to_count_is_void() -> None:
    def of_job(number: int, commit: int, workflow: str, **fields: Any) -> Deployment:  # noqa: ANN401 - any field
        url = f"https://github.com/acme/shop/actions/runs/{number}/job/1"
        return deployment(number, commit, workflow=workflow, url=url, **fields)

    compared = {"changes": (), "previous": "github:deployment:1", "commit_count": 0, "descends_from": ()}
    drift, first = of_job(1, 1, "Drift check"), of_job(2, 2, "Deploy", **compared)
    (baseline,) = link(graph_of(LINEAR_PARENTS), drift, first).facts
    assert baseline == of_job(2, 2, "Deploy")
    beside = of_job(3, 99, "Deploy", **compared)
    assert [each.id for each in link(graph_of(LINEAR_PARENTS), drift, first, beside).unresolved] == [beside.id]
    failed = of_job(4, 4, "Deploy", status="failure", **compared)
    assert of_job(4, 4, "Deploy", status="failure") in link(graph_of(LINEAR_PARENTS), drift, first, failed).facts


def test_a_comparison_with_a_part_of_an_attempt_that_failed_in_the_end_is_void() -> None:
    compared = {"changes": (), "commit_count": 0}
    parts = (
        deployment(1, 1),
        deployment(2, 2, run_id="7", changes=("github:pull:acme/shop#2",), previous="github:deployment:1"),
        deployment(4, 2, run_id="7", status="failure"),
    )
    beside = deployment(3, 99, **compared, previous="github:deployment:2", descends_from=())
    after = deployment(5, 98, **compared, previous="github:deployment:1", descends_from=("github:deployment:2",))
    assert {each.id for each in link(graph_of(LINEAR_PARENTS), *parts, beside, after).unresolved} == {
        beside.id,
        after.id,
    }
    in_the_graph = deployment(6, 3, **compared, previous="github:deployment:2", descends_from=())
    assert delivered_changes(link(graph_of(LINEAR_PARENTS), *parts, in_the_graph)) == {"6": ["2", "3"]}
    once = deployment(2, 2, run_id="7", previous="github:deployment:1")
    assert not link(graph_of(LINEAR_PARENTS), deployment(1, 1), once, after).unresolved, "without a failure it stands"


def test_a_comparison_with_a_deployment_that_succeeded_once_more_later_is_void() -> None:
    compared = {"changes": ("github:pull:acme/shop#2",), "previous": "github:deployment:1", "commit_count": 1}
    once_more = deployment(1, 1, finished_at=at(3))
    done = link(graph_of(LINEAR_PARENTS), deployment(2, 2, **compared), once_more)
    assert delivered_changes(done) == {"2": [], "1": []}
    assert deployment(2, 2) in done.facts, "it is the first now, so there is nothing to compare it with"
    beside = deployment(2, 99, **compared)
    done = link(graph_of(LINEAR_PARENTS), deployment(3, 1, finished_at=at(1)), beside, once_more)
    assert beside.id in {each.id for each in done.unresolved}


def test_a_commit_that_is_not_in_the_history_leaves_its_deployment_for_a_comparison() -> None:
    done = link(graph_of(LINEAR_PARENTS), deployment(1, 1), deployment(2, 99), deployment(5, 5, sha=sha(5)))
    assert [one.id for one in done.unresolved] == ["github:deployment:2", "github:deployment:5"]
    assert [one.id for one in done.unread] == ["github:deployment:2"]
    assert done.notes[0] == (
        "The commit of 1 deployment is outside the default branch (on another branch, or removed by a force push). The "
        "changes of such deployments are requested one deployment at a time."
    )


def test_a_deployment_beside_the_history_cannot_hold_commits_that_were_made_after_it() -> None:
    done = link(graph_of(LINEAR_PARENTS), deployment(1, 3), deployment(2, 99), deployment(5, 5))
    assert delivered_changes(done) == {"5": ["4", "5"]}


def test_commits_beside_the_default_branch_tell_what_was_deployed_there_and_what_is_new_after_it() -> None:
    graph = graph_of(LINEAR_PARENTS)
    graph.side_commits = {sha(99): landed_commit(99, [4])}
    done = link(graph, deployment(1, 1), deployment(2, 99), deployment(5, 5))
    assert delivered_changes(done) == {"2": ["2", "3", "4", "99"], "5": ["5"]}
    ancestors = {fact.id: fact.descends_from for fact in done.facts if isinstance(fact, Deployment)}
    assert ancestors == {"github:deployment:2": ("github:deployment:1",), "github:deployment:5": ()}


def test_after_a_first_deployment_that_is_not_in_the_history_the_next_one_is_not_guessed() -> None:
    done = link(graph_of(LINEAR_PARENTS), deployment(1, 99), deployment(2, 4), deployment(3, 5))
    assert delivered_changes(done) == {"3": ["5"]}
    assert [one.id for one in done.unresolved] == ["github:deployment:2"]


def test_a_deployment_without_a_commit_is_left_alone() -> None:
    done = link(graph_of(LINEAR_PARENTS), deployment(1, 1), deployment(2, None), deployment(3, 3))
    assert delivered_changes(done) == {"3": ["2", "3"]}


def test_where_the_history_was_not_read_far_enough_nothing_is_claimed() -> None:
    half = {number: parents for number, parents in LINEAR_PARENTS.items() if number > 2}
    done = link(graph_of(half, whole=False), deployment(1, 1), deployment(2, 4), deployment(3, 5))
    assert delivered_changes(done) == {"3": ["5"]}
    assert [one.id for one in done.unresolved] == ["github:deployment:2"]


def test_beyond_what_an_earlier_deployment_had_nothing_needs_to_be_read() -> None:
    half = {number: parents for number, parents in LINEAR_PARENTS.items() if number > 2}
    assert delivered_changes(link(graph_of(half), deployment(1, 3), deployment(2, 5))) == {"2": ["4", "5"]}


def test_a_direct_commit_comes_as_a_change_of_the_service_and_time_it_was_deployed_with() -> None:
    direct = Change(id=f"commit:{sha(2)}", repository="acme/shop", observed_at=at(0), sha=sha(2))
    graph = CommitGraph(is_complete=True)
    graph.add([LandedCommit(sha(2), (sha(1),), at(2), (), direct), LandedCommit(sha(1), (), at(1))])
    done = link(graph, deployment(1, 1, service="till"), deployment(2, 2, service="till"))
    found = done.facts[1]
    assert isinstance(found, Change)
    assert (found.service, found.observed_at) == ("till", at(2))


def test_two_tellers_of_one_deployment_do_not_share_its_changes() -> None:
    page = "https://github.com/acme/shop/actions/runs/7/job/8"
    done = link(
        graph_of(LINEAR_PARENTS),
        deployment(1, 1),
        deployment(2, 4, id="github:run:7", source="workflow-runs"),
        deployment(3, 4, url=page),
    )
    assert delivered_changes(done) == {"3": ["2", "3", "4"]}


def test_incidents_are_of_no_interest() -> None:
    incident = Incident(id="i", repository="acme/shop", observed_at=at(1), detected_at=at(1))
    assert link(graph_of(LINEAR_PARENTS), incident).facts == ()


def test_the_next_reading_may_stop_at_the_newest_deployment_of_every_scope_that_is_in_use() -> None:
    europe, old = {"environment": "prod-eu"}, {"environment": "prod-old", "finished_at": START - timedelta(days=31)}
    done = link(
        graph_of(LINEAR_PARENTS),
        deployment(1, 2),
        deployment(2, 4),
        deployment(3, 3, **europe),
        deployment(4, 1, **old),
    )
    assert done.cursor is not None
    assert done.cursor.anchors == (sha(3), sha(4))
    assert done.cursor.reached == at(3)


def test_without_a_deployment_it_may_stop_at_the_head() -> None:
    cursor = link(graph_of(LINEAR_PARENTS)).cursor
    assert cursor is not None
    assert cursor.anchors == (sha(5),)


def test_a_history_that_was_not_read_to_its_end_is_to_be_read_again() -> None:
    assert link(graph_of(LINEAR_PARENTS, whole=False), deployment(1, 4)).cursor is None
    assert link(CommitGraph(is_complete=True)).cursor is None


def test_reading_is_done_when_every_anchor_reaches_all_that_is_left() -> None:
    graph = graph_of({5: [4], 4: [3], 3: [2]})
    assert graph.covers([sha(4)])
    assert graph.covers([sha(4), sha(3)])
    assert not graph.covers([sha(4), sha(9)]), "one that was pushed away is looked for"
    assert not graph.covers([])
    side = graph_of({5: [4, 2], 4: [3], 2: [1]})
    assert not side.covers([sha(4)]), "the second parent leads somewhere else"
    assert graph_of(LINEAR_PARENTS).covers([]), "the history ends"

"""Parts of one attempt of a run are one deployment, whatever recorded them and in whatever order they arrived."""

import sys
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dora_metrics.core.facts.job_links import JobLink, job_link_of, parse_job_link
from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.core.linking.attempts import join_parts
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy
from support.facts import at, deployment, deployment_id, incident, metrics_of, pull_id, sha

RUN = "https://github.com/acme/shop/actions/runs"


def part(number: int, finished_at: str, status: str = "success", **fields: Any) -> Deployment:  # noqa: ANN401
    """A part of run 7 that says when it ended, and no more."""
    defaults = {"url": f"{RUN}/7/job/{number}", "sha": sha("a"), "status": status}
    return deployment(number, finished_at, **{**defaults, **fields})


def joined(*parts: Deployment) -> list[tuple[str, str]]:
    """Status and end of each deployment that is made of these parts, the same in any order of arrival."""
    results = {tuple(_results(order)) for order in permutations(parts)}
    (result,) = results
    return list(result)


def _results(parts: tuple[Deployment, ...]) -> list[tuple[str, str]]:
    deployments = sorted(join_parts(parts).deployments, key=lambda each: each.finished_at)
    return [(each.status, f"{each.finished_at:%dT%H:%M}") for each in deployments]


def test_a_matrix_whose_jobs_all_succeed_is_one_success_when_the_last_has_ended() -> None:
    assert joined(part(1, "03-05T10:00"), part(2, "03-05T10:01"), part(3, "03-05T10:01")) == [("success", "05T10:01")]


def test_a_mixed_matrix_is_a_failure_that_reached_users() -> None:
    parts = [part(1, "03-05T10:00"), part(2, "03-05T10:01", "failure"), part(3, "03-05T10:02")]
    assert joined(*parts) == [("failure", "05T10:02")]
    (attempt,) = join_parts(parts).deployments
    assert attempt.reached_users
    metrics = metrics_of(deployment(9, "03-04", sha=sha("z")), *parts)
    assert (metrics.change_failure_rate.failed, metrics.change_failure_rate.deployments) == (1, 2)


def test_a_matrix_that_failed_everywhere_reached_nobody_unless_a_part_says_so() -> None:
    parts = [part(1, "03-05T10:00", "failure"), part(2, "03-05T10:01", "failure")]
    assert joined(*parts) == [("failure", "05T10:01")]
    assert not join_parts(parts).deployments[0].reached_users
    says_so = part(3, "03-05T10:01", "failure", reached_users=True)
    assert join_parts([*parts, says_so]).deployments[0].reached_users


def test_a_cancelled_part_counts_nowhere_and_the_others_decide() -> None:
    assert joined(part(1, "03-05T10:00"), part(2, "03-05T10:05", "cancelled")) == [("success", "05T10:00")]
    assert joined(part(1, "03-05T10:00", "failure"), part(2, "03-05T10:05", "cancelled")) == [("failure", "05T10:00")]
    assert joined(part(1, "03-05T10:00", "cancelled"), part(2, "03-05T10:05", "cancelled")) == [
        ("cancelled", "05T10:05")
    ]


def test_deploy_and_smoke_test_one_after_the_other_are_one_deployment() -> None:
    deploy = part(1, "03-05T10:10", started_at=at("03-05T10:00"))
    smoke = part(2, "03-05T10:40", started_at=at("03-05T10:20"))
    assert joined(deploy, smoke) == [("success", "05T10:40")]
    assert join_parts([smoke, deploy]).deployments[0].started_at == at("03-05T10:00")


def test_a_job_that_always_follows_a_failed_one_replaces_nothing() -> None:
    failed = part(1, "03-05T10:10", "failure", started_at=at("03-05T10:00"))
    cleanup = part(2, "03-05T10:11", started_at=at("03-05T10:10:20"))
    assert joined(failed, cleanup) == [("failure", "05T10:11")]


def test_failed_jobs_that_are_run_again_give_one_success_at_their_end() -> None:
    first = [part(1, "03-05T10:00"), part(2, "03-05T10:01", "failure")]
    again = part(3, "03-05T10:30", started_at=at("03-05T10:20"))
    assert joined(*first, again) == [("success", "05T10:30")]
    numbered = [part(1, "03-05T10:00", run_attempt=1), part(2, "03-05T10:01", "failure", run_attempt=1)]
    assert joined(*numbered, part(3, "03-05T10:30", run_attempt=2)) == [("success", "05T10:30")]


def test_several_failed_jobs_need_as_many_that_are_run_again() -> None:
    first = [part(1, "03-05T10:00", "failure"), part(2, "03-05T10:01", "failure")]
    again = [part(3, "03-05T10:30", started_at=at("03-05T10:20"))]
    assert joined(*first, *again) == [("failure", "05T10:30")]
    again.append(part(4, "03-05T10:40", started_at=at("03-05T10:21")))
    assert joined(*first, *again) == [("success", "05T10:40")]


def test_a_repetition_that_was_cancelled_leaves_what_it_was_to_replace() -> None:
    first = part(1, "03-05T10:00", "failure", run_attempt=1)
    cancelled = part(2, "03-05T10:10", "cancelled", run_attempt=2)
    assert joined(first, cancelled) == [("failure", "05T10:00")]
    again = part(3, "03-05T10:20", run_attempt=3)
    assert joined(first, cancelled, again) == [("success", "05T10:20")]
    later = part(4, "03-06T10:20", run_attempt=4)
    assert joined(first, cancelled, again, later) == [("success", "05T10:20"), ("success", "06T10:20")]


def test_a_job_that_is_run_again_replaces_the_one_of_its_name() -> None:
    first = [
        part(1, "03-05T10:00", "failure", job_name="eu", run_attempt=1),
        part(2, "03-05T10:00", "failure", job_name="us", run_attempt=1),
    ]
    europe = part(3, "03-05T10:10", job_name="eu", run_attempt=2)
    assert joined(*first, europe) == [("failure", "05T10:10")]
    assert joined(*first, europe, part(4, "03-05T10:20", job_name="us", run_attempt=3)) == [("success", "05T10:20")]


def test_an_old_run_that_is_run_again_after_its_success_is_a_deployment_of_its_own() -> None:
    first = [part(1, "03-05T10:00", started_at=at("03-05T09:50")), part(2, "03-05T10:01")]
    again = [
        part(3, "03-06T10:00", started_at=at("03-06T09:50")),
        part(4, "03-06T10:02", started_at=at("03-06T09:51")),
    ]
    assert joined(*first, *again) == [("success", "05T10:01"), ("success", "06T10:02")]


def test_soon_after_its_success_if_another_run_deployed_in_between() -> None:
    first = part(1, "03-05T10:00", started_at=at("03-05T09:50"))
    again = part(2, "03-05T10:25", started_at=at("03-05T10:20"))
    assert joined(first, again) == [("success", "05T10:25")]
    other = part(3, "03-05T10:10", url=f"{RUN}/8/job/3", sha=sha("b"))
    assert joined(first, again, other) == [("success", "05T10:00"), ("success", "05T10:10"), ("success", "05T10:25")]


def test_and_at_once_where_github_numbers_the_attempts() -> None:
    first = part(1, "03-05T10:00", run_attempt=1)
    assert joined(first, part(2, "03-05T10:02", run_attempt=2)) == [("success", "05T10:00"), ("success", "05T10:02")]
    late = part(3, "03-05T10:30", started_at=at("03-05T10:25"), run_attempt=1)
    assert joined(first, late) == [("success", "05T10:30")]


def named(number: int, name: str, start: str, end: str, status: str = "success", **fields: Any) -> Deployment:  # noqa: ANN401
    """A part of run 7 whose job has a name, on 5 March between two times."""
    return part(number, f"03-05T{end}", status, started_at=at(f"03-05T{start}"), job_name=name, **fields)


def test_a_job_with_a_new_name_belongs_to_the_attempt_however_long_it_waited_for_its_approval() -> None:
    europe, america = named(1, "eu", "08:00", "08:10"), named(2, "us", "16:00", "16:10")
    assert joined(europe, america) == [("success", "05T16:10")]
    other_run = named(3, "eu", "12:00", "12:10", url=f"{RUN}/8/job/3", sha=sha("b"))
    assert joined(europe, america, other_run) == [("success", "05T12:10"), ("success", "05T16:10")]
    failed = named(1, "eu", "08:00", "08:10", "failure")
    assert joined(failed, america) == [("failure", "05T16:10")]


def test_a_job_whose_name_repeats_after_a_success_starts_another_attempt_however_soon() -> None:
    first = [named(1, "eu", "08:00", "08:10"), named(2, "us", "08:00", "08:11")]
    again = [named(3, "eu", "08:20", "08:30"), named(4, "us", "08:20", "08:31")]
    assert joined(*first, *again) == [("success", "05T08:11"), ("success", "05T08:31")]
    gated = named(4, "us", "15:00", "15:10")
    assert joined(*first, again[0], gated) == [("success", "05T08:11"), ("success", "05T15:10")]


def test_jobs_of_the_same_name_that_run_side_by_side_are_one_attempt() -> None:
    assert joined(named(1, "deploy", "08:00", "08:10"), named(2, "deploy", "08:05", "08:20")) == [
        ("success", "05T08:20")
    ]


def with_lost_numbers(*numbers: int) -> list[tuple[int | None, ...]]:
    """The numbers of the attempts, and what is left of them if any events are lost: a sync does not tell numbers."""
    return list(product(*((number, None) for number in numbers)))


@pytest.mark.parametrize("numbers", with_lost_numbers(1, 1, 2, 3, 3), ids=str)
def test_names_split_the_attempts_of_a_run_as_their_numbers_do(numbers: tuple[int | None, ...]) -> None:
    jobs = [
        ("eu", "08:00", "08:10", "success"),
        ("us", "10:00", "10:10", "failure"),
        ("us", "10:30", "10:40", "success"),
        ("eu", "10:50", "11:00", "success"),
        ("us", "13:00", "13:10", "success"),
    ]
    parts = [
        named(place, *job, run_attempt=number)
        for place, (job, number) in enumerate(zip(jobs, numbers, strict=True), start=1)
    ]
    assert joined(*parts) == [("success", "05T10:40"), ("success", "05T13:10")]


@pytest.mark.parametrize("numbers", with_lost_numbers(1, 1, 2, 2), ids=str)
def test_one_job_after_the_other_is_one_attempt_though_all_had_succeeded_in_between(
    numbers: tuple[int | None, ...],
) -> None:
    jobs = [
        ("eu", "08:00", "08:10", "failure"),
        ("us", "08:10", "08:20", "success"),
        ("eu", "09:00", "09:10", "success"),
        ("us", "09:10", "09:20", "success"),
    ]
    parts = [
        named(place, *job, run_attempt=number)
        for place, (job, number) in enumerate(zip(jobs, numbers, strict=True), start=1)
    ]
    assert joined(*parts) == [("success", "05T09:20")]


@pytest.mark.parametrize("numbers", with_lost_numbers(1, 1, 2, 2), ids=str)
def test_a_part_whose_event_was_lost_begins_the_attempt_of_the_parts_beside_it(numbers: tuple[int | None, ...]) -> None:
    """All jobs are run again after a failure. The next part waits for an approval, and has the attempt's number."""
    jobs = [
        ("eu", "08:00", "08:10", "failure"),
        ("us", "08:00", "08:15", "success"),
        ("eu", "09:00", "09:10", "success"),
        ("us", "09:00" if numbers[3] is None else "09:30", "09:40", "success"),
    ]
    parts = [
        named(place, *job, run_attempt=number)
        for place, (job, number) in enumerate(zip(jobs, numbers, strict=True), start=1)
    ]
    assert joined(*parts) == [("success", "05T09:40")]


def test_an_attempt_after_one_without_a_number_is_a_later_one() -> None:
    first = [named(1, "eu", "08:00", "08:10", run_attempt=1), named(2, "eu", "09:00", "09:10")]
    third = named(3, "eu", "10:00", "10:10", run_attempt=3)
    expected = [("success", "05T08:10"), ("success", "05T09:10"), ("success", "05T10:10")]
    assert joined(*first, third) == expected


def test_where_the_name_of_a_job_is_missing_time_decides() -> None:
    nameless = part(1, "03-05T08:10", started_at=at("03-05T08:00"))
    assert joined(nameless, named(2, "us", "08:30", "08:40")) == [("success", "05T08:40")]
    assert joined(nameless, named(2, "us", "16:00", "16:10")) == [("success", "05T08:10"), ("success", "05T16:10")]


@pytest.mark.parametrize("status", ["success", "failure"])
@pytest.mark.parametrize("has_names", [True, False])
def test_the_work_for_a_run_grows_with_its_parts_and_not_with_their_square(status: str, *, has_names: bool) -> None:
    def calls(count: int) -> int:
        parts = [
            part(
                number,
                f"03-05T{number // 60:02}:{number % 60:02}",
                status,
                started_at=at(f"03-05T{number // 60:02}:{number % 60:02}"),
                run_attempt=1 + number // 3 if has_names else None,
                job_name=f"job {number % 3}" if has_names else None,
            )
            for number in range(count)
        ]
        return _calls_of_joining(parts)

    assert calls(1200) < 4 * calls(400)


def _calls_of_joining(parts: list[Deployment]) -> int:
    """The number of calls, those of generators included, while parts are joined."""
    count = 0

    def count_call(_frame: Any, event: str, _argument: Any) -> None:  # noqa: ANN401
        nonlocal count
        count += event == "call"

    sys.setprofile(count_call)
    try:
        join_parts(parts)
    finally:
        sys.setprofile(None)
    return count


def test_a_rollback_by_running_an_old_run_again_fails_what_it_took_back() -> None:
    facts = [
        part(1, "03-05T10:00", run_attempt=1),
        part(2, "03-05T10:01", run_attempt=1),
        deployment(5, "03-06T10:00", sha=sha("b"), url=f"{RUN}/8/job/5"),
        part(3, "03-07T10:00", run_attempt=2),
        part(4, "03-07T10:01", run_attempt=2),
    ]
    (history,) = evaluate_facts(facts, Policy()).histories
    assert [(failure.deployment.id, failure.rule) for failure in history.failures] == [(deployment_id(5), "rollback")]
    assert metrics_of(*facts).rework_rate.rework == 1


def test_environments_services_and_runs_stay_apart() -> None:
    parts = [
        part(1, "03-05T10:00"),
        part(2, "03-05T10:01", environment="production-eu"),
        part(3, "03-05T10:02", service="api"),
        part(4, "03-05T10:03", url=f"{RUN}/70/job/4"),
    ]
    assert len(joined(*parts)) == 4


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/acme/till/actions/runs/7/job/2",
        "https://github.com/acme/shop/runs/7",
        "https://github.com/acme/shop/actions/runs/7x/job/2",
        f"https://github.com/acme/shop/actions/runs/{'9' * 21}/job/2",
        "https://ci.example/job/7",
        "",
        None,
    ],
)
def test_runs_that_link_to_nothing_stay_as_they_are(url: str | None) -> None:
    assert len(joined(part(1, "03-05T10:00"), part(2, "03-05T10:01", url=url))) == 2


def test_a_run_of_the_same_number_on_another_host_is_another_run() -> None:
    own = [part(1, "03-05T10:00", run_id="7"), part(2, "03-05T10:01")]
    mirror = part(3, "03-05T10:02", url="https://git.example/acme/shop/actions/runs/7/job/3")
    assert joined(*own, mirror) == [("success", "05T10:01"), ("success", "05T10:02")]


def test_letters_of_owner_and_name_may_differ_and_ids_may_have_twenty_digits() -> None:
    long = "12345678901234567890"
    url = f"https://GitHub.com/Acme/SHOP/actions/runs/{long}/job/{long}?pr=1#step:2:3"
    assert parse_job_link(url, "acme/shop", "https://github.com/") == JobLink(long, long, "https://github.com")
    assert parse_job_link(url, "acme/shop", "https://git.example") is None
    stated = part(1, "03-05T10:00", run_id=long, job_id=long, url=None)
    assert job_link_of(stated) == JobLink(long, long)
    assert joined(stated, part(2, "03-05T10:01", url=url)) == [("success", "05T10:00"), ("success", "05T10:01")]
    own = part(3, "03-05T10:01", run_id=long, url=url)
    assert joined(stated, own) == [("success", "05T10:01")]


def test_two_parts_with_the_same_job_are_both_heard() -> None:
    same_job = {"url": f"{RUN}/7/job/5"}
    assert joined(part(1, "03-05T10:00", **same_job), part(2, "03-05T10:00", **same_job)) == [("success", "05T10:00")]
    assert joined(part(1, "03-05T10:00", "failure", **same_job), part(2, "03-05T10:00", **same_job)) == [
        ("failure", "05T10:00")
    ]


def test_clocks_that_disagree_decide_nothing_where_attempts_are_numbered() -> None:
    failed = part(1, "03-05T10:00", "failure", run_attempt=1, started_at=at("03-05T10:30"))
    again = part(2, "03-05T09:59", run_attempt=2, started_at=at("03-05T09:58"))
    assert joined(failed, again) == [("success", "05T09:59")]


def test_changes_are_those_of_all_parts_each_once() -> None:
    facts = [
        part(1, "03-05T10:00", changes=(1, 2), commit_count=3, previous=deployment_id(9)),
        part(2, "03-05T10:01", changes=(), commit_count=0, previous=deployment_id(1)),
        part(3, "03-05T10:02", changes=(2, 4), commit_count=None, previous=deployment_id(9)),
    ]
    (attempt,) = join_parts(facts).deployments
    assert attempt.changes == tuple(map(pull_id, (1, 2, 4)))
    assert (attempt.commit_count, attempt.previous) == (3, deployment_id(9))


def test_what_the_first_attempt_delivered_stays_unknown_though_its_parts_were_compared_with_each_other() -> None:
    facts = [part(1, "03-05T10:00", changes=None), part(2, "03-05T10:01", changes=(), previous=deployment_id(1))]
    (attempt,) = join_parts(facts).deployments
    assert (attempt.changes, attempt.previous) == (None, None)


def test_an_attempt_descends_from_what_its_parts_descend_from_apart_from_each_other() -> None:
    facts = [
        part(1, "03-05T10:00", descends_from=(deployment_id(9),)),
        part(2, "03-05T10:01", descends_from=()),
        part(3, "03-05T10:02", descends_from=(deployment_id(1), deployment_id(8))),
    ]
    assert join_parts(facts).deployments[0].descends_from == (deployment_id(9), deployment_id(8))
    assert join_parts([replace(each, descends_from=None) for each in facts]).deployments[0].descends_from is None


def test_an_attempt_is_unhealthy_if_a_part_of_it_is() -> None:
    parts = [part(1, "03-05T10:00", health="passed"), part(2, "03-05T10:01", health="failed")]
    assert join_parts(parts).deployments[0].health == "failed"
    assert join_parts(parts[:1]).deployments[0].health == "passed"


@pytest.mark.parametrize("name", [deployment_id(1), deployment_id(2), "2", deployment_id(3)])
def test_an_incident_that_names_a_part_means_the_attempt(name: str) -> None:
    facts: list[Fact] = [
        deployment(8, "03-04", sha=sha("z")),
        part(1, "03-05T10:00"),
        part(2, "03-05T10:01"),
        part(3, "03-05T10:02"),
        incident(1, "03-20T13:00", deployment=name),
    ]
    (history,) = evaluate_facts(facts, Policy()).histories
    assert [failure.deployment.id for failure in history.failures] == [deployment_id(1)]


def test_a_deployment_that_says_it_remediates_a_part_remediates_the_attempt() -> None:
    facts = [
        part(1, "03-05T10:00"),
        part(2, "03-05T10:01"),
        deployment(5, "03-06T10:00", remediates=deployment_id(2)),
    ]
    (history,) = evaluate_facts(facts, Policy()).histories
    assert [(failure.deployment.id, failure.remediated_by) for failure in history.failures] == [
        (deployment_id(1), deployment_id(5))
    ]


_MOMENTS = st.sampled_from(["03-05T10:00", "03-05T10:01", "03-05T10:20", "03-05T12:30", "03-06T10:00"])
_STARTS = st.none() | _MOMENTS.map(at)
_PARTS = st.lists(
    st.builds(
        lambda end, status, start, attempt, name, run: {
            "finished_at": end,
            "status": status,
            "started_at": start,
            "run_attempt": attempt,
            "job_name": name,
            "url": f"{RUN}/{run}/job/1",
        },
        _MOMENTS,
        st.sampled_from(["success", "failure", "cancelled"]),
        _STARTS,
        st.sampled_from([None, 1, 2]),
        st.sampled_from([None, "eu", "us"]),
        st.sampled_from([7, 8]),
    ),
    max_size=7,
)


@given(fields=_PARTS, random=st.randoms(use_true_random=False))
def test_the_order_of_arrival_decides_nothing(fields: list[dict[str, Any]], random: Any) -> None:  # noqa: ANN401
    facts = [deployment(number, **each) for number, each in enumerate(fields)]
    shuffled = random.sample(facts, len(facts))
    straight, other = join_parts(facts), join_parts(shuffled)
    assert {each.id: each for each in straight.deployments} == {each.id: each for each in other.deployments}
    assert straight.parts == other.parts


@given(fields=_PARTS)
def test_every_part_is_in_one_deployment_and_a_success_has_no_failed_part_left(fields: list[dict[str, Any]]) -> None:
    facts = [deployment(number, **each) for number, each in enumerate(fields)]
    result = join_parts(facts)
    counted = [part.id for each in result.deployments for part in result.parts.get(each.id, (each,))]
    assert sorted(counted) == sorted(fact.id for fact in facts)
    for each in result.deployments:
        parts = result.parts.get(each.id, (each,))
        assert each.status in {part.status for part in parts}
        assert each.finished_at in {part.finished_at for part in parts}

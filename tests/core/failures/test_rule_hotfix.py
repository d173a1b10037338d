"""Rule `hotfix`: a hotfix is deployed soon after a deployment."""

from datetime import timedelta
from typing import Any

import pytest

from dora_metrics.core.facts.model import Fact
from support.facts import change, commits, deployment, failed_deployment, failure_rules, metrics_of, scope_of, sha

OTHER_RULES = frozenset({"explicit", "rollback", "revert", "incident", "health-check"})


def hotfixed(after: str = "03-05T05:00", **fields: Any) -> list[Fact]:  # noqa: ANN401
    """A deployment at midnight of 5 March, and the next one with change 1."""
    return [
        deployment(1, "03-01"),
        deployment(2, "03-05"),
        deployment(3, after, changes=[1]),
        change(1, **fields),
    ]


@pytest.mark.parametrize("label", ["hotfix", "Hotfix", "HOTFIX"])
def test_by_label_whatever_its_case(label: str) -> None:
    assert failure_rules(*hotfixed(labels=("bug", label))) == {2: "hotfix"}


@pytest.mark.parametrize("branch", ["hotfix/cart", "hotfix-cart", "Hotfix/Cart", "HOTFIX-1"])
def test_by_branch_prefix_whatever_its_case(branch: str) -> None:
    assert failure_rules(*hotfixed(branch=branch)) == {2: "hotfix"}


@pytest.mark.parametrize(
    "title",
    [
        "hotfix: cart",
        "Hotfix cart",
        "HOTFIX(cart): sum",
        "hotfix",
        "hotfix! now",
        "hot fix: cart",
        "Hot-fix(cart)!: sum",
    ],
)
def test_by_a_title_that_begins_with_the_label_as_a_word(title: str) -> None:
    assert failure_rules(*hotfixed(title=title)) == {2: "hotfix"}


@pytest.mark.parametrize(
    "fields",
    [
        {"labels": ("hotfixes",)},
        {"labels": ("no hotfix",)},
        {"labels": ("bug", "fix")},
        {"labels": ()},
        {"branch": "hotfix"},
        {"branch": "my/hotfix/cart"},
        {"branch": "fix/cart"},
        {"title": "hotfixes for the cart"},
        {"title": "hotfix_1"},
        {"title": "A hotfix"},
        {"title": "hot fix the oven"},
        {"title": "shot fix: cart"},
        {"title": "fix: cart"},
        {"title": "prefix the suffix of a fixture"},  # trap 20
        {"title": "", "branch": "", "labels": None},
    ],
)
def test_anything_else_is_no_hotfix(fields: dict[str, Any]) -> None:
    assert failure_rules(*hotfixed(**fields)) == {}
    assert metrics_of(*hotfixed(**fields)).rework_rate.rework == 0


def test_labels_and_prefixes_are_settings() -> None:
    facts = hotfixed(labels=("Urgent",), branch="fix/1", title="Now! it")
    assert failure_rules(*hotfixed(title="hot fix: cart"), hotfix_labels=("urgent",)) == {}
    for given in ({"hotfix_labels": ("urgent",)}, {"hotfix_branches": ("FIX/",)}, {"hotfix_labels": ("now",)}):
        assert failure_rules(*facts, **given) == {2: "hotfix"}
    assert failure_rules(*hotfixed(labels=("hotfix",)), hotfix_labels=(), hotfix_branches=()) == {}


def test_a_label_is_no_pattern() -> None:
    assert failure_rules(*hotfixed(title="hot fix"), hotfix_labels=("hot.fix",)) == {}
    assert failure_rules(*hotfixed(title="[hot] fix"), hotfix_labels=("[hot]",)) == {2: "hotfix"}


def test_the_window_includes_its_end() -> None:
    assert failure_rules(*hotfixed("03-06T00:00", labels=("hotfix",))) == {2: "hotfix"}
    assert failure_rules(*hotfixed("03-06T00:00:00.000001", labels=("hotfix",))) == {}
    assert failure_rules(*hotfixed("03-05T05:01", labels=("hotfix",)), hotfix_window=timedelta(hours=5)) == {}


def test_beyond_the_window_it_marks_no_deployment_but_stays_rework() -> None:
    found = metrics_of(*hotfixed("03-09", labels=("hotfix",)))
    assert (found.change_failure_rate.failed, found.rework_rate.rework) == (0, 1)


def test_the_deployment_directly_before_failed_and_is_recovered_by_the_hotfix() -> None:
    (one,) = scope_of(*hotfixed(labels=("hotfix",), url="https://a.example/1")).evidence.failed_deployments
    assert (one.deployment, one.remediated_by) == ("github:deployment:2", "github:deployment:3")
    assert (one.url, metrics_of(*hotfixed(labels=("hotfix",))).recovery_time.p50_seconds) == (
        "https://a.example/1",
        5 * 3600,
    )


def test_the_first_known_deployment_fixes_nothing() -> None:
    facts = (deployment(1, changes=[1]), change(1, labels=("hotfix",)))
    assert failure_rules(*facts) == {}
    assert metrics_of(*facts).rework_rate.rework == 0


def test_runs_between_that_did_not_reach_users_are_passed_over() -> None:
    facts = [
        *hotfixed(labels=("hotfix",)),
        failed_deployment(4, "03-05T01:00"),
        deployment(5, "03-05T02:00", status="cancelled"),
    ]
    assert failure_rules(*facts) == {2: "hotfix"}
    assert failure_rules(*facts, count_failed_runs=True) == {2: "hotfix", 4: "failed-run"}


def test_a_failure_between_that_reached_users_is_what_was_fixed() -> None:
    facts = [*hotfixed(labels=("hotfix",)), failed_deployment(4, "03-05T01:00", reached_users=True)]
    assert failure_rules(*facts) == {4: "hotfix"}


def test_a_hotfix_that_an_earlier_success_delivered_marks_nothing_again() -> None:
    facts = [*hotfixed(labels=("hotfix",)), deployment(4, "03-05T06:00", changes=[1])]
    assert failure_rules(*facts) == {2: "hotfix"}


def test_the_deployment_before_in_another_scope_is_not_marked() -> None:
    facts = (
        deployment(1, "03-05", service="api"),
        deployment(2, "03-05T05:00", changes=[1]),
        change(1, labels=("hotfix",)),
    )
    assert failure_rules(*facts) == {}


def test_several_hotfixes_of_one_deployment_are_one_failure() -> None:
    facts = [*hotfixed(labels=("hotfix",)), deployment(3, "03-05T05:00", changes=[1, 2]), change(2, labels=("hotfix",))]
    assert failure_rules(*[fact for fact in facts if fact is not facts[2]]) == {2: "hotfix"}


def test_switched_off_it_marks_nothing_but_the_hotfix_stays_rework() -> None:
    facts = hotfixed(labels=("hotfix",))
    assert failure_rules(*facts, failure_rules=OTHER_RULES) == {}
    assert metrics_of(*facts, failure_rules=OTHER_RULES).rework_rate.rework == 1


def test_a_pull_request_that_only_carried_the_fix_says_that_it_is_a_hotfix() -> None:
    fix = change(1, branch="fix-a", commits=commits("03-05T01:00"), merged_at="03-05T02:00")
    carrier = change(2, labels=("hotfix",), commits=fix.commits, merged_at="03-05T03:00")
    facts = [deployment(1, "03-01"), deployment(2, "03-05"), deployment(3, "03-05T05:00", changes=[1, 2])]
    assert failure_rules(*facts, fix, carrier) == {2: "hotfix"}
    metrics = metrics_of(*facts, fix, carrier)
    assert (metrics.rework_rate.rework, metrics.lead_time.changes) == (1, 1)


def test_a_hotfix_that_is_merged_back_later_is_no_hotfix_of_the_next_release() -> None:
    fix = change(1, branch="hotfix/a", sha=sha("merged"), commits=commits("03-05T01:00"), merged_at="03-05T02:00")
    back = change(2, branch="hotfix/a", commits=fix.commits, merged_at="03-05T08:00")
    facts = [*hotfixed(), deployment(4, "03-05T09:00", changes=[2, 5]), change(5)]
    assert failure_rules(*facts[:-3], fix, back, *facts[-2:]) == {2: "hotfix"}

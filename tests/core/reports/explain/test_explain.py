"""`--explain`: the chain of facts and rules behind one fact, as text."""

from typing import Any

import pytest
from hypothesis import given

from dora_metrics.core.facts.model import Change, Fact
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.explain.context import ExplainContext, Explanation, build_context
from dora_metrics.core.reports.explain.explain import explain
from dora_metrics.core.reports.explain.find import MatchedIds, NoMatch, find_ids
from dora_metrics.core.windows import Window
from support.facts import (
    at,
    change,
    commit_id,
    commits,
    deployment,
    deployment_id,
    deployments_of_versions,
    direct_commit,
    failed_deployment,
    incident,
    issue_id,
    pull_id,
    sha,
    vulnerability,
)
from support.strategies import fact_lists

IN_WINDOW = "It is in the window 2024-03-01 00:00 to 2024-04-01 00:00"
COUNTS_TEXT = "It belongs to acme/shop, service shop, environment production."
WAITS_TEXT = "`v1` lists it, but did not succeed: it counts with the next success of that scope."
MARCH = Window(at("03-01"), at("04-01"))


def case(*facts: Any, **policy: Any) -> ExplainContext:  # noqa: ANN401
    return build_context(facts, Policy(**policy), MARCH)


def explain_only(name: str, *facts: Any, **policy: Any) -> Explanation:  # noqa: ANN401
    """The explanation of the only fact that a name matches."""
    found = explain(case(*facts, **policy), name)
    assert not isinstance(found, NoMatch)
    (one,) = found
    return one


def unescaped(text: str) -> str:
    """The text without Markdown escapes."""
    return text.replace("\u200b", "").replace("\\", "")


STILL_OPEN_TEXT = "It counts as a failure, but it is not in the median recovery time yet."


def rule_text(name: str, explanation: Explanation) -> str:
    """What the explanation says about a rule."""
    (line,) = [line for line in explanation.sections[0].lines if line.startswith(f"`{name}`")]
    return unescaped(line.removeprefix(f"`{name}`: "))


def section_lines(title: str, explanation: Explanation) -> list[str]:
    return [unescaped(line) for part in explanation.sections if part.title.startswith(title) for line in part.lines]


# Deployments: each rule, where it applies and where it does not


def test_a_push_that_was_recorded_as_several_says_so() -> None:
    pushes = [
        deployment(1, id=f"github:push:{sha(name)}", source="pushes", sha=sha(name), commit_count=1)
        for name in ("one", "head")
    ]
    one = explain_only(pushes[0].id, *pushes)
    assert "It is one push, recorded as several, with 2 parts" in unescaped(one.sentences[1])


def test_a_deployment_says_whether_it_failed_by_what_and_where_it_stands() -> None:
    one = explain_only(deployment_id(2), *deployments_of_versions("V1 V2 V1"))
    assert one.headline == "Deployment `V2`: failed, rule `rollback`"
    assert [unescaped(sentence) for sentence in one.sentences] == [
        f"`github:deployment:2`, commit `{sha('V2')}`: it finished on 2024-03-01 06:00 UTC.",
        f"{COUNTS_TEXT} It is in the window 2024-03-01 00:00 to 2024-04-01 00:00.",
        "It reached users, so it counts in the failure rate.",
    ]
    assert rule_text("rollback", one) == "**yes; this rule decides:** V1 was deployed again."
    assert section_lines("How the failure ended", one) == [
        "`V1` (`github:deployment:3`) finished on 2024-03-01 09:00, **3 h** after the deployment.",
        "A failure found by this rule ends when the rollback is deployed.",
    ]


def test_outside_the_window_nothing_is_said_of_a_rate_that_does_not_include_the_deployment() -> None:
    one = explain_only("v1", deployment(1, "02-10", version="v1"))
    window = "the window 2024-03-01 00:00 to 2024-04-01 00:00"
    window_text = f"It is outside {window}, so the metrics of this window do not include it."
    assert [unescaped(sentence) for sentence in one.sentences[1:]] == [f"{COUNTS_TEXT} {window_text}"]


def test_every_rule_says_why_it_did_not_hit() -> None:
    facts = [
        deployment(0, "03-01"),
        deployment(1, "03-05", changes=[1], started_at="03-04T23:50", version="v1"),
        change(1),
        deployment(2, "03-07", version="v2"),
    ]
    one = explain_only("v1", *facts)
    assert one.headline == "Deployment `v1`: did not fail"
    assert one.sentences[0].endswith(": it finished on 2024-03-05 00:00 UTC and took 10 min.")
    assert [unescaped(line) for line in one.sections[0].lines] == [
        "`explicit`: no. No incident names this deployment, and no deployment is recorded as its fix.",
        "`rollback`: no. No later deployment went back to what ran before it (1 deployment checked).",
        "`revert`: no. No later deployment reverted its change.",
        "`hotfix`: no. The next deployment, `v2`, came 2 d later and delivered no hotfix.",
        "`incident`: no. No incident was detected after it.",
        "`health-check`: no. No health check was recorded for it.",
        "`failed-run`: no. The run succeeded.",
    ]
    assert section_lines("How the failure ended", one) == []


def test_a_rule_that_hits_after_the_one_that_decides_is_told_too() -> None:
    one = explain_only(deployment_id(2), *deployments_of_versions("V1 V2 V1"), incident(1, "03-01T07:00"))
    assert one.headline.endswith("failed, rule `rollback`")
    assert rule_text("incident", one) == "also yes, but an earlier rule decides: #1 detected 1 h after it."


def test_incidents_that_name_a_deployment_are_mentioned_if_there_are_any_later() -> None:
    facts = (deployment(1, "03-05", version="v1"), deployment(2, "03-06", version="v2"))
    named = incident(1, "03-07", deployment="v2")
    text = rule_text("incident", explain_only("v1", *facts, named))
    assert text == "no. No incident was detected after it, apart from those that name a deployment."


def test_a_rule_that_is_off_says_what_it_would_have_seen() -> None:
    one = explain_only(deployment_id(2), *deployments_of_versions("V1 V2 V1"), failure_rules=frozenset({"explicit"}))
    assert one.headline == "Deployment `V2`: did not fail"
    assert rule_text("rollback", one) == "would match, but it is switched off (`failure-rules`): V1 was deployed again."
    assert rule_text("incident", one) == (
        "no. No incident was detected after it. It is also switched off (`failure-rules`)."
    )


def test_what_was_rolled_back_with_the_one_that_failed_says_so() -> None:
    facts = deployments_of_versions("V1 V2 V3 V1")
    went_back = "`V1` (`github:deployment:4`) went back to a version before `V2`"
    said = f"no. {went_back}, and the rollback is attributed to that one."
    assert rule_text("rollback", explain_only("V3", *facts)) == said
    assert rule_text("rollback", explain_only("V2", *facts)).startswith("**yes; this rule decides:**")


def test_the_first_success_cannot_be_rolled_back() -> None:
    said = "no. It is the first recorded success, so no later deployment can go back to an earlier one."
    assert rule_text("rollback", explain_only("V1", *deployments_of_versions("V1 V2"))) == said


def test_a_git_history_does_not_know_rollbacks() -> None:
    facts = [deployment(number, f"03-0{number}", version=f"v{number}", source="git") for number in (1, 2, 3)]
    text = rule_text("rollback", explain_only("v2", *facts))
    assert text == "not known. Git records no rollbacks."


def test_a_revert_is_told_of_the_deployment_whose_change_was_taken_back() -> None:
    facts = [
        deployment(0, "03-01"),
        deployment(1, "03-05", changes=[1], version="v1"),
        change(1, title="Add it"),
        deployment(2, "03-06", changes=[2], version="v2"),
        change(2, title='Revert "Add it"', reverts=pull_id(1)),
    ]
    one = explain_only("v1", *facts)
    assert rule_text("revert", one) == "**yes; this rule decides:** #2 reverts #1."
    assert section_lines("How the failure ended", one)[0] == (
        "`v2` (`github:deployment:2`) finished on 2024-03-06 00:00, **1 d** after the deployment."
    )
    other = explain_only("v2", *facts)
    assert (
        rule_text("revert", other)
        == "no. It delivered a revert itself, and no later deployment reverted any of its changes."
    )
    assert section_lines("What it repaired", other) == [
        "It is rework (revert: #2 reverts #1).",
        "It ended the failure of `v1` (`revert`) after 1 d.",
    ]


def test_a_baseline_whose_changes_are_unknown_does_not_deny_that_one_was_reverted() -> None:
    unknown = explain_only(deployment_id(0), deployment(0, changes=None))
    assert rule_text("revert", unknown) == (
        "not known. What it delivered is not known, so it is not known whether that was reverted."
    )
    again = explain_only(deployment_id(2), *deployments_of_versions("V1 V1"))
    assert rule_text("revert", again) == "no. It delivered nothing new, so there was nothing to revert."


def test_a_hotfix_that_came_too_late_says_how_late() -> None:
    facts = [
        deployment(1, "03-05", version="v1"),
        deployment(2, "03-07", version="v2", changes=[1]),
        change(1, labels=("hotfix",)),
    ]
    said = "no. The next deployment, `v2`, delivered #1 with the label hotfix, but 2 d later: `hotfix-window` is 24 h."
    assert rule_text("hotfix", explain_only("v1", *facts)) == said
    assert rule_text("hotfix", explain_only("v2", *facts)) == "no. No deployment came after it."
    soon = [facts[0], deployment(2, "03-05T05:00", version="v2", changes=[1]), facts[2]]
    assert rule_text("hotfix", explain_only("v1", *soon)).startswith(
        "**yes; this rule decides:** #1 with the label hotfix was delivered"
    )


def test_the_next_incident_says_why_it_is_not_attributed_to_this_one() -> None:
    facts = [deployment(1, "03-05", version="v1"), deployment(2, "03-06", version="v2")]
    later = incident(1, "03-06T03:00", title="Slow")
    said = "no. The next incident, Slow, came 1 d 3 h later and is attributed to `v2`."
    assert rule_text("incident", explain_only("v1", *facts, later)) == said
    late = incident(1, "03-09", title="Slow")
    assert rule_text("incident", explain_only("v1", facts[0], late)) == (
        "no. The next incident, Slow, came 4 d later and is attributed to no deployment: "
        "the latest deployment before it was 4 d earlier, more than the limit of 24 h (`incident-window`)."
    )


def test_a_health_check_decides_or_says_that_it_passed() -> None:
    facts = [deployment(1, "03-05", health="failed"), deployment(2, "03-06", health="failed"), deployment(3, "03-07")]
    one = explain_only(deployment_id(1), *facts)
    assert rule_text("health-check", one) == "**yes; this rule decides:** its health check failed."
    assert section_lines("How the failure ended", one) == [
        (
            f"`{sha(deployment_id(3))[:7]}` (`github:deployment:3`) finished on 2024-03-07 00:00, "
            "**2 d** after the deployment."
        ),
        "A failure found by this rule ends with the next success whose health check did not fail.",
    ]
    assert (
        rule_text("health-check", explain_only(deployment_id(1), deployment(1, health="passed")))
        == "no. Its health check passed."
    )


def test_a_failed_run_says_that_it_is_no_failed_deployment_unless_it_counts() -> None:
    one = explain_only(deployment_id(1), deployment(0, "03-01"), failed_deployment(1, changes=[1, 2]))
    assert unescaped(one.headline).endswith("its run failed, but it is not a failed deployment")
    assert (
        one.sentences[-1]
        == "It failed before it reached users, so it is not in the failure rate (`count-failed-runs` is off)."
    )
    assert rule_text("failed-run", one) == "no. The run failed, but before it reached users."
    assert rule_text("rollback", one) == "no. Only a successful deployment can be rolled back."
    assert rule_text("incident", one) == "no. An incident that names no deployment is attributed to a successful one."
    assert rule_text("hotfix", one) == "no. It did not reach users."
    assert rule_text("revert", one) == "no. It did not succeed, so it delivered nothing."
    assert section_lines("What it delivered", one) == [
        "Of what it contained, 2 changes will count with the next successful deployment."
    ]
    counting = explain_only(deployment_id(1), failed_deployment(1), count_failed_runs=True)
    assert counting.headline.endswith("failed, rule `failed-run`")
    assert counting.sentences[-1].startswith("`count-failed-runs` is on, so it counts in")
    assert section_lines("Why the failure is still open", counting) == [STILL_OPEN_TEXT]


def test_a_failed_run_says_which_deployments_delivered_what_it_contained() -> None:
    facts = [
        deployment(0, "03-01"),
        deployment(1, "03-02", changes=[1], version="v1"),
        failed_deployment(2, "03-03", changes=[1, 2]),
        deployment(3, "03-04", changes=[], version="v3"),
    ]
    assert section_lines("What it delivered", explain_only(deployment_id(2), *facts)) == [
        "Of what it contained, 1 change had been delivered before, by `v1`.",
        "Of what it contained, 1 change first went live later, with `v3`.",
    ]


def test_a_cancelled_deployment_neither_fails_nor_counts() -> None:
    one = explain_only(deployment_id(1), deployment(1, status="cancelled"))
    assert one.headline.endswith("was cancelled, so it neither failed nor succeeded")
    assert rule_text("failed-run", one) == "no. It was cancelled."


def test_several_incidents_keep_a_failure_open_until_the_last_has_ended() -> None:
    facts = [deployment(1, version="v1"), incident(1, title="A", resolved_at="03-05T14:00"), incident(2, title="B")]
    one = explain_only("v1", *facts)
    assert (
        rule_text("incident", one) == "**yes; this rule decides:** #1 detected 1 h after it, #2 detected 1 h after it."
    )
    assert section_lines("Why the failure is still open", one) == ["B is not resolved.", STILL_OPEN_TEXT]
    ended = explain_only("v1", *facts[:2], incident(2, resolved_at="03-05T15:00"))
    assert section_lines("How the failure ended", ended)[0] == (
        "Incident github:issue:acme/shop#2 was resolved on 2024-03-05 15:00, **3 h** after the deployment."
    )
    assert (
        section_lines("How the failure ended", ended)[-1]
        == "2 incidents are attributed to it; the one that ended last counts."
    )


def test_a_recovery_before_the_failure_is_said_to_be_one() -> None:
    facts = [deployment(1), incident(1, deployment=deployment_id(1), resolved_at="03-04", detected_at="03-03")]
    assert section_lines("How the failure ended", explain_only(deployment_id(1), *facts)) == [
        (
            "Incident github:issue:acme/shop#1 was resolved on 2024-03-04 00:00, before the deployment, "
            "so there is no recovery time."
        )
    ]


@pytest.mark.parametrize(
    ("fact", "why"),
    [
        (deployment(1, retracted=True), "It was retracted, so it is not counted."),
        (deployment(1, environment="qa"), "Its environment is not production: qa (`production-environments`)."),
        (
            deployment(1, environment=None),
            "Its environment is not production: none,",
        ),
    ],
)
def test_what_counts_nowhere_says_why(fact: Any, why: str) -> None:  # noqa: ANN401
    one = explain_only(deployment_id(1), fact, deployment(2))
    assert one.headline.endswith("not counted")
    assert unescaped(one.sentences[1]).startswith(why)
    assert one.sections == ()


def test_a_run_that_its_job_told_of_counts_once() -> None:
    run = deployment(1, id="github:run:7")
    one = explain_only("github:run:7", run, deployment(2, id="github:run:7:production"))
    assert "so it counts once, as github:run:7:production." in one.sentences[1]


def test_what_a_deployment_delivered_is_listed_with_lead_times_and_what_is_left_out() -> None:
    facts = [
        deployment(0, "03-01", changes=[9]),
        deployment(1, "03-05", changes=[1, 2, 3, 9], previous=deployment_id(0), version="v1"),
        change(1, "03-03"),
        change(2, "03-03", bot=True),
    ]
    assert section_lines("What it delivered", explain_only("v1", *facts)) == [
        f"It was compared with `{sha(deployment_id(0))[:7]}` (`github:deployment:0`).",
        "#1: lead time **2 d**",
        "#2: excluded from lead time: it is by a bot (`exclude-bots`)",
        "#3: excluded from lead time: its start is unknown",
        "It also lists 1 change that had been delivered before.",
    ]
    assert section_lines("What it delivered", explain_only(deployment_id(0), *facts)) == [
        "It is the first recorded success, the baseline: there is nothing earlier to compare it with.",
        "#9: excluded from lead time: it came with the first deployment, which has no earlier one to compare with",
    ]


def test_a_deployment_that_delivered_nothing_says_why() -> None:
    first = deployment(0, "03-01", sha=sha("a"))
    again = deployment(1, "03-05", sha=sha("a"), changes=[1])
    assert section_lines("What it delivered", explain_only(deployment_id(1), first, again)) == [
        "Its commit had been deployed before, so it delivers nothing new."
    ]
    unknown = deployment(1, "03-05", changes=None)
    assert section_lines("What it delivered", explain_only(deployment_id(1), first, unknown)) == [
        "What it delivered is not known yet."
    ]
    nothing = deployment(1, "03-05")
    assert section_lines("What it delivered", explain_only(deployment_id(1), first, nothing)) == [
        "It delivered nothing new."
    ]


def test_of_very_many_changes_twenty_are_listed() -> None:
    facts = [deployment(0, "03-01"), deployment(1, "03-05", changes=list(range(1, 31)))]
    assert section_lines("What it delivered", explain_only(deployment_id(1), *facts))[-1] == "and 10 more"


# Changes


def test_a_change_says_which_deployment_delivered_it_and_how_long_each_stage_took() -> None:
    facts = [
        deployment(0, "03-01"),
        failed_deployment(1, "03-05", changes=[1]),
        deployment(2, "03-06", version="v2"),
        change(
            1, "03-02", opened_at="03-03", first_review_at="03-03T02:00", merged_at="03-03T05:00", title="Add it"
        ),
    ]  # fmt: skip
    one = explain_only(pull_id(1), *facts)
    assert unescaped(one.headline) == "Change #1: delivered by `v2`, lead time **4 d**"
    assert unescaped(one.sentences[0]) == f"`github:pull:acme/shop#1`, commit `{sha(pull_id(1))}`: Add it."
    where, before = section_lines("Where it was delivered", one)
    assert before == (
        f"`{sha(deployment_id(1))[:7]}` (`github:deployment:1`) contained it on 2024-03-05 00:00, but did not succeed."
    )
    assert where.startswith("`v2`, on 2024-03-06 00:00, in production (acme/shop, service shop): the first successful")
    assert where.endswith(f"{IN_WINDOW}, so the metrics of this window include it.")
    assert section_lines("Stages: production (acme/shop", one) == [
        "coding (first commit to opened): 1 d (2024-03-02 00:00 – 2024-03-03 00:00)",
        "waiting for review (opened to first review, part of review): 2 h (2024-03-03 00:00 – 2024-03-03 02:00)",
        "review (opened to merged): 5 h (2024-03-03 00:00 – 2024-03-03 05:00)",
        "waiting for deployment (merged to deployed): 2 d 19 h (2024-03-03 05:00 – 2024-03-06 00:00)",
    ]


def test_a_stage_that_is_not_known_or_would_run_backwards_says_so() -> None:
    facts = [deployment(0, "03-01"), deployment(1, "03-05", changes=[1]), change(1, "03-03", opened_at="03-02")]
    coding, pickup, *_ = section_lines("Stages", explain_only(pull_id(1), *facts))
    dropped = "excluded, because it would end before it begins (2024-03-03 00:00 – 2024-03-02 00:00)"
    assert coding == f"coding (first commit to opened): {dropped}"
    assert pickup == "waiting for review (opened to first review, part of review): not known"


def test_a_change_with_many_commits_shows_the_median_where_each_counts_by_itself() -> None:
    facts = [deployment(0, "03-01"), deployment(1, "03-05", changes=[1]), change(1, commits=commits("03-02", "03-04"))]
    one = explain_only(pull_id(1), *facts, lead_time_start="commit")
    assert unescaped(one.headline).endswith("lead time **2 d** (median of 2 commits)")
    none = [*facts[:2], change(1, commits=())]
    one = explain_only(pull_id(1), *none, lead_time_start="commit")
    assert unescaped(one.headline).endswith("no lead time: it has no commit of its own to measure")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ((), "No recorded deployment lists it. It counts once one does."),
        ((failed_deployment(1, version="v1", changes=[1]),), WAITS_TEXT),
        ((deployment(1, version="v1", changes=[1], environment="qa"),), "`v1` lists it, but is not counted."),
        (
            (deployment(1, "03-01", sha=sha("a")), deployment(2, version="v2", sha=sha("a"), changes=[1])),
            "`v2` lists it, but delivered nothing, because its commit had been deployed before.",
        ),
    ],
)  # fmt: skip
def test_a_change_that_is_not_delivered_says_what_is_in_its_way(facts: tuple[Fact, ...], said: str) -> None:
    one = explain_only(pull_id(1), change(1), deployment(0, "02-01"), *facts)
    assert unescaped(one.headline) == "Change #1: not delivered yet"
    assert section_lines("Where it was delivered", one) == [said]


def test_a_change_that_two_scopes_deliver_names_both() -> None:
    facts = [
        *(deployment(n, f"03-0{n}", environment=name, changes=[]) for n, name in ((1, "prod-eu"), (2, "prod-us"))),
        *(deployment(n, f"03-0{n}", environment=name, changes=[1]) for n, name in ((5, "prod-eu"), (6, "prod-us"))),
        change(1, "03-03"),
    ]
    one = explain_only(pull_id(1), *facts)
    assert unescaped(one.headline).endswith("lead time **2 d**, and in 1 scope more")
    assert len(section_lines("Where it was delivered", one)) == 2


@pytest.mark.parametrize("left_out", [change(7, "03-03", bot=True), change(7, None)])
def test_a_change_that_lead_time_leaves_out_is_not_said_to_be_in_all_metrics(left_out: Change) -> None:
    facts = (deployment(0, "03-01"), deployment(1, "03-05", changes=[7]))
    one = explain_only("#7", *facts, left_out)
    (where,) = section_lines("Where it was delivered", one)
    assert where.endswith(f"{IN_WINDOW}. It counts as a delivered change, but not towards lead time.")


def test_a_change_without_a_fact_is_explained_as_far_as_it_is_known() -> None:
    one = explain_only(pull_id(7), deployment(0, "03-01"), deployment(1, "03-05", changes=[7]))
    assert unescaped(one.headline).endswith("excluded from lead time: its start is unknown")
    assert (
        unescaped(one.sentences[0]) == "`github:pull:acme/shop#7` is listed by a deployment, but no fact describes it."
    )


def test_a_change_says_what_it_marks_and_by_what_it_was_taken_back() -> None:
    facts = [
        deployment(0, "03-01"),
        deployment(1, "03-05", changes=[1], version="v1"),
        deployment(2, "03-05T05:00", changes=[2, 3], version="v2"),
        change(1, title="Add it"),
        change(2, reverts=pull_id(1)),
        change(3, branch="hotfix/1"),
    ]
    title = "Effect on deployments"
    assert section_lines(title, explain_only(pull_id(1), *facts)) == [
        "It was reverted, which marks `v1` as failed: #2 reverts #1."
    ]
    assert section_lines(title, explain_only(pull_id(2), *facts)) == [
        "As a revert it marks `v1` as failed: #2 reverts #1."
    ]
    assert section_lines(title, explain_only(pull_id(3), *facts)) == [
        "As a hotfix it marks `v1` as failed: #3 with the branch hotfix/1 was delivered by the next deployment."
    ]
    late = [*facts[:2], deployment(2, "03-15", changes=[3], version="v2"), facts[-1]]
    assert section_lines(title, explain_only(pull_id(3), *late))[0].startswith(
        "It came too late to mark `v1` as failed (`hotfix-window`):"
    )
    lonely = [deployment(2, changes=[2, 3]), change(2, reverts="nowhere"), facts[-1]]
    assert section_lines(title, explain_only(pull_id(2), *lonely)) == [
        "It is a revert, but marks no deployment as failed: its own deployment is the first one that is recorded."
    ]
    assert section_lines(title, explain_only(pull_id(3), *lonely)) == [
        "It is a hotfix (the branch hotfix/1), but marks no deployment as failed: none came before its own."
    ]
    for number, kind in ((2, "a revert"), (3, "a hotfix (the branch hotfix/1)")):
        (effect,) = section_lines(title, explain_only(pull_id(number), deployment(1), *lonely[1:]))
        assert effect == f"It is {kind}, but marks no deployment as failed: it is not deployed yet."


def test_a_change_whose_rule_is_off_marks_nothing_as_failed() -> None:
    facts = [
        deployment(0, "03-01"),
        deployment(1, "03-05", changes=[1], version="v1"),
        deployment(2, "03-06", changes=[2], version="v2"),
        change(1),
        change(2, reverts=pull_id(1)),
    ]
    title, off = "Effect on deployments", frozenset({"explicit"})
    assert section_lines(title, explain_only(pull_id(1), *facts, failure_rules=off)) == [
        "It was reverted, but `v1` does not count as failed (`failure-rules`): #2 reverts #1."
    ]
    assert section_lines(title, explain_only(pull_id(2), *facts, failure_rules=off)) == [
        "It would mark `v1` as failed, but its rule is off (`failure-rules`): #2 reverts #1."
    ]


def test_a_retracted_change_is_as_if_it_had_never_been() -> None:
    one = explain_only(pull_id(1), deployment(0, "03-01"), deployment(1, changes=[1]), change(1, retracted=True))
    assert one.sentences[-1] == "It was retracted, so it is not counted."
    assert unescaped(one.headline) == "Change #1: not delivered yet"


# Incidents and vulnerabilities


def test_an_incident_says_where_it_counts_what_it_is_attributed_to_and_what_ended_it() -> None:
    facts = [deployment(1, version="v1"), incident(1, title="Slow", resolved_at="03-05T14:30")]
    one = explain_only(issue_id(1), *facts)
    assert one.headline == "Incident Slow: attributed to `v1`"
    assert unescaped(one.sentences[1]) == (
        "It belongs to acme/shop, service shop, environment production: it names a service and an environment."
    )
    assert section_lines("Which deployment", one) == [
        "`v1` (`github:deployment:1`), by the rule `incident`: the incident was detected 1 h after it.",
        "It is the latest successful deployment in its scope before the incident was detected.",
    ]
    assert section_lines("What ended it", one) == ["It was resolved on 2024-03-05 14:30, after 1 h 30 min."]


REPORTED_TWICE = [
    deployment(1, version="v1"),
    incident(1, "03-05T13:10", title="Slow", resolved_at="03-08", also=("pagerduty:Q1", "#9")),
    incident(2, "03-05T13:00", id="pagerduty:Q1", severity="high", resolved_at="03-05T13:40", also=("acme/shop#1",)),
]


@pytest.mark.parametrize("name", [issue_id(1), "pagerduty:Q1"])
def test_an_incident_that_was_reported_twice_names_its_reports(name: str) -> None:
    one = explain_only(name, *REPORTED_TWICE)
    assert one.headline == "Incident Slow: attributed to `v1`"
    assert section_lines("What ended it", one) == [
        "It was resolved on 2024-03-05 13:40, after 40 min.",
        "Only what pages or watches says when it ended: `pagerduty:Q1`.",
    ]
    assert section_lines("Where it was reported", one) == [
        "`github:issue:acme/shop#1`: detected on 2024-03-05 13:10, resolved on 2024-03-08 00:00.",
        "`github:issue:acme/shop#1` names `pagerduty:Q1`.",
        "`github:issue:acme/shop#1` names `#9`, which is not another recorded incident.",
        "`pagerduty:Q1`, high: detected on 2024-03-05 13:00, resolved on 2024-03-05 13:40.",
        "`pagerduty:Q1` names `acme/shop#1`, which is `github:issue:acme/shop#1`.",
    ]
    assert rule_text("incident", explain_only("v1", *REPORTED_TWICE)) == (
        "**yes; this rule decides:** #1 detected 1 h after it; also reported as pagerduty:Q1."
    )


def test_a_fix_of_one_report_is_that_of_the_incident() -> None:
    fix = deployment(2, "03-06", remediates="pagerduty:Q1", version="v2")
    lines = section_lines("What ended it", explain_only(issue_id(1), *REPORTED_TWICE, fix))
    assert lines[-1] == "`v2` is recorded as its fix, on 2024-03-06 00:00."


def test_among_tickets_all_say_when_the_incident_ended() -> None:
    ticket = incident(3, id="jira:OPS-1", also=("#1",))
    issue = incident(1, title="Slow", resolved_at="03-08")
    assert section_lines("What ended it", explain_only("jira:OPS-1", deployment(1), issue, ticket)) == [
        "It is not resolved, so it counts as open and has no duration yet.",
        "All its reports say when it ended; the last end counts.",
    ]


def test_a_report_outside_production_takes_its_incident_with_it() -> None:
    staging = incident(2, id="pagerduty:Q1", environment="staging", also=("#1",))
    one = explain_only(issue_id(1), deployment(1), incident(1, environment=None), staging)
    assert one.sentences[0].endswith("its environment is not production: staging.")
    assert len(section_lines("Where it was reported", one)) == 3


def test_a_name_of_several_incidents_joins_none() -> None:
    same = [incident(number, url="https://a.example/graph") for number in (2, 3)]
    one = explain_only(issue_id(1), deployment(1), incident(1, also=("https://a.example/graph",)), *same)
    assert section_lines("Where it was reported", one) == [
        "`github:issue:acme/shop#1` names `https://a.example/graph`, which means several incidents, so it joins none."
    ]


def test_an_incident_that_names_nothing_known_is_not_guessed_about() -> None:
    one = explain_only(issue_id(1), deployment(1), incident(1, deployment="v9", service=None, environment=None))
    assert one.headline.endswith("attributed to no deployment")
    assert section_lines("Which deployment", one) == [
        (
            "No deployment, by the rule `explicit`: it names v9, which is not a recorded production deployment that "
            "counts."
        ),
        "A name that matches nothing is not replaced by another deployment.",
    ]
    assert section_lines("What ended it", one) == ["It is not resolved, so it counts as open and has no duration yet."]
    assert "it does not name both a service and an environment" in one.sentences[1]


def test_an_incident_says_when_another_rule_decides_about_its_deployment() -> None:
    one = explain_only(issue_id(1), *deployments_of_versions("V1 V2 V1"), incident(1, "03-01T07:00", service=None))
    assert (
        section_lines("Which deployment", one)[-1]
        == "Another rule decides for that deployment: `rollback` takes precedence."
    )
    assert "that is the scope of the deployment it is attributed to" in one.sentences[1]


def test_an_incident_that_a_deployment_remediates_says_so_and_one_that_ends_before_it_began_too() -> None:
    facts = [
        deployment(1),
        incident(1, resolved_at="03-04"),
        deployment(2, "03-06", remediates=issue_id(1), version="v2"),
    ]
    assert section_lines("What ended it", explain_only(issue_id(1), *facts)) == [
        "It was resolved on 2024-03-04 00:00, before it was detected, so it has no duration.",
        "`v2` is recorded as its fix, on 2024-03-06 00:00.",
    ]


@pytest.mark.parametrize(
    ("fields", "why"),
    [({"environment": "qa"}, "its environment is not production: qa."), ({"retracted": True}, "it was retracted.")],
)
def test_an_incident_that_counts_nowhere_says_why(fields: dict[str, Any], why: str) -> None:
    one = explain_only(issue_id(1), deployment(1), incident(1, **fields))
    assert one.headline.endswith("not counted")
    assert one.sentences[0].endswith(why)


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "open"),
        ({"fixed_at": "03-07"}, "fixed, after 2 d"),
        ({"fixed_at": "03-01"}, "fixed, before it was detected, so it has no duration"),
        ({"dismissed_at": "03-07", "fixed_at": "03-08"}, "dismissed, so it is neither open nor fixed"),
        ({"retracted": True}, "was retracted, so it is not counted"),
    ],
)
def test_a_vulnerability_says_how_it_stands(fields: dict[str, Any], state: str) -> None:
    one = explain_only("github:dependabot:acme/shop#1", deployment(1), vulnerability(1, package="left-pad", **fields))
    assert one.headline == f"Vulnerability in left-pad: {state}"
    assert fields.get("retracted") or "It belongs to acme/shop, service shop, environment production." in one.sentences
    nowhere = explain_only("#1", vulnerability(1, service="api", **fields))
    assert fields.get("retracted") or nowhere.sentences[-1] == "Its service has no scope yet."


def test_a_fixed_vulnerability_names_the_deployment_it_went_live_with() -> None:
    facts = [
        deployment(1, "03-06", version="v1"),
        deployment(2, "03-08", version="v2"),
        deployment(3, "03-06", environment="prod-eu"),
        vulnerability(1, fixed_at="03-07", package="left-pad"),
    ]
    assert section_lines("When its fix", explain_only("#1", *facts)) == [
        (
            "production (acme/shop, service shop): with `v2` on 2024-03-08 00:00, after 3 d. "
            "It is the first success that ended after the fix."
        ),
        "prod-eu (acme/shop, service shop): not yet; no deployment has succeeded since the fix.",
    ]
    assert section_lines("Vulnerability fixes", explain_only("v1", *facts)) == []
    assert section_lines("Vulnerability fixes", explain_only("v2", *facts)) == [
        "left-pad (`github:dependabot:acme/shop#1`), severity high, 3 d after it was detected"
    ]


def test_the_name_of_a_package_stays_text() -> None:
    hostile = vulnerability(
        1, fixed_at="03-07", package="<img src=x> @acme/all\n# [x](http://evil)", url="javascript:x"
    )
    facts = [deployment(1, "03-08"), hostile]
    for one in (explain_only("#1", *facts), explain_only(deployment_id(1), *facts)):
        whole = "\n".join([one.headline, *one.sentences, *(line for part in one.sections for line in part.lines)])
        assert "<img" not in whole
        assert "@acme" not in whole
        assert "[x](" not in whole
        assert "javascript" not in whole


def test_a_deployment_lists_twenty_fixes_and_counts_the_others() -> None:
    many = [vulnerability(number, fixed_at="03-05T11:00") for number in range(23)]
    found = section_lines("Vulnerability fixes", explain_only(deployment_id(1), deployment(1), *many))
    assert (len(found), found[-1]) == (21, "and 3 more")


def test_a_leaked_secret_goes_live_with_no_deployment() -> None:
    identity = "github:secret-scanning:acme/shop#1"
    one = explain_only(identity, deployment(1, "03-08"), vulnerability(1, id=identity, fixed_at="03-07"))
    assert section_lines("When its fix", one) == ["A leaked secret is fixed by revoking it, which needs no deployment."]


def test_a_commit_without_a_pull_request_has_only_the_stage_from_its_start_to_its_deployment() -> None:
    facts = [deployment(0, "03-01"), deployment(1, "03-05", changes=[commit_id(3)]), direct_commit(3, "03-04")]
    lines = section_lines("Stages: production (acme/shop", explain_only(commit_id(3), *facts))
    assert lines[0] == "It is a commit without a pull request, so it has no coding or review stage."
    assert lines[1].startswith("waiting for deployment (authored to deployed): 1 d ")
    assert lines[2:] == []


def test_a_deployment_whose_changes_are_unknown_has_no_known_failure() -> None:
    one = explain_only("v1", deployment(1, "03-05", version="v1", changes=None))
    assert one.headline == "Deployment `v1`: no known failure"
    assert one.sections[0].title == "Why it does not count as failed, as far as is known"


def test_a_vulnerability_of_unknown_severity_says_that_it_is_in_no_number() -> None:
    one = explain_only("#1", deployment(1), vulnerability(1, severity=None))
    assert "severity unknown (so it is not in the counts by severity)" in unescaped(one.sentences[0])


# Names

FACTS: list[Fact] = [
    deployment(1, "03-01", version="v1.2", ref="refs/tags/v1.2", sha=sha("a"), changes=[1]),
    deployment(2, "03-05", version="v1.2", sha=sha("b")),
    change(1, sha=sha("c"), commits=commits("03-02")),
    direct_commit(3),
    incident(12),
]


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        (deployment_id(1), [deployment_id(1)]),
        ("v1.2", [deployment_id(1), deployment_id(2)]),
        (" refs/tags/v1.2 ", [deployment_id(1), deployment_id(2)]),
        ("#1", [pull_id(1)]),
        ("#12", [issue_id(12)]),
        ("acme\u200b", None),
        ("github:pull:acme/shop#\u200b1", [pull_id(1)]),
        (sha("a"), [deployment_id(1)]),
        (sha("a").upper(), [deployment_id(1)]),
        (sha("b")[:4], [deployment_id(2)]),
        (sha("c")[:12].upper(), [pull_id(1)]),
        (sha("03-02"), [pull_id(1)]),
        (sha(3)[:7], [commit_id(3)]),
        (commit_id(3), [commit_id(3)]),
        (sha("a")[:3], None),
        ("", None),
        ("nowhere", None),
    ],
)
def test_a_name_is_an_id_a_version_a_number_or_the_beginning_of_a_commit(name: str, ids: list[str] | None) -> None:
    found = find_ids(name, FACTS)
    assert (list(found.ids) if isinstance(found, MatchedIds) else None) == ids


def test_a_commit_that_was_deployed_and_is_a_change_means_both() -> None:
    facts: list[Fact] = [deployment(1, sha=sha(3)), direct_commit(3)]
    assert find_ids(sha(3)[:8], facts) == MatchedIds((deployment_id(1), commit_id(3)))


def test_the_beginning_of_several_commits_names_them() -> None:
    facts: list[Fact] = [deployment(1, sha="abcd" + "0" * 36), deployment(2, sha="abcd" + "1" * 36)]
    found = find_ids("abcd", facts)
    assert found == NoMatch("'abcd' is the beginning of 2 commits", ("abcd" + "0" * 36, "abcd" + "1" * 36))
    assert find_ids("abcd0", facts) == MatchedIds((deployment_id(1),))


def test_what_is_not_known_names_what_is_near() -> None:
    assert find_ids("v1.3", FACTS) == NoMatch("no deployment, change or incident is named 'v1.3'", ("v1.2",))
    near = find_ids("shop#1", FACTS)
    assert isinstance(near, NoMatch)
    assert near.similar_names[:2] == (pull_id(1), issue_id(12))
    assert find_ids("v1", []) == NoMatch("no deployment, change or incident is named 'v1'", ())


@given(fact_lists())
def test_every_id_of_whatever_history_is_explained(facts: list[Fact]) -> None:
    """Contradictory facts, equal times, cycles of reverts, names that match nothing."""
    asked = case(*facts)
    listed = {change for fact in facts for change in getattr(fact, "changes", None) or ()}
    for identity in {fact.id for fact in facts} | listed:
        found = explain(asked, identity)
        assert not isinstance(found, NoMatch)
        for one in found:
            texts = [one.headline, *one.sentences, *(line for part in one.sections for line in part.lines)]
            assert all(text and "\n" not in text and "-1 " not in text for text in texts)


@given(fact_lists())
def test_a_deployment_that_failed_is_one_whose_explanation_says_so(facts: list[Fact]) -> None:
    asked = case(*facts, count_failed_runs=True)
    for identity in asked.timeline_by_deployment:
        (one,) = explain(asked, identity)  # type: ignore[misc]
        deciding = [line for line in one.sections[0].lines if "this rule decides" in line]
        failure = asked.failure_by_deployment.get(identity)
        assert [line.partition("`")[2].partition("`")[0] for line in deciding] == ([failure.rule] if failure else [])
        assert ("failed, rule" in one.headline) == bool(failure)


def test_a_part_is_explained_as_the_attempt_that_it_belongs_to() -> None:
    url = "https://github.com/acme/shop/actions/runs/7/job"
    parts = [
        deployment(1, "03-05T10:00", url=f"{url}/1", version="v1", sha=sha("a")),
        failed_deployment(2, "03-05T10:01", url=f"{url}/2", version="v1", sha=sha("a")),
    ]
    context = case(*parts)
    for name in (deployment_id(1), deployment_id(2), "v1", sha("a")):
        (explanation,) = explained(context, name)
        assert "failed, rule `failed-run`" in explanation.headline
        assert any("one attempt of a run and has 2 parts" in sentence for sentence in explanation.sentences)


def test_a_job_that_only_uses_an_environment_counts_nowhere_and_says_why() -> None:
    url = "https://github.com/acme/shop/actions/runs"
    context = case(
        deployment(1, url=f"{url}/7/job/1", run_id="7", workflow="Deploy"),
        deployment(2, url=f"{url}/8/job/2", run_id="8", workflow="Drift check"),
    )
    (explanation,) = explained(context, deployment_id(2))
    assert "not counted" in explanation.headline
    assert "does not deploy and only uses the environment" in explanation.sentences[1]


def explained(context: ExplainContext, name: str) -> list[Explanation]:
    explanations = explain(context, name)
    assert isinstance(explanations, list)
    return explanations


def test_a_pull_request_that_only_carried_others_is_said_to_carry_them() -> None:
    feature = change(1, commits=commits("03-01"), merged_at="03-01T12:00")
    release = change(3, commits=feature.commits, merged_at="03-02", title="Release 1.1")
    facts = [deployment(1, "03-01", version="v1"), deployment(2, "03-03", changes=[1, 3], version="v2")]
    revert = change(4, reverts=release.id)
    explanation = explain_only("#3", *facts, feature, release, deployment(3, "03-04", changes=[4]), revert)
    assert unescaped(explanation.headline) == "Change #3: brought by `v2`, not counted itself"
    carried, delivered, effects = explanation.sections
    assert unescaped(carried.lines[0]).endswith("It only carried #1.")
    assert delivered.lines[0].startswith("`v2`, on 2024-03-03 00:00")
    assert unescaped(effects.lines[0]) == "It was reverted, which marks `v2` as failed: #4 reverts #3."

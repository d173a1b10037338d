"""What an endpoint is owed: news of its events, changed judgements if its shape says so, and reports that are due."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dora_metrics.core.facts.model import Deployment, Fact, Status
from dora_metrics.core.ledger.layout import REPORTS_FILE
from dora_metrics.core.ledger.outbox import OutboxEntry, is_report, reported_period
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.periodic.claims import ReportClaim, encode_claims
from dora_metrics.core.shapes.shape import FactChange
from dora_metrics.pipeline.owed import Interest, News, changes_of_wholes, claimed_reports, fact_changes, new_judgements
from dora_metrics.settings.endpoints import EndpointSettings
from support import facts
from support.property_cases import cases
from support.sink_payloads import NOW, deployment

WEEK_47 = OutboxEntry("report:weekly:2026-W47")


def news_of(before: Iterable[Fact], new: Iterable[Fact], reports: Iterable[OutboxEntry] = ()) -> News:
    """The news of a run that records facts in a ledger."""
    policy, known, after = Policy(), {fact.id: fact for fact in before}, list(new)
    everything = list({**known, **{fact.id: fact for fact in after}}.values())
    evaluate_before, evaluate_after = (partial(evaluate_facts, each, policy) for each in (known.values(), everything))
    judged = new_judgements(list(known.values()), evaluate_before, evaluate_after)
    of_wholes = changes_of_wholes(evaluate_before, evaluate_after)
    return News(fact_changes(after, known.get, NOW, policy), judged, list(reports), of_wholes)


def owed_ids(interest: Interest, news: News) -> list[str]:
    return [entry.id for entry in interest.entries(news)]


def test_without_events_all_facts_are_owed_and_no_report() -> None:
    news = news_of([], [facts.deployment(1), facts.change(2), facts.incident(3)], [WEEK_47])
    assert owed_ids(Interest(None), news) == [change.after.id for change in news.changes]


def test_events_select_facts_and_reports() -> None:
    news = news_of([], [facts.deployment(1), facts.change(2), facts.incident(3)], [WEEK_47])
    incident_id = news.changes[2].after.id
    assert owed_ids(Interest(frozenset({"incident", "report"})), news) == [incident_id, WEEK_47.id]


def test_events_of_the_setting_come_before_those_of_the_shape() -> None:
    chat = EndpointSettings("chat", "http://chat.example", "slack", frozenset({"report"}))
    assert Interest.of(chat).events == frozenset({"report"})
    assert Interest.of(EndpointSettings("mine", "http://mine.example", "mine.json.j2")) == Interest(None)


CHAT = Interest.of(EndpointSettings("chat", "http://chat.example", "slack", frozenset({"deployment", "incident"})))


def job_of_run(number: int, status: Status, attempt: int = 1, name: str = "") -> Deployment:
    """A job of one run that ended some seconds before NOW."""
    return deployment(
        number,
        finished_at=NOW - timedelta(seconds=100 - number),
        started_at=NOW - timedelta(seconds=150 - number if attempt == 1 else 80),
        run_id="500",
        run_attempt=attempt,
        job_name=name or f"deploy ({number})",
        url=f"https://github.com/acme/shop/actions/runs/500/job/{number}",
        status=status,
    )


def owed_by_recording(*recordings: Sequence[Fact]) -> list[list[str]]:
    """What the chat is owed after each of several runs."""
    known: list[Fact] = []
    owed = []
    for recording in recordings:
        owed.append(owed_ids(CHAT, news_of(known, recording)))
        known += recording
    return owed


def test_the_success_of_jobs_that_were_run_again_is_owed() -> None:
    europe, america = job_of_run(1, "success"), job_of_run(2, "failure")
    again = job_of_run(3, "success", attempt=2, name="deploy (2)")
    assert owed_by_recording([europe], [america], [again]) == [[europe.id], [america.id], [again.id]]
    assert owed_by_recording([america], [europe], [again]) == [[america.id], [], [again.id]]


@given(
    statuses=st.lists(st.sampled_from(("success", "failure", "cancelled")), min_size=1, max_size=6),
    random=st.randoms(),
    is_repeated=st.booleans(),
)
@settings(max_examples=cases(60))
def test_in_any_order_of_recording_one_fact_is_owed_where_the_outcome_changes(
    statuses: list[Status], random: Random, *, is_repeated: bool
) -> None:
    jobs = [job_of_run(number, status) for number, status in enumerate(statuses, 1)]
    random.shuffle(jobs)
    recordings: list[list[Deployment]] = []
    while jobs:
        size = random.randint(1, 3)
        recordings, jobs = [*recordings, jobs[:size]], jobs[size:]
    if is_repeated:
        failed = [each for recording in recordings for each in recording if each.status == "failure"]
        names = [each.job_name or "" for each in failed]
        recordings += [[job_of_run(50 + place, "success", 2, name)] for place, name in enumerate(names)]
    known: list[Fact] = []
    outcome = "cancelled"
    for recording, owed in zip(recordings, owed_by_recording(*recordings), strict=True):
        known += recording
        (history,) = evaluate_facts(known, Policy()).histories
        (attempt,) = history.deployments
        is_news = attempt.status not in ("cancelled", outcome)
        assert len(owed) == is_news
        assert set(owed) <= {each.id for each in recording if each.status == attempt.status}
        outcome = attempt.status


def test_a_report_that_joins_an_open_incident_is_not_owed() -> None:
    shop = deployment(1, days_ago=0.5)
    issue = replace(facts.incident(5), detected_at=NOW - timedelta(minutes=20), resolved_at=None)
    page = replace(issue, id="pagerduty:Q1", detected_at=NOW - timedelta(minutes=25), also=(issue.id,))
    ended = replace(page, resolved_at=NOW)
    closed = replace(issue, resolved_at=NOW)
    assert owed_by_recording([shop], [issue], [page]) == [[shop.id], [issue.id], []]
    assert owed_by_recording([shop], [page], [issue]) == [[shop.id], [page.id], []]
    assert owed_ids(CHAT, news_of([shop, issue, page], [closed])) == [], "the pager decides"
    assert owed_ids(CHAT, news_of([shop, issue, page], [ended])) == [page.id]
    assert owed_ids(CHAT, news_of([shop, issue, ended], [closed])) == []


def test_a_shape_decides_about_each_change_of_a_fact() -> None:
    before = facts.incident(3)
    changes: list[FactChange] = []

    def is_new(change: FactChange) -> bool:
        changes.append(change)
        return change.before is None

    news = news_of([before], [facts.deployment(1), before])
    assert owed_ids(Interest(None, is_new), news) == [facts.deployment(1).id]
    assert [(change.before, change.now) for change in changes] == [(None, NOW), (before, NOW)]


def test_a_deployment_that_an_incident_is_attributed_to_is_owed_again() -> None:
    deployed = facts.deployment(1)
    outage = facts.incident(2, deployment=deployed.id, detected_at="03-05T12:05")
    news = news_of([deployed], [outage])
    assert owed_ids(Interest(None, owes_judgements=True), news) == [outage.id, deployed.id]
    assert owed_ids(Interest(None), news) == [outage.id]
    assert owed_ids(Interest(frozenset({"incident"}), owes_judgements=True), news) == [outage.id]


def test_a_deployment_whose_remediation_becomes_another_is_owed_again() -> None:
    """An incident that is filed after the rollback says itself when the failure was over."""
    first, failed, back = (
        replace(deployment(number, days_ago=days), sha=sha * 40)
        for number, days, sha in ((1, 3, "a"), (2, 2, "b"), (3, 1, "a"))
    )
    outage = replace(
        facts.incident(5), detected_at=failed.finished_at, resolved_at=NOW, deployment=failed.id, observed_at=NOW
    )
    judging = Interest(None, owes_judgements=True)
    assert owed_ids(judging, news_of([first, failed], [back])) == [back.id, failed.id]
    assert owed_ids(judging, news_of([first, failed, back], [outage])) == [outage.id, failed.id]
    still_failed = replace(failed, status="failure", reached_users=True)
    assert owed_ids(judging, news_of([first, still_failed], [back])) == [back.id], "it says what it ended"


def test_a_new_deployment_is_owed_once_whatever_its_judgement_is() -> None:
    failed = facts.failed_deployment(1)
    assert owed_ids(Interest(None, owes_judgements=True), news_of([], [failed])) == [failed.id]


def claims(**periods: str) -> dict[str, bytes]:
    """The file of claims with the newest period of each kind."""
    by_kind = {kind: ReportClaim(period=name, claimed_at=NOW, claimed_by="run") for kind, name in periods.items()}
    return {REPORTS_FILE: encode_claims({"acme/shop": by_kind})}


def test_a_report_is_owed_when_a_run_claims_its_period_first() -> None:
    assert claimed_reports({}, claims(weekly="2026-W47")) == [WEEK_47]
    assert claimed_reports(claims(weekly="2026-W46"), claims(weekly="2026-W47")) == [WEEK_47]
    assert claimed_reports(claims(weekly="2026-W47"), claims(weekly="2026-W47", monthly="2026-10")) == [
        OutboxEntry("report:monthly:2026-10")
    ]


def test_a_report_that_a_run_takes_over_was_owed_before() -> None:
    assert claimed_reports(claims(weekly="2026-W47"), claims(weekly="2026-W47")) == []
    assert claimed_reports(claims(weekly="2026-W47"), {}) == []


def test_the_id_of_a_report_names_its_period() -> None:
    assert reported_period(WEEK_47.id) == ("weekly", "2026-W47")
    for other in ("report:weekly:2026-W99", "report:daily:2026-11-21", "report:", "github:deployment:1"):
        assert reported_period(other) is None
    assert is_report(WEEK_47.id)
    assert not is_report("github:deployment:1")

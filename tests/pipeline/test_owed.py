"""What an endpoint is owed: news of its events, changed judgements if its shape says so, and reports that are due."""

from collections.abc import Iterable

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.ledger.layout import REPORTS_FILE
from dora_metrics.core.ledger.outbox import OutboxEntry, is_report, reported_period
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.periodic.claims import ReportClaim, encode_claims
from dora_metrics.core.shapes.shape import FactChange
from dora_metrics.pipeline.owed import Interest, News, claimed_reports, fact_changes, new_judgements
from dora_metrics.settings.endpoints import EndpointSettings
from support import facts
from support.sink_payloads import NOW

WEEK_47 = OutboxEntry("report:weekly:2026-W47")


def news_of(before: Iterable[Fact], new: Iterable[Fact], reports: Iterable[OutboxEntry] = ()) -> News:
    """The news of a run that records facts in a ledger."""
    policy, known, after = Policy(), {fact.id: fact for fact in before}, list(new)
    everything = list({**known, **{fact.id: fact for fact in after}}.values())
    judged = new_judgements(list(known.values()), lambda: evaluate_facts(everything, policy), policy)
    return News(fact_changes(after, known.get, NOW, policy), judged, list(reports))


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

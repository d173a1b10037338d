"""Claims of report issues: one run claims a report, a marker identifies its issue, and people's text in it stays."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core.periods import PERIOD_KINDS, Period, PeriodKind, due_period
from dora_metrics.core.reports.periodic import claims
from dora_metrics.core.reports.periodic.claims import (
    CLAIM_DURATION,
    MISSED_AFTER,
    FiledIssue,
    KindClaims,
    ReportClaim,
    RepositoryClaims,
    claim_report,
    complete_claim,
    report_marker,
)
from dora_metrics.core.reports.periodic.issue_body import IssueBody, has_open_tasks, marker_in, split_user_section
from dora_metrics.core.scope import Scope
from dora_metrics.core.windows import Window

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
THIS_WEEK = Period("weekly", "2026-W47", "week 47", "week 47, 2026", Window(NOW, NOW), NOW)
LAST_WEEK = Period("weekly", "2026-W46", "week 46", "week 46, 2026", Window(NOW, NOW), NOW - timedelta(weeks=1))
SHOP = Scope("acme/shop", "shop", "production")
WEB = Scope("acme/shop", "web", "production")


def claim_entry(period: Period = THIS_WEEK, *, by: str = "one", done: bool = False, **numbers: int) -> ReportClaim:
    scopes = {"shop": SHOP, "web": WEB}
    issues = {report_marker(period, scopes[name]): FiledIssue(number, "d") for name, number in numbers.items()}
    return ReportClaim(period=period.name, claimed_at=NOW, claimed_by=by, done=done, filed=issues)


def claim(drawer: KindClaims, period: Period, by: str, now: datetime, *, asked: bool = True) -> ReportClaim | None:
    return claim_report(drawer, period, by, now, is_requested=asked)


# Claims


def test_a_report_that_nobody_has_begun_is_claimed() -> None:
    found = claim({}, THIS_WEEK, "one", NOW)
    assert found == ReportClaim(period="2026-W47", claimed_at=NOW, claimed_by="one")


def test_what_another_run_has_just_claimed_is_left_to_it() -> None:
    assert claim({"weekly": claim_entry()}, THIS_WEEK, "two", NOW + CLAIM_DURATION - timedelta(seconds=1)) is None


def test_a_claim_that_led_to_nothing_passes_to_the_next_run() -> None:
    found = claim({"weekly": claim_entry()}, THIS_WEEK, "two", NOW + CLAIM_DURATION)
    assert found == ReportClaim(period="2026-W47", claimed_at=NOW + CLAIM_DURATION, claimed_by="two")


def test_a_claim_by_a_clock_that_is_ahead_is_one() -> None:
    assert claim({"weekly": claim_entry()}, THIS_WEEK, "two", NOW - timedelta(seconds=3)) is None
    assert claim({"weekly": claim_entry()}, THIS_WEEK, "two", NOW - timedelta(hours=1)) is not None


def test_a_period_before_the_last_one_that_was_made_is_never_claimed() -> None:
    assert claim({"weekly": claim_entry(THIS_WEEK, done=True)}, LAST_WEEK, "two", NOW) is None


def test_a_run_of_an_event_makes_no_first_report_and_waits_for_a_day_with_the_others() -> None:
    assert claim({}, THIS_WEEK, "one", NOW, asked=False) is None
    drawer = {"weekly": claim_entry(LAST_WEEK, done=True)}
    assert claim(drawer, THIS_WEEK, "one", NOW + MISSED_AFTER - timedelta(seconds=1), asked=False) is None
    assert claim(drawer, THIS_WEEK, "one", NOW + MISSED_AFTER, asked=False) is not None


def test_what_a_run_was_refused_is_free_for_one_that_somebody_started() -> None:
    refused = msgspec.structs.replace(claim_entry(), refused=True)
    assert claim({"weekly": refused}, THIS_WEEK, "two", NOW, asked=False) is None
    found = claim({"weekly": refused}, THIS_WEEK, "two", NOW)
    assert found is not None
    assert not found.refused


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("weekly", "2062-W47"), ("weekly", "2026-W48"), ("weekly", "9999-W52"), ("weekly", "weird"),
        ("weekly", "2026-W99"), ("weekly", "2026-11"), ("monthly", "2026-12"), ("monthly", "9999-12"),
        ("monthly", "2026-13"), ("quarterly", "2027-Q1"), ("quarterly", "2026-Q5"), ("quarterly", "2026-QX"),
    ],
)  # fmt: skip
def test_a_period_that_no_run_can_have_reached_does_not_stop_the_reports(kind: PeriodKind, name: str) -> None:
    due = due_period(kind, NOW, ZoneInfo("UTC"), "monday")
    broken = ReportClaim(period=name, claimed_at=NOW - timedelta(days=7), claimed_by="one", done=True)
    found = claim({kind: broken}, due, "two", NOW)
    assert found is not None
    assert (found.period, found.claimed_at) == (due.name, NOW)


@given(
    st.sampled_from(PERIOD_KINDS),
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - see `timezones`
    st.sampled_from(["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"]),
)
def test_every_period_that_is_due_ends_before_its_claim(kind: PeriodKind, now: datetime, zone: str) -> None:
    """So a claim on it stops an earlier one, as of a run whose clock is a little behind, wherever the reports are."""
    due = due_period(kind, now, ZoneInfo(zone), "monday")
    earlier = due_period(kind, due.window.start, ZoneInfo(zone), "monday")
    claimed = ReportClaim(period=due.name, claimed_at=now, claimed_by="one", done=True)
    assert claim({kind: claimed}, earlier, "two", now) is None


def test_what_is_done_is_not_claimed_again() -> None:
    assert claim({"weekly": claim_entry(done=True)}, THIS_WEEK, "two", NOW + timedelta(days=3)) is None


def test_a_new_period_remembers_the_issues_of_the_one_before() -> None:
    found = claim({"weekly": claim_entry(LAST_WEEK, done=True, shop=12, web=13)}, THIS_WEEK, "one", NOW)
    assert found is not None
    assert found.before == {
        claims.scope_key_of(report_marker(THIS_WEEK, SHOP)): 12,
        claims.scope_key_of(report_marker(THIS_WEEK, WEB)): 13,
    }


def test_the_issues_of_the_last_report_are_to_be_closed_and_no_others() -> None:
    shop, web = (claims.scope_key_of(report_marker(LAST_WEEK, scope)) for scope in (SHOP, WEB))
    older = msgspec.structs.replace(claim_entry(LAST_WEEK, done=True, web=13), before={shop: 9})
    found = claim({"weekly": older}, THIS_WEEK, "one", NOW)
    assert found is not None
    assert found.closing == {web: 13}
    assert complete_claim(found, {}).closing == {}
    unfinished = msgspec.structs.replace(
        found, period=LAST_WEEK.name, filed={report_marker(LAST_WEEK, SHOP): FiledIssue(14, "d")}
    )
    after = claim({"weekly": unfinished}, THIS_WEEK, "two", NOW)
    assert after is not None
    assert after.closing == {web: 13, shop: 14}


def test_a_scope_without_a_report_last_time_keeps_the_one_before() -> None:
    older = msgspec.structs.replace(
        claim_entry(LAST_WEEK, done=True, web=13), before={claims.scope_key_of(report_marker(LAST_WEEK, SHOP)): 9}
    )
    found = claim({"weekly": older}, THIS_WEEK, "one", NOW)
    assert found is not None
    assert sorted(found.before.values()) == [9, 13]


def test_the_cabinet_is_read_back_as_it_was_written() -> None:
    cabinet: RepositoryClaims = {
        "acme/shop": {"weekly": claim_entry(done=True, shop=12), "monthly": claim_entry()},
        "acme/web": {},
    }
    assert claims.decode_claims(claims.encode_claims(cabinet)) == cabinet


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"acme/shop": {"weekly": {"period": 1}}}', b"\xff"])
def test_a_cabinet_that_cannot_be_read_is_an_empty_one(text: bytes) -> None:
    assert claims.decode_claims(text) == {}


# Markers


def test_each_scope_and_period_has_a_marker_of_its_own() -> None:
    assert len({report_marker(period, scope) for period in (THIS_WEEK, LAST_WEEK) for scope in (SHOP, WEB)}) == 4


@given(st.text(), st.text())
def test_no_name_of_a_scope_breaks_out_of_the_comment(service: str, environment: str) -> None:
    known = report_marker(THIS_WEEK, Scope("acme/shop", service, environment))
    assert marker_in(IssueBody(known, "", "text").text_of_new_issue(None)) == known


# Issue bodies


def test_a_new_text_replaces_ours_and_keeps_what_people_wrote_around_it() -> None:
    old, new = (
        IssueBody("weekly:a", "t", "old words", "### Notes"),
        IssueBody("weekly:a", "t", "new words", "### Other"),
    )
    text = f"Look here first!\n{old.text_of_new_issue(None)}\n- [x] Done, by me"
    found = new.update_in(text, 12)
    assert found is not None
    assert found.startswith("Look here first!\n")
    assert found.endswith("### Notes\n- [x] Done, by me")
    assert "new words" in found
    assert "Previous report: #12" in found
    assert "old words" not in found


@pytest.mark.parametrize(
    "words",
    [
        "what stands above is written anew, what stands below is yours",
        "text between the two marks is rewritten, all other text is yours",
    ],
)
def test_a_report_of_an_earlier_version_with_another_end_marker_is_updated_too(words: str) -> None:
    text = f"<!-- dora-metrics:report weekly:a -->\nold words\n<!-- dora-metrics:end: {words} -->\n- [x] Done, by me"
    found = IssueBody("weekly:a", "t", "new words").update_in(text, None)
    assert found is not None
    assert "old words" not in found
    assert found.endswith("All other text is yours. -->\n- [x] Done, by me")


@given(st.text(), st.text(), st.text())
def test_renewing_twice_is_renewing_once(ours: str, above: str, below: str) -> None:
    letter = IssueBody("weekly:a", "t", ours)
    text = f"{above}\n{IssueBody('weekly:a', 't', 'old').text_of_new_issue(None)}\n{below}"
    once = letter.update_in(text, 3)
    assert once is None or letter.update_in(once, 3) == once


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Everything was deleted",
        "<!-- dora-metrics:report weekly:a -->\nno end",
        IssueBody("weekly:b", "t", "of another scope").text_of_new_issue(None),
        (
            "<!-- dora-metrics:end: what stands above is written anew, what stands below is yours -->\n"
            "<!-- dora-metrics:report weekly:a -->"
        ),
    ],
)
def test_a_text_without_our_marks_is_left_alone(text: str) -> None:
    assert IssueBody("weekly:a", "t", "new").update_in(text, None) is None


def test_the_link_to_the_report_before_is_no_news() -> None:
    letter = IssueBody("weekly:a", "t", "words")
    assert "#12" in letter.text_of_new_issue(12)
    assert letter.digest == IssueBody("weekly:a", "t", "words", "beneath").digest
    assert letter.digest != IssueBody("weekly:a", "t", "other words").digest


def test_a_template_is_divided_at_its_line() -> None:
    assert split_user_section("ours\n<!-- yours -->\nbeneath\n") == ("ours\n", "beneath\n")
    assert split_user_section("ours only") == ("ours only", "")


# Remaining work


@pytest.mark.parametrize(
    ("beneath", "left"),
    [
        ("- [ ] Split the deployment (owner: Ann, due: Friday)", True),
        ("  * [ ] Ask", True),
        ("+ [ ] Ask", True),
        ("1. [ ] Ask", True),
        ("> - [ ] Ask", True),
        ("- [ ] Split … the deployment", True),
        ("- [ ] Deploy on merge, since it waits. (owner: Ann , due: …)", True),
        ("- [x] Split the deployment", False),
        ("- [ ] … (owner: … , due: …)", False),
        ("- [ ] Deploy on merge, since it waits. (owner: … , due: …)", False),
        ("", False),
    ],
)
def test_a_box_that_somebody_filled_in_and_did_not_tick_is_work(beneath: str, *, left: bool) -> None:
    assert has_open_tasks(IssueBody("monthly:a", "t", "- [ ] in our own text", beneath).text_of_new_issue(None)) is left


def test_a_box_above_our_text_is_work_too_and_one_within_it_is_not() -> None:
    text = IssueBody("weekly:a", "t", "- [ ] in our own text").text_of_new_issue(None)
    assert has_open_tasks(f"- [ ] Read this\n{text}")
    assert not has_open_tasks(text)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff",
        b"[" * 100_000,
        b'{"acme/shop":{"weekly":{"period":"x","claimed_by":"y","claimed_at":"2026-11-23T06:00:00"}}}',
    ],
)
def test_what_holds_no_claims_is_none(content: bytes) -> None:
    assert claims.decode_claims(content) == {}

"""Security alerts: the facts of each kind, few requests, and "unknown" instead of zero where GitHub returns none."""

from datetime import timedelta
from typing import Any

import pytest

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts.merge import changed_facts
from dora_metrics.core.facts.model import Vulnerability
from dora_metrics.core.selection import alert_notes
from dora_metrics.github.history import RefusedAlerts
from fakes.faults import custom_answer, primary_limit, unavailable
from fakes.github import FakeGitHub
from fakes.repository import Repository
from support.github_history import NOW, HistoryRead, at, ledger_after, read_fake_history

WEEK = timedelta(days=7)
DISABLED_ANSWERS = {
    "dependabot": (403, "Dependabot alerts are disabled for this repository."),
    "code-scanning": (404, "no analysis found"),
    "secret-scanning": (404, "Secret scanning is disabled on this repository."),
}
ALL_KINDS = ("dependabot", "code-scanning", "secret-scanning")


def read_alerts(github: FakeGitHub, **inputs: Any) -> HistoryRead:  # noqa: ANN401 - as `read_history`
    return read_fake_history(github, **{"security": ALL_KINDS, "deployment_source": "none", **inputs})


def only_vulnerability(github: FakeGitHub, **inputs: Any) -> Vulnerability:  # noqa: ANN401 - as `read_history`
    (found,) = read_alerts(github, **inputs).vulnerabilities.values()
    return found


def notes_of_all_runs(history: HistoryRead) -> str:
    """The notes about alerts, from the run that read them and from every other run."""
    return "\n".join(alert_notes({"acme/shop": history.cursors}, ALL_KINDS))


def refused_kinds(history: HistoryRead) -> list[str]:
    return [str(part) for part in history.parts if isinstance(part, RefusedAlerts)]


def alert_cursors(history: HistoryRead) -> dict[str, Cursor]:
    return {kind: history.cursors[kind] for kind in ALL_KINDS}


# Facts of each kind


def test_a_dependabot_alert_is_a_vulnerability_of_a_package(github: FakeGitHub, shop: Repository) -> None:
    alert = shop.alert("dependabot", "left-pad", severity="critical", at=at(1))
    shop.fix(alert, at=at(49))
    assert only_vulnerability(github) == Vulnerability(
        id="github:dependabot:acme/shop#1",
        repository="acme/shop",
        source="github",
        observed_at=at(49),
        url="https://github.com/acme/shop/security/dependabot/1",
        severity="critical",
        detected_at=at(1),
        fixed_at=at(49),
        package="left-pad",
    )


def test_a_code_scanning_alert_is_a_vulnerability_by_its_rule(github: FakeGitHub, shop: Repository) -> None:
    shop.alert("code-scanning", "js/sql-injection", severity="medium", at=at(1))
    found = only_vulnerability(github)
    assert (found.id, found.severity) == ("github:code-scanning:acme/shop#1", "medium")
    assert (found.package, found.fixed_at) == ("js/sql-injection", None)


def test_findings_about_quality_and_those_of_other_branches_are_none(github: FakeGitHub, shop: Repository) -> None:
    shop.alert("code-scanning", "js/unused-variable", severity=None, at=at(1))
    shop.alert("code-scanning", "js/xss", branch="feature", at=at(2))
    assert read_alerts(github).vulnerabilities == {}


@pytest.mark.parametrize(
    ("closed_as", "fixed"), [("revoked", True), ("false_positive", False), ("used_in_tests", False), (None, False)]
)
def test_a_leaked_secret_is_critical_and_fixed_once_it_is_revoked(
    github: FakeGitHub, shop: Repository, closed_as: str | None, *, fixed: bool
) -> None:
    alert = shop.alert("secret-scanning", "GitHub Personal Access Token", at=at(1))
    shop.fix(alert, at=at(2))
    alert.resolution = closed_as
    found = only_vulnerability(github)
    assert (found.severity, found.package) == ("critical", "GitHub Personal Access Token")
    assert (found.fixed_at, found.dismissed_at) == ((at(2), None) if fixed else (None, at(2)))


def test_secrets_are_asked_for_without_the_secret_on_every_page(github: FakeGitHub, shop: Repository) -> None:
    for number in range(150):
        shop.alert("secret-scanning", "Token", at=at(number))
    assert len(read_alerts(github).vulnerabilities) == 150
    assert github.state.revealed_secrets == 0


def test_one_that_is_opened_again_after_its_fix_is_open(github: FakeGitHub, shop: Repository) -> None:
    for kind in ALL_KINDS:
        shop.fix(shop.alert(kind, at=at(1)), at=at(2))
    first = read_alerts(github)
    ledger = ledger_after({}, first)
    for alert in [one for one in shop.records if one.typename == "Alert"]:
        shop.reopen_alert(alert, at=at(3))  # type: ignore[arg-type]
    second = read_alerts(github, cursors=first.cursors)
    assert {one.fixed_at for one in ledger_after(ledger, second).values() if isinstance(one, Vulnerability)} == {None}


def test_a_dismissed_one_is_dismissed_whoever_did_it(github: FakeGitHub, shop: Repository) -> None:
    for kind in ALL_KINDS:
        shop.dismiss(shop.alert(kind, at=at(1)), at=at(2))
    shop.alert(at=at(1), state="auto_dismissed", auto_dismissed_at=at(3).isoformat())
    found = read_alerts(github).vulnerabilities
    assert {one.dismissed_at for one in found.values()} == {at(2), at(3)}
    assert {one.fixed_at for one in found.values()} == {None}


def test_the_state_decides_where_times_are_left_of_an_earlier_one(github: FakeGitHub, shop: Repository) -> None:
    left = {"fixed_at": at(2).isoformat(), "dismissed_at": at(3).isoformat()}
    for state in ("open", "fixed", "dismissed", "of another world"):
        shop.alert(at=at(1), state=state, updated_at=at(9).isoformat(), **left)
    found = [(one.fixed_at, one.dismissed_at) for one in read_alerts(github).vulnerabilities.values()]
    assert sorted(found, key=str) == sorted([(None, None), (at(2), None), (None, at(3)), (at(2), at(3))], key=str)


def test_a_fix_without_a_time_was_there_when_the_alert_last_changed(github: FakeGitHub, shop: Repository) -> None:
    shop.alert(at=at(1), state="fixed", updated_at=at(9).isoformat())
    assert only_vulnerability(github).fixed_at == at(9)


def test_in_a_monorepo_it_belongs_to_the_service_whose_file_it_is_about(github: FakeGitHub, shop: Repository) -> None:
    shop.alert("dependabot", path="web/package.json", at=at(1))
    shop.alert("code-scanning", path="api/main.py", at=at(1))
    shop.alert("dependabot", path="package.json", at=at(1))
    found = read_alerts(github, services={"web": "web/**", "api": "api/**"}).vulnerabilities
    assert {identity: one.service for identity, one in found.items()} == {
        "github:dependabot:acme/shop#1": "web",
        "github:code-scanning:acme/shop#1": "api",
        "github:dependabot:acme/shop#2": None,
    }


def test_once_another_service_has_its_file_it_belongs_to_that(github: FakeGitHub, shop: Repository) -> None:
    shop.alert("dependabot", path="web/package.json", at=at(1))
    ledger = ledger_after({}, read_alerts(github, services={"web": "web/**", "api": "api/**"}))
    (moved,) = changed_facts(ledger, read_alerts(github, services={"site": "web/**"}).facts.values())
    assert moved.service == "site"


# Cost


def test_pages_of_a_hundred_are_read_once_and_then_only_what_has_changed(github: FakeGitHub, shop: Repository) -> None:
    made = [shop.alert(kind, at=at(number)) for number in range(250) for kind in ALL_KINDS]
    first = read_alerts(github)
    assert first.requests == 1 + 3 * 3
    assert len(first.vulnerabilities) == 750
    ledger = ledger_after({}, first)
    second = read_alerts(github, cursors=first.cursors)
    assert second.requests == 1 + 3
    assert changed_facts(ledger, second.vulnerabilities.values()) == ()
    assert alert_cursors(second) == alert_cursors(first)
    shop.fix(made[0], at=at(300))
    third = read_alerts(github, cursors=second.cursors)
    assert third.requests == 1 + 3
    assert [one.id for one in changed_facts(ledger, third.vulnerabilities.values())] == [
        "github:dependabot:acme/shop#1"
    ]


def test_more_changes_than_a_page_holds_are_all_read(github: FakeGitHub, shop: Repository) -> None:
    made = [shop.alert(at=at(number)) for number in range(250)]
    first = read_alerts(github)
    for number, alert in enumerate(made[:120]):
        shop.fix(alert, at=at(300 + number))
    found = read_alerts(github, cursors=first.cursors).vulnerabilities
    assert sum(1 for one in found.values() if one.fixed_at) == 120


def test_what_has_not_changed_since_is_not_read(github: FakeGitHub, shop: Repository) -> None:
    for number in range(1200):
        shop.alert(at=at(number))
    one = read_alerts(github, since=at(1150), security="dependabot")
    assert one.requests == 2
    assert len(one.vulnerabilities) == 50
    assert read_alerts(github, since=at(1150), security="dependabot", cursors=one.cursors).requests == 2


def test_an_old_one_that_was_fixed_lately_counts_from_its_detection(github: FakeGitHub, shop: Repository) -> None:
    shop.fix(shop.alert(at=at(0)), at=at(1000))
    assert only_vulnerability(github, since=at(900)).detected_at == at(0)


def test_a_limit_in_the_middle_keeps_what_there_is_and_the_next_reading_goes_on(
    github: FakeGitHub, shop: Repository
) -> None:
    for number in range(250):
        shop.alert(at=at(number))
    github.fail(primary_limit(), to="GET /repos/acme/shop/dependabot/alerts", times=None, skip=1)
    first = read_alerts(github, security="dependabot")
    assert [failure.kind for failure in first.gathered.failures] == ["dependabot"]
    assert len(first.vulnerabilities) == 100
    github.heal()
    second = read_alerts(github, security="dependabot", cursors=first.cursors)
    assert second.gathered.failures == []
    assert len({**first.vulnerabilities, **second.vulnerabilities}) == 250


def test_a_place_that_github_no_longer_knows_is_read_anew(github: FakeGitHub, shop: Repository) -> None:
    for number in range(250):
        shop.alert(at=at(number))
    github.fail(primary_limit(), to="GET /repos/acme/shop/dependabot/alerts", times=None, skip=1)
    cursors = read_alerts(github, security="dependabot").cursors
    github.heal()
    bad = {"message": "after is not a valid cursor"}
    github.fail(custom_answer(422, bad), to="GET /repos/acme/shop/dependabot/alerts", skip=1)
    assert len(read_alerts(github, security="dependabot", cursors=cursors).vulnerabilities) == 250


# Unknown alerts


def test_without_the_permission_they_are_unknown_and_nothing_is_lost(github: FakeGitHub, shop: Repository) -> None:
    shop.alert(at=at(1))
    shop.issue("Slow", labels=["incident"], created_at=at(4))
    token = github.grant(vulnerability_alerts="none")
    one = read_alerts(github, token=token, security="auto")
    assert one.vulnerabilities == {}
    assert one.gathered.failures == []
    assert len(one.incidents) == 1
    (refused,) = refused_kinds(one)
    assert refused == (
        "Dependabot alerts are unknown: GitHub answered 403, Resource not accessible by integration; "
        "the job needs `permissions: vulnerability-alerts: read`, or an app `Dependabot alerts: read`"
    )
    assert one.cursors["dependabot"].refused_at == NOW


def test_those_that_are_switched_off_are_unknown_too(github: FakeGitHub, shop: Repository) -> None:
    shop.disabled_alerts = DISABLED_ANSWERS
    one = read_alerts(github)
    assert [text.partition("answered ")[2].partition(";")[0] for text in refused_kinds(one)] == [
        "403, Dependabot alerts are disabled for this repository",
        "404, not found, or the token has no access to it (no analysis found)",
        "404, not found, or the token has no access to it (Secret scanning is disabled on this repository.)",
    ]


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("status", "told"),
    [
        (401, "401, the token is not valid (Gone)"),
        (403, "403, Gone"),
        (404, "404, not found, or the token has no access to it (Gone)"),
        (410, "410, not found, or the token has no access to it (Gone)"),
    ],
)
def test_the_reason_has_the_status_that_github_gave(github: FakeGitHub, status: int, told: str) -> None:
    github.fail(custom_answer(status, {"message": "Gone"}), to="GET *dependabot/alerts", times=None)
    assert read_alerts(github, security="auto").cursors["dependabot"].refused == told


def test_what_was_refused_is_asked_for_again_after_a_week_by_hand_or_by_name(
    github: FakeGitHub, shop: Repository
) -> None:
    shop.disabled_alerts = DISABLED_ANSWERS
    first = read_alerts(github, security="auto")
    assert first.requests == 2
    later = {"cursors": first.cursors, "security": "auto"}
    assert read_alerts(github, **later).requests == 1
    assert read_alerts(github, **later, now=NOW + WEEK - timedelta(seconds=1)).requests == 1
    assert read_alerts(github, **later, now=NOW + WEEK).requests == 2
    assert read_alerts(github, **later, event="workflow_dispatch").requests == 2
    assert read_alerts(github, **(later | {"security": "dependabot"})).requests == 2


def test_the_same_refusal_again_moves_nothing_until_a_week_has_passed(github: FakeGitHub, shop: Repository) -> None:
    shop.disabled_alerts = DISABLED_ANSWERS
    first = read_alerts(github)
    again = read_alerts(github, cursors=first.cursors, now=NOW + timedelta(days=1))
    assert alert_cursors(again) == alert_cursors(first)
    much_later = read_alerts(github, cursors=first.cursors, now=NOW + WEEK)
    assert much_later.cursors["dependabot"].refused_at == NOW + WEEK


def test_once_they_are_told_nothing_is_left_of_the_refusal(github: FakeGitHub, shop: Repository) -> None:
    shop.alert(at=at(1))
    first = read_alerts(github)
    shop.disabled_alerts = DISABLED_ANSWERS
    second = read_alerts(github, cursors=first.cursors)
    assert second.cursors["dependabot"].refused
    assert second.cursors["dependabot"].newest == at(1)
    shop.disabled_alerts = {}
    third = read_alerts(github, cursors=second.cursors)
    assert alert_cursors(third) == alert_cursors(first)


def test_no_answer_is_a_failure_as_of_every_kind(github: FakeGitHub, shop: Repository) -> None:
    shop.alert(at=at(1))
    github.fail(unavailable(502), to="GET /repos/acme/shop/dependabot/alerts", times=None)
    one = read_alerts(github, security="auto")
    assert [str(failure) for failure in one.gathered.failures] == [
        "GitHub did not return Dependabot alerts: GitHub answered 502; try again later"
    ]
    assert "dependabot" not in one.cursors


def test_none_are_read_where_none_are_wanted(github: FakeGitHub, shop: Repository) -> None:
    shop.alert(at=at(1))
    assert read_alerts(github, security="none").requests == 1
    assert github.requests_matching("GET *alerts*") == []
    read_alerts(github, security="auto")
    assert [logged.path for logged in github.requests_matching("GET *alerts*")] == [
        "/repos/acme/shop/dependabot/alerts"
    ]


# Bad input


def test_a_severity_that_nobody_knows_is_unknown_and_no_other(github: FakeGitHub, shop: Repository) -> None:
    for number, severity in enumerate(("moderate", "apocalyptic", "", None)):
        shop.alert(severity=severity, at=at(number))
    found = read_alerts(github).vulnerabilities
    assert [one.severity for one in sorted(found.values(), key=lambda one: one.id)] == ["medium", None, None, None]


def test_a_number_that_is_used_again_is_the_new_alert(github: FakeGitHub, shop: Repository) -> None:
    alert = shop.alert(subject="old", at=at(1))
    shop.fix(alert, at=at(2))
    first = read_alerts(github)
    shop.records.remove(alert)
    shop.alert(subject="new", at=at(500))
    (found,) = ledger_after(ledger_after({}, first), read_alerts(github, cursors=first.cursors)).values()
    assert isinstance(found, Vulnerability)
    assert (found.package, found.detected_at, found.fixed_at) == ("new", at(500), None)


@pytest.mark.parametrize(
    "broken",
    [
        {"number": None},
        {"number": "1"},
        {"number": -1},
        {"created_at": None},
        {"created_at": "yesterday"},
        {"updated_at": "0001-01-01T00:00:00Z"},
        {"fixed_at": 5},
        {"dependency": "left-pad"},
        {"security_vulnerability": []},
    ],
)
def test_an_alert_that_cannot_be_read_is_told_and_stops_no_other(
    github: FakeGitHub, shop: Repository, broken: dict[str, Any]
) -> None:
    shop.alert(at=at(1), **broken)
    shop.alert(at=at(2))
    one = read_alerts(github)
    assert len(one.vulnerabilities) == 1
    assert "1 of the Dependabot alerts of acme/shop cannot be read (" in notes_of_all_runs(one)


@pytest.mark.parametrize("body", [{"alerts": []}, "hello", None, 5])
def test_an_answer_that_is_no_list_is_a_failure(github: FakeGitHub, shop: Repository, body: object) -> None:
    shop.alert(at=at(1))
    github.fail(custom_answer(200, body), to="GET *dependabot/alerts", times=None)
    one = read_alerts(github)
    assert [failure.kind for failure in one.gathered.failures] == ["dependabot"]
    assert one.vulnerabilities == {}


@pytest.mark.parametrize("body", [[None], ["x"], [[]], [{}], [5]])
def test_a_list_of_anything_else_is_told(github: FakeGitHub, shop: Repository, body: object) -> None:
    shop.alert(at=at(1))
    github.fail(custom_answer(200, body), to="GET *alerts", times=None)
    one = read_alerts(github)
    assert one.vulnerabilities == {}
    assert "1 of the secret scanning alerts of acme/shop cannot be read" in notes_of_all_runs(one)


def test_those_that_cannot_be_read_are_remembered_until_they_can(github: FakeGitHub, shop: Repository) -> None:
    broken = [shop.alert(at=at(number), created_at="yesterday") for number in (0, 1)]
    for number in range(2, 252):
        shop.alert(at=at(number))
    first = read_alerts(github, security="dependabot")
    assert "2 of the Dependabot alerts of acme/shop cannot be read (created_at" in notes_of_all_runs(first)
    second = read_alerts(github, security="dependabot", cursors=first.cursors)
    assert second.requests == 2
    assert notes_of_all_runs(second) == notes_of_all_runs(first)
    shop.fix(broken[0], at=at(300))
    del broken[0].extra["created_at"]
    third = read_alerts(github, security="dependabot", cursors=second.cursors)
    assert "1 of the Dependabot alerts of acme/shop cannot be read" in notes_of_all_runs(third)
    del broken[1].extra["created_at"]
    by_hand = read_alerts(github, security="dependabot", cursors=third.cursors, event="workflow_dispatch")
    assert notes_of_all_runs(by_hand) == ""
    assert "github:dependabot:acme/shop#2" in by_hand.vulnerabilities
    assert by_hand.requests == 1 + 3


def test_those_without_a_number_are_counted_by_each_reading_anew(github: FakeGitHub, shop: Repository) -> None:
    made = [shop.alert(at=at(hour), number=None) for hour in (1, 2)]
    first = read_alerts(github, security="dependabot")
    assert "2 of the Dependabot alerts" in notes_of_all_runs(first)
    made[0].extra.clear()
    assert "1 of the Dependabot alerts" in notes_of_all_runs(
        read_alerts(github, security="dependabot", cursors=first.cursors)
    )


def test_texts_are_bounded_and_without_control_characters_of_stores(github: FakeGitHub, shop: Repository) -> None:
    shop.alert(subject="\0" + "x" * 5000, at=at(1), html_url="javascript:alert(1)")
    found = only_vulnerability(github)
    assert found.package == "x" * 300
    assert found.url is None


@pytest.mark.parametrize(
    "link",
    [
        '<http://evil.example/?after=x&hide_secret=false>; rel="prev"',
        "<no address>; rel=next",
        '<?>; rel="next"',
        "rel=next",
    ],
)
def test_a_link_that_leads_nowhere_ends_the_list(github: FakeGitHub, shop: Repository, link: str) -> None:
    shop.alert("secret-scanning", at=at(1))
    github.fail(custom_answer(200, [], {"Link": link}), to="GET *alerts", times=None)
    assert read_alerts(github).requests == 4


def test_a_link_to_another_host_is_followed_on_github_and_with_our_parameters(
    github: FakeGitHub, shop: Repository
) -> None:
    for number in range(3):
        shop.alert("secret-scanning", at=at(number))
    away = {"Link": '<http://evil.example/x?page=2&hide_secret=false&per_page=1>; rel="next"'}
    github.fail(custom_answer(200, [], away), to="GET *secret-scanning/alerts")
    assert len(read_alerts(github, security="secret-scanning").vulnerabilities) == 3
    assert github.state.revealed_secrets == 0


def test_a_list_that_never_ends_is_left_at_the_place_that_comes_twice(github: FakeGitHub, shop: Repository) -> None:
    shop.alert(at=at(1))
    endless = {"Link": '<https://api.github.com/x?after=same>; rel="next"'}
    github.fail(custom_answer(200, [], endless), to="GET *dependabot/alerts", times=None)
    assert read_alerts(github, security="dependabot").requests == 3

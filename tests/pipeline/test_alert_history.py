"""`sync` reads the alerts of a Prometheus as incidents. What it cannot read is unread, never "no incidents"."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from dora_metrics.core.alertmanager import fingerprint_of
from dora_metrics.runtime import HttpLimits
from fakes.github import FakeGitHub
from fakes.prometheus import FakePrometheus
from support.alerted_shop import TOKEN, AlertedShop, alert
from support.runs import NOW, ActionRun
from support.servers import Answer, Listener, dripping, flooding, free_port, listen, listening

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
UNREAD = "are unread, which does not mean that there were none"


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub(now=lambda: NOW) as made:
        made.repository("acme/shop").commit({"README.md": "shop"}, message="Begin")
        yield made


@pytest.fixture
def prometheus() -> Iterator[FakePrometheus]:
    with listening(FakePrometheus()) as made:
        yield made


@pytest.fixture
def shop(github: FakeGitHub, prometheus: FakePrometheus, tmp_path: Path) -> AlertedShop:
    return AlertedShop(github, tmp_path, prometheus.url)


def times(shop: AlertedShop) -> list[tuple[object, object]]:
    return sorted((each["detected_at"], each["resolved_at"]) for each in shop.incidents().values())


def text(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def cursor(shop: AlertedShop) -> dict[str, object]:
    cursors = json.loads((shop.folder / "ledger" / "cursors.json").read_text("utf-8"))
    (found,) = cursors["prometheus"].values()
    result: dict[str, object] = found
    return result


class TestReading:
    def test_an_alert_that_fired_is_an_incident(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        begin = NOW - 5 * DAY + timedelta(milliseconds=821)
        prometheus.fire(begin, begin + HOUR, severity="page", service="till", environment="production", version="v1.4")
        ran = shop.sync(strict="true")
        assert ran.code == 0, ran.log
        (incident,) = shop.incidents().values()
        assert str(incident["id"]).endswith(":2026-11-16T12:00:00.821Z")
        assert (incident["detected_at"], incident["resolved_at"]) == (text(begin), text(begin + HOUR))
        assert (incident["severity"], incident["service"], incident["deployment"]) == ("high", "till", "v1.4")
        assert (incident["title"], incident["source"], incident["repository"]) == (
            "ShopDown",
            "alertmanager",
            "acme/shop",
        )
        assert "1 incident from alerts added or updated" in ran.summary
        assert "the selected alerts fired 1 time since 2026-08-23" in ran.summary

    def test_only_the_selected_alerts_are_asked_for(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        shop.sync(incident_alerts='team="shop", severity=~"critical|page"')
        selector = 'ALERTS{alertstate="firing",team="shop", severity=~"critical|page"}'
        assert {query.partition("[")[0] for query in prometheus.queries} == {selector}

    def test_the_first_sync_reads_ninety_days_day_by_day(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        shop.sync()
        assert [query.rpartition("[")[2] for query in prometheus.queries] == ["1d]"] * 90

    def test_since_shortens_that(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        shop.sync(since="3d")
        assert len(prometheus.queries) == 3

    def test_longer_histories_are_not_read(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        shop.sync(since="all")
        assert len(prometheus.queries) == 90

    def test_the_next_sync_begins_a_day_before_the_last_one(
        self, shop: AlertedShop, prometheus: FakePrometheus
    ) -> None:
        shop.sync()
        before = len(prometheus.queries)
        shop.sync(now=NOW + 6 * HOUR)
        assert [query.rpartition("[")[2] for query in prometheus.queries[before:]] == ["1d]", "21600s]"]

    def test_other_matchers_begin_again(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        shop.sync()
        before = len(prometheus.queries)
        shop.sync(incident_alerts='team="shop"')
        assert len(prometheus.queries) - before == 90

    def test_an_alert_that_fires_for_forty_days_is_one_incident(
        self, shop: AlertedShop, prometheus: FakePrometheus
    ) -> None:
        prometheus.interval = 5 * MINUTE
        prometheus.fire(NOW - 40 * DAY, NOW + 30 * DAY)
        shop.sync()
        assert times(shop) == [(text(NOW - 40 * DAY), None)]
        for days in (1, 9, 29):
            shop.sync(now=NOW + days * DAY)
            assert times(shop) == [(text(NOW - 40 * DAY), None)]
        shop.sync(now=NOW + 31 * DAY)
        assert times(shop) == [(text(NOW - 40 * DAY), text(NOW + 30 * DAY))]

    def test_one_that_ends_between_two_syncs_gets_its_end(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        prometheus.fire(NOW - HOUR, NOW + HOUR)
        shop.sync()
        assert times(shop) == [(text(NOW - HOUR), None)]
        shop.sync(now=NOW + HOUR + timedelta(seconds=1))
        assert times(shop) == [(text(NOW - HOUR), text(NOW + HOUR))]

    def test_an_alert_does_not_end_because_the_clock_of_prometheus_is_behind(
        self, shop: AlertedShop, prometheus: FakePrometheus
    ) -> None:
        """It knows no samples of the last minutes, as this run counts them, because they are still to come."""
        prometheus.clock = NOW - 6 * MINUTE
        prometheus.fire(NOW - HOUR, NOW - 6 * MINUTE).ends_ms.clear()
        shop.sync()
        assert times(shop) == [(text(NOW - HOUR), None)]
        assert cursor(shop)["newest"] == text(NOW - 6 * MINUTE + timedelta(seconds=1))

    def test_a_restart_of_prometheus_is_not_two_incidents(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        prometheus.fire(NOW - 3 * HOUR, NOW - HOUR, missing=[(NOW - 2 * HOUR, NOW - 2 * HOUR + 5 * MINUTE)])
        shop.sync()
        assert times(shop) == [(text(NOW - 3 * HOUR), text(NOW - HOUR))]

    def test_an_alert_that_fires_again_after_a_minute_is(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        prometheus.fire(NOW - 3 * HOUR, NOW - 2 * HOUR)
        prometheus.fire(NOW - 2 * HOUR + MINUTE, NOW - HOUR)
        shop.sync()
        assert times(shop) == [
            (text(NOW - 3 * HOUR), text(NOW - 2 * HOUR)),
            (text(NOW - 2 * HOUR + MINUTE), text(NOW - HOUR)),
        ]

    def test_a_service_without_rules_is_read_as_well(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        prometheus.knows_rules = False
        prometheus.fire(NOW - 3 * HOUR, NOW - HOUR)
        assert shop.sync(strict="true").code == 0
        assert times(shop) == [(text(NOW - 3 * HOUR), text(NOW - HOUR))]

    def test_a_second_sync_records_nothing(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        prometheus.fire(NOW - 3 * HOUR, NOW - 2 * HOUR)
        prometheus.fire(NOW - HOUR, NOW + HOUR, service="till")
        shop.sync()
        before = (shop.folder / "ledger" / "facts").glob("**/*")
        contents = {path: path.read_bytes() for path in before if path.is_file()}
        shop.sync(now=NOW + MINUTE)
        assert {path: path.read_bytes() for path in contents} == contents

    def test_without_a_prometheus_nothing_is_asked(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        assert shop.sync(prometheus_url="", prometheus_token="").code == 0
        assert prometheus.queries == []


class TestWhichAlerts:
    def test_alerts_about_the_metrics_are_never_incidents(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        prometheus.fire(NOW - 3 * HOUR, NOW - 2 * HOUR, alertname="DoraRecoverySlow")
        ran = shop.sync()
        assert shop.incidents() == {}
        assert "begins with `Dora`" in ran.summary

    def test_alerts_of_another_repository_are_not_recorded(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        prometheus.fire(NOW - 3 * HOUR, NOW - 2 * HOUR, repository="acme/pay")
        prometheus.fire(NOW - 3 * HOUR, NOW - 2 * HOUR, repository="acme/shop")
        ran = shop.sync()
        assert {incident["repository"] for incident in shop.incidents().values()} == {"acme/shop"}
        assert "Alerts not recorded: 1, because their label" in ran.summary

    def test_a_sync_of_several_repositories_records_them(
        self, shop: AlertedShop, prometheus: FakePrometheus, github: FakeGitHub
    ) -> None:
        github.repository("acme/pay").commit({"README.md": "pay"}, message="Begin")
        prometheus.fire(NOW - 3 * HOUR, NOW - 2 * HOUR, repository="acme/pay")
        shop.sync(repositories="acme/*")
        assert {incident["repository"] for incident in shop.incidents().values()} == {"acme/pay"}

    def test_alerts_of_other_shards_are_counted_and_recorded_there(
        self, shop: AlertedShop, prometheus: FakePrometheus
    ) -> None:
        """acme/pay is in shard 1 of 10, and acme/shop, to which an alert without a label belongs, in shard 6."""
        prometheus.fire(NOW - 3 * HOUR, NOW - 2 * HOUR, repository="acme/pay")
        prometheus.fire(NOW - 3 * HOUR, NOW - 2 * HOUR)
        for number in (1, 6):
            ran = shop.sync(repositories="acme/*", shard=f"{number}/10")
            note = "Alerts not recorded: 1, because they are of repositories in other shards, which record them."
            assert note in ran.summary
        assert {each["repository"] for each in shop.incidents().values()} == {"acme/pay", "acme/shop"}


class TestBothWays:
    def test_a_notification_and_a_sync_are_one_incident(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        series = prometheus.fire(NOW - 2 * HOUR, NOW - HOUR)
        own = {"labels": series.labels, "fingerprint": None, "startsAt": text(NOW - 2 * HOUR)}
        shop.dispatch(alert(**own))
        shop.sync()
        (incident,) = shop.incidents().values()
        assert (incident["title"], incident["resolved_at"]) == ("The shop is down", text(NOW - HOUR))

    @pytest.mark.parametrize("order", ["notification first", "sync first"])
    def test_the_order_makes_no_difference(self, shop: AlertedShop, prometheus: FakePrometheus, order: str) -> None:
        series = prometheus.fire(NOW - 2 * HOUR, NOW - HOUR)
        own = {"labels": series.labels, "fingerprint": None, "startsAt": text(NOW - 2 * HOUR)}
        if order == "sync first":
            shop.sync()
        summary = {"summary": "A shop is down"}  # before the alert's name in the order of the alphabet
        shop.dispatch(alert(status="resolved", endsAt=text(NOW - HOUR), annotations=summary, **own))
        if order == "notification first":
            shop.sync()
        (incident,) = shop.incidents().values()
        assert (incident["title"], incident["resolved_at"]) == ("A shop is down", text(NOW - HOUR))

    def test_a_late_notification_does_not_open_it_again(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        series = prometheus.fire(NOW - 2 * HOUR, NOW - HOUR)
        shop.sync()
        ran = shop.dispatch(alert(labels=series.labels, fingerprint=None, startsAt=text(NOW - 2 * HOUR)))
        assert times(shop) == [(text(NOW - 2 * HOUR), text(NOW - HOUR))]
        assert "The ledger already has this" in ran.summary
        assert "Incident resolved after 1 h" in ran.summary

    def test_alertmanagers_start_is_kept_where_a_sync_sees_a_later_one(
        self, shop: AlertedShop, prometheus: FakePrometheus
    ) -> None:
        """As of an alert that began before the history that Prometheus keeps."""
        series = prometheus.fire(NOW - 2 * HOUR, NOW - HOUR)
        shop.dispatch(alert(labels=series.labels, fingerprint=None, startsAt=text(NOW - 9 * DAY)))
        shop.sync()
        assert times(shop) == [(text(NOW - 9 * DAY), text(NOW - HOUR))]

    def test_occurrences_that_alertmanager_told_apart_stay_apart(
        self, shop: AlertedShop, prometheus: FakePrometheus
    ) -> None:
        """It took an outage for the end of the alert."""
        gap = (NOW - 2 * HOUR, NOW - 2 * HOUR + 5 * MINUTE)
        series = prometheus.fire(NOW - 3 * HOUR, NOW - HOUR, missing=[gap])
        own = {"labels": series.labels, "fingerprint": None}
        shop.dispatch(alert(startsAt=text(NOW - 3 * HOUR), status="resolved", endsAt=text(gap[0] + 4 * MINUTE), **own))
        shop.dispatch(alert(startsAt=text(gap[1]), **own))
        shop.sync()
        assert times(shop) == [
            (text(NOW - 3 * HOUR), text(gap[0] + 4 * MINUTE)),
            (text(gap[1]), text(NOW - HOUR)),
        ]

    def test_what_a_person_withdrew_stays_withdrawn(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        series = prometheus.fire(NOW - 2 * HOUR, NOW - HOUR)
        own = {"labels": series.labels, "fingerprint": None, "startsAt": text(NOW - 2 * HOUR)}
        shop.dispatch(alert(**own))
        (fact_id,) = shop.incidents()
        withdrawal = {"id": fact_id, "detected_at": text(NOW - 2 * HOUR), "retracted": True}
        shop.dispatch_payload({**withdrawal, "observed_at": text(NOW - 90 * MINUTE)})
        shop.dispatch(alert(status="resolved", endsAt=text(NOW - HOUR), **own))
        assert [incident["retracted"] for incident in shop.incidents().values()] == [True]
        shop.sync()
        assert [incident["retracted"] for incident in shop.incidents().values()] == [True]

    def test_the_deployment_that_a_person_named_stays(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        series = prometheus.fire(NOW - 2 * HOUR, NOW - HOUR)
        own = {"labels": series.labels, "fingerprint": None, "startsAt": text(NOW - 2 * HOUR)}
        shop.dispatch(alert(**own))
        (fact_id,) = shop.incidents()
        correction = {"id": fact_id, "detected_at": text(NOW - 2 * HOUR), "deployment": "v1.4"}
        shop.dispatch_payload({**correction, "observed_at": text(NOW - 90 * MINUTE)})
        shop.dispatch(alert(status="resolved", endsAt=text(NOW - HOUR), **own))
        shop.sync()
        (incident,) = shop.incidents().values()
        assert (incident["deployment"], incident["resolved_at"]) == ("v1.4", text(NOW - HOUR))

    @pytest.mark.parametrize("order", ["correction first", "notification first"])
    def test_a_corrected_alert_has_the_beginning_and_the_end_that_a_sync_reads(
        self, shop: AlertedShop, prometheus: FakePrometheus, order: str
    ) -> None:
        series = prometheus.fire(NOW - 2 * HOUR, NOW - HOUR)
        start = text(NOW - 2 * HOUR)
        fact_id = f"alertmanager:{fingerprint_of(series.labels)}:{start}"
        if order == "notification first":
            shop.dispatch(alert(labels=series.labels, fingerprint=None, startsAt=start))
        for correction in ({"severity": "low"}, {"deployment": "v1.4"}):
            shop.dispatch_payload({"id": fact_id, **correction})
        shop.sync()
        (incident,) = shop.incidents().values()
        assert (incident["detected_at"], incident["resolved_at"]) == (start, text(NOW - HOUR))
        assert (incident["severity"], incident["deployment"]) == ("low", "v1.4")


def vector_of(*results: object) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": results}}).encode()


BAD_ANSWERS = {
    "redirect": (Answer(302, headers={"Location": "https://elsewhere.example/"}), "HTTP 302: it redirects"),
    "refused query": (Answer(400), "HTTP 400: it does not accept the query; check `incident-alerts`"),
    "no token": (Answer(401), "HTTP 401: `prometheus-token` is missing or wrong"),
    "forbidden": (Answer(403), "HTTP 403: `prometheus-token` does not allow queries"),
    "not found": (Answer(404), "HTTP 404: it has no API at this address"),
    "too many samples": (Answer(422), "its answer is too large, also that for a short time"),
    "overloaded": (Answer(503), "HTTP 503: it has a problem"),
    "page": (Answer(200, b"<html><title>Sign in</title></html>"), "its answer is not that of Prometheus"),
    "no JSON": (Answer(200, b"{"), "its answer is not that of Prometheus"),
    "empty": (Answer(200), "its answer is not that of Prometheus"),
    "not UTF-8": (Answer(200, b'{"status": "\xff"}'), "its answer is not that of Prometheus"),
    "error": (Answer(200, b'{"status": "error", "error": "x"}'), "its answer is not that of Prometheus"),
    "vector": (Answer(200, vector_of()), "its answer is not that of Prometheus"),
    "list": (Answer(200, b"[]"), "its answer is not that of Prometheus"),
    "deep": (Answer(200, b"[" * 100_000), "its answer is not that of Prometheus"),
    "warning": (
        Answer(200, b'{"status":"success","warnings":["x"],"data":{"resultType":"matrix","result":[]}}'),
        "it answers with a warning, so a part of its data may be missing",
    ),
    "labels that are numbers": (
        Answer(200, b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":1},"values":[]}]}}'),
        "its answer is not that of Prometheus",
    ),
    "cut": (Answer(200, b'{"status"', {"Content-Length": "9000"}), "the answer is cut off"),
    "dropped": (Answer(drop=True), "the connection closed before an answer"),
    "silent": (Answer(hang=True), "it does not answer in time"),
}


class TestUnread:
    @pytest.mark.parametrize("name", BAD_ANSWERS)
    def test_an_answer_that_cannot_be_used_is_named(self, github: FakeGitHub, tmp_path: Path, name: str) -> None:
        answer, problem = BAD_ANSWERS[name]
        with listen(answer) as listener:
            ran = AlertedShop(github, tmp_path, listener.url).sync(strict="true")
        assert ran.code == 1
        assert f"alerts after 2026-08-23 12:00 UTC {UNREAD}: {problem}" in ran.log
        assert TOKEN not in ran.log + ran.summary

    def test_without_strict_it_is_a_warning(self, github: FakeGitHub, tmp_path: Path) -> None:
        with listen(Answer(503)) as listener:
            ran = AlertedShop(github, tmp_path, listener.url).sync()
        assert ran.code == 0
        assert UNREAD in ran.log

    def test_a_server_that_is_not_there_is_named(self, github: FakeGitHub, tmp_path: Path) -> None:
        ran = AlertedShop(github, tmp_path, f"http://127.0.0.1:{free_port()}").sync()
        assert f"{UNREAD}: there is no connection" in ran.log

    def test_an_answer_that_drips_is_cut_off(self, github: FakeGitHub, tmp_path: Path) -> None:
        with dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", b" ") as url:
            ran = AlertedShop(github, tmp_path, url).sync()
        assert f"{UNREAD}: its answers take too long" in ran.log

    def test_a_flood_is_cut_off(self, github: FakeGitHub, tmp_path: Path) -> None:
        with flooding(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b" " * 1_000_000) as flood:
            ran = AlertedShop(github, tmp_path, flood.url).sync()
        assert UNREAD in ran.log

    def test_a_note_says_so_until_they_are_read(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        prometheus.fire(NOW - 3 * HOUR, NOW - 2 * HOUR)
        prometheus.answers = [Answer(403)]
        note = "The alerts in the Prometheus of acme/shop are unread since the beginning"
        assert note in shop.sync().summary
        deployed = shop.dispatch_payload({"id": "pager-1", "title": "Down"})
        assert note not in deployed.summary, "this run has no `incident-alerts`"
        assert note in shop.sync(prometheus_url="").summary
        assert note not in shop.sync().summary
        assert len(shop.incidents()) == 2

    def test_what_was_read_before_a_failure_is_recorded(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        """The next sync goes on a day before the end of that."""
        empty = Answer(200, b'{"status":"success","data":{"resultType":"matrix","result":[]}}')
        prometheus.answers = [*[empty] * 40, Answer(403)]
        ran = shop.sync()
        assert f"alerts after 2026-10-02 12:00 UTC {UNREAD}" in ran.log
        assert cursor(shop)["newest"] == text(NOW - 50 * DAY)
        before = len(prometheus.queries)
        shop.sync()
        assert len(prometheus.queries) - before == 51

    def test_an_alert_that_fires_where_the_reading_stopped_stays_open_until_it_is_read(
        self, shop: AlertedShop, prometheus: FakePrometheus
    ) -> None:
        prometheus.interval = MINUTE
        prometheus.fire(NOW - 3 * DAY, NOW - HOUR)
        shop.sync(since="4d", now=NOW - 2 * DAY)
        assert times(shop) == [(text(NOW - 3 * DAY), None)]
        prometheus.answers = [Answer(403)]
        shop.sync()
        assert times(shop) == [(text(NOW - 3 * DAY), None)]
        shop.sync()
        assert times(shop) == [(text(NOW - 3 * DAY), text(NOW - HOUR))]

    def test_without_an_answer_about_missing_samples_the_reading_ends_before_two_incidents_become_one(
        self, shop: AlertedShop, prometheus: FakePrometheus
    ) -> None:
        begin = NOW - 3 * HOUR
        first, second = (begin, begin + HOUR), (begin + HOUR + 2 * MINUTE, begin + 2 * HOUR)
        prometheus.fire(*first)
        prometheus.fire(*second)
        prometheus.answers_about_a_time = [Answer(403)]
        assert UNREAD in shop.sync().log
        shop.sync(strict="true")
        assert times(shop) == [(text(start), text(end)) for start, end in (first, second)]

    def test_without_an_answer_about_now_an_incident_stays_open_until_the_next_sync(
        self, shop: AlertedShop, prometheus: FakePrometheus
    ) -> None:
        prometheus.fire(NOW - HOUR, NOW - MINUTE)
        prometheus.answers_about_a_time = [Answer(403)]
        assert shop.sync(strict="true").code == 0
        assert times(shop) == [(text(NOW - HOUR), None)]
        shop.sync()
        assert times(shop) == [(text(NOW - HOUR), text(NOW - MINUTE))]

    def test_a_failure_after_a_success_keeps_the_place(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        shop.sync()
        prometheus.answers = [Answer(403)]
        ran = shop.sync(now=NOW + DAY)
        assert cursor(shop)["newest"] == text(NOW)
        assert "are unread since 2026-11-21 12:00 UTC" in ran.summary

    def test_a_short_refusal_is_asked_again(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        prometheus.fire(NOW - 3 * HOUR, NOW - 2 * HOUR)
        prometheus.answers = [Answer(503)]
        assert shop.sync(strict="true").code == 0
        assert len(shop.incidents()) == 1

    @pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 -1400", "1"])
    def test_a_date_that_cannot_be_counts_as_none(
        self, shop: AlertedShop, prometheus: FakePrometheus, date: str
    ) -> None:
        prometheus.fire(NOW - 3 * HOUR, NOW - 2 * HOUR)
        prometheus.date = date
        assert shop.sync(strict="true").code == 0
        assert len(shop.incidents()) == 1


class TestSize:
    def test_more_alerts_than_anybody_means_end_the_reading(
        self, shop: AlertedShop, prometheus: FakePrometheus
    ) -> None:
        begin = NOW - 60 * HOUR
        for number in range(10_001):
            prometheus.fire(begin, begin + timedelta(seconds=15), pod=str(number))
        prometheus.fire(NOW - HOUR, NOW - 2 * MINUTE, pod="later")
        ran = shop.sync(since="3d")
        assert f"{UNREAD}: the selected alerts fired more than 10,000 times until then" in ran.log
        assert len(shop.incidents()) == 10_001

    def test_a_range_with_too_many_samples_is_read_in_halves(
        self, shop: AlertedShop, prometheus: FakePrometheus
    ) -> None:
        prometheus.fire(NOW - 3 * HOUR, NOW - 2 * HOUR)
        prometheus.answers = [Answer(422), Answer(422)]
        assert shop.sync(since="1d", strict="true").code == 0
        assert [query.rpartition("[")[2] for query in prometheus.queries[:4]] == [
            "1d]",
            "43200s]",
            "21600s]",
            "43200s]",
        ]
        assert len(shop.incidents()) == 1

    def test_a_range_that_is_answered_too_late_is_read_in_halves_from_then_on(
        self, shop: AlertedShop, prometheus: FakePrometheus
    ) -> None:
        prometheus.fire(NOW - 3 * HOUR, NOW - 2 * HOUR)
        prometheus.answers = [Answer(hang=True), Answer(hang=True)]
        assert shop.sync(since="1d", strict="true").code == 0
        lengths = [query.rpartition("[")[2] for query in prometheus.queries if "[" in query]
        assert lengths == ["1d]", "43200s]", *4 * ["21600s]"]]
        assert len(shop.incidents()) == 1

    def test_four_hundred_thousand_samples_are_read(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        """They are more than one answer may have."""
        prometheus.interval = timedelta(seconds=5)
        for number in range(24):
            prometheus.fire(NOW - DAY + number * MINUTE, NOW - HOUR, pod=f"shop-{number}")
        assert sum(len(series.times_ms) for series in prometheus.series) > 390_000
        ran = shop.sync(since="1d", strict="true", limits=HttpLimits())
        assert ran.code == 0, ran.log
        assert len(shop.incidents()) == 24
        assert [query.rpartition("[")[2] for query in prometheus.queries[:2]] == ["1d]", "43200s]"]


class TestAccess:
    def test_the_token_goes_to_prometheus(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        shop.sync()
        assert prometheus.listener
        assert {request.headers["Authorization"] for request in prometheus.listener.requests} == {f"Bearer {TOKEN}"}

    @pytest.mark.parametrize("suffix", ["", "/", "/api/v1", "/api/v1/"])
    def test_the_address_may_name_the_api(self, shop: AlertedShop, prometheus: FakePrometheus, suffix: str) -> None:
        shop.prometheus_url += f"/prefix{suffix}"
        shop.sync(since="1d")
        assert prometheus.listener
        assert {request.path.partition("?")[0] for request in prometheus.listener.requests} == {"/prefix/api/v1/query"}

    def test_parameters_of_the_address_stay(self, shop: AlertedShop, prometheus: FakePrometheus) -> None:
        shop.prometheus_url += "/?tenant=shop"
        shop.sync(since="1d")
        assert prometheus.listener
        assert all("?tenant=shop&query=" in request.path for request in prometheus.listener.requests)

    def test_a_redirect_gets_no_request(self, github: FakeGitHub, tmp_path: Path) -> None:
        with listen() as elsewhere, listen(Answer(307, headers={"Location": elsewhere.url})) as listener:
            AlertedShop(github, tmp_path, listener.url).sync()
            assert elsewhere.requests == []

    def test_a_run_for_a_pull_request_from_a_fork_reads_no_alerts(
        self, shop: AlertedShop, prometheus: FakePrometheus
    ) -> None:
        ran = pull_request_run(shop)
        assert "a run for a pull request from a fork reads no alerts" in ran.summary
        assert prometheus.queries == []


def pull_request_run(shop: AlertedShop) -> ActionRun:
    payload = {"action": "opened", "pull_request": {"head": {"repo": {"full_name": "stranger/shop"}}}}
    return shop.run("pull_request", payload, mode="sync")


def test_a_page_of_answers_is_one_listener(github: FakeGitHub, tmp_path: Path) -> None:
    """A prepared answer stands for all queries: nothing is counted twice."""
    sample = {"metric": {"alertname": "ShopDown", "dora_incident": "true"}, "values": [[NOW.timestamp() - 7200, "1"]]}
    body = {"status": "success", "data": {"resultType": "matrix", "result": [sample]}}
    with listen(Answer(200, json.dumps(body).encode())) as listener:
        shop = AlertedShop(github, tmp_path, listener.url)
        shop.sync(strict="true")
        assert times(shop) == [(text(NOW - 2 * HOUR), text(NOW - 2 * HOUR + MINUTE))]
        assert_nothing_else_was_asked(listener)


def assert_nothing_else_was_asked(listener: Listener) -> None:
    assert {request.path.partition("?")[0] for request in listener.requests} <= {"/api/v1/query", "/api/v1/rules"}

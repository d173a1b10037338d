"""`sync` reads the incidents of other systems. What it cannot read is unread, never "no incidents"."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

from dora_metrics.runtime import HttpLimits
from fakes.github import FakeGitHub
from fakes.incident_systems import (
    PLAIN_FIELDS,
    TOKEN,
    USER,
    FakeCapped,
    FakeIncidentIo,
    FakeJira,
    FakeLinked,
    FakePagerDuty,
    FakeSingle,
    FakeStatuspage,
    FakeSystem,
    answer_json,
)
from support.incident_shop import DAY, HOUR, UNREAD, IncidentShop, incident_io, jira, pagerduty, statuspage, text
from support.runs import FAST_LIMITS, NOW, run_action
from support.servers import Answer, dripping, flooding, listen, listening

MINUTE = timedelta(minutes=1)
System = TypeVar("System", bound=FakeSystem)
Start = Callable[[System], System]
NO_LIST = "its answer has no list at 'incidents'"


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub(now=lambda: NOW) as made:
        made.repository("acme/shop").commit({"README.md": "shop"}, message="Begin")
        yield made


@pytest.fixture
def shop(github: FakeGitHub, tmp_path: Path) -> IncidentShop:
    return IncidentShop(github, tmp_path)


@pytest.fixture
def start() -> Iterator[Callable[[FakeSystem], FakeSystem]]:
    with ExitStack() as stack:
        yield lambda system: stack.enter_context(listening(system))


@pytest.fixture
def duty() -> Iterator[FakePagerDuty]:
    with listening(FakePagerDuty()) as system:
        yield system


def linked(fake: FakeSystem, **more: object) -> dict[str, object]:
    return {
        "system": "custom",
        "name": "pager",
        "url": f"{fake.url}/api/incidents",
        "page": {"link": "next"},
        "each": "data",
        "fields": PLAIN_FIELDS,
        "services": {"Checkout": {"service": "checkout"}},
        **more,
    }


def single(fake: FakeSystem, **more: object) -> dict[str, object]:
    return linked(fake, page={}, **more)


def three_incidents(fake: FakeSystem) -> None:
    fake.add("A1", NOW - 30 * DAY, NOW - 30 * DAY + HOUR)
    fake.add("A2", NOW - 5 * DAY, NOW - 4 * DAY)
    fake.add("A3", NOW - 2 * HOUR)


class SystemCase(NamedTuple):
    """A kind of system, its settings, and the line with its token."""

    kind: type[FakeSystem]
    settings: Callable[[FakeSystem], dict[str, object]]
    name: str
    token: str = TOKEN

    @property
    def tokens(self) -> str:
        return f"{self.name}: {self.token}"


PAGERDUTY_CASE = SystemCase(FakePagerDuty, pagerduty, "pagerduty")
JIRA_CASE = SystemCase(FakeJira, jira, "jira", f"{USER}:{TOKEN}")
CASES = [
    PAGERDUTY_CASE,
    JIRA_CASE,
    SystemCase(FakeIncidentIo, incident_io, "incident-io"),
    SystemCase(FakeStatuspage, statuspage, "statuspage"),
    SystemCase(FakeLinked, linked, "pager"),
    SystemCase(FakeSingle, single, "pager"),
]
each_system = pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind.__name__)


class TestEverySystem:
    @each_system
    def test_the_same_incidents_come_out_of_every_way_of_paging(
        self, shop: IncidentShop, start: Start[FakeSystem], case: SystemCase
    ) -> None:
        fake, name = start(case.kind()), case.name
        three_incidents(fake)
        ran = shop.sync(case.settings(fake), tokens=case.tokens, strict="true")
        assert ran.code == 0, ran.log
        assert shop.times() == [
            (f"{name}:A1", text(NOW - 30 * DAY), text(NOW - 30 * DAY + HOUR)),
            (f"{name}:A2", text(NOW - 5 * DAY), text(NOW - 4 * DAY)),
            (f"{name}:A3", text(NOW - 2 * HOUR), None),
        ]
        incident = shop.incidents()[f"{name}:A2"]
        assert (incident["source"], incident["observed_at"]) == (name, text(NOW - 4 * DAY))
        assert (incident["repository"], incident["title"], incident["severity"]) == (
            "acme/shop",
            "The shop is down",
            "critical",
        )

    @each_system
    def test_a_quiet_second_sync_sends_at_most_two_requests_and_records_nothing(
        self, shop: IncidentShop, start: Start[FakeSystem], case: SystemCase
    ) -> None:
        fake, name = start(case.kind()), case.name
        three_incidents(fake)
        if isinstance(fake, FakeLinked):
            fake.page_size = 100
        shop.sync(case.settings(fake), tokens=case.tokens)
        before, lines = len(fake.requests), shop.lines()
        ran = shop.sync(case.settings(fake), tokens=case.tokens, now=NOW + 6 * HOUR)
        assert len(fake.requests) - before <= 2
        assert shop.lines() == lines
        assert f"{name}: " not in str(ran.facts)

    @each_system
    def test_an_incident_that_ends_between_two_syncs_gets_its_end(
        self, shop: IncidentShop, start: Start[FakeSystem], case: SystemCase
    ) -> None:
        """However long it was open: it began long before what the second sync reads."""
        fake, name = start(case.kind()), case.name
        fake.add("A1", NOW - 60 * DAY)
        shop.sync(case.settings(fake), tokens=case.tokens)
        fake.now = NOW + 3 * DAY
        fake.change("A1", ended=NOW + 2 * DAY)
        shop.sync(case.settings(fake), tokens=case.tokens, now=NOW + 3 * DAY)
        assert shop.times() == [(f"{name}:A1", text(NOW - 60 * DAY), text(NOW + 2 * DAY))]

    @each_system
    def test_a_system_that_fails_in_the_middle_is_unread_and_then_goes_on(
        self, shop: IncidentShop, start: Start[FakeSystem], case: SystemCase
    ) -> None:
        fake = start(case.kind())
        three_incidents(fake)
        fake.answers = {number: Answer(500) for number in (1, 2)}
        ran = shop.sync(case.settings(fake), tokens=case.tokens)
        assert ran.code == 0
        assert UNREAD in ran.summary
        assert "HTTP 500" in ran.summary
        assert shop.incidents() == {}
        shop.sync(case.settings(fake), tokens=case.tokens, now=NOW + HOUR)
        assert len(shop.incidents()) == 3


class TestReading:
    def test_the_first_sync_goes_back_to_since(self, shop: IncidentShop, duty: FakePagerDuty) -> None:
        duty.add("OLD", NOW - 100 * DAY, NOW - 99 * DAY)
        duty.add("NEW", NOW - 80 * DAY, NOW - 79 * DAY)
        shop.sync(pagerduty(duty))
        assert list(shop.incidents()) == ["pagerduty:NEW"]
        shop.sync(pagerduty(duty), since="110d", now=NOW + HOUR)
        assert sorted(shop.incidents()) == ["pagerduty:NEW", "pagerduty:OLD"]

    def test_the_next_one_begins_an_hour_before_the_newest_change(
        self, shop: IncidentShop, duty: FakePagerDuty
    ) -> None:
        duty.add("A1", NOW - 20 * HOUR, NOW - 3 * HOUR)
        shop.sync(pagerduty(duty))
        assert shop.cursor("pagerduty")["newest"] == text(NOW - 3 * HOUR)
        shop.sync(pagerduty(duty), now=NOW + HOUR)
        assert duty.queries()[-2]["since"] == [text(NOW - 4 * HOUR)]

    def test_a_system_that_was_quiet_for_weeks_is_read_from_the_day_before(
        self, shop: IncidentShop, duty: FakePagerDuty
    ) -> None:
        shop.sync(pagerduty(duty))
        shop.sync(pagerduty(duty), now=NOW + HOUR)
        assert duty.queries()[-2]["since"] == [text(NOW - 25 * HOUR)]

    def test_a_year_is_read_in_parts_that_the_api_allows(self, shop: IncidentShop, duty: FakePagerDuty) -> None:
        duty.add("A1", NOW - 300 * DAY, NOW - 299 * DAY)
        duty.add("A2", NOW - DAY, NOW - 20 * HOUR)
        shop.sync(pagerduty(duty), since="52w")
        assert len(duty.requests) == 6  # five lists, and that of open ones
        assert len(shop.incidents()) == 2

    def test_other_services_are_read_from_the_beginning(self, shop: IncidentShop, duty: FakePagerDuty) -> None:
        duty.add("A1", NOW - 50 * DAY, NOW - 49 * DAY, service="Search")
        shop.sync(pagerduty(duty))
        assert shop.incidents() == {}
        ran = shop.sync(pagerduty(duty, services={"Search": {}}), now=NOW + HOUR)
        assert list(shop.incidents()) == ["pagerduty:A1"]
        assert "1 incident of pagerduty added or updated" in ran.summary

    def test_the_ids_that_were_open_are_asked_for_one_by_one_if_the_list_lacks_them(
        self, shop: IncidentShop, duty: FakePagerDuty
    ) -> None:
        duty.add("A1", NOW - 60 * DAY)
        duty.add("A2", NOW - 59 * DAY)
        shop.sync(pagerduty(duty))
        duty.change("A2", ended=NOW - DAY)
        before = len(duty.requests)
        shop.sync(pagerduty(duty), now=NOW + HOUR)
        assert duty.paths[before:] == ["/incidents", "/incidents", "/incidents/A2"]
        assert duty.queries()[before + 1]["statuses[]"] == ["triggered", "acknowledged"]
        assert duty.queries()[before + 1]["date_range"] == ["all"]

    @pytest.mark.parametrize("case", [PAGERDUTY_CASE, JIRA_CASE], ids=lambda case: case.name)
    def test_an_open_incident_that_the_system_lost_is_named_and_stays_open(
        self, shop: IncidentShop, start: Start[FakeSystem], case: SystemCase
    ) -> None:
        fake, name = start(case.kind()), case.name
        fake.add("A1", NOW - 60 * DAY)
        fake.add("A2", NOW - 60 * DAY)
        shop.sync(case.settings(fake), tokens=case.tokens)
        fake.incidents = [each for each in fake.incidents if each.key == "A2"]
        ran = shop.sync(case.settings(fake), tokens=case.tokens, now=NOW + HOUR, strict="true")
        assert ran.code == 0
        assert (
            f"{name}: {name}:A1 is open in the ledger, and the system does not show it under its id any more"
            in ran.summary
        )
        assert [end for _, _, end in shop.times()] == [None, None]

    def test_a_reopened_incident_is_open_again(self, shop: IncidentShop, start: Start[FakeJira]) -> None:
        fake = start(FakeJira())
        fake.add("OPS-1", NOW - DAY, NOW - 20 * HOUR)
        shop.sync(jira(fake), tokens=f"jira: {USER}:{TOKEN}")
        fake.now = NOW + DAY
        fake.change("OPS-1", ended=None, changed=NOW + HOUR)
        shop.sync(jira(fake), tokens=f"jira: {USER}:{TOKEN}", now=NOW + DAY)
        assert shop.times() == [("jira:OPS-1", text(NOW - DAY), None)]

    def test_pagerduty_shows_what_was_reopened_and_what_was_open_before_the_first_sync(
        self, shop: IncidentShop, duty: FakePagerDuty
    ) -> None:
        duty.add("OLD", NOW - 200 * DAY)
        duty.add("A1", NOW - 30 * DAY, NOW - 29 * DAY)
        shop.sync(pagerduty(duty))
        assert sorted(shop.incidents()) == ["pagerduty:A1", "pagerduty:OLD"]
        duty.change("A1", ended=None, changed=NOW + HOUR)
        shop.sync(pagerduty(duty), now=NOW + 2 * HOUR)
        assert shop.times()[0] == ("pagerduty:A1", text(NOW - 30 * DAY), None)

    def test_many_incidents_that_the_system_lost_cost_a_few_requests_and_hide_no_news(
        self, shop: IncidentShop, duty: FakePagerDuty
    ) -> None:
        for number in range(50):
            duty.add(f"A{number:02}", NOW - 60 * DAY)
        shop.sync(pagerduty(duty))
        duty.incidents.clear()
        counts = []
        for hour in range(1, 6):
            duty.add(f"B{hour}", NOW + hour * HOUR - MINUTE, NOW + hour * HOUR - MINUTE)
            before = len(duty.requests)
            ran = shop.sync(pagerduty(duty), now=NOW + hour * HOUR, strict="true")
            counts.append(len(duty.requests) - before - 2)
            assert ran.code == 0, ran.summary
        assert counts == [20, 20, 13, 3, 3]
        assert len(shop.incidents()) == 55
        assert "open in the ledger, and the system does not show them under their ids any more" in ran.summary

    def test_one_that_comes_back_after_it_was_lost_gets_its_end(self, shop: IncidentShop, duty: FakePagerDuty) -> None:
        duty.add("A1", NOW - 60 * DAY)
        shop.sync(pagerduty(duty))
        duty.incidents.clear()
        shop.sync(pagerduty(duty), now=NOW + HOUR)
        assert shop.cursor("pagerduty")["open"][1:] == ["A1"]
        duty.add("A1", NOW - 60 * DAY, NOW)
        shop.sync(pagerduty(duty), now=NOW + 2 * HOUR)
        assert shop.times() == [("pagerduty:A1", text(NOW - 60 * DAY), text(NOW))]
        assert shop.cursor("pagerduty")["open"][1:] == []

    @pytest.mark.parametrize("answer", [Answer(403), Answer(500), Answer(200, b"<html>")], ids=["403", "500", "html"])
    def test_one_that_cannot_be_read_is_named_and_does_not_end_the_reading(
        self, shop: IncidentShop, duty: FakePagerDuty, answer: Answer
    ) -> None:
        duty.add("A1", NOW - 60 * DAY)
        duty.add("A2", NOW - 59 * DAY)
        shop.sync(pagerduty(duty))
        duty.change("A2", ended=NOW - DAY)
        duty.incidents = [each for each in duty.incidents if each.key != "A1"]
        duty.single_answers = {"A1": answer}
        ran = shop.sync(pagerduty(duty), now=NOW + HOUR, strict="true")
        assert ran.code == 0, ran.summary
        assert "1 incident is set aside: A1: " in ran.summary
        assert shop.times()[1] == ("pagerduty:A2", text(NOW - 59 * DAY), text(NOW - DAY))

    def test_jira_returns_only_the_fields_that_are_named_and_so_those_of_the_user(
        self, shop: IncidentShop, start: Start[FakeJira]
    ) -> None:
        fake = start(FakeJira())
        fake.add("OPS-1", NOW - DAY, extra={"customfield_10042": "v1.4.0", "customfield_7": {"value": "prod"}})
        fields = {"deployment": "fields.customfield_10042", "environment": "fields.customfield_7.value"}
        settings = jira(fake, fields=fields, environments={"prod": "production"})
        shop.sync(settings, tokens=f"jira: {USER}:{TOKEN}")
        incident = shop.incidents()["jira:OPS-1"]
        assert (incident["deployment"], incident["environment"]) == ("v1.4.0", "production")
        assert incident["url"] == f"{fake.url}/browse/OPS-1"

    def test_an_id_is_not_a_part_of_a_query_and_is_one_segment_of_a_path(
        self, shop: IncidentShop, start: Start[FakeJira]
    ) -> None:
        fake = start(FakeJira())
        hostile = "A)OR(project=SECRET", "../../secret?x=1"
        for key in hostile:
            fake.add(key, NOW - 30 * DAY)
        tokens = f"jira: {USER}:{TOKEN}"
        shop.sync(jira(fake), tokens=tokens)
        before = len(fake.requests)
        shop.sync(jira(fake), tokens=tokens, now=NOW + HOUR)
        assert [query["jql"][0][:8] for query in fake.queries()[before:] if "jql" in query] == ["(project"]
        asked = [request.path.partition("?")[0] for request in fake.requests[before + 1 :]]
        assert sorted(asked) == [
            "/rest/api/3/issue/..%2F..%2Fsecret%3Fx%3D1",
            "/rest/api/3/issue/A%29OR%28project%3DSECRET",
        ]

    def test_a_moved_issue_has_another_id_and_the_old_one_is_named(
        self, shop: IncidentShop, start: Start[FakeJira]
    ) -> None:
        fake = start(FakeJira())
        fake.add("OPS-1", NOW - DAY)
        shop.sync(jira(fake), tokens=f"jira: {USER}:{TOKEN}")
        fake.incidents = [replace(fake.incidents[0], key="NEW-7")]
        ran = shop.sync(jira(fake), tokens=f"jira: {USER}:{TOKEN}", now=NOW + HOUR)
        assert sorted(shop.incidents()) == ["jira:NEW-7", "jira:OPS-1"]
        assert (
            "jira: jira:OPS-1 is open in the ledger, and the system does not show it under its id any more"
            in ran.summary
        )

    def test_planned_maintenance_is_neither_an_incident_nor_the_end_of_the_list(
        self, shop: IncidentShop, start: Start[FakeStatuspage]
    ) -> None:
        page = start(FakeStatuspage())
        for number in range(100):
            page.add(f"M{number}", NOW + 9 * DAY, None, extra={"scheduled_for": text(NOW + 9 * DAY)})
        page.add("A1", NOW - DAY, NOW - HOUR)
        ran = shop.sync(statuspage(page), strict="true")
        assert list(shop.incidents()) == ["statuspage:A1"]
        assert "set aside" not in ran.summary

    def test_a_page_of_items_that_are_none_does_not_end_the_list(
        self, shop: IncidentShop, start: Start[FakeStatuspage]
    ) -> None:
        page = start(FakeStatuspage())
        for number in range(100):
            page.add(f"M{number}", NOW, None, extra={"created_at": None, "started_at": None})
        page.add("A1", NOW - DAY, NOW - HOUR)
        ran = shop.sync(statuspage(page), strict="true")
        assert list(shop.incidents()) == ["statuspage:A1"]
        assert "100 incidents are set aside" in ran.summary

    def test_several_systems_are_read_each_with_its_cursor(
        self, shop: IncidentShop, duty: FakePagerDuty, start: Start[FakeStatuspage]
    ) -> None:
        page = start(FakeStatuspage())
        three_incidents(duty)
        page.answers = dict.fromkeys(range(1, 100), Answer(403))
        ran = shop.sync(pagerduty(duty), statuspage(page))
        assert len(shop.incidents()) == 3
        unread = "The incidents of statuspage for acme/shop are unread since the beginning"
        assert unread in ran.summary
        environment = {"GITHUB_REPOSITORY": "acme/store"}
        shop.github.state.rename("acme/shop", "acme/store")
        renamed = shop.sync(pagerduty(duty), statuspage(page), now=NOW + HOUR, environment=environment)
        assert unread.replace("acme/shop", "acme/store") in renamed.summary
        removed = shop.sync(pagerduty(duty), now=NOW + 2 * HOUR, environment=environment)
        assert "are unread" not in removed.summary
        assert shop.cursor("statuspage")["refused"].startswith("HTTP 403: the token may not read incidents")
        assert "refused" not in shop.cursor("pagerduty")

    def test_one_incident_in_two_systems_counts_once_if_one_names_the_other(
        self, shop: IncidentShop, duty: FakePagerDuty, start: Start[FakeIncidentIo]
    ) -> None:
        fake = start(FakeIncidentIo())
        duty.add("Q1ABC", NOW - DAY, NOW - 20 * HOUR)
        link = "https://acme.pagerduty.com/incidents/Q1ABC"
        fake.add("01A", NOW - DAY, NOW - 19 * HOUR, extra={"external_issue_reference": {"issue_permalink": link}})
        payload = {"action": "dora-deployment", "client_payload": {"id": "d1", "finished_at": text(NOW - 2 * DAY)}}
        run_action(shop.folder, "repository_dispatch", payload, now=NOW - DAY)
        ran = shop.sync(pagerduty(duty, services={"*": {}}), incident_io(fake))
        assert shop.incidents()["incident-io:01A"]["also"] == [link]
        (scope,) = json.loads(ran.outputs["metrics"])["scopes"]
        assert scope["metrics"]["incident_restore"]["incidents"] == 1

    def test_a_withdrawn_incident_is_recorded_only_if_it_was_known(
        self, shop: IncidentShop, duty: FakePagerDuty
    ) -> None:
        merged = {"resolve_reason": {"type": "merge_resolve_reason", "incident": {"id": "A1"}}}
        duty.add("A1", NOW - HOUR)
        duty.add("A2", NOW - HOUR, NOW - MINUTE, extra=merged)
        shop.sync(pagerduty(duty))
        assert list(shop.incidents()) == ["pagerduty:A1"]
        duty.change("A1", ended=NOW + MINUTE, extra=merged)
        shop.sync(pagerduty(duty), now=NOW + HOUR)
        assert shop.incidents()["pagerduty:A1"]["retracted"] is True

    def test_a_person_may_withdraw_one_and_a_sync_does_not_bring_it_back(
        self, shop: IncidentShop, duty: FakePagerDuty
    ) -> None:
        duty.add("A1", NOW - HOUR)
        shop.sync(pagerduty(duty))
        incident = {"id": "pagerduty:A1", "detected_at": text(NOW - HOUR), "retracted": True}
        payload = {"action": "dora-incident", "client_payload": incident}
        run_action(shop.folder, "repository_dispatch", payload, now=NOW + MINUTE)
        shop.sync(pagerduty(duty), now=NOW + HOUR)
        assert shop.incidents()["pagerduty:A1"]["retracted"] is True

    @pytest.mark.parametrize(
        "correction",
        [{"retracted": True}, {"deployment": "v1.2.0"}, {"also": ["jira:OPS-1"]}, {"severity": "low"}],
        ids=lambda correction: next(iter(correction)),
    )
    def test_a_correction_wins_over_a_later_change_in_the_system_and_keeps_the_rest(
        self, shop: IncidentShop, duty: FakePagerDuty, correction: dict[str, object]
    ) -> None:
        duty.add("A1", NOW - 3 * HOUR, NOW - 2 * HOUR, changed=NOW - HOUR)
        shop.sync(pagerduty(duty))
        before = shop.incidents()["pagerduty:A1"]
        ran = shop.dispatch(NOW + MINUTE, id="pagerduty:A1", detected_at=text(NOW - 3 * HOUR), **correction)
        after = shop.incidents()["pagerduty:A1"]
        fields = {"corrected": sorted(["detected_at", *correction])}
        times = {"observed_at": after["observed_at"], "reported_at": before["observed_at"]}
        changed = {**times, **correction, **fields}
        assert after == {**before, **changed}
        assert after["observed_at"] == text(NOW - HOUR + timedelta(microseconds=1))
        assert "Nothing to record" not in ran.summary
        lines = shop.lines()
        shop.dispatch(NOW + HOUR, id="pagerduty:A1", detected_at=text(NOW - 3 * HOUR), **correction)
        shop.sync(pagerduty(duty), now=NOW + HOUR)
        assert shop.lines() == lines
        assert shop.incidents()["pagerduty:A1"] == after
        duty.change("A1", title="New title", severity="P2", changed=NOW + HOUR)
        shop.sync(pagerduty(duty), now=NOW + 2 * HOUR)
        latest = shop.incidents()["pagerduty:A1"]
        system = {"title": "New title", "severity": correction.get("severity", "high")}
        times = {"observed_at": latest["observed_at"], "reported_at": text(NOW + HOUR)}
        assert latest == {**after, **system, **times}

    @each_system
    def test_a_corrected_incident_gets_its_end_from_its_system(
        self, shop: IncidentShop, start: Start[FakeSystem], case: SystemCase
    ) -> None:
        """It is asked for, or named as missing, as any other one."""
        fake, name = start(case.kind()), case.name
        fake.add("A1", NOW - 60 * DAY)
        shop.sync(case.settings(fake), tokens=case.tokens)
        shop.dispatch(NOW + MINUTE, id=f"{name}:A1", deployment="v1.2.0")
        fake.now = NOW + 3 * DAY
        fake.change("A1", ended=NOW + 2 * DAY)
        shop.sync(case.settings(fake), tokens=case.tokens, now=NOW + 30 * DAY)
        assert shop.times() == [(f"{name}:A1", text(NOW - 60 * DAY), text(NOW + 2 * DAY))]
        assert shop.incidents()[f"{name}:A1"]["deployment"] == "v1.2.0"

    def test_a_corrected_incident_that_the_system_lost_is_named(self, shop: IncidentShop, duty: FakePagerDuty) -> None:
        duty.add("A1", NOW - 60 * DAY)
        shop.sync(pagerduty(duty))
        shop.dispatch(NOW + MINUTE, id="pagerduty:A1", deployment="v1.2.0")
        duty.incidents.clear()
        ran = shop.sync(pagerduty(duty), now=NOW + HOUR)
        assert "pagerduty:A1 is open in the ledger, and the system does not show it" in ran.summary

    def test_a_second_correction_keeps_the_first_and_the_rest(self, shop: IncidentShop, duty: FakePagerDuty) -> None:
        duty.add("A1", NOW - 3 * HOUR, NOW - 2 * HOUR)
        shop.sync(pagerduty(duty))
        before = shop.incidents()["pagerduty:A1"]
        corrections: list[dict[str, object]] = [
            {"severity": "low"}, {"deployment": "v1.2.0"}, {"retracted": True}, {"retracted": False}
        ]  # fmt: skip
        for number, correction in enumerate(corrections, 1):
            shop.dispatch(NOW + number * MINUTE, id="pagerduty:A1", **correction)
        after = shop.incidents()["pagerduty:A1"]
        stated = {"severity": "low", "deployment": "v1.2.0", "corrected": ["deployment", "retracted", "severity"]}
        times = {"observed_at": after["observed_at"], "reported_at": before["observed_at"]}
        assert after == {**before, **times, **stated}

    @pytest.mark.parametrize("beginning", [{}, {"detected_at": text(NOW - 3 * HOUR)}], ids=["without", "with"])
    def test_an_incident_of_last_year_is_corrected(
        self, shop: IncidentShop, duty: FakePagerDuty, beginning: dict[str, str]
    ) -> None:
        """Its month is not among those that an event run reads."""
        duty.add("A1", NOW - 3 * HOUR, NOW - 2 * HOUR)
        shop.sync(pagerduty(duty))
        before = shop.incidents()["pagerduty:A1"]
        for days in range(50, 401, 50):
            began = NOW + days * DAY
            shop.dispatch(began + HOUR, id=f"X{days}", detected_at=text(began), resolved_at=text(began + HOUR))
        shop.dispatch(NOW + 401 * DAY, id="pagerduty:A1", severity="low", **beginning)
        after = shop.incidents()["pagerduty:A1"]
        stated = {"severity": "low", "corrected": sorted([*beginning, "severity"])}
        times = {"observed_at": after["observed_at"], "reported_at": before["observed_at"]}
        assert after == {**before, **times, **stated}

    def test_a_correction_may_come_before_the_first_sync(self, shop: IncidentShop, duty: FakePagerDuty) -> None:
        duty.add("A1", NOW - 3 * HOUR, NOW - 2 * HOUR)
        shop.dispatch(NOW - MINUTE, id="pagerduty:A1", severity="low")
        shop.sync(pagerduty(duty))
        assert shop.times() == [("pagerduty:A1", text(NOW - 3 * HOUR), text(NOW - 2 * HOUR))]
        incident = shop.incidents()["pagerduty:A1"]
        assert (incident["severity"], incident["title"]) == ("low", "The shop is down")

    def test_a_withdrawal_with_an_id_alone_keeps_the_times(self, shop: IncidentShop, duty: FakePagerDuty) -> None:
        duty.add("A1", NOW - 3 * HOUR, NOW - 2 * HOUR)
        shop.sync(pagerduty(duty))
        shop.dispatch(NOW + MINUTE, id="pagerduty:A1", retracted=True)
        assert shop.times() == [("pagerduty:A1", text(NOW - 3 * HOUR), text(NOW - 2 * HOUR))]
        assert shop.incidents()["pagerduty:A1"]["retracted"] is True

    def test_a_report_that_begins_an_incident_may_arrive_after_the_one_that_ends_it(self, shop: IncidentShop) -> None:
        begin = {"id": "X1", "detected_at": text(NOW - 2 * HOUR), "title": "Down"}
        shop.dispatch(NOW, **begin, resolved_at=text(NOW - HOUR))
        ended = shop.incidents()
        ran = shop.dispatch(NOW + MINUTE, **begin)
        assert shop.incidents() == ended
        assert "Nothing to record: the ledger has a newer state of it" in ran.summary

    def test_reports_of_one_source_give_the_same_in_any_order(self, shop: IncidentShop) -> None:
        """Also if the later one says less, since its time decides."""
        begin = {"id": "X1", "detected_at": text(NOW - 2 * HOUR)}
        reports = [{**begin, "severity": "high"}, {**begin, "resolved_at": text(NOW - HOUR)}]
        for report in (*reports, *reports):
            shop.dispatch(NOW, **report)
        first = shop.incidents()
        for number, report in enumerate(reversed(reports)):
            shop.dispatch(NOW + number * MINUTE, **{**report, "id": "X2"})
        both = shop.incidents()
        assert both["dispatch:X2"] == {**first["dispatch:X1"], "id": "dispatch:X2"}

    def test_what_a_newer_record_beats_is_not_announced(self, shop: IncidentShop) -> None:
        begin = {"id": "X1", "detected_at": text(NOW - 2 * HOUR)}
        shop.dispatch(NOW, **begin, resolved_at=text(NOW - HOUR))
        ran = shop.dispatch(NOW, **begin, retracted=True, observed_at=text(NOW - 2 * HOUR))
        assert shop.incidents()["dispatch:X1"]["retracted"] is False
        assert "Nothing to record: the ledger has a newer state of it" in ran.summary
        assert "is withdrawn" not in ran.summary


class TestServices:
    def test_a_service_that_nobody_mapped_is_named_with_its_count_and_not_recorded(
        self, shop: IncidentShop, duty: FakePagerDuty
    ) -> None:
        three_incidents(duty)
        duty.add("B1", NOW - DAY, NOW, service="Search")
        duty.add("B2", NOW - DAY, NOW, service="Search")
        duty.add("B3", NOW - DAY, NOW, service="Mail")
        ran = shop.sync(pagerduty(duty))
        assert len(shop.incidents()) == 3
        note = "3 incidents of services that `services` does not name, not recorded: Search (2) and Mail (1)."
        assert f"pagerduty: {note}" in ran.summary

    def test_a_service_is_found_by_its_id_or_name_and_has_its_place(
        self, shop: IncidentShop, duty: FakePagerDuty
    ) -> None:
        three_incidents(duty)
        duty.add("B1", NOW - DAY, NOW, service="Search")
        places = {"PCHECKOUT": {"service": "till", "environment": "production"}, "*": "skip"}
        ran = shop.sync(pagerduty(duty, services=places))
        assert {(each["service"], each["environment"]) for each in shop.incidents().values()} == {
            ("till", "production")
        }
        assert "not recorded" not in ran.summary

    def test_without_services_the_list_of_an_account_gives_incidents_without_a_service_only(
        self, shop: IncidentShop, duty: FakePagerDuty, start: Start[FakeStatuspage]
    ) -> None:
        page = start(FakeStatuspage())
        three_incidents(duty)
        three_incidents(page)
        ran = shop.sync(pagerduty(duty, services={}), statuspage(page))
        assert {each["source"] for each in shop.incidents().values()} == {"statuspage"}
        assert "not recorded: Checkout (3)." in ran.summary

    def test_without_services_what_the_users_query_selected_is_of_this_repository(
        self, shop: IncidentShop, start: Start[FakeSystem]
    ) -> None:
        fake, other = start(FakeJira()), start(FakeSingle())
        three_incidents(fake)
        three_incidents(other)
        ran = shop.sync(
            jira(fake, services={}), single(other, services={}), tokens=f"jira: {USER}:{TOKEN}\npager: {TOKEN}"
        )
        assert len(shop.incidents()) == 6
        assert {(each["repository"], each["service"]) for each in shop.incidents().values()} == {("acme/shop", None)}
        for name in ("jira", "pager"):
            note = "3 incidents of services that `services` does not name, recorded without a service: Checkout (3)."
            assert f"{name}: {note}" in ran.summary

    def test_a_repository_that_the_ledger_does_not_cover_is_named(
        self, shop: IncidentShop, duty: FakePagerDuty
    ) -> None:
        three_incidents(duty)
        ran = shop.sync(pagerduty(duty, services={"Checkout": {"repository": "acme/pay"}}))
        assert shop.incidents() == {}
        assert "incidents of repositories that this ledger does not cover, not recorded: acme/pay (3)." in ran.summary

    def test_incidents_of_other_shards_are_counted_and_recorded_there(
        self, shop: IncidentShop, duty: FakePagerDuty
    ) -> None:
        """acme/pay is in shard 1 of 10, and acme/shop, to which all others belong, in shard 6."""
        three_incidents(duty)
        for place, numbers in (({"repository": "acme/pay"}, (6, 1)), ({"service": "checkout"}, (1, 6))):
            services = {"Checkout": place}
            other, own = (
                shop.sync(
                    pagerduty(duty, services=services), repositories="acme/*", shard=f"{number}/10", ledger="none"
                )
                for number in numbers
            )
            assert "3 incidents are of repositories in other shards, which record them." in other.summary
            assert "other shards" not in own.summary

    def test_words_of_the_user_are_severities(self, shop: IncidentShop, duty: FakePagerDuty) -> None:
        for number, word in enumerate(("P3", "Sev-0", "Huge", "Whatever", None)):
            duty.add(f"A{number}", NOW - DAY, NOW, severity=word)
        shop.sync(pagerduty(duty, severities={"huge": "critical"}))
        severities = [each["severity"] for _, each in sorted(shop.incidents().items())]
        assert severities == ["medium", "critical", "critical", None, "high"], "the last one has PagerDuty's urgency"


class TestBadItems:
    @pytest.mark.parametrize(
        ("extra", "reason"),
        [
            ({"id": None}, "an incident without an id: there is nothing at 'id'"),
            ({"started": None}, "A1: detected_at: there is no time at 'started'"),
            ({"started": "2026-11-20T08:00:00"}, "A1: detected_at: '2026-11-20T08:00:00' has no time zone"),
            ({"started": "yesterday"}, "A1: detected_at: 'yesterday' is not a time in the expected format"),
            ({"started": 17, "ended": None}, "A1: detected_at: 17 is not a text with a time"),
            ({"started": "2026-12-24T08:00:00Z"}, "A1: it begins or ends in the future"),
            ({"ended": "2026-11-19T08:00:00Z"}, "A1: it ends at 2026-11-19 08:00:00 UTC, before it begins at"),
            ({"id": "x" * 300}, f"{'x' * 80}: its id is too long"),
        ],
    )
    def test_an_item_that_is_none_is_set_aside_and_named_and_the_others_are_kept(
        self, shop: IncidentShop, start: Start[FakeSingle], extra: dict[str, object], reason: str
    ) -> None:
        fake = start(FakeSingle())
        fake.add("A1", NOW - DAY, NOW - HOUR, extra=extra)
        fake.add("A2", NOW - DAY, NOW - HOUR)
        ran = shop.sync(single(fake), strict="true")
        assert ran.code == 0
        assert list(shop.incidents()) == ["pager:A2"]
        assert f"pager: 1 incident is set aside: {reason}" in ran.summary.replace("\\", "")

    def test_at_most_five_are_named(self, shop: IncidentShop, start: Start[FakeSingle]) -> None:
        fake = start(FakeSingle())
        for number in range(7):
            fake.add(f"A{number}", NOW - DAY, NOW - 2 * DAY)
        ran = shop.sync(single(fake))
        (note,) = [line for line in ran.summary.splitlines() if "set aside" in line]
        assert "7 incidents are set aside: A0:" in note
        assert "A4" in note
        assert "A5" not in note
        assert note.endswith("; and 2 others.")

    def test_times_without_a_zone_are_utc_if_the_settings_say_so(
        self, shop: IncidentShop, start: Start[FakeSingle]
    ) -> None:
        fake = start(FakeSingle())
        times = {"started": "2026-11-20 08:00:00", "ended": "2026-11-20 09:00:00", "changed": "2026-11-20 09:00:00"}
        fake.add("A1", NOW, NOW, extra=times)
        shop.sync(single(fake, times="%Y-%m-%d %H:%M:%S"))
        assert shop.times() == [("pager:A1", "2026-11-20T08:00:00Z", "2026-11-20T09:00:00Z")]

    def test_an_expression_that_does_not_fit_an_item_sets_it_aside(
        self, shop: IncidentShop, start: Start[FakeSingle]
    ) -> None:
        fake = start(FakeSingle())
        fake.add("A1", NOW - DAY, NOW, title="x")
        ran = shop.sync(single(fake, fields={**PLAIN_FIELDS, "title": "join(', ', title)"}))
        assert "pager: 1 incident is set aside: A1: title: the expression does not fit the value there" in ran.summary

    def test_long_addresses_stay_whole_or_are_left_out(self, shop: IncidentShop, start: Start[FakeSingle]) -> None:
        fake = start(FakeSingle())
        links = {"url": "https://acme.example/" + "u" * 500, "also": ["https://acme.example/" + "a" * 500, "OPS-1", 7]}
        fake.add("A1", NOW - DAY, NOW, extra=links)
        shop.sync(single(fake, fields={**PLAIN_FIELDS, "url": "url", "also": "also"}))
        incident = shop.incidents()["pager:A1"]
        assert incident["url"] == links["url"]
        assert incident["also"] == ["OPS-1", "7"]

    def test_a_hostile_title_is_text(self, shop: IncidentShop, duty: FakePagerDuty) -> None:
        title = "</script><b>@everyone</b> [x](javascript:1)\n::error::#1 " + "y" * 1000
        duty.add("A1", NOW - DAY, NOW - HOUR, title=title)
        duty.add("A2\n::error::", NOW - DAY, NOW - 2 * DAY)
        ran = shop.sync(pagerduty(duty))
        recorded = shop.incidents()["pagerduty:A1"]["title"]
        assert len(recorded) == 300
        assert "\n" not in recorded
        assert "\n::error::" not in ran.log

    @pytest.mark.parametrize(
        ("value", "is_withdrawn"),
        [("false", False), ("No", False), ("0", False), (0, False), (None, False), ("true", True), ("duplicate", True)],
    )
    def test_a_word_that_says_no_withdraws_nothing(
        self, shop: IncidentShop, start: Start[FakeSingle], value: object, *, is_withdrawn: bool
    ) -> None:
        fake = start(FakeSingle())
        fake.add("A1", NOW - DAY, NOW, extra={"false_alarm": value})
        ran = shop.sync(single(fake, fields={**PLAIN_FIELDS, "retracted": "false_alarm"}))
        assert (shop.incidents() == {}) is is_withdrawn
        assert ("1 incident read, 1 of them withdrawn" in ran.log) is is_withdrawn

    @pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf"])
    def test_half_a_character_and_a_byte_order_mark_spoil_no_page(
        self, shop: IncidentShop, start: Start[FakeSingle], prefix: bytes
    ) -> None:
        fake = start(FakeSingle())
        fake.add("A1", NOW - DAY, title="caf\ud83d")
        fake.add("A2", NOW - DAY)
        page = fake.answer("/api/incidents", {})
        fake.answers = {1: replace(page, body=prefix + page.body)}
        assert shop.sync(single(fake), strict="true").code == 0
        assert [each["title"] for each in shop.incidents().values()] == ["caf?", "The shop is down"]


class TestBadAnswers:
    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (Answer(200, b"<html><title>Sign in</title></html>"), "its answer is not JSON"),
            (Answer(200, b'{"error": {"message": "no"}}'), NO_LIST),
            (Answer(200, b'{"incidents": {}}'), NO_LIST),
            (Answer(200, b'{"incidents": [], "errors": ["busy"]}'), "its answer names an error besides the list"),
            (Answer(200, b"[1, 2]"), NO_LIST),
            (Answer(200, b'{"incidents": [{"id": "A1", "cre'), "its answer is not JSON"),
            (Answer(200, b'{"incidents": []}', cut_after=5), "the answer is cut off"),
            (Answer(200, b"[" * 100_000), "its answer is not JSON"),
            (Answer(200, b'{"incidents": [NaN]}'), "its answer is not JSON"),
            (Answer(401), "HTTP 401: it does not accept the token"),
            (Answer(403), "HTTP 403: the token may not read incidents"),
            (Answer(404), "HTTP 404: there is nothing at this address"),
            (Answer(302, headers={"Location": "https://elsewhere.example"}), "HTTP 302: it redirects"),
            (Answer(429), "HTTP 429: it allows no more requests"),
            (Answer(503), "HTTP 503: the next sync asks again"),
            (Answer(drop=True), "the connection closed before an answer"),
        ],
        ids=lambda each: str(each)[:40],
    )
    def test_an_answer_that_cannot_be_used_is_unread_and_the_reason_is_named(
        self, shop: IncidentShop, duty: FakePagerDuty, answer: Answer, reason: str
    ) -> None:
        three_incidents(duty)
        duty.answers = dict.fromkeys(range(1, 20), answer)
        ran = shop.sync(pagerduty(duty), strict="true")
        assert ran.code == 1
        assert UNREAD in ran.summary
        assert reason in ran.summary
        assert shop.cursor("pagerduty").get("newest") is None
        assert TOKEN not in ran.log + ran.summary

    def test_an_answer_without_end_ends_at_the_limits(self, shop: IncidentShop) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
        limits = HttpLimits(connect_seconds=0.5, tries=1, pause_seconds=0, page_seconds=0.6)
        with dripping(head + b"[", b" ") as slow:
            ran = shop.sync({"system": "pagerduty", "url": slow}, limits=limits)
        assert "it did not answer completely in time" in ran.summary
        with flooding(head + b"[", b" " * 1_000_000) as endless:
            ran = shop.sync({"system": "pagerduty", "url": endless.url}, limits=FAST_LIMITS)
        assert "a page is larger than 16 MB" in ran.summary

    def test_no_request_is_sent_when_the_time_for_all_is_over(self, shop: IncidentShop, duty: FakePagerDuty) -> None:
        ran = shop.sync(pagerduty(duty), limits=HttpLimits(list_seconds=0))
        assert "the time for one reading is over" in ran.summary
        assert duty.requests == []

    def test_retry_after_is_respected_once(self, shop: IncidentShop, duty: FakePagerDuty) -> None:
        three_incidents(duty)
        duty.answers = {1: Answer(429, headers={"Retry-After": "7"})}
        pauses: list[float] = []
        assert shop.sync(pagerduty(duty), pauses=pauses, strict="true").code == 0
        assert pauses == [7]
        assert len(shop.incidents()) == 3

    @pytest.mark.parametrize("wait", ["999", "Sat, 21 Nov 2026 12:20:00 GMT"])
    def test_a_wait_that_is_too_long_leaves_it_to_the_next_sync(
        self, shop: IncidentShop, duty: FakePagerDuty, wait: str
    ) -> None:
        duty.answers = {1: Answer(429, headers={"Retry-After": wait})}
        pauses: list[float] = []
        assert "HTTP 429" in shop.sync(pagerduty(duty), pauses=pauses).summary
        assert len(duty.requests) == 1
        assert pauses == []

    def test_what_was_read_before_a_failure_counts_and_the_next_sync_goes_on_there(
        self, shop: IncidentShop, duty: FakePagerDuty
    ) -> None:
        for number in range(250):
            duty.add(f"A{number:03}", NOW - 60 * DAY + number * HOUR, NOW - 30 * DAY + number * HOUR)
        duty.answers = {3: Answer(500), 4: Answer(500)}
        ran = shop.sync(pagerduty(duty))
        assert len(shop.incidents()) == 200
        reached = NOW - 60 * DAY + 199 * HOUR
        assert f"those after {reached:%Y-%m-%d %H:%M} UTC {UNREAD}" in ran.summary
        assert shop.cursor("pagerduty")["newest"] == text(reached)
        ran = shop.sync(pagerduty(duty), now=NOW + HOUR, strict="true")
        assert ran.code == 0
        assert duty.queries()[4]["since"] == [text(reached - HOUR)]
        assert len(shop.incidents()) == 250
        assert "refused" not in shop.cursor("pagerduty")

    def test_a_page_that_is_shown_twice_ends_the_reading(self, shop: IncidentShop, duty: FakePagerDuty) -> None:
        for number in range(150):
            duty.add(f"A{number:03}", NOW - 60 * DAY + number * HOUR, NOW - 30 * DAY)
        shop.sync(pagerduty(duty))
        first_page = duty.answer("/incidents", duty.queries()[0])
        duty.answers = dict.fromkeys(range(3, 99), first_page)
        ran = shop.sync(pagerduty(duty, severities={"x": "low"}), now=NOW + HOUR)
        assert "it shows a page a second time" in ran.summary
        assert len(duty.requests) == 5

    def test_a_list_of_many_pages_ends_after_two_hundred_requests(
        self, shop: IncidentShop, start: Start[FakeLinked]
    ) -> None:
        fake = start(FakeLinked())
        for number in range(500):
            fake.add(f"A{number}", NOW - DAY - number * MINUTE, NOW - DAY)
        ran = shop.sync(linked(fake))
        assert len(fake.requests) == 200
        assert "more than 200 requests are not sent in one reading" in ran.summary
        assert "newest" not in shop.cursor("pager")

    def test_a_link_to_another_host_is_not_followed(self, shop: IncidentShop, start: Start[FakeLinked]) -> None:
        fake = start(FakeLinked())
        three_incidents(fake)
        with listen(Answer(200)) as other:
            fake.next_host = other.url
            ran = shop.sync(linked(fake), hosts=f"{fake.host}\n{other.host}")
            assert other.requests == []
        assert "the link to its next page leads to another host" in ran.summary

    def test_a_redirect_gets_no_request(self, shop: IncidentShop, duty: FakePagerDuty) -> None:
        with listen(Answer(200)) as other:
            duty.answers = {1: Answer(307, headers={"Location": f"{other.url}/incidents"})}
            shop.sync(pagerduty(duty), hosts=f"{duty.host}\n{other.host}")
            assert other.requests == []

    def test_short_pages_that_say_that_more_follow_are_read_to_the_end(
        self, shop: IncidentShop, duty: FakePagerDuty
    ) -> None:
        duty.largest_page = 40
        for number in range(250):
            duty.add(f"A{number:03}", NOW - 60 * DAY + number * HOUR, NOW - 30 * DAY)
        assert shop.sync(pagerduty(duty), strict="true").code == 0
        assert len(shop.incidents()) == 250

    def test_an_empty_page_that_says_that_more_follow_leaves_the_list_unread(
        self, shop: IncidentShop, duty: FakePagerDuty
    ) -> None:
        duty.answers = {1: answer_json({"incidents": [], "more": True})}
        ran = shop.sync(pagerduty(duty))
        assert UNREAD in ran.summary
        assert "says that more follow" in ran.summary

    @pytest.mark.parametrize("page", [{"offset": "offset", "size": 100}, {"number": "page", "size": 100}])
    @pytest.mark.parametrize("count", [0, 3, 10, 30])
    def test_a_server_may_show_fewer_incidents_than_a_full_page_has(
        self, shop: IncidentShop, start: Start[FakeCapped], page: dict[str, object], count: int
    ) -> None:
        fake = start(FakeCapped())
        for number in range(count):
            fake.add(f"A{number}", NOW - DAY - number * MINUTE, NOW - DAY)
        assert shop.sync(linked(fake, page=page), strict="true").code == 0
        assert len(shop.incidents()) == count
        assert len(fake.requests) == count // FakeCapped.page_size + 1 + (0 < count < FakeCapped.page_size)

    @pytest.mark.parametrize(
        ("token", "is_read"),
        [(None, True), (False, True), ("", True), (1.5, False), (["a"], False), ({"a": 1}, False), (True, False)],
    )
    def test_a_token_that_cannot_be_sent_leaves_the_list_unread(
        self, shop: IncidentShop, start: Start[FakeSingle], token: object, *, is_read: bool
    ) -> None:
        fake = start(FakeSingle())
        fake.answers = {1: answer_json({"data": [], "next": token})}
        ran = shop.sync(linked(fake, page={"token": "after", "next": "next"}))
        assert (UNREAD not in ran.summary) is is_read
        assert ("the token of its next page is neither" in ran.summary) is not is_read


class TestManyIncidents:
    def test_ten_thousand_incidents_take_a_hundred_requests(self, shop: IncidentShop, duty: FakePagerDuty) -> None:
        fill(duty, 10_000)
        ran = shop.sync(pagerduty(duty), strict="true")
        assert ran.code == 0, ran.summary
        assert len(duty.requests) == 101  # and the list of open ones
        assert len(shop.incidents()) == 10_000

    def test_one_more_than_the_system_shows_is_read_from_the_newest_of_these_on(
        self, shop: IncidentShop, duty: FakePagerDuty
    ) -> None:
        fill(duty, 10_001)
        ran = shop.sync(pagerduty(duty), strict="true")
        assert ran.code == 0, ran.summary
        assert len(duty.requests) == 102
        assert len(shop.incidents()) == 10_001

    def test_more_than_the_system_shows_in_one_moment_are_unread(self, shop: IncidentShop, duty: FakePagerDuty) -> None:
        for number in range(10_001):
            duty.add(f"A{number:05}", NOW - 90 * DAY, NOW - DAY)
        ran = shop.sync(pagerduty(duty))
        assert "it does not show what follows 10,000 incidents" in ran.summary
        assert UNREAD in ran.summary


def fill(fake: FakeSystem, count: int) -> None:
    for number in range(count):
        began = NOW - 89 * DAY + number * timedelta(minutes=12)
        fake.add(f"A{number:05}", began, began + HOUR)


class TestAccess:
    def test_a_token_goes_only_to_a_host_that_the_workflow_names(self, shop: IncidentShop, duty: FakePagerDuty) -> None:
        ran = shop.sync(pagerduty(duty), hosts="api.pagerduty.com")
        assert duty.requests == []
        assert "has a `url` on a host that the input `incident-hosts` does not name" in ran.summary

    def test_without_a_token_a_preset_is_unread(self, shop: IncidentShop, duty: FakePagerDuty) -> None:
        ran = shop.sync(pagerduty(duty), tokens="jira: x")
        assert duty.requests == []
        assert "it has no token; add a line `pagerduty: TOKEN` to the input `incident-tokens`" in ran.summary

    def test_a_custom_system_without_a_token_is_asked_without_one(
        self, shop: IncidentShop, start: Start[FakeSingle]
    ) -> None:
        fake = start(FakeSingle(token=None))
        three_incidents(fake)
        shop.sync(single(fake), tokens="")
        assert len(shop.incidents()) == 3
        assert "Authorization" not in fake.requests[0].headers

    def test_each_system_gets_its_own_token(self, shop: IncidentShop, start: Start[FakeSystem]) -> None:
        first, second = start(FakeSingle(token="one")), start(FakeSingle(token="two"))
        systems = single(first, name="first"), single(second, name="second")
        shop.sync(*systems, tokens="first: one\nsecond: two", strict="true")
        assert [fake.requests[0].headers["Authorization"] for fake in (first, second)] == ["Bearer one", "Bearer two"]

    def test_a_header_of_the_user_holds_the_token(self, shop: IncidentShop, start: Start[FakeSingle]) -> None:
        fake = start(FakeSingle(token=None))
        shop.sync(single(fake, headers={"X-Api-Key": "key=${token}"}), strict="true")
        assert fake.requests[0].headers["X-Api-Key"] == f"key={TOKEN}"
        assert "Authorization" not in fake.requests[0].headers

    def test_a_run_for_a_pull_request_from_a_fork_reads_nothing(self, shop: IncidentShop, duty: FakePagerDuty) -> None:
        shop.sync(pagerduty(duty))
        before = len(duty.requests)
        head = {"repo": {"full_name": "stranger/shop"}}
        inputs = {
            "github-token": shop.github.token,
            "mode": "sync",
            "incident-tokens": f"pagerduty: {TOKEN}",
            "incident-hosts": duty.host,
        }
        environment = {"GITHUB_API_URL": shop.github.api_url}
        ran = run_action(shop.folder, "pull_request", {"pull_request": {"head": head}}, inputs, environment=environment)
        assert len(duty.requests) == before
        assert "a run for a pull request from a fork reads no incidents" in ran.summary


def test_a_ledger_that_another_run_wrote_in_between_gets_each_incident_once(
    shop: IncidentShop, duty: FakePagerDuty, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system is asked once, and what was read is merged with what the other run wrote."""
    from dora_metrics.storage.directory import DirectoryStorage  # noqa: PLC0415 - only here

    three_incidents(duty)
    write, losses = DirectoryStorage.write, iter([True, True])

    def lose_twice(self: DirectoryStorage, *arguments: Any) -> Any:  # noqa: ANN401 - of the storage
        return None if next(losses, False) else write(self, *arguments)

    monkeypatch.setattr(DirectoryStorage, "write", lose_twice)
    assert shop.sync(pagerduty(duty), strict="true").code == 0
    assert len(duty.requests) == 2  # of what changed, and of what is open
    assert len(shop.incidents()) == 3
    assert shop.lines() == 3


def test_a_ledger_that_was_put_back_is_filled_again(shop: IncidentShop, duty: FakePagerDuty) -> None:
    three_incidents(duty)
    shop.sync(pagerduty(duty))
    cursors = json.loads((shop.folder / "ledger" / "cursors.json").read_text("utf-8"))
    del cursors["incidents"]
    (shop.folder / "ledger" / "cursors.json").write_text(json.dumps(cursors), "utf-8")
    for path in (shop.folder / "ledger" / "facts").rglob("*.jsonl"):
        path.unlink()
    shop.sync(pagerduty(duty), now=NOW + HOUR)
    assert len(shop.incidents()) == 3


def test_the_settings_of_a_system_say_how_often_they_are_used(shop: IncidentShop, duty: FakePagerDuty) -> None:
    settings: Mapping[str, object] = pagerduty(duty, query={"team_ids[]": ["T1", "T2"]})
    shop.sync(settings)
    assert duty.queries()[0]["team_ids[]"] == ["T1", "T2"]

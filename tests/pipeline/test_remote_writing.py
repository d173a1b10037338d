"""The past goes to a target of remote write once, oldest first and before the present, as far as it is taken."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO
from pathlib import Path

import pytest

from dora_metrics import cli
from dora_metrics.core.facts.as_of import PastFacts
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.ledger.layout import REMOTE_WRITE_FILE
from dora_metrics.core.ledger.remote_write_file import PastMark
from dora_metrics.core.policy import Policy
from dora_metrics.pipeline.backfill import past_moments
from dora_metrics.pipeline.remote_writing import PastWriter
from dora_metrics.runtime import Deadline, HttpLimits, Runtime
from dora_metrics.sinks.remote_write import RemoteWrite
from fakes.faults import custom_answer, stale_head
from support.branch_shop import BRANCH, BranchShop
from support.ledger_writer import record_facts
from support.runs import FAST_LIMITS, NOW, ActionRun, deployment_status, run_action
from support.servers import OK, Answer, Listener, listen
from support.sink_payloads import deployment
from support.written_series import Written

DAY = timedelta(days=1)
MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)
PAST = [MIDNIGHT - age * DAY for age in range(89, -1, -1)]
TOO_OLD = Answer(400, b"out of bounds")
WEEKS = 13
FALLEN_TOO_LOW = (
    b'{"x": {"acme/shop": {"until": "2026-11-20T00:00:00Z", "fallen": '
    b'[[["dora_changes_total", ["acme/shop", "shop", "production"], "", null], -1]]}}}'
)


class Ledger:
    """A folder with a ledger of deployments, one every tenth day, and the runs that send its numbers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record("acme/shop")

    def record(self, repository: str) -> None:
        facts = [deployed(number, repository) for number in range(10)]
        record_facts(self.folder / "ledger", *facts)

    def rebuild(
        self, target: Listener, now: datetime = NOW, limits: HttpLimits = FAST_LIMITS, **inputs: str
    ) -> ActionRun:
        """A run that reads everything; what it sends is all that the target has afterwards."""
        target.requests.clear()
        given = {"mode": "rebuild", "remote-write-url": f"{target.url}/api/v1/write", **inputs}
        return run_action(self.folder, "workflow_dispatch", {"inputs": {}}, given, now=now, limits=limits)

    def run_event(self, target: Listener, number: int = 99) -> ActionRun:
        target.requests.clear()
        inputs = {"remote-write-url": f"{target.url}/api/v1/write"}
        return run_action(self.folder, "deployment_status", deployment_status(number), inputs)

    @property
    def marks(self) -> dict[str, dict[str, dict[str, str]]]:
        path = self.folder / "ledger" / REMOTE_WRITE_FILE
        marks: dict[str, dict[str, dict[str, str]]] = json.loads(path.read_bytes()) if path.exists() else {}
        return marks


def deployed(number: int, repository: str) -> Deployment:
    """A deployment of a day about every tenth day, the first one older than the past that is sent."""
    return deployment(number, days_ago=100 - 10 * number, repository=repository, id=f"test:{repository}:{number}")


def written(target: Listener) -> list[Written]:
    return [Written.of(request) for request in target.requests]


def times(target: Listener) -> list[datetime]:
    return [time for each in written(target) for time in each.times]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


@pytest.fixture
def target() -> Iterator[Listener]:
    with listen() as listener:
        yield listener


def test_the_first_run_sends_ninety_days_oldest_first_and_then_the_present(ledger: Ledger, target: Listener) -> None:
    ran = ledger.rebuild(target)
    assert times(target) == [*PAST, NOW]
    assert len(target.requests) == WEEKS + 1
    assert "remote write: past ✓ the last 90 days" in ran.summary
    counts = [
        value for each in written(target) for value in each.values("dora_deployments_total", source="deployments")
    ]
    assert counts == sorted(counts), "a counter never falls"
    assert (counts[0], counts[-1]) == (2, 10)


def test_the_past_has_the_numbers_of_compute(ledger: Ledger, target: Listener) -> None:
    """Both have one engine; `window` gauges are those of their day."""
    ledger.rebuild(target)
    (first, *_) = written(target)
    assert first.values("dora_window_deployments", window="30d") == [2] * 7


def test_what_was_sent_is_not_sent_again(ledger: Ledger, target: Listener) -> None:
    ledger.rebuild(target)
    ran = ledger.rebuild(target, NOW + DAY)
    assert times(target) == [NOW + DAY]
    assert "remote write: past" not in ran.summary


def test_an_event_sends_the_present_only(ledger: Ledger, target: Listener) -> None:
    ledger.run_event(target)
    assert len(target.requests) == 1
    assert {len(points) for _, points in written(target)[0].series} == {1}
    assert ledger.marks == {}


def test_an_event_sends_its_own_repository_whatever_a_sync_reads(ledger: Ledger, target: Listener) -> None:
    ledger.record("acme/pay")
    inputs = {"remote-write-url": target.url, "repositories": "acme/*"}
    run_action(ledger.folder, "deployment_status", deployment_status(), inputs)
    assert [each.repositories for each in written(target)] == [{"acme/shop"}]


def test_an_event_that_reads_everything_sends_the_present_only(ledger: Ledger, target: Listener) -> None:
    """Nobody waits for a sync; a deploy job is waited for."""
    inputs = {"remote-write-url": target.url, "window": "all"}
    run_action(ledger.folder, "deployment_status", deployment_status(), inputs)
    assert len(target.requests) == 1


def test_another_target_gets_the_past_too(ledger: Ledger, target: Listener) -> None:
    ledger.rebuild(target)
    with listen() as other:
        ledger.rebuild(other)
        assert len(other.requests) == WEEKS + 1
    assert len(ledger.marks) == 2
    assert target.host not in json.dumps(ledger.marks)


def test_series_with_other_labels_have_a_past_of_their_own(ledger: Ledger, target: Listener) -> None:
    ledger.rebuild(target)
    ledger.rebuild(target, NOW + DAY, labels="cluster: eu-1")
    assert len(target.requests) == WEEKS + 1
    assert {dict(labels).get("cluster") for each in written(target) for labels, _ in each.series} == {"eu-1"}


def test_another_repository_in_the_ledger_gets_its_past_once_it_is_there(ledger: Ledger, target: Listener) -> None:
    ledger.rebuild(target, repositories="acme/*")
    ledger.record("acme/pay")
    ledger.rebuild(target, NOW + DAY, repositories="acme/*")
    past, (present,) = written(target)[:-1], written(target)[-1:]
    assert len(past) == WEEKS
    assert {repository for each in past for repository in each.repositories} == {"acme/pay"}
    assert present.repositories == {"acme/pay", "acme/shop"}
    (marks,) = ledger.marks.values()
    assert marks.keys() == {"acme/pay", "acme/shop"}


def test_a_run_of_one_repository_sends_nothing_of_another(ledger: Ledger, target: Listener) -> None:
    ledger.record("acme/pay")
    ledger.rebuild(target)
    assert {repository for each in written(target) for repository in each.repositories} == {"acme/shop"}
    (marks,) = ledger.marks.values()
    assert marks.keys() == {"acme/shop"}


def test_a_target_that_takes_no_old_samples_gets_the_present_and_is_not_asked_again(ledger: Ledger) -> None:
    with listen(*[TOO_OLD] * WEEKS, OK) as target:
        ran = ledger.rebuild(target)
        assert times(target)[-1:] == [NOW]
        assert "remote write: past: the target takes no older samples, so its history begins now" in ran.summary
        assert "remote write ✓" in ran.summary
        assert ran.code == 0
        again = ledger.rebuild(target, NOW + DAY)
        assert len(target.requests) == 1
        assert "takes no older samples" not in again.summary


def test_that_it_takes_none_is_no_failure_of_a_strict_run(ledger: Ledger) -> None:
    with listen(*[TOO_OLD] * WEEKS, OK) as target:
        assert ledger.rebuild(target, strict="true").code == 0


def test_a_target_with_a_window_gets_what_is_in_it(ledger: Ledger) -> None:
    with listen(TOO_OLD, TOO_OLD, Answer(500, b"too old sample"), OK) as target:
        ran = ledger.rebuild(target)
        assert len(target.requests) == WEEKS + 1
    assert f"sent since {PAST[21]:%Y-%m-%d}; the target takes no older samples" in ran.summary


def test_where_a_sync_was_stopped_the_next_one_goes_on(ledger: Ledger) -> None:
    with listen(OK, OK, Answer(503)) as target:
        ran = ledger.rebuild(target)
        assert "remote write: past ✗ sent up to 2026-09-06; the next sync sends the rest (HTTP 503" in ran.summary
        target.answers = (OK,)
        ledger.rebuild(target)
        assert times(target) == [*PAST[14:], NOW]


def test_the_rest_ends_where_the_present_began(ledger: Ledger, target: Listener) -> None:
    """What later runs computed is there already, with their times."""
    target.answers = (OK, OK, Answer(503))
    ledger.rebuild(target)
    target.answers = (OK,)
    later = NOW + 3 * DAY
    ledger.rebuild(target, later)
    assert times(target) == [*PAST[14:], later]


def test_the_rest_continues_the_counters_of_the_first_part(ledger: Ledger, target: Listener) -> None:
    ledger.rebuild(target)
    whole = [each.values("dora_deployments_total", source="deployments") for each in written(target)]
    (ledger.folder / "ledger" / REMOTE_WRITE_FILE).unlink()
    target.answers = (*[OK] * 5, Answer(503))
    ledger.rebuild(target)
    target.answers = (OK,)
    ledger.rebuild(target)
    assert [each.values("dora_deployments_total", source="deployments") for each in written(target)] == whole[5:]


def test_when_the_time_is_over_the_present_is_sent_and_the_next_run_sends_the_rest(ledger: Ledger) -> None:
    limits = HttpLimits(connect_seconds=0.4, read_seconds=5, tries=1, pause_seconds=0, total_seconds=1)
    with listen(OK, Answer(hang=True), OK) as target:
        ran = ledger.rebuild(target, limits=limits)
    assert "remote write: past: sent up to 2026-08-30 in the time for it; the next sync sends the rest" in ran.summary
    assert "remote write ✓" in ran.summary
    assert ran.code == 0


def test_a_past_that_takes_long_to_compute_is_computed_in_several_runs(ledger: Ledger, target: Listener) -> None:
    """A run whose time is over from the start computes one day, so that the next one gets further."""
    over = HttpLimits(past_seconds=0)
    for number in range(3):
        ran = ledger.rebuild(target, NOW + number * DAY, over)
        assert times(target) == [PAST[number], NOW + number * DAY]
        assert f"remote write: past: sent up to {PAST[number]:%Y-%m-%d} in the time for it" in ran.summary
        assert "the next sync sends the rest" in ran.summary
    ledger.rebuild(target, NOW + 3 * DAY)
    assert times(target) == [*PAST[3:], NOW + 3 * DAY]


def test_a_run_begins_no_further_day_after_a_minute(target: Listener) -> None:
    seconds = iter(range(0, 10_000, 10))
    days = past_moments(PastFacts.happened([deployed(0, "acme/shop")]), Policy(), PAST)
    writer = PastWriter(RemoteWrite(target.url, {}), 30, Deadline(HttpLimits().past_seconds, lambda: next(seconds)))
    mark = writer.write(PastMark(NOW), days, ["acme/shop"])
    assert times(target) == PAST[:6]
    assert mark == PastMark(NOW, PAST[5])


def test_the_time_is_that_of_all_repositories(ledger: Ledger, target: Listener) -> None:
    """Those whose past began earlier come first; the others are not computed at all."""
    ledger.rebuild(target, limits=HttpLimits(past_seconds=0))
    ledger.record("acme/pay")
    for number in (1, 2):
        ledger.rebuild(target, NOW + DAY, HttpLimits(past_seconds=0), repositories="acme/*")
        past, present = written(target)
        assert (past.repositories, past.times) == ({"acme/shop"}, [PAST[number]])
        assert present.repositories == {"acme/pay", "acme/shop"}


def test_a_counter_that_had_fallen_before_the_rest_is_not_lower_in_it(ledger: Ledger, target: Listener) -> None:
    """A run failed until it was repeated; another one failed for good."""
    run = {"url": "https://github.com/acme/shop/actions/runs/7", "run_id": "7"}
    first = deployment(20, days_ago=88, id="test:20", status="failure", run_attempt=1, **run)
    second = deployment(21, days_ago=87, id="test:21", run_attempt=2, **run)
    failed = deployment(22, days_ago=20, id="test:22", status="failure")
    record_facts(ledger.folder / "ledger", first, second, failed)
    ledger.rebuild(target)
    whole = [each.values("dora_pipeline_failures_total") for each in written(target)]
    assert whole[1] == [1] * 7
    (ledger.folder / "ledger" / REMOTE_WRITE_FILE).unlink()
    target.answers = (*[OK] * 2, Answer(503))
    ledger.rebuild(target)
    assert b"dora_pipeline_failures_total" in (ledger.folder / "ledger" / REMOTE_WRITE_FILE).read_bytes()
    target.answers = (OK,)
    ledger.rebuild(target)
    assert [each.values("dora_pipeline_failures_total") for each in written(target)] == whole[2:]
    assert b"fallen" not in (ledger.folder / "ledger" / REMOTE_WRITE_FILE).read_bytes()


def test_past_and_present_have_half_of_the_time_each(ledger: Ledger) -> None:
    limits = HttpLimits(connect_seconds=0.4, read_seconds=5, tries=1, pause_seconds=0, total_seconds=1)
    with listen(Answer(hang=True)) as target:
        ran = ledger.rebuild(target, limits=limits)
    assert "remote write: past: nothing was sent in the time for it; the next sync sends the rest" in ran.summary
    assert "remote write ✗ no complete answer in the 0.5 s" in ran.summary


def test_days_that_a_killed_run_sent_are_there_already(ledger: Ledger) -> None:
    """Prometheus refuses other values for the same time, which a late fact may have made."""
    with listen(Answer(400, b"duplicate sample for timestamp"), OK) as target:
        ran = ledger.rebuild(target)
        assert len(target.requests) == WEEKS + 1
    days = "the last 90 days, without 1 of 13 requests: the target has other values for these times"
    assert f"remote write: past ✓ {days}" in ran.summary


def test_where_a_stopped_run_sent_the_first_of_several_requests_the_others_are_sent(ledger: Ledger) -> None:
    """Many series are several requests, and a late deployment changed what only the first one held."""
    services = [f"service-{number:02}" for number in range(20)]
    facts = [deployment(1, days_ago=80, id=f"test:{service}", service=service) for service in services]
    record_facts(ledger.folder / "ledger", *facts)
    with listen(Answer(400, b"duplicate sample for timestamp"), OK) as target:
        ran = ledger.rebuild(target)
        of_first_week = [each for each in written(target) if each.times == PAST[:7]]
    assert len(of_first_week) == 2
    assert f"without 1 of {2 * WEEKS} requests" in ran.summary


def test_a_refusal_for_another_reason_is_said_and_tried_again(ledger: Ledger) -> None:
    with listen(Answer(401)) as refusing:
        ran = ledger.rebuild(refusing)
        assert len(refusing.requests) == 2, "the past, and the present"
    assert "remote write: past ✗ nothing was sent; the next sync sends the rest (HTTP 401" in ran.summary
    assert ledger.marks == {}


def test_without_a_ledger_nothing_is_sent(tmp_path: Path, target: Listener) -> None:
    inputs = {"remote-write-url": target.url, "ledger": "none"}
    ran = run_action(tmp_path, "deployment_status", deployment_status(), inputs)
    assert target.requests == []
    assert "remote write: it needs the totals of a ledger, and this run wrote none" in ran.summary


def test_a_ledger_without_facts_sends_nothing(tmp_path: Path, target: Listener) -> None:
    (tmp_path / "ledger").mkdir()
    inputs = {"mode": "rebuild", "remote-write-url": target.url}
    ran = run_action(tmp_path, "workflow_dispatch", {"inputs": {}}, inputs)
    assert target.requests == []
    assert "remote write: nothing is recorded yet" in ran.summary


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"x": 1}', b'{"x": {"acme/shop": {"until": "2026"}}}', FALLEN_TOO_LOW]
)
def test_a_broken_file_of_marks_counts_as_none(ledger: Ledger, target: Listener, content: bytes) -> None:
    (ledger.folder / "ledger" / REMOTE_WRITE_FILE).write_bytes(content)
    ledger.rebuild(target)
    assert len(target.requests) == WEEKS + 1
    assert len(ledger.marks) == 1


def test_a_mark_of_a_run_in_the_future_does_not_count(ledger: Ledger, target: Listener) -> None:
    ledger.rebuild(target, NOW + 400 * DAY)
    ledger.rebuild(target)
    assert times(target) == [*PAST, NOW]


@pytest.mark.parametrize(
    "mark",
    [
        {"until": "0001-01-01T00:00:00Z"},
        {"until": "1969-12-31T23:59:59Z"},
        {"until": "0001-01-01T00:00:00+14:00", "reached": "0001-01-01T00:00:00Z"},
        {"until": "2026-11-21T00:00:00Z", "reached": "0001-01-01T00:00:00+14:00"},
        {"until": "9999-12-31T23:59:59-14:00", "reached": "9999-12-31T23:59:59-14:00"},
    ],
)
def test_a_mark_that_no_run_can_have_made_does_not_count(
    ledger: Ledger, target: Listener, mark: dict[str, str]
) -> None:
    ledger.rebuild(target)
    (name,) = ledger.marks
    (ledger.folder / "ledger" / REMOTE_WRITE_FILE).write_text(json.dumps({name: {"acme/shop": mark}}), "utf-8")
    ledger.rebuild(target)
    assert times(target) == [*PAST, NOW]


def test_removing_the_file_sends_the_past_again(ledger: Ledger, target: Listener) -> None:
    ledger.rebuild(target)
    (ledger.folder / "ledger" / REMOTE_WRITE_FILE).unlink()
    ledger.rebuild(target)
    assert times(target) == [*PAST, NOW]


def test_a_counter_is_never_below_its_mark(ledger: Ledger, target: Listener) -> None:
    """A retraction lowers the total; the mark of the ledger is what is sent."""
    ledger.rebuild(target)
    record_facts(ledger.folder / "ledger", deployment(9, retracted=True, id="test:acme/shop:9", observed_at=NOW))
    ledger.rebuild(target, NOW + DAY)
    assert written(target)[0].values("dora_deployments_total", source="deployments") == [10]


def test_a_person_at_a_terminal_names_the_token_in_the_environment(ledger: Ledger, target: Listener) -> None:
    """A token on a command line would be read by any process."""
    environment = {"GITHUB_WORKSPACE": str(ledger.folder), "REMOTE_WRITE_TOKEN": "t0ken"}
    arguments = ["--ledger", "dir:ledger", "--repository", "acme/shop", "--remote-write-url", target.url]
    printed = StringIO()
    runtime = Runtime(environment, BytesIO(), printed, StringIO(), NOW, lambda _: None, http_limits=FAST_LIMITS)
    assert cli.run(["rebuild", *arguments, "--remote-write-username", "123"], runtime) == 0
    assert {request.headers["Authorization"] for request in target.requests} == {"Basic MTIzOnQwa2Vu"}
    assert len(target.requests) == WEEKS + 1
    assert "t0ken" not in printed.getvalue()


def test_a_run_on_every_repository_of_a_ledger_sends_all_of_them(ledger: Ledger, target: Listener) -> None:
    ledger.record("acme/pay")
    environment = {"GITHUB_WORKSPACE": str(ledger.folder)}
    runtime = Runtime(environment, BytesIO(), StringIO(), StringIO(), NOW, lambda _: None, http_limits=FAST_LIMITS)
    assert cli.run(["rebuild", "--ledger", "dir:ledger", "--remote-write-url", target.url], runtime) == 0
    assert [each.repositories for each in written(target)] == [{"acme/pay", "acme/shop"}] * (WEEKS + 1)


# On a branch


def sync(shop: BranchShop, target: Listener, now: datetime = NOW) -> ActionRun:
    target.requests.clear()
    inputs = {"remote-write-url": f"{target.url}/api/v1/write"}
    return shop.run_event("schedule", {"schedule": "17 3 * * *"}, inputs, now=now)


def branch_marks(shop: BranchShop) -> dict[str, dict[str, dict[str, str]]]:
    marks: dict[str, dict[str, dict[str, str]]] = json.loads(shop.repository.read(REMOTE_WRITE_FILE, BRANCH) or "{}")
    return marks


def test_a_sync_remembers_on_the_branch_what_it_sent(shop: BranchShop, target: Listener) -> None:
    shop.run_event("deployment_status", deployment_status(at="2026-09-01T11:00:00Z"))
    sync(shop, target)
    assert len(target.requests) == WEEKS + 1
    assert [by_repository.keys() for by_repository in branch_marks(shop).values()] == [{"acme/shop"}]
    sync(shop, target, NOW + DAY)
    assert times(target) == [NOW + DAY]


def test_what_has_no_past_sends_none(shop: BranchShop, target: Listener) -> None:
    shop.run(1)
    ran = sync(shop, target)
    assert len(target.requests) == 1
    assert "remote write: past: nothing is recorded before today" in ran.summary
    assert "remote write: past" not in sync(shop, target, NOW + DAY).summary


def test_what_another_run_writes_in_between_stays(shop: BranchShop, target: Listener) -> None:
    shop.run(1)
    foreign = {REMOTE_WRITE_FILE: '{"other target":{"acme/shop":{"until":"2026-11-20T00:00:00Z"}}}'}
    shop.github.fail(stale_head(shop.repository, BRANCH, foreign), to="Append", skip=1)
    sync(shop, target)
    assert len(branch_marks(shop)) == 2


def test_a_ledger_that_cannot_be_written_is_said(shop: BranchShop, target: Listener) -> None:
    shop.run(1)
    refusal = {"data": {"createCommitOnBranch": None}, "errors": [{"type": "FORBIDDEN", "message": "no"}]}
    shop.github.fail(custom_answer(200, refusal), to="Append", skip=1, times=None)
    ran = sync(shop, target)
    assert "the ledger could not record this, so the next sync sends it again" in ran.summary


def test_one_event_costs_no_request_to_github(shop: BranchShop, target: Listener) -> None:
    shop.run(1)
    shop.github.requests.clear()
    shop.run(2)
    without = len(shop.github.requests)
    shop.github.requests.clear()
    shop.run(3, **{"remote-write-url": target.url})
    assert len(shop.github.requests) == without + 1, "whether another run has written since"

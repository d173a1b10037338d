"""Several endpoints: each is owed its own facts, gets them once and oldest first, and holds up no other."""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.core.facts.model import Deployment, Fact, Incident
from dora_metrics.core.ledger import outbox
from dora_metrics.core.ledger.layout import ENDPOINTS_OUTBOX_FILE, OUTBOX_FILE
from dora_metrics.core.ledger.outbox import read_outbox
from dora_metrics.pipeline.plan import RunResult
from dora_metrics.runtime import HttpLimits
from support.endpoint_runs import EndpointRuns, started
from support.fake_endpoint import FakeEndpoint, Rule, accept, ids_in
from support.property_cases import cases
from support.runs import deployment_ids
from support.servers import OK, Answer, Request
from support.sink_payloads import at, deployment

DOWN, HANGING, LOST = Answer(503), Answer(hang=True), Answer(drop=True)
LINE = '{{"endpoint":"{}","id":"github:deployment:{}","month":"facts/2026/11","owed_at":1}}\n'


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.fixture
def runs(tmp_path: Path, stack: ExitStack) -> EndpointRuns:
    """Three endpoints of the shape `dora`; the first is that of the single inputs."""
    return started(stack, tmp_path, "default", "archive", "lake")


def set_answer(endpoint: FakeEndpoint, answer: Answer) -> None:
    endpoint.rule = lambda _: answer


def test_each_endpoint_gets_each_fact_once(runs: EndpointRuns) -> None:
    for number in (1, 2):
        outcomes = runs.run(deployment(number))
    assert {name: outcome.detail for name, outcome in outcomes.items()} == {
        "endpoint": "1 fact", "endpoint archive": "1 fact", "endpoint lake": "1 fact",
    }  # fmt: skip
    for fake in runs.fakes.values():
        assert fake.accepted_ids == deployment_ids(1, 2)
    assert not (runs.folder / OUTBOX_FILE).exists()
    assert not (runs.folder / ENDPOINTS_OUTBOX_FILE).exists()


def test_an_acknowledgement_by_one_clears_nothing_of_another(runs: EndpointRuns) -> None:
    set_answer(runs.fakes["archive"], DOWN)
    outcomes = runs.run(deployment(1))
    assert [outcome.status for outcome in outcomes.values()] == ["done", "failed", "done"]
    assert [runs.owed_ids(name) for name in runs.names] == [[], deployment_ids(1), []]
    assert (runs.folder / ENDPOINTS_OUTBOX_FILE).read_text() == LINE.format("archive", 1)


def test_debts_of_named_endpoints_are_in_a_file_that_older_versions_leave_alone(runs: EndpointRuns) -> None:
    for fake in runs.fakes.values():
        set_answer(fake, DOWN)
    runs.run(deployment(1))
    (line,) = (runs.folder / OUTBOX_FILE).read_text().splitlines()
    assert json.loads(line) == {"id": "github:deployment:1", "month": "facts/2026/11", "owed_at": 1}
    assert (runs.folder / ENDPOINTS_OUTBOX_FILE).read_text() == LINE.format("archive", 1) + LINE.format("lake", 1)


def test_what_is_refused_again_and_again_holds_up_nothing_new(runs: EndpointRuns) -> None:
    bad = deployment(1)
    runs.fakes["archive"].rule = lambda request: Answer(400) if bad.id in ids_in(request) else OK
    for number in range(1, 13):
        runs.run(deployment(number))
    assert runs.fakes["archive"].accepted_ids == deployment_ids(*range(2, 13))
    assert [(entry.id, entry.refused) for entry in read_outbox(runs.storage.read().files)["archive"]] == [
        (bad.id, True)
    ]
    runs.fakes["archive"].rule = accept
    runs.run()
    assert runs.owed_ids("archive") == []


def datadog_runs(stack: ExitStack, folder: Path) -> EndpointRuns:
    runs = started(stack, folder, "dd")
    runs.options["dd"] = {"template": "datadog", "token": "dd"}
    runs.inputs["endpoint-tokens"] = "dd: API:APPLICATION"
    return runs


def verdicts(runs: EndpointRuns) -> list[bool]:
    """The verdicts that Datadog was told, in their order."""
    bodies = [json.loads(each.body) for each in runs.fakes["dd"].requests if each.method == "PATCH"]
    return [body["data"]["attributes"]["change_failure"] for body in bodies]


def blaming(fact: Deployment) -> Incident:
    return Incident(
        id="dispatch:1",
        repository=fact.repository,
        observed_at=fact.finished_at,
        detected_at=fact.finished_at,
        deployment=fact.id,
    )


def test_a_verdict_that_changes_while_the_old_one_is_sent_stays_owed(tmp_path: Path, stack: ExitStack) -> None:
    runs, fact = datadog_runs(stack, tmp_path), deployment(1)
    first = runs.record(fact)
    runs.record(blaming(fact))  # a run that ends here
    runs.deliver(first)
    assert verdicts(runs) == [False]
    assert runs.owed_ids("dd") == [fact.id]
    runs.run()
    assert verdicts(runs) == [False, True]
    assert runs.owed_ids("dd") == []


def test_the_last_word_is_that_of_the_newest_facts_also_if_an_older_run_has_it(
    tmp_path: Path, stack: ExitStack
) -> None:
    runs, fact = datadog_runs(stack, tmp_path), deployment(1)
    first = runs.record(fact)
    second = runs.record(blaming(fact))
    runs.deliver(second)
    runs.deliver(first)
    assert verdicts(runs) == [True, False]
    runs.run()
    runs.run()
    assert verdicts(runs) == [True, False, True]


def test_an_old_state_that_arrives_after_a_newer_one_is_followed_by_the_newer_one(runs: EndpointRuns) -> None:
    runs.names = ["archive"]
    first = runs.record(deployment(1))
    second = runs.record(replace(deployment(1), retracted=True, observed_at=at(0.1)))
    for recorded in (second, first):
        runs.deliver(recorded)
    runs.run()
    runs.run()
    bodies = [json.loads(each.body)["facts"] for each in runs.fakes["archive"].accepted]
    assert [facts[0]["retracted"] for facts in bodies if facts] == [True, False, True]
    assert runs.owed_ids("archive") == []


def test_acknowledgements_of_all_endpoints_are_one_write(runs: EndpointRuns) -> None:
    recorded = runs.record(deployment(1))
    before = recorded.snapshot.sequence or 0
    runs.deliver(recorded)
    assert runs.storage.read().sequence == before + 1


def test_a_week_of_outage(runs: EndpointRuns) -> None:
    """One endpoint is down for a week of runs; the others are on time, and it gets everything, oldest first."""
    numbers = range(1, 300)
    set_answer(runs.fakes["archive"], DOWN)
    for number in numbers:
        runs.run(deployment(number, days_ago=8 - number / 43))
        assert runs.fakes["lake"].accepted_ids[-1:] == deployment_ids(number)
    assert runs.owed_ids("archive") == deployment_ids(*numbers)
    runs.fakes["archive"].rule = accept
    first = runs.run(deployment(300))
    assert first["endpoint archive"].detail == "200 facts; 100 facts are kept for the next run"
    runs.run(deployment(301))
    assert runs.fakes["archive"].accepted_ids == deployment_ids(*range(1, 302))
    assert [len(ids_in(each)) for each in runs.fakes["archive"].accepted] == [200, 101]
    assert runs.fakes["lake"].accepted_ids == deployment_ids(*range(1, 302))


def owe(runs: EndpointRuns, facts: list[Fact], name: str = "archive") -> None:
    """Make a ledger of facts that an endpoint is owed."""
    month = runs.folder / "facts" / "2026" / "11.jsonl"
    month.parent.mkdir(parents=True)
    month.write_bytes(b"".join(encode_fact(fact) + b"\n" for fact in facts))
    files = outbox.outbox_files({name: [outbox.entry_of(fact) for fact in facts]})
    (runs.folder / ENDPOINTS_OUTBOX_FILE).write_bytes(files[ENDPOINTS_OUTBOX_FILE])


def test_ten_thousand_debts_are_sent_by_a_run_that_has_time(runs: EndpointRuns) -> None:
    owe(runs, [deployment(number, days_ago=2) for number in range(1, 10_001)])
    outcomes = runs.run(has_time=True)
    assert runs.fakes["archive"].accepted_ids == deployment_ids(*range(1, 10_001))
    assert [len(ids_in(each)) for each in runs.fakes["archive"].accepted] == [outbox.MAX_BATCH_FACTS] * 50
    assert outcomes["endpoint archive"].detail == "10,000 facts"
    assert not (runs.folder / ENDPOINTS_OUTBOX_FILE).exists()


def test_a_run_whose_time_is_over_keeps_the_rest(runs: EndpointRuns) -> None:
    owe(runs, [deployment(number, days_ago=2) for number in range(1, 1001)])
    answered: list[Request] = []

    def slow_after_two(request: Request) -> Answer:
        answered.append(request)
        return OK if len(answered) <= 2 else HANGING

    runs.fakes["archive"].rule = slow_after_two
    limits = HttpLimits(connect_seconds=1, read_seconds=20, tries=1, pause_seconds=0, total_seconds=3)
    outcomes = runs.deliver(runs.record(), has_time=True, limits=limits)
    assert runs.owed_ids("archive") == deployment_ids(*range(401, 1001))
    assert "400 facts accepted; 600 facts are kept for the next run" in outcomes["endpoint archive"].detail
    assert outcomes["endpoint lake"].status == "done"


def test_a_hanging_endpoint_takes_no_time_of_the_others(runs: EndpointRuns) -> None:
    set_answer(runs.fakes["default"], HANGING)
    set_answer(runs.fakes["archive"], HANGING)
    limits = HttpLimits(connect_seconds=1, read_seconds=20, tries=3, pause_seconds=0, total_seconds=1.5)
    began = time.monotonic()
    outcomes = runs.deliver(runs.record(deployment(1)), limits=limits)
    assert time.monotonic() - began < 15, "the sinks together have 1.5 s"
    assert [outcome.status for outcome in outcomes.values()] == ["failed", "failed", "done"]
    assert "s that this sink may take; a server is too slow; 1 fact is kept" in outcomes["endpoint archive"].detail
    assert runs.fakes["lake"].accepted_ids == deployment_ids(1)


def test_a_removed_endpoint_keeps_its_debts_and_gets_them_when_it_is_back(runs: EndpointRuns) -> None:
    set_answer(runs.fakes["archive"], DOWN)
    runs.run(deployment(1))
    runs.names.remove("archive")
    runs.run(deployment(2))
    assert runs.owed_ids("archive") == deployment_ids(1)
    runs.names.append("archive")
    runs.fakes["archive"].rule = accept
    runs.run(deployment(3))
    assert runs.fakes["archive"].accepted_ids == deployment_ids(1, 3)


def test_a_refused_fact_goes_behind_the_others_and_stays_owed(runs: EndpointRuns) -> None:
    bad = deployment_ids(1)
    runs.fakes["archive"].rule = lambda request: Answer(400) if ids_in(request) == bad else OK
    first = runs.run(deployment(1))
    assert first["endpoint archive"].detail.startswith("1 fact was refused: HTTP 400: ")
    assert runs.owed_ids("archive") == bad
    set_answer(runs.fakes["archive"], DOWN)
    runs.run(deployment(2))
    assert runs.owed_ids("archive") == deployment_ids(1, 2)


def test_a_fact_without_news_is_sent_again_to_those_that_get_every_run(runs: EndpointRuns) -> None:
    for _ in range(2):
        runs.run(deployment(1))
    first, second = runs.fakes["lake"].accepted
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


def test_without_its_token_an_endpoint_gets_nothing_and_stays_owed(runs: EndpointRuns) -> None:
    runs.options["archive"] = {"token": "archive-token"}
    outcome = runs.run(deployment(1))["endpoint archive"]
    assert outcome.status == "failed"
    assert outcome.detail.startswith("`endpoint-tokens` has no token `archive-token`; add a line")
    assert (runs.fakes["archive"].requests, runs.owed_ids("archive")) == ([], deployment_ids(1))
    runs.inputs["endpoint-tokens"] = "archive-token: t0ken"
    runs.run(deployment(2))
    (request,) = runs.fakes["archive"].requests
    assert (ids_in(request), request.headers["Authorization"]) == (deployment_ids(1, 2), "Bearer t0ken")
    assert "Authorization" not in runs.fakes["lake"].requests[0].headers


def test_a_template_that_fails_sends_nothing_and_loses_nothing(runs: EndpointRuns) -> None:
    template = runs.folder.parent / f"{runs.folder.name}.json.j2"
    template.write_text("{{ facts.nowhere.to_be_found }}", "utf-8")
    runs.options["archive"] = {"template": template.name}
    recorded = runs.record(deployment(1))
    outcomes = runs.deliver(recorded, read_template=lambda path: (template.parent / path).read_text("utf-8"))
    assert "cannot make a request of what is owed: " in outcomes["endpoint archive"].detail
    assert outcomes["endpoint archive"].detail.endswith("; 1 fact is kept for the next run")
    assert outcomes["endpoint lake"].status == "done"
    assert (runs.fakes["archive"].requests, runs.owed_ids("archive")) == ([], deployment_ids(1))


def test_events_select_what_an_endpoint_is_owed(runs: EndpointRuns) -> None:
    runs.options["archive"] = {"events": ["incident"]}
    outcome = runs.run(deployment(1))["endpoint archive"]
    assert (outcome.status, outcome.detail) == ("skipped", "nothing to send")
    assert runs.fakes["archive"].requests == []


@pytest.mark.parametrize("order", [(1, 2, 3), (2, 1, 3), (2, 1)])
def test_a_channel_is_told_each_outcome_of_a_matrix_once_in_any_order(
    tmp_path: Path, stack: ExitStack, order: tuple[int, ...]
) -> None:
    """Two jobs of attempt 1, of which one fails if there is a third: it runs again and succeeds."""
    runs = started(stack, tmp_path, "chat")
    runs.options["chat"] = {"template": "slack"}
    set_answer(runs.fakes["chat"], Answer(200, b"ok"))
    jobs = {
        number: replace(
            deployment(number, days_ago=0.5),
            run_id="500",
            run_attempt=attempt,
            job_name=name,
            status="failure" if number == 2 and 3 in order else "success",
            url=f"https://github.com/acme/shop/actions/runs/500/job/{number}",
        )
        for number, attempt, name in ((1, 1, "eu"), (2, 1, "us"), (3, 2, "us"))
    }
    for number in order:
        runs.run(jobs[number])
    texts = [json.loads(request.body)["text"] for request in runs.fakes["chat"].requests]
    expected = {(1, 2, 3): ["🚀", "❌", "🚀"], (2, 1, 3): ["❌", "🚀"], (2, 1): ["🚀"]}
    assert [text[0] for text in texts] == expected[order]
    assert runs.owed_ids("chat") == []


def test_a_channel_is_told_again_only_what_is_news(tmp_path: Path, stack: ExitStack) -> None:
    """Another run records the fact once more while this one tells about it."""
    runs = started(stack, tmp_path, "chat")
    runs.options["chat"] = {"template": "slack"}
    set_answer(runs.fakes["chat"], Answer(200, b"ok"))
    first = deployment(1, days_ago=0.5, status="failure")
    recorded = runs.record(first)
    runs.record(replace(first, version="v2", observed_at=at(0.4)))
    runs.deliver(recorded)
    assert runs.owed_ids("chat") == []
    recorded = runs.record(second := deployment(2, days_ago=0.5, status="failure"))
    runs.record(replace(second, status="success", observed_at=at(0.4)))
    runs.deliver(recorded)
    assert runs.owed_ids("chat") == deployment_ids(2)


def test_labels_are_in_the_numbers_of_an_endpoint_as_in_a_pushgateway(tmp_path: Path, stack: ExitStack) -> None:
    """Else the same repository, reported by two clusters, would be one series."""
    runs = started(stack, tmp_path, "metrics")
    runs.options["metrics"] = {"template": "otlp"}
    runs.inputs["labels"] = "cluster: eu-1"
    runs.run(deployment(1))
    (request,) = runs.fakes["metrics"].requests
    assert b'{"key":"cluster","value":{"stringValue":"eu-1"}}' in request.body


def test_an_unknown_debt_costs_nothing(runs: EndpointRuns) -> None:
    runs.run(deployment(1))
    (runs.folder / ENDPOINTS_OUTBOX_FILE).write_text(
        '{"endpoint":"lake","id":"nobody:knows","month":""}\nnonsense\n{"endpoint":"lake"}\n[]\n', "utf-8"
    )
    runs.run(deployment(2))
    assert runs.fakes["lake"].accepted_ids == deployment_ids(1, 2)
    assert runs.owed_ids("lake") == []


class Chaos:
    """Twenty runs with faults at three endpoints and between the steps of runs."""

    def __init__(self, runs: EndpointRuns, rng: random.Random) -> None:
        self.runs, self.rng, self.number = runs, rng, 0
        self.uncertain: dict[str, Counter[str]] = {name: Counter() for name in runs.names}
        """How often a fact may have arrived without the run knowing it, by endpoint and id."""
        self.accepted: dict[str, Counter[str]] = {name: Counter() for name in runs.names}
        for name, fake in runs.fakes.items():
            fake.rule = self._rule_of(name)

    def _rule_of(self, name: str) -> Rule:
        def answer(request: Request) -> Answer:
            chosen = self.rng.choice((OK, OK, OK, DOWN, Answer(400), Answer(413), Answer(404), LOST))
            if chosen in (OK, LOST):
                self.accepted[name].update(ids_in(request))
            if chosen is LOST:
                self.uncertain[name].update(ids_in(request))
            return chosen

        return answer

    def record(self) -> RunResult:
        self.number += 1
        return self.runs.record(deployment(self.number, days_ago=1 - self.number / 100))

    def step(self) -> None:
        match self.rng.choice(("run", "run", "killed", "two at once", "acknowledgement fails")):
            case "run":
                self.deliver(self.record())
            case "killed":
                self.record()
            case "two at once":
                first, second = self.record(), self.record()
                self._note_shared(first)
                self.deliver(first)
                self.deliver(second)
            case "acknowledgement fails":
                recorded = self.record()
                before = {name: counter.copy() for name, counter in self.accepted.items()}
                owed = outbox.read_outbox(self.runs.storage.read().files)
                self.deliver(recorded)
                self._restore(owed, before)

    def deliver(self, recorded: RunResult) -> None:
        self.runs.deliver(recorded, has_time=self.rng.random() < 0.3)

    def _note_shared(self, first: RunResult) -> None:
        """What both of two runs are owed may be sent by both."""
        for name, entries in outbox.read_outbox(first.snapshot.files).items():
            self.uncertain[name].update(entry.id for entry in entries)

    def _restore(self, owed: outbox.Outbox, before: dict[str, Counter[str]]) -> None:
        """Put back what was acknowledged, as if that write had failed."""
        for path, content in outbox.outbox_files(owed).items():
            (self.runs.folder / path).write_bytes(content)
        for name, counter in self.accepted.items():
            self.uncertain[name].update(counter - before[name])

    def end(self) -> None:
        """All endpoints are well again, and a run has time."""
        for name, fake in self.runs.fakes.items():
            fake.rule = partial(self._accept, name)
        self.runs.run(has_time=True)

    def _accept(self, name: str, request: Request) -> Answer:
        self.accepted[name].update(ids_in(request))
        return OK


@pytest.mark.parametrize("seed", range(cases(4)))
def test_twenty_runs_with_faults_lose_nothing_and_repeat_only_what_may_not_have_arrived(
    runs: EndpointRuns, seed: int
) -> None:
    chaos = Chaos(runs, random.Random(seed))
    for _ in range(20):
        chaos.step()
    chaos.end()
    for name in runs.names:
        assert set(chaos.accepted[name]) == set(deployment_ids(*range(1, chaos.number + 1))), name
        excess = {each: count - 1 for each, count in chaos.accepted[name].items() if count > 1}
        assert {each for each, count in excess.items() if count > chaos.uncertain[name][each]} == set(), name
        assert runs.owed_ids(name) == []

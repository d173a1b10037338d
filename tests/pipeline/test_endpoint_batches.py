"""What is sent of an endpoint's debts, in which order, and what each answer means for each debt."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.shapes.dora import DORA
from dora_metrics.core.shapes.shape import Shape, ShapedRequest, ShapeInput, TokenHeaders, content_key
from dora_metrics.pipeline.endpoint_batches import MAX_REFUSALS_IN_A_ROW, Delivery, send_in_batches
from dora_metrics.runtime import Deadline, HttpLimits
from dora_metrics.sinks.endpoint import Endpoint
from support.fake_endpoint import FakeEndpoint, ids_in
from support.mocked_http import mocked
from support.property_cases import cases
from support.servers import OK, Answer, Listener, Request, listen, listening
from support.sink_payloads import deployment, shape_input

LIMITS = HttpLimits(connect_seconds=1, read_seconds=1, tries=2, pause_seconds=0)
FACTS = {fact.id: fact for fact in (deployment(number) for number in range(1, 501))}
IDS = list(FACTS)
BASE = shape_input([])


def one_each(shape_input: ShapeInput) -> Sequence[ShapedRequest]:
    """One request for each fact."""
    bodies = [(fact.id, canonical_json(fact)) for fact in shape_input.facts]
    return [ShapedRequest(body=body, key=content_key(fact_id), delivers=(fact_id,)) for fact_id, body in bodies]


ONE_EACH = Shape("one-each", None, one_each)


def make_input(ids: Sequence[str]) -> ShapeInput:
    facts = [FACTS[each] for each in ids if each in FACTS]
    return ShapeInput(BASE.repository, BASE.event, facts, (), BASE.results, BASE.families)


def send(url: str, ids: Sequence[str], shape: Shape = ONE_EACH, seconds: float = 60) -> Delivery:
    return send_in_batches(Endpoint(url, limits=LIMITS, deadline=Deadline(seconds), shape=shape), ids, make_input)


def refusing(refused: Callable[[Request], bool], status: int = 400) -> Callable[[Request], Answer]:
    return lambda request: Answer(status) if refused(request) else OK


def test_everything_is_sent_oldest_first_in_batches() -> None:
    with mocked() as host:
        delivery = send(host.url, IDS, DORA)
    assert [len(ids_in(request)) for request in host.requests] == [200, 200, 100]
    assert [each for request in host.requests for each in ids_in(request)] == IDS
    assert (delivery.outcome_status, delivery.text(IDS, has_ledger=True)) == ("done", "500 facts")


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_fact_holds_up_no_other(status: int) -> None:
    bad = IDS[1]
    with listening(FakeEndpoint(rule=refusing(lambda request: ids_in(request) == [bad], status))) as endpoint:
        delivery = send(endpoint.url, IDS[:4])
    assert endpoint.accepted_ids == [IDS[0], IDS[2], IDS[3]]
    assert (delivery.settled, delivery.refused) == (set(endpoint.accepted_ids), {bad})
    text = delivery.text(IDS[:4], has_ledger=True)
    assert text.startswith(f"1 fact was refused: HTTP {status}: ")
    assert text.endswith("; 3 facts accepted; 1 fact is kept for the next run")


@pytest.mark.parametrize("status", [301, 401, 403, 404, 405, 410, 429, 500, 503])
def test_a_failure_of_the_endpoint_ends_its_turn(status: int) -> None:
    with mocked(OK, Answer(status, headers={"Retry-After": "0", "Location": "http://elsewhere.example"})) as host:
        delivery = send(host.url, IDS[:4])
    assert delivery.settled == {IDS[0]}
    assert not delivery.refused
    assert delivery.problem.startswith(f"HTTP {status}: ")
    tries = LIMITS.tries if status in (429, 500, 503) else 1
    assert len(host.requests) == 1 + tries


def test_a_body_that_is_too_large_is_halved_until_it_fits() -> None:
    with listening(FakeEndpoint(rule=refusing(lambda request: len(ids_in(request)) > 30, 413))) as endpoint:
        delivery = send(endpoint.url, IDS[:200], DORA)
    assert endpoint.accepted_ids == IDS[:200]
    assert {len(ids_in(request)) for request in endpoint.accepted} == {25}
    assert len(endpoint.requests) == 3 + 8
    assert delivery.outcome_status == "done"


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_fact_that_is_refused_in_any_request_is_refused_alone(status: int) -> None:
    bad = IDS[2]
    with listening(FakeEndpoint(rule=refusing(lambda request: bad in ids_in(request), status))) as endpoint:
        delivery = send(endpoint.url, IDS[:100], DORA)
    assert endpoint.accepted_ids == [each for each in IDS[:100] if each != bad]
    assert delivery.refused == {bad}
    assert len(endpoint.requests) < (110 if status == 413 else 25)


def test_what_was_refused_the_last_time_is_sent_after_the_rest_each_by_itself() -> None:
    with listening(FakeEndpoint()) as endpoint:
        address = Endpoint(endpoint.url, limits=LIMITS, shape=DORA)
        send_in_batches(address, IDS[:6], make_input, refused_before=IDS[4:6])
    assert [ids_in(request) for request in endpoint.accepted] == [IDS[:4], IDS[4:5], IDS[5:6]]


@pytest.mark.parametrize("status", [404, 409, 410])
def test_below_the_address_these_are_about_one_thing(status: int) -> None:
    shape = replace(ONE_EACH, requests=lambda made_of: [set_path(each) for each in one_each(made_of)])
    with listening(FakeEndpoint(rule=refusing(lambda request: ids_in(request) == [IDS[0]], status))) as endpoint:
        delivery = send(endpoint.url, IDS[:4], shape)
    assert (delivery.refused, delivery.settled) == ({IDS[0]}, set(IDS[1:4]))


def set_path(request: ShapedRequest) -> ShapedRequest:
    return msgspec.structs.replace(request, path="/things/1")


def test_a_message_to_people_has_everything_that_waits() -> None:
    with listening(FakeEndpoint()) as endpoint:
        send(endpoint.url, IDS[:450], replace(DORA, is_for_people=True))
    assert [len(ids_in(request)) for request in endpoint.accepted] == [450]


def test_an_endpoint_that_refuses_everything_is_not_asked_forever() -> None:
    with mocked(Answer(400)) as host:
        delivery = send(host.url, IDS)
    assert len(host.requests) == MAX_REFUSALS_IN_A_ROW
    assert delivery.refused == set(IDS[:MAX_REFUSALS_IN_A_ROW])
    assert delivery.text(IDS, has_ledger=True) == (
        "HTTP 400: the server rejects what was sent; 500 facts are kept for the next run"
    )


def test_a_redirect_gets_no_second_request_and_no_token() -> None:
    with listen() as elsewhere, listen(Answer(307, headers={"Location": elsewhere.url})) as moved:
        endpoint = Endpoint(moved.url, "t0ken", limits=LIMITS, shape=ONE_EACH)
        delivery = send_in_batches(endpoint, IDS[:2], make_input)
    assert (len(moved.requests), elsewhere.requests) == (1, [])
    assert delivery.problem == "HTTP 307: the server redirects; use the final address"
    assert not delivery.changes_outbox


def test_a_wish_to_be_asked_later_is_granted_within_the_time_of_the_endpoint() -> None:
    with listen(Answer(429, headers={"Retry-After": "3600"})) as busy:
        began = time.monotonic()
        delivery = send(busy.url, IDS[:2], seconds=0.3)
    assert time.monotonic() - began < 10, "an hour is longer than any test"
    assert not delivery.changes_outbox
    assert delivery.problem


def refusal(_: int, body: bytes) -> str:
    return f"the server answered {body.decode()}" if body != b"ok" else ""


CHAT = Shape("chat", None, one_each, refusal=refusal)


def test_a_success_with_an_error_inside_is_a_refusal() -> None:
    with mocked(Answer(200, b"ok"), Answer(200, b"invalid_blocks"), Answer(200, b"ok")) as host:
        delivery = send(host.url, IDS[:3], CHAT)
    assert (delivery.settled, delivery.refused) == ({IDS[0], IDS[2]}, {IDS[1]})
    assert delivery.refusal == "HTTP 200: the server answered invalid_blocks"
    assert len(host.requests) == 3


def test_of_a_success_a_bounded_part_is_read() -> None:
    with mocked(Answer(200, b"x" * 1_000_000)) as host:
        delivery = send(host.url, IDS[:1], CHAT)
    assert len(delivery.refusal) < 20_000


def several(shape_input: ShapeInput) -> Sequence[ShapedRequest]:
    """Two requests for each fact, then one without a fact."""
    ids = [fact.id for fact in shape_input.facts]
    bodies = [ShapedRequest(body=canonical_json({"id": each}), key=each, delivers=(each,)) for each in ids * 2]
    return [*bodies, ShapedRequest(body=b'{"id":"all"}', key="all")]


def test_a_fact_has_arrived_when_all_its_requests_have() -> None:
    with mocked(OK, OK, OK, Answer(400), OK) as host:
        delivery = send(host.url, IDS[:2], Shape("several", None, several))
    assert len(host.requests) == 5
    assert (delivery.settled, delivery.refused) == ({IDS[0]}, {IDS[1]})


def test_what_no_request_names_has_arrived() -> None:
    with mocked() as host:
        delivery = send(host.url, ["github:deployment:999999", *IDS[:1]])
    assert delivery.settled == {"github:deployment:999999", IDS[0]}
    assert delivery.text(IDS[:1], has_ledger=True) == "1 fact"


def failing(_: ShapeInput) -> Sequence[ShapedRequest]:
    raise ValueError("line 3:\nno `facts`")


def test_a_shape_that_raises_sends_nothing_and_keeps_everything() -> None:
    with mocked() as host:
        delivery = send(host.url, IDS[:2], Shape("mine.j2", None, failing))
    assert host.requests == []
    assert not delivery.changes_outbox
    assert delivery.text(IDS[:2], has_ledger=True) == (
        "`mine.j2` cannot make a request of what is owed: line 3: no `facts`; 2 facts are kept for the next run"
    )


def test_a_fact_of_which_no_request_can_be_made_holds_up_no_other() -> None:
    bad_id = IDS[3]

    def requests(shape_input: ShapeInput) -> Sequence[ShapedRequest]:
        if any(fact.id == bad_id for fact in shape_input.facts):
            raise ValueError("it has no changes")
        return one_each(shape_input)

    with mocked() as host:
        delivery = send(host.url, IDS[:8], Shape("mine.j2", None, requests))
    assert delivery.settled == {*IDS[:8]} - {bad_id}
    assert delivery.refused == {bad_id}
    assert "1 fact was refused: `mine.j2` cannot make a request of what is owed: it has no changes" in delivery.text(
        IDS[:8], has_ledger=True
    )


def test_a_backlog_of_which_too_many_requests_would_be_made_is_sent_in_parts() -> None:
    def requests(shape_input: ShapeInput) -> Sequence[ShapedRequest]:
        if len(shape_input.facts) > 60:
            raise ValueError("it makes more than 500 requests")
        return one_each(shape_input)

    with mocked() as host:
        delivery = send(host.url, IDS, Shape("mine.j2", None, requests))
    assert (delivery.settled, delivery.outcome_status) == ({*IDS}, "done")


def test_without_time_no_request_is_made() -> None:
    def unexpected(_: ShapeInput) -> Sequence[ShapedRequest]:
        raise AssertionError("a template would take time")

    delivery = send("http://127.0.0.1:9", IDS[:2], Shape("slow", None, unexpected), seconds=0)
    assert (delivery.outcome_status, delivery.settled) == ("failed", set())
    assert delivery.text(IDS[:2], has_ledger=True).endswith("2 facts are kept for the next run")


def test_reports_and_facts_are_counted_apart() -> None:
    with mocked(Answer(503)) as host:
        delivery = send(host.url, IDS[:1])
    assert delivery.text([IDS[0], "report:weekly:2026-W47"], has_ledger=True).endswith(
        "1 fact and 1 report are kept for the next run"
    )
    assert delivery.text([IDS[0]], has_ledger=False).endswith("1 unsent fact is kept in no ledger")


def test_a_path_comes_after_that_of_the_address_and_before_its_query() -> None:
    def at_path(_: ShapeInput) -> Sequence[ShapedRequest]:
        return [ShapedRequest(body=b"{}", key="k", path="/api/v2/events", method="PUT", content_type="text/plain")]

    shape = Shape("paths", None, at_path, token_headers=TokenHeaders("X-Key"))
    with mocked() as host:
        endpoint = Endpoint(f"{host.url}/in/?site=eu", "t0ken", limits=LIMITS, shape=shape)
        send_in_batches(endpoint, IDS[:1], make_input)
    (request,) = host.requests
    assert (request.method, request.path) == ("PUT", "/in/api/v2/events?site=eu")
    assert (request.headers["X-Key"], request.headers["Content-Type"]) == ("t0ken", "text/plain")
    assert "Authorization" not in request.headers


@contextmanager
def hanging_after(count: int) -> Iterator[Listener]:
    with listen(*[OK] * count, Answer(hang=True)) as listener:
        yield listener


def test_a_hanging_endpoint_gets_its_time_and_no_more() -> None:
    with hanging_after(2) as listener:
        delivery = send(listener.url, IDS[:5], seconds=0.5)
    assert delivery.settled == set(IDS[:2])
    assert delivery.problem == "no complete answer in the 0.5 s that this sink may take; a server is too slow"


@settings(max_examples=cases(15))
@given(
    refused=st.sets(st.sampled_from(IDS[:60]), max_size=12),
    limit=st.integers(1, 60),
    down_after=st.integers(0, 80),
    is_one_body=st.booleans(),
)
def test_nothing_is_lost_and_nothing_is_settled_that_did_not_arrive(
    refused: set[str], limit: int, down_after: int, *, is_one_body: bool
) -> None:
    answered: list[Request] = []

    def rule(request: Request) -> Answer:
        answered.append(request)
        ids = ids_in(request)
        status = 503 if len(answered) > down_after else 413 if len(ids) > limit else 400 if refused & set(ids) else 200
        return Answer(status)

    with listening(FakeEndpoint(rule=rule)) as endpoint:
        delivery = send(endpoint.url, IDS[:60], DORA if is_one_body else ONE_EACH)
    assert len(endpoint.accepted_ids) == len(set(endpoint.accepted_ids))
    assert delivery.settled == set(endpoint.accepted_ids)
    assert not delivery.refused & delivery.settled

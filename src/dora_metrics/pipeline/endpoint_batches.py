"""Send what one endpoint is owed: the oldest first, in batches, until all is sent or the endpoint fails."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from dora_metrics.core.formatting import count, join_with_and
from dora_metrics.core.ledger.outbox import MAX_BATCH_FACTS, is_report
from dora_metrics.core.outcome import OutcomeStatus
from dora_metrics.core.shapes.shape import ShapedRequest, ShapeInput
from dora_metrics.sinks.endpoint import Endpoint, SendFailure

MAX_REFUSALS_IN_A_ROW = 10
"""After these, the endpoint would probably refuse the rest as well, so a run sends it nothing more."""

_NO_TIME = "no time was left for it, because the sinks before it took all that they share"

MakeInput = Callable[[Sequence[str]], ShapeInput]
"""From the ids of debts to what a shape makes requests from."""


@dataclass
class Delivery:
    """What an endpoint was sent in one run, and how it answered.

    Attributes:
        ids: the debts to send, oldest first.
        settled: the ids that are no longer owed: each request with them was accepted, or no request has them.
        sent: the ids that were in accepted requests.
        refused: the ids in requests that were refused for what is in them.
        refusal: why the first of them was refused.
        problem: why nothing more was sent; empty if all was, or if the time is over.
    """

    ids: Sequence[str]
    settled: set[str] = field(default_factory=set)
    sent: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    refusal: str = ""
    problem: str = ""
    _refusals_in_a_row: int = 0
    _has_requests: bool = False

    @property
    def changes_outbox(self) -> bool:
        return bool(self.settled or self.refused)

    @property
    def outcome_status(self) -> OutcomeStatus:
        return "failed" if self.problem or self.refused else "done"

    def left_of(self, ids: Iterable[str]) -> list[str]:
        """Return those that are neither settled nor refused."""
        return [each for each in ids if each not in self.settled and each not in self.refused]

    def text(self, owed_ids: Iterable[str], *, has_ledger: bool) -> str:
        """Say what was sent, what was not and why, and what is still owed.

        Args:
            owed_ids: all that the endpoint was owed, also what this run did not try to send.
            has_ledger: whether the next run sends what this one did not.
        """
        arrived, left = self.settled & self.sent, [each for each in owed_ids if each not in self.settled]
        parts = [self.problem] if self.problem else []
        if self.refused and not self.problem:
            verb = "was" if len(self.refused) == 1 else "were"
            parts.append(f"{_counted(self.refused)} {verb} refused: {self.refusal}")
        if arrived or not parts:
            parts.append(_counted(arrived) + (" accepted" if parts else ""))
        if left:
            kept = "kept for the next run" if has_ledger else "kept in no ledger"
            counted = _counted(left, "" if has_ledger else "unsent ")
            parts.append(f"{counted} {'is' if len(left) == 1 else 'are'} {kept}")
        return "; ".join(parts)

    def begin(self) -> None:
        """Note that other debts follow: what was refused so far says nothing about them."""
        self._refusals_in_a_row = 0

    def note_requests(self) -> None:
        """Note that requests could be made of some debts, so that what is wrong with others is in them."""
        self._has_requests = True

    def end(self) -> None:
        """Note that nothing more is sent. If no request could be made at all, the template is at fault, not a debt."""
        if self.refused and not self._has_requests:
            self.problem, self.refused = self.refusal, set()

    def accept(self, request: ShapedRequest) -> None:
        """Note that a request was accepted."""
        self._refusals_in_a_row = 0
        self.sent.update(request.delivers)

    def refuse(self, ids: Collection[str], failure: SendFailure) -> None:
        """Note that a request with these debts was not accepted, or could not be made.

        A refusal of what is in it stops nothing, unless all are refused.
        """
        self._refusals_in_a_row += 1
        is_of_request = failure.is_of_request and bool(ids)
        if is_of_request:
            self.refused.update(ids)
            self.refusal = self.refusal or failure.text
        if not is_of_request or self._refusals_in_a_row == MAX_REFUSALS_IN_A_ROW:
            self.problem = failure.text


def _counted(ids: Collection[str], adjective: str = "") -> str:
    """Return `2 facts`, `1 report`, or `2 facts and 1 report`."""
    report_count = sum(map(is_report, ids))
    fact_count = len(ids) - report_count
    facts = [count(fact_count, f"{adjective}fact")] if fact_count or not report_count else []
    return join_with_and([*facts, *([count(report_count, f"{adjective}report")] if report_count else [])])


def send_in_batches(
    endpoint: Endpoint, ids: Sequence[str], make_input: MakeInput, refused_before: Collection[str] = ()
) -> Delivery:
    """Send debts batch by batch; without any, send what the shape makes of the numbers alone.

    What was refused the last time is sent after all others, each by itself: a request with several would be refused.

    Args:
        endpoint: the address, with its credentials and its time.
        ids: the debts in the order of sending: those that were refused the last time come last.
        make_input: makes what the shape gets, from the ids of a batch.
        refused_before: the ids of those that were refused the last time.
    """
    delivery = Delivery(ids)
    if not endpoint.deadline.seconds_left:
        delivery.problem = _NO_TIME
        return delivery
    fresh, refused = ([each for each in ids if (each in refused_before) is is_refused] for is_refused in (False, True))
    if fresh or not refused:
        size = max(1, len(fresh)) if endpoint.shape.is_for_people else MAX_BATCH_FACTS
        _send_all(endpoint, fresh, size, make_input, delivery)
    if refused and not delivery.problem:
        _send_all(endpoint, refused, 1, make_input, delivery)
    delivery.end()
    return delivery


def _send_all(endpoint: Endpoint, ids: Sequence[str], largest: int, make_input: MakeInput, delivery: Delivery) -> None:
    """Send debts in batches of at most `largest`, each of which is halved until the rest of it is accepted."""
    waiting, size = list(ids), largest
    delivery.begin()
    while endpoint.deadline.seconds_left:
        batch, later = waiting[:size], waiting[size:]
        if refusal := _send_batch(endpoint, batch, make_input, delivery):
            size = max(1, len(batch) // 2)
            largest = size if refusal.is_too_large else largest
        else:
            size = min(largest, 2 * size)
        waiting = [*(delivery.left_of(batch) if refusal else ()), *later]
        if delivery.problem or not waiting:
            return


def _send_batch(
    endpoint: Endpoint, batch: Sequence[str], make_input: MakeInput, delivery: Delivery
) -> SendFailure | None:
    """Make and send the requests of a batch; return why that failed, if a part of the batch may be accepted."""
    try:
        requests = endpoint.shape.requests(make_input(batch))
    except Exception as error:  # noqa: BLE001 - a template of a user's, or a shape, may fail in any way
        text = f"`{endpoint.shape.name}` cannot make a request of what is owed: {_reason(error)}"
        failure = SendFailure(text, is_of_request=True, is_too_large=False)
        if len(batch) > 1:
            return failure
        delivery.refuse(batch, failure)
        return None
    delivery.note_requests()
    return _send(endpoint, batch, requests, delivery)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _send(
    endpoint: Endpoint, batch: Sequence[str], requests: Sequence[ShapedRequest], delivery: Delivery
) -> SendFailure | None:
    """Send the requests of a batch; return why one was refused, if a part of the batch may be accepted."""
    refusal: SendFailure | None = None
    unsettled: set[str] = set()
    for request in requests:
        if delivery.problem or refusal or _is_refused_already(request, delivery.refused):
            unsettled.update(request.delivers)
        elif not (failure := endpoint.send(request)):
            delivery.accept(request)
        elif failure.is_of_request and len(batch) > 1 and len(request.delivers) > 1:
            refusal = failure
            unsettled.update(request.delivers)
        else:
            unsettled.update(request.delivers)
            delivery.refuse(request.delivers, failure)
    delivery.settled.update(each for each in batch if each not in unsettled)
    return refusal


def _is_refused_already(request: ShapedRequest, refused: set[str]) -> bool:
    """Whether all that a request delivers was in a request that was refused, so that it stays owed anyway."""
    return bool(request.delivers) and refused.issuperset(request.delivers)

"""Send what the endpoints are owed, each in its share of the time, and record together what they accepted."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dora_metrics.core import periods
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.ledger import layout
from dora_metrics.core.ledger.layout import ALL_MONTHS, MonthSelection
from dora_metrics.core.ledger.outbox import (
    MAX_BATCH_FACTS,
    Outbox,
    OutboxEntry,
    entry_of,
    is_report,
    name_in_outbox,
    outbox_files,
    read_outbox,
    refused_last,
    remaining,
    reported_period,
    with_entries,
)
from dora_metrics.core.ledger.snapshot import Snapshot
from dora_metrics.core.linking.former_names import RepositoryNames
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.reports.periodic.page_address import PageAddress
from dora_metrics.core.reports.prometheus import LedgerCollector
from dora_metrics.core.shapes.shape import FactChange, OwedReport, Shape, ShapeInput
from dora_metrics.core.shapes.shipped import SHIPPED_SHAPES, shipped_shape
from dora_metrics.errors import LedgerError
from dora_metrics.github.observation import Run
from dora_metrics.pipeline.endpoint_batches import Delivery, send_in_batches
from dora_metrics.pipeline.evaluate import exported_repository, prometheus_families
from dora_metrics.pipeline.owed import Interest
from dora_metrics.pipeline.plan import RunResult
from dora_metrics.pipeline.reports import page_address, report_inputs
from dora_metrics.runtime import Deadline, HttpLimits
from dora_metrics.settings.endpoints import EndpointSettings
from dora_metrics.settings.model import EVERY_REPOSITORY, Settings
from dora_metrics.sinks.endpoint import Endpoint
from dora_metrics.storage.base import attempts

ReadTemplate = Callable[[Path], str]
"""Reads the file of a user's template by its path in the repository."""

_MAX_TRIES = 3
_ACKNOWLEDGED = "Remove the facts that the endpoint has acknowledged"
_NOTHING_TO_SEND = "nothing to send"


@dataclass(frozen=True)
class Shipment:
    """What one endpoint gets in a run.

    Attributes:
        endpoint: where it is.
        shape: what is made of its debts.
        name_in_outbox: what the outbox calls it.
        owed: all its debts, oldest first.
        ids: the debts that this run sends.
        skip_reason: why it gets nothing; empty if it gets something.
    """

    endpoint: EndpointSettings
    shape: Shape
    name_in_outbox: str
    owed: Sequence[OutboxEntry]
    ids: Sequence[str]
    skip_reason: str = ""


@dataclass
class EndpointRun:
    """The endpoints of one run.

    Attributes:
        result: what was recorded, and the numbers.
        settings: the endpoints.
        run: the workflow run.
        limits: of each request.
        deadline: of all sinks of the run.
        has_time: whether nobody waits for this run, so that it sends everything that waits.
        read_template: reads the file of a user's template.
        reason_not_to_push: why this run may not send the numbers as series; empty if it may.
        later_sinks: how many sinks share the time after the endpoints.
    """

    result: RunResult
    settings: Settings
    run: Run
    limits: HttpLimits
    deadline: Deadline
    has_time: bool
    read_template: ReadTemplate
    reason_not_to_push: Callable[[], str]
    later_sinks: int

    def deliver(self) -> Iterator[Outcome]:
        """Send to each endpoint in turn; a failure of one is its outcome, and does not concern the others."""
        shipments = [self._shipment(endpoint) for endpoint in self.settings.all_endpoints]
        try:
            snapshot, facts = self._read_facts(shipments)
        except LedgerError as error:
            for shipment in shipments:
                yield Outcome(shipment.endpoint.sink_name, "failed", f"the unsent facts cannot be read: {error}")
            return
        deliveries: dict[str, Delivery] = {}
        sending = [shipment for shipment in shipments if not shipment.skip_reason]
        for place, shipment in enumerate(sending):
            sinks_left = len(sending) - place + self.later_sinks
            deliveries[shipment.endpoint.name] = self._send(shipment, facts, sinks_left)
        problem = self._acknowledge(snapshot, sending, deliveries, facts)
        for shipment in shipments:
            yield self._outcome(shipment, deliveries.get(shipment.endpoint.name), problem)

    def _shipment(self, endpoint: EndpointSettings) -> Shipment:
        shape = _shape_of(endpoint.template, self.read_template)
        name = name_in_outbox(endpoint.name, self.result.tenant)
        owed = self._owed(endpoint, shape, self._outbox.get(name, ()))
        ids = [entry.id for entry in refused_last(owed) if not is_report(entry.id) or self._has_all_months]
        if self._is_persistent and not self.has_time:
            ids = ids[:MAX_BATCH_FACTS]
        return Shipment(endpoint, shape, name, owed, ids, self._skip_reason(endpoint, shape, ids))

    def _owed(self, endpoint: EndpointSettings, shape: Shape, entries: Sequence[OutboxEntry]) -> list[OutboxEntry]:
        """Return the debts of an endpoint, and the facts of this event, which some get also without news."""
        interest, gets_all = Interest.of_shape(shape, endpoint), _gets_every_run(endpoint, shape)
        own = self._own_facts(interest, gets_all=gets_all)
        owed_ids = {entry.id for entry in entries}
        return with_entries(entries, (entry_of(fact) for fact in own if fact.id not in owed_ids))

    def _own_facts(self, interest: Interest, *, gets_all: bool) -> list[Fact]:
        """Return the facts of this run that an endpoint gets, whatever the ledger says."""
        if self._is_persistent and (self.has_time or not gets_all):
            return []
        merge = self.result.merge
        observed = self.result.facts if gets_all else merge.new_facts
        facts = [fact for each in observed if (fact := merge.after.fact_by_id(each.id))]
        if self._is_persistent:
            return [fact for fact in facts if interest.includes(fact)]
        changes = [FactChange(None, fact, self.run.now, self.settings.policy) for fact in facts]
        return [each.after for each in changes if interest.includes(each.after) and interest.is_owed(each)]

    def _skip_reason(self, endpoint: EndpointSettings, shape: Shape, ids: Sequence[str]) -> str:
        if not ids and not _gets_every_run(endpoint, shape):
            return _NOTHING_TO_SEND
        return self.reason_not_to_push() if _is_of_numbers_alone(shape) else ""

    @property
    def _is_persistent(self) -> bool:
        return self.result.storage.is_persistent

    @property
    def _has_all_months(self) -> bool:
        """Whether the run read the whole ledger, which reports need."""
        return self._is_persistent and not self.result.snapshot.months.since

    @cached_property
    def _outbox(self) -> Outbox:
        return read_outbox(self.result.snapshot.files, self._names) if self._is_persistent else {}

    @property
    def _names(self) -> RepositoryNames:
        return self.result.merge.after.names

    def _read_facts(self, shipments: Sequence[Shipment]) -> tuple[Snapshot, Mapping[str, Fact | None]]:
        """Return the facts to send by id, None for one that the ledger lacks, and the ledger read as far back.

        Raises:
            LedgerError: if the ledger cannot be read.
        """
        snapshot, contents = self.result.snapshot, self.result.merge.after
        sent_ids = {each for shipment in shipments for each in shipment.ids if not is_report(each)}
        months = {entry.id: entry.month for shipment in shipments for entry in shipment.owed if entry.id in sent_ids}
        facts = {each: contents.fact_by_id(each) for each in sent_ids}
        unread = {months[each] for each, fact in facts.items() if fact is None}
        unread = {month for month in unread if not snapshot.months.includes(month)}
        if not unread:
            return snapshot, facts
        more = MonthSelection(snapshot.months.since, snapshot.months.extra_months | unread)
        snapshot = self.result.storage.read_more(snapshot, more if all(unread) else ALL_MONTHS)
        older = layout.parse_ledger(snapshot.files, known=contents.names)
        return snapshot, {each: fact or older.fact_by_id(each) for each, fact in facts.items()}

    def _send(self, shipment: Shipment, facts: Mapping[str, Fact | None], sinks_left: int) -> Delivery:
        endpoint = shipment.endpoint
        if endpoint.missing_token:
            return Delivery(shipment.ids, problem=_missing_token_text(endpoint.missing_token))
        deadline = self._share(sinks_left)
        address = Endpoint(endpoint.url, endpoint.token, endpoint.secret, self.limits, deadline, shipment.shape)
        refused_before = {entry.id for entry in shipment.owed if entry.refused}
        return send_in_batches(
            address, shipment.ids, lambda ids: self._input(ids, facts, deadline.seconds_left), refused_before
        )

    def _share(self, sinks_left: int) -> Deadline:
        """Return the time of the next sink: its equal part of what is left for the sinks that have not sent."""
        seconds_left = self.deadline.seconds_left
        return self.deadline if sinks_left == 1 or not seconds_left else Deadline(seconds_left / sinks_left)

    def _input(self, ids: Sequence[str], facts: Mapping[str, Fact | None], seconds_left: float) -> ShapeInput:
        return ShapeInput(
            repository=self.run.repository,
            event=self.run.event,
            facts=[fact for each in ids if (fact := facts.get(each))],
            reports=[report for each in ids if (report := self._report(each))],
            results=self.result.results,
            families=self._families,
            page=self._page,
            seconds_left=seconds_left,
        )

    @cached_property
    def _page(self) -> PageAddress:
        return page_address(self.settings, self.run)

    @cached_property
    def _families(self) -> LedgerCollector:
        """The numbers for Prometheus of the repository of the run; of all that a run with time reads."""
        result, run = self.result, self.run
        repository = exported_repository(self.settings, run.repository) if self.has_time else run.repository
        sequence, marks = result.snapshot.sequence, result.marks
        families = prometheus_families(result.results, result.totals, sequence, repository, marks)
        return families.with_labels(self.settings.labels)

    def _report(self, debt_id: str) -> OwedReport | None:
        """Return an owed report; None for a fact, and if there is nothing to report under its name."""
        named = reported_period(debt_id)
        period = periods.named_period(*named, self.settings.zone, self.settings.report_day) if named else None
        if period is None:
            return None
        present_name = self._names.present_name(self.run.repository)
        repository = EVERY_REPOSITORY if self.settings.covers_several_repositories else present_name
        inputs = report_inputs(self.result.results, repository, period, self._page)
        return OwedReport(debt_id, inputs) if inputs else None

    def _acknowledge(
        self,
        snapshot: Snapshot,
        shipments: Sequence[Shipment],
        deliveries: Mapping[str, Delivery],
        facts: Mapping[str, Fact | None],
    ) -> str:
        """Remove what is settled from the outbox, for all endpoints at once; return why that failed, or an empty text.

        What cannot be removed is sent again, which does no harm.
        """
        changed = [each for each in shipments if deliveries[each.endpoint.name].changes_outbox]
        if not changed or not self._is_persistent:
            return ""
        try:
            self._write_outbox(snapshot, changed, deliveries, facts)
        except LedgerError as error:
            return f"the ledger could not record this, so the next run sends them again ({error})"
        return ""

    def _write_outbox(
        self,
        snapshot: Snapshot,
        shipments: Sequence[Shipment],
        deliveries: Mapping[str, Delivery],
        facts: Mapping[str, Fact | None],
    ) -> None:
        changed_ids: AbstractSet[str] = frozenset()
        for attempt in attempts(_MAX_TRIES):
            if attempt:
                snapshot = self.result.storage.read(snapshot.months)
                changed_ids = self._changed_ids(snapshot, facts)
            changes = snapshot.changed(self._outbox_after(snapshot, shipments, deliveries, changed_ids))
            if not changes or self.result.storage.write(snapshot, changes, _ACKNOWLEDGED):
                return
        raise LedgerError("other runs wrote to it each time")

    def _outbox_after(
        self,
        snapshot: Snapshot,
        shipments: Sequence[Shipment],
        deliveries: Mapping[str, Delivery],
        changed_ids: AbstractSet[str],
    ) -> dict[str, bytes]:
        """Return the files of the outbox without what is settled. What has changed since, or was owed again, stays.

        Of what people were told, only news stays, which is owed again.
        """
        outbox = read_outbox(snapshot.files, self._names)
        for shipment in shipments:
            delivery, owed = deliveries[shipment.endpoint.name], outbox.get(shipment.name_in_outbox, ())
            sent = {entry.id: entry for entry in shipment.owed}
            unsure_ids = frozenset[str]() if shipment.shape.is_for_people else changed_ids
            left = remaining(owed, sent, delivery.settled - unsure_ids, delivery.refused)
            outbox[shipment.name_in_outbox] = with_entries(left, _overtaken(shipment, delivery, owed, changed_ids))
        return outbox_files(outbox)

    def _changed_ids(self, snapshot: Snapshot, facts: Mapping[str, Fact | None]) -> set[str]:
        """Return the ids of the facts that have changed since they were sent, and are therefore owed again."""
        contents = layout.parse_ledger(snapshot.files, known=self._names)
        return {each for each, fact in facts.items() if contents.fact_by_id(each) != fact}

    def _outcome(self, shipment: Shipment, delivery: Delivery | None, problem: str) -> Outcome:
        name = shipment.endpoint.sink_name
        if delivery is None:
            return Outcome(name, "skipped", shipment.skip_reason)
        text = delivery.text([entry.id for entry in shipment.owed], has_ledger=self._is_persistent)
        detail = f"{text}; {problem}" if problem and delivery.changes_outbox else text
        return Outcome(name, delivery.outcome_status, detail)


def _shape_of(template: str, read_template: ReadTemplate) -> Shape:
    """Return a shape by the name of a shipped one, or by the path of a template, whose file is not read yet."""
    if template in SHIPPED_SHAPES:
        return shipped_shape(template)
    from dora_metrics.pipeline.endpoint_template import template_shape  # noqa: PLC0415 - loads what only it needs

    return template_shape(template, read_template)


def _overtaken(
    shipment: Shipment, delivery: Delivery, owed: Sequence[OutboxEntry], changed_ids: AbstractSet[str]
) -> list[OutboxEntry]:
    """Return the debts that another run has settled while this one sent them, if that may be about another state.

    Whose word was the last one is unknown, so it is owed once more. People are not told twice.
    """
    if shipment.shape.is_for_people:
        return []
    settled_ids = delivery.sent - {entry.id for entry in owed}
    doubtful_ids = settled_ids if shipment.shape.owes_judgements else settled_ids & changed_ids
    return [entry for entry in shipment.owed if entry.id in doubtful_ids]


def _gets_every_run(endpoint: EndpointSettings, shape: Shape) -> bool:
    """Whether an endpoint gets the numbers, and the facts of its event, in each run: not if it named its events."""
    return shape.sends_numbers and endpoint.events is None


def _is_of_numbers_alone(shape: Shape) -> bool:
    return shape.sends_numbers and shape.events == frozenset()


def _missing_token_text(token: str) -> str:
    return f"`endpoint-tokens` has no token `{token}`; add a line `{token}: TOKEN` to that input"

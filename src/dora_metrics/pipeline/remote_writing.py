"""Remote write of a run: first the past, if the target was not sent it yet, and then the present.

The order matters: a target that takes no older samples after newer ones still gets its past while it has none of ours.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as dataclass_replace
from datetime import datetime
from itertools import dropwhile
from operator import itemgetter

from msgspec.structs import replace

from dora_metrics.core import formatting
from dora_metrics.core.facts.as_of import PastFacts
from dora_metrics.core.facts.merge import CLOCK_SKEW
from dora_metrics.core.ledger.layout import REMOTE_WRITE_FILE, MonthSelection
from dora_metrics.core.ledger.remote_write_file import (
    PAST_DAYS,
    PastMark,
    encode_past_marks,
    joined_mark,
    read_past_marks,
)
from dora_metrics.core.metrics.high_water_marks import HighWaterMarks
from dora_metrics.core.outcome import Outcome
from dora_metrics.errors import LedgerError
from dora_metrics.pipeline.backfill import PastMoment, past_moments
from dora_metrics.pipeline.plan import RunResult
from dora_metrics.runtime import Deadline
from dora_metrics.sinks.base import SinkPayload
from dora_metrics.sinks.http import SendError
from dora_metrics.sinks.remote_write import Answers, OldSampleError, OtherValueError, RemoteWrite
from dora_metrics.storage.base import attempts

_DAYS_AT_ONCE = 7
"""In one request. A series has its labels once in it, so seven days are little more than one."""

_MAX_TRIES = 3
_MESSAGE = "Remember how much of the past was sent by remote write"
_NO_MONTHS = MonthSelection("facts/9999")
_NAME = "remote write: past"


def write_with_past(result: RunResult, sink: RemoteWrite, payload: SinkPayload) -> Iterator[Outcome]:
    """Write the past that the target was not sent, and then the present; for a run that has read all facts.

    Each of them gets half of the time that is left for requests. The past of many facts takes minutes to compute, so a
    run computes for a minute, and the next one continues.
    """
    unsent = _unsent_pasts(result, sink.target, payload.families.repositories)
    if unsent:
        seconds = round(sink.deadline.seconds_left / 2, 1)
        yield _write_past(result, PastWriter(sink, seconds, Deadline(sink.limits.past_seconds)), unsent)
        sink = dataclass_replace(sink, deadline=Deadline(seconds))
    yield sink.send(payload)


def _unsent_pasts(result: RunResult, target: str, repositories: Iterable[str]) -> list[dict[str, PastMark]]:
    """Return the marks of repositories whose past was not sent completely.

    Those with the same days are together, and those whose past was begun first come first.
    """
    now = result.results.now.replace(microsecond=0)
    marks = read_past_marks(result.snapshot.files, now + CLOCK_SKEW).get(target, {})
    unsent: defaultdict[tuple[datetime, datetime | None], dict[str, PastMark]] = defaultdict(dict)
    for repository in repositories:
        mark = marks.get(repository, PastMark(now))
        if not mark.is_complete:
            unsent[mark.until, mark.reached][repository] = mark
    return [unsent[days] for days in sorted(unsent, key=itemgetter(0))]


def _write_past(result: RunResult, writer: "PastWriter", unsent: Iterable[Mapping[str, PastMark]]) -> Outcome:
    """Write the past of these repositories as far as the time allows, and remember how far that is."""
    facts, policy = PastFacts.happened(result.merge.after.facts), result.results.policy
    reached: dict[str, PastMark] = {}
    for marks in unsent:
        mark = joined_mark(marks.values())
        fallen = HighWaterMarks(Counter(dict(mark.fallen)))
        new_mark = writer.write(mark, past_moments(facts, policy, mark.steps, fallen), marks.keys())
        if new_mark != mark:
            reached |= {repository: new_mark.of_repository(repository) for repository in marks}
        if not new_mark.is_complete:
            break
    problem = _remember(result, writer.sink.target, reached) if reached else ""
    outcome = writer.outcome(new_mark)
    return replace(outcome, detail=f"{outcome.detail}; {problem}") if problem else outcome


@dataclass
class PastWriter:
    """Writes past days, oldest first, as long as there is time and the target takes something.

    Attributes:
        sink: the target.
        seconds: what is left for requests.
        deadline: the end of the time to compute and send.
        has_computed: whether a day was computed.
        taken_since: the first day that the target took; None if it took none.
        has_refused: whether it refused days because they are old.
        request_count: the requests that it answered, also with such a refusal.
        other_values_count: how many of them it refused because it has other values for these times: those of a run that
            was stopped before it could remember what it had sent.
        problem: another reason for which it refused, so that nothing more was sent; otherwise empty.
    """

    sink: RemoteWrite
    seconds: float
    deadline: Deadline
    has_computed: bool = False
    taken_since: datetime | None = None
    has_refused: bool = False
    request_count: int = 0
    other_values_count: int = 0
    problem: str = ""

    def write(self, mark: PastMark, days: Iterable[PastMoment], repositories: Collection[str]) -> PastMark:
        """Write the days after a mark; return the mark of the last one that was sent."""
        unsent = dropwhile(lambda day: mark.has_passed(day.families.now), days)
        while (some_days := self._compute_days(unsent)) and self._write_days(some_days, repositories):
            last = some_days[-1]
            mark = PastMark(mark.until, last.families.now, tuple(sorted(last.fallen.values.items())))
        return mark

    def _compute_days(self, unsent: Iterator[PastMoment]) -> Sequence[PastMoment]:
        """Compute the days of the next request: none after the time, but one in each run."""
        days: list[PastMoment] = []
        while len(days) < _DAYS_AT_ONCE and not self._is_over and (day := next(unsent, None)):
            days.append(day)
            self.has_computed = True
        return days

    @property
    def _is_over(self) -> bool:
        return self.has_computed and not (self.deadline.seconds_left and self.seconds)

    def _write_days(self, days: Sequence[PastMoment], repositories: Collection[str]) -> bool:
        """Write days in one go; return whether the target has them, or takes none of this age."""
        series = self.sink.series((day.families for day in days), repositories)
        deadline = Deadline(self.seconds)
        try:
            self._note_answers(self.sink.write(series, deadline), days[0].families.now)
        except SendError as problem:
            self.problem = str(problem) if deadline.seconds_left else ""
            return False
        finally:
            self.seconds = deadline.seconds_left
        return True

    def _note_answers(self, answers: Answers, first_day: datetime) -> None:
        """Note what the target took, and why not the rest. Without any series, there are no answers."""
        old_count = sum(isinstance(answer, OldSampleError) for answer in answers)
        self.has_refused |= bool(old_count)
        self.request_count += len(answers)
        self.other_values_count += sum(isinstance(answer, OtherValueError) for answer in answers)
        if old_count < len(answers):
            self.taken_since = self.taken_since or first_day

    def outcome(self, mark: PastMark) -> Outcome:
        """Say how it went; `mark` is how far."""
        if not mark.is_complete:
            sent = f"sent up to {mark.reached:%Y-%m-%d}" if mark.reached else "nothing was sent"
            if self.problem:
                return Outcome(_NAME, "failed", f"{sent}; the next sync sends the rest ({self.problem})")
            return Outcome(_NAME, "skipped", f"{sent} in the time for it; the next sync sends the rest")
        if self.taken_since is None:
            return Outcome(_NAME, "skipped", _NO_OLD_SAMPLES if self.has_refused else _NO_PAST)
        if self.has_refused:
            since = f"{self.taken_since:%Y-%m-%d}"
            return Outcome(_NAME, "done", f"sent since {since}{self._gaps}; the target takes no older samples")
        return Outcome(_NAME, "done", f"the last {PAST_DAYS} days{self._gaps}")

    @property
    def _gaps(self) -> str:
        """What is missing of the days that were sent; empty if nothing is."""
        if not self.other_values_count:
            return ""
        requests = formatting.count(self.request_count, "request")
        return f", without {self.other_values_count:,} of {requests}: the target has other values for these times"


_NO_PAST = "nothing is recorded before today"
_NO_OLD_SAMPLES = (
    "the target takes no older samples, so its history begins now. This is not tried again; docs/prometheus.md says "
    "how to load the past"
)


def _remember(result: RunResult, target: str, reached: Mapping[str, PastMark]) -> str:
    """Write the marks of repositories into the ledger; return why that failed, or nothing."""
    snapshot, latest = result.snapshot, result.results.now + CLOCK_SKEW
    try:
        for attempt in attempts(_MAX_TRIES):
            if attempt:
                snapshot = result.storage.read(_NO_MONTHS)
            marks = read_past_marks(snapshot.files, latest)
            content = encode_past_marks({**marks, target: {**marks.get(target, {}), **reached}})
            changes = snapshot.changed({REMOTE_WRITE_FILE: content})
            if not changes or result.storage.write(snapshot, changes, _MESSAGE):
                return ""
    except LedgerError as error:
        return _UNREMEMBERED.format(error)
    return _UNREMEMBERED.format("other runs wrote first")


_UNREMEMBERED = "the ledger could not record this, so the next sync sends it again ({})"

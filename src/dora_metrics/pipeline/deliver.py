"""Send the numbers to every sink that is configured; a sink's failure is an outcome, never an exception."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr
from requests.auth import HTTPBasicAuth

from dora_metrics.core.ledger import layout
from dora_metrics.core.ledger.month_files import FACTS_FOLDER
from dora_metrics.core.ledger.snapshot import Snapshot
from dora_metrics.core.linking.former_names import RepositoryNames
from dora_metrics.core.metrics.high_water_marks import NO_MARKS, HighWaterMarks
from dora_metrics.core.outcome import Outcome
from dora_metrics.errors import LedgerError
from dora_metrics.github.observation import Run
from dora_metrics.pipeline.evaluate import exported_repository, prometheus_families
from dora_metrics.pipeline.plan import RunResult
from dora_metrics.runtime import Deadline, HttpLimits
from dora_metrics.settings.model import Settings
from dora_metrics.sinks.base import Sink, SinkPayload
from dora_metrics.sinks.pushed_counters import PushedGroup
from dora_metrics.sinks.pushgateway import Pushgateway

if TYPE_CHECKING:
    from dora_metrics.sinks.remote_write import RemoteWrite

_PUSHED_BY_SHARDS = "the runs that write the `shard-ledgers` send the series of their scopes, so this run sends none"


def deliver(  # noqa: PLR0913 - what a run is, and what each kind of sink needs of it
    result: RunResult,
    settings: Settings,
    run: Run,
    limits: HttpLimits,
    *,
    read_template: Callable[[Path], str],
    has_time: bool = False,
) -> Iterator[Outcome]:
    """Send to every sink that is configured; all of them together have one deadline.

    Args:
        result: what was recorded, and the numbers.
        settings: which sinks there are.
        run: the workflow run.
        limits: of each request, and of all of them together.
        read_template: reads a template of the user's by its path in the repository.
        has_time: whether nobody waits for this run, so that it may send the past.
    """
    deadline = Deadline(limits.total_seconds)
    pushes = settings.pushgateway_url or settings.remote_write_url
    reason_not_to_push = cache(partial(_reason_not_to_push, result, settings))
    skip_reason = reason_not_to_push() if pushes else ""
    if settings.pushgateway_url:
        auth = _basic_auth(settings)
        url, job = _text(settings.pushgateway_url), settings.pushgateway_job
        gateway = Pushgateway(url, job, auth, limits, deadline, settings.labels)
        yield _push(result, run, gateway, skip_reason)
    if settings.all_endpoints:
        from dora_metrics.pipeline.endpoints import EndpointRun  # noqa: PLC0415 - loads what only they need

        later_sinks = int(bool(settings.remote_write_url))
        yield from EndpointRun(
            result, settings, run, limits, deadline, has_time, read_template, reason_not_to_push, later_sinks
        ).deliver()
    if settings.remote_write_url:  # last, since the past may take the time that the others leave
        sink = _remote_write(settings, limits, deadline)
        if skip_reason:
            yield Outcome(sink.name, "skipped", skip_reason)
        elif has_time:
            yield from _write_with_past(result, settings, run, sink)
        else:
            yield sink.send(_payload(result, run, result.marks, run.repository))


def _remote_write(settings: Settings, limits: HttpLimits, deadline: Deadline) -> "RemoteWrite":
    from dora_metrics.sinks.remote_write import RemoteWrite  # noqa: PLC0415 - loads what only it needs

    url, token = _text(settings.remote_write_url), _secret(settings.remote_write_token)
    group = {"job": settings.pushgateway_job, **settings.labels}
    return RemoteWrite(url, group, settings.remote_write_username, token, limits, deadline)


def _write_with_past(result: RunResult, settings: Settings, run: Run, sink: "RemoteWrite") -> Iterator[Outcome]:
    """Write the series of the repositories that a sync reads, and the past of those whose past is not there yet."""
    from dora_metrics.pipeline.remote_writing import write_with_past  # noqa: PLC0415 - as above

    repository = exported_repository(settings, run.repository)
    yield from write_with_past(result, sink, _payload(result, run, result.marks, repository))


def _payload(result: RunResult, run: Run, marks: HighWaterMarks, repository: str | None) -> SinkPayload:
    """Return what a sink gets, with the families of one repository, or of all."""
    sequence = result.snapshot.sequence
    families = prometheus_families(result.results, result.totals, sequence, repository, marks)
    return SinkPayload(run.repository, families)


def _push(result: RunResult, run: Run, gateway: Pushgateway, skip_reason: str) -> Outcome:
    """Push to the Pushgateway, unless there is a reason not to.

    No counter is pushed below what the gateway holds: an older ledger that was restored has older marks. What the
    gateway holds does not become a mark of the ledger: each push reads it again, and the ledger follows from its facts
    alone.
    """
    sink: Sink = gateway
    if skip_reason:
        return Outcome(sink.name, "skipped", skip_reason)
    names = result.merge.after.names
    pushed = gateway.pushed_group(run.repository)
    counters = pushed.counters if _is_own_group(pushed, run.repository, names) else NO_MARKS
    payload = _payload(result, run, result.marks | counters, run.repository)
    return sink.send(replace(payload, families=payload.families.identified_by(names.repository_id(run.repository))))


def _is_own_group(pushed: PushedGroup, repository: str, names: RepositoryNames) -> bool:
    """Whether a group holds the counters of this repository, and not of another one that had its name before.

    The numbers of both decide, also where each has a ledger of its own. A group of an earlier version has no number.
    """
    own_id = names.repository_id(repository)
    if own_id and pushed.repository_id:
        return own_id == pushed.repository_id
    return not names.has_had_other_holder(repository)


def _reason_not_to_push(result: RunResult, settings: Settings) -> str:
    """Return why counters are not pushed; empty if they are.

    Prometheus reads a counter that falls as a reset, so only a run that knows everything, and is the newest, pushes.
    Two writers of one series would overtake each other, so that of a shard is pushed by the shard alone.
    """
    if settings.shard_ledgers:
        return _PUSHED_BY_SHARDS
    if _is_overtaken(result):
        return "a newer run has written the ledger since; its push is more complete"
    if not result.storage.is_persistent:
        return "it needs the totals of a ledger, and this run wrote none"
    return ""


def _is_overtaken(result: RunResult) -> bool:
    """Whether the ledger has other facts or marks by now; a change of other files leads to no newer push."""
    storage, snapshot = result.storage, result.snapshot
    try:
        if not storage.has_changed_since(snapshot):
            return False
        return _pushed_files(storage.read(snapshot.months)) != _pushed_files(snapshot)
    except LedgerError:
        return False


def _pushed_files(snapshot: Snapshot) -> dict[str, bytes]:
    """The files that a push depends on."""
    paths = (FACTS_FOLDER, layout.COUNTERS_FILE, layout.NEW_COUNTERS_FILE)
    return {path: content for path, content in snapshot.files.items() if path.startswith(paths)}


def _basic_auth(settings: Settings) -> HTTPBasicAuth | None:
    if settings.pushgateway_username is None or settings.pushgateway_password is None:
        return None
    password = settings.pushgateway_password.get_secret_value()
    return HTTPBasicAuth(settings.pushgateway_username.encode(), password.encode())  # a str would be sent as Latin-1


def _secret(value: object) -> str | None:
    return value.get_secret_value() if isinstance(value, SecretStr) else None


def _text(value: object) -> str:
    return _secret(value) or ""

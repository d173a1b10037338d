"""The rows of a run for a warehouse: made repository by repository, only while they are sent."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeVar

from msgspec.structs import replace as replace_fields

from dora_metrics import __version__
from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.facts.model import EPOCH
from dora_metrics.core.ledger.layout import ALL_MONTHS
from dora_metrics.core.linking.former_names import RepositoryNames
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.policy import Policy
from dora_metrics.core.rows.judged import JudgedFacts
from dora_metrics.core.rows.ndjson import encode_rows
from dora_metrics.core.rows.tables import TABLES, WarehouseTable
from dora_metrics.core.selection import lesser_sources
from dora_metrics.core.windows import Window, local_date
from dora_metrics.github.observation import Run
from dora_metrics.pipeline.plan import RunResult
from dora_metrics.pipeline.record import production_sources
from dora_metrics.runtime import Deadline, HttpLimits
from dora_metrics.settings.hosts import Origin
from dora_metrics.settings.model import Settings
from dora_metrics.sinks.bigquery.contents import Contents, FactNames, RepositoryRows, TableRows
from dora_metrics.sinks.bigquery.rest import GOOGLE
from dora_metrics.sinks.bigquery.warehouse import BigQuery, DatasetName

NAME = "BigQuery"
_FACTS, _METRICS, _WEEK_STARTS = "facts", "metrics", "week_starts"

_SENT_BY_SHARDS = "the runs that write the `shard-ledgers` send the rows of their repositories, so this run sends none"
_LACKS_ACCESS = (
    "`bigquery-token` is not set; pass the `access_token` that google-github-actions/auth made in the same job, or set "
    "BIGQUERY_TOKEN on a command line"
)
"""Only runs that send rows need a token, so it is no problem of the settings, which may be in a file for all runs."""

T = TypeVar("T")


def send_to_bigquery(
    result: RunResult, settings: Settings, run: Run, limits: HttpLimits, emulator: str = ""
) -> Outcome:
    """Send what the dataset of the settings does not have yet; for a run that has read all facts.

    Args:
        result: the ledger, and what was judged of it.
        settings: which dataset, which rows, and the token.
        run: the workflow run.
        limits: of each request, and of all of them together.
        emulator: the address of an emulator; empty for Google's own.
    """
    if settings.shard_ledgers:
        return Outcome(NAME, "skipped", _SENT_BY_SHARDS)
    if not result.storage.is_persistent or result.snapshot.sequence is None or result.snapshot.months != ALL_MONTHS:
        return Outcome(NAME, "skipped", "it gets the facts of a whole ledger, and this run has none")
    try:
        address = _address(emulator)
    except ValueError as problem:
        return Outcome(NAME, "failed", f"BIGQUERY_EMULATOR_HOST: {problem}")
    token = settings.bigquery_token.get_secret_value() if settings.bigquery_token else ""
    if not token:
        return Outcome(NAME, "failed", _LACKS_ACCESS)
    sink = BigQuery(
        DatasetName.of(settings.bigquery_dataset or ""),
        token,
        settings.bigquery_location,
        replace_fields(limits, read_seconds=max(limits.read_seconds, limits.upload_seconds)),
        Deadline(limits.warehouse_seconds),
        address,
        NAME,
    )
    results = result.results
    facts = result.merge.after.facts
    judged = JudgedFacts.of(results.evaluation, facts, results.policy, results.window_spec, results.now)
    ledger = _ledger_name(result, settings, run)
    names = result.merge.after.names
    return sink.send(contents_of(judged, settings, SentLedger(ledger, result.snapshot.sequence, names)))


def _address(emulator: str) -> str:
    """Return where BigQuery is. A token goes only to Google, to this machine, or through TLS.

    Raises:
        ValueError: if the emulator's address is not valid.
    """
    if not emulator:
        return GOOGLE
    address = (emulator if "://" in emulator else f"http://{emulator}").rstrip("/")
    Origin.of(address)
    return address


def _ledger_name(result: RunResult, settings: Settings, run: Run) -> str:
    """Return a name of the ledger that no other ledger has and that stays the same, also if its repository is renamed.

    A folder such as `dir:dora-ledger` exists in many repositories, so each name has the repository that writes it, and
    its number: another repository may get its name.
    """
    kind, _, place = settings.ledger.partition(":")
    path, _, of_branch = place.partition("@") if kind == "branch" else (place, "", "")
    return f"{kind}:{path}@{result.merge.after.names.numbered_name(of_branch or run.repository)}"


class SentLedger(NamedTuple):
    """The ledger that rows are made from.

    Attributes:
        name: of the ledger.
        sequence: how often it has changed.
        names: of the repositories in it.
    """

    name: str
    sequence: int
    names: RepositoryNames


def contents_of(judged: JudgedFacts, settings: Settings, ledger: SentLedger) -> Contents:
    """Return what a warehouse should have of judged facts.

    Args:
        judged: the facts of a whole ledger.
        settings: which parts are sent, and which sources of deployments count.
        ledger: where the facts come from.
    """
    policy = judged.policy
    tables = [table for table in TABLES if _part_of(table) in settings.warehouse]
    judged = replace(judged, weeks=Window(EPOCH, judged.weeks.end))  # all ledgers of a time zone send the same rows
    by_repository = _by_repository(judged)
    repository_ids = {name: number for name in by_repository if (number := ledger.names.repository_id(name))}
    zones = [policy.zone.key for table in tables if table.name == _WEEK_STARTS]
    return Contents(
        ledger=ledger.name,
        sequence=ledger.sequence,
        version=__version__,
        policy=policy.fingerprint,
        day=local_date(judged.now, policy.zone).isoformat(),
        began_at=judged.now,
        tables=tables,
        repositories=list(by_repository),
        repository_ids=repository_ids,
        time_zones=zones,
        fact_names=partial(_fact_names, by_repository, repository_ids, settings),
        rows=partial(_rows, judged, by_repository, tables),
    )


def _part_of(table: WarehouseTable) -> str:
    """Return the part of the setting `warehouse` that a table belongs to."""
    return table.name if table.name in (_FACTS, _METRICS) else "rows"


def _by_repository(judged: JudgedFacts) -> Mapping[str, JudgedFacts]:
    """Return what each repository has of it, in the order of their names."""
    facts = _grouped(judged.facts, lambda fact: fact.repository)
    histories = _grouped(judged.histories, lambda history: history.scope.repository)
    names = sorted(facts.keys() | histories.keys())
    return {name: replace(judged, facts=facts[name], histories=histories[name]) for name in names}


def _fact_names(
    by_repository: Mapping[str, JudgedFacts], repository_ids: Mapping[str, str], settings: Settings, repository: str
) -> FactNames:
    judged = by_repository[repository]
    sources = production_sources(judged.facts, repository, settings, judged.now)
    lesser = lesser_sources(settings.deployment_source, sources)
    return FactNames.of(repository, repository_ids.get(repository), judged.facts, lesser)


def _grouped(items: Iterable[T], name_of: Callable[[T], str]) -> defaultdict[str, list[T]]:
    by_name: defaultdict[str, list[T]] = defaultdict(list)
    for item in items:
        by_name[name_of(item)].append(item)
    return by_name


def _rows(
    judged: JudgedFacts, by_repository: Mapping[str, JudgedFacts], tables: Sequence[WarehouseTable]
) -> Iterator[RepositoryRows]:
    for name, of_repository in by_repository.items():
        yield RepositoryRows(name, _repository_rows(of_repository, tables))
    for table in tables:
        if table.name == _WEEK_STARTS:
            yield RepositoryRows(judged.policy.zone.key, {table: _encoded(judged, table)})


def _repository_rows(judged: JudgedFacts, tables: Sequence[WarehouseTable]) -> Mapping[WarehouseTable, TableRows]:
    rows = {table: _encoded(judged, table) for table in TABLES if table.name not in (_METRICS, _WEEK_STARTS)}
    digests = [each.digest for each in rows.values()]
    selected = {table: each for table, each in rows.items() if table in tables}
    return selected | {table: _metrics(judged, table, digests) for table in tables if table.name == _METRICS}


def _metrics(judged: JudgedFacts, table: WarehouseTable, digests: Sequence[str]) -> TableRows:
    """Return the metrics of the day, named by what they are computed from.

    Their windows end with the run. Named by their own content, they would be sent again by every run of a day.
    """
    basis = (digests, local_date(judged.now, judged.policy.zone), list(judged.windows), _policy_text(judged.policy))
    digest = hashlib.sha256(canonical_json(basis)).hexdigest()[:32]
    return replace_fields(_encoded(judged, table), digest=digest)


def _policy_text(policy: Policy) -> str:
    return f"{__version__} {policy.fingerprint} {policy.benchmark!r}"


def _encoded(judged: JudgedFacts, table: WarehouseTable) -> TableRows:
    return TableRows.of(b"".join(encode_rows(table, judged.rows(table))))

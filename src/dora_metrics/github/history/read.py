"""Reads the history of one repository, several kinds in parallel, and yields the parts as they arrive."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeGuard

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.core.linking.link import deployment_order
from dora_metrics.core.names import is_for_pull_request
from dora_metrics.core.selection import SourceSelection
from dora_metrics.core.windows import parse_instant
from dora_metrics.errors import EventError
from dora_metrics.github.client import INVALID_CURSOR, Client, GitHubError, NotFoundError, owner_and_name
from dora_metrics.github.history.alerts import alert_kinds_to_read, read_alerts, read_changed_alerts
from dora_metrics.github.history.changes import read_commits, read_pulls
from dora_metrics.github.history.deployments import (
    pushes_from_merges,
    read_deployments,
    read_releases,
    read_workflow_runs,
    reread_ids,
)
from dora_metrics.github.history.incidents import newest_issue_variables, read_issues
from dora_metrics.github.history.organisation_alerts import OrganisationAlerts
from dora_metrics.github.history.pages import (
    DEPLOYMENT_KINDS,
    MAX_IDS_PER_REQUEST,
    Extent,
    HistoryKind,
    HistoryPart,
    HistoryReader,
    HistoryRequest,
    PartOrFailure,
    ReadFailure,
    RefusedAlerts,
    RepositoryInfo,
    ResultPage,
    read_failure,
)
from dora_metrics.github.history.streams import iterate_concurrently
from dora_metrics.github.queries import JsonObject

KindReader = Callable[[HistoryReader], Iterator[HistoryPart | RefusedAlerts]]
"""A function that reads one kind."""
_DEPLOYMENT_SOURCES: tuple[tuple[str, HistoryKind, KindReader], ...] = (
    ("deployments", "deployments", read_deployments),
    ("releases", "releases", read_releases),
    ("workflow-runs", "runs", read_workflow_runs),
)


_FIRST_ITEMS = 40
"""Of each kind, in the first request of a first reading: all there is of a small repository. Later ones ask for 25."""

Confirm = Callable[[RepositoryInfo], HistoryRequest | None]
"""From the repository that GitHub found under a name to the request to go on with; None: it is not to be read."""


def read_history(
    client: Client, request: HistoryRequest, confirm: Confirm | None = None
) -> Generator[PartOrFailure, None, None]:
    """Yield the parts of all kinds as they arrive; a kind that fails does not affect the others.

    The repository may have been renamed, and another one may have its name by now. So `confirm` may answer with other
    cursors, by which it is then read. Facts have the repository's present name. The cursor of commits is not in the
    parts: `core.linking.commit_graph` computes it, and it must be stored together with what that links.
    """
    try:
        reader = _open_reader(client, _with_commits_reread(request))
        confirmed = confirm(reader.repository) if confirm else request
        if confirmed is None:
            return
        if (confirmed.cursors, confirmed.recorded_incidents) != (request.cursors, request.recorded_incidents):
            reader = _open_reader(client, _with_commits_reread(confirmed))
        request = confirmed
    except GitHubError as problem:
        yield read_failure("repository", problem, request.run)
        return
    newest_commit = reader.repository.head_committed_at
    sources = SourceSelection(request.settings.deployment_source, request.known_sources, newest_commit=newest_commit)
    # A connection belongs to one thread, so each stream has a client of its own; their requests are counted below.
    readers = [replace(reader, client=_stream_client(client)) for _ in range(5)]
    merges: dict[str, Fact] = {}
    try:
        for part in iterate_concurrently(_streams(sources, readers)):
            if isinstance(part, HistoryPart) and part.kind == "pulls":
                merges.update((fact.id, fact) for fact in part.facts)
            yield part
    finally:
        client.add_usage([stream_reader.client for stream_reader in readers])
    yield from _final_parts(reader, sources, merges)


def read_without_news(
    client: Client,
    request: HistoryRequest,
    info: RepositoryInfo,
    organisation: OrganisationAlerts | None,
    *,
    with_alerts: bool,
) -> Iterator[PartOrFailure]:
    """Yield the parts of a repository of which it is known that, but for security alerts, it has nothing new.

    Its alerts are taken from the list of its organisation, if there is one that shows them.
    """
    reader = HistoryReader(client, info, request)
    if not info.has_issues:
        yield from read_issues(reader)
    if with_alerts:
        alert_client = _stream_client(client)
        try:
            yield from _read_security_alerts(replace(reader, client=alert_client), organisation)
        finally:
            client.add_usage([alert_client])
    sources = SourceSelection(request.settings.deployment_source, request.known_sources, {*request.known_sources})
    yield from _final_parts(reader, sources, {})


def _stream_client(client: Client) -> Client:
    """Return a client for a stream: what GitHub cannot return in time is read by smaller pages, or by the next sync."""
    return replace(client, request_count=0, repeats_slow_reads=False)


def _open_reader(client: Client, request: HistoryRequest) -> HistoryReader:
    """Return a reader with the newest items of every kind, or without any if GitHub refuses one of the kinds."""
    names = owner_and_name(request.run.repository)
    node_ids = list(reread_ids(request.cursors.get("deployments", Cursor()))[:MAX_IDS_PER_REQUEST])
    variables = {
        **names,
        **newest_issue_variables(request),
        "reread": node_ids,
        "files": bool(request.settings.services),
    }
    if "commits" not in request.cursors:
        variables |= {"extent": True, "first": _FIRST_ITEMS}
    try:
        with client.sending_slow_reads_once():
            data = client.query_existing("NewestItems", variables)
    except NotFoundError:
        raise
    except GitHubError:
        node = client.query("RepositoryInfo", names)["repository"]
        return HistoryReader(client, RepositoryInfo.from_node(node), request)
    info, first_pages = RepositoryInfo.from_node(data["repository"]), dict(_first_pages(data["repository"]))
    reread_deployments = tuple(filter(None, data["nodes"]))
    return HistoryReader(client, info, request, first_pages, _extent(data["repository"]), reread_deployments)


def _extent(repository: JsonObject) -> Extent:
    history = repository["defaultBranchRef"]["target"]["history"] if repository["defaultBranchRef"] else {}
    pulls = repository.get("oldestPull") or {"totalCount": 0, "nodes": []}
    times = (parse_instant(node["updatedAt"]) for node in pulls["nodes"] if node)
    return Extent(history.get("totalCount"), pulls["totalCount"], next(times, None))


def _first_pages(repository: JsonObject) -> Iterator[tuple[HistoryKind, ResultPage]]:
    yield "pulls", ResultPage.from_connection(repository["pullRequests"])
    yield "deployments", ResultPage.from_connection(repository["deployments"])
    yield "releases", ResultPage.from_connection(repository["releases"])
    yield "issues", ResultPage.from_connection(repository["issues"])
    if repository["defaultBranchRef"]:
        yield "commits", ResultPage.from_connection(repository["defaultBranchRef"]["target"]["history"])


def _with_commits_reread(request: HistoryRequest) -> HistoryRequest:
    """Return the request, without the cursor of commits if older deployments follow: their commits are read again."""
    cursors = (request.cursors.get(kind, Cursor()) for kind in DEPLOYMENT_KINDS)
    has_more = any(cursor.has_more(request.since) for cursor in cursors)
    return _without_commit_cursor(request) if has_more else request


def _without_commit_cursor(request: HistoryRequest) -> HistoryRequest:
    """Return the request as if no commits had been read."""
    return replace(request, cursors={kind: cursor for kind, cursor in request.cursors.items() if kind != "commits"})


def _streams(sources: SourceSelection, readers: Sequence[HistoryReader]) -> list[Iterator[PartOrFailure]]:
    """Return what is read in parallel. With a cursor, commits wait for the deployments: usually none is unlinked."""
    pulls, issues = _read_kind("pulls", read_pulls, readers[0]), _read_kind("issues", read_issues, readers[1])
    deployments = _read_deployment_sources(sources, readers[2])
    alerts = _read_security_alerts(readers[4])
    if readers[3].cursor("commits").anchors:
        return [pulls, issues, alerts, _with_linkable_commits(deployments, sources, readers[3])]
    return [pulls, issues, alerts, deployments, _read_kind("commits", read_commits, readers[3])]


def _read_kind(kind: HistoryKind, kind_reader: KindReader, reader: HistoryReader) -> Iterator[PartOrFailure]:
    """Yield the parts of a kind. If GitHub no longer accepts the page token of the cursor, start at the newest item."""
    try:
        yield from kind_reader(reader)
    except EventError as problem:
        yield ReadFailure(kind, f"{problem.problems[0]}; GitHub may have a problem, try again later")
    except GitHubError as problem:
        if reader.cursor(kind).after is None or INVALID_CURSOR not in problem.phrases:
            yield read_failure(kind, problem, reader.request.run)
            return
        yield from _read_kind(kind, kind_reader, _from_the_start(reader, kind))
    except Exception as problem:  # noqa: BLE001 - what other kinds have must be recorded all the same
        yield ReadFailure(kind, _UNREADABLE.format(type(problem).__name__))


def _from_the_start(reader: HistoryReader, kind: HistoryKind) -> HistoryReader:
    """Return a reader that reads all of a kind. The first page that was read may be of what has changed lately only."""
    cursors = {name: cursor for name, cursor in reader.request.cursors.items() if name != kind}
    first_pages = {name: page for name, page in reader.first_pages.items() if name != kind}
    return replace(reader, request=replace(reader.request, cursors=cursors), first_pages=first_pages)


def _read_security_alerts(
    reader: HistoryReader, organisation: OrganisationAlerts | None = None
) -> Iterator[PartOrFailure]:
    """Yield the security alerts of each kind that is read."""
    for kind in alert_kinds_to_read(reader):
        changed = organisation.changed(reader, kind) if organisation else None
        read = (
            partial(read_alerts, kind=kind)
            if changed is None
            else partial(read_changed_alerts, kind=kind, items=changed)
        )
        yield from _read_kind(kind, read, reader)


def _read_deployment_sources(sources: SourceSelection, reader: HistoryReader) -> Iterator[PartOrFailure]:
    """Yield the kinds that may be deployments, the best source first; the others only if they count."""
    for source, kind, kind_reader in _DEPLOYMENT_SOURCES:
        if not sources.is_selected(source):
            continue
        parts = _read_kind(kind, kind_reader, reader)
        for part in _habitual_releases(parts, sources, reader.request) if source == "releases" else parts:
            if isinstance(part, ReadFailure):
                sources.unreadable.append(source)
            elif isinstance(part, HistoryPart) and any(_successes_in_production(part, reader.request)):
                sources.on_github.add(source)
            yield part


def _habitual_releases(
    parts: Iterator[PartOrFailure], sources: SourceSelection, request: HistoryRequest
) -> Iterator[PartOrFailure]:
    """Yield the releases, unless the newest one shows that the repository has given up releasing."""
    for part in parts:
        successes = list(_successes_in_production(part, request)) if isinstance(part, HistoryPart) else []
        if successes and not sources.is_habit(max(release.finished_at for release in successes)):
            return
        yield part
        if successes:
            break
    yield from parts


def _successes_in_production(part: HistoryPart, request: HistoryRequest) -> Iterator[Deployment]:
    """Yield them without those of jobs that only use the environment, as far as the ledger knows which ones do."""
    rules = request.settings.policy
    for fact in part.facts:
        if _is_successful_deployment(fact) and rules.is_production(_environment_of(fact)):
            as_recorded = request.recorded_jobs.get(fact.id, fact)  # a page shows it again without its job
            if request.environment_uses.exclusion_reason(as_recorded) is None:
                yield fact


def _with_linkable_commits(
    deployment_parts: Iterator[PartOrFailure], sources: SourceSelection, reader: HistoryReader
) -> Iterator[PartOrFailure]:
    """Yield the deployments, then the commits, unless the newest deployment of every environment is linked already.

    If deployments of a kind are read for the first time, the commits are read back to the oldest of them. So they are
    if older deployments have their jobs only now: which of them count may change what the others delivered.
    """
    newest: dict[str, Deployment] = {}
    is_first_read = False
    for part in deployment_parts:
        is_first_read |= isinstance(part, HistoryPart) and part.kind == "jobs" and bool(part.facts)
        for fact in part.facts if isinstance(part, HistoryPart) else ():
            environment = _environment_of(fact)
            if _is_successful_deployment(fact):
                newest[environment] = max(newest.get(environment, fact), fact, key=deployment_order)
                is_first_read |= reader.cursor(part.kind).newest is None
        yield part
    rules, cursor = reader.request.settings.policy, reader.cursor("commits")
    linked_shas = {*cursor.anchors, *cursor.open}
    shas = {deployment.sha for environment, deployment in newest.items() if rules.is_production(environment)}
    if is_first_read:
        reader = replace(reader, request=_without_commit_cursor(reader.request))
    if is_first_read or sources.is_selected("pushes") or shas - linked_shas:
        yield from _read_kind("commits", read_commits, reader)


def _is_successful_deployment(fact: Fact) -> TypeGuard[Deployment]:
    return isinstance(fact, Deployment) and fact.status == "success" and not is_for_pull_request(fact.run_event)


def _environment_of(fact: Fact) -> str:
    return (fact.environment if isinstance(fact, Deployment) else None) or "production"


def _final_parts(reader: HistoryReader, sources: SourceSelection, merges: Mapping[str, Fact]) -> Iterator[HistoryPart]:
    """Yield pushes if there is no better source, and a part that explains which sources count."""
    name = reader.repository.name
    notes = []
    if name.lower() != reader.request.run.repository.lower():
        notes.append(f"{reader.request.run.repository} is {name} now; facts are recorded under the new name.")
    if sources.is_selected("pushes"):
        part = pushes_from_merges(reader, merges.values())
        if part.facts:
            sources.on_github.add("pushes")
        yield part
    yield HistoryPart("sources", notes=(*notes, sources.explanation(name)), is_complete=True)


_UNREADABLE = "its answer cannot be read ({}); the other kinds are recorded, please report this as a bug"

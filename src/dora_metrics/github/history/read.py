"""The past of one repository, kind by kind, as it comes.

Several streams read at the same time, each in a thread of its own.
"""

import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from queue import Queue
from typing import Any, TypeVar

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.core.linking.link import deployment_order
from dora_metrics.core.selection import SourceSelection
from dora_metrics.github.client import Client, GitHubError, owner_and_name
from dora_metrics.github.history.alerts import alert_kinds_to_read, read_alerts
from dora_metrics.github.history.changes import read_commits, read_pulls
from dora_metrics.github.history.deployments import (
    pushes_from_merges,
    read_deployments,
    read_releases,
    read_workflow_runs,
)
from dora_metrics.github.history.incidents import newest_issue_variables, read_issues
from dora_metrics.github.history.pages import (
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

T = TypeVar("T")


class _StreamEnd:
    """A stream is over, or broke."""

    def __init__(self, problem: BaseException | None = None) -> None:
        self.problem = problem


def iterate_concurrently(streams: Sequence[Iterator[T]]) -> Iterator[T]:
    """The items of all streams as they come; those of one stream in their order.

    Whoever stops listening stops the streams, each after the item that it is at. What breaks in a stream breaks here.
    """
    queue: Queue[T | _StreamEnd] = Queue()
    stop_requested = threading.Event()
    for stream in streams:
        threading.Thread(target=_fill_queue, args=(stream, queue, stop_requested), daemon=True).start()
    running_count = len(streams)
    try:
        while running_count:
            item = queue.get()
            if not isinstance(item, _StreamEnd):
                yield item
                continue
            running_count -= 1
            if item.problem:
                raise item.problem
    finally:
        stop_requested.set()


def _fill_queue(stream: Iterator[T], queue: "Queue[T | _StreamEnd]", stop_requested: threading.Event) -> None:
    try:
        for item in stream:
            queue.put(item)
            if stop_requested.is_set():
                break
    except BaseException as problem:  # noqa: BLE001 - raised again by who listens
        queue.put(_StreamEnd(problem))
    else:
        queue.put(_StreamEnd())


KindReader = Callable[[HistoryReader], Iterator[HistoryPart | RefusedAlerts]]

_DEPLOYMENT_SOURCES: tuple[tuple[str, HistoryKind, KindReader], ...] = (
    ("deployments", "deployments", read_deployments),
    ("releases", "releases", read_releases),
    ("workflow-runs", "runs", read_workflow_runs),
)
_DEPLOYMENT_KINDS: tuple[HistoryKind, ...] = ("deployments", "releases", "runs")


def read_history(client: Client, request: HistoryRequest) -> Generator[PartOrFailure, None, None]:
    """Parts of all kinds as they come; a kind that fails leaves the others as they are.

    Facts are those of the repository's present name. The cursor of commits is not among the parts: it comes from
    `core.linking.commit_graph.linked`, and is to be kept with what that links.
    """
    try:
        reader = _open_reader(client, _with_commits_reread(request))
    except GitHubError as problem:
        yield read_failure("repository", problem)
        return
    sources = SourceSelection(request.settings.deployment_source, request.known_sources)
    # A connection belongs to one thread, so each stream has a client of its own; their requests are counted here.
    readers = [replace(reader, client=replace(client, request_count=0)) for _ in range(5)]
    merged_changes: dict[str, Fact] = {}
    try:
        for part in iterate_concurrently(_streams(sources, readers)):
            if isinstance(part, HistoryPart) and part.kind == "pulls":
                merged_changes.update((fact.id, fact) for fact in part.facts)
            yield part
    finally:
        client.add_usage([stream_reader.client for stream_reader in readers])
    yield from _final_parts(reader, sources, merged_changes)


def _streams(sources: SourceSelection, readers: Sequence[HistoryReader]) -> list[Iterator[PartOrFailure]]:
    """What is read side by side; with a cursor commits wait, as mostly there is no deployment to link."""
    pull_parts, issue_parts = _read_kind("pulls", read_pulls, readers[0]), _read_kind("issues", read_issues, readers[1])
    deployment_parts = _read_deployment_sources(sources, readers[2])
    alert_parts = _read_security_alerts(readers[4])
    if readers[3].cursor("commits").anchors:
        return [pull_parts, issue_parts, alert_parts, _with_linkable_commits(deployment_parts, sources, readers[3])]
    return [pull_parts, issue_parts, alert_parts, deployment_parts, _read_kind("commits", read_commits, readers[3])]


def _read_security_alerts(reader: HistoryReader) -> Iterator[PartOrFailure]:
    """The security alerts of each kind that is read."""
    for kind in alert_kinds_to_read(reader):
        yield from _read_kind(kind, partial(read_alerts, kind=kind), reader)


def _with_linkable_commits(
    deployment_parts: Iterator[PartOrFailure], sources: SourceSelection, reader: HistoryReader
) -> Iterator[PartOrFailure]:
    """The deployments, and the commits unless each environment's newest deployment is one that is linked.

    Where deployments are read for the first time, the commits are read back to where all of them are.
    """
    newest: dict[str, Deployment] = {}
    is_first_read = False
    for part in deployment_parts:
        for fact in part.facts if isinstance(part, HistoryPart) else ():
            environment = _environment_of(fact)
            if isinstance(fact, Deployment) and _is_successful_deployment(fact):
                newest[environment] = max(newest.get(environment, fact), fact, key=deployment_order)
                is_first_read |= reader.cursor(part.kind).newest is None
        yield part
    rules, cursor = reader.request.settings.policy, reader.cursor("commits")
    linked_shas = (*cursor.anchors, *cursor.open)
    unlinked = (
        deployment.sha not in linked_shas
        for environment, deployment in newest.items()
        if rules.is_production(environment)
    )
    if is_first_read or sources.is_selected("pushes") or any(unlinked):
        yield from _read_kind(
            "commits",
            read_commits,
            replace(reader, request=_without_commit_cursor(reader.request)) if is_first_read else reader,
        )


def _with_commits_reread(request: HistoryRequest) -> HistoryRequest:
    """What was asked; where older deployments are still to come, their commits are read again."""
    has_older_deployments = any(
        request.cursors.get(kind, Cursor()).has_more(request.since) for kind in _DEPLOYMENT_KINDS
    )
    return _without_commit_cursor(request) if has_older_deployments else request


def _without_commit_cursor(request: HistoryRequest) -> HistoryRequest:
    """The same, with no commits read before."""
    return replace(request, cursors={kind: cursor for kind, cursor in request.cursors.items() if kind != "commits"})


def _open_reader(client: Client, request: HistoryRequest) -> HistoryReader:
    """The repository with the newest of every kind, or alone where one of the kinds is refused."""
    variables = owner_and_name(request.run.repository)
    open_ids = list(request.cursors.get("deployments", Cursor()).open)
    try:
        data = client.query(
            "News",
            {
                **variables,
                **newest_issue_variables(request),
                "open": open_ids,
                "files": bool(request.settings.services),
            },
        )
    except GitHubError:
        repository = client.query("Home", variables)["repository"]
        return HistoryReader(client, RepositoryInfo.from_node(repository), request)
    repository = data["repository"]
    open_deployments = tuple(node for node in data["nodes"] if node)
    return HistoryReader(
        client, RepositoryInfo.from_node(repository), request, dict(_first_pages(repository)), open_deployments
    )


def _first_pages(repository: Mapping[str, Any]) -> Iterator[tuple[HistoryKind, ResultPage]]:
    yield "pulls", ResultPage.from_connection(repository["pullRequests"])
    yield "deployments", ResultPage.from_connection(repository["deployments"])
    yield "releases", ResultPage.from_connection(repository["releases"])
    yield "issues", ResultPage.from_connection(repository["issues"])
    if repository["defaultBranchRef"]:
        yield "commits", ResultPage.from_connection(repository["defaultBranchRef"]["target"]["history"])


def _read_kind(kind: HistoryKind, kind_reader: KindReader, reader: HistoryReader) -> Iterator[PartOrFailure]:
    """A kind's parts. Where GitHub no longer knows the place to go on from, it is read from its newest on."""
    try:
        yield from kind_reader(reader)
    except GitHubError as problem:
        if reader.cursor(kind).after is None or "cursor" not in str(problem).lower():
            yield read_failure(kind, problem)
            return
        cursors = {other_kind: cursor for other_kind, cursor in reader.request.cursors.items() if other_kind != kind}
        yield from _read_kind(kind, kind_reader, replace(reader, request=replace(reader.request, cursors=cursors)))


def _read_deployment_sources(sources: SourceSelection, reader: HistoryReader) -> Iterator[PartOrFailure]:
    """The kinds that may be deployments, the best first; the others only where they count."""
    rules = reader.request.settings.policy
    for source, kind, kind_reader in _DEPLOYMENT_SOURCES:
        if not sources.is_selected(source):
            continue
        for part in _read_kind(kind, kind_reader, reader):
            if isinstance(part, ReadFailure):
                sources.unreadable.append(source)
            elif isinstance(part, HistoryPart) and any(
                _is_successful_deployment(fact) and rules.is_production(_environment_of(fact)) for fact in part.facts
            ):
                sources.on_github.add(source)
            yield part


def _is_successful_deployment(fact: Fact) -> bool:
    return isinstance(fact, Deployment) and fact.status == "success"


def _environment_of(fact: Fact) -> str:
    return (fact.environment if isinstance(fact, Deployment) else None) or "production"


def _final_parts(
    reader: HistoryReader, sources: SourceSelection, merged_changes: Mapping[str, Fact]
) -> Iterator[HistoryPart]:
    """What follows from all of it: pushes, if nothing better is known, and why the deployments are what they are."""
    name = reader.repository.name
    notes = []
    if name.lower() != reader.request.run.repository.lower():
        notes.append(f"{reader.request.run.repository} is {name} now; facts are recorded under the name it has now.")
    if sources.is_selected("pushes"):
        part = pushes_from_merges(reader, merged_changes.values())
        if part.facts:
            sources.on_github.add("pushes")
        yield part
    yield HistoryPart("sources", notes=(*notes, sources.explanation(name)), is_complete=True)

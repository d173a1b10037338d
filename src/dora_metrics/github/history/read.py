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
from dora_metrics.core.linking.link import order
from dora_metrics.core.selection import Sources
from dora_metrics.github.client import Client, GitHubError, owner_and_name
from dora_metrics.github.history.alerts import alerts, kinds
from dora_metrics.github.history.changes import commits, pulls
from dora_metrics.github.history.deployments import deployments, pushes, releases, runs
from dora_metrics.github.history.incidents import asked, issues
from dora_metrics.github.history.pages import Asking, Failed, Home, Kind, Page, Part, Piece, Refused, Wanted, failed
from dora_metrics.settings.model import policy

T = TypeVar("T")


class _End:
    """A stream is over, or broke."""

    def __init__(self, problem: BaseException | None = None) -> None:
        self.problem = problem


def side_by_side(streams: Sequence[Iterator[T]]) -> Iterator[T]:
    """The items of all streams as they come; those of one stream in their order.

    Whoever stops listening stops the streams, each after the item that it is at. What breaks in a stream breaks here.
    """
    found: Queue[T | _End] = Queue()
    stop = threading.Event()
    for stream in streams:
        threading.Thread(target=_pour, args=(stream, found, stop), daemon=True).start()
    left = len(streams)
    try:
        while left:
            item = found.get()
            if not isinstance(item, _End):
                yield item
                continue
            left -= 1
            if item.problem:
                raise item.problem
    finally:
        stop.set()


def _pour(stream: Iterator[T], found: "Queue[T | _End]", stop: threading.Event) -> None:
    try:
        for item in stream:
            found.put(item)
            if stop.is_set():
                break
    except BaseException as problem:  # noqa: BLE001 - raised again by who listens
        found.put(_End(problem))
    else:
        found.put(_End())


Telling = Callable[[Asking], Iterator[Part | Refused]]

_SOURCES: tuple[tuple[str, Kind, Telling], ...] = (
    ("deployments", "deployments", deployments),
    ("releases", "releases", releases),
    ("workflow-runs", "runs", runs),
)
_DEPLOYED: tuple[Kind, ...] = ("deployments", "releases", "runs")


def past(client: Client, wanted: Wanted) -> Generator[Piece, None, None]:
    """Parts of all kinds as they come; a kind that fails leaves the others as they are.

    Facts are those of the repository's present name. The cursor of commits is not among the parts: it comes from
    `core.linking.commit_graph.linked`, and is to be kept with what that links.
    """
    try:
        asking = _opened(client, _readable(wanted))
    except GitHubError as problem:
        yield failed("repository", problem)
        return
    sources = Sources(wanted.settings.deployment_source, wanted.known)
    # A connection belongs to one thread, so each stream has a client of its own; their requests are counted here.
    each = [replace(asking, client=replace(client, requests=0)) for _ in range(5)]
    merged: dict[str, Fact] = {}
    try:
        for part in side_by_side(_streams(sources, each)):
            if isinstance(part, Part) and part.kind == "pulls":
                merged.update((fact.id, fact) for fact in part.facts)
            yield part
    finally:
        client.join([one.client for one in each])
    yield from _last(asking, sources, merged)


def _streams(sources: Sources, each: Sequence[Asking]) -> list[Iterator[Piece]]:
    """What is read side by side; with a cursor commits wait, as mostly there is no deployment to link."""
    pulled, reported = _told("pulls", pulls, each[0]), _told("issues", issues, each[1])
    deployed = _deployed(sources, each[2])
    secured = _secured(each[4])
    if each[3].cursor("commits").anchors:
        return [pulled, reported, secured, _if_linkable(deployed, sources, each[3])]
    return [pulled, reported, secured, deployed, _told("commits", commits, each[3])]


def _secured(asking: Asking) -> Iterator[Piece]:
    """The security alerts of each kind that is read."""
    for kind in kinds(asking):
        yield from _told(kind, partial(alerts, kind=kind), asking)


def _if_linkable(deployed: Iterator[Piece], sources: Sources, asking: Asking) -> Iterator[Piece]:
    """The deployments, and the commits unless each environment's newest deployment is one that is linked.

    Where deployments are read for the first time, the commits are read back to where all of them are.
    """
    newest: dict[str, Deployment] = {}
    first = False
    for part in deployed:
        for fact in part.facts if isinstance(part, Part) else ():
            where = _where(fact)
            if isinstance(fact, Deployment) and _succeeded(fact):
                newest[where] = max(newest.get(where, fact), fact, key=order)
                first |= asking.cursor(part.kind).newest is None
        yield part
    rules, cursor = policy(asking.wanted.settings), asking.cursor("commits")
    known = (*cursor.anchors, *cursor.open)
    fresh = (one.sha not in known for where, one in newest.items() if rules.is_production(where))
    if first or sources.wants("pushes") or any(fresh):
        yield from _told("commits", commits, replace(asking, wanted=_without(asking.wanted)) if first else asking)


def _readable(wanted: Wanted) -> Wanted:
    """What was asked; where older deployments are still to come, their commits are read again."""
    older = any(wanted.cursors.get(kind, Cursor()).goes_on(wanted.since) for kind in _DEPLOYED)
    return _without(wanted) if older else wanted


def _without(wanted: Wanted) -> Wanted:
    """The same, with no commits read before."""
    return replace(wanted, cursors={kind: cursor for kind, cursor in wanted.cursors.items() if kind != "commits"})


def _opened(client: Client, wanted: Wanted) -> Asking:
    """The repository with the newest of every kind, or alone where one of the kinds is refused."""
    names = owner_and_name(wanted.run.repository)
    ids = list(wanted.cursors.get("deployments", Cursor()).open)
    try:
        answer = client.query("News", {**names, **asked(wanted), "open": ids, "files": bool(wanted.settings.services)})
    except GitHubError:
        found = client.query("Home", names)["repository"]
        return Asking(client, Home.of(found), wanted)
    repository = answer["repository"]
    opens = tuple(node for node in answer["nodes"] if node)
    return Asking(client, Home.of(repository), wanted, dict(_firsts(repository)), opens)


def _firsts(repository: Mapping[str, Any]) -> Iterator[tuple[Kind, Page]]:
    yield "pulls", Page.of(repository["pullRequests"])
    yield "deployments", Page.of(repository["deployments"])
    yield "releases", Page.of(repository["releases"])
    yield "issues", Page.of(repository["issues"])
    if repository["defaultBranchRef"]:
        yield "commits", Page.of(repository["defaultBranchRef"]["target"]["history"])


def _told(kind: Kind, tell: Telling, asking: Asking) -> Iterator[Piece]:
    """A kind's parts. Where GitHub no longer knows the place to go on from, it is read from its newest on."""
    try:
        yield from tell(asking)
    except GitHubError as problem:
        if asking.cursor(kind).after is None or "cursor" not in str(problem).lower():
            yield failed(kind, problem)
            return
        cursors = {other: cursor for other, cursor in asking.wanted.cursors.items() if other != kind}
        yield from _told(kind, tell, replace(asking, wanted=replace(asking.wanted, cursors=cursors)))


def _deployed(sources: Sources, asking: Asking) -> Iterator[Piece]:
    """The kinds that may be deployments, the best first; the others only where they count."""
    rules = policy(asking.wanted.settings)
    for source, kind, tell in _SOURCES:
        if not sources.wants(source):
            continue
        for part in _told(kind, tell, asking):
            if isinstance(part, Failed):
                sources.unread.append(source)
            elif isinstance(part, Part) and any(
                _succeeded(fact) and rules.is_production(_where(fact)) for fact in part.facts
            ):
                sources.found.add(source)
            yield part


def _succeeded(fact: Fact) -> bool:
    return isinstance(fact, Deployment) and fact.status == "success"


def _where(fact: Fact) -> str:
    return (fact.environment if isinstance(fact, Deployment) else None) or "production"


def _last(asking: Asking, sources: Sources, merged: Mapping[str, Fact]) -> Iterator[Part]:
    """What follows from all of it: pushes, if nothing better is known, and why the deployments are what they are."""
    name = asking.home.name
    notes = []
    if name.lower() != asking.wanted.run.repository.lower():
        notes.append(f"{asking.wanted.run.repository} is {name} now; facts are recorded under the name it has now.")
    if sources.wants("pushes"):
        part = pushes(asking, merged.values())
        if part.facts:
            sources.found.add("pushes")
        yield part
    yield Part("sources", notes=(*notes, sources.why(name)), done=True)

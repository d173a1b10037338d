"""Published releases, read as the event that each was."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.windows import instant
from dora_metrics.github.events.deployments import released
from dora_metrics.github.history.asking import Asking
from dora_metrics.github.history.pages import Part
from dora_metrics.github.payloads import ReleaseEvent
from dora_metrics.github.reading import read


def releases(asking: Asking) -> Iterator[Part]:
    """One connection and 100 nodes a page: 1 point.

    The list is sorted by the age of the commits. A release of an old commit is seen if it is among the newest hundred.

    Raises:
        GitHubError: by meaning.
    """
    pages = asking.pages("PastReleases", "releases")
    for stretch in asking.reading("releases", pages, "createdAt").stretches():
        facts = tuple(fact for node in stretch.nodes for fact in _facts(asking, node))
        yield Part("releases", facts, stretch.cursor, stretch.reached, stretch.done)


def _facts(asking: Asking, node: Mapping[str, Any]) -> Iterator[Fact]:
    """A draft is none yet; an event's GITHUB_SHA is the commit of the tag."""
    since, published = asking.wanted.since, node["publishedAt"]
    if node["isDraft"] or not published or (since is not None and instant(published) < since):
        return
    event = {
        "action": "published",
        "release": {
            "id": node["databaseId"],
            "tag_name": node["tagName"],
            "prerelease": node["isPrerelease"],
            "published_at": published,
            "html_url": node["url"],
        },
    }
    run = replace(asking.run, sha=(node["tagCommit"] or {}).get("oid") or "")
    yield from map(asking.kept, released(run, read(ReleaseEvent, event), asking.wanted.settings).facts)

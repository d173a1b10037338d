"""Deployments to all environments: each of their statuses is read as the event that it was."""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import reduce
from typing import Any

import msgspec
from msgspec.structs import replace

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.facts.observing import reobserved
from dora_metrics.core.windows import instant
from dora_metrics.github.client import NotFoundError
from dora_metrics.github.events.deployments import status
from dora_metrics.github.history.asking import Asking
from dora_metrics.github.history.pages import Part
from dora_metrics.github.payloads import DeploymentStatusEvent
from dora_metrics.github.reading import read

_ENDED = frozenset({"SUCCESS", "FAILURE", "ERROR"})
_LONGEST_OPEN = timedelta(days=35)
"""GitHub lets a deployment wait thirty days for an approval; what is older will not end any more."""
_MOST_OPEN = 100


def deployments(asking: Asking) -> Iterator[Part]:
    """101 connections and 10,100 nodes a page of a hundred: 1 point.

    Their list knows no order but that of creation, so those that had not ended are asked for again by their ids.

    Raises:
        GitHubError: by meaning.
    """
    waiting = list(_open_again(asking))
    if waiting:
        yield Part("deployments", _facts(asking, waiting))
    still = {node["id"] for node in waiting if _is_open(asking, node)}
    pages = asking.pages("PastDeployments", "deployments")
    for stretch in asking.reading("deployments", pages, "createdAt").stretches():
        still |= {node["id"] for node in stretch.nodes if _is_open(asking, node)}
        still -= {node["id"] for node in stretch.nodes if not _is_open(asking, node)}
        cursor = _with_open(stretch.cursor, still)
        yield Part("deployments", _facts(asking, stretch.nodes), cursor, stretch.reached, stretch.done)


def _with_open(cursor: Cursor, still: Iterable[str]) -> Cursor:
    return replace(cursor, open=tuple(sorted(still)[:_MOST_OPEN]))


def _open_again(asking: Asking) -> Iterable[Mapping[str, Any]]:
    ids = asking.cursor("deployments").open
    if asking.opens is not None or not ids:
        return asking.opens or ()
    try:
        return filter(None, asking.client.query("DeploymentsById", {"ids": list(ids)})["nodes"])
    except NotFoundError:
        return ()  # one was deleted, and GitHub does not say which; what is recent is in the list anyway


def _is_open(asking: Asking, node: Mapping[str, Any]) -> bool:
    ended = any(one["state"] in _ENDED for one in node["statuses"]["nodes"])
    return not ended and asking.run.now - instant(node["createdAt"]) < _LONGEST_OPEN


def _facts(asking: Asking, nodes: Iterable[Mapping[str, Any]]) -> tuple[Deployment, ...]:
    since = asking.wanted.since
    recent = (node for node in nodes if since is None or instant(node["createdAt"]) >= since)
    found = (_fact(asking, node) for node in recent)
    return tuple(fact for fact in found if fact is not None)


def _fact(asking: Asking, node: Mapping[str, Any]) -> Deployment | None:
    """What the events of all statuses would have left behind; None while none of them is an end."""
    number = identity(node)
    if number is None:
        return None
    statuses = sorted(node["statuses"]["nodes"], key=lambda one: str(one["createdAt"]))
    ends = (_seen(asking, node, number, one) for one in statuses)
    facts = [fact for end in ends for fact in end if isinstance(fact, Deployment)]
    return reduce(reobserved, facts) if facts else None


def _seen(asking: Asking, node: Mapping[str, Any], number: int, one: Mapping[str, Any]) -> list[object]:
    event = {
        "deployment": {
            "id": number,
            "sha": node["commitOid"],
            "ref": node["ref"] and node["ref"]["name"],
            "task": node["task"],
            "environment": node["environment"],
            "payload": payload(node["payload"]),
            "created_at": node["createdAt"],
        },
        "deployment_status": {
            "state": one["state"].lower(),
            "created_at": one["createdAt"],
            "updated_at": one["updatedAt"],
            "environment": one["environment"],
            "log_url": one["logUrl"],
            "environment_url": one["environmentUrl"],
        },
    }
    return [asking.kept(fact) for fact in status(asking.run, read(DeploymentStatusEvent, event)).facts]


def payload(text: str | None) -> object:
    """What the deployer sent; GraphQL shows it as JSON text, and a text within it once more as one."""
    found: object = text
    for _ in range(2):
        if not isinstance(found, str):
            break
        try:
            found = json.loads(found)
        except ValueError:
            break
    return found


def identity(node: Mapping[str, Any]) -> int | None:
    """The number that REST and events know it by.

    `databaseId` is a GraphQL Int, of 32 bits, and the numbers have outgrown it. The id holds it as well, as the last
    item of a MessagePack list: `DE_kwDOIfJNb85eiWrx`.
    """
    if isinstance(node["databaseId"], int) and node["databaseId"] > 0:
        return int(node["databaseId"])
    coded = str(node["id"]).partition("_")[2]
    try:
        found = msgspec.msgpack.decode(base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4)))
    except (ValueError, msgspec.DecodeError):
        return None
    return found[-1] if isinstance(found, list) and found and isinstance(found[-1], int) else None

"""What an endpoint can be sent about; the setting `events` selects some of it."""

from collections.abc import Mapping
from typing import Literal, get_args

from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident

EndpointEvent = Literal["deployment", "incident", "change", "report"]
"""A kind of fact, or the periodic reports."""

ENDPOINT_EVENTS: tuple[EndpointEvent, ...] = get_args(EndpointEvent)

_EVENTS_BY_KIND: Mapping[type[Fact], EndpointEvent] = {
    Deployment: "deployment",
    Incident: "incident",
    Change: "change",
}


def event_of(fact: Fact) -> EndpointEvent | None:
    """Return what kind of event a fact is to an endpoint; None for vulnerabilities, which no setting selects."""
    return _EVENTS_BY_KIND.get(type(fact))

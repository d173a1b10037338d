"""The port of all shapes, and what they are made from.

A shape turns what an endpoint is owed into requests. It is pure: it knows neither the address nor the credentials,
and makes the same requests from the same facts, so that a repetition can be recognised.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING

from msgspec import Struct

from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.facts.model import Deployment, Fact, Incident
from dora_metrics.core.failures.judge import Failure
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.periodic.content import ReportInput
from dora_metrics.core.reports.periodic.page_address import NO_PAGE, PageAddress
from dora_metrics.core.shapes.events import EndpointEvent

if TYPE_CHECKING:
    from dora_metrics.core.reports.prometheus import LedgerCollector

JSON = "application/json"


@dataclass(frozen=True)
class OwedReport:
    """A periodic report that an endpoint is owed.

    Attributes:
        id: the name of the debt, such as `report:weekly:2026-W47`.
        scopes: the report of each active scope, the most recently deployed first.
    """

    id: str
    scopes: Sequence[ReportInput]


@dataclass(frozen=True)
class ShapeInput:
    """What a shape is made from.

    Attributes:
        repository: the repository of the run.
        event: the event that started the run, such as `deployment_status`.
        facts: those that the endpoint is owed, oldest debt first.
        reports: those that it is owed; only runs that read the whole ledger have any.
        results: all numbers, and the history of each scope.
        families: the numbers for Prometheus.
        page: where readers find the page.
        seconds_left: for making the requests, of which only a user's template may take many.
    """

    repository: str
    event: str
    facts: Sequence[Fact]
    reports: Sequence[OwedReport]
    results: Results
    families: "LedgerCollector"
    page: PageAddress = NO_PAGE
    seconds_left: float = inf

    @cached_property
    def failures(self) -> Mapping[str, Failure]:
        """The failed deployments of all scopes, by id."""
        histories = self.results.evaluation.histories
        return {failure.deployment.id: failure for history in histories for failure in history.failures}


class ShapedRequest(Struct, frozen=True, kw_only=True):
    """One request to an endpoint, without its address and credentials.

    Attributes:
        body: what is sent.
        key: the same for the same content; sent as `Idempotency-Key`.
        delivers: the ids of the facts and reports in it. One has arrived when each request with it was accepted.
        path: appended to the endpoint's address; empty for the address itself.
        method: of the request.
        content_type: of the body.
    """

    body: bytes
    key: str
    delivers: tuple[str, ...] = ()
    path: str = ""
    method: str = "POST"
    content_type: str = JSON


class FactChange(Struct, frozen=True):
    """What a run recorded about a fact.

    Attributes:
        before: what the ledger had; None if the fact is new.
        after: what it has now.
        now: the time of the run.
        policy: what is production, and the other settings that numbers depend on.
        wholes_before: the deployments or incidents that the parts of `whole` counted as before this run.
        whole: the deployment that the fact counts as now, joined from all jobs of its attempt, or the incident, joined
            from all its reports. None if it counts as none, and if nobody asked.
    """

    before: Fact | None
    after: Fact
    now: datetime
    policy: Policy
    wholes_before: tuple[Deployment | Incident, ...] = ()
    whole: Deployment | Incident | None = None


def is_any_change(_: FactChange) -> bool:
    """Send each change, as to an endpoint that keeps facts."""
    return True


def no_refusal(_status: int, _body: bytes) -> str:
    """Accept each request that is answered with a status from 200 to 299."""
    return ""


class TokenHeaders(Struct, frozen=True):
    """Where a request has the token of its endpoint.

    Attributes:
        header: the header that holds the token.
        scheme: what comes before the token in it.
        second_header: the header that holds what follows the first colon of a token; empty if a token has one part.
    """

    header: str
    scheme: str = ""
    second_header: str = ""

    def of(self, token: str) -> Mapping[str, str]:
        """Return the headers that hold a token. One with two parts has a colon between them: `KEY:SECOND`."""
        first, colon, second = token.partition(":") if self.second_header else (token, "", "")
        headers = {self.header: f"{self.scheme}{first}"}
        return {**headers, self.second_header: second} if colon else headers


BEARER = TokenHeaders("Authorization", "Bearer ")


@dataclass(frozen=True)
class Shape:
    """One form of what is sent.

    Attributes:
        name: as the setting has it, such as `slack`; for a user's template its path.
        events: what an endpoint of this shape is sent about without the setting `events`; None for all, which includes
            facts that no setting selects.
        requests: makes the requests, in the order in which they are to be sent.
        is_owed: whether a change of a fact is sent; the endpoint's events are looked at before.
        owes_judgements: whether a deployment is owed again when it begins or ceases to count as failed, and when
            another one, or none, counts as the end of its failure.
        sends_numbers: whether a run that owes no fact sends the numbers as well.
        is_for_people: whether it gets all debts of a run at once, to sum up what is much, and nothing is said twice,
            not to be sure that it arrived, and not for each job of a deployment or each report of an incident.
        token_headers: where its requests have the token.
        refusal: from a status from 200 to 299 and the body, why the request was refused; empty if it was accepted.
    """

    name: str
    events: frozenset[EndpointEvent] | None
    requests: Callable[[ShapeInput], Sequence[ShapedRequest]]
    is_owed: Callable[[FactChange], bool] = is_any_change
    owes_judgements: bool = False
    sends_numbers: bool = False
    is_for_people: bool = False
    token_headers: TokenHeaders = BEARER
    refusal: Callable[[int, bytes], str] = no_refusal


def content_key(content: object) -> str:
    """Return the idempotency key of what is sent: the same for the same content, 64 characters long."""
    return hashlib.sha256(canonical_json(content)).hexdigest()

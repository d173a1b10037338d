"""Prometheus Pushgateway: one group for each repository, which one PUT replaces as a whole."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, push_to_gateway
from requests.auth import HTTPBasicAuth

from dora_metrics.core.outcome import Outcome
from dora_metrics.http_session import HttpRequest
from dora_metrics.runtime import HttpLimits
from dora_metrics.sinks.base import SinkPayload
from dora_metrics.sinks.http import BAD_ADDRESS, SendError, send_with_retries


def base_url(url: str) -> str:
    """Return the address of a Pushgateway without the `/metrics` of its own page, which the client adds."""
    return re.sub(r"(?<=[^/:])/+metrics$", "", url.rstrip("/"))


@dataclass(frozen=True)
class Pushgateway:
    """A Pushgateway, with basic authentication if a user is configured."""

    url: str = field(repr=False)
    job: str
    auth: HTTPBasicAuth | None = field(default=None, repr=False)
    limits: HttpLimits = HttpLimits()
    name: str = "Pushgateway"

    def send(self, payload: SinkPayload) -> Outcome:
        """Replace the repository's group. The client escapes the grouping key, including its `/`."""
        registry = CollectorRegistry()
        registry.register(payload.families)
        try:
            self._push(registry, payload.repository)
        except SendError as problem:
            return Outcome(self.name, "failed", str(problem))
        except ValueError:  # from the client, which parses the address before it calls the handler
            return Outcome(self.name, "failed", BAD_ADDRESS)
        return Outcome(self.name, "done")

    def _push(self, registry: CollectorRegistry, repository: str) -> None:
        push_to_gateway(
            base_url(self.url),
            self.job,
            registry,
            grouping_key={"repository": repository},
            handler=self._handler,
        )

    def _handler(
        self,
        url: str,
        method: str,
        timeout: float | None,  # noqa: ARG002 - the client passes it by name; `limits` decides
        headers: list[tuple[str, str]],
        data: bytes,
    ) -> Callable[[], None]:
        """Return the function that sends one request, as the client's `handler` protocol asks."""

        def put() -> None:
            send_with_retries(HttpRequest(method, url, data, dict(headers), self.auth), self.limits)

        return put

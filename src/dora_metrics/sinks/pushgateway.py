"""Prometheus Pushgateway: one group for each repository, which one PUT replaces as a whole."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, push_to_gateway
from requests.auth import HTTPBasicAuth

from dora_metrics.core.outcome import Outcome
from dora_metrics.http_session import HttpRequest
from dora_metrics.runtime import Deadline, HttpLimits
from dora_metrics.sinks.base import SinkPayload
from dora_metrics.sinks.http import BAD_ADDRESS, SendError, may_hold_secret, read_once, send_with_retries
from dora_metrics.sinks.pushed_counters import PushedGroup, decode_pushed_group

_MAX_GROUPS_BYTES = 16 * 1024 * 1024
"""Of a Pushgateway's answer with all its groups: more than a thousand repositories with one scope each."""


def base_url(url: str) -> str:
    """Return the address of a Pushgateway without the `/metrics` of its own page, which the client adds."""
    return re.sub(r"(?<=[^/:])/+metrics$", "", url.rstrip("/"))


@dataclass(frozen=True)
class Pushgateway:
    """A Pushgateway, with basic authentication if a user is configured.

    Each repository has a group for each set of `labels`, so two clusters with one repository replace nothing of each
    other.
    """

    url: str = field(repr=False)
    job: str
    auth: HTTPBasicAuth | None = field(default=None, repr=False)
    limits: HttpLimits = HttpLimits()
    deadline: Deadline = field(default_factory=lambda: Deadline(HttpLimits().total_seconds))
    labels: Mapping[str, str] = field(default_factory=dict)
    name: str = "Pushgateway"

    def send(self, payload: SinkPayload) -> Outcome:
        """Replace the repository's group. The client escapes the grouping key, including its `/`."""
        registry = CollectorRegistry()
        registry.register(payload.families.with_labels(self.labels))
        try:
            self._push(registry, payload.repository)
        except SendError as problem:
            return Outcome(self.name, "failed", str(problem))
        except ValueError:  # from the client, which parses the address before it calls the handler
            return Outcome(self.name, "failed", BAD_ADDRESS)
        return Outcome(self.name, "done")

    def pushed_group(self, repository: str) -> PushedGroup:
        """Return what the repository's group holds; nothing if that cannot be read in time."""
        request = HttpRequest("GET", f"{base_url(self.url)}/api/v1/metrics", auth=self.auth)
        content = read_once(request, self.limits, _MAX_GROUPS_BYTES, self.deadline)
        return decode_pushed_group(content or b"", {"job": self.job, **self._grouping_key(repository)})

    def _grouping_key(self, repository: str) -> dict[str, str]:
        return {**self.labels, "repository": repository}

    def _push(self, registry: CollectorRegistry, repository: str) -> None:
        push_to_gateway(
            base_url(self.url),
            self.job,
            registry,
            grouping_key=self._grouping_key(repository),
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
            request = HttpRequest(method, url, data, dict(headers), self.auth)
            holds_secret = self.auth is not None or may_hold_secret(base_url(self.url))
            send_with_retries(request, self.limits, self.deadline, holds_secret=holds_secret)

        return put

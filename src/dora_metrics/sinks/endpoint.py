"""An HTTP endpoint of the user's: facts and metrics as JSON, optionally signed, delivered at least once."""

import hashlib
import hmac
from dataclasses import dataclass, field

from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.schema import SCHEMA
from dora_metrics.http_session import BearerAuth, HttpRequest
from dora_metrics.runtime import Deadline, HttpLimits
from dora_metrics.sinks.base import SinkPayload
from dora_metrics.sinks.http import SendError, may_hold_secret, send_with_retries


def fact_count(count: int) -> str:
    """Return `1 fact`, `2 facts`."""
    return "1 fact" if count == 1 else f"{count} facts"


@dataclass(frozen=True)
class Endpoint:
    """An address that takes a POST, with an optional bearer token and an optional signing key."""

    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    limits: HttpLimits = HttpLimits()
    deadline: Deadline = field(default_factory=lambda: Deadline(HttpLimits().total_seconds))
    name: str = "endpoint"

    def send(self, payload: SinkPayload) -> Outcome:
        """Post the facts with the metrics. The same facts have the same Idempotency-Key, so a repeat is safe."""
        body = _json_body(payload)
        auth = BearerAuth(self.token) if self.token else None
        request = HttpRequest("POST", self.url, body, self._headers(payload, body), auth)
        try:
            send_with_retries(request, self.limits, self.deadline, holds_secret=self._holds_secret)
        except SendError as problem:
            return Outcome(self.name, "failed", str(problem))
        return Outcome(self.name, "done", fact_count(len(payload.facts)))

    @property
    def _holds_secret(self) -> bool:
        return bool(self.token or self.secret) or may_hold_secret(self.url)

    def _headers(self, payload: SinkPayload, body: bytes) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "dora-metrics",
            "Idempotency-Key": hashlib.sha256(canonical_json(payload.facts or payload.document)).hexdigest(),
        }
        if self.secret:
            digest = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
            headers["X-Dora-Signature-256"] = f"sha256={digest}"
        return headers


def _json_body(payload: SinkPayload) -> bytes:
    return canonical_json(
        {
            "schema": SCHEMA,
            "repository": payload.repository,
            "event": payload.event,
            "facts": payload.facts,
            "metrics": payload.document,
        }
    )

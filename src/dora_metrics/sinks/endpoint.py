"""Any HTTP endpoint: facts and metrics as JSON, signed, at least once (DESIGN §8)."""

import hashlib
import hmac
from dataclasses import dataclass, field

from dora_metrics.core.facts.jsonl import canonical
from dora_metrics.core.schema import SCHEMA
from dora_metrics.runtime import Patience
from dora_metrics.sinks.base import Delivery, NotSent, Outcome, Sent
from dora_metrics.sinks.http import Bearer, Message, SendError, send


def counted(facts: int) -> str:
    return "1 fact" if facts == 1 else f"{facts} facts"


@dataclass(frozen=True)
class Endpoint:
    """An address that takes a POST; a token and a signing key where they are given."""

    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    patience: Patience = Patience()
    name: str = "endpoint"

    def send(self, delivery: Delivery) -> Outcome:
        """Posts the facts with the metrics. The same facts have the same Idempotency-Key, so a repeat is safe."""
        body = canonical(
            {
                "schema": SCHEMA,
                "repository": delivery.repository,
                "event": delivery.event,
                "facts": delivery.facts,
                "metrics": delivery.document,
            }
        )
        auth = Bearer(self.token) if self.token else None
        try:
            send(Message("POST", self.url, body, self._headers(delivery, body), auth), self.patience)
        except SendError as problem:
            return NotSent(self.name, str(problem))
        return Sent(self.name, counted(len(delivery.facts)))

    def _headers(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "dora-metrics",
            "Idempotency-Key": hashlib.sha256(canonical(delivery.facts or delivery.document)).hexdigest(),
        }
        if self.secret:
            digest = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
            headers["X-Dora-Signature-256"] = f"sha256={digest}"
        return headers

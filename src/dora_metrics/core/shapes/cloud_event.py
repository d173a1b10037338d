"""One CDEvent in a CloudEvent of structured mode, as one request.

CDEvents 0.5.1 (https://github.com/cdevents/spec/tree/v0.5.1; the envelope is that of cloudevents-binding.md),
CloudEvents 1.0.2 (https://github.com/cloudevents/spec/tree/v1.0.2). Every type that is sent has version 0.3.0 in that
edition of CDEvents.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from urllib.parse import quote

from msgspec import Struct

from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.shapes.shape import JSON, ShapedRequest, content_key

CLOUD_EVENTS_VERSION = "1.0"
CDEVENTS_VERSION = "0.5.1"
CLOUD_EVENT_JSON = "application/cloudevents+json"

_TYPE_VERSION = "0.3.0"

Happening = Literal[
    "change.merged",
    "pipelinerun.finished",
    "service.deployed",
    "service.upgraded",
    "service.rolledback",
    "incident.detected",
    "incident.resolved",
]
"""Subject and predicate of a CDEvent."""

_NONCHARACTERS = "".join(chr(plane * 0x10000 + low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
_NOT_IN_ATTRIBUTES = re.compile(f"[%\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef{_NONCHARACTERS}]")
"""What no attribute of a CloudEvent may hold, and the sign that encodes it."""


class CDEvent(Struct, frozen=True, kw_only=True):
    """One event, made from facts only: the same facts make the same bytes.

    Attributes:
        happening: what happened to the subject.
        time: when it happened.
        source: the address of the repository.
        subject: the id of the subject, unique in its source; made with `subject_id`.
        content: the fields that CDEvents has for this subject. Those that are not known are None, and left out.
        custom: the fields of ours, likewise.
        delivers: the ids of the facts that it is made from.
    """

    happening: Happening
    time: datetime
    source: str
    subject: str
    content: Mapping[str, object]
    custom: Mapping[str, object]
    delivers: tuple[str, ...]

    @property
    def type(self) -> str:
        """The name of its type, with the version of its schema."""
        return f"dev.cdevents.{self.happening}.{_TYPE_VERSION}"

    @property
    def id(self) -> str:
        """A digest of its content, so a receiver that drops repeated ids loses no correction."""
        return content_key((self.type, self.source, self.time, self.subject, _known(self.content), _known(self.custom)))

    def to_request(self) -> ShapedRequest:
        """Return the request that sends it. Its key is its id."""
        event_id = self.id
        body = {
            "specversion": CLOUD_EVENTS_VERSION,
            "id": event_id,
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": self.time,
            "datacontenttype": JSON,
            "data": self._data(event_id),
        }
        return ShapedRequest(
            body=canonical_json(body), key=event_id, delivers=self.delivers, content_type=CLOUD_EVENT_JSON
        )

    def _data(self, event_id: str) -> Mapping[str, object]:
        return {
            "context": {
                "specversion": CDEVENTS_VERSION,
                "id": event_id,
                "source": self.source,
                "type": self.type,
                "timestamp": self.time,
            },
            "subject": {"id": self.subject, "source": self.source, "content": _known(self.content)},
            "customData": _known(self.custom),
            "customDataContentType": JSON,
        }


def subject_id(name: str) -> str:
    """Return a name as the id of a subject: percent-encoded where a CloudEvent does not allow a character."""
    return _NOT_IN_ATTRIBUTES.sub(lambda match: quote(match[0], errors="surrogatepass"), name)


def package_url(repository: str, version: str | None) -> str:
    """Return the purl of what was deployed: `pkg:github/acme/shop@v1.2.0`; without a version if none is known.

    The type `github` has names in lower case: https://github.com/package-url/purl-spec.
    """
    name = quote(repository.lower().strip("/"), safe="/")
    return f"pkg:github/{name}@{_purl_part(version)}" if version else f"pkg:github/{name}"


def _purl_part(text: str) -> str:
    return quote(text, safe=":")


def _known(fields: Mapping[str, object]) -> Mapping[str, object]:
    return {name: value for name, value in fields.items() if value is not None}

"""What a receiver of CDEvents checks: the schemas of CDEvents 0.5.1, and CloudEvents as its Python SDK reads them.

No package has the schemas, so they are built here from the fields that the specification lists. Each must be the
published one (https://github.com/cdevents/spec/tree/v0.5.1/schemas) to the last value: `PUBLISHED` has the SHA-256 of
those, as JSON with sorted keys and no spaces.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]
from packageurl import PackageURL
from rfc3986_validator import validate_rfc3986  # type: ignore[import-untyped]

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.metrics.high_water_marks import HighWaterMarks
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.reports.prometheus import LedgerCollector
from dora_metrics.core.shapes.cdevents import CDEVENTS
from dora_metrics.core.shapes.shape import ShapedRequest, ShapeInput

Schema = dict[str, Any]

PUBLISHED = {
    "service.deployed": "a58abe7b6b1672128a4d1d60e095f9b66f8c1a5c50bdec458ffe78411138ef80",
    "service.upgraded": "bd497689080905bc6bcf13a7c7be2c46904531229111ad3f79d9e12997af7b5f",
    "service.rolledback": "c35268582a9cd122feafa244507bf67c51e098954e9a7bf39c68fd12e0bc5948",
    "incident.detected": "466a340c74a8259f8feacfbed03c90dce3ba700fa08fc5a6a02c4c621c4e261f",
    "incident.resolved": "d6267a8cc208e6781f62ee3269d11e509ce20bdcd09fd639bfa1fa450c1cf14c",
    "change.merged": "3dadcd18afa97dedd583236b1d198aadff88b4ab1f67672f38edccfd60b7f2a8",
    "pipelinerun.finished": "1f999d4eac67e934abb77173df59e529189e2659c57f0e55363e456126ba92a1",
}

FORMATS = FormatChecker(["uri", "uri-reference", "date-time"])

_TEXT: Schema = {"type": "string"}
_NAME: Schema = {"type": "string", "minLength": 1}
_ADDRESS: Schema = {**_NAME, "format": "uri-reference"}


def _object(properties: Schema, required: Iterable[str] = ()) -> Schema:
    names = list(required)
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": names} if names else {}),
    }


_REFERENCE = _object({"id": _NAME, "source": _ADDRESS}, ["id"])
_SERVICE = _object({"environment": _REFERENCE, "artifactId": _NAME}, ["environment", "artifactId"])
_INCIDENT = _object(
    {"description": _TEXT, "environment": _REFERENCE, "service": _REFERENCE, "artifactId": _NAME}, ["environment"]
)
_CHANGE = _object({"repository": _REFERENCE})
_RUN = _object(
    {
        "pipelineName": _TEXT,
        "uri": {"type": "string", "format": "uri"},
        "outcome": {"type": "string", "enum": ["success", "failure", "cancel", "error"]},
        "errors": _TEXT,
    }
)
_CONTENTS = {"service": _SERVICE, "incident": _INCIDENT, "change": _CHANGE, "pipelinerun": _RUN}


def schema_of(happening: str) -> Schema:
    """The schema of a type, such as `service.deployed`."""
    type_name = f"dev.cdevents.{happening}.0.3.0"
    context = {
        "specversion": _NAME,
        "id": _NAME,
        "source": _ADDRESS,
        "type": {"type": "string", "enum": [type_name], "default": type_name},
        "timestamp": {"type": "string", "format": "date-time"},
        "schemaUri": {**_NAME, "format": "uri"},
        "chainId": _NAME,
        "links": {"$ref": "links/embeddedlinksarray"},
    }
    subject = {"id": _NAME, "source": _ADDRESS, "content": _CONTENTS[happening.partition(".")[0]]}
    properties = {
        "context": _object(context, ["specversion", "id", "source", "type", "timestamp"]),
        "subject": _object(subject, ["id", "content"]),
        "customData": {"oneOf": [{"type": "object"}, {"type": "string", "contentEncoding": "base64"}]},
        "customDataContentType": _TEXT,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://cdevents.dev/0.5.1/schema/{happening.replace('.', '-')}-event",
        **_object(properties, ["context", "subject"]),
    }


def digest(schema: Schema) -> str:
    return hashlib.sha256(json.dumps(schema, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


_VALIDATORS = {
    f"dev.cdevents.{happening}.0.3.0": Draft202012Validator(schema_of(happening), format_checker=FORMATS)
    for happening in PUBLISHED
}


def problems(body: bytes) -> list[str]:
    """What a receiver would refuse in the body of a request; empty if nothing."""
    try:
        event = from_structured_event(HTTPMessage({"content-type": "application/cloudevents+json"}, body), JSONFormat())
    except (ValueError, CloudEventValidationError) as error:
        return [f"CloudEvents: {error}"]
    envelope, data = json.loads(body), event.get_data()
    if not isinstance(data, dict) or event.get_type() not in _VALIDATORS:
        return [f"not an event of ours: {event.get_type()}"]
    refused = [f"CDEvents: {error.message}" for error in _VALIDATORS[str(event.get_type())].iter_errors(data)]
    return refused or [*_binding_problems(envelope, data), *_purl_problems(data)]


def _binding_problems(envelope: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    """What differs between the envelope and the CDEvent in it (cloudevents-binding.md of the specification)."""
    context = data["context"]
    expected = {
        "specversion": "1.0",
        "id": context["id"],
        "source": context["source"],
        "type": context["type"],
        "subject": data["subject"]["id"],
        "time": context["timestamp"],
        "datacontenttype": "application/json",
    }
    actual = {name: value for name, value in envelope.items() if name != "data"}
    return [] if actual == expected else [f"binding: {actual} instead of {expected}"]


def _purl_problems(data: Mapping[str, Any]) -> list[str]:
    """What is wrong with the purl of a service event: it has to be a URI, in the form and with the values of ours."""
    text, facts = data["subject"]["content"].get("artifactId"), data["customData"]
    if not data["context"]["type"].startswith("dev.cdevents.service."):
        return []
    try:
        purl = PackageURL.from_string(text)
    except ValueError as error:
        return [f"purl: {error}"]
    name, version = unquote(text.partition("@")[0]), (facts.get("version") or facts.get("sha") or "").strip()
    is_name_right = name == f"pkg:github/{facts['repository'].lower().strip('/')}"
    is_right = validate_rfc3986(text, "URI") and is_name_right and (purl.version or "") == version
    return [] if is_right else [f"purl: {text} for {facts}"]


def requests_for(owed: Iterable[Fact], results: Results) -> list[ShapedRequest]:
    """The requests for facts that an endpoint is owed, where these results are known."""
    families = LedgerCollector([], HighWaterMarks(), {}, results.policy, results.now, None, "")
    return list(CDEVENTS.requests(ShapeInput("acme/shop", "push", list(owed), (), results, families)))

"""The JSON Schema of the setting `incidents`, for editors. `settings/incidents/parsing.py` checks what is used."""

from typing import Any

from dora_metrics.core.facts.model import SEVERITIES

_TEXT = {"type": "string"}
_TEXTS = {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
_QUERY = {
    "type": "object",
    "additionalProperties": {
        "anyOf": [
            {"type": ["string", "integer", "boolean"]},
            {"type": "array", "items": {"type": ["string", "integer"]}},
        ]
    },
}
_PLACE = {
    "anyOf": [
        {"enum": ["skip", None]},
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {"service": _TEXT, "repository": _TEXT, "environment": _TEXT},
        },
    ]
}
_COUNT = {"type": "integer", "minimum": 0}

INCIDENTS_SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["system"],
        "additionalProperties": False,
        "properties": {
            "system": {"enum": ["pagerduty", "jira", "incident-io", "statuspage", "custom"]},
            "name": _TEXT,
            "url": {"type": "string", "pattern": "^https?://"},
            "jql": _TEXT,
            "page-id": _TEXT,
            "services": {"type": "object", "additionalProperties": _PLACE},
            "severities": {"type": "object", "additionalProperties": {"enum": list(SEVERITIES)}},
            "environments": {"type": "object", "additionalProperties": _TEXT},
            "fields": _TEXTS,
            "query": _QUERY,
            "headers": {"type": "object", "additionalProperties": _TEXT},
            "page": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    **dict.fromkeys(("offset", "token", "number", "link", "next", "more"), _TEXT),
                    **dict.fromkeys(("size", "first", "end"), _COUNT),
                },
            },
            "range": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "days": _COUNT,
                    "by": {"enum": ["detected_at", "observed_at"]},
                    "newest-first": {"type": "boolean"},
                },
            },
            "each": _TEXT,
            "times": _TEXT,
            "open": {"type": "object", "properties": {"path": _TEXT, "query": _QUERY}},
            "single": {"type": "object", "properties": {"path": _TEXT, "query": _QUERY, "each": _TEXT}},
        },
    },
}

"""The JSON Schema of the setting `endpoints`, for editors. `settings/endpoint_list.py` checks what is used."""

from typing import Any

_EVENT = {"enum": ["deployment", "incident", "change", "report"]}

ENDPOINTS_SCHEMA: dict[str, Any] = {
    "type": "array",
    "maxItems": 20,
    "items": {
        "type": "object",
        "required": ["name", "url"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string"},
            "url": {"type": "string", "pattern": "^https?://"},
            "template": {"type": "string"},
            "events": {"anyOf": [{"type": "array", "items": _EVENT, "minItems": 1}, {"type": "string"}]},
            "token": {"type": "string"},
        },
    },
}

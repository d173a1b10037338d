"""The shape `dora`: the facts and all numbers, as schema dora-metrics/1 has them."""

from collections.abc import Sequence

from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.schema import SCHEMA
from dora_metrics.core.shapes.shape import Shape, ShapedRequest, ShapeInput, content_key


def _requests(shape_input: ShapeInput) -> Sequence[ShapedRequest]:
    """One request with all. The same facts have the same key; without facts, the same numbers."""
    facts, document = shape_input.facts, shape_input.results.document
    body = {
        "schema": SCHEMA,
        "repository": shape_input.repository,
        "event": shape_input.event,
        "facts": facts,
        "metrics": document,
    }
    delivers = (*(fact.id for fact in facts), *(report.id for report in shape_input.reports))
    return [ShapedRequest(body=canonical_json(body), key=content_key(facts or document), delivers=delivers)]


DORA = Shape("dora", events=None, requests=_requests, sends_numbers=True)

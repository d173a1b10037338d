"""A user's template as the shape of an endpoint, rendered in a process with limits."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from dora_metrics.core.reports.sandbox import TemplateError
from dora_metrics.core.shapes.shape import Shape, ShapedRequest, ShapeInput
from dora_metrics.core.shapes.template import RenderedRequest, render_requests, shaped_requests, template_values
from dora_metrics.pipeline.template_process import TemplateLimits, render_apart
from dora_metrics.pipeline.user_templates import template_problem

ENDPOINT_LIMITS = TemplateLimits(result_bytes=64_000_000)
"""Bodies of 10 MB have at most 60 MB as JSON, which writes a control character in 6 bytes."""


def template_shape(path: str, read_template: Callable[[Path], str], limits: TemplateLimits = ENDPOINT_LIMITS) -> Shape:
    """Return the shape of a user's template; an endpoint of it is sent all facts, and nothing in a run without one.

    The file is read when there is something to send. The shape's `requests` raises a TemplateError with the reason if
    the file cannot be read, or the template cannot be used; nothing is to be sent then.

    Args:
        path: of the template in the repository.
        read_template: reads it; it may raise an OSError, a UnicodeDecodeError or a TemplateError.
        limits: of the process that renders.
    """

    def requests(shape_input: ShapeInput) -> Sequence[ShapedRequest]:
        try:
            template = read_template(Path(path))
        except (OSError, UnicodeDecodeError, TemplateError) as error:
            raise TemplateError(template_problem(error)) from None
        render = partial(render_requests, template, template_values(shape_input))
        seconds = min(limits.total_seconds, shape_input.seconds_left)
        rendered = render_apart(render, list[RenderedRequest], replace(limits, total_seconds=seconds))
        return shaped_requests(rendered, shape_input)

    return Shape(path, events=None, requests=requests)

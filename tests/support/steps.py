"""How much work a function does, counted and not timed."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def count_steps(function: Callable[[], object]) -> int:
    """The lines of this package that a call runs, each round of a loop counted."""
    steps = 0

    def count(frame: FrameType, event: str, _argument: Any) -> Any:  # noqa: ANN401
        nonlocal steps
        if "dora_metrics" not in frame.f_code.co_filename:
            return None
        steps += event == "line"
        return count

    previous = sys.gettrace()
    sys.settrace(count)
    try:
        function()
    finally:
        sys.settrace(previous)
    return steps

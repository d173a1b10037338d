"""A sandbox for templates that users write: no Python, bounded numbers and texts, and a reason for each failure.

It cannot bound memory and time: `pipeline/template_process.py` does, in a process of its own.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from traceback import walk_tb

from jinja2 import DictLoader, StrictUndefined, TemplateNotFound, TemplateSyntaxError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

_MAX_CHARACTERS = 10_000_000
_MAX_OPERAND = 10_000_000
_TEMPLATE_FILE = "<template>"
"""What a frame of a template has as its file."""


class TemplateError(Exception):
    """A template cannot be rendered; the message is the reason."""


class _RangeBudget:
    """`range` for templates, with a limit on the numbers of all calls together, so that nested loops end."""

    remaining = 100_000

    def range(self, *bounds: int) -> range:
        numbers = range(*bounds)
        self.remaining -= len(numbers)
        if self.remaining < 0:
            raise TemplateError("its `range` calls count beyond 100,000")
        return numbers


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of one rendering. What is undefined is an error, and a text is never multiplied.

    It allows `*` for small numbers only and forbids `**`: `'x' * 3000000000` would exhaust the memory. `lipsum`, which
    makes texts of any length, is not there.
    """

    intercepted_binops = frozenset(("*", "**"))

    def __init__(
        self, parts: Mapping[str, str] | None = None, finalize: Callable[[object], object] | None = None
    ) -> None:
        """Make the environment.

        Args:
            parts: templates that a template may include, by name.
            finalize: makes what is printed from each value; None to print values as they are.
        """
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            finalize=finalize,
            loader=DictLoader(dict(parts or {})),
        )
        self.globals["range"] = _RangeBudget().range
        del self.globals["lipsum"]

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        are_small = all(isinstance(each, int | float) and abs(each) < _MAX_OPERAND for each in (left, right))
        if operator == "**" or not are_small:
            raise TemplateError(f"{operator} is for small numbers only")
        return super().call_binop(context, operator, left, right)

    def render(self, template: str, values: Mapping[str, object]) -> str:
        """Render a template.

        Raises:
            TemplateError: if it has a syntax error, fails, or exceeds a limit of the sandbox.
        """
        try:
            return "".join(_limit_size(self.from_string(template).generate(**values)))
        except TemplateSyntaxError as error:
            raise TemplateError(f"line {error.lineno}: {error.message}") from None
        except (RecursionError, MemoryError) as error:
            raise TemplateError(f"it repeats without end ({type(error).__name__})") from None
        except TemplateNotFound as error:
            raise TemplateError(f"{_place(error)}it includes {error.name!r}, which does not exist") from None
        except Exception as error:  # noqa: BLE001 - Jinja makes Python of a template, which may raise anything
            raise TemplateError(f"{_place(error)}{str(error) or type(error).__name__}") from None


def _place(error: Exception) -> str:
    """Return the line of the template at which it failed, such as `line 3: `; empty if it is not known."""
    frames = walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == _TEMPLATE_FILE]
    return f"line {lines[-1]}: " if lines else ""


def _limit_size(chunks: Iterable[str]) -> Iterator[str]:
    """Pass the chunks on until they exceed the maximum output size.

    Raises:
        TemplateError: if they exceed it.
    """
    character_count = 0
    for chunk in chunks:
        character_count += len(chunk)
        if character_count > _MAX_CHARACTERS:
            raise TemplateError(f"it writes more than {_MAX_CHARACTERS:,} characters")
        yield chunk

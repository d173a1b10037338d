"""The only way to stdout and stderr. What is written there is no command, except those that this module makes.

GitHub's runner reads both streams and executes every line that looks like a command, whoever wrote it: `::cmd::` at the
start of a line, `##[cmd]` anywhere in it. A terminal obeys control characters. So each kind of text has a function that
takes the effect from both: in JSON and HTML without a change of what a reader of the format gets.
"""

import re
from collections.abc import Sequence
from typing import Literal, TextIO

from dora_metrics.core.reports.styled_text import Span, Style

_ZERO_WIDTH_SPACE = "\N{ZERO WIDTH SPACE}"

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that change the direction of a line, and non-characters; not `\\n` and tab."""

_LINE_COMMAND = re.compile(r"^([^\S\n]*:)(?=:)", re.MULTILINE)

CommandName = Literal["notice", "warning", "error", "group", "endgroup"]


def neutral_line(text: str) -> str:
    """Return a text as one line that the runner cannot read as a command; control characters become their codes."""
    one_line = _show_unsafe(text.replace("\r", "%0D").replace("\n", "%0A"))
    return one_line.replace("::", f":{_ZERO_WIDTH_SPACE}:").replace("##[", f"##{_ZERO_WIDTH_SPACE}[")


def write_line(stream: TextIO, text: str) -> None:
    """Write a text as one line."""
    stream.write(neutral_line(text) + "\n")


def write_question(stream: TextIO, text: str) -> None:
    """Write a text that a person answers in the same line."""
    stream.write(neutral_line(text))
    stream.flush()


def write_text(stream: TextIO, text: str) -> None:
    """Write lines for people, such as Markdown. A last line without an end stays without one."""
    stream.write("\n".join(neutral_line(line) for line in text.replace("\r\n", "\n").split("\n")))


_COLOUR_CODES: dict[Style, str] = {"bold": "1", "muted": "2", "best": "32", "good": "36", "fair": "33", "poor": "31"}
"""The codes of styles (https://en.wikipedia.org/wiki/ANSI_escape_code#SGR); a plain text has none."""


def write_styled_line(stream: TextIO, spans: Sequence[Span], *, has_colours: bool) -> None:
    """Write spans as one line, with the codes of their styles if `has_colours`.

    Spans that make a command only together are written without styles.
    """
    line = "".join(span.text for span in spans)
    if has_colours and neutral_line(line) == line:
        stream.write("".join(map(_coloured, spans)) + "\n")
    else:
        write_line(stream, line)


def _coloured(span: Span) -> str:
    """Return a neutral text between the codes of its style."""
    code = _COLOUR_CODES.get(span.style)
    return f"\x1b[{code}m{span.text}\x1b[0m" if code and span.text.strip() else span.text


def write_json(stream: TextIO, document: str) -> None:
    """Write a JSON document; it keeps its value, since only escapes are added."""
    stream.write(_neutral_json(document) + "\n")


def write_exposition(stream: TextIO, text: str) -> None:
    """Write metrics in Prometheus' text format. A label value keeps its value unless it holds a command."""
    shown = _show_unsafe(text, backslash=r"\\")  # the format has no escapes but those of the backslash itself
    stream.write(_without_commands(shown))


def write_html(stream: TextIO, page: str) -> None:
    """Write a page; its scripts and styles are the program's own and stay as they are, because of their hashes."""
    parts = re.split(r"(<(script|style)\b[^>]*>.*?</\2>)", page, flags=re.DOTALL)
    texts, elements = parts[::3], parts[1::3]
    neutral_elements = [_neutral_json(each) if 'type="application/json"' in each[:80] else each for each in elements]
    pairs = zip((_neutral_html(text) for text in texts), (*neutral_elements, ""), strict=True)
    stream.write("".join(text + element for text, element in pairs))


def write_command(stream: TextIO, name: CommandName, text: str = "", title: str = "") -> None:
    """Write a workflow command of the program's own, with a text from anywhere."""
    properties = f" title={_escape_property(title)}" if title else ""
    stream.write(f"::{name}{properties}::{_escape_data(text)}\n")


def _show_unsafe(text: str, backslash: str = "\\") -> str:
    return _UNSAFE.sub(lambda match: f"{backslash}x{ord(match[0]):02x}", text)


def _without_commands(text: str) -> str:
    return _LINE_COMMAND.sub(rf"\1{_ZERO_WIDTH_SPACE}", text).replace("##[", f"##{_ZERO_WIDTH_SPACE}[")


def _neutral_json(text: str) -> str:
    escaped = _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return escaped.replace("##[", "#\\u0023[")


def _neutral_html(text: str) -> str:
    shown = _UNSAFE.sub("", text).replace("##[", "#&#35;[")
    return _LINE_COMMAND.sub(lambda match: f"{match[1][:-1]}&#58;", shown)


def _escape_data(text: str) -> str:
    """Escape the message of a workflow command."""
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return _show_unsafe(escaped).replace("##[", f"##{_ZERO_WIDTH_SPACE}[")


def _escape_property(text: str) -> str:
    """Escape a property of a workflow command."""
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")

"""What reaches stdout and stderr: no command, no control character, and the same value for whoever reads the format."""

import json
import re
from collections.abc import Callable
from io import StringIO
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from dora_metrics.github import console

PIECES = [
    "::error::x",
    "##[group]",
    "::",
    ":",
    "#",
    "[",
    "\n",
    "\r",
    "\r\n",
    " ",
    "\t",
    "\u00a0",
    "a",
    "\\",
    "%0A",
    '"',
]
PIECES += ["\x1b[2J", "\x07", "\x7f", "\x85", "\x9b", "\0", "\u2028", "\u202e", "\ud800", "<", ">", "</script>", "&"]
texts = st.lists(st.one_of(st.sampled_from(PIECES), st.characters()), max_size=12).map("".join)


def written(write: Callable[[TextIO, str], None], text: str) -> str:
    stream = StringIO(newline="")
    write(stream, text)
    return stream.getvalue()


def commands_in(log: str) -> list[str]:
    """The lines that the runner executes: it ends lines as .NET does, and leaves out white space before a command."""
    return [line for line in re.split(r"\r\n|\r|\n", log) if line.lstrip().startswith("::") or "##[" in line]


def is_harmless(log: str) -> bool:
    """Whether neither runner nor terminal does anything but show the text."""
    return not commands_in(log) and not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", log
    )


WRITERS = [console.write_line, console.write_question, console.write_text, console.write_exposition, console.write_html]


@pytest.mark.parametrize("write", WRITERS)
@given(text=texts)
def test_no_text_is_a_command_or_controls_a_terminal(write: Callable[[TextIO, str], None], text: str) -> None:
    assert is_harmless(written(write, text))


@given(texts)
def test_a_line_is_one_line(text: str) -> None:
    assert written(console.write_line, text).count("\n") == 1


@given(texts, texts)
def test_a_command_of_the_program_is_one_command(title: str, text: str) -> None:
    log = written(lambda stream, message: console.write_command(stream, "warning", message, f"t{title}"), text)
    assert commands_in(log) == [log.removesuffix("\n")]
    assert log.startswith("::warning title=t")
    assert is_harmless(log.removeprefix("::"))


@given(st.recursive(texts, lambda values: st.lists(values) | st.dictionaries(texts, values), max_leaves=5))
def test_json_keeps_its_value(value: object) -> None:
    document = json.dumps(value, ensure_ascii=False)
    log = written(console.write_json, document)
    assert is_harmless(log)
    assert json.loads(log) == value


def sample(text: str) -> str:
    """The exposition of a series with a label."""
    registry = CollectorRegistry()
    Gauge("dora_x", "help", ["environment"], registry=registry).labels(text).set(1)
    return generate_latest(registry).decode("utf-8", "replace")


def label_in(exposition: str) -> str:
    (family,) = text_string_to_metric_families(exposition)
    return str(family.samples[0].labels["environment"])


@given(texts.filter(lambda text: not re.search("[\ud800-\udfff]", text)))
def test_metrics_are_read_with_their_label_unless_it_is_a_command(text: str) -> None:
    log = written(console.write_exposition, sample(text))
    assert is_harmless(log)
    shown = re.sub(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\u200e\u200f]", lambda m: f"\\x{ord(m[0]):02x}", text
    )
    assert label_in(log).replace("##\u200b[", "##[") == shown


def test_a_page_keeps_its_scripts_and_the_value_of_its_data() -> None:
    script, style = "<script>x\n::y ##[z]</script>", "<style>\n::before {}</style>"
    data = '<script type="application/json" id="data">["##[error]"]</script>'
    page = written(console.write_html, f"<p>##[error]\n::error::x\x1b</p>{script}{style}{data}\n")
    assert page.startswith(f"<p>#&#35;[error]\n&#58;:error::x</p>{script}{style}")
    assert page.endswith('["#\\u0023[error]"]</script>\n')


def test_markdown_without_commands_stays_as_it_is() -> None:
    markdown = "# Delivery\n\n| a | b |\n|---|--:|\n| 1 | `x:y` |\n\n\tcode \u2013 \u200b \U0001f680\n"
    assert written(console.write_text, markdown) == markdown

"""DESIGN §9: untrusted text in Markdown."""

import html
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core.markdown import Md, code_span, escape, join_non_empty, link, md

GAP = "\N{ZERO WIDTH SPACE}"

TEXTS = st.text(
    st.one_of(
        st.sampled_from("\\`*_{}[]()<>#+-.!|~$&@:=/^ \t\r\nabcdef0123456789w"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=40,
)


CODE = r"`[A-Za-z][\w.: -]*`"
"""What may stay code, since nothing in it means anything."""


def plain(text: str) -> str:
    """What a reader sees of escaped Markdown: entities and backslash escapes resolved, nothing else left to render."""
    return html.unescape(re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)).replace(GAP, "")


def outside_code(text: object) -> str:
    return re.sub(CODE, "", escape(text), flags=re.ASCII)


def visible(text: str) -> str:
    """A text on one line, without what nobody sees."""
    spaced = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    return " ".join("".join(c for c in spaced if unicodedata.category(c) not in ("Cf", "Cs")).split())


@given(TEXTS)
def test_a_text_renders_as_itself(text: str) -> None:
    assert plain(escape(text)) == visible(text)


@given(TEXTS)
def test_no_markup_is_left(text: str) -> None:
    escaped = outside_code(text)
    assert not re.search(r"[<>\n\r]", escaped)
    for active in re.finditer(r"[`*_\[\]|~$]", escaped):
        before = escaped[: active.start()]
        assert (len(before) - len(before.rstrip("\\"))) % 2 == 1, "an odd number of backslashes escapes it"
    assert not re.search(r"&(?!(amp|lt|gt);)", escaped)


@given(TEXTS)
def test_nobody_is_pinged_and_nothing_is_referenced(text: str) -> None:
    escaped = outside_code(text)
    assert not re.search(r"@\w|#\d", escaped)
    assert not re.search(r"GH-\d|https?://|ftp://|www\.", escaped, re.IGNORECASE)
    assert not re.search(r"(?<![^\W_])[0-9a-f]{7,40}(?![^\W_])", escaped, re.IGNORECASE)


@given(TEXTS)
def test_no_line_begins_a_block(text: str) -> None:
    """Heading, list, quote, rule, the underline of a heading, the second line of a table, indented code, fences."""
    assert not re.match(r"\s|#{1,6}(\s|$)|[-+*](\s|$)|\d{1,9}[.)](\s|$)|>|[-=:\s]+$|```|~~~", escape(text))


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("@octocat look", f"@{GAP}octocat look"),
        ("\\@octocat", f"\\\\@{GAP}octocat"),
        ("a@b.example", f"a@{GAP}b.example"),
        ("@acme/team", f"@{GAP}acme/team"),
        ("fixes #12", f"fixes #{GAP}12"),
        ("acme/shop#12", f"acme/shop#{GAP}12"),
        ("gh-12 GH-12", f"gh{GAP}-12 GH{GAP}-12"),
        ("https://evil.example", f"https{GAP}://evil.example"),
        ("HTTP://evil.example", f"HTTP{GAP}://evil.example"),
        ("www.evil.example", f"www{GAP}.evil.example"),
        ("_https://evil.example", f"\\_https{GAP}://evil.example"),
        ("0123456 is", f"012345{GAP}6 is"),
        ("aaa0123456", f"aaa012{GAP}3456"),
        ("deadbeef", f"deadbe{GAP}ef"),
        ("a" * 40, f"{GAP}".join(("a" * 6,) * 6) + f"{GAP}aaaa"),
        ("a" * 41, "a" * 41),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("<!-- gone", "&lt;!-- gone"),
        ("&lt;b&gt;", "&amp;lt;b&amp;gt;"),
        ("> quoted", "&gt; quoted"),
        ("> [!NOTE]", "&gt; \\[!NOTE\\]"),
        ("a | b", "a \\| b"),
        ("- [ ] a", "\\- \\[ \\] a"),
        ("[x](javascript:alert(1))", "\\[x\\](javascript:alert(1))"),
        ("![x](http://a)", f"!\\[x\\](http{GAP}://a)"),
        ("`code` **b** _i_ ~~s~~", "`code` \\*\\*b\\*\\* \\_i\\_ \\~\\~s\\~\\~"),
        ("`@octocat` and `<b>`", f"\\`@{GAP}octocat\\` and \\`&lt;b&gt;\\`"),
        ("``code`", "\\``code`"),
        ("$\\math$", "\\$\\\\math\\$"),
        ("# head", "\\# head"),
        ("1. one", "1\\. one"),
        ("1) one", "1\\) one"),
        ("---", "\\---"),
        ("===", "\\==="),
        ("-- - -", "\\-- - -"),
        (":-:", "\\:-:"),
        ("+ a", "\\+ a"),
        ("    indented", "indented"),
        ("two\r\nlines\u2028three", "two lines three"),
        ("bell\x07 and nul\x00.", "bell and nul ."),
        ("right\u202eleft", "rightleft"),
        ("1.4.0", "1.4.0"),
        ("C# and F#, -1, --flag, a-b", "C# and F#, -1, --flag, a-b"),
        ("", ""),
        (7, "7"),
    ],
)  # fmt: skip
def test_hostile_texts_are_neutralised_and_harmless_ones_stay(hostile: object, shown: str) -> None:
    assert escape(hostile) == shown


def test_what_is_markdown_already_is_not_escaped_again() -> None:
    assert escape(Md("**b**")) == "**b**"
    assert escape(escape("*")) == "\\*"
    assert md("{} of {}", "<a>", Md("_b_")) == "&lt;a&gt; of _b_"
    assert join_non_empty(", ", [Md("a"), Md(""), Md("b")]) == "a, b"


def test_a_plain_name_is_a_code_span_and_anything_else_escaped_text() -> None:
    assert code_span("v1.4.0+build_2/x") == "`v1.4.0+build_2/x`"
    for name in ("a`b", "a b", "", "x" * 101, "ü"):
        assert code_span(name) == escape(name)


def test_a_link_is_to_http_or_https_only() -> None:
    assert link("a|b", "https://a.example/x?y=1#z") == "[a\\|b](https://a.example/x?y=1#z)"
    for url in (
        "javascript:alert(1)",
        "data:text/html,x",
        "//a.example",
        "a.example",
        "",
        None,
        "https://[",
        "file:///x",
    ):
        assert link("a", url) == "a"


def test_an_address_cannot_leave_its_brackets() -> None:
    for url in (
        "https://a.example/) [x](https://b.example",
        "https://a.example/\n\n# h",
        "https://a.example/<b>",
        "https://a.example/ a",
    ):
        assert re.fullmatch(r"\[a\]\(https://[^()<>\s]*\)", link("a", url))

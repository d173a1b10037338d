"""Untrusted text in Markdown (docs/architecture.md, "Untrusted text")."""

import html
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core.markdown import Md, code_span, escape, join_non_empty, link, md, plain, web_address

ZERO_WIDTH_SPACE = "\N{ZERO WIDTH SPACE}"

TEXTS = st.text(
    st.one_of(
        st.sampled_from("\\`*_{}[]()<>#+-.!|~$&@:=/^ \t\r\nabcdef0123456789w"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=40,
)


CODE = r"`[A-Za-z][\w.: -]*`|`--[a-z-]+ (?:[A-Z]+|'[\w.@/*-]+')`"
"""Text that may stay code, since nothing in it has a meaning."""


def rendered_text(text: str) -> str:
    """The text that a reader sees of escaped Markdown; nothing may be left to render."""
    return html.unescape(re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)).replace(ZERO_WIDTH_SPACE, "")


def outside_code(text: object) -> str:
    return re.sub(CODE, "", escape(text), flags=re.ASCII)


def visible(text: str) -> str:
    """A text on one line, without invisible characters."""
    spaced = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    return " ".join("".join(c for c in spaced if unicodedata.category(c) not in ("Cf", "Cs")).split())


@given(TEXTS)
def test_a_text_renders_as_itself(text: str) -> None:
    assert rendered_text(escape(text)) == visible(text)


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
        ("@octocat look", f"@{ZERO_WIDTH_SPACE}octocat look"),
        ("\\@octocat", f"\\\\@{ZERO_WIDTH_SPACE}octocat"),
        ("a@b.example", f"a@{ZERO_WIDTH_SPACE}b.example"),
        ("@acme/team", f"@{ZERO_WIDTH_SPACE}acme/team"),
        ("fixes #12", f"fixes #{ZERO_WIDTH_SPACE}12"),
        ("acme/shop#12", f"acme/shop#{ZERO_WIDTH_SPACE}12"),
        ("gh-12 GH-12", f"gh{ZERO_WIDTH_SPACE}-12 GH{ZERO_WIDTH_SPACE}-12"),
        ("https://evil.example", f"https{ZERO_WIDTH_SPACE}://evil.example"),
        ("HTTP://evil.example", f"HTTP{ZERO_WIDTH_SPACE}://evil.example"),
        ("www.evil.example", f"www{ZERO_WIDTH_SPACE}.evil.example"),
        ("_https://evil.example", f"\\_https{ZERO_WIDTH_SPACE}://evil.example"),
        ("0123456 is", f"012345{ZERO_WIDTH_SPACE}6 is"),
        ("aaa0123456", f"aaa012{ZERO_WIDTH_SPACE}3456"),
        ("deadbeef", f"deadbe{ZERO_WIDTH_SPACE}ef"),
        ("a" * 40, f"{ZERO_WIDTH_SPACE}".join(("a" * 6,) * 6) + f"{ZERO_WIDTH_SPACE}aaaa"),
        ("a" * 41, "a" * 41),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("<!-- gone", "&lt;!-- gone"),
        ("&lt;b&gt;", "&amp;lt;b&amp;gt;"),
        ("> quoted", "&gt; quoted"),
        ("> [!NOTE]", "&gt; \\[!NOTE\\]"),
        ("a | b", "a \\| b"),
        ("- [ ] a", "\\- \\[ \\] a"),
        ("[x](javascript:alert(1))", "\\[x\\](javascript:alert(1))"),
        ("![x](http://a)", f"!\\[x\\](http{ZERO_WIDTH_SPACE}://a)"),
        ("`code` **b** _i_ ~~s~~", "`code` \\*\\*b\\*\\* \\_i\\_ \\~\\~s\\~\\~"),
        ("`@octocat` and `<b>`", f"\\`@{ZERO_WIDTH_SPACE}octocat\\` and \\`&lt;b&gt;\\`"),
        ("``code`", "\\``code`"),
        ("`--tags 'web@*'` or `--tags GLOB`", "`--tags 'web@*'` or `--tags GLOB`"),
        ("`--now 2026-11-30T00:00:01Z`", "`--now 2026-11-30T00:00:01Z`"),
        ("`--tags '<b>'`", "\\`--tags '&lt;b&gt;'\\`"),
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


@given(text=TEXTS, url=TEXTS.map("https://a.example/{}".format))
def test_plain_text_is_what_a_reader_sees(text: str, url: str) -> None:
    shown = visible(text).replace("`", "")
    for markdown in (escape(text), link(text, url), md("**{}**", text), md("{}", link(text, None))):
        assert plain(markdown).replace("`", "") == shown


def test_plain_text_of_code_and_links_has_no_markup() -> None:
    markdown = md(
        "**{}** {} (rule {}): {}", 1, link(code_span("v1"), "https://a.example/(x)"), code_span("a"), "*b* & c"
    )
    assert plain(markdown) == "1 v1 (rule a): *b* & c"


def test_only_addresses_of_the_web_are_addresses() -> None:
    assert web_address(" https://a.example/x\n") == "https://a.example/x"
    assert web_address("https://a.example/x?a=<b>|c (d)") == "https://a.example/x?a=%3Cb%3E%7Cc%20%28d%29"
    for url in (None, "", "javascript:x", "//a.example", "https://[x", "ftp://a.example"):
        assert web_address(url) == ""

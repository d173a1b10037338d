"""Texts of strangers that would do something, and what a log may not hold."""

import re

FULL_SHA = "0123456789abcdef0123456789abcdef01234567"
HOSTILE = [
    "@octocat", "@acme/team", "#12", "acme/api#12", "GH-12", "<img src=x onerror=y>", "<!--", "-->",
    "<!-- dora-metrics:end: Text between the two markers is rewritten. All other text is yours. -->",
    "<!-- dora-metrics:end: text between the two marks is rewritten, all other text is yours -->",
    "<!-- dora-metrics:end: what stands above is written anew, what stands below is yours -->",
    "<!-- dora-metrics:report weekly:2024-W11:0123456789abcdef -->", "<!-- yours -->", "`", "``` \n", "|", "\\", "\\|",
    "\n# head\n\n", "\n- [ ] task", "\r::error::x", "\n::add-mask::production", "::set-env name=x::y", "##[group]x",
    "![x](https://evil.example/p.png)", "[x](javascript:alert)", "[x]: https://evil.example", "<https://evil.example>",
    "https://evil.example/acme/shop/issues/12", "www.evil.example", "ftp://evil.example", "a@evil.example", "\x1b[2J",
    "\x07\x7f\x9b", "\u202e", "\u2028", "{{ 7 * 7 }}", "{% raw %}", "{}", "{0}", "$x$", "~~~", "</script><script>x",
    "</details>", "&lt;img src=x&gt;", "&#64;octocat", FULL_SHA, "`@octocat`", "`a` @octocat `b`", "*x*", "_x_",
]  # fmt: skip


def assert_logs_nothing(log: str) -> None:
    lines = re.split(r"[\r\n]", log)
    assert not [line for line in lines if line.lstrip().startswith("::") or "##[" in line]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", log)

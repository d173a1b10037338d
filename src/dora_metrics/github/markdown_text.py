"""The prose of a Markdown text: what its author says, without code blocks, HTML quotations and comments."""

import re
from collections.abc import Iterator

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_HTML_BLOCK = re.compile(r" {0,3}<(pre|blockquote)\b", re.IGNORECASE)
_COMMENT_START, _COMMENT_END = "<!--", "-->"


def prose_lines(markdown: str | None) -> Iterator[str]:
    """Yield the lines of a text that are neither in a code fence, an HTML block nor a comment."""
    block_end, is_in_comment = "", False
    for line in (markdown or "").splitlines():
        if block_end:
            block_end = "" if _ends_block(line, block_end) else block_end
        elif not is_in_comment and (block_end := _end_of_opened_block(line)):
            continue
        else:
            prose, is_in_comment = _without_comments(line, is_in_comment=is_in_comment)
            yield prose


def statement_lines(markdown: str | None) -> Iterator[str]:
    """Yield the lines in which the author states something: prose outside quotations and indented code."""
    return (line for line in prose_lines(markdown) if not line.startswith(("    ", "\t")) and line.lstrip()[:1] != ">")


def _end_of_opened_block(line: str) -> str:
    """Return what ends the block that a line opens, such as a fence or `</pre>`; empty if it opens none."""
    fence, html = _FENCE.fullmatch(line), _HTML_BLOCK.match(line)
    if fence and not (fence[1][0] == "`" and "`" in fence[2]):
        return fence[1]
    end = f"</{html[1].lower()}>" if html else ""
    return "" if end and end in line.lower() else end


def _ends_block(line: str, block_end: str) -> bool:
    if block_end.startswith("</"):
        return block_end in line.lower()
    fence = _FENCE.fullmatch(line)
    return fence is not None and fence[1].startswith(block_end) and not fence[2].strip()


def _without_comments(line: str, *, is_in_comment: bool) -> tuple[str, bool]:
    """Return a line without its comments, and whether the last one goes on in the next line."""
    prose: list[str] = []
    position = 0
    while True:
        if is_in_comment:
            end = line.find(_COMMENT_END, position)
            if end < 0:
                return "".join(prose), True
            position = end + len(_COMMENT_END)
        start = line.find(_COMMENT_START, position)
        is_in_comment = start >= 0
        prose.append(line[position:start] if is_in_comment else line[position:])
        if not is_in_comment:
            return "".join(prose), False
        position = start + len(_COMMENT_START)

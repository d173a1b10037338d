"""Reading an issue's body: the answers of a form, and lines such as `deployment: v1.2.3`.

GitHub renders a form as `### Label`, a blank line, and the answer; `_No response_` where there is none:
https://docs.github.com/en/communities/using-templates-to-encourage-useful-issues-and-pull-requests/syntax-for-issue-forms
"""

import re
from datetime import datetime

from dora_metrics.core import windows

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_HEADING = "### "
_LONGEST = 300
_NAMED = re.compile(r"[\s>*_-]*(?:deployment|root cause)[*_]*\s*:[*_\s]*(\S+)\s*", re.IGNORECASE)
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ]+(\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)\s*(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.IGNORECASE | re.ASCII,
)
_NO_ANSWER = frozenset({"", "_no response_", "n/a", "none", "unknown", "-", "?"})


def answers(body: str | None) -> dict[str, str]:
    """The first line of each answer by its label in lower case; questions without an answer are left out.

    Of two equal labels the first counts, so that a text answer cannot overwrite the fields above it.
    """
    found: dict[str, str] = {}
    label = None
    for line in prose(body):
        if line.startswith(_HEADING):
            label = line.strip("#: \t").lower()
        elif label is not None and line.strip():
            found.setdefault(label, _unquoted(line))
            label = None
    return {label: answer for label, answer in found.items() if answer.lower() not in _NO_ANSWER}


def named_deployment(body: str | None) -> str | None:
    """What a line `deployment: X` or `root cause: X` names.

    X is one word: prose after `root cause:` is no name, and a name that leads nowhere would keep the
    incident from being matched at all.
    """
    # Longer lines name nothing, and a stranger could make the pattern slow with them.
    found = (_NAMED.fullmatch(line) for line in prose(body) if len(line) <= _LONGEST)
    names = (_unquoted(match[1].rstrip(".,;*_")) for match in found if match)
    return next((name for name in names if name.lower() not in _NO_ANSWER), None)


def moment(answer: str) -> tuple[datetime, bool] | None:
    """A time as people write it, and whether it said its offset; UTC where it did not."""
    found = _MOMENT.fullmatch(answer.strip())
    if found is None:
        return None
    day, clock, offset = found.groups()
    shift = offset if offset and offset[0] in "+-" else "Z"
    try:
        return windows.instant(f"{day}T{clock}{shift}"), offset is not None
    except ValueError:
        return None


def prose(body: str | None) -> list[str]:
    """The lines of a body that are neither in a code fence nor in a comment."""
    kept: list[str] = []
    fence = ""
    for line in (body or "").splitlines():
        mark = _FENCE.fullmatch(line)
        if fence:
            fence = "" if mark and mark[1].startswith(fence) and not mark[2].strip() else fence
        elif mark and not (mark[1][0] == "`" and "`" in mark[2]):
            fence = mark[1]
        else:
            kept.append(line)
    return _COMMENT.sub("", "\n".join(kept)).split("\n")


def _unquoted(line: str) -> str:
    return line.strip().strip("`").strip()

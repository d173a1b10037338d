"""Statements that a change reverts others, as people, GitHub's Revert button and `git revert` write them.

Only a whole line counts, outside quotations, code and comments: `Reverts #12`, `Reverts owner/name#12 and #13`,
`Reverts https://github.com/owner/name/pull/12`, `This reverts commit <sha>.`
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from dora_metrics.core.facts import ids
from dora_metrics.github.markdown_text import statement_lines

_MAX_LINE_LENGTH = 1000
"""Longer lines state nothing; a stranger could use one to make the patterns slow."""
_MAX_NAMES = 100
"""Of what one text says it reverts; more would make a fact larger than a ledger's file may be."""
_STATEMENT = re.compile(
    r" {0,3}(?:[-*+] {1,3})?(?:This )?reverts:? +(?:commits? |pull requests? |PRs? )?(?P<names>\S.*)", re.IGNORECASE
)
# `git revert` adds this for a merge, on one line or two, and `git revert --reference` for any commit.
_GIT_SUFFIX = re.compile(r",? reversing(?: changes made to \S+)?$| \(.*, \d{4}-\d\d-\d\d\)$", re.ASCII)
_SEPARATOR = re.compile(r"\s*(?:,|&|\s)\s*(?:and\s+)?")
_PULL = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)?#(?P<number>\d{1,18})", re.ASCII)
_ADDRESS = re.compile(
    r"https?://(?:www\.)?(?P<host>[^/?#@]+)/(?P<repository>[\w.-]+/[\w.-]+)/pull/(?P<number>\d{1,18})(?:[/?#].*)?",
    re.ASCII | re.IGNORECASE,
)
_SHA = re.compile(r"[0-9a-f]{7,64}")
_HOST = re.compile(r"https?://(?:www\.)?([^/?#@]+)", re.IGNORECASE)


def stated_reverts(repository: str, message: str | None, url: str | None = None) -> tuple[str, ...]:
    """Return the ids of pull requests and the shas, also short ones, that a body or message says it reverts.

    Args:
        repository: of the change.
        message: its body or commit message.
        url: its own address; pull requests on other hosts are ignored.
    """
    return reverts_in(revert_lines(message), repository, url)


def revert_lines(message: str | None) -> Iterator[str]:
    """Yield the lines in which a body or message states that it reverts something."""
    lines = (line for line in statement_lines(message) if len(line) <= _MAX_LINE_LENGTH)
    return (line for line in lines if _STATEMENT.fullmatch(line))


def reverts_in(lines: Iterable[str], repository: str, url: str | None = None) -> tuple[str, ...]:
    """Return what the result of `revert_lines` names, as `stated_reverts` does."""
    host = _host_of(url)
    return tuple(
        islice(dict.fromkeys(name for line in lines for name in _names_in(line, repository, host)), _MAX_NAMES)
    )


def reverts_field(repository: str, message: str | None, url: str | None = None) -> str | tuple[str, ...] | None:
    """Return the field `reverts` of a change: the ids of pull requests and full shas that a text says it reverts."""
    names = stated_reverts(repository, message, url)
    return as_field([name for name in names if "#" in name or len(name) == ids.SHA_LENGTH])


def as_field(names: list[str]) -> str | tuple[str, ...] | None:
    """Return the field `reverts` of a change: a text for one name, a tuple for several, None for none."""
    return tuple(names) if len(names) > 1 else next(iter(names), None)


def _names_in(line: str, repository: str, host: str) -> Iterator[str]:
    """Yield what a line reverts; nothing unless the whole line is such a statement."""
    match = _STATEMENT.fullmatch(line)
    if match is None:
        return
    names_part = _GIT_SUFFIX.sub("", match["names"].rstrip(" \t.;"))
    names = [_name(part.strip("<>"), repository, host) for part in _SEPARATOR.split(names_part)]
    if None not in names:
        yield from (name for name in names if name)


def _name(text: str, repository: str, host: str) -> str | None:
    """Return the id or sha that a word names; None for any other word."""
    if _SHA.fullmatch(text):
        return text
    address = _ADDRESS.fullmatch(text)
    if address and address["host"].lower() != host:
        return None
    pull = address or _PULL.fullmatch(text)
    if pull is None:
        return None
    named = pull["repository"] or repository
    return ids.pull_request(repository if named.lower() == repository.lower() else named, int(pull["number"]))


def _host_of(url: str | None) -> str:
    match = _HOST.match(url or "")
    return match[1].lower() if match else "github.com"

"""The commits of a git history, read in one go."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from msgspec import Struct

from dora_metrics.errors import GitError
from dora_metrics.github.reverts import revert_lines
from dora_metrics.sources.git.repository import Git

# None of these fields needs a tree or a file, which a partial clone may lack. A commit is seven NUL-terminated fields;
# `rev-list` writes the line `commit <sha>` before the first one.
_LOG_FORMAT = "%P%x00%at%x00%ct%x00%an%x00%ae%x00%ce%x00%B%x00"
_FIELDS_PER_COMMIT = 7
_GITHUB_COMMITTER = "noreply@github.com"

EARLIEST_SECONDS, LATEST_SECONDS = 631_152_000, 7_258_118_400
"""1990 and 2200 in seconds since 1970. Times outside come from a wrong clock or from none."""


class GitCommit(Struct, frozen=True, gc=False):
    """A commit as git has it. Times are in seconds since 1970, None if implausible.

    `is_by_github`: GitHub created the commit, as its merge and revert buttons do. Messages are most of a long history's
    size, so only what is used of them is kept: of a long subject its beginning and end, of the body the title of a pull
    request that GitHub merged, and the lines that state a revert.
    """

    sha: str
    parents: tuple[str, ...]
    authored_at: int | None
    committed_at: int | None
    is_by_bot: bool
    is_by_github: bool
    subject: str
    title_in_body: str = ""
    revert_lines: tuple[str, ...] = ()

    @property
    def is_merge(self) -> bool:
        return len(self.parents) > 1


@dataclass(frozen=True)
class CommitLog:
    """Commits by their sha."""

    commits: dict[str, GitCommit]

    @cached_property
    def _sorted_shas(self) -> list[str]:
        return sorted(self.commits)

    def expand_sha(self, prefix: str) -> str | None:
        """Return the sha that starts with `prefix`, None unless there is exactly one."""
        index = bisect_left(self._sorted_shas, prefix)
        matches = [sha for sha in self._sorted_shas[index : index + 2] if sha.startswith(prefix)]
        return matches[0] if len(matches) == 1 else None


def read_log(git: Git, tips: Iterable[str]) -> CommitLog:
    """Read all commits that are reachable from the tips.

    Raises:
        GitError: if git cannot read them.
    """
    tip_lines = "".join(f"{tip}\n" for tip in sorted(set(tips))).encode()
    if not tip_lines:
        return CommitLog({})
    chunks = git.stream(
        "rev-list", "--encoding=UTF-8", f"--format=tformat:{_LOG_FORMAT}", "--stdin", "--", stdin=tip_lines
    )
    return CommitLog({commit.sha: commit for fields in _commit_fields(chunks) for commit in _parse_commits(fields)})


_MAX_MESSAGE_LENGTH = 100_000
"""What follows in a message is not read. A description on GitHub, which may become a message, has at most 65,536."""
_MAX_FIELD_BYTES = 4 * _MAX_MESSAGE_LENGTH
_MAX_SUBJECT_LENGTH, _SUBJECT_END_LENGTH = 1_000, 100
"""A longer subject loses its middle: titles are shorter, and the number of a pull request is at the end."""
_MAX_REVERTS_LENGTH = 10_000
"""Of all kept lines that state a revert; `git revert` writes 62 for each commit."""


def _commit_fields(chunks: Iterable[bytes]) -> Iterator[list[str]]:
    """Yield lists of fields, each of complete commits, while git is still writing. A very long field is cut."""
    unfinished, fields = bytearray(), list[str]()
    for chunk in chunks:
        end, nul, remainder = chunk.rpartition(b"\0")
        if not nul:
            if len(unfinished) < _MAX_FIELD_BYTES:
                unfinished += chunk
            continue
        fields += (unfinished + end).decode("utf-8", "replace").split("\0")
        unfinished = bytearray(remainder)
        complete_count = len(fields) - len(fields) % _FIELDS_PER_COMMIT
        yield fields[:complete_count]
        del fields[:complete_count]
    if fields or unfinished.strip():
        raise GitError("git's output ends in the middle of a commit; `git fsck` may show why")


def _parse_commits(fields: list[str]) -> Iterator[GitCommit]:
    rows = zip(*(fields[offset::_FIELDS_PER_COMMIT] for offset in range(_FIELDS_PER_COMMIT)), strict=True)
    for head, authored_at, committed_at, name, email, committer, message in rows:
        _, sha, *parents = head.split()
        subject, _, body = message[:_MAX_MESSAGE_LENGTH].lstrip("\n").partition("\n")
        is_by_bot = is_bot(name, email)
        times = _plausible_seconds(authored_at), _plausible_seconds(committed_at)
        is_merged_by_button = subject.startswith("Merge pull request ")
        yield GitCommit(
            sha,
            tuple(parents),
            *times,
            is_by_bot,
            committer == _GITHUB_COMMITTER,
            _shortened(subject.strip()),
            _shortened(_first_text(body)) if is_merged_by_button else "",
            _kept_revert_lines(body) if is_merged_by_button or "everts" in body else (),
        )


def _shortened(line: str) -> str:
    """Return a line without the middle of a very long one."""
    if len(line) <= _MAX_SUBJECT_LENGTH:
        return line
    return line[: _MAX_SUBJECT_LENGTH - _SUBJECT_END_LENGTH] + line[-_SUBJECT_END_LENGTH:]


def _first_text(body: str) -> str:
    return next((line for line in map(str.strip, body.split("\n")) if line), "")


def _kept_revert_lines(body: str) -> tuple[str, ...]:
    """Return the first lines of a body that state a revert, at most `_MAX_REVERTS_LENGTH` characters of them."""
    lines = list(revert_lines(body))
    lengths = accumulate(map(len, lines))
    return tuple(line for line, length in zip(lines, lengths, strict=True) if length <= _MAX_REVERTS_LENGTH)


_MAX_SECONDS_DIGITS = 20
"""Of a time; Python reads no number of more than 4,300 digits."""
_BOT_NAME = r"(?:[\w-]+[- ])?(?:renovate|dependabot|github[- ]actions?|semantic[- ]release|snyk|release[- ]please)"
_BOT = re.compile(rf".*\[bot\]|.*-bot|.*\(bot\)|{_BOT_NAME}(?:[- ]?bot|[- ]preview)?", re.ASCII | re.IGNORECASE)
_BOT_DOMAINS = ("renovateapp.com", "dependabot.com")


def is_bot(name: str, email: str) -> bool:
    """Return whether an author is a program, by name or address.

    These are names that end in `[bot]` or `-bot`, and Renovate, Dependabot, GitHub Actions, semantic-release, Snyk and
    release-please by the names that they use. The local part of an address may be such a name, after GitHub's number.
    """
    local_part, _, domain = email.rpartition("@")
    return bool(
        _BOT.fullmatch(name.strip())
        or _BOT.fullmatch(local_part.rpartition("+")[2] or local_part)
        or domain.lower() in _BOT_DOMAINS
    )


def parse_seconds(text: str) -> int | None:
    """Return the number of seconds that git writes as a time; None if the text is none."""
    return int(text) if text.isdecimal() and len(text) <= _MAX_SECONDS_DIGITS else None


def _plausible_seconds(text: str) -> int | None:
    seconds = parse_seconds(text) or 0
    return seconds if EARLIEST_SECONDS <= seconds < LATEST_SECONDS else None

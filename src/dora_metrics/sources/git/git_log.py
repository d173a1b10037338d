"""The commits behind some tips, read in one go while git is still walking."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from msgspec import Struct

from dora_metrics.errors import GitError
from dora_metrics.sources.git.repository import Git

# Nothing of it needs a tree or a file, which a partial clone lacks. git ends each field of a text at a NUL, so that
# seven of them make a commit; `rev-list` writes the line `commit <sha>` before it.
_FORMAT = "%P%x00%at%x00%ct%x00%an%x00%ae%x00%ce%x00%B%x00"
_FIELDS = 7
_GITHUB = "noreply@github.com"

EARLIEST, LATEST = 631_152_000, 7_258_118_400
"""Times before 1990 or after 2199 are those of a wrong clock, or of none: no program of today is older."""


class Commit(Struct, frozen=True, gc=False):
    """What a commit says of itself; times in seconds since 1970, None where they cannot be.

    `by_github`: GitHub made the commit, as it does when somebody presses one of its buttons. `body` is empty where
    nothing can be read from it, for the texts of a long history are most of it.
    """

    sha: str
    parents: tuple[str, ...]
    authored_at: int | None
    committed_at: int | None
    bot: bool
    by_github: bool
    subject: str
    body: str


@dataclass(frozen=True)
class Log:
    """Commits by their sha."""

    commits: dict[str, Commit]

    @cached_property
    def _shas(self) -> list[str]:
        return sorted(self.commits)

    def full(self, beginning: str) -> str | None:
        """The only sha that begins so."""
        place = bisect_left(self._shas, beginning)
        found = [sha for sha in self._shas[place : place + 2] if sha.startswith(beginning)]
        return found[0] if len(found) == 1 else None


def log(git: Git, tips: Iterable[str]) -> Log:
    """Everything that the tips reach.

    Raises:
        GitError: if git cannot read it.
    """
    given = "".join(f"{tip}\n" for tip in sorted(set(tips))).encode()
    if not given:
        return Log({})
    pieces = git.stream("rev-list", "--encoding=UTF-8", f"--format=tformat:{_FORMAT}", "--stdin", "--", given=given)
    return Log({commit.sha: commit for fields in _fields(pieces) for commit in _commits(fields)})


def _fields(pieces: Iterable[bytes]) -> Iterator[list[str]]:
    """The fields of whole commits at a time."""
    begun, fields = [b""], list[str]()
    for piece in pieces:
        end, nul, beginning = piece.rpartition(b"\0")
        if not nul:
            begun.append(piece)
            continue
        fields += b"".join((*begun, end)).decode("utf-8", "replace").split("\0")
        begun = [beginning]
        ready = len(fields) - len(fields) % _FIELDS
        yield fields[:ready]
        del fields[:ready]
    if fields or b"".join(begun).strip():
        raise GitError("git's answer ends in the middle of a commit; `git fsck` may say why")


def _commits(fields: list[str]) -> Iterator[Commit]:
    rows = zip(*(fields[place::_FIELDS] for place in range(_FIELDS)), strict=True)
    for head, authored_at, committed_at, name, email, committer, message in rows:
        _, sha, *parents = head.split()
        subject, _, body = message.lstrip("\n").partition("\n")
        bot = name.endswith("[bot]") or "[bot]@users.noreply." in email
        times = _time(authored_at), _time(committed_at)
        kept = body if "everts" in body or subject.startswith("Merge pull request ") else ""
        yield Commit(sha, tuple(parents), *times, bot, committer == _GITHUB, subject.strip(), kept)


def _time(seconds: str) -> int | None:
    at = int(seconds) if seconds.isdecimal() else 0
    return at if EARLIEST <= at < LATEST else None

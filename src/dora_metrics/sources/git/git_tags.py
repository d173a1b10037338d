"""Tags: which there are, which are prereleases, which only raise a patch number, and their order."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from dora_metrics.sources.git.repository import Git

# %(object) and %(type) are what a tag says of its target, so that no target is read: a partial clone may lack it.
_FORMAT = "%(objectname)%00%(objecttype)%00%(object)%00%(type)%00%(taggerdate:unix)%00%(refname)"


@dataclass(frozen=True)
class Tag:
    """A name for a commit; `tagged_at` in seconds since 1970, None where the tag itself has no time."""

    name: str
    commit: str
    tagged_at: int | None


@dataclass(frozen=True)
class Tags:
    """All tags on commits, and the names of those on something else."""

    tags: list[Tag]
    elsewhere: list[str]

    def fitting(self, pattern: str | None) -> list[Tag]:
        """Those that a pattern fits, as in `git tag --list PATTERN`: its `*` also stands for a slash."""
        return [tag for tag in self.tags if pattern is None or fnmatchcase(tag.name, pattern)]


def tags(git: Git) -> Tags:
    """Every tag of a repository, by name.

    Raises:
        GitError: if git cannot read them.
    """
    text = git.read("for-each-ref", f"--format={_FORMAT}", "--", "refs/tags/").decode("utf-8", "backslashreplace")
    rows = [line.split("\0") for line in text.split("\n")[:-1]]
    bottoms = _bottoms(git, [target for _, _, target, kind, _, _ in rows if kind == "tag"])
    found = Tags([], [])
    for oid, kind, target, target_kind, at, ref in rows:
        name = ref.removeprefix("refs/tags/")
        bottom = {"commit": target, "tag": bottoms.get(target, "")}.get(target_kind, "") if kind == "tag" else oid
        if bottom and kind in ("commit", "tag"):
            found.tags.append(Tag(name, bottom, int(at) if at.isdecimal() else None))
        else:
            found.elsewhere.append(name)
    return found


def _bottoms(git: Git, nested: list[str]) -> dict[str, str]:
    """The commits under tags of tags; no entry for what is no commit, or not there."""
    if not nested:
        return {}
    asked = "".join(f"{oid}^{{}}\n" for oid in nested).encode()
    answers = git.read("cat-file", "--batch-check=%(objectname) %(objecttype)", given=asked).decode().splitlines()
    pairs = (answer.rpartition(" ") for answer in answers)
    return {oid: bottom for oid, (bottom, _, kind) in zip(nested, pairs, strict=True) if kind == "commit"}


_BEFORE = r"(?:.*?[^0-9.])??"  # as little as can be: `1.2.0-0.3.7` is a prerelease of 1.2.0
_NUMBER = r"(?:0|[1-9]\d{0,17})"
_SEMVER = re.compile(
    rf"(?P<before>{_BEFORE})(?P<major>{_NUMBER})\.(?P<minor>{_NUMBER})\.(?P<patch>{_NUMBER})"
    r"(?P<prerelease>-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z.-]+)?",
    re.ASCII,
)
"""https://semver.org, with anything before it: `v1.2.0-rc.1`, `api/v1.2.0`."""

_WORDS = "alpha|beta|rc|pre|preview|prerelease|dev|snapshot|nightly|canary|milestone"
_SPOKEN = re.compile(
    rf"{_BEFORE}\d+(?:\.\d+)*(?:[-_.]?(?:{_WORDS})(?![a-z]).*|[-.]m\d+)|{_BEFORE}\d+(?:\.\d+)+[ab]\d+",
    re.ASCII | re.IGNORECASE,
)
"""What other schemes call a prerelease: `v6.1-rc3`, `5.0a1`, `1.2.0.beta1`."""

_FIRST_YEAR = 1900


def is_prerelease(name: str) -> bool:
    """Whether a name says that it is no release yet. In a date, as `2026.11.21-2` is one, only words say so."""
    found = _SEMVER.fullmatch(name)
    by_semver = bool(found and found["prerelease"] and int(found["major"]) < _FIRST_YEAR)
    return by_semver or _SPOKEN.fullmatch(name) is not None


def is_patch_of(name: str, before: str) -> bool:
    """Whether a name only raises the patch number of the one before it. A date does not: the day after is no patch."""
    new, old = _SEMVER.fullmatch(name), _SEMVER.fullmatch(before)
    if not new or not old or new["prerelease"] or old["prerelease"] or int(new["major"]) >= _FIRST_YEAR:
        return False
    same = all(new[part] == old[part] for part in ("major", "minor"))
    return same and _bare(new) == _bare(old) and int(new["patch"]) > int(old["patch"])


def _bare(found: re.Match[str]) -> str:
    return found["before"].removesuffix("v")


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts names as people do: v1.9.0 before v1.10.0."""
    return tuple(_natural(name))


def _natural(name: str) -> Iterator[tuple[int, int, str]]:
    for part in re.findall(r"\d{1,18}|\D+", name, re.ASCII):
        yield (0, int(part), "") if part[0] in "0123456789" else (1, 0, part)


def some(names: Iterable[str], most: int = 5) -> str:
    """The last few names, for a note."""
    found = sorted(names, key=natural, reverse=True)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")

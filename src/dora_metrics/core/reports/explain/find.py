"""What a name means: a fact's id, a version or tag, `#12`, a commit sha or its beginning."""

import difflib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dora_metrics.core.facts.model import Change, Deployment, Fact
from dora_metrics.core.failures.incidents import bare

_SHORTEST_SHA = 4
_NUMBERED = re.compile(r"github:(?:pull|issue|dependabot|code-scanning|secret-scanning):.*(#\d+)", re.DOTALL)
_MOST = 5
_ALIKE = 0.4


@dataclass(frozen=True)
class Found:
    """The ids that a name means."""

    ids: tuple[str, ...]


@dataclass(frozen=True)
class NotFound:
    """Why it means nothing, and names that are near to it."""

    why: str
    near: tuple[str, ...]


def find(name: str, facts: Iterable[Fact]) -> Found | NotFound:
    """The facts that a name means: by id, else by version, tag or number, else by sha.

    An id that a deployment lists counts also where no fact of it is known. The beginning of a sha has to have four
    characters, and to be that of one commit only. Invisible characters do not count: a summary is full of them.
    """
    known = list(facts)
    wanted = bare("".join(letter for letter in name if unicodedata.category(letter) != "Cf"))
    ids = _ids(known)
    if name in ids or wanted in ids:
        return Found((name if name in ids else wanted,))
    names, shas = _names(known, ids), _shas(known, ids)
    if wanted in names:
        return Found(tuple(names[wanted]))
    if re.fullmatch(rf"[0-9a-fA-F]{{{_SHORTEST_SHA},40}}", wanted):
        fitting = [sha for sha in shas if sha.startswith(wanted.lower())]
        if len(fitting) == 1:
            return Found(tuple(shas[fitting[0]]))
        if fitting:
            return NotFound(f"{name!r} is the beginning of {len(fitting)} commits", tuple(sorted(fitting)[:_MOST]))
    return NotFound(f"there is nothing called {name!r}", _near(wanted, [*ids, *names, *shas]))


def _ids(facts: Iterable[Fact]) -> dict[str, None]:
    """In order, each once: facts, and what deployments list."""
    found: dict[str, None] = {}
    for fact in facts:
        found[fact.id] = None
        if isinstance(fact, Deployment):
            found.update(dict.fromkeys(fact.changes or ()))
    return found


def _names(facts: Iterable[Fact], ids: Iterable[str]) -> Mapping[str, list[str]]:
    """Versions and tags of deployments, and numbers of pull requests and issues."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for fact in facts:
        if isinstance(fact, Deployment):
            for name in {bare(text) for text in (fact.version, fact.ref) if text}:
                found[name].append(fact.id)
    for identity in ids:
        if number := re.fullmatch(
            r"github:(?:pull|issue|dependabot|code-scanning|secret-scanning):.*(#\d+)", identity, re.DOTALL
        ):
            found[number[1]].append(identity)
    return found


def _shas(facts: Iterable[Fact], ids: Iterable[str]) -> Mapping[str, list[str]]:
    """By sha the deployments of it and the changes with it, each once."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for fact in facts:
        for sha in dict.fromkeys(_own_shas(fact)):
            found[sha].append(fact.id)
    for identity in ids:
        sha = identity.removeprefix("commit:")
        if re.fullmatch(r"[0-9a-f]{40}", sha) and identity not in found[sha]:
            found[sha].append(identity)
    return found


def _own_shas(fact: Fact) -> Iterator[str]:
    match fact:
        case Deployment(sha=str(sha)):
            yield sha
        case Change():
            yield from (sha for sha in (fact.sha, *(commit.sha for commit in fact.commits or ())) if sha)


def _near(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Names that hold this one, then those that are spelt alike."""
    candidates = list(dict.fromkeys(known))
    holding = [one for one in candidates if name and name.casefold() in one.casefold()]
    alike = difflib.get_close_matches(name, candidates, _MOST, _ALIKE)
    return tuple(dict.fromkeys((*holding, *alike)))[:_MOST]

"""Finds facts by name: an id, a version or tag, `#12`, a commit sha or its first digits."""

import difflib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from dora_metrics.core.facts.ids import without_commit_prefix
from dora_metrics.core.facts.model import Change, Deployment, Fact
from dora_metrics.core.failures.pasted_names import normalise_name

_MIN_SHA_DIGITS = 4
_MAX_SUGGESTIONS = 5
_MIN_SIMILARITY_RATIO = 0.4


@dataclass(frozen=True)
class MatchedIds:
    """The ids of the facts that a name matches."""

    ids: tuple[str, ...]


@dataclass(frozen=True)
class NoMatch:
    """Why a name matches nothing, and similar names."""

    reason: str
    similar_names: tuple[str, ...]


def find_ids(name: str, facts: Iterable[Fact]) -> MatchedIds | NoMatch:
    """Return the facts that a name matches: by id, else by version, tag or number, else by sha.

    The id of a change that a deployment lists matches even without a fact. A prefix of a sha needs at least four digits
    and must match one commit only. Invisible characters are ignored, since names copied from a summary contain them.
    """
    all_facts = list(facts)
    query = normalise_name("".join(character for character in name if unicodedata.category(character) != "Cf"))
    ids = _all_ids(all_facts)
    if name in ids or query in ids:
        return MatchedIds((name if name in ids else query,))
    ids_by_name, ids_by_sha = _ids_by_name(all_facts, ids), _ids_by_sha(all_facts, ids)
    if query in ids_by_name:
        return MatchedIds(tuple(ids_by_name[query]))
    if re.fullmatch(rf"[0-9a-fA-F]{{{_MIN_SHA_DIGITS},40}}", query):
        matching_shas = [sha for sha in ids_by_sha if sha.startswith(query.lower())]
        if len(matching_shas) == 1:
            return MatchedIds(tuple(ids_by_sha[matching_shas[0]]))
        if matching_shas:
            return NoMatch(
                f"{name!r} is the beginning of {len(matching_shas)} commits",
                tuple(sorted(matching_shas)[:_MAX_SUGGESTIONS]),
            )
    return NoMatch(
        f"no deployment, change or incident is named {name!r}",
        _similar_names(query, [*ids_by_name, *_ids_without_name(ids, ids_by_name), *ids_by_sha]),
    )


def _all_ids(facts: Iterable[Fact]) -> dict[str, None]:
    """Return the ids of facts and of the changes that deployments list, in order, each once."""
    ids: dict[str, None] = {}
    for fact in facts:
        ids[fact.id] = None
        if isinstance(fact, Deployment):
            ids.update(dict.fromkeys(fact.changes or ()))
    return ids


def _ids_by_name(facts: Iterable[Fact], ids: Iterable[str]) -> Mapping[str, list[str]]:
    """Return ids by version and tag (deployments) and by number (pull requests, issues, alerts)."""
    ids_by_name: defaultdict[str, list[str]] = defaultdict(list)
    for fact in facts:
        if isinstance(fact, Deployment):
            for name in {normalise_name(text) for text in (fact.version, fact.ref) if text}:
                ids_by_name[name].append(fact.id)
    for fact_id in ids:
        if number_match := re.fullmatch(
            r"github:(?:pull|issue|dependabot|code-scanning|secret-scanning):.*(#\d+)", fact_id, re.DOTALL
        ):
            ids_by_name[number_match[1]].append(fact_id)
    return ids_by_name


def _ids_by_sha(facts: Iterable[Fact], ids: Iterable[str]) -> Mapping[str, list[str]]:
    """Return ids by sha: the deployments of that commit and the changes that contain it, each once."""
    ids_by_sha: defaultdict[str, list[str]] = defaultdict(list)
    for fact in facts:
        for sha in dict.fromkeys(_shas_of(fact)):
            ids_by_sha[sha].append(fact.id)
    for fact_id in ids:
        sha = without_commit_prefix(fact_id)
        if re.fullmatch(r"[0-9a-f]{40}", sha) and fact_id not in ids_by_sha[sha]:
            ids_by_sha[sha].append(fact_id)
    return ids_by_sha


def _shas_of(fact: Fact) -> Iterator[str]:
    match fact:
        case Deployment(sha=str(sha)):
            yield sha
        case Change():
            yield from (sha for sha in (fact.sha, *(commit.sha for commit in fact.commits or ())) if sha)


def _ids_without_name(ids: Iterable[str], names: Container[str]) -> list[str]:
    """Return the ids that do not end with a name, such as `git:tag:v1` with `v1`: a suggestion of both says nothing."""
    return [fact_id for fact_id in ids if fact_id.rpartition(":")[2] not in names]


def _similar_names(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names that contain this one, then those with similar spelling."""
    candidates = list(dict.fromkeys(names))
    containing = [candidate for candidate in candidates if name and name.casefold() in candidate.casefold()]
    similar = difflib.get_close_matches(name, candidates, _MAX_SUGGESTIONS, _MIN_SIMILARITY_RATIO)
    return tuple(dict.fromkeys((*containing, *similar)))[:_MAX_SUGGESTIONS]

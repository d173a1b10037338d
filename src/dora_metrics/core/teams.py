"""The setting `teams`: which team a scope belongs to, by patterns of repositories and services.

A team is a label of scopes. Nothing here knows people, so no number is ever one of a person.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from msgspec import Struct

from dora_metrics.core import windows
from dora_metrics.core.scope import Scope
from dora_metrics.core.wildcards import matches

MAX_NAME_CHARACTERS = 80
"""Of a team. It is a label in Prometheus and a heading in tables."""

_MAX_PATTERN_CHARACTERS = 300
_REPOSITORY_PATTERN = re.compile(r"[A-Za-z0-9*-]+/[A-Za-z0-9._*-]+")
_ADVICE = "write owner/name, owner/name:service, or the name of a service; * is any text"
_MAX_SHOWN_CHARACTERS = 60


class _ScopePattern(NamedTuple):
    """A pattern of each name, casefolded; `*` where any will do."""

    repository: str
    service: str

    @classmethod
    def of(cls, pattern: str) -> "_ScopePattern":
        """Read a valid pattern: a repository, a service of it, or without `/` a service of any repository."""
        folded = pattern.casefold()
        if "/" not in folded:
            return cls("*", folded)
        repository, _, service = folded.partition(":")
        return cls(repository, service or "*")

    def fits(self, repository: str, service: str) -> bool:
        """Whether the casefolded names match."""
        return matches(self.repository, repository) and matches(self.service, service)


class Teams(Struct, frozen=True, dict=True):
    """The patterns of each team, in the order of the file, in which the first team that matches a scope has it."""

    patterns_by_team: Mapping[str, tuple[str, ...]]

    @classmethod
    def parse(cls, value: object) -> "Teams":
        """Parse the setting.

        Raises:
            ValueError: if it is invalid, with each problem as an argument.
        """
        return cls(parse_teams(value))

    @property
    def names(self) -> tuple[str, ...]:
        """The teams in the order of the file."""
        return tuple(self.patterns_by_team)

    def team_of(self, scope: Scope) -> str | None:
        """Return the first team with a pattern that matches the scope, in any case; None if there is none."""
        if scope not in self._team_by_scope:
            self._team_by_scope[scope] = self._first_fitting(scope.repository.casefold(), scope.service.casefold())
        return self._team_by_scope[scope]

    def _first_fitting(self, repository: str, service: str) -> str | None:
        return next((team for team, pattern in self._patterns if pattern.fits(repository, service)), None)

    @cached_property
    def _patterns(self) -> list[tuple[str, _ScopePattern]]:
        teams = self.patterns_by_team.items()
        return [(team, _ScopePattern.of(pattern)) for team, patterns in teams for pattern in patterns]

    @cached_property
    def _team_by_scope(self) -> dict[Scope, str | None]:
        """What `team_of` has returned: each scope has many series, rows and cells."""
        return {}


def parse_teams(value: object) -> dict[str, tuple[str, ...]]:
    """Parse the setting `teams` into the patterns of each team.

    Raises:
        ValueError: if it is invalid, with each problem as an argument.
    """
    if not isinstance(value, Mapping):
        message = f"{value!r} is not a mapping; write names of teams with patterns, such as `payments: acme/pay-*`"
        raise ValueError(message)  # noqa: TRY004 - pydantic wants it
    teams: dict[str, tuple[str, ...]] = {}
    problems: list[str] = []
    for name, patterns in value.items():
        try:
            teams[_team_name(name)] = _parse_patterns(patterns)
        except ValueError as error:
            problems += [f"{str(name)[:_MAX_SHOWN_CHARACTERS]}: {problem}" for problem in error.args]
    if problems := [*problems, *_similar_names(teams), *_repeated_patterns(teams)]:
        raise ValueError(*problems)
    return teams


def _team_name(name: object) -> str:
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise ValueError("the name is not a string in YAML; put it in quotes")  # noqa: TRY004 - pydantic wants it
    text = str(name)
    if not text or len(text) > MAX_NAME_CHARACTERS or not text.isprintable() or text != " ".join(text.split()):
        raise ValueError(
            f"the name of a team has 1 to {MAX_NAME_CHARACTERS} printable characters, and no spaces but single ones "
            "between words"
        )
    return text


def _parse_patterns(value: object) -> tuple[str, ...]:
    patterns = windows.parse_list([] if value is None else value)
    problems = [problem for pattern in patterns for problem in _pattern_problems(pattern)]
    if isinstance(value, list) and len(patterns) < len(value):
        problems.append("a pattern is empty; leave it out")
    elif not patterns:
        problems.append("it has no patterns; write one such as acme/pay-*")
    if problems:
        raise ValueError(*problems)
    return tuple(patterns)


def _pattern_problems(pattern: str) -> Iterator[str]:
    """Yield the problem of a pattern that could match no scope, or another one than it seems to."""
    shown = repr(pattern[:_MAX_SHOWN_CHARACTERS])
    if len(pattern) > _MAX_PATTERN_CHARACTERS:
        yield f"{shown}… is longer than {_MAX_PATTERN_CHARACTERS} characters"
    elif pattern.startswith("!"):
        yield f"{shown} cannot exclude: the first team that matches has the scope, so put the exception before it"
    elif not _is_pattern(pattern):
        yield f"{shown} is not a pattern; {_ADVICE}"


def _is_pattern(text: str) -> bool:
    repository, colon, service = text.partition(":")
    names_repository = "/" in text or bool(colon)
    return (
        text.isprintable()
        and (not names_repository or _REPOSITORY_PATTERN.fullmatch(repository) is not None)
        and (not colon or bool(service.strip()))
    )


def _similar_names(teams: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield the teams whose names differ only in upper and lower case, so that readers would confuse them."""
    first_by_name: dict[str, str] = {}
    for team in teams:
        first = first_by_name.setdefault(team.casefold(), team)
        if first != team:
            yield f"{first} and {team} differ only in upper and lower case; write one team"


def _repeated_patterns(teams: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield the patterns that a second team has: it would never get a scope by them."""
    first_by_pattern: dict[_ScopePattern, str] = {}
    for team, patterns in teams.items():
        for pattern in patterns:
            first = first_by_pattern.setdefault(_ScopePattern.of(pattern), team)
            if first != team:
                yield f"{pattern} is in {first} and in {team}; the first one always wins, so keep it in one"

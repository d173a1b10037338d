"""Map files of a monorepo to services, by glob patterns like those of a workflow's `paths:` filter."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from dora_metrics.core import windows

_MAX_NAME_CHARACTERS = 255
"""Of a file or folder; file systems allow no more."""

_WILDCARD = re.compile(r"[*?[]")
_TOKEN = re.compile(
    r"(?P<folders>(?<![^/])\*\*/)|(?P<deep>\*\*)|(?P<star>\*)|(?P<any>\?)"
    r"|\[(?P<negated>[!^]?)(?P<set>[^/]+?)\]|(?P<plain>.)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Globs:
    """The valid patterns of one service. The last one that matches a path decides; `!` excludes."""

    patterns: tuple[str, ...]

    def match(self, path: str) -> bool:
        """Whether a path belongs to the service."""
        return next((includes for includes, regex in self._compiled_last_first if regex.fullmatch(path)), False)

    @cached_property
    def _compiled_last_first(self) -> list[tuple[bool, re.Pattern[str]]]:
        return [
            (not pattern.startswith("!"), compile_pattern(pattern.removeprefix("!")))
            for pattern in reversed(self.patterns)
        ]

    @cached_property
    def fixed_prefixes(self) -> frozenset[str]:
        """Folders that contain all matches: the fixed prefix of each pattern, unless it is below another one.

        An empty prefix is the whole repository.
        """
        prefixes = {fixed_prefix(pattern) for pattern in self.patterns if not pattern.startswith("!")}
        return frozenset(prefix for prefix in prefixes if not any(_is_below(prefix, other) for other in prefixes))


@dataclass(frozen=True)
class Services:
    """The services of a monorepo by name. Empty, and false, for other repositories."""

    globs: Mapping[str, Globs] = field(default_factory=dict)

    @classmethod
    def from_patterns(cls, patterns: Mapping[str, tuple[str, ...]]) -> "Services":
        """Return the services with these patterns, which must be valid."""
        return cls({name: Globs(globs) for name, globs in patterns.items()})

    def __contains__(self, name: str) -> bool:
        return name in self.globs

    def __bool__(self) -> bool:
        return bool(self.globs)

    def touched_by(self, paths: Iterable[str]) -> frozenset[str]:
        """Return the services that a change of these files belongs to."""
        files = tuple(paths)
        return frozenset(name for name, globs in self.globs.items() if any(map(globs.match, files)))

    def touched_by_folders(self, is_touched: Callable[[str], bool]) -> frozenset[str]:
        """Return the services that a change belongs to if its files are not known.

        Args:
            is_touched: whether the change touches anything below one of the `fixed_prefixes`.
        """
        return frozenset(
            name
            for name, globs in self.globs.items()
            if any(not prefix or is_touched(prefix) for prefix in globs.fixed_prefixes)
        )

    @cached_property
    def fixed_prefixes(self) -> tuple[str, ...]:
        """The folders that `touched_by_folders` asks for."""
        return tuple(sorted({prefix for globs in self.globs.values() for prefix in globs.fixed_prefixes if prefix}))


def only_service(services: Collection[str]) -> str | None:
    """Return the service of a change: the only one that it touches; None if there are several, or none."""
    return next(iter(services)) if len(services) == 1 else None


def fixed_prefix(pattern: str) -> str:
    """Return the folder before a pattern's first wildcard. Return the path itself if it has none."""
    wildcard = _WILDCARD.search(pattern)
    return pattern[: wildcard.start()].rpartition("/")[0] if wildcard else pattern.rstrip("/")


def _is_below(path: str, folder: str) -> bool:
    return path != folder and (not folder or path.startswith(f"{folder}/"))


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern without its `!` to a regular expression for whole paths.

    Paths are untrusted, so the expression must not backtrack exponentially. The text between two `**`, or between two
    `*` of a folder, is an atomic group (`(?>…)`) that matches at its first occurrence; the wildcard after it matches
    the rest.
    """
    full_pattern = f"{pattern}**" if pattern.endswith("/") else pattern
    *segments, last_segment = _split_at_globstars(full_pattern)
    descendants = "" if _WILDCARD.search(full_pattern.rpartition("/")[2]) else "(?:/.*)?"
    atomic_start = "".join(f"(?>{_join_at_stars(segment)})" for segment in segments)
    return re.compile(f"{atomic_start}{_join_at_stars(last_segment[:-1])}{last_segment[-1]}{descendants}", re.DOTALL)


def _join_at_stars(pieces: list[str]) -> str:
    """Join the pieces of a segment. Each piece after the first begins with the regular expression of a `*`."""
    return "".join(pieces[:1]) + "".join(f"(?>{piece})" for piece in pieces[1:])


def _split_at_globstars(pattern: str) -> list[list[str]]:
    """Split a pattern before each `**` into segments, and each segment before each `*` into pieces."""
    segments = [[""]]
    for token in _TOKEN.finditer(pattern):
        match token.lastgroup:
            case "folders":
                segments.append(["(?:.*?/)??"])
            case "deep":
                segments.append([".*?"])
            case "star":
                segments[-1].append("[^/]*?")
            case _:
                segments[-1][-1] += _character_regex(token)
    return segments


def _character_regex(token: re.Match[str]) -> str:
    """Return the regular expression of a token that matches one character."""
    if token["any"]:
        return "[^/]"
    if token["plain"]:
        return re.escape(token["plain"])
    ranges = re.findall(r"(.)-(.)|(.)", token["set"], re.DOTALL)
    items = "".join(
        re.escape(single) if single else f"{re.escape(low)}-{re.escape(high)}" for low, high, single in ranges
    )
    return f"(?!/)[{'^' if token['negated'] else ''}{items}]"


def parse_services(value: object) -> dict[str, tuple[str, ...]]:
    """Parse the setting `services` into the patterns of each service.

    Raises:
        ValueError: if it is invalid, with each problem as an argument.
    """
    if not isinstance(value, Mapping):
        message = f"{value!r} is not a mapping; write names of services with their paths, such as `web: web/**`"
        raise ValueError(message)  # noqa: TRY004 - pydantic wants it
    services: dict[str, tuple[str, ...]] = {}
    problems: list[str] = []
    for name, patterns in value.items():
        try:
            services[_service_name(name)] = _parse_patterns(patterns)
        except ValueError as error:
            problems += [f"{name}: {problem}" if str(name).strip() else problem for problem in error.args]
    if problems:
        raise ValueError(*problems)
    return services


def _service_name(name: object) -> str:
    if isinstance(name, bool) or not isinstance(name, str | int | float):
        raise ValueError("the name is not a string in YAML; put it in quotes")  # noqa: TRY004 - pydantic wants it
    if not str(name).strip():
        raise ValueError("a service has no name; write one such as `web: web/**`")
    return str(name)


def _parse_patterns(value: object) -> tuple[str, ...]:
    patterns = windows.parse_list([] if value is None else value)
    problems = [problem for pattern in patterns for problem in _pattern_problems(pattern)]
    if isinstance(value, list) and len(patterns) < len(value):
        problems.append("a pattern is empty; leave it out")
    elif not patterns:
        problems.append("it has no paths; write one such as web/**")
    elif all(pattern.startswith("!") for pattern in patterns):
        problems.append("it only excludes paths; also write one without `!`, before the others")
    if problems:
        raise ValueError(*problems)
    return tuple(patterns)


def _pattern_problems(pattern: str) -> Iterator[str]:
    """Yield the problems of a pattern that could never match a path as git lists it."""
    path = pattern.removeprefix("!")
    if not path:
        yield f"{pattern!r} is empty; name what it excludes"
    if path.startswith("/"):
        yield f"{pattern!r} begins with /; paths begin at the repository's root, without it"
    if "\\" in path:
        yield f"{pattern!r} has a backslash; write / between folders"
    folders = path.lstrip("/").removesuffix("/")
    if folders and not {"", ".", ".."}.isdisjoint(folders.split("/")):
        yield f"{pattern!r} contains '..', '.' or an empty folder name; write the path as git lists it"
    if any(len(name) > _MAX_NAME_CHARACTERS for name in folders.split("/")):
        yield f"{pattern[:20]!r}… has a name of more than {_MAX_NAME_CHARACTERS} characters; no file has one"
        return  # each `[` is searched to the end of its name
    try:
        compile_pattern(path)
    except re.error:
        yield f"{pattern!r} has a range that ends before it begins"

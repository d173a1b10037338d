"""The setting `gitops`: what an object in a cluster deploys, to which environment, and where the commit is."""

import re
from collections.abc import Mapping
from typing import Literal, get_args

import msgspec
from msgspec import Struct

from dora_metrics.core.scope import is_repository_name
from dora_metrics.core.wildcards import matches

SKIP = "skip"
"""The value of an object whose rollouts are no deployments."""

CommitPlace = Literal["revision", "image-tag", "annotation"]

DEFAULT_TAGS = ("sha-{sha}", "{sha}")
DEFAULT_ANNOTATIONS = ("org.opencontainers.image.revision", "commit")
"""`commit` is the name that Flux has for it in the metadata of events."""

_SHA_DIGITS = r"(?P<sha>[0-9a-f]{7,40})"
_OBJECT = re.compile(r"\*|[a-z0-9.*-]+/[a-z0-9.*-]+")
_MAX_TEXT_LENGTH = 200


class GitOpsTarget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one object in a cluster deploys.

    Attributes:
        service: the service; by default the name of the object.
        environment: the environment; by default the one that the tool names, or else production.
        repository: the repository that its deployments belong to; by default the one that the revision is of.
        commit: where the deployed commit is. None: in the revision, if that is of the repository.
        image: the name of the image with the tag, with `*` for any text.
        tag: the form of the tag, with `{sha}` for the commit and `*` for any text.
        annotation: the annotation with the commit.
    """

    service: str | None = None
    environment: str | None = None
    repository: str | None = None
    commit: CommitPlace | None = None
    image: str | None = None
    tag: str | None = None
    annotation: str | None = None


class GitOpsTargets(Struct, frozen=True):
    """The setting: by pattern of `namespace/name`, what objects deploy; None if that is to be skipped."""

    by_pattern: Mapping[str, GitOpsTarget | None] = {}

    @classmethod
    def parse(cls, value: Mapping[str, object]) -> "GitOpsTargets":
        """Parse the setting.

        Raises:
            ValueError: if it is invalid, with each problem as an argument.
        """
        targets: dict[str, GitOpsTarget | None] = {}
        problems: list[str] = []
        for pattern, fields in value.items():
            try:
                targets[_object_pattern(pattern)] = _parse_target(fields)
            except ValueError as error:
                problems += [f"{pattern}: {problem}" for problem in error.args]
        if problems:
            raise ValueError(*problems)
        return cls(targets)

    def target_of(self, path: str) -> GitOpsTarget | None:
        """Return what the object at `namespace/name` deploys; None if it is to be skipped.

        Of several patterns the most exact one counts: that with the most characters besides `*`.
        """
        fitting = [pattern for pattern in self.by_pattern if matches(pattern, path)]
        if not fitting:
            return GitOpsTarget()
        return self.by_pattern[max(fitting, key=lambda pattern: (len(pattern.replace("*", "")), pattern))]


def tag_regex(tag: str) -> re.Pattern[str]:
    """Return the expression of a tag with `{sha}` in it. It has at most two `*`, so it cannot take long."""
    before, _, after = tag.partition("{sha}")
    before_regex, after_regex = (".*?".join(map(re.escape, part.split("*"))) for part in (before, after))
    return re.compile(f"{before_regex}{_SHA_DIGITS}{after_regex}")


def _object_pattern(pattern: object) -> str:
    if not isinstance(pattern, str) or not _OBJECT.fullmatch(pattern):
        raise ValueError("not an object in a cluster; write namespace/name, where * is any text")
    return pattern


def _parse_target(value: object) -> GitOpsTarget | None:
    if value == SKIP:
        return None
    if not isinstance(value, Mapping):
        message = f"{value!r} is neither `skip` nor fields such as {{service: shop, environment: production}}"
        raise ValueError(message)  # noqa: TRY004 - pydantic wants it
    fields = {name: text.strip() if isinstance(text, str) else text for name, text in value.items()}
    if problems := [*_unknown_fields(fields), *_wrong_values(fields)]:
        raise ValueError(*problems)
    target = msgspec.convert(fields, GitOpsTarget)
    if problems := _contradictions(target):
        raise ValueError(*problems)
    return target


def _unknown_fields(fields: Mapping[object, object]) -> list[str]:
    names = GitOpsTarget.__struct_fields__
    return [f"{name}: unknown; the fields are {', '.join(names)}" for name in fields if name not in names]


def _wrong_values(fields: Mapping[str, object]) -> list[str]:
    """Return the problems of the known fields, each with its name."""
    return [
        f"{name}: {problem}"
        for name in GitOpsTarget.__struct_fields__
        if name in fields and (problem := _problem_of_value(name, fields[name]))
    ]


def _problem_of_value(name: str, value: object) -> str | None:
    if not isinstance(value, str) or not value or len(value) > _MAX_TEXT_LENGTH or not value.isprintable():
        return f"expected a text of 1 to {_MAX_TEXT_LENGTH} printable characters"
    match name:
        case "repository" if not is_repository_name(value):
            return f"{value!r} is not a repository; write owner/name"
        case "commit" if value not in get_args(CommitPlace):
            return f"{value!r} is not one of {', '.join(get_args(CommitPlace))}"
        case "tag" if value.count("{sha}") != 1 or value.count("*") > 2:  # noqa: PLR2004 - as the message says
            return f"{value!r} needs {{sha}} once, and may have * twice, such as main-{{sha}}-*"
        case _:
            return None


def _contradictions(target: GitOpsTarget) -> list[str]:
    places: dict[str, CommitPlace] = {"image": "image-tag", "tag": "image-tag", "annotation": "annotation"}
    return [
        f"{name}: only of use with `commit: {place}`"
        for name, place in places.items()
        if getattr(target, name) is not None and target.commit != place
    ]

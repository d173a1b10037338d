"""Which of GitHub's security alerts are read: the setting `security`; and what a reader must know of the others.

Permissions: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#permissions.
`security-events` does not open Dependabot alerts, and no permission of a job opens those of secret scanning.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, get_args

from dora_metrics.core.cursors import Cursor, Cursors

Alerts = Literal["dependabot", "code-scanning", "secret-scanning"]
KINDS: tuple[Alerts, ...] = get_args(Alerts)
AUTO: tuple[Alerts, ...] = ("dependabot",)
"""What `auto` reads: each kind costs every sync a request, and this is the one that needs nothing to be set up."""

NAMES: dict[str, str] = {
    "dependabot": "Dependabot alerts",
    "code-scanning": "code scanning alerts",
    "secret-scanning": "secret scanning alerts",
}
NEEDS: dict[str, str] = {
    "dependabot": "the job needs `permissions: vulnerability-alerts: read`, or an app `Dependabot alerts: read`",
    "code-scanning": "the job needs `permissions: security-events: read`, or an app `Code scanning alerts: read`",
    "secret-scanning": "an app, or a fine-grained token, needs `Secret scanning alerts: read`: no job may have that",
}
_MOST = 5


def wanted(asked: Sequence[str]) -> tuple[Alerts, ...]:
    """The kinds that the setting means."""
    return tuple(kind for kind in KINDS if kind in asked or ("auto" in asked and kind in AUTO))


def dated(own: Mapping[str, Cursor]) -> dict[str, Cursor]:
    """Of a repository's cursors when alerts were last read, and nothing of how far."""
    return {kind: Cursor(read_at=cursor.read_at) for kind, cursor in own.items() if cursor.read_at}


def notes(cursors: Cursors, asked: Sequence[str]) -> list[str]:
    """What GitHub does not tell: it is unknown, which is not nought; and what is known, but not of now.

    Args:
        cursors: how far each repository was read.
        asked: the setting.
    """
    return [*_refused(cursors, asked), *_unread(cursors, asked), *_left(cursors, asked)]


def _refused(cursors: Cursors, asked: Sequence[str]) -> Iterator[str]:
    """Repositories with the same answer share a note."""
    refused: defaultdict[tuple[Alerts, str], list[str]] = defaultdict(list)
    for repository, own in cursors.items():
        for kind in wanted(asked):
            refused[kind, (own.get(kind) or Cursor()).refused or ""].append(repository)
    found = {key: names for key, names in refused.items() if key[1]}
    for (kind, reason), names in sorted(found.items()):
        yield (
            f"{_whose(kind, names)} are unknown, which is not none: GitHub answered {reason}. "
            f"They may be switched off there; else {NEEDS[kind]}.{''.join(_before(kind, names, cursors))}"
        )


def _whose(kind: Alerts, repositories: Sequence[str]) -> str:
    """`Dependabot alerts of acme/shop`, as a sentence begins."""
    more = f" and {len(repositories) - _MOST} more repositories" if len(repositories) > _MOST else ""
    what = NAMES[kind]
    return f"{what[:1].upper()}{what[1:]} of {', '.join(repositories[:_MOST])}{more}"


def _before(kind: Alerts, repositories: Sequence[str], cursors: Mapping[str, Mapping[str, Cursor]]) -> Iterator[str]:
    """Since when what is known is out of date, where something is."""
    own = [cursors[repository][kind] for repository in repositories]
    moments = [cursor.read_at for cursor in own if cursor.read_at]
    if moments:
        yield f" What is shown of them was known on {min(moments):%Y-%m-%d}."
    elif any(cursor.newest for cursor in own):
        yield " What is shown of them is not all: they were never read to the end."


def _unread(cursors: Cursors, asked: Sequence[str]) -> Iterator[str]:
    """Those that GitHub tells and nobody understands."""
    for repository, own in sorted(cursors.items()):
        for kind in wanted(asked):
            if (cursor := own.get(kind)) and cursor.unread:
                which = f"{len(cursor.unread):,} of the {NAMES[kind]} of {repository}"
                yield f"{which} cannot be read ({cursor.unread_because}), and are in no number."


def _left(cursors: Cursors, asked: Sequence[str]) -> Iterator[str]:
    """Those that were read once, and by the setting no longer are."""
    for kind in KINDS:
        moments = {name: own[kind].read_at for name, own in sorted(cursors.items()) if kind in own}
        read = {name: at for name, at in moments.items() if at}
        if read and kind not in wanted(asked):
            day, setting = f"{min(read.values()):%Y-%m-%d}", ", ".join(asked) or "none"
            yield f"{_whose(kind, list(read))} are as of {day}, since `security` is `{setting}`."

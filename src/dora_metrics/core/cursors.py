"""Sync cursors: how far GitHub's history, alerts and incident systems were read, stored as `cursors.json`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from dora_metrics.core.json_errors import UNREADABLE_JSON

_Time = Annotated[datetime, Meta(tz=True)]
_FIRST_YEAR = 1970
NEWS = "news"
"""The cursor that remembers what GitHub showed of a repository before the last complete reading."""
LAST_READING = "last-reading"
"""The cursor whose `newest` is the time of the last sync that read a repository without being cut short by a limit."""
LAST_ATTEMPT = "last-attempt"
"""The cursor whose `newest` is the time of the last sync to which GitHub did not show a repository at all."""
REQUESTED = "asked"
"""The cursor that remembers how far back the last sync read, and which settings and rules chose what it read."""
ISSUES = "issues"
"""The cursor of issues, which are incidents if they have an incident label."""
ALERT_HISTORY = "prometheus"
"""In place of a repository: the cursors of alerts in Prometheus, by the repository whose runs read them."""

INCIDENT_SYSTEMS = "incidents"
"""In place of a repository: the cursors of incident systems, by repository and system, as in `acme/shop pagerduty`."""


class Cursor(Struct, frozen=True, omit_defaults=True):
    """How far the items of one kind were read in one repository.

    `newest` and `reached`: items that changed between these times are recorded. `after`: GitHub's page cursor for older
    items, None if there are none. `open`: GitHub's ids of items that had not ended; for commits, the deployed shas that
    are not in the history; for runs, those whose earlier attempts are left to read, and for the others a workflow and
    the time of its newest one (`<workflow id>@<time>`). `anchors`: commits whose ancestors need not be read again; for
    deployments, GitHub's ids of those that had failed, which may still succeed. For
    jobs, `reached` is the end of the newest deployment whose job is left to read, and `open` has the facts of those
    whose jobs had not ended; for runs, `reached` is the creation of the oldest one that had not ended. For issues,
    `takes_all` says that `after` goes on in the list of all issues, not only of those with an incident label.

    For security alerts: `read_at` is when they were last read to the end, None if there were none. `refused` is
    GitHub's reason for refusing them, `refused_at` when it was last asked. `unread` has the numbers of alerts that
    could not be parsed (`?` for one without a number), `unread_because` the reason.

    For alerts in Prometheus: `newest` is up to when they were read, `open` what selects them. `refused` is why the last
    reading ended early, `refused_at` since when.

    For incident systems: `newest` is when the newest incident that was read changed, `open` has a digest of what
    selects them, and then what the system calls the open ones that it does not show any more. `refused` and
    `refused_at` as for alerts.

    For news: `open` has a digest of what GitHub showed, and the kinds of deployments that were read then; `read_at` is
    when it was last asked for them. `anchors` has a digest of what its list of repositories showed. `reached` is when
    security alerts were last read, and `newest` when the repository's own list of them was.

    For what was requested: `reached` is how far back, `open` what selects it. `newest` is when a sync had last read
    everything before that was another selection; None if none had.

    For names: `open` has the names in reverts and incidents that are not of this repository, in lower case.
    """

    newest: _Time | None = None
    reached: _Time | None = None
    after: str | None = None
    open: tuple[str, ...] = ()
    anchors: tuple[str, ...] = ()
    read_at: _Time | None = None
    refused: str | None = None
    refused_at: _Time | None = None
    unread: tuple[str, ...] = ()
    unread_because: str | None = None
    takes_all: bool = False

    def has_more(self, since: datetime | None) -> bool:
        """Whether items since `since`, or any if None, are left to read."""
        return self.after is not None and (since is None or self.reached is None or self.reached > since)

    def covers(self, time: datetime) -> bool:
        """Whether items that changed at a time are read."""
        return self.newest is not None and time <= self.newest and not self.has_more(time)


Cursors = dict[str, dict[str, Cursor]]
"""Cursors by repository and kind."""


def has_read_issues(cursors: Mapping[str, Cursor], time: datetime) -> bool:
    """Whether a sync has read the issues of a repository that changed at a time, or what they became after that.

    One that changed in the last second that was read may have changed again in that second.
    """
    issues, oldest = cursors.get(ISSUES, Cursor()), cursors.get(REQUESTED, Cursor()).reached
    return issues.covers(time) and time != issues.newest and (oldest is None or time >= oldest)


def decode_cursors(content: bytes, latest: datetime) -> Cursors:
    """Decode `cursors.json`. A missing or invalid file gives no cursors, so that everything is read again.

    So it is with the kinds whose cursor has a time after `latest`, which only a run in the future can have written.
    """
    return {
        repository: {kind: cursor for kind, cursor in by_kind.items() if _is_plausible(cursor, latest)}
        for repository, by_kind in _decode(content).items()
    }


def _decode(content: bytes) -> Cursors:
    try:
        return msgspec.json.decode(content or b"{}", type=Cursors)
    except UNREADABLE_JSON:
        return {}


def _is_plausible(cursor: Cursor, latest: datetime) -> bool:
    times = (cursor.newest, cursor.reached, cursor.read_at, cursor.refused_at)
    return all(time is None or (time.year >= _FIRST_YEAR and time <= latest) for time in times)


def encode_cursors(cursors: Cursors) -> bytes:
    """Encode `cursors.json`. The content is empty if there are no cursors."""
    non_empty = {repository: by_kind for repository, by_kind in cursors.items() if by_kind}
    return msgspec.json.encode(non_empty, order="sorted") + b"\n" if non_empty else b""


def differs_only_in_newest(before: bytes, after: bytes) -> bool:
    """Whether two versions of `cursors.json` differ at most in what the next sync can find again: `newest` and news."""
    return _without_newest(before) == _without_newest(after)


def _without_newest(content: bytes) -> Cursors:
    return {
        repository: {kind: replace(cursor, newest=None) for kind, cursor in by_kind.items() if kind != NEWS}
        for repository, by_kind in _decode(content).items()
    }

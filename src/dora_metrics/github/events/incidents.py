"""Incidents: issues with an incident label. The state is read anew from the whole issue every time.

Reading an issue's body: the answers of a form, and lines such as `deployment: v1.2.3`.

GitHub renders a form as `### Label`, a blank line, and the answer; `_No response_` where there is none:
https://docs.github.com/en/communities/using-templates-to-encourage-useful-issues-and-pull-requests/syntax-for-issue-forms

How bad an incident is, from an answer in a form or from a label. docs/events.md shows the table.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from dora_metrics.core import windows
from dora_metrics.core.facts.model import SEVERITIES, Incident, Severity
from dora_metrics.github import text
from dora_metrics.github.observation import Observed, Run, nothing, state
from dora_metrics.github.payloads import Issue, IssuesEvent

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_HEADING = "### "
_LONGEST = 300
_NAMED = re.compile(r"[\s>*_-]*(?:deployment|root cause)[*_]*\s*:[*_\s]*(\S+)\s*", re.IGNORECASE)
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ]+(\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)\s*(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.IGNORECASE | re.ASCII,
)
_NO_ANSWER = frozenset({"", "_no response_", "n/a", "none", "unknown", "-", "?"})


def answers(body: str | None) -> dict[str, str]:
    """The first line of each answer by its label in lower case; questions without an answer are left out.

    Of two equal labels the first counts, so that a text answer cannot overwrite the fields above it.
    """
    found: dict[str, str] = {}
    label = None
    for line in prose(body):
        if line.startswith(_HEADING):
            label = line.strip("#: \t").lower()
        elif label is not None and line.strip():
            found.setdefault(label, _unquoted(line))
            label = None
    return {label: answer for label, answer in found.items() if answer.lower() not in _NO_ANSWER}


def named_deployment(body: str | None) -> str | None:
    """What a line `deployment: X` or `root cause: X` names.

    X is one word: prose after `root cause:` is no name, and a name that leads nowhere would keep the
    incident from being matched at all.
    """
    # Longer lines name nothing, and a stranger could make the pattern slow with them.
    found = (_NAMED.fullmatch(line) for line in prose(body) if len(line) <= _LONGEST)
    names = (_unquoted(match[1].rstrip(".,;*_")) for match in found if match)
    return next((name for name in names if name.lower() not in _NO_ANSWER), None)


def moment(answer: str) -> tuple[datetime, bool] | None:
    """A time as people write it, and whether it said its offset; UTC where it did not."""
    found = _MOMENT.fullmatch(answer.strip())
    if found is None:
        return None
    day, clock, offset = found.groups()
    shift = offset if offset and offset[0] in "+-" else "Z"
    try:
        return windows.instant(f"{day}T{clock}{shift}"), offset is not None
    except ValueError:
        return None


def prose(body: str | None) -> list[str]:
    """The lines of a body that are neither in a code fence nor in a comment."""
    kept: list[str] = []
    fence = ""
    for line in (body or "").splitlines():
        mark = _FENCE.fullmatch(line)
        if fence:
            fence = "" if mark and mark[1].startswith(fence) and not mark[2].strip() else fence
        elif mark and not (mark[1][0] == "`" and "`" in mark[2]):
            fence = mark[1]
        else:
            kept.append(line)
    return _COMMENT.sub("", "\n".join(kept)).split("\n")


def _unquoted(line: str) -> str:
    return line.strip().strip("`").strip()


_BY_NUMBER: tuple[Severity, ...] = ("critical", "critical", "high", "medium", "low")
_LEVEL = r"(?:(?:severity|sev|priority|prio|s|p) ?(?P<number>[0-4])|(?P<name>critical|high|medium|low))"
_AROUND = r"(?:severity|sev|priority|prio|level|incident)"
# The whole label, so that `aws s3` and `low hanging fruit` say nothing about an incident.
_LABEL = re.compile(rf"(?:{_AROUND} )*{_LEVEL}(?: {_AROUND})*")
_ANSWER = re.compile(rf"\b{_LEVEL}\b")


def of_answer(answer: str | None) -> Severity | None:
    return _level(_ANSWER.search(_spaced(answer or "")))


def of_labels(labels: Iterable[str]) -> Severity | None:
    """The worst that the labels say."""
    levels = {_level(_LABEL.fullmatch(_spaced(label))) for label in labels}
    return next((level for level in SEVERITIES if level in levels), None)


def _spaced(words: str) -> str:
    return " ".join(text.words(words))


def _level(found: re.Match[str] | None) -> Severity | None:
    if found is None:
        return None
    if found["number"]:
        return _BY_NUMBER[int(found["number"])]
    return next(level for level in SEVERITIES if level == found["name"])


_GONE = frozenset({"transferred", "deleted"})
_TELLING = frozenset({"opened", "labeled", "unlabeled", "closed", "reopened", "edited"}) | _GONE
_RESTORED = frozenset({"completed", None})
_NO_INCIDENT = frozenset({"not_planned", "duplicate"})


def seen(run: Run, event: IssuesEvent, incident_labels: tuple[str, ...]) -> Observed:
    """An issue that is an incident, or was one until its label was taken away."""
    issue, name = event.issue, f"{run.repository}#{event.issue.number}"
    wanted = frozenset(map(str.lower, incident_labels))
    if issue.pull_request is not None:
        return nothing(f"{name} is a pull request")
    if event.action not in _TELLING:
        return nothing(f"issue {name} was {event.action}, which changes no incident")
    labelled = not wanted.isdisjoint(label.lower() for label in _labels(issue))
    unlabelled = event.action == "unlabeled" and event.label is not None and event.label.name.lower() in wanted
    if not labelled and not unlabelled:
        return nothing(f"issue {name} has no incident label ({', '.join(incident_labels)})")
    return _incident(run, event, withdrawn=not labelled)


def _incident(run: Run, event: IssuesEvent, *, withdrawn: bool) -> Observed:
    issue, name = event.issue, f"{run.repository}#{event.issue.number}"
    old = event.changes.old_issue if event.changes else None
    # The body of a transferred issue may arrive later than the issue.
    body = issue.body or (old.body if old else None)
    answers_, labels = answers(body), _labels(issue)
    detected_at, notes = _detected(
        answers_.get("detected at"), old.created_at if old else issue.created_at, issue.updated_at
    )
    gone = event.action in _GONE
    incident = Incident(
        id=f"github:issue:{name}",
        repository=run.repository,
        source="github",
        service=text.title(answers_.get("service")),
        observed_at=issue.updated_at + _LAST_WORD if gone else issue.updated_at,
        url=text.link(issue.html_url),
        retracted=withdrawn or gone or (issue.state == "closed" and issue.state_reason in _NO_INCIDENT),
        environment=text.title(answers_.get("environment")),
        severity=of_answer(answers_.get("severity")) or of_labels(labels),
        title=text.title(issue.title),
        detected_at=detected_at,
        resolved_at=_resolved(issue),
        deployment=text.title(answers_.get("deployment") or named_deployment(body) or _label_value(labels)),
    )
    return Observed((incident,), f"Incident {name} {state(incident)}", notes)


# Removal need not touch `updated_at`, and nothing comes after it.
_LAST_WORD = timedelta(microseconds=1)


def _labels(issue: Issue) -> tuple[str, ...]:
    return tuple(label.name for label in issue.labels or ())


def _label_value(labels: tuple[str, ...]) -> str | None:
    """What a label `deployment:X` names."""
    parts = (label.partition(":") for label in labels)
    return next(
        (value.strip() for key, _, value in parts if key.strip().lower() == "deployment" and value.strip()),
        None,
    )


def _resolved(issue: Issue) -> datetime | None:
    """The end of the incident; `closed_at` alone says nothing, it stays when an issue is opened again."""
    return issue.closed_at if issue.state == "closed" and issue.state_reason in _RESTORED else None


def _detected(answer: str | None, opened: datetime, updated: datetime) -> tuple[datetime, tuple[str, ...]]:
    """When the incident was detected, and what to say about it."""
    if answer is None:
        return opened, ()
    match moment(answer):
        case None:
            return opened, (f"“Detected at” is no time such as 2026-11-21T12:00:00Z{_INSTEAD}",)
        case at, _ if at > updated:
            return opened, (f"“Detected at” lies in the future{_INSTEAD}",)
        case at, False:
            return at, ("“Detected at” says no offset; it is taken as UTC",)
        case at, _:
            return at, ()


_INSTEAD = "; the time that the issue was opened is taken"

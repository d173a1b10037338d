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
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import SEVERITIES, Incident, Severity
from dora_metrics.github import text
from dora_metrics.github.observation import Observation, Run, incident_state, nothing_to_record
from dora_metrics.github.payloads import IssuePayload, IssuesEvent

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_HEADING_PREFIX = "### "
_MAX_LINE_LENGTH = 300
_DEPLOYMENT_LINE = re.compile(r"[\s>*_-]*(?:deployment|root cause)[*_]*\s*:[*_\s]*(\S+)\s*", re.IGNORECASE)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ]+(\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)\s*(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.IGNORECASE | re.ASCII,
)
_EMPTY_ANSWERS = frozenset({"", "_no response_", "n/a", "none", "unknown", "-", "?"})


def form_answers(body: str | None) -> dict[str, str]:
    """The first line of each answer by its label in lower case; questions without an answer are left out.

    Of two equal labels the first counts, so that a text answer cannot overwrite the fields above it.
    """
    answers: dict[str, str] = {}
    label = None
    for line in prose_lines(body):
        if line.startswith(_HEADING_PREFIX):
            label = line.strip("#: \t").lower()
        elif label is not None and line.strip():
            answers.setdefault(label, _without_backticks(line))
            label = None
    return {label: answer for label, answer in answers.items() if answer.lower() not in _EMPTY_ANSWERS}


def named_deployment(body: str | None) -> str | None:
    """What a line `deployment: X` or `root cause: X` names.

    X is one word: prose after `root cause:` is no name, and a name that leads nowhere would keep the
    incident from being matched at all.
    """
    # Longer lines name nothing, and a stranger could make the pattern slow with them.
    matches = (_DEPLOYMENT_LINE.fullmatch(line) for line in prose_lines(body) if len(line) <= _MAX_LINE_LENGTH)
    names = (_without_backticks(match[1].rstrip(".,;*_")) for match in matches if match)
    return next((name for name in names if name.lower() not in _EMPTY_ANSWERS), None)


def parse_time(answer: str) -> tuple[datetime, bool] | None:
    """A time as people write it, and whether it said its offset; UTC where it did not."""
    match = _TIME.fullmatch(answer.strip())
    if match is None:
        return None
    day, time_of_day, offset = match.groups()
    utc_offset = offset if offset and offset[0] in "+-" else "Z"
    try:
        return windows.parse_instant(f"{day}T{time_of_day}{utc_offset}"), offset is not None
    except ValueError:
        return None


def prose_lines(body: str | None) -> list[str]:
    """The lines of a body that are neither in a code fence nor in a comment."""
    lines: list[str] = []
    fence = ""
    for line in (body or "").splitlines():
        fence_match = _FENCE.fullmatch(line)
        if fence:
            fence = "" if fence_match and fence_match[1].startswith(fence) and not fence_match[2].strip() else fence
        elif fence_match and not (fence_match[1][0] == "`" and "`" in fence_match[2]):
            fence = fence_match[1]
        else:
            lines.append(line)
    return _COMMENT.sub("", "\n".join(lines)).split("\n")


def _without_backticks(line: str) -> str:
    return line.strip().strip("`").strip()


_SEVERITY_BY_NUMBER: tuple[Severity, ...] = ("critical", "critical", "high", "medium", "low")
_LEVEL_PATTERN = r"(?:(?:severity|sev|priority|prio|s|p) ?(?P<number>[0-4])|(?P<name>critical|high|medium|low))"
_FILLER_PATTERN = r"(?:severity|sev|priority|prio|level|incident)"
# The whole label, so that `aws s3` and `low hanging fruit` say nothing about an incident.
_SEVERITY_LABEL = re.compile(rf"(?:{_FILLER_PATTERN} )*{_LEVEL_PATTERN}(?: {_FILLER_PATTERN})*")
_SEVERITY_IN_ANSWER = re.compile(rf"\b{_LEVEL_PATTERN}\b")


def severity_of_answer(answer: str | None) -> Severity | None:
    return _severity_of_match(_SEVERITY_IN_ANSWER.search(_words_joined(answer or "")))


def severity_of_labels(labels: Iterable[str]) -> Severity | None:
    """The worst that the labels say."""
    severities = {_severity_of_match(_SEVERITY_LABEL.fullmatch(_words_joined(label))) for label in labels}
    return next((severity for severity in SEVERITIES if severity in severities), None)


def _words_joined(name: str) -> str:
    return " ".join(text.lowercase_words(name))


def _severity_of_match(match: re.Match[str] | None) -> Severity | None:
    if match is None:
        return None
    if match["number"]:
        return _SEVERITY_BY_NUMBER[int(match["number"])]
    return next(severity for severity in SEVERITIES if severity == match["name"])


_REMOVAL_ACTIONS = frozenset({"transferred", "deleted"})
_RECORDED_ACTIONS = frozenset({"opened", "labeled", "unlabeled", "closed", "reopened", "edited"}) | _REMOVAL_ACTIONS
_RESOLVED_REASONS = frozenset({"completed", None})
_RETRACTED_REASONS = frozenset({"not_planned", "duplicate"})


def observe_issue(run: Run, event: IssuesEvent, incident_labels: tuple[str, ...]) -> Observation:
    """An issue that is an incident, or was one until its label was taken away."""
    issue, issue_name = event.issue, f"{run.repository}#{event.issue.number}"
    incident_label_names = frozenset(map(str.lower, incident_labels))
    if issue.pull_request is not None:
        return nothing_to_record(f"{issue_name} is a pull request")
    if event.action not in _RECORDED_ACTIONS:
        return nothing_to_record(f"issue {issue_name} was {event.action}, which changes no incident")
    is_labelled = not incident_label_names.isdisjoint(label.lower() for label in _label_names(issue))
    is_label_removed = (
        event.action == "unlabeled" and event.label is not None and event.label.name.lower() in incident_label_names
    )
    if not is_labelled and not is_label_removed:
        return nothing_to_record(f"issue {issue_name} has no incident label ({', '.join(incident_labels)})")
    return _observe_incident(run, event, is_withdrawn=not is_labelled)


def _observe_incident(run: Run, event: IssuesEvent, *, is_withdrawn: bool) -> Observation:
    issue, issue_name = event.issue, f"{run.repository}#{event.issue.number}"
    previous_issue = event.changes.old_issue if event.changes else None
    # The body of a transferred issue may arrive later than the issue.
    body = issue.body or (previous_issue.body if previous_issue else None)
    answers, label_names = form_answers(body), _label_names(issue)
    detected_at, notes = _detected_at(
        answers.get("detected at"), previous_issue.created_at if previous_issue else issue.created_at, issue.updated_at
    )
    is_removed = event.action in _REMOVAL_ACTIONS
    incident = Incident(
        id=ids.issue(run.repository, event.issue.number),
        repository=run.repository,
        source="github",
        service=text.truncate_title(answers.get("service")),
        observed_at=issue.updated_at + _AFTER_LAST_UPDATE if is_removed else issue.updated_at,
        url=text.first_http_url(issue.html_url),
        retracted=is_withdrawn or is_removed or (issue.state == "closed" and issue.state_reason in _RETRACTED_REASONS),
        environment=text.truncate_title(answers.get("environment")),
        severity=severity_of_answer(answers.get("severity")) or severity_of_labels(label_names),
        title=text.truncate_title(issue.title),
        detected_at=detected_at,
        resolved_at=_resolved_at(issue),
        deployment=text.truncate_title(
            answers.get("deployment") or named_deployment(body) or _deployment_of_labels(label_names)
        ),
    )
    return Observation((incident,), f"Incident {issue_name} {incident_state(incident)}", notes)


# Removal need not touch `updated_at`, and nothing comes after it.
_AFTER_LAST_UPDATE = timedelta(microseconds=1)


def _label_names(issue: IssuePayload) -> tuple[str, ...]:
    return tuple(label.name for label in issue.labels or ())


def _deployment_of_labels(label_names: tuple[str, ...]) -> str | None:
    """What a label `deployment:X` names."""
    parts = (label.partition(":") for label in label_names)
    return next(
        (value.strip() for key, _, value in parts if key.strip().lower() == "deployment" and value.strip()),
        None,
    )


def _resolved_at(issue: IssuePayload) -> datetime | None:
    """The end of the incident; `closed_at` alone says nothing, it stays when an issue is opened again."""
    return issue.closed_at if issue.state == "closed" and issue.state_reason in _RESOLVED_REASONS else None


def _detected_at(answer: str | None, opened_at: datetime, updated_at: datetime) -> tuple[datetime, tuple[str, ...]]:
    """When the incident was detected, and what to say about it."""
    if answer is None:
        return opened_at, ()
    match parse_time(answer):
        case None:
            return opened_at, (f"“Detected at” is no time such as 2026-11-21T12:00:00Z{_OPENED_AT_USED}",)
        case detected_at, _ if detected_at > updated_at:
            return opened_at, (f"“Detected at” lies in the future{_OPENED_AT_USED}",)
        case detected_at, False:
            return detected_at, ("“Detected at” says no offset; it is taken as UTC",)
        case detected_at, _:
            return detected_at, ()


_OPENED_AT_USED = "; the time that the issue was opened is taken"

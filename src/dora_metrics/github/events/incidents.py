"""Incidents in events: issues with an incident label, their form answers and their severity.

The incident is computed from the whole issue at every event. A body may hold the answers of an issue form and lines
such as `deployment: v1.2.3` or `also: #12`; docs/events.md has the table of severities. GitHub renders a form as
`### Label`, a blank line and the answer, which is `_No response_` if there is none:
https://docs.github.com/en/communities/using-templates-to-encourage-useful-issues-and-pull-requests/syntax-for-issue-forms
"""

import itertools
import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from dora_metrics.core import windows
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import SEVERITIES, Incident, Severity
from dora_metrics.core.names import words_of
from dora_metrics.github import text
from dora_metrics.github.markdown_text import prose_lines
from dora_metrics.github.observation import Observation, Recorded, Run, incident_state, nothing_to_record
from dora_metrics.github.payloads import IssuePayload, IssuesEvent

_REMOVAL_ACTIONS = frozenset({"transferred", "deleted"})
_RECORDED_ACTIONS = frozenset({"opened", "labeled", "unlabeled", "closed", "reopened", "edited"}) | _REMOVAL_ACTIONS
_RESOLVED_REASONS = frozenset({"completed", None})
_RETRACTED_REASONS = frozenset({"not_planned", "duplicate"})
_POSTMORTEM_LABELS = frozenset({"postmortem", "post-mortem"})
"""Labels of an issue that reviews an incident; so it is no incident of its own."""
_OPENED_AT_USED = "; the time the issue was opened is used instead"


def observe_issue(run: Run, event: IssuesEvent, incident_labels: tuple[str, ...], recorded: Recorded) -> Observation:
    """Map an issue to an incident if it has an incident label, has just lost one, or is recorded as an incident.

    A postmortem is no incident, unless its label is an incident label too. A state that a sync has read, or a newer one
    of the same issue, is not recorded again.
    """
    issue, issue_name = event.issue, f"{run.repository}#{event.issue.number}"
    lower_labels, issue_labels = (_lower(names) for names in (incident_labels, _label_names(issue)))
    if issue.pull_request is not None:
        return nothing_to_record(f"{issue_name} is a pull request")
    if event.action not in _RECORDED_ACTIONS:
        return nothing_to_record(f"issue {issue_name} was {event.action}, which does not change an incident")
    postmortem_labels = (_POSTMORTEM_LABELS - lower_labels) & issue_labels
    is_incident = not lower_labels.isdisjoint(issue_labels) and not postmortem_labels
    removed_label = event.label.name.lower() if event.action == "unlabeled" and event.label else None
    is_known = removed_label in lower_labels or recorded.has(ids.issue(run.repository, issue.number))
    if not is_incident and not is_known:
        return nothing_to_record(f"issue {issue_name} {_why_no_incident(postmortem_labels, incident_labels)}")
    # No sync sees a removed issue, whose `updated_at` may stay as it was.
    if event.action not in _REMOVAL_ACTIONS and recorded.has_read_issues(issue.updated_at):
        return nothing_to_record(f"a sync has read issue {issue_name} since this event")
    return _observe_incident(run, event, is_withdrawn=not is_incident)


def _why_no_incident(postmortem_labels: Iterable[str], incident_labels: tuple[str, ...]) -> str:
    for label in postmortem_labels:
        return f"has the label {label}, so it is not an incident itself"
    return f"has no incident label ({', '.join(incident_labels)})"


def _lower(names: Iterable[str]) -> frozenset[str]:
    return frozenset(map(str.lower, names))


def _observe_incident(run: Run, event: IssuesEvent, *, is_withdrawn: bool) -> Observation:
    issue, issue_name = event.issue, f"{run.repository}#{event.issue.number}"
    previous = event.changes.old_issue if event.changes else None
    # The body of a transferred issue may arrive later than the issue.
    body = issue.body or (previous.body if previous else None)
    answers, labels = form_answers(body), _label_names(issue)
    opened_at = previous.created_at if previous else issue.created_at
    detected_at, notes = _detected_at(answers.get("detected at"), opened_at, issue.updated_at)
    named = answers.get("deployment") or named_deployment(body) or _deployment_of_labels(labels)
    is_removed = event.action in _REMOVAL_ACTIONS
    incident = Incident(
        id=ids.issue(run.repository, event.issue.number),
        repository=run.repository,
        source="github",
        service=text.truncate_title(answers.get("service")),
        observed_at=issue.updated_at + timedelta(microseconds=_order_in_second(event)),
        url=text.address_on(run.server_url, issue.html_url),
        retracted=is_withdrawn or is_removed or (issue.state == "closed" and issue.state_reason in _RETRACTED_REASONS),
        environment=text.truncate_title(answers.get("environment")),
        severity=severity_of_answer(answers.get("severity")) or severity_of_labels(labels),
        title=text.truncate_title(issue.title),
        detected_at=detected_at,
        resolved_at=_resolved_at(issue),
        deployment=text.truncate_title(named),
        also=names_elsewhere(body),
    )
    return Observation((incident,), f"Incident {issue_name} {incident_state(incident)}", notes)


def _order_in_second(event: IssuesEvent) -> int:
    """Return the place of an issue's state among those with the same `updated_at`, which is in seconds.

    One request may label and close an issue. Removing one may leave `updated_at` as it was, and nothing follows.
    """
    issue = event.issue
    if event.action in _REMOVAL_ACTIONS:
        return 3
    if issue.state == "closed":
        return 1
    is_reopened = event.action == "reopened" or issue.closed_at == issue.updated_at
    return 2 if is_reopened else 0


def _label_names(issue: IssuePayload) -> tuple[str, ...]:
    return tuple(label.name for label in issue.labels or ())


def _deployment_of_labels(labels: tuple[str, ...]) -> str | None:
    """Return the deployment that a label `deployment:X` names."""
    parts = (label.partition(":") for label in labels)
    return next(
        (value.strip() for key, _, value in parts if key.strip().lower() == "deployment" and value.strip()), None
    )


def _resolved_at(issue: IssuePayload) -> datetime | None:
    """Return the end of the incident. `closed_at` alone is not enough: it stays when an issue is reopened."""
    return issue.closed_at if issue.state == "closed" and issue.state_reason in _RESOLVED_REASONS else None


def _detected_at(answer: str | None, opened_at: datetime, updated_at: datetime) -> tuple[datetime, tuple[str, ...]]:
    """Return when the incident was detected, and notes on an answer that cannot be used as it is."""
    if answer is None:
        return opened_at, ()
    match parse_time(answer):
        case None:
            return opened_at, (f"“Detected at” is not a time such as 2026-11-21T12:00:00Z{_OPENED_AT_USED}",)
        case detected_at, _ if detected_at > updated_at:
            return opened_at, (f"“Detected at” is in the future{_OPENED_AT_USED}",)
        case detected_at, False:
            return detected_at, ("“Detected at” has no offset; it is read as UTC",)
        case detected_at, _:
            return detected_at, ()


_HEADING_PREFIX = "### "
_MAX_LINE_LENGTH = 300
_EMPTY_ANSWERS = frozenset({"", "_no response_", "n/a", "none", "unknown", "-", "?"})
_DEPLOYMENT_LINE = re.compile(r"[\s>*_-]*(?:deployment|root cause)[*_]*\s*:[*_\s]*(\S+)\s*", re.IGNORECASE)
_MAX_NAMES_ELSEWHERE = 20
_ALSO_LINE = re.compile(r"[\s>*_-]*also[*_]*\s*:[*_\s]*(.*)", re.IGNORECASE)
_MARKDOWN_LINK = re.compile(r"\[[^\[\]]*\]\(([^()\s]+)\)")
_NAME_SEPARATOR = re.compile(r"[\s,;]+(?:and[\s,;]+)?", re.IGNORECASE)
_NAME_ELSEWHERE = re.compile(
    r"(?:[\w.-]+/[\w.-]+)?#[1-9]\d*|[A-Z][A-Z0-9_]+-[1-9]\d*|[A-Za-z0-9][A-Za-z0-9._-]*:\S+", re.ASCII
)
"""`#12`, `acme/shop#12`, `OPS-12`; an id or an address."""
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ]+(\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)\s*(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.IGNORECASE | re.ASCII,
)


def form_answers(body: str | None) -> dict[str, str]:
    """Return the first line of each answer by its label in lower case; questions without an answer are left out.

    If a label occurs twice, the first one counts, so that a free text cannot overwrite the fields above it.
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
    """Return the deployment that a line `deployment: X` or `root cause: X` names.

    X is one word. Prose after `root cause:` is not a name, and a name that matches nothing would prevent the incident
    from being attributed at all.
    """
    # Longer lines name no deployment, and a stranger could use one to make the pattern slow.
    matches = (_DEPLOYMENT_LINE.fullmatch(line) for line in prose_lines(body) if len(line) <= _MAX_LINE_LENGTH)
    names = (_without_backticks(match[1].rstrip(".,;*_")) for match in matches if match)
    return next((name for name in names if name.lower() not in _EMPTY_ANSWERS), None)


def names_elsewhere(body: str | None) -> tuple[str, ...]:
    """Return what the answer “Also” and the lines `also: X` name: reports of the same incident elsewhere.

    X is one name or several: `#12`, an address, an id or a key such as `OPS-12`. A line that says anything else is
    prose, which may mention an incident that is another one.
    """
    statements = [form_answers(body).get("also", "")]
    statements += [match[1] for match in map(_ALSO_LINE.fullmatch, prose_lines(body)) if match]
    names = itertools.chain.from_iterable(map(_names_in_statement, statements))
    return tuple(dict.fromkeys(names))[:_MAX_NAMES_ELSEWHERE]


def _names_in_statement(statement: str) -> list[str]:
    """Return the names that a statement consists of; none if it has any other word."""
    words = _NAME_SEPARATOR.split(_MARKDOWN_LINK.sub(r" \1 ", statement))
    names = [name for word in words if (name := word.strip("<>`*_."))]
    return names if all(_NAME_ELSEWHERE.fullmatch(name) and ids.is_valid_name(name) for name in names) else []


def parse_time(answer: str) -> tuple[datetime, bool] | None:
    """Parse a time as people write it; also return whether it has an offset (UTC if not). None if it is not a time."""
    match = _TIME.fullmatch(answer.strip())
    if match is None:
        return None
    day, time_of_day, offset = match.groups()
    utc_offset = offset if offset and offset[0] in "+-" else "Z"
    try:
        return windows.parse_instant(f"{day}T{time_of_day}{utc_offset}"), offset is not None
    except ValueError:
        return None


def _without_backticks(line: str) -> str:
    return line.strip().strip("`").strip()


_SEVERITY_BY_NUMBER: tuple[Severity, ...] = ("critical", "critical", "high", "medium", "low")
_LEVEL_PATTERN = r"(?:(?:severity|sev|priority|prio|s|p) ?(?P<number>[0-4])|(?P<name>critical|high|medium|low))"
_FILLER_PATTERN = r"(?:severity|sev|priority|prio|level|incident)"
# The whole label has to match, so that `aws s3` and `low hanging fruit` have no severity.
_SEVERITY_LABEL = re.compile(rf"(?:{_FILLER_PATTERN} )*{_LEVEL_PATTERN}(?: {_FILLER_PATTERN})*")
_SEVERITY_IN_ANSWER = re.compile(rf"\b{_LEVEL_PATTERN}\b")


def severity_of_answer(answer: str | None) -> Severity | None:
    """Return the severity in a form answer."""
    return _severity_of_match(_SEVERITY_IN_ANSWER.search(_words_joined(answer or "")))


def severity_of_labels(labels: Iterable[str]) -> Severity | None:
    """Return the worst severity among the labels."""
    severities = {_severity_of_match(_SEVERITY_LABEL.fullmatch(_words_joined(label))) for label in labels}
    return next((severity for severity in SEVERITIES if severity in severities), None)


def _words_joined(name: str) -> str:
    return " ".join(words_of(name))


def _severity_of_match(match: re.Match[str] | None) -> Severity | None:
    if match is None:
        return None
    if match["number"]:
        return _SEVERITY_BY_NUMBER[int(match["number"])]
    return next(severity for severity in SEVERITIES if severity == match["name"])

"""Incidents: issues with an incident label. The state is read anew from the whole issue every time."""

from datetime import datetime, timedelta

from dora_metrics.core.facts.model import Incident
from dora_metrics.github import text
from dora_metrics.github.events import forms, severity
from dora_metrics.github.observation import Observed, Run, nothing, state
from dora_metrics.github.payloads import Issue, IssuesEvent

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
    answers, labels = forms.answers(body), _labels(issue)
    detected_at, notes = _detected(
        answers.get("detected at"), old.created_at if old else issue.created_at, issue.updated_at
    )
    gone = event.action in _GONE
    incident = Incident(
        id=f"github:issue:{name}",
        repository=run.repository,
        source="github",
        service=text.title(answers.get("service")),
        observed_at=issue.updated_at + _LAST_WORD if gone else issue.updated_at,
        url=text.link(issue.html_url),
        retracted=withdrawn or gone or (issue.state == "closed" and issue.state_reason in _NO_INCIDENT),
        environment=text.title(answers.get("environment")),
        severity=severity.of_answer(answers.get("severity")) or severity.of_labels(labels),
        title=text.title(issue.title),
        detected_at=detected_at,
        resolved_at=_resolved(issue),
        deployment=text.title(answers.get("deployment") or forms.named_deployment(body) or _label_value(labels)),
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
    match forms.moment(answer):
        case None:
            return opened, (f"“Detected at” is no time such as 2026-11-21T12:00:00Z{_INSTEAD}",)
        case at, _ if at > updated:
            return opened, (f"“Detected at” lies in the future{_INSTEAD}",)
        case at, False:
            return at, ("“Detected at” says no offset; it is taken as UTC",)
        case at, _:
            return at, ()


_INSTEAD = "; the time that the issue was opened is taken"

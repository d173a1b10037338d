"""The labels of incidents and hotfixes: those that GitHub has, otherwise the defaults. Pure."""

import re

from dora_metrics.commands.init.findings import CONFIG_PATH, Findings
from dora_metrics.core.names import NOT_PRODUCTION_WORDS, words_of
from dora_metrics.settings.model import Settings

_NOT_INCIDENT_WORDS = NOT_PRODUCTION_WORDS | {"false", "postmortem", "mortem"}
_SEVERITY = re.compile(r"sev(?:erity)?[ _:/-]*[0-4]", re.IGNORECASE)


def incident_labels(findings: Findings) -> tuple[tuple[str, ...], str]:
    """Return the labels of incidents, best first, and the reason."""
    configured, default = findings.checkout.settings.incident_labels, Settings().incident_labels
    github_labels = [
        name for name in (findings.github.labels if findings.github else ()) if _looks_like_incident_label(name)
    ]
    github_labels.sort(key=lambda name: (name.lower() != "incident", "incident" not in words_of(name)))
    if configured not in (default, tuple(github_labels)):
        return configured, f"{CONFIG_PATH} says so"
    if [name.lower() for name in github_labels] == ["incident"]:
        return default, "GitHub has this label"
    if github_labels:
        return tuple(github_labels), "GitHub has these labels"
    return default, "the default; GitHub has no such label yet" if findings.github else "the default"


def missing_form_label(findings: Findings, labels: tuple[str, ...]) -> str | None:
    """Return the label of the issue form if GitHub lacks it, None if it has it or could not be asked."""
    if findings.github is None:
        return None
    existing_names = {name.lower() for name in findings.github.labels}
    return next((label for label in labels[:1] if label.lower() not in existing_names), None)


def hotfix_labels(findings: Findings) -> tuple[str, ...]:
    """Return the labels of hotfixes if their names differ from the default."""
    labels = findings.github.labels if findings.github else ()
    hotfix_names = tuple(name for name in labels if "hotfix" in words_of(name))
    return hotfix_names if [name.lower() for name in hotfix_names] not in ([], ["hotfix"]) else ()


def _looks_like_incident_label(label: str) -> bool:
    label_words = set(words_of(label))
    if "${{" in label or not label.isprintable():  # cannot be part of an expression
        return False
    return not label_words & _NOT_INCIDENT_WORDS and bool(
        label_words & {"incident", "incidents", "outage"} or _SEVERITY.fullmatch(label.strip())
    )

"""What names say: environments that are production, labels of incidents and hotfixes."""

import re

from dora_metrics.commands.init.findings import CONFIG, Found
from dora_metrics.github import text
from dora_metrics.settings.model import Settings, policy

_PRODUCTION = frozenset({"production", "prod", "live", "prd"})
_NOT_IT = frozenset({"pre", "non", "not", "no", "test", "testing", "dev", "staging", "stage", "preview", "qa", "false"})
_SEVERITY = re.compile(r"sev(?:erity)?[ _:/-]*[0-4]", re.IGNORECASE)


def is_production(environment: str, settings: Settings) -> bool:
    """By the settings; or by one of the words, wherever in the name it stands: `eu-production`, not `pre-prod`."""
    said = set(text.words(environment))
    return policy(settings).is_production(environment) or bool(said & _PRODUCTION and not said & _NOT_IT)


def incident_labels(found: Found) -> tuple[tuple[str, ...], str]:
    """The labels of incidents, best first, and why."""
    asked, usual = found.checkout.settings.incident_labels, Settings().incident_labels
    labelled = [name for name in (found.github.labels if found.github else ()) if _of_incidents(name)]
    labelled.sort(key=lambda name: (name.lower() != "incident", "incident" not in text.words(name)))
    if asked not in (usual, tuple(labelled)):
        return asked, f"{CONFIG} says so"
    if [name.lower() for name in labelled] == ["incident"]:
        return usual, "GitHub has this label"
    if labelled:
        return tuple(labelled), "GitHub has these labels"
    return usual, "the default; GitHub has no such label yet" if found.github else "the default"


def missing_label(found: Found, labels: tuple[str, ...]) -> str | None:
    """The label that the form would give and GitHub does not know; None where it does, or nobody could say."""
    if found.github is None:
        return None
    known = {name.lower() for name in found.github.labels}
    return next((label for label in labels[:1] if label.lower() not in known), None)


def hotfix_labels(found: Found) -> tuple[str, ...]:
    """Labels of hotfixes where they are called otherwise than by default."""
    labels = found.github.labels if found.github else ()
    named = tuple(name for name in labels if "hotfix" in text.words(name))
    return named if [name.lower() for name in named] not in ([], ["hotfix"]) else ()


def _of_incidents(label: str) -> bool:
    said = set(text.words(label))
    if "${{" in label or not label.isprintable():  # nothing to put into an expression
        return False
    return not said & _NOT_IT and bool(said & {"incident", "incidents", "outage"} or _SEVERITY.fullmatch(label.strip()))

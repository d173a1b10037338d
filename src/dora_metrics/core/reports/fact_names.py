"""Readable names of facts: a version, `#12`, a short sha."""

import re
from collections.abc import Mapping

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Change, Deployment, Incident
from dora_metrics.core.markdown import Md, code_span, link, number_link
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.scope import deployment_label


def deployment_link(deployment: Deployment) -> Md:
    """Return a deployment's label as code, linked to its page."""
    return link(code_span(deployment_label(deployment)), deployment.url)


_FACT_ID = re.compile(r"\b[a-z]+:[^\s;,()]*[^\s;,().:]")


def replace_ids_in_scope(text: str, history: ScopeHistory) -> str:
    """Replace the ids in a sentence by readable names. Only deployments of this scope are looked up."""
    return replace_ids(text, history.deployments_by_id)


def replace_ids(text: str, facts_by_id: Mapping[str, object]) -> str:
    """Replace the ids in a sentence by readable names: a version, `#12`, a short sha."""

    def name_of_id(match: re.Match[str]) -> str:
        fact = facts_by_id.get(match[0])
        return deployment_label(fact) if isinstance(fact, Deployment) else ids.short(match[0])

    return _FACT_ID.sub(name_of_id, text)


_MAX_TITLE_CHARACTERS = 200


def short_title(title: str | None) -> str:
    """Return a title on one line, cut at a length that lists have room for; empty if there is none."""
    line = " ".join((title or "").split())
    return line if len(line) <= _MAX_TITLE_CHARACTERS else f"{line[:_MAX_TITLE_CHARACTERS]}…"


def incident_link(incident: Incident) -> Md:
    """Return the title of an incident, or its id if it has none, linked to its page."""
    return link(short_title(incident.title) or incident.id, incident.url)


def change_link(change_id: str, change: Change | None) -> Md:
    """Return `#481` for a pull request or the short sha of a commit, linked to its page."""
    url = change.url if change else None
    number = ids.number(change_id)
    return number_link(number.removeprefix("#"), url) if number else link(code_span(ids.short(change_id)), url)

"""What people call a fact: a version, `#12`, a short sha."""

import re
from collections.abc import Mapping

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Change, Deployment
from dora_metrics.core.markdown import Md, code_span, link
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.scope import deployment_label


def deployment_link(deployment: Deployment) -> Md:
    """A deployment as people call it, linked to where it is."""
    return link(code_span(deployment_label(deployment)), deployment.url)


_FACT_ID = re.compile(r"\b[a-z]+:[^\s;,()]*[^\s;,().:]")


def replace_ids_in_scope(text: str, history: ScopeHistory) -> str:
    """A sentence about facts, with the ids in it as people call them: a version, `#12`, a short sha."""
    return replace_ids(text, history.deployments_by_id)


def replace_ids(text: str, facts_by_id: Mapping[str, object]) -> str:
    """The same, of facts of any scope by id."""

    def name_of_id(match: re.Match[str]) -> str:
        fact = facts_by_id.get(match[0])
        return deployment_label(fact) if isinstance(fact, Deployment) else ids.short(match[0])

    return _FACT_ID.sub(name_of_id, text)


def change_link(change_id: str, change: Change | None) -> Md:
    """`#481` for a pull request, the short sha for a commit; linked."""
    text = ids.short(change_id)
    return link(Md(text) if text.startswith("#") else code_span(text), change.url if change else None)

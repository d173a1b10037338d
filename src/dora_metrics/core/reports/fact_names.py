"""What people call a fact: a version, `#12`, a short sha."""

import re
from collections.abc import Mapping

from dora_metrics.core.facts.model import Change, Deployment
from dora_metrics.core.markdown import Md, code, link
from dora_metrics.core.metrics.scope_history import Record
from dora_metrics.core.scope import label


def name(deployment: Deployment) -> Md:
    """A deployment as people call it, linked to where it is."""
    return link(code(label(deployment)), deployment.url)


_IDENTITY = re.compile(r"\b[a-z]+:[^\s;,()]*[^\s;,().:]")


def readable(text: str, record: Record) -> str:
    """A sentence about facts, with the ids in it as people call them: a version, `#12`, a short sha."""
    return spoken(text, record.by_id)


def spoken(text: str, known: Mapping[str, object]) -> str:
    """The same, of facts of any scope by id."""

    def called(found: re.Match[str]) -> str:
        fact = known.get(found[0])
        return label(fact) if isinstance(fact, Deployment) else _short(found[0])

    return _IDENTITY.sub(called, text)


def _short(identity: str) -> str:
    if re.fullmatch(r"github:(?:pull|issue):.*#\d+", identity):
        return f"#{identity.rpartition('#')[2]}"
    return identity[7:14] if identity.startswith("commit:") else identity


def change_name(identity: str, change: Change | None) -> Md:
    """`#481` for a pull request, the short sha for a commit; linked."""
    shown = _short(identity)
    return link(Md(shown) if shown.startswith("#") else code(shown), change.url if change else None)

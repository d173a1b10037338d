"""From a name to everything that is known about what it means."""

from dora_metrics.core.facts.model import Deployment, Incident, Vulnerability
from dora_metrics.core.reports.explain.case import Case, Explanation
from dora_metrics.core.reports.explain.changes import change
from dora_metrics.core.reports.explain.explain import deployment
from dora_metrics.core.reports.explain.find import Found, NotFound, find
from dora_metrics.core.reports.explain.incidents import incident, vulnerability


def explain(case: Case, name: str) -> list[Explanation] | NotFound:
    """One explanation for each fact that a name means: several where a version was deployed several times."""
    match find(name, case.facts.values()):
        case Found(ids):
            return [of(case, identity) for identity in ids]
        case missing:
            return missing


def of(case: Case, identity: str) -> Explanation:
    """The explanation of one fact, or of a change that is only listed."""
    match case.facts.get(identity):
        case Deployment() as fact:
            return deployment(case, fact)
        case Incident() as fact:
            return incident(case, fact)
        case Vulnerability() as fact:
            return vulnerability(case, fact)
        case _:
            return change(case, identity)

"""The first line of a report: better or not, and what happened."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

from dora_metrics.core import formatting, schema
from dora_metrics.core.markdown import Md, joined, md
from dora_metrics.core.metrics.comparison import Verdict


def headline(scope: schema.ScopeMetrics, verdicts: Mapping[str, Verdict], incidents: int) -> Md:
    """`**Faster.** 4 deployments brought 17 changes, …; 1 of 4 failed and was back after 41 min.`

    `incidents`: how many are open.
    """
    still = md("{} open", formatting.count(incidents, "incident")) if incidents else Md("")
    return md("**{}.** {}.", _gist(verdicts), joined("; ", (*_facts(scope, verdicts), still)))


def _gist(verdicts: Mapping[str, Verdict]) -> str:
    """Only what is clear at p < 0.05; no word for the rest."""
    if not verdicts:
        return "Nothing to compare with yet"
    said = [said_as[verdict] for name, said_as in _WORDS.items() if (verdict := verdicts.get(name)) in said_as]
    if not said:
        return "No clear change"
    good = {word for said_as in _WORDS.values() for verdict, word in said_as.items() if verdict == "better"}
    text = said[0]
    for one, other in pairwise(said):
        text += f"{' and' if (one in good) is (other in good) else ', but'} {other}"
    return text.capitalize()


_WORDS: dict[str, dict[Verdict | None, str]] = {
    "lead_time": {"better": "faster", "worse": "slower"},
    "deployment_frequency": {"better": "more often", "worse": "less often"},
    "change_failure_rate": {"better": "safer", "worse": "less safe"},
    "recovery_time": {"better": "sooner repaired", "worse": "later repaired"},
}


def _facts(scope: schema.ScopeMetrics, verdicts: Mapping[str, Verdict]) -> Iterator[Md]:
    found = scope.metrics
    deployments, lost = found.deployment_frequency.deployments, found.pipeline.failed_runs
    if deployments:
        yield md(
            "{} reached {}{}", formatting.count(deployments, "deployment"), scope.environment, _lead(scope, verdicts)
        )
    elif found.change_failure_rate.deployments:
        yield md("No deployment to {} succeeded", scope.environment)
    else:
        yield md("No deployment reached {}", scope.environment)
        yield md("{} failed", formatting.count(lost, "run")) if lost else Md("")
    yield from _failures(found)


def _lead(scope: schema.ScopeMetrics, verdicts: Mapping[str, Verdict]) -> Md:
    lead, previous = scope.metrics.lead_time, scope.previous
    if lead.p50_seconds is None:
        return Md("")
    said = md(
        " with {}, median lead time {}",
        formatting.count(lead.changes, "measured change"),
        formatting.duration(lead.p50_seconds),
    )
    if previous and verdicts.get("lead_time") in ("better", "worse"):
        return md("{} (from {})", said, formatting.duration(previous.lead_time.p50_seconds))
    return said


def _failures(found: schema.Metrics) -> Iterator[Md]:
    rate, recovery = found.change_failure_rate, found.recovery_time
    if not rate.deployments:
        return
    if not rate.failed:
        yield Md("none is known to have failed")
        return
    said = md("{} of {} failed", rate.failed, rate.deployments)
    if recovery.recovered:
        alone = recovery.recovered == rate.failed == 1
        back = md("and was back after {}" if alone else "median recovery {}", formatting.duration(recovery.p50_seconds))
        said = joined(" " if alone else ", ", (said, back))
    yield md("{}, {} not over yet", said, recovery.open) if recovery.open else said

"""The first lines of a summary: what this event was, what it meant, and what it changed."""

from collections.abc import Iterator
from dataclasses import dataclass

from dora_metrics.core import formatting, schema
from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident
from dora_metrics.core.markdown import Md, joined, link, md
from dora_metrics.core.metrics.scope_history import Record
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.fact_names import change_name, name, readable
from dora_metrics.core.reports.sections import NAMES, plain
from dora_metrics.core.statistics import quantile

_MOST = 5


@dataclass(frozen=True)
class Story:
    """A headline and the sentences under it."""

    headline: Md
    sentences: tuple[Md, ...] = ()


@dataclass(frozen=True)
class Happening:
    """What started the run, in one plain sentence, and the facts it brought."""

    title: str
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class Setting:
    """The scope that a story plays in: judged, and in numbers with and without the event; `span` names the window.

    `security`: one sentence on its vulnerabilities, empty where there is nothing to say.
    """

    record: Record | None
    scope: schema.ScopeMetrics | None
    was: schema.ScopeMetrics | None
    policy: Policy
    span: str
    security: str = ""


def tell(happening: Happening | None, setting: Setting) -> Story:
    """What happened, in the light of the scope it belongs to."""
    story = _event(happening, setting) if happening else _standing(setting)
    if setting.scope is None:
        return Story(story.headline, (*story.sentences, *_nothing_yet()))
    security = (md("{}", setting.security),) if setting.security else ()
    return Story(story.headline, (*story.sentences, *_changed(setting.scope, setting.was), *security))


def _standing(setting: Setting) -> Story:
    """Where delivery stands, in one line."""
    if setting.record is None or setting.scope is None:
        return Story(Md("📊 Delivery"))
    found = setting.scope.metrics
    parts = [_deployments(found.deployment_frequency.per_day)]
    if found.lead_time.p50_seconds is not None:
        parts.append(f"lead time {formatting.duration(found.lead_time.p50_seconds)}")
    if found.change_failure_rate.ratio is not None:
        parts.append(f"{formatting.percent(found.change_failure_rate.ratio)} failed")
    return Story(md("📊 {}: {}", setting.record.scope.repository, ", ".join(parts)))


def _deployments(per_day: float | None) -> str:
    """`2.3 deployments a week`."""
    if not per_day:
        return "no deployments"
    number, _, rest = formatting.frequency(per_day).partition(" ")
    return f"{number} deployment{'' if number == '1' else 's'} {rest}"


def _event(happening: Happening, setting: Setting) -> Story:
    fact = next((f for kind in (Deployment, Incident, Change) for f in happening.facts if isinstance(f, kind)), None)
    match fact:
        case Deployment():
            return _deployment(fact, setting)
        case Incident():
            return _incident(fact, setting.record)
        case Change():
            return _change(fact, setting.policy)
        case _ if setting.scope:
            return Story(_standing(setting).headline, (md("{}.", happening.title),))
        case _:
            return Story(md("ℹ️ {}", happening.title))


def _nothing_yet() -> tuple[Md, ...]:
    return (
        Md("**No production deployment is known yet**, so there are no numbers."),
        Md(
            "They begin with the first deployment that is recorded: a deployment to an environment named like "
            "`production`, a published release, a run of a deploy workflow, or a deploy job that calls this action "
            "with `environment:`."
        ),
    )


def _deployment(deployment: Deployment, setting: Setting) -> Story:
    environment, record = deployment.environment or "production", setting.record
    if deployment.status == "cancelled":
        return Story(md("⏹️ Deployment of {} to {} was cancelled: it counts nowhere", name(deployment), environment))
    if deployment.status == "failure":
        return Story(
            md("❌ Deployment of {} to {} failed", name(deployment), environment), tuple(_failed_run(setting.policy))
        )
    if record is None or not setting.policy.is_production(environment):
        return Story(md("📦 {} reached {}, which is not production", name(deployment), environment))
    leads = sorted(lead.seconds for lead in record.leads.measured if lead.deployment == deployment.id)
    headline = md("🚀 {} reached {}", name(deployment), environment)
    if leads:
        many, middle = (
            formatting.count(len(deployment.changes or ()), "change"),
            formatting.duration(quantile(leads, 0.5)),
        )
        headline = md("{} · {}, median lead time **{}**", headline, many, middle)
    return Story(headline, (joined(" ", (_place(deployment, setting), *_success(deployment, record, leads))),))


def _place(deployment: Deployment, setting: Setting) -> Md:
    """Which one it is in the window, where it is the newest."""
    done = [d for d in setting.record.deployments if d.status == "success"] if setting.record else []
    if not done or not setting.scope or done[-1].id != deployment.id:
        return Md("")
    number = setting.scope.metrics.deployment_frequency.deployments
    if not number:
        return Md("It lies outside of the window of the numbers below.")
    return md(
        "The {} deployment in the {}.",
        formatting.ordinal(number),
        setting.span if setting.span.startswith("last") else "window",
    )


def _failed_run(policy: Policy) -> Iterator[Md]:
    if policy.count_failed_runs:
        yield Md("It counts as a failed deployment, because `count-failed-runs` is on.")
    else:
        yield Md("It did not reach users, so it is a pipeline failure and in no failure rate.")


def _success(deployment: Deployment, record: Record, leads: list[float]) -> Iterator[Md]:
    if deployment.changes:
        yield _delivered(deployment, record, leads)
    elif deployment.changes is None and deployment == record.first_success:
        yield Md("As the first that is known here, it only bounds what the next one delivers.")
    elif deployment.changes is None:
        yield Md("What it delivered is not known yet.")
    else:
        yield Md("It delivered nothing new.")
    for failure in record.failures:
        if failure.remediated_by == deployment.id:
            yield md(
                "It ended the failure of {} ({}, {}).",
                name(failure.deployment),
                failure.rule,
                formatting.duration(failure.seconds),
            )
        if failure.deployment.id == deployment.id:
            yield md("It is marked as failed by `{}`: {}.", Md(failure.rule), readable(failure.because, record))
    if reason := record.rework.get(deployment.id):
        yield md("It was rework ({}).", readable(reason, record))


def _delivered(deployment: Deployment, record: Record, leads: list[float]) -> Md:
    links = [change_name(identity, record.changes.get(identity)) for identity in deployment.changes or ()]
    shown = joined(", ", links[:_MOST]) + (f" and {len(links) - _MOST} more" if len(links) > _MOST else "")
    if not leads:
        return Md(f"It delivered {shown}.")
    return Md(f"It delivered {shown}, the oldest {formatting.duration(leads[-1])} after its start.")


def _incident(incident: Incident, record: Record | None) -> Story:
    title = link(incident.title or incident.id, incident.url)
    if incident.retracted:
        return Story(md("Not an incident after all: {}", title))
    placed = next((one for one in record.incidents if one.incident.id == incident.id), None) if record else None
    if incident.resolved_at:
        span = (incident.resolved_at - incident.detected_at).total_seconds()
        headline = md("✅ Incident over after {}: {}", formatting.duration(max(span, 0)), title)
    else:
        headline = md("🔥 Incident: {}", title)
    if placed is None:
        return Story(headline)
    if placed.blamed is None:
        return Story(headline, (md("It is blamed on no deployment: {}.", placed.because),))
    return Story(headline, (md("It is blamed on {}: {}.", name(placed.blamed), placed.because),))


def _change(change: Change, policy: Policy) -> Story:
    headline = md("🔀 {} was merged: {}", change_name(change.id, change), change.title or "without a title")
    left_out = change.bot and policy.exclude_bots
    return Story(
        headline,
        (Md("By a bot: it is in no lead time.") if left_out else Md("It counts once it is deployed."),),
    )


def _changed(scope: schema.ScopeMetrics, was: schema.ScopeMetrics | None) -> Iterator[Md]:
    """The numbers whose words this event changed."""
    if was is None:
        return
    pairs = (
        (title, plain(getattr(was.metrics, key)), plain(getattr(scope.metrics, key))) for key, title in NAMES.items()
    )
    moved = [md("{} {} → **{}**", title.lower(), before, after) for title, before, after in pairs if before != after]
    if moved:
        yield Md(f"It changed: {joined(' · ', moved)}.")

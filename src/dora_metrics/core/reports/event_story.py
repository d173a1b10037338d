"""The first lines of a summary: what this event was, what it meant, and what it changed."""

from collections.abc import Iterator
from dataclasses import dataclass

from dora_metrics.core import formatting, schema
from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident
from dora_metrics.core.markdown import Md, join_non_empty, link, md
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.fact_names import change_link, deployment_link, replace_ids_in_scope
from dora_metrics.core.reports.sections import METRIC_TITLES, value_text
from dora_metrics.core.scope import environment_of
from dora_metrics.core.statistics import quantile

_MAX_LISTED_CHANGES = 5


@dataclass(frozen=True)
class EventStory:
    """A headline and the sentences under it."""

    headline: Md
    sentences: tuple[Md, ...] = ()


@dataclass(frozen=True)
class EventInfo:
    """What started the run, in one plain sentence, and the facts it brought."""

    title: str
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class StoryContext:
    """The scope that a story plays in: judged, and in numbers with and without the event; `span` names the window.

    `security`: one sentence on its vulnerabilities, empty where there is nothing to say.
    """

    history: ScopeHistory | None
    scope_metrics: schema.ScopeMetrics | None
    metrics_before_event: schema.ScopeMetrics | None
    policy: Policy
    window_text: str
    security_sentence: str = ""


def describe_event(event: EventInfo | None, context: StoryContext) -> EventStory:
    """What happened, in the light of the scope it belongs to."""
    story = _event_story(event, context) if event else _status_story(context)
    if context.scope_metrics is None:
        return EventStory(story.headline, (*story.sentences, *_no_deployment_sentences()))
    security_sentences = (md("{}", context.security_sentence),) if context.security_sentence else ()
    return EventStory(
        story.headline,
        (
            *story.sentences,
            *_metric_differences(context.scope_metrics, context.metrics_before_event),
            *security_sentences,
        ),
    )


def _status_story(context: StoryContext) -> EventStory:
    """Where delivery stands, in one line."""
    if context.history is None or context.scope_metrics is None:
        return EventStory(Md("📊 Delivery"))
    metrics = context.scope_metrics.metrics
    parts = [_frequency_text(metrics.deployment_frequency.per_day)]
    if metrics.lead_time.p50_seconds is not None:
        parts.append(f"lead time {formatting.duration(metrics.lead_time.p50_seconds)}")
    if metrics.change_failure_rate.ratio is not None:
        parts.append(f"{formatting.percent(metrics.change_failure_rate.ratio)} failed")
    return EventStory(md("📊 {}: {}", context.history.scope.repository, ", ".join(parts)))


def _frequency_text(per_day: float | None) -> str:
    """`2.3 deployments a week`."""
    if not per_day:
        return "no deployments"
    number, _, unit = formatting.frequency(per_day).partition(" ")
    return f"{number} deployment{'' if number == '1' else 's'} {unit}"


def _event_story(event: EventInfo, context: StoryContext) -> EventStory:
    fact = next(
        (f for fact_type in (Deployment, Incident, Change) for f in event.facts if isinstance(f, fact_type)), None
    )
    match fact:
        case Deployment():
            return _deployment_story(fact, context)
        case Incident():
            return _incident_story(fact, context.history)
        case Change():
            return _change_story(fact, context.policy)
        case _ if context.scope_metrics:
            return EventStory(_status_story(context).headline, (md("{}.", event.title),))
        case _:
            return EventStory(md("ℹ️ {}", event.title))


def _no_deployment_sentences() -> tuple[Md, ...]:
    return (
        Md("**No production deployment is known yet**, so there are no numbers."),
        Md(
            "They begin with the first deployment that is recorded: a deployment to an environment named like "
            "`production`, a published release, a run of a deploy workflow, or a deploy job that calls this action "
            "with `environment:`."
        ),
    )


def _deployment_story(deployment: Deployment, context: StoryContext) -> EventStory:
    environment, history = environment_of(deployment), context.history
    if deployment.status == "cancelled":
        return EventStory(
            md("⏹️ Deployment of {} to {} was cancelled: it counts nowhere", deployment_link(deployment), environment)
        )
    if deployment.status == "failure":
        return EventStory(
            md("❌ Deployment of {} to {} failed", deployment_link(deployment), environment),
            tuple(_failed_run_sentences(context.policy)),
        )
    if history is None or not context.policy.is_production(environment):
        return EventStory(md("📦 {} reached {}, which is not production", deployment_link(deployment), environment))
    lead_times_seconds = sorted(
        measured_change.seconds
        for measured_change in history.lead_times.measured
        if measured_change.deployment_id == deployment.id
    )
    headline = md("🚀 {} reached {}", deployment_link(deployment), environment)
    if lead_times_seconds:
        change_count, median_lead_time = (
            formatting.count(len(deployment.changes or ()), "change"),
            formatting.duration(quantile(lead_times_seconds, 0.5)),
        )
        headline = md("{} · {}, median lead time **{}**", headline, change_count, median_lead_time)
    return EventStory(
        headline,
        (
            join_non_empty(
                " ",
                (
                    _position_in_window(deployment, context),
                    *_success_sentences(deployment, history, lead_times_seconds),
                ),
            ),
        ),
    )


def _position_in_window(deployment: Deployment, context: StoryContext) -> Md:
    """Which one it is in the window, where it is the newest."""
    successes = [d for d in context.history.deployments if d.status == "success"] if context.history else []
    if not successes or not context.scope_metrics or successes[-1].id != deployment.id:
        return Md("")
    window_deployment_count = context.scope_metrics.metrics.deployment_frequency.deployments
    if not window_deployment_count:
        return Md("It lies outside of the window of the numbers below.")
    return md(
        "The {} deployment in the {}.",
        formatting.ordinal(window_deployment_count),
        context.window_text if context.window_text.startswith("last") else "window",
    )


def _failed_run_sentences(policy: Policy) -> Iterator[Md]:
    if policy.count_failed_runs:
        yield Md("It counts as a failed deployment, because `count-failed-runs` is on.")
    else:
        yield Md("It did not reach users, so it is a pipeline failure and in no failure rate.")


def _success_sentences(deployment: Deployment, history: ScopeHistory, lead_times_seconds: list[float]) -> Iterator[Md]:
    if deployment.changes:
        yield _delivered_changes(deployment, history, lead_times_seconds)
    elif deployment.changes is None and deployment == history.first_success:
        yield Md("As the first that is known here, it only bounds what the next one delivers.")
    elif deployment.changes is None:
        yield Md("What it delivered is not known yet.")
    else:
        yield Md("It delivered nothing new.")
    for failure in history.failures:
        if failure.remediated_by == deployment.id:
            yield md(
                "It ended the failure of {} ({}, {}).",
                deployment_link(failure.deployment),
                failure.rule,
                formatting.duration(failure.recovery_seconds),
            )
        if failure.deployment.id == deployment.id:
            yield md(
                "It is marked as failed by `{}`: {}.", Md(failure.rule), replace_ids_in_scope(failure.because, history)
            )
    if reason := history.rework_reasons.get(deployment.id):
        yield md("It was rework ({}).", replace_ids_in_scope(reason, history))


def _delivered_changes(deployment: Deployment, history: ScopeHistory, lead_times_seconds: list[float]) -> Md:
    links = [change_link(change_id, history.changes.get(change_id)) for change_id in deployment.changes or ()]
    text = join_non_empty(", ", links[:_MAX_LISTED_CHANGES]) + (
        f" and {len(links) - _MAX_LISTED_CHANGES} more" if len(links) > _MAX_LISTED_CHANGES else ""
    )
    if not lead_times_seconds:
        return Md(f"It delivered {text}.")
    return Md(f"It delivered {text}, the oldest {formatting.duration(lead_times_seconds[-1])} after its start.")


def _incident_story(incident: Incident, history: ScopeHistory | None) -> EventStory:
    title = link(incident.title or incident.id, incident.url)
    if incident.retracted:
        return EventStory(md("Not an incident after all: {}", title))
    attribution = (
        next((candidate for candidate in history.incidents if candidate.incident.id == incident.id), None)
        if history
        else None
    )
    if incident.resolved_at:
        duration_seconds = (incident.resolved_at - incident.detected_at).total_seconds()
        headline = md("✅ Incident over after {}: {}", formatting.duration(max(duration_seconds, 0)), title)
    else:
        headline = md("🔥 Incident: {}", title)
    if attribution is None:
        return EventStory(headline)
    if attribution.attributed_to is None:
        return EventStory(headline, (md("It is blamed on no deployment: {}.", attribution.because),))
    return EventStory(
        headline, (md("It is blamed on {}: {}.", deployment_link(attribution.attributed_to), attribution.because),)
    )


def _change_story(change: Change, policy: Policy) -> EventStory:
    headline = md("🔀 {} was merged: {}", change_link(change.id, change), change.title or "without a title")
    is_excluded = change.bot and policy.exclude_bots
    return EventStory(
        headline,
        (Md("By a bot: it is in no lead time.") if is_excluded else Md("It counts once it is deployed."),),
    )


def _metric_differences(
    scope_metrics: schema.ScopeMetrics, metrics_before_event: schema.ScopeMetrics | None
) -> Iterator[Md]:
    """The numbers whose words this event changed."""
    if metrics_before_event is None:
        return
    values = (
        (
            title,
            value_text(getattr(metrics_before_event.metrics, metric)),
            value_text(getattr(scope_metrics.metrics, metric)),
        )
        for metric, title in METRIC_TITLES.items()
    )
    differences = [
        md("{} {} → **{}**", title.lower(), before, after) for title, before, after in values if before != after
    ]
    if differences:
        yield Md(f"It changed: {join_non_empty(' · ', differences)}.")

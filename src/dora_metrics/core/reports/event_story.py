"""The first lines of a job summary: the event, what follows from it, and which metrics it changed."""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from dora_metrics.core import formatting, schema
from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident
from dora_metrics.core.markdown import Md, code_span, join_non_empty, md
from dora_metrics.core.metrics.scope_history import ScopeHistory, redeployment_ids
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.attempt_parts import part_sentence
from dora_metrics.core.reports.fact_names import (
    change_link,
    deployment_link,
    incident_link,
    replace_ids_in_scope,
    short_title,
)
from dora_metrics.core.reports.sections import failed_count_text
from dora_metrics.core.scope import environment_of, scope_label
from dora_metrics.core.statistics import quantile
from dora_metrics.core.targets import units
from dora_metrics.core.targets.metric import METRICS

_MAX_LISTED_CHANGES = 5


class EventStory(Struct, frozen=True):
    """A headline and the sentences below it."""

    headline: Md
    sentences: tuple[Md, ...] = ()


class EventInfo(Struct, frozen=True):
    """The event that started the run: a one-sentence title and the facts read from it.

    `part_count` is how many jobs the attempt's matrix has, if the event is a job of one; otherwise 1.
    """

    title: str
    facts: tuple[Fact, ...] = ()
    part_count: int = 1


class StoryContext(Struct, frozen=True):
    """The scope that the event belongs to, with its metrics.

    `history` and `scope_metrics` are None until the scope has a deployment. `metrics_before_event`: the metrics without
    the event's facts, None without an event. `window_text`: such as `last 30 days`, which `window_days` is the length
    of. `security_sentence`: a sentence on the scope's vulnerabilities; empty if there are none. `left_out` says of
    deployments by id why they do not count. `is_of_clone`: nothing is recorded, only a git history was read.
    `has_other_scopes`: whether there are other scopes, so that the name of the repository alone is not this one's.
    """

    history: ScopeHistory | None
    scope_metrics: schema.ScopeMetrics | None
    metrics_before_event: schema.Metrics | None
    policy: Policy
    window_text: str
    window_days: float
    security_sentence: str = ""
    left_out: Mapping[str, str] = {}
    is_of_clone: bool = False
    has_other_scopes: bool = False


def describe_event(event: EventInfo | None, context: StoryContext) -> EventStory:
    """Describe an event and its effect on the scope's metrics; without an event, the current metrics."""
    story = _event_story(event, context) if event else _status_story(context)
    if context.scope_metrics is None:
        return EventStory(story.headline, (*story.sentences, *_no_deployment_sentences(context)))
    differences = _metric_differences(context.scope_metrics.metrics, context.metrics_before_event)
    security = (md("{}", context.security_sentence),) if context.security_sentence else ()
    return EventStory(story.headline, (*story.sentences, *differences, *security))


def _status_story(context: StoryContext) -> EventStory:
    """Return a headline with the current metrics and no sentences."""
    if context.history is None or context.scope_metrics is None:
        return EventStory(Md("📊 Delivery"))
    metrics = context.scope_metrics.metrics
    parts = [_deployment_count_text(metrics, context.window_days)]
    lead_time = units.format_result(metrics.lead_time)
    if lead_time not in (formatting.NO_VALUE, units.NOT_MEASURABLE):
        parts.append(f"median lead time {lead_time}")
    parts += _failed_count_text(metrics)
    scope = context.history.scope
    name = f"{scope.repository} · {scope_label(scope)}" if context.has_other_scopes else scope.repository
    return EventStory(md("📊 {}: {}", name, ", ".join(parts)))


def _deployment_count_text(metrics: schema.Metrics, window_days: float) -> str:
    """Return the number of deployments in the window: `1 deployment in 61 days`. A headline extrapolates nothing.

    They are called successful where others were counted with them in the failure rate.
    """
    frequency = metrics.deployment_frequency
    if frequency.per_day is None:
        return frequency.reason or formatting.NO_VALUE
    noun = "successful deployment" if metrics.change_failure_rate.deployments > frequency.deployments else "deployment"
    count = formatting.count(frequency.deployments, noun) if frequency.deployments else f"no {noun}"
    return f"{count} in {formatting.days_or_hours(window_days)}"


def _failed_count_text(metrics: schema.Metrics) -> Iterator[str]:
    """Yield the number of failed deployments, unless none is known because incidents are unknown."""
    rate = metrics.change_failure_rate
    if rate.failed:
        yield failed_count_text(metrics)
    elif rate.deployments and not units.is_lower_bound(rate):
        yield "no known failures"


def _event_story(event: EventInfo, context: StoryContext) -> EventStory:
    fact_types = (Deployment, Incident, Change)
    fact = next((fact for each in fact_types for fact in event.facts if isinstance(fact, each)), None)
    match fact:
        case Deployment():
            return _part_story(fact, context, event.part_count)
        case Incident():
            return _incident_story(fact, context.history)
        case Change():
            return _change_story(fact, context.policy)
        case _ if context.scope_metrics:
            return EventStory(_status_story(context).headline, (md("{}.", event.title),))
        case _:
            return EventStory(md("ℹ️ {}", event.title))


def _no_deployment_sentences(context: StoryContext) -> Iterator[Md]:
    if context.is_of_clone:
        yield Md("**No production deployment is known**, so there are no numbers.")
        return
    yield Md("**No production deployment is known yet**, so there are no numbers.")
    yield Md(
        "They start with the first recorded deployment: a deployment to an environment such as `production` "
        "or `eu-prod`, a published release, a run of a deploy workflow, or a deploy job that calls this action with "
        "`environment:`."
    )


def _part_story(deployment: Deployment, context: StoryContext, part_count: int) -> EventStory:
    """Describe the deployment that a fact is a part of, followed by which part it is."""
    if reason := context.left_out.get(deployment.id):
        headline = md("ℹ️ {} in {} does not count", deployment_link(deployment), environment_of(deployment))
        return EventStory(headline, (md("It is not a deployment: {}.", reason),))
    attempt = context.history.attempt_of(deployment) if context.history else deployment
    story = _deployment_story(attempt, context)
    parts = context.history.parts.get(attempt.id, ()) if context.history else ()
    sentence = part_sentence(deployment, parts, part_count)
    return EventStory(story.headline, (*story.sentences, sentence)) if sentence else story


def _deployment_story(deployment: Deployment, context: StoryContext) -> EventStory:
    environment, history = environment_of(deployment), context.history
    name = deployment_link(deployment)
    if deployment.status == "cancelled":
        return EventStory(md("⏹️ Deployment of {} to {} was cancelled and does not count", name, environment))
    if deployment.status == "failure":
        headline = md("❌ Deployment of {} to {} failed", name, environment)
        return EventStory(headline, (_failed_run_sentence(deployment, context.policy),))
    is_counted = history is not None and deployment.id in history.deployments_by_id
    if not is_counted and not context.policy.is_production(environment):
        return EventStory(md("📦 {} reached {}, which is not production", name, environment))
    if history is None:
        return EventStory(md("🚀 {} reached {}", name, environment))
    measured = (each for each in history.lead_times.measured if each.deployment_id == deployment.id)
    lead_times_seconds = sorted(each.seconds for each in measured)
    headline = _success_headline(deployment, environment, lead_times_seconds)
    sentences = _success_sentences(deployment, history, lead_times_seconds)
    paragraph = join_non_empty(
        " ", (_position_in_window(deployment, context), *sentences, _production_sentence(deployment, context))
    )
    return EventStory(headline, (paragraph,))


def _position_in_window(deployment: Deployment, context: StoryContext) -> Md:
    """Return the position of the scope's newest success in the window; empty for any other deployment."""
    deployments = context.history.deployments if context.history else []
    newest = next((each for each in reversed(deployments) if each.status == "success"), None)
    if newest is None or newest.id != deployment.id or not context.scope_metrics:
        return Md("")
    deployment_count = context.scope_metrics.metrics.deployment_frequency.deployments
    if not deployment_count:
        return Md("It is outside the window of the numbers below.")
    window = context.window_text if context.window_text.startswith("last") else "window"
    return md("The {} deployment in the {}.", formatting.ordinal(deployment_count), window)


def _production_sentence(deployment: Deployment, context: StoryContext) -> Md:
    """Say of a scope's first success why its environment is production, unless the setting has exactly this name."""
    is_first = context.history is not None and deployment == context.history.first_success
    environment = environment_of(deployment)
    if not is_first or environment.lower() in map(str.lower, context.policy.production_environments):
        return Md("")
    return md("{} counts as production because of a word in its name (`production-environments`).", environment)


def _failed_run_sentence(deployment: Deployment, policy: Policy) -> Md:
    if deployment.reached_users:
        return Md("It reached users, so it counts as a failed deployment.")
    if policy.count_failed_runs:
        return Md("It counts as a failed deployment, because `count-failed-runs` is on.")
    return Md("It did not reach users, so it counts as a failed run. It is not in the change failure rate.")


def _success_headline(deployment: Deployment, environment: str | None, lead_times_seconds: list[float]) -> Md:
    headline = md("🚀 {} reached {}", deployment_link(deployment), environment)
    if not lead_times_seconds:
        return headline
    change_count = formatting.count(len(deployment.changes or ()), "change")
    median = formatting.duration(quantile(lead_times_seconds, 0.5))
    return md("{} · {}, median lead time **{}**", headline, change_count, median)


def _success_sentences(deployment: Deployment, history: ScopeHistory, lead_times_seconds: list[float]) -> Iterator[Md]:
    yield _delivery_sentence(deployment, history, lead_times_seconds)
    for failure in history.failures:
        if failure.remediated_by == deployment.id:
            duration = formatting.duration(failure.recovery_seconds)
            yield md(
                "It ended the failure of {} (rule {}) after {}.",
                deployment_link(failure.deployment),
                code_span(failure.rule),
                duration,
            )
        if failure.deployment.id == deployment.id:
            cause = replace_ids_in_scope(failure.because, history)
            yield md("It counts as failed by rule {}: {}.", code_span(failure.rule), cause)
    if reason := history.rework_reasons.get(deployment.id):
        yield md("It counts as rework ({}).", replace_ids_in_scope(reason, history))


def _delivery_sentence(deployment: Deployment, history: ScopeHistory, lead_times_seconds: list[float]) -> Md:
    """Return which changes a deployment delivered, or why they are unknown."""
    if deployment.changes is None:
        if deployment == history.first_success:
            return Md(
                "This is the first recorded deployment, the baseline. There is nothing earlier to compare it with, so "
                "it has no lead time."
            )
        if deployment.is_new_baseline:
            return Md(
                "It has no commit in common with any earlier deployment, as after the code's history was rewritten. "
                "It is a new baseline, so it has no lead time."
            )
        return Md("What it delivered is not known yet.")
    if not deployment.changes or deployment.id in redeployment_ids(history.deployments):
        return Md("It delivered nothing new.")
    links = [change_link(change_id, history.changes.get(change_id)) for change_id in deployment.changes]
    omitted_count = len(links) - _MAX_LISTED_CHANGES
    delivered = join_non_empty(", ", links[:_MAX_LISTED_CHANGES])
    if omitted_count > 0:
        delivered = md("{} and {} more", delivered, omitted_count)
    if not lead_times_seconds:
        return md("It delivered {}.", delivered)
    return md("It delivered {}; the longest lead time was {}.", delivered, formatting.duration(lead_times_seconds[-1]))


def _incident_story(incident: Incident, history: ScopeHistory | None) -> EventStory:
    title = incident_link(incident)
    if incident.retracted:
        return EventStory(md("No longer an incident: {}", title))
    attributions = history.incidents if history else []
    attribution = next((each for each in attributions if incident.id in each.report_ids), None)
    if attribution is None:
        return EventStory(_incident_headline(incident, title))
    headline = _incident_headline(attribution.incident, title)
    cause, deployment = attribution.because, attribution.attributed_to
    if deployment is None:
        return EventStory(headline, (md("It is attributed to no deployment: {}.", cause),))
    return EventStory(headline, (md("It is attributed to {}: {}.", deployment_link(deployment), cause),))


def _incident_headline(incident: Incident, title: Md) -> Md:
    if incident.resolved_at is None:
        return md("🔥 Incident: {}", title)
    duration_seconds = (incident.resolved_at - incident.detected_at).total_seconds()
    return md("✅ Incident resolved after {}: {}", formatting.duration(max(duration_seconds, 0)), title)


def _change_story(change: Change, policy: Policy) -> EventStory:
    headline = md(
        "🔀 {} was merged: {}", change_link(change.id, change), short_title(change.title) or "without a title"
    )
    is_excluded = change.bot and policy.exclude_bots
    sentence = "It is by a bot, so it is excluded from lead time." if is_excluded else "It counts once it is deployed."
    return EventStory(headline, (Md(sentence),))


def _metric_differences(metrics: schema.Metrics, metrics_before_event: schema.Metrics | None) -> Iterator[Md]:
    """Yield a sentence on the metrics whose displayed value the event changed, if there are any."""
    if metrics_before_event is None:
        return
    differences = []
    for metric in METRICS.values():
        before, after = metric.result_in(metrics_before_event), metric.result_in(metrics)
        if units.format_result(before) != units.format_result(after):
            label = "deployments" if metric.key == "deployment_frequency" else metric.label.lower()
            differences.append(md("{} {} → **{}**", label, *map(units.format_counts, (before, after))))
    if differences:
        yield md("Changed numbers: {}.", join_non_empty(" · ", differences))

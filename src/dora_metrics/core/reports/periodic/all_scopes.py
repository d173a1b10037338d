"""The content of one report on all scopes: a table, the scopes that need attention, and links to the page.

Templates only loop over it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from itertools import chain

from dora_metrics.core import formatting, schema
from dora_metrics.core.markdown import Md, join_non_empty, link, md
from dora_metrics.core.metrics.pooled import PooledMetrics, group_by_team, pool
from dora_metrics.core.periods import Period
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.periodic.attention import (
    AttentionReason,
    compare_periods,
    reasons_for_attention,
)
from dora_metrics.core.reports.periodic.content import ReportInput, previous_period_title, title_of
from dora_metrics.core.reports.periodic.page_address import NO_PAGE, PageAddress
from dora_metrics.core.reports.summary import repository_url
from dora_metrics.core.reports.teams import MAX_TEAM_ROWS, lead_time_text
from dora_metrics.core.scope import Scope, scope_label
from dora_metrics.core.targets import goals, units
from dora_metrics.core.targets.metric import METRICS

MAX_DESCRIBED_SCOPES = 3
"""Scopes that need attention and are described below the table."""

_MAX_UNFOLDED_ROWS = 20
_UNFOLDED_ROWS = 10
"""Rows above the fold of a table that has more than the maximum."""

_MAX_NAMES = 3
_MAX_NAME_CHARACTERS = 80
_QUIET_AFTER = timedelta(days=30)


@dataclass(frozen=True)
class ReportRow:
    """A row of the table: a scope, or several together. A `str` is untrusted and gets escaped; `Md` is not escaped.

    `before`: deployments of the previous period. `failed`: failed deployments of all that reached users. `attention`:
    the weightiest reason why the scope needs attention, empty if it does not; of several, how many need it. `team`:
    empty for several.
    """

    name: Md
    team: str
    deployments: str
    before: str
    lead_time: str
    failed: str
    recovery: str
    last_deployment: str
    attention: Md


@dataclass(frozen=True)
class ScopeInNeed:
    """A scope that needs attention, with every reason."""

    name: Md
    reasons: tuple[Md, ...]


@dataclass(frozen=True)
class AllScopesReport:
    """A report on all scopes, ready to render.

    `before`: what the previous period is called, `before_in_words` in a sentence. `basis_days`: length of the window
    that decides which scopes are in the report. `folded_rows`: rows of a long table that are shown on a click. `total`:
    all scopes together, from the raw values. `teams`: the same of each team; empty without teams, and then no scope has
    one. `omitted_team_count`: teams without a row. `teamless`: a sentence on the scopes without a team. `needy`: the
    scopes to describe. `other_needy_count`: further ones that need attention. `improved` and `quiet`: sentences, empty
    if there is nothing to say. `goals`: one line each. `page`: where the page is. `omitted_row_count`: scopes without a
    row, to save space. `is_in_ledger`: whether a ledger has the numbers as files. `has_tasks`: whether people shall
    write down what they do about it.
    """

    title: str
    period: Period
    headline: Md
    before: str
    before_in_words: str
    basis_days: int
    rows: tuple[ReportRow, ...]
    folded_rows: tuple[ReportRow, ...]
    total: ReportRow
    teams: tuple[ReportRow, ...]
    omitted_team_count: int
    teamless: Md
    needy: tuple[ScopeInNeed, ...]
    other_needy_count: int
    improved: Md
    quiet: Md
    goals: tuple[Md, ...]
    page: Md
    omitted_row_count: int
    is_in_ledger: bool
    notes: Sequence[str]
    has_tasks: bool

    @property
    def tables(self) -> Iterator[tuple[ReportRow, ...]]:
        """The table with the row of all scopes together, then the one that is folded, if there is one."""
        yield (*self.rows, self.total)
        if self.folded_rows:
            yield self.folded_rows


@dataclass(frozen=True)
class ScopeInReport:
    """A scope with what its row is made from."""

    report_input: ReportInput
    reasons: tuple[AttentionReason, ...]

    @classmethod
    def of(cls, report_input: ReportInput) -> "ScopeInReport":
        """Find out why a scope needs attention."""
        return cls(report_input, reasons_for_attention(report_input))

    @property
    def scope(self) -> Scope:
        return self.report_input.history.scope

    @property
    def team(self) -> str | None:
        return self.report_input.results.policy.team_of(self.scope)

    @property
    def metrics(self) -> schema.Metrics:
        """The numbers of the period."""
        return self.report_input.scope_metrics.metrics

    @property
    def order(self) -> tuple[object, ...]:
        """Sorts scopes: those that need attention first, then those with deployments, then by name."""
        weight = sum(reason.weight for reason in self.reasons)
        return -weight, not self.metrics.deployment_frequency.deployments, self.scope

    @cached_property
    def improvements(self) -> tuple[str, ...]:
        """The metrics that are clearly better than in the period before."""
        verdicts = compare_periods(self.report_input)
        return tuple(METRICS[key].label.lower() for key, verdict in verdicts.items() if verdict == "better")

    @property
    def is_quiet(self) -> bool:
        """Whether the last deployment is more than 30 days before the period's end."""
        newest = self.report_input.last_deployment
        return newest is not None and newest.finished_at < self.report_input.period.window.end - _QUIET_AFTER


@dataclass(frozen=True)
class RowLimits:
    """How much of the table is shown. A report that does not fit into an issue gets lower limits."""

    rows: int
    has_links: bool


def build_all_scopes_report(scopes: Sequence[ScopeInReport], page: PageAddress, limits: RowLimits) -> AllScopesReport:
    """Build the report. `scopes`: at least one, in the order of `ScopeInReport.order`."""
    period, results = scopes[0].report_input.period, scopes[0].report_input.results
    names = _ScopeNames(scopes, page if limits.has_links else NO_PAGE, has_links=limits.has_links)
    needy = [each for each in scopes if each.reasons]
    rows = tuple(_row(each, names) for each in scopes[: limits.rows])
    unfolded_count = len(rows) if len(rows) <= _MAX_UNFOLDED_ROWS else _UNFOLDED_ROWS
    linked = replace(names, page=page, has_links=True)
    teams, max_team_rows = _team_rows(scopes), min(MAX_TEAM_ROWS, limits.rows)
    pooled = _pooled(scopes)
    return AllScopesReport(
        title=title_of(_subject(scopes), period),
        period=period,
        headline=_headline(pooled, scopes, len(needy)),
        before=previous_period_title(period),
        before_in_words=_before(period),
        basis_days=round(period.basis.days),
        rows=rows[:unfolded_count],
        folded_rows=rows[unfolded_count:],
        total=_pooled_row(Md("**All scopes**"), pooled, scopes, Md("")),
        teams=teams[:max_team_rows],
        omitted_team_count=len(teams[max_team_rows:]),
        teamless=_teamless_sentence(scopes, linked) if teams else Md(""),
        needy=tuple(
            ScopeInNeed(linked.of(each), tuple(reason.text for reason in each.reasons))
            for each in needy[:MAX_DESCRIBED_SCOPES]
        ),
        other_needy_count=len(needy[MAX_DESCRIBED_SCOPES:]),
        improved=_improved_sentence(scopes, linked),
        quiet=_quiet_sentence(scopes, linked),
        goals=tuple(_goal_lines(scopes)),
        page=page.sentence(),
        omitted_row_count=len(scopes[limits.rows :]),
        is_in_ledger=results.is_in_ledger,
        notes=results.document.notes[:_MAX_NOTES],
        has_tasks=period.kind != "weekly",
    )


_MAX_NOTES = 5


def _subject(scopes: Sequence[ScopeInReport]) -> str:
    """Return what all scopes have in common: their repository, its owner, or how many repositories they are in."""
    repositories = sorted({each.scope.repository for each in scopes})
    owners = {repository.partition("/")[0] for repository in repositories}
    if len(repositories) == 1:
        return repositories[0]
    return owners.pop() if len(owners) == 1 else formatting.count(len(repositories), "repository", "repositories")


@dataclass(frozen=True)
class _ScopeNames:
    """Names of scopes: with the repository if there are several, linked to the page or to the repository."""

    scopes: Sequence[ScopeInReport]
    page: PageAddress
    has_links: bool

    def of(self, scope: ScopeInReport) -> Md:
        """Return the name of a scope, cut if it is long."""
        text = _name(scope.scope, has_repository=self._has_several_repositories)
        shown = text if len(text) <= _MAX_NAME_CHARACTERS else f"{text[: _MAX_NAME_CHARACTERS - 1]}…"
        if not self.has_links:
            return md("{}", shown)
        return link(shown, self.page.of_scope(scope.scope) or repository_url(scope.report_input.history))

    @cached_property
    def _has_several_repositories(self) -> bool:
        return len({each.scope.repository for each in self.scopes}) > 1


def _name(scope: Scope, *, has_repository: bool) -> str:
    label = scope_label(scope)
    if not has_repository:
        return label
    return scope.repository if label == "production" else f"{scope.repository} · {label}"


def _row(scope: ScopeInReport, names: _ScopeNames) -> ReportRow:
    metrics, previous = scope.metrics, scope.report_input.scope_metrics.previous
    zone, newest = scope.report_input.results.policy.zone, scope.report_input.last_deployment
    return ReportRow(
        name=names.of(scope),
        team=scope.team or formatting.NO_VALUE,
        deployments=f"{metrics.deployment_frequency.deployments:,}",
        before=f"{previous.deployment_frequency.deployments:,}" if previous else formatting.NO_VALUE,
        lead_time=units.format_result(metrics.lead_time),
        failed=units.format_counts(metrics.change_failure_rate),
        recovery=formatting.duration(metrics.recovery_time.p50_seconds),
        last_deployment=formatting.date(newest.finished_at, zone) if newest else formatting.NO_VALUE,
        attention=scope.reasons[0].text if scope.reasons else Md(""),
    )


def _pooled(scopes: Sequence[ScopeInReport]) -> PooledMetrics:
    """Return the numbers of several scopes together in the period of the report."""
    values = [(each.report_input.history, each.metrics) for each in scopes]
    return pool(values, scopes[0].report_input.period.window, _policy(scopes))


def _pooled_row(name: Md, pooled: PooledMetrics, scopes: Sequence[ScopeInReport], attention: Md) -> ReportRow:
    """Return the row of several scopes together: sums of counts, and medians over the values of all."""
    previous = filter(None, (each.report_input.scope_metrics.previous for each in scopes))
    return ReportRow(
        name=name,
        team="",
        deployments=f"{pooled.deployments or 0:,}",
        before=f"{sum(each.deployment_frequency.deployments for each in previous):,}",
        lead_time=lead_time_text(pooled),
        failed=units.format_counts(pooled.failure_rate),
        recovery=formatting.duration(pooled.recovery_p50_seconds),
        last_deployment="",
        attention=attention,
    )


def _team_rows(scopes: Sequence[ScopeInReport]) -> tuple[ReportRow, ...]:
    """Return a row for each team, in the order of the setting."""
    by_team = group_by_team(scopes, lambda each: each.scope, _policy(scopes))
    return tuple(
        _pooled_row(md("{}", team), _pooled(members), members, _share_in_need(members))
        for team, members in by_team.items()
    )


def _policy(scopes: Sequence[ScopeInReport]) -> Policy:
    return scopes[0].report_input.results.policy


def _share_in_need(scopes: Sequence[ScopeInReport]) -> Md:
    needy_count = sum(bool(each.reasons) for each in scopes)
    return md("{} of {}", f"{needy_count:,}", formatting.count(len(scopes), "scope"))


def _teamless_sentence(scopes: Sequence[ScopeInReport], names: _ScopeNames) -> Md:
    texts = [names.of(each) for each in scopes if each.team is None]
    return md("Without a team: {}.", _listing(texts)) if texts else Md("")


def _failed_text(rate: schema.ChangeFailureRate) -> str:
    """Return `9 of 115`, of the deployments that reached users; empty if none did."""
    counts = units.count_of_total(rate)
    return f"at least {counts}" if counts and units.is_lower_bound(rate) else counts


def _headline(pooled: PooledMetrics, scopes: Sequence[ScopeInReport], needy_count: int) -> Md:
    """Return `**2 of 40 scopes need attention.** 112 deployments reached production; 9 of 115 failed.`"""
    deployment_count, failed = pooled.deployments or 0, _failed_text(pooled.failure_rate)
    incident_count = sum(len(each.report_input.open_incidents) for each in scopes)
    clauses = (
        md("{} reached production", formatting.count(deployment_count, "deployment"))
        if deployment_count
        else Md("No deployment reached production"),
        md("{} failed", failed) if failed else Md(""),
        md("{} open", formatting.count(incident_count, "incident")) if incident_count else Md(""),
    )
    return md("**{}.** {}.", _verdict(needy_count, len(scopes)), join_non_empty("; ", clauses))


def _verdict(needy_count: int, scope_count: int) -> str:
    if not needy_count:
        return f"None of {formatting.count(scope_count, 'scope')} needs attention"
    if needy_count == scope_count:
        return "Both scopes need attention" if scope_count == 2 else f"All {scope_count:,} scopes need attention"  # noqa: PLR2004
    return f"{needy_count:,} of {scope_count:,} scopes {'needs' if needy_count == 1 else 'need'} attention"


def _improved_sentence(scopes: Sequence[ScopeInReport], names: _ScopeNames) -> Md:
    period, improved = scopes[0].report_input.period, [each for each in scopes if each.improvements]
    texts = [md("{} ({})", names.of(each), formatting.join_with_and(each.improvements)) for each in improved]
    return md("Clearly better than {}: {}.", _before(period), _listing(texts)) if texts else Md("")


def _before(period: Period) -> str:
    return f"in the {previous_period_title(period)}"


def _quiet_sentence(scopes: Sequence[ScopeInReport], names: _ScopeNames) -> Md:
    texts = [names.of(each) for each in scopes if each.is_quiet]
    return md("No deployment for {} days or more: {}.", _QUIET_AFTER.days, _listing(texts)) if texts else Md("")


def _listing(texts: Sequence[Md]) -> Md:
    """Join the first texts, and count the others."""
    listed, more_count = join_non_empty(", ", texts[:_MAX_NAMES]), len(texts[_MAX_NAMES:])
    return md("{} and {} more", listed, f"{more_count:,}") if more_count else listed


def _goal_lines(scopes: Sequence[ScopeInReport]) -> Iterator[Md]:
    """Yield for each goal how many scopes meet it, over the basis window."""
    by_metric: dict[str, list[schema.Goal]] = {}
    for goal in chain.from_iterable(each.report_input.basis_metrics.outlook.goals for each in scopes):
        by_metric.setdefault(goal.metric, []).append(goal)
    for metric, scope_goals in by_metric.items():
        measured = [goal for goal in scope_goals if goal.met is not None]
        met_count = sum(goal.met is True for goal in measured)
        text = goals.target_text(scope_goals[0])
        yield md("**{}** {}: met by {} of {}", METRICS[metric].label, text, met_count, _scope_count(len(measured)))


def _scope_count(count: int) -> str:
    return f"{formatting.count(count, 'scope')} with data"

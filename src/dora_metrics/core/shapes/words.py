"""What messages say, in plain English and already formatted: for Slack, Microsoft Teams and users' templates.

Fields of `Words` and of the types it contains are an interface: templates read them (docs/endpoint.md). Every text is
plain: no Markdown, on one line, without control characters. Names and titles in it come from strangers, so a shape
escapes them for the place where it puts them.
"""

from typing import Literal

from msgspec import Struct

FactKind = Literal["deployment", "incident", "change", "vulnerability"]
FactState = Literal["success", "failure", "cancelled", "open", "resolved", "merged", "retracted"]
ChangeVerdict = Literal["better", "worse", "same", ""]


class FactWords(Struct, frozen=True, kw_only=True):
    """What happened.

    Attributes:
        id: of the fact.
        kind: of the fact.
        state: how a deployment ended; whether an incident or a vulnerability is open; `merged` for a change;
            `retracted` for a fact that was withdrawn.
        sentence: such as `v1.4.2 was deployed to production`, without a full stop.
        details: further sentences, such as what a deployment delivered.
        time: when it happened, such as `Thu 19 Nov, 14:02`, in the time zone of the settings.
        url: of its page, http or https; empty without one.
        scope: the `key` of the scope that it belongs to; empty for changes, and for what belongs to none.
        is_production: whether it is a deployment to production, or an incident there.
        attempt: the id of the deployment that it counts as. Jobs of one matrix have the same. Empty for other kinds,
            and for what does not count.
        is_repetition: whether an earlier part of the same attempt ended the same way, so that nothing new is said.
    """

    id: str
    kind: FactKind
    state: FactState
    sentence: str
    details: tuple[str, ...] = ()
    time: str
    url: str = ""
    scope: str = ""
    is_production: bool = False
    attempt: str = ""
    is_repetition: bool = False


class MetricWords(Struct, frozen=True, kw_only=True):
    """One of the five metrics of a scope.

    Attributes:
        key: its name in settings, such as `lead_time`.
        label: its name, such as `Lead time for changes`.
        value: with its unit, such as `1 d 4 h`; `–` without data.
        reason: why there is no value; empty if there is one.
        before: the value of the previous window; empty without one.
        verdict: whether the value is clearly better or worse than before (p < 0.05); `same` if the difference is not
            clear; empty if nothing can be compared.
        change: value of the previous window and verdict, such as `better (before: 2 d)`; empty without a verdict.
        level: such as `high (possibly elite)`; empty without one.
    """

    key: str
    label: str
    value: str
    reason: str = ""
    before: str = ""
    verdict: ChangeVerdict = ""
    change: str = ""
    level: str = ""


class ScopeWords(Struct, frozen=True, kw_only=True):
    """The numbers of one service in one production environment.

    Attributes:
        key: of the scope, such as `acme/shop/web/production`; unique.
        name: such as `acme/shop` or `acme/shop · web · production`.
        repository: `owner/name`.
        service: its name.
        environment: its name.
        window: what the numbers are of, such as `last 30 days` or `week 47`.
        metrics: the five metrics, in their order.
        headline: one sentence on all of them; only in reports.
        attention: why the scope needs attention, the weightiest reason first; no full stops.
        hints: what to improve, with the evidence; only in reports.
        page: the address that opens the page at this scope; empty if the page is not published.
    """

    key: str
    name: str
    repository: str
    service: str
    environment: str
    window: str
    metrics: tuple[MetricWords, ...]
    headline: str = ""
    attention: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    page: str = ""


class ReportWords(Struct, frozen=True, kw_only=True):
    """A periodic report that is due.

    Attributes:
        id: the name of the debt, such as `report:weekly:2026-W47`.
        kind: `weekly`, `monthly` or `quarterly`.
        title: such as `Delivery report · acme/shop · week 47, 2026`.
        period: such as `week 47, 2026`.
        headline: one or two sentences on all scopes.
        scopes: those with something to report, the most in need of attention first.
        page: the address of the page; empty if it is not published.
    """

    id: str
    kind: str
    title: str
    period: str
    headline: str
    scopes: tuple[ScopeWords, ...]
    page: str = ""


class Words(Struct, frozen=True, kw_only=True):
    """Everything that is said in one run.

    Attributes:
        repository: of the run.
        facts: what happened, the oldest debt first.
        scopes: the scopes of these facts, in the order of the facts.
        reports: those that are due.
        page: the address of the page; empty if it is not published.
    """

    repository: str
    facts: tuple[FactWords, ...]
    scopes: tuple[ScopeWords, ...]
    reports: tuple[ReportWords, ...]
    page: str = ""

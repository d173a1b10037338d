"""Messages for a chat: which facts are worth one, and what it says.

Slack and Microsoft Teams differ only in how they lay a message out and escape it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.core import formatting
from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident
from dora_metrics.core.markdown import unlinked_line
from dora_metrics.core.policy import Policy
from dora_metrics.core.shapes.events import EndpointEvent
from dora_metrics.core.shapes.shape import FactChange, ShapeInput, content_key
from dora_metrics.core.shapes.words import (
    FactKind,
    FactState,
    FactWords,
    MetricWords,
    ReportWords,
    ScopeWords,
    Words,
    cut,
    time_of,
    words_of,
)

CHAT_EVENTS: frozenset[EndpointEvent] = frozenset({"deployment", "report"})
"""What a chat gets messages about without the setting `events`."""

NEWS_FOR = timedelta(hours=24)
"""What happened longer ago is no news: a first sync of 90 days would fill a channel."""

MAX_SINGLE_MESSAGES = 5
MAX_DIGEST_LINES = 20
MAX_SCOPES = 10
_MAX_REASONS = 5
_MAX_REASONS_OF_SEVERAL = 2
_MAX_HINTS = 2
_MAX_TEXT_LENGTH = 600
_MAX_LINE_LENGTH = 250
_MAX_NAME_LENGTH = 100
_MAX_PLACE_LENGTH = 60
_MAX_TITLE_LENGTH = 250
_MAX_URL_LENGTH = 1500


Tone = Literal["good", "bad", "neutral"]


class Link(Struct, frozen=True):
    """A link. The address is http or https."""

    text: str
    url: str


class Line(Struct, frozen=True):
    """A line of a list. `url`: of the page that it is about; empty without one."""

    text: str
    url: str = ""


class ScopePart(Struct, frozen=True):
    """The part of a message on one scope. `reasons`: why it needs attention; `hints`: what to improve."""

    words: ScopeWords
    reasons: tuple[str, ...]
    hints: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        """What the numbers are of, such as `Last 30 days`."""
        return f"{self.words.window[:1].upper()}{self.words.window[1:]}"

    @property
    def numbers(self) -> str:
        """The numbers on one line, without metrics that have no value."""
        texts = (_number(metric) for metric in self.words.metrics if metric.value != formatting.NO_VALUE)
        return " · ".join(texts) or "No numbers yet"


def _number(metric: MetricWords) -> str:
    """Return a metric with its value, and with the change if that is clear."""
    change = f", {metric.change}" if metric.verdict in ("better", "worse") else ""
    return f"{metric.label}: {metric.value}{change}"


def remark_on(metric: MetricWords) -> str:
    """Return the change of a metric against the previous window, or why it has no value."""
    return metric.change or ("" if metric.value != formatting.NO_VALUE else metric.reason)


class Message(Struct, frozen=True, kw_only=True):
    """One message. All texts are plain and untrusted.

    Attributes:
        key: the idempotency key.
        delivers: the ids of the facts and reports in it.
        symbol: an emoji for what happened.
        tone: `good` for a success, `bad` for a failure or an open incident.
        title: its first line.
        paragraphs: below the title.
        lines: a list; the last line may say how many are left out.
        scopes: the numbers, and what needs attention.
        more: how many scopes are left out, as a sentence; empty if none is.
        links: to read on.
        context: where and when.
    """

    key: str
    delivers: tuple[str, ...]
    symbol: str
    tone: Tone
    title: str
    paragraphs: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    scopes: tuple[ScopePart, ...] = ()
    more: str = ""
    links: tuple[Link, ...] = ()
    context: str = ""

    @property
    def notification(self) -> str:
        """The title as one line that mentions and links nothing, for notifications."""
        return unlinked_line(f"{self.symbol} {self.title}")


def is_news(change: FactChange) -> bool:
    """Whether a change of a fact is worth a message: once for each outcome, and only within a day.

    The outcome is that of the whole: a job that ends as its deployment had ended before is no news.
    """
    fact = change.after
    if fact.retracted or abs(change.now - time_of(fact)) > NEWS_FOR:
        return False
    before = None if change.before is None or change.before.retracted else change.before
    match fact:
        case Deployment() | Incident():
            has_message = _outcome(fact) != "cancelled" and _may_be_production(fact, change.policy)
            return has_message and _outcome(before) != _outcome(fact) and _changes_whole(change)
        case Change():
            return before is None
        case _:
            return False


def _changes_whole(change: FactChange) -> bool:
    """Whether the deployment or incident that a fact counts as had another outcome; True if it is none."""
    if change.whole is None:
        return True
    before = {_outcome(whole) for whole in change.wholes_before if _may_be_production(whole, change.policy)}
    return _outcome(change.whole) not in {"cancelled", *before}


def _may_be_production(fact: Deployment | Incident, policy: Policy) -> bool:
    """Whether a fact can be of production; where it names no environment, the other facts decide when it is sent."""
    return not fact.environment or policy.is_production(fact.environment)


def _outcome(fact: Fact | None) -> str:
    """Return how a deployment ended, or whether an incident is over."""
    match fact:
        case Deployment():
            return fact.status
        case Incident():
            return "resolved" if fact.resolved_at else "open"
        case _:
            return ""


def messages_of(shape_input: ShapeInput) -> list[Message]:
    """Return the messages on what an endpoint is owed: the oldest fact first, then the reports.

    Facts that say nothing, such as a further job of a deployment, are in the message of their deployment or in none.
    """
    words = words_of(shape_input)
    facts_by_id = {fact.id: fact for fact in shape_input.facts}
    news = _news(words, facts_by_id)
    if len(news) > MAX_SINGLE_MESSAGES:
        key = content_key(["digest", *(facts_by_id[fact.id] for fact in news)])
        messages = [_digest(words, news, key)]
    else:
        messages = [_fact_message(words, fact, content_key(facts_by_id[fact.id])) for fact in news]
    return [*messages, *map(_report_message, words.reports)]


def _news(words: Words, facts_by_id: Mapping[str, Fact]) -> list[FactWords]:
    """Return the facts that have something to say: of several of one deployment or incident, one.

    Each of them was news when it was recorded. The last one that ended as the whole did is the one that made it so.
    """
    speakers: dict[str, FactWords] = {}
    for fact in filter(_says_something, words.facts):
        speaker = speakers.setdefault(_whole_id(fact), fact)
        if _outcome(facts_by_id[fact.id]) == fact.state or _outcome(facts_by_id[speaker.id]) != speaker.state:
            speakers[_whole_id(fact)] = fact
    ids = {fact.id for fact in speakers.values()}
    return [fact for fact in words.facts if fact.id in ids]


def _whole_id(fact: FactWords) -> str:
    """Return what the facts of one deployment or incident have in common; the id of a fact that is of none."""
    return fact.attempt or fact.incident or fact.id


def _says_something(fact: FactWords) -> bool:
    if fact.state in ("retracted", "cancelled"):
        return False
    match fact.kind:
        case "deployment":
            return fact.is_production and bool(fact.attempt)
        case "incident":
            return fact.is_production
        case kind:
            return kind == "change"


_SYMBOLS: dict[tuple[FactKind, FactState], str] = {
    ("deployment", "success"): "🚀",
    ("deployment", "failure"): "❌",
    ("incident", "open"): "🔥",
    ("incident", "resolved"): "✅",
    ("change", "merged"): "🔀",
}


def _symbol(fact: FactWords) -> str:
    if fact.state == "success" and (fact.is_failed or fact.is_rollback):
        return "❌" if fact.is_failed else "↩️"
    return _SYMBOLS.get((fact.kind, fact.state), "ℹ️")


def _tone(news: Sequence[FactWords]) -> Tone:
    states = {fact.state for fact in news}
    if states & {"failure", "open"} or any(fact.is_failed for fact in news):
        return "bad"
    return "good" if states & {"success", "resolved"} else "neutral"


def _fact_message(words: Words, fact: FactWords, key: str) -> Message:
    """Return the message on one fact; one on a deployment has the numbers of its scope."""
    scope = next((each for each in words.scopes if each.key == fact.scope), None)
    has_numbers = fact.kind == "deployment" and scope is not None
    return Message(
        key=key,
        delivers=(fact.id, *_other_parts(words, [fact])),
        symbol=_symbol(fact),
        tone=_tone([fact]),
        title=cut(fact.sentence, _MAX_TITLE_LENGTH),
        paragraphs=tuple(cut(detail, _MAX_TEXT_LENGTH) for detail in fact.details),
        scopes=(_scope_part(scope, _MAX_REASONS),) if has_numbers and scope else (),
        links=_links((f"Open the {fact.kind}", fact.url), ("Open the page", _page(words, scope))),
        context=_context(scope.name if scope else fact.repository, fact.time),
    )


def _other_parts(words: Words, news: Iterable[FactWords]) -> list[str]:
    """Return the ids of the owed facts that are of the same deployments and incidents, and say nothing themselves."""
    speakers = {_whole_id(fact): fact.id for fact in news}
    return [fact.id for fact in words.facts if speakers.get(_whole_id(fact), fact.id) != fact.id]


def _page(words: Words, scope: ScopeWords | None) -> str:
    return scope.page if scope else words.page


def _digest(words: Words, news: Sequence[FactWords], key: str) -> Message:
    """Return one message on many facts: failures and open incidents first, then in the order of the debts."""
    weightiest_first = sorted(news, key=lambda fact: _tone([fact]) != "bad")
    places = _places(words, news)
    lines = [_digest_line(fact, places[fact.id]) for fact in weightiest_first]
    left_out = len(lines) - MAX_DIGEST_LINES
    more = [Line(f"and {left_out:,} more")] if left_out > 0 else []
    needy = [_scope_part(scope, _MAX_REASONS_OF_SEVERAL) for scope in words.scopes if scope.attention]
    return Message(
        key=key,
        delivers=(*(fact.id for fact in news), *_other_parts(words, news)),
        symbol="📋",
        tone=_tone(news),
        title=f"{_counts(news)} in {_repositories(news)}",
        lines=(*lines[:MAX_DIGEST_LINES], *more),
        scopes=tuple(needy[:MAX_SCOPES]),
        more=_more_scopes(len(needy)),
        links=_links(("Open the page", words.page)),
    )


def _places(words: Words, news: Sequence[FactWords]) -> Mapping[str, str]:
    """Return by the id of each fact the name of its scope, or its repository; empty if all have the same."""
    names = {scope.key: scope.name for scope in words.scopes}
    places = {fact.id: names.get(fact.scope, fact.repository) for fact in news}
    is_same = len({fact.repository for fact in news}) == 1 and len({fact.scope for fact in news} - {""}) <= 1
    return dict.fromkeys(places, "") if is_same else places


def _repositories(news: Sequence[FactWords]) -> str:
    repositories = {fact.repository for fact in news}
    return (
        cut(min(repositories), _MAX_PLACE_LENGTH) if len(repositories) == 1 else f"{len(repositories):,} repositories"
    )


def _digest_line(fact: FactWords, place: str) -> Line:
    """Return what happened, when and where; the sentence of an open incident says when."""
    time = "" if fact.state == "open" else f", {fact.time}"
    end = f"{time}{place and f' ({cut(place, _MAX_PLACE_LENGTH)})'}"
    sentence = cut(fact.sentence, _MAX_LINE_LENGTH - len(end))
    return Line(f"{_symbol(fact)} {sentence}{end}", _short_url(fact.url))


def _counts(news: Sequence[FactWords]) -> str:
    """Return `8 deployments (2 failed), 1 incident and 3 merged changes`."""

    def count_of(kind: FactKind, noun: str) -> str:
        number = sum(fact.kind == kind for fact in news)
        return formatting.count(number, noun) if number else ""

    failed = sum(fact.state == "failure" or fact.is_failed for fact in news)
    deployments = count_of("deployment", "production deployment") + (f" ({failed:,} failed)" if failed else "")
    counts = (deployments, count_of("incident", "incident"), count_of("change", "merged change"))
    return formatting.join_with_and([*filter(None, counts)])


def _report_message(report: ReportWords) -> Message:
    """Return the message on a report: of its scopes, those in most need of attention."""
    is_alone = len(report.scopes) == 1
    reasons = _MAX_REASONS if is_alone else _MAX_REASONS_OF_SEVERAL
    scopes = report.scopes[:MAX_SCOPES]
    return Message(
        key=content_key(report.id),
        delivers=(report.id,),
        symbol="📊",
        tone="neutral",
        title=cut(report.title, _MAX_TITLE_LENGTH),
        paragraphs=(cut(report.headline, _MAX_TEXT_LENGTH),),
        scopes=tuple(_scope_part(scope, reasons, _MAX_HINTS if is_alone else 0) for scope in scopes),
        more=_more_scopes(len(report.scopes)),
        links=_links(("Open the page", report.page)),
    )


def _scope_part(scope: ScopeWords, max_reasons: int, max_hints: int = 0) -> ScopePart:
    words = replace(scope, name=cut(scope.name, _MAX_NAME_LENGTH), page=_short_url(scope.page))
    return ScopePart(words, _cut_all(scope.attention, max_reasons), _cut_all(scope.hints[:max_hints], max_hints))


def _more_scopes(count: int) -> str:
    left_out = count - MAX_SCOPES
    return f"{formatting.count_are(left_out, 'further scope')} left out." if left_out > 0 else ""


def _cut_all(texts: Sequence[str], limit: int) -> tuple[str, ...]:
    """Return the first texts as lines of a list, each cut, and how many others there are."""
    more = (f"and {len(texts) - limit:,} more",) if len(texts) > limit else ()
    return (*(cut(text, _MAX_LINE_LENGTH) for text in texts[:limit]), *more)


def _links(*links: tuple[str, str]) -> tuple[Link, ...]:
    return tuple(Link(text, url) for text, url in links if _short_url(url))


def _short_url(url: str) -> str:
    """Return an address, which cannot be cut; empty if it is too long for a message."""
    return url if len(url) <= _MAX_URL_LENGTH else ""


def _context(*parts: str) -> str:
    return cut(" · ".join(filter(None, parts)), _MAX_LINE_LENGTH)

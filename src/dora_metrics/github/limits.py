"""GitHub's rate limits: which answer is a refusal, how long to stay away, and how to say so.

A request that met a limit was not carried out, so it may be sent again, whatever it is.
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api#exceeding-the-rate-limit
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil

from dora_metrics.core import formatting
from dora_metrics.github.transport import BAD, Answer

_TOO_MANY = 429
_TYPES = ("RATE_LIMITED", "RATE_LIMIT")
_PERMISSION = "resource not accessible"
_MINUTE, _HOURS, _LONGEST = 60, 7_200, 86_400
_APIS = {"core": " for REST", "graphql": " for GraphQL"}


@dataclass(frozen=True)
class Refusal:
    """A limit that was met at `now`, and the seconds to stay away."""

    what: str
    seconds: int
    now: float

    def waiting(self, most: float) -> str:
        """What is told before a wait, of which a run has `most` seconds."""
        return f"{self.what}; waiting {_span(self.seconds)} (at most {_span(most)} in a run)"

    def too_long(self, left: float, most: float) -> str:
        """What is told where only `left` of `most` seconds may still be waited."""
        renewed = datetime.fromtimestamp(self.now + self.seconds, UTC)
        return (
            f"{self.what}; it is renewed at {renewed:%H:%M} UTC, in {_span(self.seconds)}, and this run may wait "
            f"{_span(left)} more. The next run goes on by itself; run this one again for what it could not do, or "
            f"raise `max-rate-limit-wait` (now {_span(most)})"
        )


def refusal(answer: Answer, now: float, earlier: int) -> Refusal | None:
    """The limit that an answer speaks of, after `earlier` refusals of the same request; None where it is none."""
    if not _is_refusal(answer):
        return None
    what = "GitHub's secondary rate limit is reached (too much at once)"
    if _is_primary(answer):
        what = f"GitHub's hourly rate limit{_APIS.get(answer.headers.get('x-ratelimit-resource', ''), '')} is used up"
    return Refusal(what, _seconds(answer, now, earlier), now)


def _is_refusal(answer: Answer) -> bool:
    kind, said = answer.complaint
    worded = "rate limit" in said.lower() or "abuse detection" in said.lower()
    match answer.status:
        case 403:  # a missing permission is one, too, and may meet the hour's last request
            spent = _is_spent(answer) and _PERMISSION not in said.lower()
            return worded or spent or "retry-after" in answer.headers
        case status if status == BAD:
            return kind in _TYPES or (worded and not kind)
        case status:
            return status == _TOO_MANY


def _is_primary(answer: Answer) -> bool:
    """A query may cost more than what is left, so that a primary limit need not leave nought."""
    kind, said = answer.complaint
    primary = kind in _TYPES or said.lower().startswith("api rate limit") or _is_spent(answer)
    return primary and "secondary" not in said.lower()


def _is_spent(answer: Answer) -> bool:
    return answer.number("x-ratelimit-remaining") == 0


def _seconds(answer: Answer, now: float, earlier: int) -> int:
    """As long as GitHub asks, where that can be, else a minute; longer each time, so that requests stay few."""
    least = 1 << earlier
    asked = answer.number("retry-after")
    if asked is None and (_is_primary(answer) or _is_spent(answer)):
        asked = _until_reset(answer, now)
    return max(ceil(asked), least) if asked is not None and 0 <= asked <= _LONGEST else _MINUTE * least


def _until_reset(answer: Answer, now: float) -> float | None:
    """To the end of the second that is named: nobody knows when in it."""
    reset = answer.number("x-ratelimit-reset")
    return None if reset is None or reset < now else int(reset - now) + 1


def _span(seconds: float) -> str:
    """Seconds, or begun minutes but for a second, so that a wait never looks shorter than the time that is left."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    return f"{ceil((seconds - 1) / _MINUTE)} min" if seconds < _HOURS else formatting.duration(seconds)

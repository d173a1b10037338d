"""Messages that a channel gets: a success, a failure, a digest, reports, an incident, and titles of strangers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.periods import due_period
from dora_metrics.core.reports.periodic.content import ReportInput, has_activity
from dora_metrics.core.reports.periodic.page_address import PageAddress
from dora_metrics.core.shapes.shape import OwedReport, ShapeInput
from dora_metrics.core.shapes.shipped import shipped_shape
from dora_metrics.pipeline.evaluate import cumulative_totals, prometheus_families
from support.facts import change, deployment, failed_deployment, incident, results_of

PAGE = PageAddress("https://acme.github.io/shop/")
NOW = "03-18T06:00"
"""A Monday."""


def input_of(
    *facts: Fact,
    owed: Sequence[Fact] | None = None,
    reports: bool = False,
    page: PageAddress = PAGE,
    now: str = NOW,
    **policy: Any,  # noqa: ANN401
) -> ShapeInput:
    """What a shape gets in a run at `now`: some facts that are owed, all by default, and the weekly report."""
    results = results_of(*facts, window="30d", now=now, **policy)
    due = [owed_report(results, page)] if reports else []
    return ShapeInput(
        repository="acme/shop",
        event="deployment_status",
        facts=list(facts) if owed is None else owed,
        reports=[report for report in due if report.scopes],
        results=results,
        families=prometheus_families(results, cumulative_totals(results, facts), 1),
        page=page,
    )


def owed_report(results: Results, page: PageAddress = PAGE) -> OwedReport:
    """The weekly report of all active scopes that is due."""
    period = due_period("weekly", results.now, ZoneInfo("UTC"), "monday")
    active = [history for history in results.evaluation.histories if has_activity(history, period)]
    return OwedReport(
        f"report:weekly:{period.name}", [ReportInput.of(results, history, period, page) for history in active]
    )


def bodies(shape: str, shape_input: ShapeInput) -> list[bytes]:
    """The bodies of the requests that a shipped shape makes."""
    return [request.body for request in shipped_shape(shape).requests(shape_input)]


def _url(kind: str, number: int) -> str:
    return f"https://github.com/acme/shop/{kind}/{number}"


def _shop(count: int = 20) -> list[Fact]:
    """Daily deployments of the shop, each with two changes. The last week was slower than the ones before."""
    facts: list[Fact] = []
    for number in range(count):
        day = f"{'02' if number < 10 else '03'}-{20 + number if number < 10 else number - 3:02}"
        is_slow = number > count - 6
        for position in (1, 2):
            first_commit = f"{day}T0{position}:00" if not is_slow else f"02-2{position}"
            pull = 400 + 2 * number + position
            merged_at = f"{day}T1{position}:00"
            title = ("Show the delivery date", "Retry failed payments")[position - 1]
            facts.append(change(pull, first_commit, title=title, merged_at=merged_at, url=_url("pull", pull)))
        changes = (401 + 2 * number, 402 + 2 * number)
        version, url = f"v1.{number}.0", _url("deployments", 2100 + number)
        facts.append(deployment(2100 + number, f"{day}T14:02", version=version, url=url, changes=changes))
    return facts


def _success() -> ShapeInput:
    facts = _shop()
    return input_of(*facts, owed=facts[-1:], now="03-16T14:05")


def _failure() -> ShapeInput:
    failed = failed_deployment(
        2130, "03-17T15:10", version="v1.20.0", url=_url("deployments", 2130), reached_users=True
    )
    return input_of(*_shop(), failed, owed=[failed], now="03-17T15:12")


def _digest() -> ShapeInput:
    facts = _shop()
    failed = failed_deployment(2130, "03-17T15:10", version="v1.20.0", url=_url("deployments", 2130))
    outage = incident(500, "03-17T15:20", title="Checkout answers with 502", severity="high", url=_url("issues", 500))
    return input_of(*facts, failed, outage, owed=[*facts[-30::3], *facts[-1:], failed, outage])


def _incident() -> ShapeInput:
    outage = incident(500, "03-17T15:20", title="Checkout answers with 502", severity="high", url=_url("issues", 500))
    ended = incident(501, "03-17T16:00", title="Search is slow", resolved_at="03-17T16:41", url=_url("issues", 501))
    return input_of(*_shop(), outage, ended, owed=[outage, ended])


def _report() -> ShapeInput:
    return input_of(*_shop(), owed=[], reports=True)


def _several_scopes() -> ShapeInput:
    facts: list[Fact] = _shop()
    for position, service in enumerate(("checkout", "search", "web", "mail", *(f"worker-{n:02}" for n in range(9)))):
        numbers = (3000 + 10 * position, 3001 + 10 * position)
        facts += [
            deployment(number, day, service=service, version=f"{service}-{number}", reached_users=True, status=status)
            for number, day, status in zip(
                (*numbers, numbers[1] + 1),
                ("03-05T10:00", "03-12T10:00", f"03-1{3 + position % 4}T10:00"),
                ("success", "success", "failure" if position < 2 else "success"),
                strict=True,
            )
        ]
    facts.append(incident(502, "03-14T09:00", service="search", title="Search is down", severity="critical"))
    return input_of(*facts, owed=[], reports=True)


def _hostile() -> ShapeInput:
    title = "<!channel> <@U1> <https://evil.example|x> &amp; *b* _i_ ~s~ `c` @here [x](https://evil.example) \u202egnp"
    version = "v1 <!here> **b** [log in](https://evil.example) {{DATE(2024-01-01T00:00:00Z,SHORT)}} <at>all</at>"
    hostile = deployment(2130, "03-17T15:10", version=version, url="https://github.com/acme/shop/deployments/1?a=<b>|c")
    outage = incident(500, "03-17T15:20", title=title, url="javascript:alert(1)")
    return input_of(*_shop(), hostile, outage, owed=[hostile, outage])


EXAMPLES: Mapping[str, Callable[[], ShapeInput]] = {
    "success": _success,
    "failure": _failure,
    "digest": _digest,
    "incident": _incident,
    "report": _report,
    "several-scopes": _several_scopes,
    "hostile": _hostile,
}
"""By name, what a shape gets in such a run."""

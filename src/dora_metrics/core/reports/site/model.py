"""What the page is drawn from: plain data, embedded in it as JSON. Times are whole seconds since 1970.

The page computes nothing: it chooses, draws and folds. What has its default is left out; what every scope has is a
list without names, in the order of its fields, since there may be hundreds of scopes.
"""

from msgspec import Struct

PageLink = tuple[int, str] | None
"""The number of a beginning in `Page.bases`, and the rest of the address; only http and https."""

ChangeEntry = tuple[str, str, PageLink, int | str]
"""What people call it, its title, its address, and its lead time in seconds or why it has none."""


class FailureEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a deployment failed. `seconds` until it was repaired `by` something; neither while it is open."""

    rule: str
    because: str
    link: PageLink = None
    seconds: int | None = None
    by: str = ""


class DeploymentEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt. `counted`: in the denominator of the failure rate. `lead`: median seconds of its changes.

    `changes`: the slowest first, then those without a lead time; `more` and `more_excluded`: how many of either are not
    here.
    """

    id: str
    at: int
    name: str
    link: PageLink = None
    status: str = "success"
    counted: bool = True
    failed: FailureEntry | None = None
    rework: str = ""
    lead: int | None = None
    changes: list[ChangeEntry] = []
    more: int = 0
    more_excluded: int = 0


class IncidentEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`blamed`: what people call the deployment; `seconds` until it was resolved, None while it is open."""

    at: int
    title: str
    link: PageLink = None
    severity: str = ""
    seconds: int | None = None
    blamed: str = ""
    because: str = ""


class WeekSeries(Struct, frozen=True, kw_only=True, array_like=True):
    """Weekly values, the oldest first; the numbers of metrics None where a week has none.

    `failed` of `counted` make the failure rate, with failed runs where those count; `deployments_failed` are those of
    `deployments` that failed. `monday`: the date of the first. `hours`: the length of each, 168 but where clocks
    change. `at`: the number of the first deployment of each week, and one more for the end; `incidents_at` the same for
    incidents. `partial`: whether the first and the last are not whole.
    """

    monday: str
    since: int
    hours: list[float]
    partial: tuple[bool, bool]
    at: list[int]
    incidents_at: list[int]
    deployments: list[int]
    counted: list[int]
    failed: list[int]
    deployments_failed: list[int]
    lead_time: list[int | None]
    change_failure_rate: list[float | None]
    recovery_time: list[int | None]
    rework_rate: list[float | None]


class MetricCard(Struct, frozen=True, kw_only=True, array_like=True):
    """One metric in one window, in words. `rank`: from 0, the lowest level, to 4, the highest; None without one."""

    value: str
    level: str = ""
    rank: int | None = None
    interval: str = ""
    n: str = ""
    before: str = ""
    verdict: str = ""
    reason: str = ""
    details: list[tuple[str, str]] = []


class WindowOption(Struct, frozen=True, kw_only=True):
    """A window to choose; `before` says which one it is compared with."""

    key: str
    label: str
    span: str
    since: int
    until: int
    before: str


class ScopeInWindow(Struct, frozen=True, kw_only=True, array_like=True):
    """A scope in one window, by the number of that. `cards` in the order of the metrics.

    `deployments` and `incidents`: from which number to before which they lie in it. `outlook`: what holds back and what
    is worth a mention; `beside`: what is counted beside the five.
    """

    window: int
    deployments: tuple[int, int]
    incidents: tuple[int, int]
    overall: str
    cards: list[MetricCard]
    outlook: list[tuple[str, list[str]]] = []
    beside: list[tuple[str, str]] = []


class ScopeEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One scope. `first`: the number of the first deployment that is here; those before it are not.

    `brief`: only the window of the settings and the last weeks, for want of room.
    """

    key: str
    name: str
    link: PageLink = None
    windows: list[ScopeInWindow]
    brief: bool = False
    weeks: WeekSeries | None = None
    first: int = 0
    deployments: list[DeploymentEntry] = []
    incidents_first: int = 0
    incidents: list[IncidentEntry] = []


class PageData(Struct, frozen=True, kw_only=True):
    """The whole page. `more`: how many scopes are left out."""

    title: str
    made: str
    zone: str
    benchmark: str
    bases: list[str]
    windows: list[WindowOption]
    scopes: list[ScopeEntry]
    more: int
    notes: list[str]

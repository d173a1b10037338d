"""The data embedded in the page as JSON. Times are whole seconds since 1970.

The page's script only selects, draws, and divides counts. Fields with their default value are left out. Structs
that every scope has are lists in the order of their fields, to save space: there may be hundreds of scopes. `data.js`
has the names of these fields.
"""

from msgspec import Struct

PageLink = tuple[int, str] | None
"""The index of a base in `PageData.bases`, and the rest of the URL. Only http and https."""

ChangeEntry = tuple[str, str, PageLink, int | str]
"""Display name, title, link, and the lead time in seconds or the reason why it has none."""


class FailureEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a deployment failed. `seconds` is the recovery time and `by` the remediation; neither while it is open."""

    rule: str
    because: str
    link: PageLink = None
    seconds: int | None = None
    by: str = ""


class DeploymentEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A deployment.

    `counted` says whether it is in the denominator of the failure rate. `lead` is the median lead time of its changes
    in seconds. `changes` has the slowest first, then those without a lead time. `more` and `more_excluded` count the
    changes of both kinds that are not listed.
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
    """An incident.

    `attributed` is the display name of the deployment that it is attributed to. `seconds` is the time until it was
    resolved; None while it is open.
    """

    at: int
    title: str
    link: PageLink = None
    severity: str = ""
    seconds: int | None = None
    attributed: str = ""
    because: str = ""


class WeekSeries(Struct, frozen=True, kw_only=True, array_like=True):
    """Weekly values of a scope, oldest first. A metric is None in a week without a value.

    `monday` is the date of the first week, `since` its start. `hours` is the length of each week: 168, except where
    clocks change. `partial` says whether the first and the last week are partial. `at` has the number of the first
    deployment of each week, and one more for the end; `incidents_at` has the same for incidents. `failed` and `counted`
    are numerator and denominator of the failure rate, `rework` and `reached` those of the rework rate.
    `deployments_failed` is how many of `deployments` failed. `stages` has the mean seconds of coding, pickup, review
    and delivery per change; None in a week without a change, and empty if the page has no room for it. `at_least`
    names the rates that may be higher, so that in a week zero is not known to be their value. A list whose items are
    all the same is that item alone.
    """

    monday: str
    since: int
    hours: list[float] | float
    partial: tuple[bool, bool]
    at: list[int]
    incidents_at: list[int] | int
    deployments: list[int]
    counted: list[int]
    failed: list[int] | int
    deployments_failed: list[int] | int
    lead_time: list[int | None]
    recovery_time: list[int | None] | int | None
    reached: list[int]
    rework: list[int] | int
    stages: list[list[int] | None]
    at_least: tuple[str, ...]


class MetricCard(Struct, frozen=True, kw_only=True, array_like=True):
    """The texts of one metric in one window.

    `rank` is that of its level, 0 (lowest) to 4; None without a level, or if another level is possible.
    """

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
    """A window that can be selected. `before` describes the previous window, such as `in the previous 30 days`."""

    key: str
    label: str
    span: str
    since: int
    until: int
    before: str


class ScopeInWindow(Struct, frozen=True, kw_only=True, array_like=True):
    """A scope in one window.

    `window` is an index of `PageData.windows`. `deployments` and `incidents` are ranges of numbers, the end excluded.
    `cards` are in the order of the metrics. `outlook` has titles and sentences of remarks, advice and
    achievements. `security` has the vulnerabilities by severity. `trends` has a sentence for each metric; empty where
    the window has none.
    """

    window: int
    deployments: tuple[int, int]
    incidents: tuple[int, int]
    overall: str
    cards: list[MetricCard]
    outlook: list[tuple[str, list[str]]] = []
    security: list[tuple[str, str]] = []
    trends: list[str] = []


class OverviewRow(Struct, frozen=True, kw_only=True, array_like=True):
    """What the overview shows of a scope in addition to the cards of its first window.

    `values` are the deciding values of the metrics, to sort by. `latest` is the end of its last deployment. `attention`
    has the reasons to look at the scope. `improved` has the names of the metrics that got better.
    """

    values: list[float | None]
    latest: int | None
    attention: list[str]
    improved: list[str]


class ScopeEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A scope. `team` is empty if it has none.

    `brief` means that it has only the configured window and its last weeks, to save space. `first` is the number of
    the first deployment in `deployments`; older ones are not in the page. `incidents_first` is the same for incidents.
    """

    key: str
    name: str
    team: str = ""
    link: PageLink = None
    row: OverviewRow
    windows: list[ScopeInWindow]
    brief: bool = False
    weeks: WeekSeries | None = None
    first: int = 0
    deployments: list[DeploymentEntry] = []
    incidents_first: int = 0
    incidents: list[IncidentEntry] = []


class PageData(Struct, frozen=True, kw_only=True):
    """All data of the page.

    `highlights` are lines about all scopes together. `more` is the number of scopes that are left out. `in_ledger` says
    whether the page is a file of a ledger, which has everything that the page does not list.
    """

    title: str
    made: str
    zone: str
    benchmark: str
    bases: list[str]
    windows: list[WindowOption]
    scopes: list[ScopeEntry]
    highlights: list[str]
    more: int
    in_ledger: bool
    notes: list[str]

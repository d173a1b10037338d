"""Write the dashboards of monitoring/grafana/ and their tables in docs/monitoring.md (`make dashboards`).

Names of metrics, windows, levels and severities are those of the product, so dashboards and product cannot drift
apart. Limits are not written here: goals and benchmarks are metrics (`dora_goal`, `dora_benchmark_edge`).
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import dora_queries as queries
from grafana_panels import (
    COLUMNS,
    COUNT,
    RATIO,
    SECONDS,
    Dashboard,
    Json,
    Panel,
    Query,
    Row,
    annotation,
    bars,
    choice_variable,
    curve,
    data_source_variable,
    link,
    override,
    query_variable,
    stat,
    steps,
    table,
    texts,
)

from dora_metrics.core.facts.model import SEVERITIES
from dora_metrics.core.metrics.totals import UNSPECIFIED
from dora_metrics.core.targets.benchmarks import LEVELLED_METRICS, NEWEST_MONOTONE, published_benchmark
from dora_metrics.core.targets.metric import METRICS, Unit
from dora_metrics.core.windows import WINDOWS_DAYS

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "monitoring" / "grafana"
PAGE = ROOT / "docs" / "monitoring.md"

WINDOWS = tuple(f"{days}d" for days in WINDOWS_DAYS)
DEFAULT_WINDOW = "30d"
SCOPE = "{{cluster}} {{repository}} {{service}} {{environment}}"
"""The legend of a scope. Without a cluster it begins with a space, which is not shown."""

PER_DAY = "suffix:per day"
_UNITS: Mapping[Unit, str] = {"per day": PER_DAY, "seconds": SECONDS, "ratio": RATIO}

_LEVEL_COLORS = dict(
    zip(published_benchmark(NEWEST_MONOTONE).ladder(), ("purple", "green", "orange", "red"), strict=True)
)
_LEVEL_RANKS = published_benchmark(NEWEST_MONOTONE).ranks

NO_DEPLOYMENT = "no deployment in this window"
NO_CHANGE = "no change delivered in this window"
NO_FAILURE = "no failed deployment recovered in this window"
NO_INCIDENTS = "incidents are not recorded"
NO_RESTORE = "no incident ended in this window"
_FIRST_DAY = ", or no history in Prometheus yet"


# --- What all dashboards have ---


def _variables() -> list[Json]:
    """Return data source, scope and window; a scope is a series of a metric that every scope has."""
    every_scope = "dora_deployments_total"
    matchers, variables = list[str](), list[Json]()
    for name in queries.SERIES_LABELS:
        query = f"label_values({every_scope}{{{','.join(matchers)}}}, {name})"
        variables.append(query_variable(name, name.title(), query))
        matchers.append(f'{name}=~"${name}"')
    return [data_source_variable(), *variables, choice_variable("window", "Window", WINDOWS, DEFAULT_WINDOW)]


def _annotations() -> list[Json]:
    """Return failed deployments, and the last deployment of each day at its own time."""
    failed = f"{queries.growth_each_step('dora_deployment_failures_total')} > 0"
    last = queries.each_step("dora_last_deployment_timestamp_seconds")
    before = queries.before_step("dora_last_deployment_timestamp_seconds")
    return [
        annotation("Failed deployments", "red", failed, SCOPE, is_on=True),
        annotation("Deployments", "green", f"1000 * ({last} > {before})", SCOPE, is_on=False, useValueForTime="on"),
    ]


def _url(uid: str, row: str) -> str:
    """Return the address of another dashboard with the scope of a row or series, and all else as it is."""
    scope = "".join(f"&var-{label}=${{{row}.{label}:percentencode}}" for label in queries.SCOPE_LABELS)
    kept = "${__url_time_range}&${datasource:queryparam}&${cluster:queryparam}&${window:queryparam}"
    return f"/d/{uid}?{kept}{scope}"


def _scope_links(row: str, *uids: str) -> list[Json]:
    names = {"dora-trends": "Trends of this scope", "dora-recovery": "Recovery of this scope"}
    return [link(names[uid], _url(uid, row)) for uid in uids]


def _dashboard(uid: str, title: str, description: str, panels: Sequence[Panel | Row]) -> Dashboard:
    return Dashboard(uid, f"DORA / {title}", description, "dora", _variables(), _annotations(), panels)


# --- Overview ---

POOLED = "Of all selected scopes together."
ABOUT = "Exact for one scope. For several it is about right: to the width of a histogram bucket."


def _values() -> list[Panel]:
    """Return the five metrics and the open incidents as numbers."""
    return [
        stat(
            METRICS["deployment_frequency"].label,
            "How often is production deployed successfully?",
            [Query(queries.deployments_per_day(), "deployments")],
            PER_DAY,
            NO_DEPLOYMENT,
            width=4,
            note=POOLED,
            defaults={"decimals": 2},
        ),
        stat(
            "Lead time, median",
            "How long does half of all changes take at most, from its start to production?",
            [Query(queries.lead_time_median(), "median, {{precision}}")],
            SECONDS,
            NO_CHANGE + _FIRST_DAY,
            width=4,
            note=ABOUT,
            defaults={"decimals": 1},
        ),
        stat(
            METRICS["change_failure_rate"].label,
            "Which share of the deployments that reached users failed?",
            [Query(queries.change_failure_ratio(), "of deployments")],
            RATIO,
            NO_DEPLOYMENT,
            width=4,
            note=POOLED,
            defaults={"decimals": 1, "min": 0},
        ),
        stat(
            "Recovery, median",
            "How long does it take to recover from half of the failed deployments?",
            [Query(queries.recovery_time_median(), "median, {{precision}}")],
            SECONDS,
            NO_FAILURE + _FIRST_DAY,
            width=4,
            note=ABOUT,
            defaults={"decimals": 1},
        ),
        stat(
            METRICS["rework_rate"].label,
            "Which share of the deployments was unplanned, to repair production?",
            [Query(queries.rework_ratio(), "of deployments")],
            RATIO,
            NO_DEPLOYMENT,
            width=4,
            note=POOLED,
            defaults={"decimals": 1, "min": 0},
        ),
        stat(
            "Open incidents",
            "How many incidents are not resolved?",
            [Query(f"sum({queries.latest('dora_open_incidents')})", "open")],
            "short",
            NO_INCIDENTS,
            width=4,
            note=POOLED,
            defaults={"thresholds": steps("green", (1, "red"))},
        ),
    ]


def _of_scope(query: str) -> Query:
    return Query(f"max {queries.BY_SCOPE} ({query})")


def _gauge(name: str) -> Query:
    return _of_scope(queries.latest(name, queries.WINDOW))


def _level(metric: str) -> Query:
    return Query(queries.level_name(metric, f"{metric}_level"), f"{metric}_level")


_SCOPE_COLUMNS = {label: label.title() for label in queries.SERIES_LABELS}


def _every_scope() -> Panel:
    """Return the table of all scopes; the level of a metric is in the column after it."""
    columns = {
        "Per day": _gauge("dora_deployment_frequency_per_day"),
        "Frequency level": _level("deployment_frequency"),
        "Lead time p50": _gauge("dora_lead_time_p50_seconds"),
        "Lead time p90": _gauge("dora_lead_time_p90_seconds"),
        "Lead time level": _level("lead_time"),
        "Failure rate": _gauge("dora_change_failure_ratio"),
        "Failure level": _level("change_failure_rate"),
        "Recovery p50": _gauge("dora_recovery_time_p50_seconds"),
        "Recovery level": _level("recovery_time"),
        "Rework": _gauge("dora_rework_ratio"),
        "Last deployment": _of_scope(f"time() - {queries.latest('dora_last_deployment_timestamp_seconds')}"),
    }
    return table(
        "Every scope",
        "What are the metrics of each repository, service and environment?",
        _SCOPE_COLUMNS,
        columns,
        "no scope: check the data source and the variables above",
        height=9,
        note="All values are exact. A click on a repository opens its trends or its recovery. Levels are those of each "
        "repository's benchmark; an empty cell has no data in this window.",
        overrides=[
            override("byRegexp", "/^(Lead time p|Recovery p|Last)/", unit=SECONDS, decimals=1, noValue="–"),
            override("byRegexp", "/^(Failure rate|Rework)$/", unit=RATIO, decimals=1, noValue="–"),
            override("byName", "Per day", unit="short", decimals=2, noValue="–"),
            override(
                "byRegexp",
                "/ level$/",
                mappings=texts({level: (level, color) for level, color in _LEVEL_COLORS.items()}),
                noValue="–",
                custom__cellOptions={"type": "color-background", "mode": "basic"},
                color={"mode": "fixed", "fixedColor": "transparent"},
            ),
            override("byName", "Repository", links=_scope_links("__data.fields", "dora-trends", "dora-recovery")),
        ],
    )


def _levels() -> Panel:
    """Return the levels over time. The texts of published levels are not those of a custom benchmark's ranks."""
    published = {str(rank): (level, _LEVEL_COLORS[level]) for level, rank in _LEVEL_RANKS.items()}
    return Panel(
        "state-timeline",
        "Levels",
        "How did the level of each metric change?",
        [
            Query(queries.level_each_step(metric), f"{SCOPE}: {METRICS[metric].name} ({{{{benchmark}}}})")
            for metric in LEVELLED_METRICS
        ],
        "short",
        "no level: no data, or the benchmark is none",
        COLUMNS,
        12,
        note="By the benchmark in brackets, which each repository chooses. "
        "Levels of a custom benchmark are ranks; 0 is the lowest.",
        is_curve=True,
        options={
            "mergeValues": True,
            "showValue": "auto",
            "alignValue": "left",
            "rowHeight": 0.85,
            "perPage": 20,
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
            "tooltip": {"mode": "single", "sort": "none"},
        },
        custom={"fillOpacity": 75, "lineWidth": 0},
        defaults={"mappings": texts(published), "color": {"mode": "continuous-blues"}},
        overrides=[override("byRegexp", r"/\(custom\)/", mappings=[])],
    )


def _firing_alerts() -> Panel:
    return table(
        "Firing alerts",
        "Which of our alerts are firing, and since when?",
        {"alertname": "Alert", "severity": "Severity", "metric": "Metric", **_SCOPE_COLUMNS},
        {"Since": Query(queries.firing_since())},
        "no alert is firing",
        height=5,
        note="docs/monitoring.md says what each alert means. They need the rules of monitoring/prometheus/.",
        overrides=[override("byName", "Since", unit="dateTimeFromNow")],
    )


_STALE_SECONDS = 2 * 86_400
"""A push so old is late, with a run a day. The alert DoraMetricsStale says the same."""


def _fed() -> list[Panel | Row]:
    """Return where the numbers come from, and how old they are."""
    ledgers = table(
        "Ledgers",
        "Is every repository's ledger still pushed, and accepted?",
        {"cluster": "Cluster", "repository": "Repository"},
        {
            "Last push": Query(queries.since_push()),
            "Push": Query(queries.was_push_refused()),
            "Facts": Query(f"max {queries.BY_REPOSITORY} ({queries.latest('dora_ledger_facts')})"),
            "Sequence": Query(f"max {queries.BY_REPOSITORY} ({queries.latest('dora_ledger_sequence')})"),
            "Version": Query(_label_of("dora_build_info", "version"), "version"),
            "Benchmark": Query(_label_of("dora_benchmark_info", "benchmark"), "benchmark"),
        },
        "no repository: nothing was pushed yet, or the data source is another one",
        height=7,
        note="Without a Pushgateway, the last push is the newest sample, and nothing says whether one was refused. A "
        "sequence that does not grow while there are deployments means that another ledger is pushed.",
        overrides=[
            override("byRegexp", "/^(Facts|Sequence)$/", unit=COUNT),
            override(
                "byName",
                "Last push",
                unit=SECONDS,
                decimals=1,
                color={"mode": "thresholds"},
                thresholds=steps("green", (_STALE_SECONDS, "red")),
                custom__cellOptions={"type": "color-text"},
            ),
            override(
                "byName",
                "Push",
                mappings=texts({"0": ("accepted", "green"), "1": ("refused", "red")}),
                noValue="–",
                custom__cellOptions={"type": "color-text"},
            ),
        ],
    )
    return [Row("Is it fed?"), ledgers]


def _label_of(metric: str, label: str) -> str:
    """Return the query for the value of a label by repository; one of two values after a change."""
    return f"topk {queries.BY_REPOSITORY} (1, group by (cluster, repository, {label}) ({queries.latest(metric)}))"


def overview() -> Dashboard:
    panels = [*_values(), _every_scope(), _levels(), _firing_alerts(), *_fed()]
    return _dashboard("dora-overview", "Overview", "The five DORA metrics of every repository that reports.", panels)


# --- Trends ---


def _against_before() -> list[Panel]:
    """Return each metric in the window and in the one before, which do not overlap."""
    before = "$window"
    rows = (
        ("Deployments a day", "deployment_frequency", queries.deployments_per_day, "short", 2, NO_DEPLOYMENT),
        ("Lead time", "lead_time", queries.lead_time_median, SECONDS, 1, NO_CHANGE + _FIRST_DAY),
        ("Failure rate", "change_failure_rate", queries.change_failure_ratio, RATIO, 1, NO_DEPLOYMENT),
        ("Recovery", "recovery_time", queries.recovery_time_median, SECONDS, 1, NO_FAILURE + _FIRST_DAY),
        ("Rework", "rework_rate", queries.rework_ratio, RATIO, 1, NO_DEPLOYMENT),
    )
    return [
        stat(
            title,
            f"Is the {METRICS[metric].name} of the window better than that of the window before?",
            [Query(query(), f"last $window{about}"), Query(query(before), f"$window before{about}")],
            unit,
            empty,
            width=5 if index < len(rows) - 1 else 4,
            note=ABOUT if unit == SECONDS else POOLED,
            defaults={"decimals": decimals},
        )
        for index, (title, metric, query, unit, decimals, empty) in enumerate(rows)
        for about in [", {{precision}}" if unit == SECONDS else ""]
    ]


def _trend(metric: str, question: str, gauges: Mapping[str, str], empty: str, width: int) -> Panel:
    """Return a metric over time with its goal and the limits of levels; `gauges` by what begins their legends."""
    values = [Query(queries.each_step(name, queries.WINDOW), f"{prefix}{SCOPE}") for prefix, name in gauges.items()]
    goal = Query(queries.goal_each_step(metric), "goal")
    edges = [Query(queries.edges_each_step(metric, list(gauges.values())[-1]), "{{level}} ({{benchmark}})")]
    has_levels, is_time = metric in LEVELLED_METRICS, METRICS[metric].unit == "seconds"
    dotted = " Dotted: the worst value of a level, where it is near the values." if has_levels else ""
    return curve(
        METRICS[metric].label,
        question,
        [*values, goal, *(edges if has_levels else [])],
        _UNITS[METRICS[metric].unit],
        empty,
        width=width,
        note=f"Each point is about the window that ends there. Dashed: goals of the repositories.{dotted}",
        defaults={"links": _scope_links("__field.labels", "dora-recovery"), **({"decimals": 1} if is_time else {})},
        overrides=[
            override("byRegexp", "/^p90 /", custom__lineWidth=1),
            _line("/^goal$/", 2, "dash", "text"),
            *(_line(rf"/^{level} \(/", 1, "dot", color) for level, color in _LEVEL_COLORS.items()),
            override("byRegexp", r"/ \(custom of /", custom__lineWidth=1, custom__lineStyle=_style("dot"), links=[]),
        ],
    )


def _line(name: str, width: int, style: str, color: str) -> Json:
    return override(
        "byRegexp",
        name,
        custom__lineWidth=width,
        custom__lineStyle=_style(style),
        custom__showPoints="never",
        color={"mode": "fixed", "fixedColor": color},
        links=[],
    )


def _style(fill: str) -> Json:
    return {"fill": fill, "dash": [10, 10] if fill == "dash" else [2, 6]}


def trends() -> Dashboard:
    panels = [
        *_against_before(),
        _trend(
            "deployment_frequency",
            "Is production deployed more often than before?",
            {"": "dora_deployment_frequency_per_day"},
            NO_DEPLOYMENT,
            COLUMNS // 2,
        ),
        bars(
            "Deployments and failures, each day",
            "How many deployments reached users on each day, and how many of them failed?",
            [
                Query(queries.events_each_step("dora_deployments_total"), "deployments"),
                Query(queries.events_each_step("dora_deployment_failures_total"), "failed"),
            ],
            "no deployment in this time",
            overrides=[_fixed_color("deployments", "blue"), _fixed_color("failed", "red")],
        ),
        _trend(
            "lead_time",
            "Do changes reach production sooner than before?",
            {"p50 ": "dora_lead_time_p50_seconds", "p90 ": "dora_lead_time_p90_seconds"},
            NO_CHANGE,
            COLUMNS,
        ),
        _trend(
            "change_failure_rate",
            "Do fewer deployments fail than before?",
            {"": "dora_change_failure_ratio"},
            NO_DEPLOYMENT,
            COLUMNS // 3,
        ),
        _trend(
            "recovery_time",
            "Are failed deployments recovered sooner than before?",
            {"": "dora_recovery_time_p50_seconds"},
            NO_FAILURE,
            COLUMNS // 3,
        ),
        _trend(
            "rework_rate",
            "Are fewer deployments unplanned than before?",
            {"": "dora_rework_ratio"},
            NO_DEPLOYMENT,
            COLUMNS // 3,
        ),
    ]
    return _dashboard("dora-trends", "Trends", "How each metric moved, against its goal and its benchmark.", panels)


def _fixed_color(name: str, color: str) -> Json:
    return override("byName", name, color={"mode": "fixed", "fixedColor": color})


# --- Recovery ---


def _by_severity(query: Callable[[str], str]) -> list[Query]:
    """Return a query for each severity, worst first; `query` makes it from the matcher of a severity."""
    return [Query(query(f'severity="{severity}"'), severity) for severity in (*SEVERITIES, UNSPECIFIED)]


def _restore() -> list[Panel]:
    return [
        stat(
            "Failed deployment recovery, median",
            "How long does it take to recover from half of the failed deployments?",
            [Query(queries.recovery_time_median(), "median, {{precision}}")],
            SECONDS,
            NO_FAILURE + _FIRST_DAY,
            width=8,
            note=f"DORA's metric: from a failed deployment to its remediation. {ABOUT}",
            defaults={"decimals": 1},
        ),
        stat(
            "Incident restore, mean (MTTR)",
            "How long does an incident last on average, from its detection to its end?",
            [Query(queries.mean("dora_incident_restore_seconds"), "mean")],
            SECONDS,
            NO_RESTORE + _FIRST_DAY,
            width=8,
            note="A mean follows the longest incidents; the next panel and the distribution below show them.",
            defaults={"decimals": 1},
        ),
        stat(
            "Incident restore, 90th percentile",
            "How long do nine of ten incidents last at most?",
            [Query(queries.quantile(0.9, "dora_incident_restore_seconds"), "p90, about")],
            SECONDS,
            NO_RESTORE + _FIRST_DAY,
            width=8,
            note="About right: to the width of a histogram bucket.",
            defaults={"decimals": 1},
        ),
    ]


def _open() -> list[Panel]:
    return [
        stat(
            "Open incidents by severity",
            "How many incidents are not resolved, and how severe are they?",
            _by_severity(lambda matcher: f"sum({queries.latest('dora_open_incidents', matcher)})"),
            "short",
            NO_INCIDENTS,
            width=16,
            defaults={"thresholds": steps("green", (1, "red"))},
        ),
        stat(
            "Longest open",
            "For how long has there been an open incident without a break?",
            [Query(queries.longest_open(), "about")],
            SECONDS,
            "no open incident",
            width=8,
            note="In one scope and severity. To an hour, or to the time between two samples. 90 days at most.",
            defaults={"decimals": 1, "thresholds": steps("orange", (86_400, "red"))},
        ),
    ]


def _heatmap() -> Panel:
    return Panel(
        "heatmap",
        "Incident restore, distribution",
        "How long did the incidents last that ended on each day?",
        [Query(queries.buckets_each_step("dora_incident_restore_seconds"), "{{le}}")],
        SECONDS,
        "no incident ended in this time",
        COLUMNS,
        10,
        note="Each column is what Prometheus saw in the day that ends there. Darker is more incidents.",
        is_curve=True,
        query_format="heatmap",
        options={
            "calculate": False,
            "cellGap": 1,
            "color": {
                "mode": "scheme",
                "scheme": "Oranges",
                "scale": "linear",
                "fill": "dark-orange",
                "exponent": 0.5,
                "reverse": False,
                "steps": 16,
                "min": 0,
            },
            "exemplars": {"color": "rgba(255,0,255,0.7)"},
            "filterValues": {"le": 1e-9},
            "legend": {"show": True},
            "rowsFrame": {"layout": "auto", "value": "incidents"},
            "showValue": "never",
            "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": True},
            "yAxis": {"axisPlacement": "left", "reverse": False, "unit": SECONDS},
        },
        custom={"hideFrom": {"legend": False, "tooltip": False, "viz": False}, "scaleDistribution": {"type": "linear"}},
    )


def _vulnerabilities() -> list[Panel]:
    count, seconds = (f"dora_vulnerability_remediation_seconds_{part}" for part in ("count", "sum"))
    fixed = f"sum by (severity) ({queries.growth_in_window(count)})"
    return [
        stat(
            "Vulnerabilities fixed, by severity",
            "How many vulnerabilities were fixed in the window?",
            _by_severity(lambda matcher: f"sum({queries.growth_in_window(count, matcher)})"),
            "short",
            "no vulnerability is known: none was found, or the token may not read alerts",
            width=12,
            defaults={"decimals": 0},
        ),
        stat(
            "Time to fix a vulnerability, mean by severity",
            "How long did it take to fix the vulnerabilities that were fixed in the window?",
            [
                Query(
                    f"sort_desc(sum by (severity) ({queries.growth_in_window(seconds)}) / ({fixed} > 0))",
                    "{{severity}}",
                )
            ],
            SECONDS,
            "no vulnerability was fixed in this window",
            width=12,
            note="The severity that takes longest comes first.",
            defaults={"decimals": 1},
        ),
    ]


def recovery() -> Dashboard:
    panels = [
        *_restore(),
        *_open(),
        bars(
            "Incidents, each day",
            "How many incidents began on each day?",
            [Query(queries.events_each_step("dora_incidents_total"), "incidents")],
            "no incident in this time, or incidents are not recorded",
            overrides=[_fixed_color("incidents", "orange")],
        ),
        bars(
            "Pipeline failures, each day",
            "How many deployment runs failed on each day, whether they reached users or not?",
            [Query(queries.events_each_step("dora_pipeline_failures_total"), "failed runs")],
            "no deployment run in this time",
            overrides=[_fixed_color("failed runs", "red")],
        ),
        _heatmap(),
        *_vulnerabilities(),
    ]
    text = (
        "Failed deployments and incidents: how soon they end. MTTR means several things; here each has its own panel."
    )
    return _dashboard("dora-recovery", "Recovery (MTTR)", text, panels)


DASHBOARDS = (overview(), trends(), recovery())


# --- Files ---

_TABLE = re.compile(r"(<!-- panels: (?P<uid>[a-z-]+) -->\n)(?:\n(?:\|.*\n)+)?")
_LONG_CELL = 160
_ALL_MATCHERS = re.compile(r'(?:(?:cluster|repository|service|environment)=~"\$\w+\|?",?)+')


def files() -> dict[Path, str]:
    """Return the content of each file that this program writes."""
    made = {FOLDER / each.file_name: json.dumps(each.as_json(), indent=2) + "\n" for each in DASHBOARDS}
    return made | {PAGE: _with_tables(PAGE.read_text("utf-8"))}


def _with_tables(page: str) -> str:
    """Return the page with the table of each dashboard made again, after the comment that names it."""
    rows = {each.uid: "\n".join(_rows(each)) for each in DASHBOARDS}
    return _TABLE.sub(lambda match: f"{match[1]}\n{rows[match['uid']]}\n", page)


def _rows(dashboard: Dashboard) -> Iterator[str]:
    yield "| panel | question | query |"
    yield "|---|---|---|"
    for panel in dashboard.panels:
        if isinstance(panel, Panel):
            yield f"| {panel.title} | {panel.question} | {_cell([query.expr for query in panel.queries])} |"
    for event in dashboard.annotations:
        query = _cell([event["target"]["expr"]])
        yield f"| *{event['name']}* | marked in all curves, {_state(event)} at first | {query} |"


def _cell(exprs: Sequence[str]) -> str:
    """Return queries as the cell of a table; long ones are shown after a click."""
    code = "<br>".join(f"`{_shortened(expr)}`" for expr in exprs)
    count = "1 query" if len(exprs) == 1 else f"{len(exprs)} queries"
    return code if len(code) < _LONG_CELL else f"<details><summary>{count}</summary>{code}</details>"


def _state(event: Json) -> str:
    return "on" if event["enable"] else "off"


def _shortened(expr: str) -> str:
    """Return a query with `…` for what selects the scope, fit for the cell of a table."""
    return _ALL_MATCHERS.sub("…,", expr).replace("…,}", "…}").replace("|", r"\|")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the dashboards and their tables in docs/monitoring.md.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if a file is not as it would be written"
    )
    made, is_check = files(), parser.parse_args().check
    stale = [path for path, text in made.items() if not path.exists() or path.read_text("utf-8") != text]
    if is_check and stale:
        sys.exit(
            f"run `make dashboards`: {', '.join(path.relative_to(ROOT).as_posix() for path in stale)} would change"
        )
    for path in stale:
        path.write_text(made[path], "utf-8", newline="\n")


if __name__ == "__main__":
    main()

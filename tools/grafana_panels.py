"""Panels and dashboards of Grafana as JSON: the few kinds that ours are made of.

A `Panel` says what is asked, in which unit, and what an empty panel means. `dashboard` places panels in rows from left
to right. Field names are those of Grafana's schema; a test compares the result with the package `@grafana/schema`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from string import ascii_uppercase
from typing import Any, NamedTuple, TypedDict, Unpack

Json = dict[str, Any]

COLUMNS = 24
"""Width of a dashboard in Grafana's grid."""

DATA_SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
RATIO = "percentunit"
SECONDS = "s"
COUNT = "locale"
"""Whole numbers in full: 1,864 where `short` says 1.86 K."""

TEXT = "string"
"""What is not a number, even where it looks like one: the benchmark `2023` is not 2.02 K."""


class Query(NamedTuple):
    """A query with what its results are called. `{{repository}}` in a legend is a label."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """A panel.

    Attributes:
        kind: Grafana's name of the visualization.
        title: what is shown.
        question: the question that it answers.
        queries: in the order of their letters, A first.
        unit: Grafana's name of a unit.
        empty: what it means that there is no data.
        note: what a reader must know besides the question.
        is_curve: whether queries are evaluated at each day of the dashboard's time, not only at its end.
        query_format: in which form Grafana passes on the results.
        options: of the visualization.
        custom: of the fields, by the visualization.
        defaults: of the fields, by Grafana.
        overrides: of single fields.
        transformations: of the results before they are shown.
    """

    kind: str
    title: str
    question: str
    queries: Sequence[Query]
    unit: str
    empty: str
    width: int
    height: int
    note: str = ""
    is_curve: bool = False
    query_format: str = "time_series"
    options: Mapping[str, Any] = field(default_factory=dict)
    custom: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    overrides: Sequence[Json] = ()
    transformations: Sequence[Json] = ()

    @property
    def description(self) -> str:
        return f"{self.question} {self.note}".strip()

    def as_json(self) -> Json:
        """Return Grafana's form, without id and place."""
        once_a_day = {"interval": "1d"} if self.is_curve else {}
        transformations = {"transformations": list(self.transformations)} if self.transformations else {}
        return {
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATA_SOURCE,
            **once_a_day,
            "targets": [
                self._target(letter, query) for letter, query in zip(ascii_uppercase, self.queries, strict=False)
            ],
            **transformations,
            "fieldConfig": {"defaults": self._field_defaults(), "overrides": list(self.overrides)},
            "options": dict(self.options),
        }

    def _target(self, letter: str, query: Query) -> Json:
        return {
            "refId": letter,
            "datasource": DATA_SOURCE,
            "editorMode": "code",
            "expr": query.expr,
            "legendFormat": query.legend,
            "instant": not self.is_curve,
            "range": self.is_curve,
            "format": self.query_format,
        }

    def _field_defaults(self) -> Json:
        return {
            "unit": self.unit,
            "noValue": self.empty,
            "color": {"mode": "palette-classic"},
            "thresholds": steps("blue"),
            "mappings": [],
            **self.defaults,
            "custom": dict(self.custom),
        }


@dataclass(frozen=True)
class Row:
    """A heading above the panels that follow."""

    title: str
    width: int = COLUMNS
    height: int = 1

    def as_json(self) -> Json:
        return {"type": "row", "title": self.title, "collapsed": False, "panels": []}


def steps(color: str, *limits: tuple[float, str]) -> Json:
    """Return a colour, and others from some values on."""
    return {
        "mode": "absolute",
        "steps": [{"value": None, "color": color}, *({"value": value, "color": name} for value, name in limits)],
    }


def texts(words: Mapping[str, tuple[str, str]]) -> list[Json]:
    """Return the mapping of values to a text and a colour each."""
    return [
        {
            "type": "value",
            "options": {
                value: {"text": text, "color": color, "index": index}
                for index, (value, (text, color)) in enumerate(words.items())
            },
        }
    ]


def override(matcher: str, name: str, **properties: object) -> Json:
    """Return what holds for some fields only. `__` in the name of a property is a dot."""
    named = ({"id": key.replace("__", "."), "value": value} for key, value in properties.items())
    return {"matcher": {"id": matcher, "options": name}, "properties": list(named)}


def link(title: str, url: str) -> Json:
    return {"title": title, "url": url, "targetBlank": False}


class Details(TypedDict, total=False):
    """What a panel may have of its own; see `Panel`."""

    note: str
    width: int
    height: int
    defaults: Json
    overrides: Sequence[Json]


def stat(
    title: str, question: str, queries: Sequence[Query], unit: str, empty: str, **details: Unpack[Details]
) -> Panel:
    """Return numbers in large letters, each with its name."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "value_and_name",
        "wideLayout": False,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
    }
    details["defaults"] = {"color": {"mode": "thresholds"}, **details.get("defaults", {})}
    return replace(Panel("stat", title, question, queries, unit, empty, 4, 4, options=options), **details)


_LEGEND = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}


def curve(
    title: str, question: str, queries: Sequence[Query], unit: str, empty: str, **details: Unpack[Details]
) -> Panel:
    """Return lines over time. A ratio's axis goes to 20 % at least, where it would be 10,000 % if all are zero."""
    custom = {
        "drawStyle": "line",
        "lineInterpolation": "stepAfter",
        "lineWidth": 2,
        "fillOpacity": 0,
        "showPoints": "auto",
        "spanNulls": 2 * 86_400_000,
        "axisSoftMin": 0,
        **({"axisSoftMax": 0.2} if unit == RATIO else {}),
    }
    options = {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}}
    panel = Panel(
        "timeseries", title, question, queries, unit, empty, 12, 9, is_curve=True, options=options, custom=custom
    )
    return replace(panel, **details)


def bars(title: str, question: str, queries: Sequence[Query], empty: str, **details: Unpack[Details]) -> Panel:
    """Return counts of each day. Of two queries, the second counts a part of the first, and is drawn over it."""
    details.setdefault("note", "Each bar is what Prometheus saw in the day that ends there.")
    panel = curve(title, question, queries, "short", empty, **details)
    custom = {"drawStyle": "bars", "lineWidth": 0, "fillOpacity": 80, "showPoints": "never", "axisSoftMin": 0}
    return replace(panel, custom=custom, defaults={"decimals": 0, "min": 0, **panel.defaults})


_HIDDEN_LABELS = ("Time", "__name__", "job", "instance", "window")


def table(
    title: str,
    question: str,
    labels: Mapping[str, str],
    columns: Mapping[str, Query],
    empty: str,
    **details: Unpack[Details],
) -> Panel:
    """Return a table with a row for each set of labels. Overrides give its columns of numbers their units.

    Args:
        title: what is shown.
        question: the question that it answers.
        labels: titles of the columns of labels.
        columns: the queries by the titles of their columns. One with a legend has its answer in the label of that name,
            and its value is not shown.
        empty: what it means that there is no row.
        details: what else the panel has.
    """
    fields = [f"Value #{letter}" for letter in ascii_uppercase[: len(columns)]] if len(columns) > 1 else ["Value"]
    queries = list(zip(fields, columns.items(), strict=True))
    names = {query.legend or value: title for value, (title, query) in queries}
    answers_in_labels = [value for value, (_, query) in queries if query.legend]
    organize = {
        "excludeByName": dict.fromkeys((*_HIDDEN_LABELS, *answers_in_labels), True),
        "indexByName": {name: index for index, name in enumerate((*labels, *names))},
        "renameByName": {**labels, **names},
    }
    panel = Panel(
        "table",
        title,
        question,
        list(columns.values()),
        TEXT,
        empty,
        COLUMNS,
        9,
        query_format="table",
        options={"showHeader": True, "cellHeight": "sm", "enablePagination": True, "frameIndex": 0},
        custom={"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False, "filterable": True, "minWidth": 60},
        transformations=[{"id": "merge", "options": {}}, {"id": "organize", "options": organize}],
    )
    return replace(panel, **details)


def query_variable(name: str, label: str, query: str) -> Json:
    """Return a variable with the values of a label. "All" also matches series without the label."""
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": DATA_SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        "options": [],
    }


def choice_variable(name: str, label: str, choices: Sequence[str], default: str) -> Json:
    return {
        "type": "custom",
        "name": name,
        "label": label,
        "query": ",".join(choices),
        "multi": False,
        "includeAll": False,
        "current": {"text": default, "value": default},
        "options": [{"text": choice, "value": choice, "selected": choice == default} for choice in choices],
    }


def data_source_variable() -> Json:
    """Return the variable that panels take their data source from, so that a dashboard fits any Grafana."""
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "multi": False,
        "includeAll": False,
        "options": [],
    }


def annotation(name: str, color: str, expr: str, text: str, *, is_on: bool, **more: object) -> Json:
    """Return events of each day, marked in all curves."""
    return {
        "name": name,
        "datasource": DATA_SOURCE,
        "enable": is_on,
        "hide": False,
        "iconColor": color,
        "target": {"refId": "Anno", "expr": expr, "interval": "1d"},
        "titleFormat": name,
        "textFormat": text,
        **more,
    }


@dataclass(frozen=True)
class Dashboard:
    """A dashboard. All with its tag link to each other and pass on what is selected."""

    uid: str
    title: str
    description: str
    tag: str
    variables: Sequence[Json]
    annotations: Sequence[Json]
    panels: Sequence[Panel | Row]

    @property
    def file_name(self) -> str:
        return f"{self.uid}.json"

    def as_json(self) -> Json:
        """Return Grafana's form."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [self.tag],
            "schemaVersion": 41,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "timezone": "browser",
            "time": {"from": "now-90d", "to": "now"},
            "refresh": "5m",
            "fiscalYearStartMonth": 0,
            "liveNow": False,
            "weekStart": "",
            "links": [self._links()],
            "templating": {"list": list(self.variables)},
            "annotations": {"list": list(self.annotations)},
            "panels": list(self._placed_panels()),
        }

    def _links(self) -> Json:
        return {
            "type": "dashboards",
            "title": "DORA",
            "tags": [self.tag],
            "asDropdown": False,
            "includeVars": True,
            "keepTime": True,
            "targetBlank": False,
            "icon": "external link",
            "tooltip": "",
            "url": "",
        }

    def _placed_panels(self) -> Iterator[Json]:
        """Yield panels from left to right; one that does not fit any more begins the next line."""
        x = y = line_height = 0
        for number, panel in enumerate(self.panels, 1):
            if x + panel.width > COLUMNS:
                x, y, line_height = 0, y + line_height, 0
            yield {"id": number, "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height}, **panel.as_json()}
            x, line_height = x + panel.width, max(line_height, panel.height)

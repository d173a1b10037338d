"""Asks a Prometheus what a dashboard asks, with the variables replaced as Grafana replaces them."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import requests

from support.paths import ROOT
from support.servers import Prometheus

FOLDER = ROOT / "monitoring" / "grafana"
RANGE = timedelta(days=90)
DAY = timedelta(days=1)
UIDS = ("dora-overview", "dora-trends", "dora-recovery")

Json = dict[str, Any]
Vector = list[Json]
"""Results as Prometheus returns them: `metric` has the labels; `value` or `values` have times and values as text."""


@cache
def dashboard(uid: str) -> Json:
    content: Json = json.loads((FOLDER / f"{uid}.json").read_text("utf-8"))
    return content


class PanelQuery(NamedTuple):
    """A query of a panel or of an annotation."""

    uid: str
    title: str
    ref: str
    expr: str
    is_curve: bool

    def __str__(self) -> str:
        return f"{self.uid}: {self.title} {self.ref}"


def panel_queries(uid: str) -> Iterator[PanelQuery]:
    for panel in dashboard(uid)["panels"]:
        for target in panel.get("targets", ()):
            yield PanelQuery(uid, panel["title"], target["refId"], target["expr"], target["range"])


def annotation_queries(uid: str) -> Iterator[PanelQuery]:
    for event in dashboard(uid)["annotations"]["list"]:
        yield PanelQuery(uid, event["name"], "", event["target"]["expr"], is_curve=True)


def all_queries() -> list[PanelQuery]:
    return [query for uid in UIDS for query in (*panel_queries(uid), *annotation_queries(uid))]


@dataclass(frozen=True)
class Viewer:
    """Someone who looks at the dashboards at a time, with values selected in some variables."""

    server: Prometheus
    now: datetime
    window: str = "30d"
    selected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def ask(self, query: PanelQuery) -> Vector:
        """The results of a query.

        Raises:
            requests.HTTPError: if Prometheus calls it an error; its text says why.
        """
        return self._range(query) if query.is_curve else self._get("query", query, {"time": self.now.timestamp()})

    def panel(self, uid: str, title: str) -> dict[str, Vector]:
        """The results of a panel or annotation by the letters of its queries."""
        queries = (*panel_queries(uid), *annotation_queries(uid))
        results = {query.ref: self.ask(query) for query in queries if query.title == title}
        assert results, f"{uid} has no panel {title}"
        return results

    def number(self, uid: str, title: str) -> float | None:
        """The only number of a panel; None if it is empty."""
        values = [float(result["value"][1]) for results in self.panel(uid, title).values() for result in results]
        assert len(values) <= 1, f"{title} has {values}"
        return values[0] if values else None

    def expression(self, expr: str) -> str:
        """The query with all variables replaced."""
        replaced = expr.replace("$__interval", "1d").replace("$__range", f"{RANGE.total_seconds():.0f}s")
        for variable in dashboard("dora-overview")["templating"]["list"]:
            replaced = self._value(variable).join(re.split(rf"\${variable['name']}\b", replaced))
        assert "$_" not in replaced, replaced
        return replaced

    def _value(self, variable: Json) -> str:
        """A variable with several values becomes a regular expression whose special characters are escaped."""
        if variable["name"] == "window":
            return self.window
        if variable["name"] not in self.selected:
            return str(variable.get("allValue", variable["name"]))
        values = [_escape(value) for value in self.selected[variable["name"]]]
        return values[0] if len(values) == 1 else f"({'|'.join(values)})"

    def _range(self, query: PanelQuery) -> Vector:
        """Grafana moves both ends down to a multiple of the step."""
        step = DAY.total_seconds()
        start, end = ((moment.timestamp() // step) * step for moment in (self.now - RANGE, self.now))
        return self._get("query_range", query, {"start": start, "end": end, "step": step})

    def _get(self, path: str, query: PanelQuery, parameters: dict[str, float]) -> Vector:
        form = {"query": self.expression(query.expr), **parameters}
        answer = requests.post(f"{self.server.url}/api/v1/{path}", data=form, timeout=60)
        if not answer.ok:
            raise requests.HTTPError(f"{query}: {answer.json()['error']}: {form['query']}")
        result: Vector = answer.json()["data"]["result"]
        return result


def _escape(value: str) -> str:
    """Escape for a regular expression, and this for a string of PromQL."""
    return re.sub(r"[$^*{}\[\]'+?.()|]", r"\\\\\g<0>", value.replace("\\", r"\\\\"))


def label_values(viewer: Viewer, name: str) -> list[str]:
    """The values that a variable offers."""
    (variable,) = (each for each in dashboard("dora-overview")["templating"]["list"] if each["name"] == name)
    match = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
    assert match
    times = [("start", str((viewer.now - RANGE).timestamp())), ("end", str(viewer.now.timestamp()))]
    form = [("match[]", viewer.expression(match[1])), *times]
    answer = requests.get(f"{viewer.server.url}/api/v1/label/{match[2]}/values", params=form, timeout=60)
    answer.raise_for_status()
    values: list[str] = answer.json()["data"]
    return values


def points(results: Vector) -> list[tuple[float, float]]:
    """All points of curves as times and values."""
    return [(float(time), float(value)) for result in results for time, value in result["values"]]

"""The files of the dashboards: as made, fit for any Grafana, about metrics that exist, in the shape of its schema."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dashboards
import dora_queries
import pytest

from dora_metrics.core.targets.benchmarks import PUBLISHED_BENCHMARKS, published_benchmark
from dora_metrics.core.windows import WINDOWS_DAYS
from support.grafana import UIDS, Json, all_queries, dashboard
from support.npm_packages import NODE_MODULES, package_folder
from support.paths import ROOT
from support.tools import require_tool

each_dashboard = pytest.mark.parametrize("uid", UIDS)

NOT_ON_A_PANEL = {
    "dora_changes_total": "counts what the lead time is about; dora_window_changes has the count of a window",
    "dora_deployment_duration_seconds": "how long a pipeline runs is no DORA metric",
    "dora_rework_deployments_total": "dora_rework_ratio is exact, also on the first day",
    "dora_window_changes": "for alerts that need enough changes",
    "dora_window_recoveries": "for alerts that need enough recoveries",
}
"""Exported metrics that no panel shows, with the reason."""


def panels(uid: str) -> list[Json]:
    return [panel for panel in dashboard(uid)["panels"] if panel["type"] != "row"]


def all_panels() -> Iterator[tuple[str, Json]]:
    for uid in UIDS:
        for panel in panels(uid):
            yield f"{uid}: {panel['title']}", panel


each_panel = pytest.mark.parametrize(
    "panel", [panel for _, panel in all_panels()], ids=[name for name, _ in all_panels()]
)


# --- Files ---


@pytest.mark.parametrize("path", list(dashboards.files()), ids=lambda path: path.name)
def test_the_files_are_as_they_would_be_made(path: Path) -> None:
    assert path.read_text("utf-8") == dashboards.files()[path], "run `make dashboards`"


def test_the_check_fails_if_a_file_is_stale(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "monitoring.md"
    page.write_text("<!-- panels: dora-trends -->\n\n| by hand |\n", "utf-8")
    monkeypatch.setattr(dashboards, "ROOT", tmp_path)
    monkeypatch.setattr(dashboards, "PAGE", page)
    monkeypatch.setattr(dashboards, "FOLDER", tmp_path)
    monkeypatch.setattr("sys.argv", ["dashboards.py", "--check"])
    with pytest.raises(SystemExit, match=r"run `make dashboards`: .*monitoring.md would change"):
        dashboards.main()
    assert "by hand" in page.read_text("utf-8")


def test_the_page_has_a_table_of_each_dashboard() -> None:
    page = dashboards.PAGE.read_text("utf-8")
    for uid in UIDS:
        (table,) = re.findall(rf"<!-- panels: {uid} -->\n\n((?:\|.*\n)+)", page)
        assert [panel["title"] for panel in panels(uid) if f"| {panel['title']} | " not in table] == []


# --- Any Grafana ---


@each_dashboard
def test_a_dashboard_takes_its_data_source_from_a_variable(uid: str) -> None:
    """`__inputs` would be asked for by an import, and break provisioning."""
    assert "__inputs" not in dashboard(uid)
    assert dashboard(uid)["templating"]["list"][0]["type"] == "datasource"
    used = set(re.findall(r'"datasource": \{"type": "(.*?)", "uid": "(.*?)"\}', json.dumps(dashboard(uid))))
    assert used == {("prometheus", "${datasource}")}
    assert json.dumps(dashboard(uid)).count('"datasource": {') > len(panels(uid))


@each_dashboard
def test_the_windows_to_choose_from_are_those_that_are_exported(uid: str) -> None:
    (window,) = (each for each in dashboard(uid)["templating"]["list"] if each["name"] == "window")
    assert window["query"] == ",".join(f"{days}d" for days in WINDOWS_DAYS)


@each_dashboard
def test_failures_are_marked_from_the_start_and_deployments_if_wanted(uid: str) -> None:
    marks = {each["name"]: each["enable"] for each in dashboard(uid)["annotations"]["list"]}
    assert marks == {"Failed deployments": True, "Deployments": False}


@each_dashboard
def test_panels_do_not_overlap_and_fill_no_more_than_the_width(uid: str) -> None:
    cells = [
        (x, y)
        for panel in dashboard(uid)["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23


def test_titles_and_ids_are_unique_in_a_dashboard() -> None:
    for uid in UIDS:
        titles = [panel["title"] for panel in panels(uid)]
        assert len(set(titles)) == len(titles)
        ids = [panel["id"] for panel in dashboard(uid)["panels"]]
        assert len(set(ids)) == len(ids)


# --- Panels ---


@each_panel
def test_a_panel_has_a_question_a_unit_and_says_why_it_is_empty(panel: Json) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert re.match(r"[A-Z].*\?", panel["description"])
    assert defaults["unit"]
    assert len(defaults["noValue"].split()) > 1
    assert "no data" not in defaults["noValue"].lower().split(":")[0] or panel["type"] == "state-timeline"


@each_panel
def test_a_ratio_over_time_has_an_axis_to_a_fifth_at_least(panel: Json) -> None:
    """Where all values are zero, Grafana draws an axis to 10,000 %."""
    if panel["type"] == "timeseries" and panel["fieldConfig"]["defaults"]["unit"] == "percentunit":
        assert panel["fieldConfig"]["defaults"]["custom"]["axisSoftMax"] == 0.2


@each_panel
def test_a_curve_reads_each_sample_once(panel: Json) -> None:
    targets = panel["targets"]
    if any(target["range"] for target in targets):
        assert panel["interval"] == "1d"
    else:
        assert "$__interval" not in json.dumps(targets)


def test_levels_have_the_texts_and_ranks_of_the_published_benchmarks() -> None:
    (levels,) = (panel for panel in panels("dora-overview") if panel["title"] == "Levels")
    (mapping,) = levels["fieldConfig"]["defaults"]["mappings"]
    texts = {int(value): option["text"] for value, option in mapping["options"].items()}
    for name in PUBLISHED_BENCHMARKS:
        assert published_benchmark(name).ranks == {text: rank for rank, text in texts.items()}


def test_links_lead_from_a_scope_to_dashboards_that_exist() -> None:
    links = set(re.findall(r'"/d/([a-z-]+)\?', json.dumps([dashboard(uid) for uid in UIDS])))
    assert links == {"dora-trends", "dora-recovery"}


# --- Metrics ---


def used_metrics() -> set[str]:
    names = {name for query in all_queries() for name in re.findall(r"([a-zA-Z_0-9]+)\{", query.expr)}
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


def test_each_metric_of_a_query_is_exported() -> None:
    ours = used_metrics() - dora_queries.PUSH_METRICS - dora_queries.ALERT_METRICS
    assert ours <= set(dora_queries.exported_metrics())


def test_each_exported_metric_is_on_a_panel_or_has_a_reason_not_to_be() -> None:
    assert set(dora_queries.exported_metrics()) - used_metrics() == set(NOT_ON_A_PANEL)


def test_a_query_of_a_metric_that_does_not_exist_is_not_made() -> None:
    with pytest.raises(ValueError, match="no metric dora_leadtime is exported"):
        dora_queries.latest("dora_leadtime")


# --- Grafana's schema ---


def compiler_messages(folder: Path, text: str) -> str:
    """What TypeScript says of panels and dashboards."""
    compiler = package_folder("typescript") / "bin" / "tsc"
    package_folder("@grafana/schema")
    (folder / "check.ts").write_text(f"import type {{ Dashboard, Panel }} from './grafana';\n{text}", "utf-8")
    (folder / "grafana.ts").symlink_to(ROOT / "tests" / "web" / "grafana.ts")
    (folder / "node_modules").symlink_to(NODE_MODULES)
    options = ["--noEmit", "--strict", "--skipLibCheck", "--preserveSymlinks", "--typeRoots", "none"]
    options += ["--module", "esnext", "--moduleResolution", "bundler", "--target", "es2022"]
    command = [str(require_tool("node")), str(compiler), *options, "check.ts"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def typed(number: int, content: Json) -> str:
    dashboard_only = {key: value for key, value in content.items() if key != "panels"}
    panels_text, dashboard_text = json.dumps(content["panels"]), json.dumps(dashboard_only)
    return f"const panels{number}: Panel[] = {panels_text};\nconst dashboard{number}: Dashboard = {dashboard_text};\n"


def test_dashboards_and_panels_have_the_shape_of_grafanas_schema(tmp_path: Path) -> None:
    assert compiler_messages(tmp_path, "".join(typed(number, dashboard(uid)) for number, uid in enumerate(UIDS))) == ""


def test_a_misspelt_word_does_not_have_that_shape(tmp_path: Path) -> None:
    misspelt = json.dumps(dashboard("dora-trends")).replace("stepAfter", "stepafter", 1)
    assert '"stepafter"' in compiler_messages(tmp_path, typed(0, json.loads(misspelt)))

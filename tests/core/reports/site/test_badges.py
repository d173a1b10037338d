"""Badges: their paths, texts and colours."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.reports.site.feeds import (
    MAX_BADGE_SCOPES,
    Badge,
    build_badges,
    is_badge_path,
    safe_folder_name,
    scopes_latest_first,
)
from dora_metrics.core.targets.benchmarks import custom_benchmark, published_benchmark
from dora_metrics.pipeline.evaluate import last_deployed
from support.facts import change, deployment, incident, results_of

METRICS = ["change_failure_rate", "deployment_frequency", "lead_time", "overall", "recovery_time", "rework_rate"]


def badge_texts(badges: dict[str, Badge]) -> dict[str, str]:
    return {path.removeprefix("badges/").removesuffix(".json"): badge.message for path, badge in badges.items()}


def test_a_scope_has_a_badge_for_each_metric_and_one_for_all() -> None:
    shop = results_of(deployment(1, "03-01"), change(7, "03-04"), deployment(2, "03-05", changes=[7]))
    assert badge_texts(build_badges(shop)) == {
        "deployment_frequency": "2 in 31 days",
        "lead_time": "1 d",
        "change_failure_rate": "0 of 2",
        "recovery_time": "no data",
        "rework_rate": "0 of 2",
        "overall": "medium (possibly low to high)",
    }


def test_a_badge_is_what_shields_reads() -> None:
    """https://shields.io/badges/endpoint-badge: `schemaVersion` is 1; `label`, `message` and `color` are strings."""
    (badge,) = (one for path, one in build_badges(results_of(deployment(1))).items() if path == "badges/lead_time.json")
    assert badge == Badge(schema_version=1, label="lead time for changes", message="no data", color="lightgrey")
    assert badge.__struct_encode_fields__ == ("schemaVersion", "label", "message", "color")


def daily(count: int) -> list[Fact]:
    """Deployments in March, one a day. Of fourteen the frequency is 0.25 to 0.76 a day, which is high throughout."""
    return [deployment(number, f"03-{number:02}") for number in range(1, count + 1)]


def test_levels_are_coloured_by_rank_and_what_has_none_is_blue() -> None:
    failures = [incident(number, f"03-{number:02}T13:00") for number in range(1, 15)]
    found = build_badges(results_of(*daily(14), *failures))
    assert found["badges/deployment_frequency.json"].color == "green"
    assert found["badges/change_failure_rate.json"].color == "red"
    assert found["badges/rework_rate.json"].color == "blue"


def test_a_level_that_the_data_leave_open_has_no_colour() -> None:
    """None of five failed: 0 to 43 %, which may be any level."""
    found = build_badges(results_of(*daily(5)))
    badge = found["badges/change_failure_rate.json"]
    assert (badge.message, badge.color) == ("0 of 5", "lightgrey")
    assert found["badges/overall.json"].color == "lightgrey"


@pytest.mark.parametrize(
    ("levels", "color"),
    [
        ([["gold", 10], ["silver", 0.01], ["bronze", None]], "yellow"),
        ([["gold", 0.01], ["silver", 0.005], ["bronze", None]], "brightgreen"),
        ([["gold", 10], ["silver", 5], ["bronze", None]], "red"),
        ([["only", None]], "brightgreen"),
    ],
)
def test_levels_of_ones_own_are_coloured_by_rank(levels: list[object], color: str) -> None:
    shop = results_of(*daily(14), benchmark=custom_benchmark({"deployment_frequency": levels}))
    assert build_badges(shop)["badges/deployment_frequency.json"].color == color


def test_the_best_level_of_a_table_without_elite_is_bright_green() -> None:
    shop = results_of(
        *(deployment(n, f"03-{n % 30 + 1:02}T{n % 24:02}:00") for n in range(60)), benchmark=published_benchmark("2022")
    )
    assert build_badges(shop)["badges/deployment_frequency.json"].color == "brightgreen"


def test_without_a_benchmark_values_are_blue_and_there_is_no_overall() -> None:
    found = build_badges(results_of(deployment(1), benchmark=published_benchmark("none")))
    assert found["badges/deployment_frequency.json"].color == "blue"
    assert found["badges/overall.json"] == Badge(label="DORA", message="no data", color="lightgrey")


def test_before_the_first_deployment_every_badge_has_its_file_without_a_value() -> None:
    found = build_badges(results_of())
    assert sorted(badge_texts(found)) == METRICS
    assert {(one.message, one.color) for one in found.values()} == {("no data", "lightgrey")}
    assert found["badges/overall.json"].label == "DORA"
    assert found.keys() == build_badges(results_of(deployment(1))).keys()


HOSTILE_NAMES = ("shop", "", "Prod/eu west", "..", "overall.json", "Ünïcode", "x" * 200)


@pytest.mark.parametrize("repositories", [("acme/shop",), ("acme/shop", "acme/Other.json")])
def test_the_path_of_every_badge_is_known_as_one(repositories: tuple[str, ...]) -> None:
    scopes = [(repository, name) for repository in repositories for name in HOSTILE_NAMES]
    facts = (
        deployment(number, repository=repository, service=name) for number, (repository, name) in enumerate(scopes)
    )
    badges = build_badges(results_of(*facts))
    assert len(badges) >= 6 * len(scopes)
    assert [path for path in badges if not is_badge_path(path)] == []


@pytest.mark.parametrize(
    "path",
    [
        "badges/mine.json",
        "badges/overall.svg",
        "badges/overall.json.txt",
        "badges/team/overall.json",
        "badges/a/b/c/overall.json",
        "old/badges/overall.json",
        "overall.json",
    ],
)
def test_other_files_are_no_badges(path: str) -> None:
    assert not is_badge_path(path)


def test_a_deployment_of_the_future_makes_no_scope_the_one_deployed_last() -> None:
    results = results_of(
        deployment(1, "03-09"), deployment(2, "03-08", service="web"), deployment(3, "2031-01-01", service="web")
    )
    (first, _), (second, _) = scopes_latest_first(results)
    assert (first.scope.service, second.scope.service) == ("shop", "web")
    latest = last_deployed(results.evaluation.histories, results.now)
    assert latest is first


def test_several_scopes_have_each_their_own_and_the_repository_those_of_the_one_deployed_last() -> None:
    found = build_badges(
        results_of(deployment(1), deployment(2, "03-09", service="web"), deployment(3, "03-10", service="web"))
    )
    folders = {path.rpartition("/")[0] for path in found}
    assert folders == {"badges", "badges/shop/production", "badges/web/production"}
    assert found["badges/deployment_frequency.json"] == found["badges/web/production/deployment_frequency.json"]
    assert found["badges/deployment_frequency.json"] != found["badges/shop/production/deployment_frequency.json"]
    assert sorted(Path(path).stem for path in found if path.count("/") == 1) == METRICS


def test_the_main_scope_is_the_first_of_the_page_and_that_of_the_summary() -> None:
    for days in (("05", "06"), ("06", "05"), ("05", "05")):
        two = [
            deployment(n, f"03-{day}", service=name) for n, (day, name) in enumerate(zip(days, ("a", "b"), strict=True))
        ]
        shop = results_of(*two, deployment(9, "03-01", service=two[0].service))
        latest = last_deployed(shop.evaluation.histories, shop.now)
        assert latest
        assert scopes_latest_first(shop)[0][0] is latest
        found = build_badges(shop)
        main = found[f"badges/{latest.scope.service}/production/deployment_frequency.json"]
        assert found["badges/deployment_frequency.json"] == main


def test_several_repositories_have_each_a_folder() -> None:
    found = build_badges(results_of(deployment(1), deployment(2, repository="acme/api", service="api")))
    assert {path.rpartition("/")[0] for path in found} == {"badges/acme/shop", "badges/acme/api"}


def test_of_very_many_scopes_those_that_were_deployed_last_have_badges() -> None:
    many = [deployment(n, "03-05", repository=f"acme/r{n}", service=f"r{n}") for n in range(MAX_BADGE_SCOPES + 9)]
    last = deployment(9_999, "03-06", repository="acme/last", service="last")
    found = build_badges(results_of(*many, last))
    assert len(found) == MAX_BADGE_SCOPES * len(METRICS)
    assert "badges/acme/last/overall.json" in found


HOSTILE = [
    "../../facts",
    "/etc/passwd",
    "prod/eu",
    ".git",
    "",
    "a b",
    "lead_time.json",
    "x" * 300,
    "\u202egpj",
    "..",
    "-",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_no_folder_should_have_becomes_one_that_it_may_have(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9_][a-z0-9_.-]{0,66}", safe_folder_name(name))
    assert not safe_folder_name(name).endswith(".json")


@given(st.lists(st.text(alphabet="a-/. b", max_size=5), unique=True))
def test_two_names_never_share_a_folder(names: list[str]) -> None:
    assert len({safe_folder_name(name) for name in names}) == len(names)


def test_plain_names_stay_as_they_are() -> None:
    assert [safe_folder_name(name) for name in ("checkout", "prod-eu", "v1.2_x")] == ["checkout", "prod-eu", "v1.2_x"]


def test_names_that_differ_in_case_alone_are_two_folders_on_every_disk() -> None:
    assert safe_folder_name("api") == "api"
    assert re.fullmatch("api-[0-9a-f]{6}", safe_folder_name("API"))
    assert safe_folder_name("Api") != safe_folder_name("API")

"""The summary on a terminal: five numbers, what stands out, other scopes, notes; only certain levels have colour."""

from datetime import timedelta
from typing import Any

from msgspec import Struct

from dora_metrics.core.metrics.results import Results
from dora_metrics.core.reports.styled_text import Style, StyledLine
from dora_metrics.core.reports.terminal_summary import explain_hint, summary_blocks
from dora_metrics.core.scope import Scope
from dora_metrics.core.teams import Teams
from support.facts import at, change, deployment, incident, results_of

SHOP = Scope("acme/shop", "shop", "production")


def lines_of(results: Results, scope: Scope | None = SHOP, *notes: str, width: int = 100) -> list[StyledLine]:
    return [line for block in summary_blocks(results, scope, notes) for line in block.lines(width)]


def texts_of(*facts: Struct, **settings: Any) -> list[str]:  # noqa: ANN401
    return ["".join(span.text for span in line) for line in lines_of(results_of(*facts, **settings))]


def level_style(results: Results, label: str) -> Style:
    """The style of the level in the row of a metric."""
    (line,) = (line for line in lines_of(results) if any(span.text.startswith(label) for span in line))
    return line[3].style


FAILED = (deployment(1, version="v1"), deployment(2, "03-06", version="v2", changes=[7]), change(7), incident(9))


def test_the_whole_summary() -> None:
    assert texts_of(*FAILED) == [
        "acme/shop · production · 2024-03-01 – 2024-04-01",
        "",
        "  metric                 value          level (2023)  based on",
        "  Deployment frequency   2 in 31 days   medium        2 deployments on 2 days; level possibly low to",
        "                                                      high; records start on 2024-03-05, and the 4",
        "                                                      days before it count as days without a",
        "                                                      deployment",
        "  Lead time for changes  5 d (p90 5 d)  high          1 change; too few values to be sure of the",
        "                                                      level",
        "  Change failure rate    50 %           low           1 of 2; level possibly up to high",
        "  Recovery time          –              –             no failed deployment has recovered yet (1",
        "                                                      open)",
        "  Rework rate            0 %            –             0 of 2",
        "",
        "  Failed           v1 (rule incident): #9 detected 1 h after it; not recovered yet",
        "  Last deployment  v2 on 2024-03-06 00:00 UTC",
    ]


def test_a_window_named_by_its_length_shows_its_days() -> None:
    assert texts_of(*FAILED, window="30d")[0] == "acme/shop · production · last 30 days (2024-03-02 to 2024-03-31)"


def test_a_level_has_colour_only_if_it_is_certain() -> None:
    """None of 5 is no elite in colour."""
    few = [deployment(number, f"03-0{number}") for number in range(1, 6)]
    assert level_style(results_of(*few), "Change failure rate") == "muted"
    many = [deployment(number, str(at("03-01") + timedelta(hours=number))) for number in range(1, 200)]
    results = results_of(*many)
    assert level_style(results, "Change failure rate") == "best"
    assert level_style(results, "Deployment frequency") == "best"


def test_the_lowest_level_is_not_green() -> None:
    incidents = [incident(number, f"03-{number:02}T13:00") for number in range(1, 29)]
    failing = [deployment(number, f"03-{number:02}T12:00") for number in range(1, 29)]
    assert level_style(results_of(*failing, *incidents), "Change failure rate") == "poor"


def test_without_scopes_a_sentence_says_so_and_the_notes_say_why() -> None:
    texts = ["".join(span.text for span in line) for line in lines_of(results_of(), None, "No `tags`.")]
    assert texts == [
        "No numbers · 2024-03-01 – 2024-04-01",
        "",
        "  No production deployment or incident is recorded.",
        "",
        "  - No tags.",
    ]


def test_an_empty_window_names_the_last_deployment_and_a_longer_window() -> None:
    (line,) = (text for text in texts_of(deployment(1, version="v1"), window="7d") if "Last deployment" in text)
    assert line == "  Last deployment  v1 on 2024-03-05 12:00 UTC, before this window; --window all includes it"


def test_of_many_failures_the_newest_are_shown_and_the_others_counted() -> None:
    days = range(1, 9)
    incidents = [incident(day, f"03-{day:02}T13:00") for day in days]
    facts = [*(deployment(day, f"03-{day:02}T12:00", version=f"v{day}") for day in days), *incidents]
    texts = texts_of(*facts)
    (position,) = (number for number, text in enumerate(texts) if text.startswith("  Failed"))
    shown = [text[19:].split(" ")[0] for text in texts[position : position + 5]]
    assert shown == ["v8", "v7", "v6", "v5", "v4"]
    assert texts[position + 5].strip() == "and 3 earlier"


def test_other_scopes_are_a_table_of_the_busiest() -> None:
    others = [
        deployment(100 * service + number, f"03-05T{number:02}:00", service=f"s{service:02}")
        for service in range(1, 30)
        for number in range(service % 7 + 1)
    ]
    texts = texts_of(*FAILED, *others)
    (header,) = (number for number, text in enumerate(texts) if text.startswith("  Other scopes"))
    busiest = ["acme/shop", "·", "s06", "·", "production", "1.6", "a", "week", "–", "0", "of", "7", "–"]
    assert texts[header + 1].split() == busiest
    assert texts[header + 21] == "  and 9 more; --format html and --format json show all scopes."


TEAMS = Teams.parse({"payments": ["s01", "shop"], "platform": "s02"})


def test_teams_are_a_column_of_other_scopes_and_a_table_of_their_own() -> None:
    others = [deployment(100 + number, "03-05", service=f"s{number:02}") for number in (1, 2, 3)]
    texts = texts_of(*FAILED, *others, teams=TEAMS)
    assert texts[-8:] == [
        "  Other scopes                  Team      Deployments   Lead time  Failed  Recovery",
        "  acme/shop · s01 · production  payments  1 in 31 days  –          0 of 1  –",
        "  acme/shop · s02 · production  platform  1 in 31 days  –          0 of 1  –",
        "  acme/shop · s03 · production  –         1 in 31 days  –          0 of 1  –",
        "",
        "  Teams     Scopes  Deployments   Lead time  Failed  Recovery",
        "  payments  2       3 in 31 days  5 d        1 of 3  –",
        "  platform  1       1 in 31 days  –          0 of 1  –",
    ]


def test_teams_that_match_nothing_change_nothing() -> None:
    others = [deployment(100, "03-05", service="s09")]
    assert texts_of(*FAILED, *others, teams=Teams.parse({"x": "y"})) == texts_of(*FAILED, *others)


def test_of_many_teams_the_first_are_listed_and_the_others_counted() -> None:
    names = [f"s{number:02}" for number in range(25)]
    facts = [deployment(100 + number, "03-05", service=name) for number, name in enumerate(names)]
    texts = texts_of(*FAILED, *facts, teams=Teams.parse({f"team {name}": name for name in names}))
    assert texts[-2].startswith("  team s19 ")
    assert texts[-1] == "  and 5 more."


def test_the_deployment_to_explain_is_the_newest_failure_otherwise_the_newest() -> None:
    for facts, expected in (
        (FAILED, "--explain v1 shows why it counts as failed"),
        (FAILED[:3], "--explain v2 shows how it counts"),
        ((incident(9),), ""),
    ):
        results = results_of(*facts)
        assert explain_hint(results.evaluation.histories[0], results.window) == expected

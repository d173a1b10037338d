"""Teams in the job summary: a column of the other scopes, and a table of their own."""

import pytest
from markdown_it import MarkdownIt

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.reports import summary
from dora_metrics.core.reports.render import summary_markdown
from dora_metrics.core.scope import Scope
from dora_metrics.core.teams import Teams
from dora_metrics.templates import load_parts, load_template
from support.facts import change, deployment, incident, results_of
from support.hostile_text import HOSTILE

SHOP = Scope("acme/shop", "shop", "production")
FACTS: tuple[Fact, ...] = (
    deployment(90, "03-02", service="web"),
    change(7, "03-06"),
    deployment(1, "03-07", service="web", changes=[7]),
    deployment(2, "03-08"),
    deployment(3, "03-09", service="till"),
    incident(1, "03-07T01", service="web", resolved_at="03-07T03"),
)


def summary_of(*facts: Fact, teams: Teams | None) -> str:
    report = summary.build(results_of(*facts, teams=teams), SHOP, None, None)
    return summary_markdown(report, load_template("summary.md.j2"), load_parts())


def test_each_team_has_a_row_with_the_numbers_of_its_scopes_together() -> None:
    text = summary_of(*FACTS, teams=Teams.parse({"pay": ["web", "shop"], "cash": "acme/shop:till"}))
    assert "<summary>2 teams</summary>" in text
    assert "| pay | 2 | 3 in 31 days | 1 d | 1 of 3 | 3 h |" in text
    assert "| cash | 1 | 1 in 31 days | – | 0 of 1 | – |" in text


def test_other_scopes_have_a_column_with_their_team() -> None:
    text = summary_of(*FACTS, teams=Teams.parse({"pay": "web"}))
    assert "| scope | team | deployments |" in text
    assert "| acme/shop · web · production | pay | 2 in 31 days |" in text
    assert "| acme/shop · till · production | – | 1 in 31 days |" in text
    assert "<summary>1 team</summary>" in text


@pytest.mark.parametrize("teams", [None, Teams.parse({"pay": "nothing"})], ids=["none set", "none matches"])
def test_without_a_team_nothing_is_said_of_them(teams: Teams | None) -> None:
    text = summary_of(*FACTS, teams=teams)
    assert "team" not in text.lower()
    assert "| acme/shop · web · production | 2 in 31 days |" in text


def test_of_many_teams_fifty_have_a_row() -> None:
    names = [f"s{number:02}" for number in range(53)]
    facts = [deployment(100 + number, "03-05", service=name) for number, name in enumerate(names)]
    text = summary_of(*FACTS, *facts, teams=Teams.parse({f"team {name}": name for name in names}))
    assert "<summary>53 teams</summary>" in text
    assert "\n| team s49 |" in text
    assert "\n| team s50 |" not in text
    assert "3 more teams are not listed." in text


@pytest.mark.parametrize("name", [text for text in HOSTILE if text.isprintable()])
def test_a_hostile_name_stays_in_its_cell(name: str) -> None:
    text = summary_of(*FACTS, teams=Teams.parse({name[:80].strip() or "x": "*"}))
    table = text[text.index("| team | scopes |") :].partition("\n\n")[0]
    tokens = MarkdownIt("commonmark").enable("table").parse(table)
    assert sum(token.type == "td_open" for token in tokens) == 6

"""Charts in Markdown, parsed and drawn by Mermaid, which GitHub uses."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page

from support import npm_packages
from support.browser import open_watched_page
from support.facts import at, deployment
from support.periodic_reports import render_report


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    with open_watched_page(browser) as found:
        found.page.set_content("<div id=there></div>")
        found.page.add_script_tag(path=npm_packages.package_folder("mermaid") / "dist" / "mermaid.min.js")
        yield found.page
        assert not found.requested_urls


def draw(page: Page, source: str) -> str:
    """SVG that Mermaid draws; a diagram that it cannot parse is an error."""
    page.evaluate("source => mermaid.parse(source)", source)
    svg: str = page.evaluate("async source => (await mermaid.render('chart', source)).svg", source)
    return svg


def mermaid_sources(markdown: str) -> list[str]:
    return re.findall(r"^```mermaid\n(.*?)^```$", markdown, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("most", [0, 1, 700])
def test_twelve_weeks_are_drawn_with_a_bar_each(page: Page, most: int) -> None:
    many = [deployment(number, (at("01-08") + timedelta(minutes=number)).isoformat()) for number in range(1, most + 1)]
    ends = deployment(0, "2023-12-01T12:00"), deployment(9999, "03-12T12:00")
    (source,) = mermaid_sources(render_report(*ends, *many).text)
    svg = draw(page, source)
    assert svg.count("<rect") >= 12
    assert all(f">W{week:02}: " in svg for week in range(1, 12))
    assert "Deployments per week" in svg


def test_the_height_of_a_bar_is_its_count_and_a_zero_has_none(page: Page) -> None:
    days = ["2023-12-01", "01-08", "01-09", "01-22", "01-23", "01-24", "01-25", "03-12"]
    numbered = [deployment(number, f"{day}T12:00") for number, day in enumerate(days, 1)]
    (source,) = mermaid_sources(render_report(*numbered).text)
    counts = [int(text) for text in re.search(r"bar \[(.*)\]", source)[1].split(", ")]  # type: ignore[index]
    heights = [float(text) for text in re.findall(r'<rect [^>]*height="([\d.]+)"', draw(page, source))][-len(counts) :]
    assert max(counts) == 4
    assert heights == pytest.approx([count * max(heights) / 4 for count in counts])
    assert 0 in counts


def test_what_mermaid_cannot_read_is_noticed(page: Page) -> None:
    with pytest.raises(Exception, match=r"Parse error|No diagram type|Lexical error"):
        draw(page, 'xychart-beta\n  x-axis [W36"]]\n  bar [')

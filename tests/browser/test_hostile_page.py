"""Hostile texts on the page: they stay text everywhere, and no link runs a script."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser, expect

from dora_metrics.core.metrics.results import Results
from dora_metrics.core.reports.site.evidence import LinkTable, script_safe_json, single_line
from dora_metrics.pipeline import publish
from support.facts import change, deployment, incident, results_of
from support.metrics_page import open_page

HOSTILE_TEXTS = [
    "</script><script>document.title = 'owned'</script>",
    "<!--<script>",
    "\u2028\u2029</script>",
    "<img src=x onerror=\"document.title = 'owned'\">",
    "\"><svg/onload=document.title='owned'>",
    "javascript:document.title='owned'",
    "{{ 7 * 7 }}${7 * 7}",
    "&lt;b&gt;&amp;",
    "]]>--></style><style>*{display:none}",
]
HOSTILE_ADDRESSES = [
    "javascript:document.title='owned'",
    "JaVaScRiPt:document.title='owned'",
    "java\nscript:document.title='owned'",
    " data:text/html,<script>parent.document.title='owned'</script>",
    "vbscript:x",
    "//evil.example/x",
    "https://[::1/x",
    "file:///etc/passwd",
]


def hostile_results() -> Results:
    """Results with every hostile text in every place that can hold one."""
    facts = []
    for number, text in enumerate(HOSTILE_TEXTS, 1):
        address = HOSTILE_ADDRESSES[number % len(HOSTILE_ADDRESSES)]
        more = {"url": address, "service": text, "repository": f"acme/{text}", "environment": f"production/{text}"}
        facts += [
            change(number, title=text, url=address, labels=("hotfix", text)),
            deployment(number, f"03-{number + 3:02}", version=text, changes=[number], **more),
            deployment(
                number + 50, f"03-{number + 3:02}T01:00", version=text, changes=[number], remediates=text, **more
            ),
            incident(number, f"03-{number + 3:02}T02:00", title=text, deployment=text, **more),
            incident(number + 50, f"03-{number + 3:02}T03:00", title=text, **more),
        ]
    return results_of(*facts)


def test_the_page_has_no_script_but_its_own() -> None:
    html = publish.page_html(hostile_results())
    assert len(re.findall(r"<script", html)) == len(re.findall(r"</script", html)) == 3
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert data
    assert not re.search("[<>&\u2028\u2029]", data[1])
    assert "'unsafe" not in html.partition("</head>")[0]


def test_whatever_is_opened_stays_text(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, hostile_results()) as seen:
        expect(seen.page.locator("#rows tr")).to_have_count(len(HOSTILE_TEXTS))
        keys: list[str] = seen.page.evaluate("[...document.querySelectorAll('#scope option')].map(one => one.value)")
        assert len(keys) == len(HOSTILE_TEXTS)
        seen.page.locator("#rows th a").first.click()
        for key in keys:
            seen.page.get_by_label("Scope", exact=True).select_option(key)
            for metric in ("deployment_frequency", "lead_time", "change_failure_rate"):
                seen.page.evaluate("show => { location.hash += `&show=${show}` }", metric)
                expect(seen.dialog).to_be_visible()
                links: list[str] = seen.page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.protocol)")
                assert set(links) <= {"https:", "http:", "file:"}
                assert seen.page.locator("dialog a[href^='file:']").count() == 0
                seen.page.keyboard.press("Escape")
                expect(seen.page).not_to_have_url(re.compile("show="))
        assert seen.page.title().startswith("Delivery")
        assert seen.page.locator("img, svg:not(.spark), iframe, dialog script").count() == 0


def test_titles_are_shown_as_they_were_written(browser: Browser, tmp_path: Path) -> None:
    text = HOSTILE_TEXTS[0]
    one = results_of(change(1, title=text), deployment(1, version=text, changes=[1], previous="github:deployment:0"))
    with open_page(browser, tmp_path, one, "show=deployment_frequency") as seen:
        assert seen.dialog.inner_text().count(text) == 2


@given(
    st.recursive(
        st.text() | st.sampled_from(HOSTILE_TEXTS), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_embedded_json_is_the_same_json_and_ends_nothing(value: object) -> None:
    text = script_safe_json(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text) == json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


@pytest.mark.parametrize("address", HOSTILE_ADDRESSES)
def test_only_http_is_a_link(address: str) -> None:
    assert LinkTable().link_to(address) is None


def test_a_link_is_its_address_again() -> None:
    links = LinkTable()
    for address in ("https://a.example/b/1", "http://a.example/b/2", "https://a.example", "https://a.example/?q=a/b"):
        found = links.link_to(address)
        assert found
        assert links.bases[found[0]] + found[1] == address
    assert links.link_to("https://a.example/b/3") == (0, "3")
    assert links.link_to(f"https://a.example/{'x' * 600}") is None


def test_a_text_is_one_short_visible_line() -> None:
    assert single_line("a\u202eb\x00\n c\u200bd") == "ab cd"
    assert single_line("x" * 500) == "x" * 159 + "…"

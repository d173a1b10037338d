"""Microsoft's own renderer reads our cards, Slack's own types fit our blocks, and both are drawn without a request."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from support.browser import open_watched_page
from support.chat_drawing import slack_page, teams_page
from support.chat_examples import EXAMPLES, bodies
from support.npm_packages import NODE_MODULES, package_folder
from support.tools import require_tool

Json = dict[str, Any]


def examples(shape: str) -> list[Json]:
    return [json.loads(body) for example in EXAMPLES.values() for body in bodies(shape, example())]


def test_the_renderer_of_adaptive_cards_takes_them_and_reads_no_text_of_strangers_as_markdown(browser: Browser) -> None:
    with open_watched_page(browser) as watched:
        for payload in examples("teams"):
            watched.page.set_content(teams_page(payload))
            assert watched.page.evaluate("window.problems") == []
            content = payload["attachments"][0]["content"]
            title = content["body"][0]["items"][0]["inlines"][0]["text"]
            assert title in watched.page.locator("#card").inner_text()
            facts = [fact for element in content["body"] for fact in element.get("facts", ())]
            own_texts = {text for fact in facts for text in fact.values()}
            assert set(watched.page.evaluate("window.markdown")) == own_texts
        assert (watched.complaints, watched.requested_urls) == ([], [])


def test_the_renderer_notices_an_unknown_element(browser: Browser) -> None:
    payload = json.loads(json.dumps(examples("teams")[0]).replace('"FactSet"', '"FactList"'))
    with open_watched_page(browser) as watched:
        watched.page.set_content(teams_page(payload))
        assert watched.page.evaluate("window.problems")


def test_a_message_for_slack_is_drawn_as_text(browser: Browser) -> None:
    with open_watched_page(browser) as watched:
        for payload in examples("slack"):
            watched.page.set_content(slack_page(payload))
            assert payload["blocks"][0]["text"]["text"] in watched.page.locator("h3").inner_text()
        assert (watched.complaints, watched.requested_urls) == ([], [])


def compiler_messages(folder: Path, payloads: list[Json]) -> str:
    """What TypeScript says of messages for Slack."""
    compiler = package_folder("typescript") / "bin" / "tsc"
    package_folder("@slack/types")
    blocks = (json.dumps(payload["blocks"], ensure_ascii=False) for payload in payloads)
    lines = (f"const blocks{number}: KnownBlock[] = {text};\n" for number, text in enumerate(blocks))
    (folder / "check.ts").write_text(f"import type {{ KnownBlock }} from '@slack/types';\n{''.join(lines)}", "utf-8")
    (folder / "node_modules").symlink_to(NODE_MODULES)
    options = ["--noEmit", "--strict", "--skipLibCheck", "--preserveSymlinks", "--typeRoots", "none"]
    options += ["--module", "esnext", "--moduleResolution", "bundler", "--target", "es2022"]
    command = [str(require_tool("node")), str(compiler), *options, "check.ts"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def test_blocks_have_the_types_that_slack_publishes(tmp_path: Path) -> None:
    assert compiler_messages(tmp_path, examples("slack")) == ""


@pytest.mark.parametrize(
    ("old", "new"), [('"header"', '"heading"'), ('"verbatim"', '"verbal"'), ('"bullet"', '"dash"')]
)
def test_a_misspelt_word_does_not_have_these_types(old: str, new: str, tmp_path: Path) -> None:
    payloads = json.loads(json.dumps(examples("slack")).replace(old, new))
    assert compiler_messages(tmp_path, payloads)

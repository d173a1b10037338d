"""GitHub's answer leaves something out that is there, or cuts it, and says nothing of an error.

What a run does not see it would write again without it. So each file must be the one that git names, and nothing that a
folder lists may be missing. Such an answer is asked for once more; if it is no better, the ledger stays as it is.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from fakes.faults import Fault, changed_answer
from fakes.routing import Request
from support.branch_shop import FACTS_FILE, BranchShop
from support.runs import deployment_ids

OLD_FACT = (
    b'{"environment":"production","finished_at":"2020-01-02T00:00:00Z","id":"test:7","kind":"deployment",'
    b'"observed_at":"2020-01-02T00:00:00Z","repository":"acme/shop","status":"success","v":1}\n'
)


def left_out(*paths: str) -> Fault:
    """The answer has null in place of these files and folders of the ledger."""

    def change(body: dict[str, Any], request: Request) -> None:
        target, names = _slots(body, request)
        for slot, path in names.items():
            if path in paths:
                target[slot] = None

    return changed_answer(change)


def other_text(of_text: Callable[[str], str]) -> Fault:
    """The answer has another text of the month's facts."""

    def change(body: dict[str, Any], request: Request) -> None:
        target, names = _slots(body, request)
        for slot, path in names.items():
            if path == FACTS_FILE and target[slot]["object"]:
                target[slot]["object"]["text"] = of_text(target[slot]["object"]["text"])

    return changed_answer(change)


def _slots(body: dict[str, Any], request: Request) -> tuple[dict[str, Any], dict[str, str]]:
    variables = json.loads(request.body)["variables"]
    return body["data"]["repository"]["ref"]["target"], {
        name: path for name, path in variables.items() if name.startswith("slot")
    }


LEFT_OUT = ["facts", "facts/2026", FACTS_FILE, "outbox.jsonl", "cursors.json", "counters.json", "sequence", "README.md"]


@pytest.fixture
def shop_with_files(shop: BranchShop) -> BranchShop:
    shop.run(1)
    shop.commit_by_hand(
        {"facts/2020/01.jsonl": OLD_FACT, "outbox.jsonl": b'{"id":"test:7"}\n', "cursors.json": b"{}\n"}
    )
    return shop


@pytest.mark.parametrize("path", LEFT_OUT)
def test_what_one_answer_leaves_out_is_asked_for_again(shop_with_files: BranchShop, path: str) -> None:
    shop = shop_with_files
    before = shop.files()
    shop.github.fail(left_out(path), to="Ledger")
    assert "ledger ✓ +1 fact" in shop.run(2).summary
    assert shop.fact_ids() == [*deployment_ids(1, 2), "test:7"]
    assert before.keys() <= shop.files().keys()


@pytest.mark.parametrize("path", LEFT_OUT)
def test_what_every_answer_leaves_out_is_not_overwritten(shop_with_files: BranchShop, path: str) -> None:
    shop = shop_with_files
    before = shop.files()
    shop.github.fail(left_out(path), to="Ledger", times=None)
    ran = shop.run(2)
    assert f"GitHub's answer leaves out `{path}`, which is there; try again later" in ran.log
    assert shop.files() == before


@pytest.mark.parametrize(
    "of_text",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.split("\n")[0] + "\n",
        lambda _: "",
        lambda text: text.replace('"success"', '"failure"'),
    ],
    ids=["half a line", "a line less", "empty", "another status"],
)
def test_a_text_that_is_not_the_files_is_read_in_another_way(shop: BranchShop, of_text: Callable[[str], str]) -> None:
    shop.run(1)
    shop.run(2)
    first_lines = (shop.read(FACTS_FILE) or b"").splitlines()
    shop.github.fail(other_text(of_text), to="Ledger", times=None)
    assert "ledger ✓ +1 fact" in shop.run(3).summary
    assert (shop.read(FACTS_FILE) or b"").splitlines()[:2] == first_lines


@pytest.mark.parametrize("content", ["", "YWJj"])
def test_a_file_that_is_shown_in_no_way_is_not_overwritten(shop: BranchShop, content: str) -> None:
    shop.run(1)
    before = shop.files()
    shop.github.fail(other_text(lambda _: ""), to="Ledger", times=None)
    shop.github.fail(changed_answer(lambda body, _: body.update(content=content)), to="GET */git/blobs/*", times=None)
    ran = shop.run(2)
    assert "GitHub's answer has no content of the file; try again later" in ran.log
    assert shop.files() == before

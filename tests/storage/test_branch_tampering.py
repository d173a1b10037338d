"""The branch is deleted, protected, forced back or given to something else, between two runs or in the middle of one.

A run never forces anything. What GitHub still has is kept, what is no ledger is left alone, and the log says why.
"""

from collections.abc import Callable

import pytest

from fakes.faults import meanwhile
from support.branch_shop import BRANCH, Shop, deployed

WRITE = "createCommitOnBranch"
Hand = Callable[[Shop], object]


def code(shop: Shop) -> str:
    return shop.force({"README.md": "# A shop", "src/main.py": "print()", "metrics.json": "mine"})


def code_without_readme(shop: Shop) -> str:
    return shop.force({"src/main.py": "print()", "metrics.json": "mine"})


def facts_of_another_kind(shop: Shop) -> str:
    return shop.force({"facts/about_us.py": "print()", "facts/2026.md": "a year", "metrics.json": "mine"})


def a_file_named_facts(shop: Shop) -> str:
    return shop.force({"facts": "we sell shoes"})


FOREIGN = (code, code_without_readme, facts_of_another_kind, a_file_named_facts)


def delete(shop: Shop) -> None:
    shop.repository.delete_branch(BRANCH)


def back(shop: Shop) -> None:
    """To the state after the first run."""
    shop.repository.branch(BRANCH, shop.repository.log(BRANCH)[-1].oid)


def do(shop: Shop, hand: Hand, *, between_read_and_write: bool) -> None:
    if between_read_and_write:
        shop.github.fail(meanwhile(lambda: hand(shop)), to=WRITE)
    else:
        hand(shop)


@pytest.mark.parametrize("between_read_and_write", [False, True], ids=["between runs", "between read and write"])
def test_a_branch_that_is_deleted_is_begun_anew(shop: Shop, *, between_read_and_write: bool) -> None:
    shop.run(1)
    do(shop, delete, between_read_and_write=between_read_and_write)
    assert shop.run(2).code == 0
    assert shop.ids() == deployed(2)
    assert [commit.parents for commit in shop.repository.log(BRANCH)] == [()]
    shop.run(1)
    assert shop.ids() == deployed(1, 2)


@pytest.mark.parametrize("between_read_and_write", [False, True], ids=["between runs", "between read and write"])
def test_a_branch_that_is_forced_back_goes_on_from_there(shop: Shop, *, between_read_and_write: bool) -> None:
    for number in (1, 2, 3):
        shop.run(number)
    do(shop, back, between_read_and_write=between_read_and_write)
    assert shop.run(4).code == 0
    assert shop.ids() == deployed(1, 4)
    assert b"dora_ledger_sequence 2.0" in (shop.read("metrics.prom") or b"")
    for number in (2, 3):
        shop.run(number)
    assert shop.ids() == deployed(1, 2, 3, 4)


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("between_read_and_write", [False, True], ids=["between runs", "between read and write"])
def test_a_branch_that_became_something_else_is_refused_and_stays(
    shop: Shop, foreign: Hand, *, between_read_and_write: bool
) -> None:
    shop.run(1)
    do(shop, foreign, between_read_and_write=between_read_and_write)
    ran = shop.run(2)
    assert ran.code == 0
    assert len(shop.repository.log(BRANCH)) == 1
    assert shop.repository.log(BRANCH)[0].message == "By force"
    assert "holds something else, which stays as it is; name a place of its own" in ran.log
    assert "reached production" in ran.summary
    assert [fact["id"] for fact in ran.facts] == deployed(2)


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_branch_that_was_never_a_ledger_is_refused_and_stays(shop: Shop, foreign: Hand) -> None:
    shop.repository.branch(BRANCH)
    foreign(shop)
    before = shop.files()
    assert "holds something else" in shop.run(1).log
    assert shop.files() == before


def test_a_branch_with_facts_that_somebody_put_there_is_a_ledger(shop: Shop) -> None:
    shop.run(1)
    facts = shop.facts()
    shop.force(dict(facts))
    shop.run(2)
    assert shop.ids() == deployed(1, 2)


@pytest.mark.parametrize("between_read_and_write", [False, True], ids=["between runs", "between read and write"])
def test_a_branch_that_is_protected_stays_and_the_numbers_are_shown(
    shop: Shop, *, between_read_and_write: bool
) -> None:
    shop.run(1)
    do(
        shop,
        lambda shop: shop.repository.protect(BRANCH, "Cannot update this protected ref."),
        between_read_and_write=between_read_and_write,
    )
    head = shop.repository.head(BRANCH)
    ran = shop.run(2)
    assert ran.code == 0
    assert shop.repository.head(BRANCH) == head
    assert "cannot be written: Cannot update this protected ref." in ran.log
    assert "2 deployments on 1 day" in ran.summary


def test_a_branch_that_another_run_begins_meanwhile_gets_both(shop: Shop) -> None:
    shop.github.fail(meanwhile(lambda: shop.run(1)), to="POST */git/refs")
    assert shop.run(2).code == 0
    assert shop.ids() == deployed(1, 2)


def test_a_branch_that_may_not_be_made_is_a_clear_message(shop: Shop) -> None:
    shop.repository.protect(BRANCH, "Cannot create ref due to creations being restricted.")
    ran = shop.run(1)
    assert ran.code == 0
    assert shop.repository.head(BRANCH) is None
    assert "creations being restricted" in ran.log

"""The branch is deleted, protected, forced back or given to something else, between two runs or in the middle of one.

A run never forces anything. What GitHub still has is kept, what is no ledger is left alone, and the log says why.
"""

from collections.abc import Callable

import pytest

from fakes.faults import meanwhile
from support.branch_shop import BRANCH, BranchShop, deployment_ids

WRITE = "createCommitOnBranch"
Hand = Callable[[BranchShop], object]


def code(shop: BranchShop) -> str:
    return shop.replace_branch({"README.md": "# A shop", "src/main.py": "print()", "metrics.json": "mine"})


def code_without_readme(shop: BranchShop) -> str:
    return shop.replace_branch({"src/main.py": "print()", "metrics.json": "mine"})


def facts_of_another_kind(shop: BranchShop) -> str:
    return shop.replace_branch({"facts/about_us.py": "print()", "facts/2026.md": "a year", "metrics.json": "mine"})


def a_file_named_facts(shop: BranchShop) -> str:
    return shop.replace_branch({"facts": "we sell shoes"})


FOREIGN = (code, code_without_readme, facts_of_another_kind, a_file_named_facts)


def delete(shop: BranchShop) -> None:
    shop.repository.delete_branch(BRANCH)


def back(shop: BranchShop) -> None:
    """To the state after the first run."""
    shop.repository.branch(BRANCH, shop.repository.log(BRANCH)[-1].oid)


def do(shop: BranchShop, hand: Hand, *, between_read_and_write: bool) -> None:
    if between_read_and_write:
        shop.github.fail(meanwhile(lambda: hand(shop)), to=WRITE)
    else:
        hand(shop)


@pytest.mark.parametrize("between_read_and_write", [False, True], ids=["between runs", "between read and write"])
def test_a_branch_that_is_deleted_is_begun_anew(shop: BranchShop, *, between_read_and_write: bool) -> None:
    shop.run(1)
    do(shop, delete, between_read_and_write=between_read_and_write)
    assert shop.run(2).code == 0
    assert shop.fact_ids() == deployment_ids(2)
    assert [commit.parents for commit in shop.repository.log(BRANCH)] == [()]
    shop.run(1)
    assert shop.fact_ids() == deployment_ids(1, 2)


@pytest.mark.parametrize("between_read_and_write", [False, True], ids=["between runs", "between read and write"])
def test_a_branch_that_is_forced_back_goes_on_from_there(shop: BranchShop, *, between_read_and_write: bool) -> None:
    for number in (1, 2, 3):
        shop.run(number)
    do(shop, back, between_read_and_write=between_read_and_write)
    assert shop.run(4).code == 0
    assert shop.fact_ids() == deployment_ids(1, 4)
    assert b"dora_ledger_sequence 2.0" in (shop.read("metrics.prom") or b"")
    for number in (2, 3):
        shop.run(number)
    assert shop.fact_ids() == deployment_ids(1, 2, 3, 4)


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("between_read_and_write", [False, True], ids=["between runs", "between read and write"])
def test_a_branch_that_became_something_else_is_refused_and_stays(
    shop: BranchShop, foreign: Hand, *, between_read_and_write: bool
) -> None:
    shop.run(1)
    do(shop, foreign, between_read_and_write=between_read_and_write)
    ran = shop.run(2)
    assert ran.code == 0
    assert len(shop.repository.log(BRANCH)) == 1
    assert shop.repository.log(BRANCH)[0].message == "By force"
    assert "holds something else, which stays as it is; name a place of its own" in ran.log
    assert "reached production" in ran.summary
    assert [fact["id"] for fact in ran.facts] == deployment_ids(2)


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_branch_that_was_never_a_ledger_is_refused_and_stays(shop: BranchShop, foreign: Hand) -> None:
    shop.repository.branch(BRANCH)
    foreign(shop)
    before = shop.files()
    assert "holds something else" in shop.run(1).log
    assert shop.files() == before


def test_a_branch_with_facts_that_somebody_put_there_is_a_ledger(shop: BranchShop) -> None:
    shop.run(1)
    facts = shop.fact_files()
    shop.replace_branch(dict(facts))
    shop.run(2)
    assert shop.fact_ids() == deployment_ids(1, 2)


@pytest.mark.parametrize("between_read_and_write", [False, True], ids=["between runs", "between read and write"])
def test_a_branch_that_is_protected_stays_and_the_numbers_are_shown(
    shop: BranchShop, *, between_read_and_write: bool
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


def test_a_branch_that_another_run_begins_meanwhile_gets_both(shop: BranchShop) -> None:
    shop.github.fail(meanwhile(lambda: shop.run(1)), to="POST */git/refs")
    assert shop.run(2).code == 0
    assert shop.fact_ids() == deployment_ids(1, 2)


def test_a_branch_that_may_not_be_made_is_a_clear_message(shop: BranchShop) -> None:
    shop.repository.protect(BRANCH, "Cannot create ref due to creations being restricted.")
    ran = shop.run(1)
    assert ran.code == 0
    assert shop.repository.head(BRANCH) is None
    assert "creations being restricted" in ran.log

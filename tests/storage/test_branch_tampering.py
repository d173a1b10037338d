"""The branch is deleted, protected, force-pushed or replaced, between two runs or during one.

A run never forces anything. Facts that GitHub still has are kept, other content is left alone, and the log says why.
"""

from collections.abc import Callable

import pytest

from fakes.faults import meanwhile
from support.branch_shop import BRANCH, BranchShop
from support.runs import deployment_ids

WRITE_OPERATION = "createCommitOnBranch"
Tampering = Callable[[BranchShop], object]


def replace_with_code(shop: BranchShop) -> str:
    return shop.replace_branch({"README.md": "# A shop", "src/main.py": "print()", "metrics.json": "mine"})


def replace_with_code_without_readme(shop: BranchShop) -> str:
    return shop.replace_branch({"src/main.py": "print()", "metrics.json": "mine"})


def replace_with_other_facts(shop: BranchShop) -> str:
    return shop.replace_branch({"facts/about_us.py": "print()", "facts/2026.md": "a year", "metrics.json": "mine"})


def replace_with_facts_file(shop: BranchShop) -> str:
    return shop.replace_branch({"facts": "we sell shoes"})


FOREIGN_CONTENTS = (
    replace_with_code,
    replace_with_code_without_readme,
    replace_with_other_facts,
    replace_with_facts_file,
)


def delete_branch(shop: BranchShop) -> None:
    shop.repository.delete_branch(BRANCH)


def reset_to_first_run(shop: BranchShop) -> None:
    """Reset the branch to the state after the first run."""
    shop.repository.branch(BRANCH, shop.repository.log(BRANCH)[-1].oid)


def run_with_tampering(shop: BranchShop, tamper: Tampering, *, between_read_and_write: bool) -> None:
    if between_read_and_write:
        shop.github.fail(meanwhile(lambda: tamper(shop)), to=WRITE_OPERATION)
    else:
        tamper(shop)


@pytest.mark.parametrize("between_read_and_write", [False, True], ids=["between runs", "between read and write"])
def test_a_branch_that_is_deleted_is_begun_anew(shop: BranchShop, *, between_read_and_write: bool) -> None:
    shop.run(1)
    run_with_tampering(shop, delete_branch, between_read_and_write=between_read_and_write)
    assert shop.run(2).code == 0
    assert shop.fact_ids() == deployment_ids(2)
    assert [commit.parents for commit in shop.repository.log(BRANCH)] == [()]
    shop.run(1)
    assert shop.fact_ids() == deployment_ids(1, 2)


@pytest.mark.parametrize("between_read_and_write", [False, True], ids=["between runs", "between read and write"])
def test_a_branch_that_is_forced_back_goes_on_from_there(shop: BranchShop, *, between_read_and_write: bool) -> None:
    for number in (1, 2, 3):
        shop.run(number)
    run_with_tampering(shop, reset_to_first_run, between_read_and_write=between_read_and_write)
    assert shop.run(4).code == 0
    assert shop.fact_ids() == deployment_ids(1, 4)
    assert b"dora_ledger_sequence 2.0" in (shop.read("metrics.prom") or b"")
    for number in (2, 3):
        shop.run(number)
    assert shop.fact_ids() == deployment_ids(1, 2, 3, 4)


@pytest.mark.parametrize("foreign", FOREIGN_CONTENTS)
@pytest.mark.parametrize("between_read_and_write", [False, True], ids=["between runs", "between read and write"])
def test_a_branch_that_became_something_else_is_refused_and_stays(
    shop: BranchShop, foreign: Tampering, *, between_read_and_write: bool
) -> None:
    shop.run(1)
    run_with_tampering(shop, foreign, between_read_and_write=between_read_and_write)
    ran = shop.run(2)
    assert ran.code == 0
    assert len(shop.repository.log(BRANCH)) == 1
    assert shop.repository.log(BRANCH)[0].message == "By force"
    assert "holds something else, which stays as it is; name a place of its own" in ran.log
    assert "reached production" in ran.summary
    assert [fact["id"] for fact in ran.facts] == deployment_ids(2)


@pytest.mark.parametrize("foreign", FOREIGN_CONTENTS)
def test_a_branch_that_was_never_a_ledger_is_refused_and_stays(shop: BranchShop, foreign: Tampering) -> None:
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
    run_with_tampering(
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

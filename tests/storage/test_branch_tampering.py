"""The branch is deleted, protected, force-pushed or replaced, between two runs or during one.

A run never forces anything. Facts that GitHub still has are kept, other content is left alone, and the log says why.
"""

import json
from collections.abc import Callable

import pytest

from fakes.faults import custom_answer, meanwhile
from support.branch_shop import BRANCH, FACTS_FILE, BranchShop
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
    assert "holds other files, which stay unchanged; give the ledger its own place" in ran.log
    assert "reached production" in ran.summary
    assert [fact["id"] for fact in ran.facts] == deployment_ids(2)


@pytest.mark.parametrize("foreign", FOREIGN_CONTENTS)
def test_a_branch_that_was_never_a_ledger_is_refused_and_stays(shop: BranchShop, foreign: Tampering) -> None:
    shop.repository.branch(BRANCH)
    foreign(shop)
    before = shop.files()
    assert "holds other files" in shop.run(1).log
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


# What is said


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("BRANCH_PROTECTION_RULE_VIOLATION", "Changes must be made through a pull request."),
        ("UNPROCESSABLE", "Repository rule violations found\n\nChanges must be made through a pull request.\n\n"),
        ("FORBIDDEN", "Repository rule violations found\n\nCommits must have verified signatures.\n\n"),
    ],
    ids=["branch protection", "ruleset", "signatures"],
)
def test_a_ruleset_is_told_from_a_missing_permission_and_what_to_exclude(
    shop: BranchShop, kind: str, message: str
) -> None:
    shop.run(1)
    refusal = {"data": {"createCommitOnBranch": None}, "errors": [{"type": kind, "message": message}]}
    shop.github.fail(custom_answer(200, refusal), to=WRITE_OPERATION, times=None)
    ran = shop.run(2)
    assert ran.code == 0
    (line,) = (line for line in ran.log.splitlines() if "cannot be written" in line)
    assert "Exclude the branch `dora-metrics` from them (Settings → Rules → Rulesets, or Branches)" in line
    assert "permissions:" not in line
    assert [fact["id"] for fact in ran.facts] == deployment_ids(2)


@pytest.mark.parametrize("tamper", [delete_branch, reset_to_first_run], ids=["deleted", "forced back"])
def test_a_ledger_that_is_rewritten_during_a_run_is_said_with_what_comes_back(
    shop: BranchShop, tamper: Tampering
) -> None:
    for number in (1, 2, 3):
        shop.run(number)
    run_with_tampering(shop, tamper, between_read_and_write=True)
    assert "The ledger was rewritten during this run: its sequence went from 3 back to" in shop.run(4).summary
    assert "rewritten" not in shop.run(5).summary


def test_a_newer_version_that_writes_in_between_loses_nothing(shop: BranchShop) -> None:
    """A newer version writes another kind, keys of its own, another edition of the rules, and state in other forms."""
    shop.run(1)
    known = json.loads(shop.fact_files()[FACTS_FILE])
    newer = [{**known, "id": "github:deployment:7", "v": 9, "risk": 0.5}, {**known, "id": "risk:1", "kind": "risk"}]
    lines = "".join(json.dumps(fact, sort_keys=True, separators=(",", ":")) + "\n" for fact in (known, *newer))
    files = {
        FACTS_FILE: lines,
        "checkpoint.json": '{"rules":"edition 99","until":"2026-11-01T00:00:00Z","totals":{"new":1},"carried":[]}',
        "reports.json": '{"acme/shop":{"weekly":{"period":"2026-W47","shape":[1]}}}',
        "cursors.json": '{"acme/shop":{"runs":{"newest":"2026-11-21T00:00:00Z","lag":3}}}',
        "counters.json": '{"edition":99}',
        "risks.json": "{}",
        "sequence": "9\n",
    }
    shop.github.fail(meanwhile(lambda: shop.commit_by_hand(files)), to=WRITE_OPERATION)
    ran = shop.run(2)
    assert (ran.code, "rewritten" in ran.summary) == (0, False)
    kept = {json.loads(line)["id"]: json.loads(line) for line in shop.fact_files()[FACTS_FILE].splitlines()}
    assert kept["github:deployment:7"]["risk"] == 0.5
    assert kept["risk:1"]["kind"] == "risk"
    assert set(kept) == {*deployment_ids(1, 2, 7), "risk:1"}
    assert "3 deployments on 1 day" in ran.summary
    assert shop.read("risks.json") == b"{}"
    assert shop.read("sequence") == b"10\n"
    assert "quarantine.jsonl" not in shop.files()


# A short token masks letters in GitHub's messages


@pytest.mark.parametrize("letter", ["e", "s", "r"])
def test_another_runs_branch_is_recognised_whatever_letters_the_token_masks(shop: BranchShop, letter: str) -> None:
    tokens = shop.github.state.tokens
    tokens[letter] = tokens[shop.github.token]
    shop.github.fail(meanwhile(lambda: shop.run(1)), to="POST */git/refs")
    assert "ledger ✓ +1 fact" in shop.run(2, token=letter).summary
    assert shop.fact_ids() == deployment_ids(1, 2)

"""The union of ledgers is what one ledger holds into which all their facts were merged."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core.cursors import LAST_READING, Cursor, Cursors, encode_cursors
from dora_metrics.core.facts.ids import repository as repository_id
from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.core.facts.model import Deployment, Fact, Repository, StoredFact
from dora_metrics.core.ledger.counters_file import marks_files
from dora_metrics.core.ledger.layout import CURSORS_FILE, MergePlan, parse_ledger, plan_merge
from dora_metrics.core.ledger.month_files import month_of_time
from dora_metrics.core.ledger.union import LedgerUnion, OtherLedger, OtherLedgers, join_cursors
from dora_metrics.core.metrics.high_water_marks import NO_MARKS, marks_of_totals
from dora_metrics.core.metrics.totals import Series
from dora_metrics.core.scope import Scope
from support.facts import MARCH, at, change, deployment, document_of, incident
from support.strategies import START, any_facts

LATEST = at("2027-01-01")
NAMES = ("acme/shop", "acme/api", "umbrella/shop")


def any_repositories(numbers: st.SearchStrategy[int], names: Sequence[str]) -> st.SearchStrategy[Repository]:
    """Records of repositories with these numbers, each with some of these names."""
    return st.builds(
        lambda number, own_names, hours: Repository(
            id=repository_id(number),
            repository=own_names[-1],
            observed_at=START + timedelta(hours=hours),
            names=tuple(own_names),
            seen_at=tuple(START + timedelta(hours=hours, minutes=index) for index in range(len(own_names))),
        ),
        numbers,
        st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True),
        st.integers(0, 96),
    )


repositories = any_repositories(st.integers(1, 2), NAMES)
"""Two repositories that may have had one name."""
one_with_each_name = any_repositories(st.just(1), NAMES[::2]) | any_repositories(st.just(2), NAMES[1:2])
placed_facts = st.lists(st.tuples(st.integers(0, 3), any_facts | one_with_each_name), max_size=25)
"""Facts, each with the number of the ledger that has it: the run's own one is 0. An id may be in several of them."""


def files_of(facts: Iterable[StoredFact]) -> Mapping[str, bytes]:
    """The files of a ledger that holds all these versions of facts."""
    files: defaultdict[str, bytes] = defaultdict(bytes)
    for fact in facts:
        files[f"{month_of_time(fact.defining_time)}.jsonl"] += encode_fact(fact) + b"\n"
    return files


def own_ledger(facts: Iterable[StoredFact] = ()) -> MergePlan:
    return plan_merge(parse_ledger(files_of(facts)), [])


def union_of(own: Iterable[StoredFact], *others: Iterable[StoredFact]) -> LedgerUnion:
    ledgers = tuple(OtherLedger.of(files_of(facts), LATEST) for facts in others)
    return OtherLedgers(ledgers).united_with(own_ledger(own))


def in_order(facts: Sequence[Fact]) -> list[Fact]:
    return sorted(facts, key=lambda fact: fact.id)


@given(placed_facts)
def test_any_facts_in_any_ledgers_are_those_of_one_ledger(placed: list[tuple[int, StoredFact]]) -> None:
    ledgers = [[fact for place, fact in placed if place == number] for number in range(4)]
    union = union_of(*ledgers)
    single = parse_ledger(files_of(fact for _, fact in placed))
    assert union.names == single.names
    assert in_order(union.facts) == in_order(single.facts)
    assert document_of(*union.facts, window=MARCH) == document_of(*single.facts, window=MARCH)


@given(st.lists(repositories, max_size=4), st.lists(st.tuples(st.integers(0, 3), any_facts), max_size=25))
def test_any_facts_in_ledgers_that_know_all_repositories_are_those_of_one_ledger(
    known: list[Repository], placed: list[tuple[int, StoredFact]]
) -> None:
    """Whichever names the repositories had in common."""
    union = union_of(*([*known, *(fact for place, fact in placed if place == number)] for number in range(4)))
    single = parse_ledger(files_of([*known, *(fact for _, fact in placed)]))
    assert union.names == single.names
    assert in_order(union.facts) == in_order(single.facts)


def seen(name: str, observed_at: str, number: int = 7) -> Repository:
    """A repository as a shard records it that knows it by this name only."""
    time = at(observed_at)
    return Repository(id=repository_id(number), repository=name, observed_at=time, names=(name,), seen_at=(time,))


def test_a_repository_that_moved_to_another_shard_is_counted_once() -> None:
    """The shard of its former name has what happened until then, and the new one has read some of it again."""
    before = [deployment(number, f"03-0{number}", repository="acme/shop") for number in (1, 2, 3)]
    again = [
        deployment(number, f"03-0{number}", repository="umbrella/shop", observed_at="03-11") for number in (2, 3, 4)
    ]
    union = union_of([], [seen("acme/shop", "02-01"), *before], [seen("umbrella/shop", "03-10"), *again])
    assert {(fact.id, fact.repository) for fact in union.facts} == {
        (f"github:deployment:{number}", "umbrella/shop") for number in (1, 2, 3, 4)
    }


def ledger_read_at(name: str, named_at: str, read_at: str) -> dict[str, bytes]:
    """The ledger of a shard that knows repository 7 by one name, and has read it last at a time."""
    cursors: Cursors = {name: {LAST_READING: Cursor(newest=at(read_at))}}
    files = files_of([seen(name, named_at), deployment(1, "03-01", repository=name)])
    return {**files, CURSORS_FILE: encode_cursors(cursors)}


@pytest.mark.parametrize("own_number", [None, 0, 1], ids=["two others", "own: the first", "own: the second"])
@pytest.mark.parametrize(("read_back_at", "name"), [("03-12", "acme/shop"), ("03-09", "umbrella/shop")])
def test_the_ledger_that_read_a_repository_last_knows_its_name(
    read_back_at: str, name: str, own_number: int | None
) -> None:
    """A ledger writes no name that it has last already: of a repository that moved away and back, the first one."""
    ledgers = [ledger_read_at("acme/shop", "02-01", read_back_at), ledger_read_at("umbrella/shop", "03-05", "03-10")]
    own = {} if own_number is None else ledgers[own_number]
    others = tuple(OtherLedger.of(files, LATEST) for files in ledgers if files is not own)
    union = OtherLedgers(others).united_with(plan_merge(parse_ledger(own), []))
    assert {fact.repository for fact in union.facts} == {name}


# --- a name that changed hands: acme/api (7) was renamed to acme/legacy, and a new acme/api (8) was created ---

PULL = "github:pull:acme/api#1"
OLD: list[StoredFact] = [seen("acme/api", "02-01"), change(1, id=PULL, repository="acme/api", observed_at=at("02-20"))]
"""A ledger of before."""
NEW: list[StoredFact] = [
    seen("acme/api", "03-10", 8),
    change(1, id=PULL, repository="acme/api", observed_at=at("03-08")),
    deployment(2, "03-08", repository="acme/api", service="api", changes=[PULL]),
]
"""A ledger that began after it. It knows the new repository alone, whose history it has read from the beginning."""
LEGACY: list[StoredFact] = [
    seen("acme/legacy", "03-10"),
    deployment(1, "02-21", repository="acme/legacy", changes=["github:pull:acme/legacy#1"]),
]
BOTH: list[StoredFact] = [seen("acme/api", "02-01"), seen("acme/legacy", "03-05"), seen("acme/api", "03-05", 8)]
"""What a ledger of before knows that was read until the new ones began."""


@pytest.mark.parametrize("own", [0, 1, 2, 3])
@pytest.mark.parametrize("old", [OLD, [*BOTH, OLD[1]]], ids=["not read since", "read since"])
def test_each_ledger_says_which_repository_had_a_name(old: list[StoredFact], own: int) -> None:
    """Also of facts from before that name had changed hands, as the old ledger knows it."""
    ledgers: list[list[StoredFact]] = [[], old, NEW, LEGACY]
    union = union_of(ledgers[own], *(ledger for ledger in ledgers if ledger is not ledgers[own]))
    by_id = {fact.id: fact for fact in union.facts}
    assert {fact_id: fact.repository for fact_id, fact in by_id.items()} == {
        PULL: "acme/api",
        "github:pull:acme/legacy#1": "acme/legacy",
        "github:deployment:1": "acme/legacy",
        "github:deployment:2": "acme/api",
    }
    delivered = by_id["github:deployment:2"]
    assert isinstance(delivered, Deployment)
    assert (delivered.service, delivered.changes) == ("api", (PULL,))


def test_what_ledgers_say_under_one_name_of_two_repositories_is_kept_apart() -> None:
    refused = {"dependabot": Cursor(refused="403", refused_at=at("03-10"))}
    marks = marks_of_totals(Counter({Series("dora_deployments_total", Scope("acme/api", "", "production")): 3}))
    others = [
        OtherLedger.of({**files_of(records), CURSORS_FILE: encode_cursors(cursors), **marks_files(counted, {})}, LATEST)
        for records, cursors, counted in (
            (OLD, {"acme/api": {"pulls": Cursor(newest=at("03-01"))}}, NO_MARKS),
            (NEW, {"acme/api": refused}, marks),
            (LEGACY, {"acme/legacy": {"issues": Cursor(newest=at("03-10"))}}, NO_MARKS),
        )
    ]
    union = OtherLedgers(tuple(others)).united_with(own_ledger())
    present = union.names.present_by_stable_name()
    cursors = {present[name]: by_kind for name, by_kind in union.cursors_with({}).items()}
    assert cursors == {
        "acme/legacy": {"pulls": Cursor(newest=at("03-01")), "issues": Cursor(newest=at("03-10"))},
        "acme/api": refused,
    }
    assert {present[scope.repository] for scope in union.marks.scopes} == {"acme/api"}


def test_the_cursors_of_the_own_ledger_are_those_of_its_repositories() -> None:
    union = OtherLedgers((OtherLedger.of(files_of(OLD), LATEST),)).united_with(own_ledger(NEW))
    (name,) = union.cursors_with({"acme/api": {"pulls": Cursor(newest=at("03-10"))}})
    assert name == "acme/api@8"


def test_an_incident_may_name_a_deployment_of_another_shard() -> None:
    culprit = deployment(1, repository="acme/api", service="api")
    report = incident(9, deployment=culprit.id)
    union = union_of([], [culprit], [report])
    (scope,) = (each for each in document_of(*union.facts, window=MARCH).scopes if each.repository == "acme/api")
    assert scope.metrics.change_failure_rate.failed == 1


def test_the_unread_ledgers_are_named_and_a_long_list_is_cut() -> None:
    unread = tuple(f"branch:dora-metrics-{number}of7@acme/metrics" for number in range(1, 8))
    assert OtherLedgers((), unread).united_with(own_ledger()).unread == (
        "7 shard ledgers could not be read: branch:dora-metrics-1of7@acme/metrics, "
        "branch:dora-metrics-2of7@acme/metrics, branch:dora-metrics-3of7@acme/metrics, "
        "branch:dora-metrics-4of7@acme/metrics, branch:dora-metrics-5of7@acme/metrics and 2 more. "
        "All repositories there are missing from the numbers, which does not mean that nothing happened in them."
    )


def test_what_any_shard_could_not_read_is_kept() -> None:
    refused = Cursor(refused="403", refused_at=at("03-01"))
    first: Cursors = {"acme/shop": {"dependabot": refused, "pulls": Cursor(newest=at("03-01"))}}
    second: Cursors = {"acme/shop": {"dependabot": Cursor(read_at=at("03-02"))}, "acme/api": {"pulls": Cursor()}}
    both_kinds = {"dependabot": refused, "pulls": Cursor(newest=at("03-01"))}
    expected = {"acme/shop": both_kinds, "acme/api": {"pulls": Cursor()}}
    assert join_cursors([first, second]) == expected
    assert join_cursors([second, first]) == expected


@pytest.mark.parametrize("is_refused_now", [False, True])
def test_the_ledger_that_read_a_repository_last_says_what_it_could_not_read(*, is_refused_now: bool) -> None:
    """A ledger of before, whose token lacked a permission or had it, stays as it was."""
    refused, read = Cursor(refused="403", refused_at=at("03-01")), Cursor(read_at=at("03-02"))
    before, now = (read, refused) if is_refused_now else (refused, read)
    old: Cursors = {"acme/api": {"dependabot": before, LAST_READING: Cursor(newest=at("03-01"))}}
    new: Cursors = {"acme/api": {"dependabot": now, LAST_READING: Cursor(newest=at("03-02"))}}
    cut_short: Cursors = {"acme/api": {"pulls": Cursor()}}
    for ledgers in permutations([old, new, cut_short]):
        assert join_cursors(ledgers) == {"acme/api": {**new["acme/api"], "pulls": Cursor()}}

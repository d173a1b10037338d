"""Former names lead to the present one: in facts files and ledgers, and after another repository has taken a name."""

from collections.abc import Set as AbstractSet
from datetime import timedelta
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dora_metrics.core.facts.jsonl import decode_line, encode_fact
from dora_metrics.core.facts.model import Fact, Incident, Repository, StoredFact
from dora_metrics.core.ledger.layout import LedgerContents, parse_ledger, plan_merge
from dora_metrics.core.linking.former_names import NO_NAMES, RepositoryNames, observed_repository, unite
from dora_metrics.core.scope import Scope
from dora_metrics.sources import fact_files
from support.facts import at, change, deployment, document_of, incident, metrics_of
from support.strategies import fact_lists, times

FIRST, RENAMED, TAKEN = at("02-01"), at("03-10"), at("03-20")
HOUR = timedelta(hours=1)


def repository(number: int, *names: str, seen_at: tuple[str, ...] = (), observed_at: str = "03-10") -> Repository:
    """Names of a repository as a ledger holds them; without times if `seen_at` is empty."""
    return Repository(
        id=f"github:repository:{number}",
        repository=names[-1],
        observed_at=at(observed_at),
        names=names,
        seen_at=tuple(map(at, seen_at)),
    )


STORE = repository(1, "acme/shop", "acme/store", seen_at=("02-01", "03-10"))
"""acme/shop, which was renamed to acme/store on 10 March."""

SUCCESSOR = repository(2, "acme/shop", seen_at=("03-20",), observed_at="03-20")
"""Another repository that has been called acme/shop since 20 March."""


def read(*facts: StoredFact) -> list[Fact]:
    """The facts of a facts file with these lines."""
    return fact_files.read("-", BytesIO(b"\n".join(map(encode_fact, facts)))).facts


def under(name: str, fact: Fact) -> Fact:
    """A fact of acme/shop as it is observed when the repository has another name."""
    renamed = decode_line(encode_fact(fact).replace(b"acme/shop", name.encode()))
    assert isinstance(renamed, Fact)
    return renamed


def ledger_of(*facts: StoredFact) -> LedgerContents:
    """A ledger that was written by a run for each fact."""
    files: dict[str, bytes] = {}
    for fact in facts:
        known = RepositoryNames.of([fact])
        files |= plan_merge(parse_ledger(files, known=known), [fact]).file_changes
    return parse_ledger(files)


# A renamed repository is one


@given(facts=fact_lists(), renamed_at=times)
def test_a_rename_at_any_time_changes_no_number(facts: list[Fact], renamed_at: object) -> None:
    """Also if facts go on to name the service `shop`, like the repository was called."""
    renamed = [under("acme/store", fact) for fact in facts]
    present = [
        replace(fact, service="store") if (fact.repository, fact.service) == ("acme/store", "shop") else fact
        for fact in renamed
    ]
    mixed = [old if old.observed_at < renamed_at else new for old, new in zip(facts, renamed, strict=True)]  # type: ignore[operator]
    assert document_of(*read(*mixed, STORE)) == document_of(*present)


def test_a_pull_request_that_is_recorded_under_both_names_is_one_change() -> None:
    old, new = change(1, observed_at="03-02"), under("acme/store", change(1, title="Faster", observed_at="03-12"))
    facts: list[StoredFact] = [deployment(1, "03-01"), deployment(2, "03-11", changes=[1]), old, new, STORE]
    (one,) = [fact for fact in read(*facts) if fact.id.startswith("github:pull:")]
    assert one == replace(new, service="store")
    assert metrics_of(*read(*facts)).lead_time.changes == 1


def test_an_incident_that_was_opened_under_the_former_name_is_closed_under_the_present_one() -> None:
    opened = incident(7, "03-05", deployment="acme/shop#1")
    closed = under("acme/store", replace(opened, resolved_at=at("03-12"), observed_at=at("03-12")))
    facts = read(deployment(1, "03-04", changes=[1]), change(1), opened, closed, STORE)
    metrics = metrics_of(*facts)
    assert (metrics.incident_restore.incidents, metrics.incident_restore.open) == (1, 0)
    assert metrics.change_failure_rate.failed == 1


@pytest.mark.parametrize(
    "name", ["acme/shop#1", "ACME/Shop#1", "github:pull:acme/shop#1", "https://github.com/acme/shop/pull/1"]
)
def test_what_names_a_pull_request_by_the_former_name_means_it(name: str) -> None:
    facts: list[StoredFact] = [
        under("acme/store", deployment(1, "03-11", changes=[1])),
        under("acme/store", change(1)),
        STORE,
    ]
    assert metrics_of(*read(*facts, incident(7, "03-12", deployment=name))).change_failure_rate.failed == 1


def test_an_incident_names_the_same_one_by_the_former_name() -> None:
    also = ("acme/shop#1", "github:issue:acme/shop#1", "https://github.com/acme/shop/issues/1", "#1", "jira:OPS-1")
    (renamed,) = read(incident(7, "03-12", also=also), STORE)
    assert isinstance(renamed, Incident)
    assert renamed.also == (
        "acme/store#1",
        "github:issue:acme/store#1",
        "https://github.com/acme/store/issues/1",
        "#1",
        "jira:OPS-1",
    )


def test_a_revert_of_a_change_under_the_former_name_fails_its_deployment() -> None:
    facts: list[StoredFact] = [deployment(1, "03-01"), deployment(2, "03-05", changes=[1]), change(1)]
    revert = replace(under("acme/store", change(2)), reverts=("github:pull:acme/shop#1",))
    facts_after = [under("acme/store", deployment(3, "03-12", changes=[2])), revert]
    assert metrics_of(*read(*facts, *facts_after, STORE)).change_failure_rate.failed == 1


def test_a_fact_without_a_service_has_that_of_the_present_name() -> None:
    old = deployment(1, "03-01", service=None)
    (scope,) = document_of(*read(old, under("acme/store", deployment(2, "03-12", service=None)), STORE)).scopes
    assert (scope.repository, scope.service) == ("acme/store", "store")


@pytest.mark.parametrize("new_name", ["acme/store", "acme/Shop"])
@pytest.mark.parametrize("service", ["shop", "Shop", "", None])
def test_a_service_named_like_the_repository_was_is_the_default_one(service: str | None, new_name: str) -> None:
    before, alert = deployment(1, "03-01", service=None), replace(incident(7, "03-01"), service=service)
    after = replace(under(new_name, deployment(2, "03-12")), service=service)
    names = repository(1, "acme/shop", new_name, seen_at=("02-01", "03-10"))
    (scope,) = document_of(*read(before, replace(alert, environment="production"), after, names)).scopes
    assert (scope.repository, scope.service) == (new_name, new_name.partition("/")[2])
    metrics = metrics_of(*read(before, alert, after, names))
    assert (metrics.change_failure_rate.deployments, metrics.change_failure_rate.failed) == (2, 1)


def test_a_service_in_the_settings_keeps_its_name() -> None:
    lines: list[StoredFact] = [deployment(1, "03-01", service="shop"), deployment(2, "03-02", service="web"), STORE]
    content = BytesIO(b"\n".join(map(encode_fact, lines)))
    facts = fact_files.read("-", content, services=frozenset({"shop", "web"})).facts
    assert [fact.service for fact in facts] == ["shop", "web"]


def test_a_service_named_like_another_repository_is_its_own() -> None:
    (fact,) = read(deployment(1, service="pay"), STORE, repository(3, "acme/pay"))
    assert fact.service == "pay"


def test_addresses_on_github_lead_to_the_present_name_and_others_stay() -> None:
    on_github = deployment(1, url="https://github.com/acme/shop/deployments/1")
    elsewhere = replace(deployment(2, url="https://ci.example/acme/shop/2"), id="ci:2")
    assert [fact.url for fact in read(on_github, elsewhere, STORE)] == [
        "https://github.com/acme/store/deployments/1",
        "https://ci.example/acme/shop/2",
    ]


def test_a_name_in_other_letters_is_the_same_repository() -> None:
    facts = read(replace(deployment(1), repository="Acme/SHOP"), repository(1, "acme/shop"))
    assert [fact.repository for fact in facts] == ["acme/shop"]


def test_a_repository_that_got_its_old_name_back_is_still_one() -> None:
    back = repository(1, "acme/store", "acme/shop", seen_at=("03-10", "02-01"), observed_at="03-20")
    facts: list[StoredFact] = [
        deployment(1, "03-01"),
        under("acme/store", deployment(2, "03-12")),
        deployment(3, "03-21"),
    ]
    assert {fact.repository for fact in read(*facts, back)} == {"acme/shop"}


# Another repository that has taken the old name is not it


@pytest.mark.parametrize("with_times", [True, False])
@pytest.mark.parametrize("in_order", [True, False])
def test_facts_belong_to_the_repository_that_had_the_name(*, with_times: bool, in_order: bool) -> None:
    names = [STORE, SUCCESSOR] if with_times else [replace(each, seen_at=()) for each in (STORE, SUCCESSOR)]
    before, after = deployment(1, "03-05"), deployment(2, "03-25")
    facts = read(*(names if in_order else names[::-1]), before, after)
    assert {fact.id[-1]: fact.repository for fact in facts} == {"1": "acme/store", "2": "acme/shop"}


def test_pull_requests_with_the_same_number_stay_two() -> None:
    ours, theirs = change(1, title="Ours", observed_at="03-05"), change(1, title="Theirs", observed_at="03-25")
    assert ours.id == theirs.id
    for facts in (read(ours, theirs, STORE, SUCCESSOR), ledger_of(STORE, ours, SUCCESSOR, theirs).facts):
        assert {fact.id: getattr(fact, "title", None) for fact in facts} == {
            "github:pull:acme/store#1": "Ours",
            "github:pull:acme/shop#1": "Theirs",
        }


def test_before_its_new_name_is_known_a_repository_is_told_apart_by_its_number() -> None:
    first = repository(1, "acme/shop", seen_at=("02-01",), observed_at="02-01")
    facts = read(first, SUCCESSOR, deployment(1, "03-05"), deployment(2, "03-25"))
    assert sorted(fact.repository for fact in facts) == ["acme/shop", "acme/shop@1"]
    (note,) = RepositoryNames.of([first, SUCCESSOR]).notes
    assert note.startswith("acme/shop is now the name of another repository.")
    assert "acme/shop@1 until its new name is known" in note
    assert RepositoryNames.of([STORE, SUCCESSOR]).notes == ()


def test_an_old_fact_of_the_successor_that_is_read_later_is_its_own() -> None:
    ours, theirs = change(1, title="Ours", observed_at="03-05"), change(2, title="Theirs", observed_at="03-06")
    facts = ledger_of(ours, STORE, SUCCESSOR, theirs).facts
    assert {getattr(fact, "title", None): fact.repository for fact in facts} == {
        "Ours": "acme/store",
        "Theirs": "acme/shop",
    }


# What is written


def test_a_repository_that_was_not_seen_before_is_written_once() -> None:
    first = observed_repository(NO_NAMES, 1, "acme/shop", FIRST)
    assert first is not None
    assert (first.id, first.names, first.seen_at) == ("github:repository:1", ("acme/shop",), (FIRST,))
    assert observed_repository(RepositoryNames.of([first]), 1, "acme/shop", RENAMED) is None


def test_a_new_name_is_added_and_wins_over_the_record_before() -> None:
    known = RepositoryNames.of([repository(1, "acme/shop", seen_at=("02-01",), observed_at="02-01")])
    renamed = observed_repository(known, 1, "acme/store", RENAMED)
    assert renamed == STORE
    assert renamed.defining_time == FIRST, "it stays in the file of the month in which it was first seen"


def test_a_former_name_in_an_event_is_known_from_then_on() -> None:
    record = observed_repository(NO_NAMES, 1, "acme/store", RENAMED, former_names=["acme/shop"])
    assert record is not None
    assert (record.names, record.repository) == (("acme/shop", "acme/store"), "acme/store")
    assert observed_repository(RepositoryNames.of([record]), 1, "acme/store", TAKEN, former_names=["acme/shop"]) is None


def test_former_names_that_are_known_later_leave_the_first_known_name() -> None:
    known = RepositoryNames.of([repository(1, "acme/store", seen_at=("03-10",))])
    record = observed_repository(known, 1, "acme/store", TAKEN, ["acme/shop", "umbrella/shop", "Acme/Store"])
    assert record is not None
    assert record.names == ("acme/shop", "umbrella/shop", "acme/store")
    names = RepositoryNames.of([record])
    assert {names.present_name(name) for name in record.names} == {"acme/store"}
    assert {names.stable_name(name) for name in record.names} == {"acme/store"}


def test_unknown_names_are_those_in_reverts_and_incidents_that_no_repository_had() -> None:
    reverts = ("github:pull:acme/old#1", "github:pull:Acme/Old#2", "github:pull:acme/shop#3", "f" * 40)
    down = replace(
        incident(7, "03-01"),
        deployment="https://github.com/umbrella/shop/pull/1",
        also=("https://status.example/incidents/12", "acme/tools#4", "github:issue:acme/store#8"),
    )
    reverting, titled = replace(change(1), reverts=reverts), replace(change(2), title="acme/none#1")
    facts: list[Fact] = [reverting, down, titled, deployment(1, "03-01")]
    names = RepositoryNames.of([STORE]).unknown_names(facts)
    assert [name.casefold() for name in names] == ["acme/old", "umbrella/shop", "acme/tools"]


def test_a_run_that_began_before_the_rename_does_not_undo_it() -> None:
    assert observed_repository(RepositoryNames.of([STORE]), 1, "acme/shop", RENAMED - HOUR) is None


def test_a_rename_back_is_seen() -> None:
    back = observed_repository(RepositoryNames.of([STORE]), 1, "acme/shop", TAKEN)
    assert back is not None
    assert back.names == ("acme/store", "acme/shop")


def test_only_the_spelling_of_a_name_may_change() -> None:
    known = RepositoryNames.of([repository(1, "acme/shop")])
    respelled = observed_repository(known, 1, "Acme/Shop", TAKEN)
    assert respelled is not None
    assert respelled.names == ("Acme/Shop",)


def test_a_ledger_keeps_the_lines_of_both_names() -> None:
    old, new = change(1, observed_at="03-02"), under("acme/store", change(1, observed_at="03-12"))
    written = b"".join(ledger_of(old, STORE, new).files.values())
    assert written.count(b'"kind":"repository"') == 1
    assert b"acme/store#1" in written


def test_keys_stay_the_same_through_renames() -> None:
    before, after = RepositoryNames.of([repository(1, "acme/shop")]), RepositoryNames.of([STORE, SUCCESSOR])
    assert before.stable_name("acme/shop") == after.stable_name("acme/store") == "acme/shop"
    assert after.stable_name("acme/shop") == "acme/shop@2"
    scope = Scope("acme/shop", "shop", "production")
    assert before.stable_scope(scope) == after.stable_scope(Scope("acme/store", "store", "production")) == scope
    assert after.stable_scope(Scope("acme/store", "api", "prod")) == Scope("acme/shop", "api", "prod")
    assert after.present_by_stable_name() == {"acme/shop": "acme/store", "acme/shop@2": "acme/shop"}


NAME_TAKEN = RepositoryNames.of([repository(1, "acme/shop", seen_at=("02-01",)), SUCCESSOR])
"""acme/shop of another repository, before the new name of the first one is known."""


def test_a_name_with_a_number_is_that_of_the_repository_with_this_number() -> None:
    assert NAME_TAKEN.stable_name("acme/shop@1") == "acme/shop"
    assert NAME_TAKEN.stable_name("acme/shop") == "acme/shop@2"


def test_a_present_name_has_the_id_of_its_repository() -> None:
    renamed = RepositoryNames.of([STORE, SUCCESSOR])
    names = ("acme/store", "Acme/Shop", "acme/unknown")
    assert [renamed.repository_id(name) for name in names] == ["github:repository:1", "github:repository:2", None]
    assert NAME_TAKEN.repository_id("acme/shop@1") == "github:repository:1"


def test_what_other_names_add_is_recorded_once_and_newer_than_what_is_known() -> None:
    own = RepositoryNames.of([repository(1, "acme/shop", seen_at=("02-01",))])
    others = [repository(1, "acme/store", seen_at=("02-15",), observed_at="03-01"), SUCCESSOR]
    first, second = own.news_in(others)
    assert (first.names, second) == (("acme/store", "acme/shop"), SUCCESSOR)
    assert first.observed_at > own.repositories[first.id].observed_at, "its present name is as known, and this is newer"
    assert not list(own.including([first, second]).news_in(others))


def test_a_numbered_name_is_never_that_of_another_repository() -> None:
    before, after = RepositoryNames.of([repository(1, "acme/shop")]), RepositoryNames.of([STORE, SUCCESSOR])
    assert before.numbered_name("acme/shop") == after.numbered_name("acme/store") == "acme/shop@1"
    assert RepositoryNames.of([SUCCESSOR]).numbered_name("acme/shop") == "acme/shop@2"
    assert NAME_TAKEN.numbered_name("acme/shop@1") == "acme/shop@1"
    assert before.numbered_name("acme/unknown") == "acme/unknown"


SERVICES = ("shop", "store", "shop@1", "other", "api")


@pytest.mark.parametrize("services", [frozenset(), {"api"}, {"shop"}, {"store", "api"}, set(SERVICES)])
@pytest.mark.parametrize("records", [[], [SUCCESSOR, *NAME_TAKEN.repositories.values()], [STORE, SUCCESSOR]])
def test_scopes_are_stored_apart_and_read_back(records: list[Repository], services: AbstractSet[str]) -> None:
    names = RepositoryNames.of(records, services)
    repositories = {names.present_name(name) for name in ("acme/shop", "acme/store", "acme/shop@1", "acme/other")}
    resolved = {(name, names.present_service(name, service)) for name in repositories for service in SERVICES}
    scopes = [Scope(*pair, "prod") for pair in sorted(resolved)]
    stored = list(map(names.scope_to_store, scopes))
    assert len(set(stored)) == len(scopes)
    assert list(map(names.stored_scope, stored)) == scopes
    assert len(set(map(names.stable_scope, scopes))) == len(scopes)


def test_a_stored_scope_is_that_of_the_same_repository_after_renames() -> None:
    before = RepositoryNames.of([repository(1, "acme/shop", seen_at=("02-01",))])
    stored = before.scope_to_store(Scope("acme/shop", "shop", "prod"))
    assert NAME_TAKEN.stored_scope(stored) == Scope("acme/shop@1", "shop@1", "prod")
    assert RepositoryNames.of([STORE, SUCCESSOR]).stored_scope(stored) == Scope("acme/store", "store", "prod")
    assert before.stored_scope(before.scope_to_store(Scope("acme/shop", "api", "prod"))).service == "api"


def test_marks_that_were_stored_apart_by_the_former_name_are_of_one_scope() -> None:
    """Earlier versions took a service with the former name for one of its own."""
    stored = [Scope("acme/shop", service, "prod") for service in ("", "shop", "Store")]
    scope = Scope("acme/store", "store", "prod")
    assert set(map(RepositoryNames.of([STORE]).stored_scope, stored)) == {scope}


def test_marks_of_a_service_in_the_settings_stay_with_it() -> None:
    before, after = (
        RepositoryNames.of([each], {"shop", "web"}) for each in (repository(1, "acme/shop", seen_at=("02-01",)), STORE)
    )
    stored = before.scope_to_store(Scope("acme/shop", "shop", "prod"))
    shop = Scope("acme/store", "shop", "prod")
    assert after.stored_scope(stored) == shop
    assert after.stored_scope(Scope("acme/shop", "", "prod")) == shop, "as earlier versions stored it"
    assert after.stable_scope(shop) == before.stable_scope(Scope("acme/shop", "shop", "prod"))


# Two runs that saw different names


@st.composite
def records(draw: st.DrawFn) -> Repository:
    names = draw(
        st.lists(st.sampled_from(["acme/a", "acme/b", "acme/B", "acme/c"]), min_size=1, unique_by=str.casefold)
    )
    seen_at = draw(st.just(()) | st.tuples(*(times for _ in names)))
    return Repository(
        id="github:repository:1", repository=names[-1], observed_at=draw(times), names=tuple(names), seen_at=seen_at
    )


def names_of(record: Repository) -> tuple[object, ...]:
    return frozenset(map(str.casefold, record.names)), record.names[-1], record.observed_at, record.defining_time


@given(first=records(), second=records(), third=records())
def test_uniting_names_is_commutative_associative_and_idempotent(
    first: Repository, second: Repository, third: Repository
) -> None:
    assert unite(first, second) == unite(second, first)
    assert names_of(unite(unite(first, second), third)) == names_of(unite(first, unite(second, third)))
    assert unite(first, first) == first
    assert unite(unite(first, second), second).names == unite(first, second).names


@given(first=records(), second=records())
def test_no_name_is_lost_whichever_record_a_facts_file_names_last(first: Repository, second: Repository) -> None:
    names = RepositoryNames.of([first, second])
    assert names == RepositoryNames.of([second, first])
    present = max((first, second), key=lambda record: (record.observed_at, record.names[-1])).names[-1]
    assert {names.present_name(name) for name in (*first.names, *second.names)} == {present}

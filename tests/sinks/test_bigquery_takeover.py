"""Of two ledgers with the same repository, under one name or two, a dataset has each fact once and loses none."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from msgspec.structs import replace as replace_fields

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.policy import Policy
from dora_metrics.core.rows.judged import JudgedFacts
from dora_metrics.core.rows.tables import TABLES
from dora_metrics.core.windows import parse_window
from dora_metrics.sinks.bigquery import takeover
from dora_metrics.sinks.bigquery.contents import Contents
from dora_metrics.sinks.bigquery.statements import tables_with_ids
from dora_metrics.sinks.bigquery.takeover import Holding, Judgement, Ruling, judged
from fakes.bigquery import FakeBigQuery, bigquery
from support.facts import change, direct_commit, incident
from support.paths import ROOT
from support.property_cases import cases
from support.servers import Request
from support.sink_payloads import NOW, deployment
from support.warehouse_contents import contents, deployments, send, sink_to
from support.warehouse_questions import SAMPLE, facts_at

API, CORE, PAY = "acme/api", "acme/core", "acme/pay"
NUMBER = 12
"""Of acme/api on GitHub, which acme/core is after a rename."""
FORMER, NEW = "branch:dora-metrics-1of3@acme/metrics", "branch:dora-metrics-2of5@acme/metrics@1002"
LEFT = "left to another ledger, which has all of these facts: "
DISPUTED = "the dataset has facts from another ledger that this one does not have, so nothing was sent or deleted there"


@pytest.fixture
def fake() -> Iterator[FakeBigQuery]:
    with bigquery() as started:
        yield started


def of(repository: str, numbers: range, **fields: object) -> list[Fact]:
    """Deployments with GitHub's numbers, and pull requests, whose ids have the name of their repository."""
    pulls = [
        change(
            number,
            "2026-11-01",
            id=f"github:pull:{repository}#{number}",
            repository=repository,
            service=repository.partition("/")[2],
        )
        for number in numbers
    ]
    return [*(deployment(number, 30 - number, repository=repository, **fields) for number in numbers), *pulls]


def on_github(numbers: range) -> list[Fact]:
    """Deployments of GitHub's API."""
    return of(API, numbers, source="deployments")


def former(numbers: range = range(4), repository: str = API, sequence: int = 7) -> Contents:
    return contents(of(repository, numbers), sequence, ledger=FORMER, numbers={repository: NUMBER})


def new(numbers: range = range(5), repository: str = API, sequence: int = 1) -> Contents:
    return contents(of(repository, numbers), sequence, ledger=NEW, numbers={repository: NUMBER})


def deployments_by_name(fake: FakeBigQuery) -> dict[str | None, int]:
    return dict(Counter(row[0] for row in fake.rows("deployments")))


def assert_each_fact_is_there_once(fake: FakeBigQuery) -> None:
    ids = Counter(row[3] for row in fake.rows("deployments"))
    assert set(ids.values()) == {1}, ids
    fact_ids = Counter(row[0] for row in fake.rows("facts"))
    assert set(fact_ids.values()) == {1}, fact_ids
    assert {row[0] for row in fake.rows("deployments")} == {row[2] for row in fake.rows("facts")}


# The same name


def test_a_new_ledger_that_lacks_older_facts_deletes_none_and_fails(fake: FakeBigQuery) -> None:
    """As after 3 shards became 5, with a first sync of 90 days."""
    send(fake, former(range(4)))
    before = fake.state
    outcome = send(fake, contents([*of(API, range(2, 6)), *deployments(PAY, 1)], ledger=NEW))
    assert outcome == Outcome(
        "BigQuery",
        "failed",
        f"acme/api: {DISPUTED}; the shards have changed, or a repository was renamed. Run once with `since: all` "
        "(docs/warehouse.md#another-ledger) (6 rows of 1 repository sent)",
    )
    assert deployments_by_name(fake) == {API: 4, PAY: 1}, "the other repositories are sent"
    for name, rows in before.items():
        assert set(rows) <= set(fake.state[name])


def test_a_new_ledger_with_fewer_facts_sends_nothing_and_says_so(fake: FakeBigQuery) -> None:
    send(fake, former())
    before = fake.state
    outcome = send(fake, new(range(2, 4)))
    assert outcome == Outcome("BigQuery", "done", f"nothing has changed; 0 rows sent; {LEFT}acme/api")
    assert (fake.uploaded_bytes, fake.state) == (0, before)


def test_a_new_ledger_with_all_facts_and_more_replaces_them(fake: FakeBigQuery) -> None:
    send(fake, former())
    assert send(fake, new()).status == "done"
    assert deployments_by_name(fake) == {API: 5}
    assert {row[5] for row in fake.rows("loads") if row[0] == API} == {NEW}
    assert LEFT in send(fake, former()).detail
    assert send(fake, new()).detail == "nothing has changed; 0 rows sent"


def test_a_new_ledger_that_read_the_same_facts_later_replaces_them(fake: FakeBigQuery) -> None:
    send(fake, former())
    observed_later = [
        replace_fields(fact, observed_at=fact.observed_at + timedelta(days=9)) for fact in of(API, range(4))
    ]
    assert send(fake, contents(observed_later, ledger=NEW)).status == "done"
    assert {row[5] for row in fake.rows("loads") if row[0] == API} == {NEW}
    assert send(fake, contents(observed_later, ledger=NEW)).detail == "nothing has changed; 0 rows sent"


def test_rows_without_facts_are_taken_over_by_the_same_rule(fake: FakeBigQuery) -> None:
    def rows_of(sent: Contents) -> Contents:
        facts = of(API, range(4) if sent.ledger == FORMER else range(2, 6))
        return contents(facts, sent.sequence, parts=["rows"], ledger=sent.ledger)

    send(fake, rows_of(former()))
    assert DISPUTED in send(fake, rows_of(new())).detail
    assert deployments_by_name(fake) == {API: 4}


@pytest.mark.parametrize("table", ["facts", "deployments", "incidents", "vulnerabilities"])
def test_a_table_that_is_missing_is_not_compared(fake: FakeBigQuery, table: str) -> None:
    fake.drop(table)
    for sent in (former(), new()):
        outcome = send(fake, sent)
        assert outcome.detail.startswith(f"there is no table `acme-metrics.dora.{table}`")
    assert {row[5] for row in fake.rows("loads") if row[0] == API} == {NEW}
    assert DISPUTED in send(fake, former(range(2, 6), sequence=8)).detail


def test_the_statement_of_the_page_gives_older_facts_up(fake: FakeBigQuery) -> None:
    """Facts of dispatches cannot be read again."""
    send(fake, former())
    sent = contents(of(API, range(2, 6)), ledger="branch:dora-metrics-2of5@acme/metrics@1002")
    assert DISPUTED in send(fake, sent).detail
    (statement,) = re.findall(
        r"'(UPDATE dora\.loads SET ledger = .*)'", (ROOT / "docs/warehouse.md").read_text("utf-8")
    )
    fake._database.execute(statement.replace('"', "'"))  # noqa: SLF001
    assert send(fake, sent).status == "done"
    assert deployments_by_name(fake) == {API: 4}
    assert send(fake, sent).detail == "nothing has changed; 0 rows sent"


def test_the_statement_of_the_page_gives_up_what_is_under_a_former_name(fake: FakeBigQuery) -> None:
    send(fake, former())
    sent = new(range(2, 6), CORE)
    assert DISPUTED in send(fake, sent).detail
    (statement,) = re.findall(
        r"'(UPDATE dora\.loads SET ledger = .*)'", (ROOT / "docs/warehouse.md").read_text("utf-8")
    )
    fake._database.execute(statement.replace('"', "'"))  # noqa: SLF001
    assert send(fake, sent).status == "done"
    assert deployments_by_name(fake) == {CORE: 4}
    assert_each_fact_is_there_once(fake)


UNNEEDED = {
    "a push before the first deployment": deployment(90, 40, id="github:push:90", repository=API, source="pushes"),
    "a release before it": deployment(91, 41, id="github:release:91", repository=API, source="releases"),
    "an incident that was withdrawn": incident(
        92, "2026-11-02", id=f"github:issue:{API}#92", repository=API, retracted=True
    ),
    "a commit that such a push delivered": direct_commit(93, "2026-11-01", repository=API, service="api"),
}
"""Facts that a new ledger never reads, although it reads everything."""


@pytest.mark.parametrize("fact", UNNEEDED.values(), ids=UNNEEDED.keys())
def test_what_does_not_count_with_the_facts_of_both_ledgers_is_not_compared(fake: FakeBigQuery, fact: Fact) -> None:
    def of_former(sequence: int) -> Contents:
        return contents([*on_github(range(4)), fact], sequence, ledger=FORMER, numbers={API: NUMBER})

    send(fake, of_former(7))
    sent = contents(on_github(range(5)), ledger=NEW, numbers={API: NUMBER})
    assert send(fake, sent).status == "done"
    assert deployments_by_name(fake) == {API: 5}
    assert LEFT in send(fake, of_former(8)).detail, "the former shard, if it still runs"
    assert send(fake, sent).detail == "nothing has changed; 0 rows sent"


def test_a_new_ledger_with_a_better_source_takes_over_what_the_former_one_counted(fake: FakeBigQuery) -> None:
    """The first deployment came after the last run of the former shard."""
    push = deployment(90, 40, id="github:push:90", repository=API, source="pushes")
    send(fake, contents([push], 7, ledger=FORMER, numbers={API: NUMBER}))
    assert send(fake, contents(on_github(range(1)), ledger=NEW, numbers={API: NUMBER})).status == "done"
    assert {row[3] for row in fake.rows("deployments")} == {"github:deployment:0"}


@pytest.mark.parametrize("source", ["deployments, pushes", "pushes", "none"])
def test_sources_that_the_settings_name_are_compared(fake: FakeBigQuery, source: str) -> None:
    push = deployment(90, 40, id="github:push:90", repository=API, source="pushes")
    send(fake, contents([*on_github(range(4)), push], 7, ledger=FORMER, numbers={API: NUMBER}))
    sent = contents(on_github(range(5)), ledger=NEW, numbers={API: NUMBER}, deployment_source=source)
    assert DISPUTED in send(fake, sent).detail
    assert deployments_by_name(fake) == {API: 5}


def test_a_lesser_source_is_compared_as_long_as_there_is_no_better_one(fake: FakeBigQuery) -> None:
    pushes = [
        deployment(number, 40 - number, id=f"github:push:{number}", repository=API, source="pushes")
        for number in range(4)
    ]
    send(fake, contents(pushes, 7, ledger=FORMER, numbers={API: NUMBER}))
    assert LEFT in send(fake, contents(pushes[1:], ledger=NEW, numbers={API: NUMBER})).detail
    assert deployments_by_name(fake) == {API: 4}


def test_ids_of_rows_are_ids_of_facts() -> None:
    """Otherwise no ledger would ever have all of what another one has sent."""
    facts = facts_at(SAMPLE)
    policy = Policy()
    judged_facts = JudgedFacts.of(evaluate_facts(facts, policy), facts, policy, parse_window("30d", policy.zone), NOW)
    ids = {fact.id for fact in facts}
    for table in tables_with_ids(TABLES):
        assert {row.id for row in judged_facts.rows(table)} <= ids, table.name  # type: ignore[union-attr]


def test_metrics_of_days_alone_are_of_the_last_run(fake: FakeBigQuery) -> None:
    send(fake, contents(of(API, range(4)), parts=["metrics"], ledger=FORMER))
    assert send(fake, contents(of(API, range(1)), parts=["metrics"], ledger=NEW)).status == "done"
    assert {row[5] for row in fake.rows("loads")} == {NEW}


# Another name


def test_a_repository_that_was_renamed_into_another_shard_is_there_once(fake: FakeBigQuery) -> None:
    send(fake, former())
    assert send(fake, new(repository=CORE)).status == "done"
    assert deployments_by_name(fake) == {CORE: 5}
    assert {row[2] for row in fake.rows("facts")} == {CORE}
    assert {row[5] for row in fake.rows("loads") if row[0] == API} == {NEW}, "the new ledger has taken it over"
    before = fake.state
    for _ in range(2):
        assert send(fake, former(sequence=8)) == Outcome(
            "BigQuery", "done", f"nothing has changed; 0 rows sent; {LEFT}acme/api"
        )
        assert fake.uploaded_bytes == 0
        assert send(fake, new(repository=CORE)).detail == "nothing has changed; 0 rows sent"
        assert (fake.uploaded_bytes, len(fake.requests), fake.state) == (0, 13, before)


def test_a_renamed_repository_with_the_same_facts_goes_to_its_new_name_and_stays_there(fake: FakeBigQuery) -> None:
    send(fake, former())
    for _ in range(2):
        assert send(fake, new(range(4), CORE)).status == "done"
        assert deployments_by_name(fake) == {CORE: 4}
        assert LEFT in send(fake, former(sequence=8)).detail
        assert deployments_by_name(fake) == {CORE: 4}


def test_a_renamed_repository_without_its_older_facts_is_not_sent_until_they_are_read(fake: FakeBigQuery) -> None:
    send(fake, former())
    before = fake.state
    outcome = send(fake, new(range(2, 6), CORE))
    assert (outcome.status, outcome.detail[:9]) == ("failed", "acme/core")
    assert deployments_by_name(fake) == {API: 4}
    assert {name: rows for name, rows in fake.state.items() if name not in ("loads", "week_starts")} == {
        name: rows for name, rows in before.items() if name not in ("loads", "week_starts")
    }
    assert send(fake, new(range(6), CORE, 2)).status == "done"
    assert deployments_by_name(fake) == {CORE: 6}


@pytest.mark.parametrize("later", [range(6), range(3, 6)], ids=["all facts", "some of them"])
def test_a_number_that_a_ledger_learns_later_shows_that_two_names_are_one_repository(
    fake: FakeBigQuery, later: range
) -> None:
    """As after a run without a sync."""
    send(fake, former())
    assert send(fake, contents(of(CORE, range(4, 6)), ledger=NEW)).status == "done"
    assert deployments_by_name(fake) == {API: 4, CORE: 2}
    outcome = send(fake, new(later, CORE, 2))
    assert_each_fact_is_there_once(fake)
    assert outcome.status == ("done" if later == range(6) else "failed")
    assert deployments_by_name(fake) == ({CORE: 6} if later == range(6) else {API: 4})
    assert send(fake, former(sequence=8)).status == "done"
    assert send(fake, new(range(6), CORE, 3)).status == "done"
    assert deployments_by_name(fake) == {CORE: 6}


def only_incidents(repository: str, count: int) -> list[Fact]:
    """As a repository that is a tracker of incidents."""
    return [
        incident(number, f"2026-11-{number:02}", id=f"github:issue:{repository}#{number}", repository=repository)
        for number in range(1, count + 1)
    ]


def only_rollouts(repository: str, count: int) -> list[Fact]:
    return [
        deployment(number, 20 - number, id=f"flux:apps/api:main@{number}:{number}", repository=repository)
        for number in range(1, count + 1)
    ]


@pytest.mark.parametrize("facts_of", [only_incidents, only_rollouts])
def test_a_repository_without_deployments_on_github_is_there_once_after_a_rename(
    fake: FakeBigQuery, facts_of: Callable[[str, int], list[Fact]]
) -> None:
    send(fake, contents(facts_of(API, 3), ledger=FORMER, numbers={API: NUMBER}))
    sent = contents(facts_of(CORE, 4), ledger=NEW, numbers={CORE: NUMBER})
    assert send(fake, sent).status == "done"
    rows = [*fake.rows("incidents"), *fake.rows("deployments")]
    assert Counter(row[0] for row in rows) == {CORE: 4}
    assert len(fake.rows("facts")) == 4
    assert LEFT in send(fake, contents(facts_of(API, 3), 2, ledger=FORMER, numbers={API: NUMBER})).detail
    assert send(fake, sent).detail == "nothing has changed; 0 rows sent"


def test_rows_whose_number_was_not_known_get_it_without_being_sent(fake: FakeBigQuery) -> None:
    send(fake, contents(of(API, range(4)), ledger=FORMER))
    assert send(fake, former(sequence=2)).detail == "nothing has changed; 0 rows sent"
    assert fake.uploaded_bytes == 0
    assert {row[-1] for row in fake.rows("loads") if row[0] == API} == {f"github:repository:{NUMBER}"}
    assert send(fake, new(repository=CORE)).status == "done"
    assert deployments_by_name(fake) == {CORE: 5}
    assert {row[-1] for row in fake.rows("loads") if row[0] == API} == {None}, "no rows have this name now"


def test_another_repository_that_gets_the_former_name_is_sent(fake: FakeBigQuery) -> None:
    send(fake, former())
    send(fake, new(repository=CORE))
    assert send(fake, contents(of(API, range(20, 22)), 8, ledger=FORMER, numbers={API: 99})).status == "done"
    assert deployments_by_name(fake) == {CORE: 5, API: 2}
    assert send(fake, new(repository=CORE)).detail == "nothing has changed; 0 rows sent"
    assert deployments_by_name(fake) == {CORE: 5, API: 2}


def test_a_ledger_that_has_both_the_renamed_and_another_of_its_name_sends_both(fake: FakeBigQuery) -> None:
    """The former name is free only once the rows under it are taken over, so the second round sends the other."""
    send(fake, former())
    both = contents([*of(CORE, range(5)), *of(API, range(20, 22))], ledger=NEW, numbers={CORE: NUMBER, API: 99})
    assert send(fake, both).status == "done"
    assert deployments_by_name(fake) == {CORE: 5, API: 2}
    assert send(fake, both).detail == "nothing has changed; 0 rows sent"


@pytest.mark.parametrize("are_known", [True, False], ids=["known numbers", "unknown numbers"])
@pytest.mark.parametrize(("names", "days_ago"), [("dispatch:{}", 3), ("dispatch:{}", 2), ("github:push:{}", 2)])
def test_repositories_with_the_same_commits_and_chosen_names_are_two(
    fake: FakeBigQuery, names: str, days_ago: float, *, are_known: bool
) -> None:
    """As a mirror, as people who number their deployments, and as one pipeline that deploys several repositories."""

    def facts(repository: str, days_ago: float) -> list[Fact]:
        named = [
            deployment(number, days_ago + number, id=names.format(number), repository=repository) for number in (1, 2)
        ]
        return [*named, direct_commit(1, "2026-11-01", repository=repository, service="x")]

    is_mirror = names.startswith("github:")
    for sequence in (1, 2):
        api = contents(facts(API, 2), sequence, ledger=FORMER, numbers={API: NUMBER} if are_known else {})
        assert send(fake, api).status == "done"
        core_facts = facts(CORE, 2.5 if is_mirror else days_ago)
        core = contents(core_facts, sequence, ledger=NEW, numbers={CORE: 99} if are_known else {})
        assert send(fake, core).status == "done"
        assert deployments_by_name(fake) == {API: 2, CORE: 2}


def test_facts_of_many_repositories_are_compared_in_parts(fake: FakeBigQuery, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [fact for number in range(6) for fact in of(f"acme/r{number}", range(10 * number, 10 * number + 2))]
    send(fake, contents(many, ledger=FORMER, numbers={f"acme/r{number}": number for number in range(6)}))
    monkeypatch.setattr(takeover, "MAX_COMPARED_BYTES", 100)
    renamed = [fact for number in range(6) for fact in of(f"acme/n{number}", range(10 * number, 10 * number + 2))]
    numbers = {f"acme/n{number}": number for number in range(6)}
    assert send(fake, contents(renamed, ledger=NEW, numbers=numbers)).status == "done"
    assert deployments_by_name(fake) == {f"acme/n{number}": 2 for number in range(6)}
    assert sum(b"@ours" in request.body for request in fake.requests) == 6


def test_a_run_that_sends_nothing_new_asks_nothing_more(fake: FakeBigQuery) -> None:
    send(fake, former())
    send(fake, former())
    assert len(fake.requests) == 13
    assert not any(b"@ours" in request.body for request in fake.requests)


# What is stopped, lost, or done twice at once


def steps(count: int) -> range:
    """The numbers of the requests at which something happens: every eleventh, or each of them in the nightly run."""
    return range(1, count + 1, 11 if cases(1) == 1 else 1)


@pytest.mark.parametrize("name", [API, CORE])
def test_a_takeover_that_is_stopped_after_any_request_is_healed(name: str) -> None:
    with bigquery() as undisturbed:
        send(undisturbed, former())
        send(undisturbed, new(repository=name))
        count = len(undisturbed.requests)
    for ends_after in steps(count - 1):
        with bigquery() as fake:
            send(fake, former())
            fake.forget_requests()
            fake.ends_after = ends_after
            sink_to(fake).send(new(repository=name))
            fake.ends_after = None
            send(fake, former(sequence=8))
            send(fake, new(repository=name))
            assert_each_fact_is_there_once(fake)
            assert deployments_by_name(fake) == {name: 5}, ends_after
            assert LEFT in send(fake, former(sequence=8)).detail
            assert send(fake, new(repository=name)).detail == "nothing has changed; 0 rows sent"


def test_an_answer_that_is_lost_during_a_takeover_changes_nothing() -> None:
    for number in steps(30):
        with bigquery() as fake:
            send(fake, former())
            fake.forget_requests()
            fake.lost_answers = {number}
            assert sink_to(fake).send(new(repository=CORE)).status == "done", number
            assert deployments_by_name(fake) == {CORE: 5}, number
            assert_each_fact_is_there_once(fake)


def interrupted(fake: FakeBigQuery, first: Contents, second: Contents, request_number: int) -> None:
    """Send one ledger; before a request of it is answered, another run sends the second one from beginning to end."""
    count = 0

    def interrupt(_: Request) -> None:
        nonlocal count
        count += 1
        if count == request_number:
            fake.faults = []
            sink_to(fake).send(second)

    fake.faults = [interrupt]
    sink_to(fake).send(first)
    fake.faults = []


@pytest.mark.parametrize("new_numbers", [range(5), range(4)], ids=["the new one has more", "both have the same"])
@pytest.mark.parametrize("is_former_first", [True, False], ids=["former first", "new first"])
def test_two_shards_that_send_a_renamed_repository_for_the_first_time_at_once(
    new_numbers: range, *, is_former_first: bool
) -> None:
    pair = (former(), new(new_numbers, CORE))
    for number in steps(60):
        with bigquery() as fake:
            first, second = pair if is_former_first else pair[::-1]
            interrupted(fake, first, second, number)
            assert_once_and_settled(fake, pair, new_numbers)


@pytest.mark.parametrize("table", ["facts", "deployments"])
@pytest.mark.parametrize("new_numbers", [range(5), range(4)], ids=["the new one has more", "both have the same"])
def test_rows_that_two_shards_insert_in_the_same_moment(table: str, new_numbers: range) -> None:
    """Neither statement sees what the other one inserts."""
    pair = (former(), new(new_numbers, CORE))
    for first, second in (pair, pair[::-1]):
        with bigquery() as fake:
            fake.while_running(f"MERGE `acme-metrics.dora.{table}`", lambda: sink_to(fake).send(second))  # noqa: B023
            sink_to(fake).send(first)
            assert_once_and_settled(fake, pair, new_numbers)


def assert_once_and_settled(fake: FakeBigQuery, pair: tuple[Contents, Contents], numbers: range) -> None:
    for sent in pair:
        assert send(fake, sent).status == "done"
    assert_each_fact_is_there_once(fake)
    counts = deployments_by_name(fake)
    assert counts in ({CORE: len(numbers)}, {API: 4}) if len(numbers) == 4 else {CORE: 5}
    before = fake.state
    details = [send(fake, sent).detail for sent in pair]
    assert all(detail.startswith("nothing has changed; 0 rows sent") for detail in details)
    assert fake.state == before
    send(fake, new(range(6), CORE, 2))
    assert deployments_by_name(fake) == {CORE: 6}, "the next fact under the new name settles it"


# The rule alone

COVERED, PART = Holding(CORE, 3, 3, 3), Holding(CORE, 5, 2, 2)


@pytest.mark.parametrize(
    ("count", "holdings", "is_of_other", "expected"),
    [
        (3, [], False, Judgement(Ruling.SENT)),
        (4, [Holding(API, 3, 3, 3)], True, Judgement(Ruling.SENT)),
        (3, [Holding(API, 3, 3, 3)], True, Judgement(Ruling.SENT)),
        (4, [COVERED], False, Judgement(Ruling.SENT, (CORE,))),
        (3, [COVERED], False, Judgement(Ruling.SENT, (CORE,))),
        (3, [COVERED], True, Judgement(Ruling.LEFT)),
        (4, [COVERED], True, Judgement(Ruling.SENT, (CORE,))),
        (2, [PART], False, Judgement(Ruling.LEFT)),
        (3, [PART], False, Judgement(Ruling.DISPUTED)),
        (4, [COVERED, Holding(PAY, 2, 1, 1)], False, Judgement(Ruling.DISPUTED)),
        (4, [COVERED, Holding(PAY, 2, 2, 2)], False, Judgement(Ruling.SENT, (CORE, PAY))),
    ],
)
def test_who_sends_a_repository(count: int, holdings: list[Holding], expected: Judgement, *, is_of_other: bool) -> None:
    assert judged({API: count}, {API: holdings}, {API} if is_of_other else ()) == {API: expected}


def test_a_name_that_another_repository_of_ours_frees_is_sent_later() -> None:
    holdings = {API: [Holding(API, 3, 0, 0)], CORE: [Holding(API, 3, 3, 3)]}
    assert judged({API: 2, CORE: 4}, holdings, {API}) == {
        API: Judgement(Ruling.LATER),
        CORE: Judgement(Ruling.SENT, (API,)),
    }

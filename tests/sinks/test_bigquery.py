"""A dataset of BigQuery gets what it does not have yet, whatever is repeated, stopped, late or done twice at once."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from msgspec.structs import replace as replace_fields

from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.rows.loads import LOADS
from dora_metrics.runtime import HttpLimits
from dora_metrics.sinks.bigquery import progress
from dora_metrics.sinks.bigquery.contents import Contents
from dora_metrics.sinks.bigquery.statements import Names, forget_digests
from fakes.bigquery import TOKEN, FakeBigQuery, JobFailedError, answer, bigquery, refusal, result_page
from support.facts import incident
from support.property_cases import cases
from support.servers import Answer, Request, listen
from support.sink_payloads import deployment
from support.warehouse_contents import LEDGER, LIMITS, contents, deployments, send, sink_to

SHOP, PAY = "acme/shop", "acme/pay"
CONCURRENT = JobFailedError("invalidQuery", "Could not serialize access to table x due to concurrent update")


def older() -> Contents:
    return contents([*deployments(SHOP, 2), *deployments(PAY, 2)], sequence=1)


def newer() -> Contents:
    """One more deployment of one repository, and the other repository is gone."""
    return contents([*deployments(SHOP, 2), deployment(9, id="test:acme/shop:9")], sequence=2)


@pytest.fixture
def fake() -> Iterator[FakeBigQuery]:
    with bigquery() as started:
        yield started


def state_after(*all_sent: Contents) -> dict[str, list[tuple[str | None, ...]]]:
    """What a dataset has after undisturbed runs, without the claims."""
    with bigquery() as undisturbed:
        for sent in all_sent:
            assert send(undisturbed, sent).status == "done"
        return undisturbed.state


def uploaded(fake: FakeBigQuery) -> bytes:
    return b"".join(request.body for request in fake.requests if "/upload/" in request.path)


# What is sent


def test_the_first_run_fills_every_table(fake: FakeBigQuery) -> None:
    facts = [*deployments(SHOP, 3), deployment(9, 0.5, status="failure", reached_users=True), *deployments(PAY, 2)]
    assert send(fake, contents(facts)) == Outcome("BigQuery", "done", "3,727 rows of 2 repositories sent")
    counts = {name: len(rows) for name, rows in fake.state.items()}
    assert counts == {
        "scopes": 2, "deployments": 6, "lead_times": 0, "incidents": 0, "streaks": 1, "vulnerabilities": 0,
        "metrics": 6, "facts": 6, "week_starts": 3706, "loads": 17,
    }  # fmt: skip
    assert sorted(json.loads(row[5] or "")["id"] for row in fake.rows("facts")) == sorted(fact.id for fact in facts)
    assert fake.staging == []


def test_a_second_run_sends_no_rows(fake: FakeBigQuery) -> None:
    send(fake, older())
    before = fake.state
    assert send(fake, older()) == Outcome("BigQuery", "done", "nothing has changed; 0 rows sent")
    assert (fake.uploaded_bytes, len(fake.requests), fake.state) == (0, 13, before)


def test_only_what_differs_is_sent(fake: FakeBigQuery) -> None:
    send(fake, older())
    more = [*deployments(SHOP, 2), *deployments(PAY, 3)]
    assert send(fake, contents(more, sequence=2)).detail == "10 rows of 1 repository sent"
    assert b"acme/pay" in uploaded(fake)
    assert b"acme/shop" not in uploaded(fake)
    assert fake.state == state_after(older(), contents(more, sequence=2))


def test_ledgers_of_one_time_zone_send_the_same_weeks_whenever_they_begin(fake: FakeBigQuery) -> None:
    old = contents([deployment(1, 15 * 365, repository=PAY)], ledger="branch:dora-metrics@acme/pay")
    send(fake, contents(deployments(SHOP, 3)))
    assert send(fake, old).status == "done"
    assert b"week_starts" not in uploaded(fake)
    for sent in (contents(deployments(SHOP, 3)), old):
        assert send(fake, sent).detail == "nothing has changed; 0 rows sent"


def test_a_changed_rule_sends_what_is_judged_differently(fake: FakeBigQuery) -> None:
    facts = [deployment(1, 3), deployment(2, 2, status="failure"), deployment(3, 1)]
    send(fake, contents(facts))
    assert send(fake, contents(facts, count_failed_runs=True)).status == "done"
    changed = uploaded(fake)
    assert b'"failed":true' in changed
    assert b'"kind":"deployment"' not in changed, "facts are the same"
    assert {row[-2] for row in fake.state["loads"]} == {
        contents(facts).policy, contents(facts, count_failed_runs=True).policy,
    }  # fmt: skip


def test_a_repository_that_left_the_ledger_keeps_only_its_daily_metrics(fake: FakeBigQuery) -> None:
    send(fake, older())
    assert send(fake, newer()).status == "done"
    assert {row[2] for row in fake.rows("facts")} == {SHOP}
    assert {row[0] for row in fake.rows("deployments")} == {SHOP}
    assert {row[0] for row in fake.rows("metrics")} == {SHOP, PAY}
    assert len(fake.rows("week_starts")) == 3706


def test_a_repository_that_left_and_came_back_is_complete_again(fake: FakeBigQuery) -> None:
    back = replace_fields(older(), sequence=3)
    for sent in (older(), newer(), back):
        send(fake, sent)
    facts = {row[0] for row in fake.rows("facts")}
    assert facts == {f"test:{name}:{number}" for name in (SHOP, PAY) for number in (1, 2)}


def test_metrics_of_earlier_days_stay(fake: FakeBigQuery) -> None:
    send(fake, older())
    yesterday = [row for row in fake.rows("metrics") if row[0] == SHOP]
    fake._database.execute("UPDATE dora.metrics SET day = day - 1")  # noqa: SLF001 - as if a day had passed
    fake._database.execute("UPDATE dora.loads SET digest = 'of yesterday' WHERE table_name = 'metrics'")  # noqa: SLF001
    send(fake, older())
    assert len([row for row in fake.rows("metrics") if row[0] == SHOP]) == 2 * len(yesterday)


@pytest.mark.parametrize(
    ("parts", "filled"),
    [(["facts"], {"facts"}), (["metrics"], {"metrics"}), (["rows"], {"scopes", "deployments", "week_starts"})],
)
def test_only_the_selected_parts_are_sent(fake: FakeBigQuery, parts: list[str], filled: set[str]) -> None:
    send(fake, contents(deployments(SHOP, 1), parts=parts))
    assert {name for name, rows in fake.state.items() if rows and name != "loads"} == filled


def test_many_repositories_go_in_several_loads(fake: FakeBigQuery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "MAX_CLAIMS", 7)
    many = [fact for number in range(6) for fact in deployments(f"acme/shop-{number}", 2)]
    assert send(fake, contents(many)).status == "done"
    assert len({row[0] for row in fake.rows("facts")}) == 12
    claims = [request for request in fake.requests if b"@claims" in request.body]
    assert len(claims) == 7
    assert send(fake, contents(many)).detail == "nothing has changed; 0 rows sent"


def test_the_list_of_loads_may_have_several_pages(fake: FakeBigQuery) -> None:
    fake.page_size = 2
    send(fake, older())
    assert send(fake, older()).detail == "nothing has changed; 0 rows sent"
    assert sum("/queries/" in request.path for request in fake.requests) == 9


HOSTILE = [
    "nul \0 in it",
    "'; DROP TABLE loads; --",
    "`acme.dora`",
    "@load_id",
    "--dora-metrics-rows--",
    "\u2028\r\n",
    "🦆 \u202e",
]


def test_hostile_text_arrives_as_it_is_without_nul(fake: FakeBigQuery) -> None:
    facts = [deployment(number, version=text, url=text) for number, text in enumerate(HOSTILE)]
    assert send(fake, contents(facts)).status == "done"
    assert sorted(row[5] or "" for row in fake.rows("deployments")) == sorted(
        text.replace("\0", "") for text in HOSTILE
    )
    assert send(fake, contents(facts)).detail == "nothing has changed; 0 rows sent"


def test_a_text_of_ten_megabytes_arrives(fake: FakeBigQuery) -> None:
    fact = deployment(version="v" * 10_000_000)
    assert send(fake, contents([fact, *deployments(PAY, 1)])).status == "done"
    assert {len(row[5] or "") for row in fake.rows("deployments")} == {0, 10_000_000}


def test_facts_are_the_lines_of_the_ledger(fake: FakeBigQuery) -> None:
    fact = deployment(1, 1.5)
    send(fake, contents([fact]))
    assert [row[5] for row in fake.rows("facts")] == [encode_fact(fact).decode()]


# What is repeated, stopped, late, or done twice at once


def steps(count: int) -> range:
    """The numbers of the requests at which something happens: every fourth, or each of them in the nightly run."""
    return range(1, count + 1, 4 if cases(1) == 1 else 1)


def test_a_run_that_is_stopped_after_any_request_is_healed_by_the_next(fake: FakeBigQuery) -> None:
    """The dataset alternates between two ledgers' states, so that each step also replaces and removes rows."""
    with bigquery() as undisturbed:
        send(undisturbed, older())
        send(undisturbed, newer())
        count = len(undisturbed.requests)
        expected = undisturbed.state
    assert count > 20
    send(fake, older())
    for ends_after in steps(count - 1):
        sequence = 2 * ends_after + 2
        send(fake, replace_fields(older(), sequence=sequence))
        fake.forget_requests()
        fake.ends_after = ends_after
        assert sink_to(fake).send(replace_fields(newer(), sequence=sequence + 1)).status == "failed"
        fake.ends_after = None
        assert send(fake, replace_fields(newer(), sequence=sequence + 1)).status == "done"
        assert without_sequence(fake) == without_sequence_of(expected), ends_after


def without_sequence(fake: FakeBigQuery) -> dict[str, list[tuple[str | None, ...]]]:
    return without_sequence_of(fake.state)


def without_sequence_of(state: dict[str, list[tuple[str | None, ...]]]) -> dict[str, list[tuple[str | None, ...]]]:
    """A state without the numbers of versions, and without the metrics of the repository that left: those stay."""
    loads = [(*row[:5], *row[6:]) for row in state["loads"] if row[:2] != (PAY, "metrics")]
    return {**state, "loads": loads, "metrics": [row for row in state["metrics"] if row[0] != PAY]}


def test_an_answer_that_is_lost_changes_nothing(fake: FakeBigQuery) -> None:
    """Whichever it is, the run goes on: a second request with the same name is the same job or table."""
    send(fake, older())
    expected = state_after(older(), newer())
    for number in steps(25):
        sequence = 2 * number
        send(fake, replace_fields(older(), sequence=sequence))
        fake.forget_requests()
        fake.lost_answers = {number}
        assert sink_to(fake).send(replace_fields(newer(), sequence=sequence + 1)).status == "done", number
        fake.lost_answers = set()
        assert without_sequence(fake) == without_sequence_of(expected), number


def test_an_older_version_of_the_ledger_that_comes_late_replaces_nothing(fake: FakeBigQuery) -> None:
    send(fake, older())
    send(fake, newer())
    before = fake.state
    outcome = send(fake, older())
    assert outcome == Outcome(
        "BigQuery",
        "skipped",
        "0 rows sent; since this run began with version 1 of the ledger, another run has sent version 2",
    )
    assert (fake.uploaded_bytes, fake.state) == (0, before)


def test_a_ledger_that_was_restored_is_a_failure_and_the_statement_in_it_is_the_remedy(fake: FakeBigQuery) -> None:
    """Its rows in `loads` stay, so that those of a repository that it does not have any more are removed."""
    send(
        fake,
        contents([*deployments(SHOP, 2), incident(1, "2026-11-18T10:00", repository=SHOP), *deployments(PAY, 2)], 9),
    )
    restored = contents(deployments(SHOP, 2), 4, ledger=LEDGER)
    fake.now += timedelta(days=1)
    outcome = send(fake, replace_fields(restored, began_at=fake.now))
    name = "CONCAT('branch:dora-metrics', CHR(64), 'acme/shop')"
    remedy = f"UPDATE `acme-metrics.dora.loads` SET digest = NULL, sequence = 0 WHERE ledger = {name}"
    assert outcome == Outcome(
        "BigQuery",
        "failed",
        "BigQuery had version 9 of this ledger before this run began, which has version 4. The ledger was restored or "
        f"begun again; to have its rows replaced, run {remedy} (0 rows sent)",
    )
    fake._database.execute(remedy.replace("acme-metrics.dora.loads", "dora.loads").replace("`", ""))  # noqa: SLF001
    assert send(fake, restored).status == "done"
    assert {name: len(fake.rows(name)) for name in ("deployments", "incidents", "facts", "scopes")} == {
        "deployments": 2, "incidents": 0, "facts": 2, "scopes": 1,
    }  # fmt: skip
    assert send(fake, restored).detail == "nothing has changed; 0 rows sent"


def test_the_remedy_quotes_the_name_of_a_ledger() -> None:
    assert forget_digests(Names("acme.dora"), "dir:it's \\ here@acme/shop").endswith(
        "WHERE ledger = CONCAT('dir:it\\'s \\\\ here', CHR(64), 'acme/shop')"
    )


def test_what_loads_does_not_name_is_replaced_even_by_no_rows(fake: FakeBigQuery) -> None:
    send(fake, contents([*deployments(SHOP, 2), incident(1, "2026-11-18T10:00", repository=SHOP)]))
    fake._database.execute("DELETE FROM dora.loads")  # noqa: SLF001 - as somebody may do
    assert send(fake, contents(deployments(SHOP, 2), sequence=2)).status == "done"
    assert fake.rows("incidents") == []


def test_a_ledger_with_the_same_rows_takes_them_over_and_removes_them_later(fake: FakeBigQuery) -> None:
    """As after a move to another branch, or to another number of shards."""
    first, second = "branch:dora-metrics-1of3@acme/metrics", "branch:dora-metrics-1of10@acme/metrics"
    send(fake, contents(deployments(SHOP, 3), sequence=8, ledger=first))
    assert send(fake, contents(deployments(SHOP, 3), ledger=second)).detail == "nothing has changed; 0 rows sent"
    assert fake.uploaded_bytes == 0
    assert {row[5] for row in fake.rows("loads") if row[1] != "week_starts"} == {second}
    assert send(fake, contents(deployments(PAY, 3), sequence=2, ledger=second)).status == "done"
    assert {row[0] for name in ("scopes", "deployments") for row in fake.rows(name)} == {PAY}


def test_an_older_version_of_a_ledger_takes_nothing_over(fake: FakeBigQuery) -> None:
    moved = "branch:dora-metrics@acme/metrics"
    send(fake, contents(deployments(SHOP, 3)))
    outcomes = interrupted(
        fake, contents(deployments(SHOP, 3), ledger=moved), contents(deployments(PAY, 3), sequence=2, ledger=moved), 14
    )
    assert [each.status for each in outcomes] == ["done", "done"]
    assert {row[5] for row in fake.rows("loads") if row[0] == SHOP} == {LEDGER}


def test_another_ledger_with_all_facts_replaces_whatever_its_sequence_is(fake: FakeBigQuery) -> None:
    send(fake, contents(deployments(SHOP, 2), sequence=9))
    moved = contents(deployments(SHOP, 3), sequence=1, ledger="branch:dora-metrics-1of3@acme/metrics")
    assert send(fake, moved).status == "done"
    assert len(fake.rows("facts")) == 3


def interrupted(fake: FakeBigQuery, first: Contents, second: Contents, request_number: int) -> list[Outcome]:
    """Send one ledger; before a request of it is answered, another run sends the second one from beginning to end."""
    outcomes: list[Outcome] = []
    count = 0

    def interrupt(_: Request) -> None:
        nonlocal count
        count += 1
        if count == request_number:
            fake.faults = []
            outcomes.append(sink_to(fake).send(second))

    fake.faults = [interrupt]
    outcomes.append(sink_to(fake).send(first))
    fake.faults = []
    return outcomes


@pytest.mark.parametrize("is_older_first", [True, False], ids=["older is overtaken", "newer is interrupted"])
def test_of_two_runs_at_once_the_later_version_remains(fake: FakeBigQuery, *, is_older_first: bool) -> None:
    expected = state_after(older(), newer())
    send(fake, older())
    for number in steps(25):
        sequence = 3 * number
        send(fake, replace_fields(older(), sequence=sequence))
        late = replace_fields(contents(deployments(PAY, 4), sequence=sequence + 1))
        latest = replace_fields(newer(), sequence=sequence + 2)
        pair = (late, latest) if is_older_first else (latest, late)
        outcomes = interrupted(fake, *pair, number)
        assert "failed" not in {each.status for each in outcomes}, (number, outcomes)
        assert {**without_sequence(fake), "loads": []} == {**without_sequence_of(expected), "loads": []}, number
        assert send(fake, latest).status == "done", "what an older run replaced before it lost its claim is sent again"
        assert without_sequence(fake) == without_sequence_of(expected), number
        assert send(fake, latest).detail == "nothing has changed; 0 rows sent"


def test_rows_that_two_first_runs_insert_at_once_are_there_once(fake: FakeBigQuery) -> None:
    """BigQuery lets two statements insert at the same time, and neither sees the rows of the other."""
    send(fake, contents([], parts=["rows"]))
    outcomes: list[Outcome] = []
    sent = contents(deployments(SHOP, 3))
    fake.while_running("MERGE `acme-metrics.dora.deployments`", lambda: outcomes.append(sink_to(fake).send(sent)))
    outcomes.append(sink_to(fake).send(sent))
    assert [each.status for each in outcomes] == ["done", "done"]
    assert len(fake.rows("deployments")) == 3
    assert send(fake, sent).detail == "nothing has changed; 0 rows sent"


def test_rows_that_are_claimed_twice_for_the_first_time_are_sent_again(fake: FakeBigQuery) -> None:
    """Two claims that are inserted at once are two rows in `loads`, each with the digest of its load."""
    send(fake, contents(deployments(SHOP, 3)))
    copied = [*LOADS.row_type.__struct_fields__]
    values = ", ".join("'other'" if name == "load_id" else name for name in copied)
    fake._database.execute(f"INSERT INTO dora.loads SELECT {values} FROM dora.loads WHERE table_name = 'deployments'")  # noqa: SLF001
    assert send(fake, contents(deployments(SHOP, 3))).detail == "3 rows of 1 repository sent"
    assert len(fake.rows("deployments")) == 3
    assert send(fake, contents(deployments(SHOP, 3))).detail == "nothing has changed; 0 rows sent"


def test_two_shards_at_once_do_not_mix() -> None:
    shards = [
        contents(deployments(name, count), ledger=f"branch:dora-metrics-{count}of3@acme/metrics")
        for name, count in ((SHOP, 3), (PAY, 2))
    ]
    for number in steps(24)[::2]:
        with bigquery() as dataset:
            send(dataset, contents([], parts=["rows"]))
            outcomes = interrupted(dataset, shards[0], shards[1], number)
            assert {each.status for each in outcomes} == {"done"}, number
            assert len(dataset.rows("deployments")) == len(dataset.rows("facts")) == 5, number
            assert len(dataset.rows("week_starts")) == 3706, number
            assert {send(dataset, each).detail for each in shards} == {"nothing has changed; 0 rows sent"}


def test_a_job_that_takes_a_while_is_waited_for(fake: FakeBigQuery) -> None:
    fake.polls = 2
    assert send(fake, contents(deployments(SHOP, 1), parts=["facts"])).status == "done"
    assert sum("/jobs/" in request.path for request in fake.requests) >= 8


@pytest.mark.parametrize(
    "failure", [CONCURRENT, JobFailedError("backendError", "Try again")], ids=lambda each: each.reason
)
def test_a_job_that_failed_for_a_moment_is_repeated_under_another_name(
    fake: FakeBigQuery, failure: JobFailedError
) -> None:
    fake.job_failures = [failure] * 3
    assert send(fake, older()).status == "done"
    assert fake.state == state_after(older())


def test_a_job_that_fails_again_and_again_is_given_up(fake: FakeBigQuery) -> None:
    fake.job_failures = [CONCURRENT] * 4
    outcome = send(fake, older())
    assert outcome.status == "failed"
    assert "other runs changed the same table, also when it was tried again" in outcome.detail
    assert send(fake, older()).status == "done"


def test_rows_that_are_refused_change_nothing_and_name_the_job(fake: FakeBigQuery) -> None:
    send(fake, contents(deployments(SHOP, 1)))
    before = fake.rows("scopes")
    refused = JobFailedError("invalid", *(f"Could not parse line {number}" for number in range(9)))
    fake.forget_requests()
    is_first = iter([True])

    def refuse_first_load(request: Request) -> Answer | None:
        if "/upload/" in request.path and next(is_first, False):
            fake.job_failures.append(refused)
        return None

    fake.faults = [refuse_first_load]
    outcome = sink_to(fake).send(contents([*deployments(SHOP, 1), *deployments(PAY, 1)], sequence=2))
    assert outcome.status == "failed"
    assert outcome.detail.startswith(
        "scopes: BigQuery refused the rows or the statement, and nothing was changed (reason: invalid); its errors are "
        "in the job history of the project, under dora_"
    )
    assert "line" not in outcome.detail.removeprefix("scopes: "), "an answer is not quoted"
    assert fake.rows("scopes") == before
    assert len(fake.rows("deployments")) == 2, "the other tables are sent"
    fake.faults = []
    assert send(fake, contents([*deployments(SHOP, 1), *deployments(PAY, 1)], sequence=2)).status == "done"
    assert len(fake.rows("scopes")) == 2
    assert fake.staging == []


# A dataset that is not as it should be


def changed(edit: Callable[[dict[str, list[dict[str, str]]]], object]) -> Callable[[FakeBigQuery], None]:
    """Create the tables again after an edit of their columns."""

    def apply(fake: FakeBigQuery) -> None:
        columns = {name: [dict(each) for each in fields] for name, fields in fake._schemas.items()}  # noqa: SLF001
        edit(columns)
        for name in list(fake._schemas):  # noqa: SLF001
            fake.drop(name)
        for name, fields in columns.items():
            fake.create(name, list(fields))

    return apply


def set_field(table: str, name: str, **values: str) -> Callable[[FakeBigQuery], None]:
    def edit(columns: dict[str, list[dict[str, str]]]) -> None:
        next(each for each in columns[table] if each["name"] == name).update(values)

    return changed(edit)


EXTRA = {"name": "ours", "type": "STRING", "mode": "NULLABLE"}
BROKEN: list[tuple[Callable[[FakeBigQuery], object], str]] = [
    (
        changed(lambda columns: columns.update(scopes=[each for each in columns["scopes"] if each["name"] != "team"])),
        (
            "`acme-metrics.dora.scopes` has no team; apply terraform/ again, or run ALTER TABLE "
            "`acme-metrics.dora.scopes` ADD COLUMN IF NOT EXISTS team STRING"
        ),
    ),
    (
        lambda fake: fake.drop("scopes"),
        "there is no table `acme-metrics.dora.scopes`; create it with terraform/ (docs/warehouse.md#send-to-bigquery)",
    ),
    (
        lambda fake: fake.views.add("scopes"),
        "`acme-metrics.dora.scopes` is of type VIEW, not a table; rename it, and create the table with terraform/",
    ),
    (
        set_field("scopes", "team", type="INTEGER"),
        (
            "`acme-metrics.dora.scopes` has team INTEGER instead of STRING; create the table again with terraform/, it "
            "is filled by the next run"
        ),
    ),
    (
        set_field("scopes", "team", mode="REQUIRED"),
        (
            "`acme-metrics.dora.scopes` has team STRING REQUIRED instead of STRING; create the table again with "
            "terraform/, it is filled by the next run"
        ),
    ),
    (
        changed(lambda columns: columns["scopes"].append({**EXTRA, "mode": "REQUIRED"})),
        (
            "`acme-metrics.dora.scopes` has a required column that is not ours and that rows do not have; make it "
            "nullable"
        ),
    ),
]


@pytest.mark.parametrize(("spoil", "problem"), BROKEN, ids=[problem[23:60] for _, problem in BROKEN])
def test_a_table_that_does_not_fit_is_named_and_the_others_are_filled(
    fake: FakeBigQuery, spoil: Callable[[FakeBigQuery], object], problem: str
) -> None:
    spoil(fake)
    outcome = send(fake, contents(deployments(SHOP, 1)))
    assert outcome.status == "failed"
    assert outcome.detail == f"{problem} (3,711 rows of 1 repository sent)"
    assert len(fake.rows("deployments")) == 1


def test_a_table_that_was_created_again_is_filled_again(fake: FakeBigQuery) -> None:
    send(fake, older())
    before = fake.state
    fields = fake._schemas["deployments"]  # noqa: SLF001
    fake.drop("deployments")
    fake.create("deployments", fields)
    assert send(fake, older()).detail == "4 rows of 2 repositories sent"
    assert fake.state == before
    assert send(fake, older()).detail == "nothing has changed; 0 rows sent"


def test_a_table_that_does_not_fit_is_named_although_no_fact_has_changed(fake: FakeBigQuery) -> None:
    send(fake, older())
    fields = fake._schemas["deployments"]  # noqa: SLF001 - as somebody may have created it from the beginning
    fake._schemas["deployments"] = [  # noqa: SLF001
        {**each, "type": "FLOAT"} if each["name"] == "commit_count" else each for each in fields
    ]
    outcome = send(fake, older())
    assert outcome.status == "failed"
    assert outcome.detail.startswith("`acme-metrics.dora.deployments` has commit_count FLOAT instead of INTEGER;")


def test_a_column_that_is_not_ours_is_left_alone(fake: FakeBigQuery) -> None:
    changed(lambda columns: columns["scopes"].append(EXTRA))(fake)
    assert send(fake, contents(deployments(SHOP, 1))).status == "done"
    assert fake.rows("scopes")[0][-1] is None


def test_aliases_of_types_are_the_same_types(fake: FakeBigQuery) -> None:
    for name, fields in fake._schemas.items():  # noqa: SLF001 - BigQuery may name types either way
        aliases = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
        fake._schemas[name] = [{**each, "type": aliases.get(each["type"], each["type"])} for each in fields]  # noqa: SLF001
    assert send(fake, contents(deployments(SHOP, 1))).status == "done"


def test_without_the_table_of_loads_nothing_is_sent(fake: FakeBigQuery) -> None:
    fake.drop("loads")
    outcome = send(fake, older())
    assert outcome.status == "failed"
    assert outcome.detail.startswith("there is no table `acme-metrics.dora.loads`; create it with terraform/")
    assert fake.uploaded_bytes == 0


def test_a_project_may_have_a_domain(fake: FakeBigQuery) -> None:
    sink = sink_to(fake, dataset="example.com:metrics.dora")
    assert sink.names("loads") == "`example.com:metrics.dora.loads`"
    assert "HTTP 404: the project or dataset does not exist" in sink.send(older()).detail
    assert fake.requests[0].path == "/bigquery/v2/projects/example.com:metrics/datasets/dora"


# Refusals

ROLES = "the service account lacks a role; it needs roles/bigquery.dataEditor on the dataset and roles/bigquery.jobUser"
REFUSALS = [
    (401, "authError", "HTTP 401: `bigquery-token` is wrong, or older than an hour; pass the `access_token` that"),
    (403, "accessDenied", f"HTTP 403: {ROLES} on the project"),
    (
        403,
        "accessNotConfigured",
        "HTTP 403: the BigQuery API is not enabled in the project; enable bigquery.googleapis",
    ),
    (403, "billingNotEnabled", "HTTP 403: the project has no billing account, which loading and MERGE need"),
    (403, "quotaExceeded", "HTTP 403: a quota of the project is used up; the next run sends again"),
    (403, "rateLimitExceeded", "HTTP 403: too many requests for the project; the next run sends again"),
    (404, "notFound", "HTTP 404: the project or dataset does not exist; check `bigquery-dataset`, and create it with"),
    (429, "rateLimitExceeded", "HTTP 429: too many requests for the project; the next run sends again"),
    (400, "invalid", "HTTP 400: BigQuery refused the request (reason: invalid)"),
    (400, "anything else", "HTTP 400: BigQuery refused the request (0 rows sent)"),
]


@pytest.mark.parametrize(("status", "reason", "text"), REFUSALS, ids=[f"{each[0]} {each[1]}" for each in REFUSALS])
def test_a_refusal_says_what_is_missing(fake: FakeBigQuery, status: int, reason: str, text: str) -> None:
    fake.faults = [lambda _: refusal(status, reason, "no")]
    outcome = send(fake, older())
    assert outcome.status == "failed"
    assert outcome.detail.startswith(text)
    assert len(fake.requests) == (LIMITS.tries if reason == "rateLimitExceeded" else 1)


def test_a_limit_that_passes_is_waited_for(fake: FakeBigQuery) -> None:
    answers = iter([refusal(403, "rateLimitExceeded"), refusal(503, "backendError")])
    fake.faults = [lambda request: next(answers, None) if "@claims" in request.body.decode() else None]
    assert send(fake, older()).status == "failed", "two tries, and both were refused"
    assert send(fake, older()).status == "done"


REPETITIONS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in part": lambda token: token[:-2],
    "in upper case": str.upper,
    "with spaces": " ".join,
    "in base64": lambda token: b64encode(token.encode()).decode(),
}


@pytest.mark.parametrize("place", ["a refused request", "a failed job", "a table", "a row", "a shape"])
@pytest.mark.parametrize("repeated", REPETITIONS.values(), ids=REPETITIONS)
def test_a_server_that_repeats_the_token_does_not_make_us_show_it(
    fake: FakeBigQuery, repeated: Callable[[str], str], place: str
) -> None:
    """Whatever it does with it: of an answer, only words are shown that are known beforehand."""
    text = repeated(TOKEN)
    field = {"name": text, "type": text, "mode": text}
    answers = {
        "a refused request": refusal(403, text, text),
        "a failed job": answer({"status": {"state": "DONE", "errorResult": {"reason": text, "message": text}}}),
        "a table": answer({"type": text, "schema": {"fields": [field]}, "location": "EU"}),
        "a row": answer({"rows": [{"f": [{"v": text}] * 8}], "status": {"state": "DONE"}}),
        "a shape": answer({text: text, "location": {text: text}}),
    }
    paths = {"a failed job": "/jobs", "a table": "/tables/", "a row": "/queries/"}
    fake.faults = [lambda request: answers[place] if paths.get(place, "") in request.path else None]
    sink = sink_to(fake)
    outcome = sink.send(older())
    assert outcome.status == "failed"
    assert text not in outcome.detail
    assert TOKEN not in repr(sink)


@pytest.mark.parametrize("index", range(2))
@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"jobComplete":false}',
        b'{"jobComplete":true,"totalRows":"9"}',
        b'{"jobComplete":true,"totalRows":"9","pageToken":"1"}',
        b'{"jobComplete":true,"totalRows":"0","rows":[{"f":[{"v":"x"}]}]}',
    ],
    ids=["empty", "not complete", "no rows", "one page for ever", "more rows than there are"],
)
def test_a_result_that_is_not_whole_is_a_failure_and_removes_nothing(
    fake: FakeBigQuery, body: bytes, index: int
) -> None:
    """Else rows of another ledger would be taken for rows that nobody has sent, and replaced."""
    send(fake, contents(deployments(SHOP, 4), ledger="branch:other@acme/metrics"))
    before = fake.state
    results = iter(range(1_000))

    def answer_another(request: Request) -> Answer | None:
        is_result = request.method == "GET" and "/queries/" in request.path
        return Answer(200, body) if is_result and next(results) >= index else None

    fake.faults = [answer_another]
    outcome = send(fake, contents(deployments(SHOP, 2)))
    assert outcome.status == "failed", outcome
    assert "is a proxy in between?" in outcome.detail
    assert fake.state == before


@pytest.mark.parametrize("status", [200, 403])
@pytest.mark.parametrize(
    "body", [b'{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}", b'{"location":"\xff"}'], ids=["nested", "not UTF-8"]
)
def test_an_answer_that_cannot_be_read_is_a_failure(fake: FakeBigQuery, body: bytes, status: int) -> None:
    fake.faults = [lambda _: Answer(status, body)]
    outcome = send(fake, older())
    assert outcome.status == "failed"
    assert "is a proxy in between?" in outcome.detail or status == 403
    assert fake.uploaded_bytes == 0


@pytest.mark.parametrize(
    "cells",
    [
        [],
        [SHOP, "facts"],
        ["1"] * 13,
        [None] * 9,
        [SHOP, "facts", "l", "d", LEDGER, "abc", None, "1", "1"],
        [SHOP, "facts", "l", "d", LEDGER, "9" * 5_000, None, "1", "1"],
        [SHOP, "facts", "l", "d", LEDGER, "1", None, "-1", "1"],
        [SHOP, "facts", "l", "d", LEDGER, "1", None, "1", "1.5E12"],
    ],
    ids=["none", "few", "many", "null", "no number", "a long number", "negative", "a fraction"],
)
def test_a_row_of_loads_of_another_shape_is_a_failure(fake: FakeBigQuery, cells: list[str | None]) -> None:
    page = result_page([cells], 1)
    fake.faults = [lambda request: page if "/queries/" in request.path else None]
    outcome = send(fake, older())
    assert outcome.status == "failed"
    assert outcome.detail.startswith("a row of the result is not as documented (")
    assert fake.uploaded_bytes == 0


@pytest.mark.parametrize(
    "cells", [[PAY, SHOP, "1", "1", "x"], [PAY, SHOP, "1", "1"], ["acme/unknown", SHOP, "1", "1", "1"]]
)
def test_a_comparison_of_another_shape_is_a_failure(fake: FakeBigQuery, cells: list[str]) -> None:
    pages = iter([result_page([], 0), result_page([cells], 1)])
    fake.faults = [lambda request: next(pages) if "/queries/" in request.path else None]
    outcome = send(fake, older())
    assert outcome.status == "failed"
    assert outcome.detail.startswith("a row of the result is ")
    assert fake.uploaded_bytes == 0


def test_a_job_is_asked_for_by_our_name_of_it(fake: FakeBigQuery) -> None:
    fake.faults = [
        lambda request: (
            answer({"jobReference": {"jobId": "../../x?y=1", "location": "E U"}, "status": {"state": "RUNNING"}})
            if request.method == "POST" and request.path.endswith("/jobs")
            else None
        )
    ]
    send(fake, older())
    assert {
        request.path.rpartition("/")[2].partition("_")[0] for request in fake.requests if "/jobs/" in request.path
    } == {"dora"}


def test_a_dataset_in_the_place_of_a_table_is_not_a_table_without_columns(fake: FakeBigQuery) -> None:
    fake.faults = [lambda request: answer({"location": "EU"}) if request.path.endswith("/tables/loads") else None]
    outcome = send(fake, older())
    assert outcome.status == "failed"
    assert "`type`" in outcome.detail


@pytest.mark.parametrize("body", [b"<html>proxy</html>", b"[]", b'{"location": 5}', b""])
def test_an_answer_of_another_shape_is_named(fake: FakeBigQuery, body: bytes) -> None:
    fake.faults = [lambda _: Answer(200, body)]
    outcome = send(fake, older())
    assert outcome.status == "failed"
    assert outcome.detail.startswith("the answer to GET is not as documented (")
    assert "is a proxy in between? (0 rows sent)" in outcome.detail


def test_a_redirect_is_not_followed(fake: FakeBigQuery) -> None:
    with listen() as stranger:
        fake.faults = [lambda _: Answer(307, headers={"Location": stranger.url})]
        assert send(fake, older()).detail.startswith("HTTP 307: BigQuery refused the request")
        assert stranger.requests == []


# Hangs


def test_a_server_that_hangs_is_left(fake: FakeBigQuery) -> None:
    fake.faults = [lambda _: Answer(hang=True)]
    limits = HttpLimits(connect_seconds=0.2, read_seconds=0.2, tries=2, pause_seconds=0)
    assert sink_to(fake, limits).send(older()).detail == (
        "no answer (2 tries of 0.2 s); the server hangs or is overloaded (0 rows sent)"
    )


def test_a_run_ends_at_its_deadline_and_the_next_sends_the_rest(fake: FakeBigQuery) -> None:
    fake.polls = 1_000_000
    limits = replace_fields(LIMITS, warehouse_seconds=3)
    assert sink_to(fake, limits).send(older()).detail == (
        "not finished in 3 s; the next run sends the rest (0 rows sent)"
    )
    fake.polls = 0
    assert send(fake, older()).status == "done"

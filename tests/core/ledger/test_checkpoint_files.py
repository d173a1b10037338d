"""The files of a checkpoint: what is read is what was written, and a small change writes a small file."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dora_metrics.core import policy as policy_module
from dora_metrics.core.facts.model import Fact, Repository
from dora_metrics.core.ledger.checkpoint import Checkpoint
from dora_metrics.core.ledger.checkpoint_files import checkpoint_files, read_checkpoint
from dora_metrics.core.ledger.layout import CHECKPOINT_FILE, NEW_CHECKPOINT_FILE
from dora_metrics.core.metrics.high_water_marks import MAX_MARK
from dora_metrics.core.metrics.totals import SUM_PART, Series, Totals
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope
from dora_metrics.pipeline.evaluate import policy_fingerprint
from support.facts import at, deployment, incident
from support.strategies import fact_lists, times

EMPTY = Checkpoint("rules")
MAY, JUNE = at("05-01"), at("06-01")
MANY_DEPLOYMENTS = [deployment(number, "03-05") for number in range(200)]
OUTAGE = incident(9, "04-01")
SHOPS = tuple(
    Repository(id=f"github:repository:{number}", repository=name, observed_at=at("03-01"), names=(name,))
    for number, name in ((number, f"acme/shop-{number}") for number in range(40))
)


def totals_of_services(number: int = 40) -> Totals:
    return Totals({Series("dora_deployments", Scope("acme/shop", f"s{n}", "production")): n for n in range(1, number)})


LARGE = Checkpoint("rules", MAY, totals_of_services(), (*MANY_DEPLOYMENTS, OUTAGE), SHOPS)
LARGE_FILES = checkpoint_files(LARGE, EMPTY, {})


def with_resolved_outage(checkpoint: Checkpoint) -> Checkpoint:
    others = tuple(fact for fact in checkpoint.retained_facts if fact.id != OUTAGE.id)
    return replace(checkpoint, retained_facts=(*others, replace(OUTAGE, resolved_at=at("05-20"))))


def contents(checkpoint: Checkpoint) -> tuple[object, ...]:
    """A checkpoint without the order of its facts."""
    facts = sorted(checkpoint.retained_facts, key=lambda fact: fact.id)
    repositories = sorted(checkpoint.repositories, key=lambda repository: repository.id)
    dropped = checkpoint.dropped_incidents
    return checkpoint.policy_fingerprint, checkpoint.until, checkpoint.base_totals, facts, repositories, dropped


def files_after(checkpoint: Checkpoint, files: dict[str, bytes]) -> dict[str, bytes]:
    return checkpoint_files(checkpoint, read_checkpoint(files, checkpoint.policy_fingerprint), files)


some_totals = st.integers(0, 40).map(totals_of_services)
checkpoints = st.builds(
    Checkpoint,
    policy_fingerprint=st.just("rules"),
    until=st.none() | times,
    base_totals=some_totals,
    retained_facts=fact_lists().map(lambda facts: tuple({fact.id: fact for fact in facts}.values())),
    repositories=st.integers(0, 3).map(lambda number: SHOPS[:number]),
    dropped_incidents=st.frozensets(st.sampled_from(["0123abcd", "4567abcd"])),
)


def grown(before: Checkpoint, facts: list[Fact], totals: Totals) -> Checkpoint:
    """A checkpoint of the same months with other facts and totals beside those of the first."""
    retained = {fact.id: fact for fact in (*before.retained_facts, *facts)}.values()
    return replace(before, retained_facts=tuple(retained), base_totals=before.base_totals + totals)


@given(checkpoints)
def test_a_checkpoint_is_read_as_it_was_written(checkpoint: Checkpoint) -> None:
    files = checkpoint_files(checkpoint, EMPTY, {})
    expected = checkpoint if checkpoint.until else EMPTY
    assert contents(read_checkpoint(files, "rules")) == contents(expected)
    assert files_after(read_checkpoint(files, "rules"), files) == files


@given(st.lists(checkpoints, min_size=1, max_size=4), fact_lists(), some_totals)
def test_whatever_the_files_held_before_the_last_checkpoint_is_read(
    others: list[Checkpoint], facts: list[Fact], totals: Totals
) -> None:
    files: dict[str, bytes] = LARGE_FILES
    for checkpoint in (LARGE, grown(LARGE, facts, totals), with_resolved_outage(LARGE), *others):
        files = files_after(checkpoint, files)
        assert contents(read_checkpoint(files, "rules")) == contents(checkpoint if checkpoint.until else EMPTY)


def test_an_incident_that_ends_rewrites_no_more_than_itself() -> None:
    files = files_after(with_resolved_outage(LARGE), LARGE_FILES)
    assert files[CHECKPOINT_FILE] == LARGE_FILES[CHECKPOINT_FILE]
    assert 0 < len(files[NEW_CHECKPOINT_FILE]) < 500
    assert contents(read_checkpoint(files, "rules")) == contents(with_resolved_outage(LARGE))


def test_changes_add_up_until_they_are_an_eighth_and_are_then_merged() -> None:
    files, checkpoint, rewritten = LARGE_FILES, LARGE, 0
    for number in range(60):
        checkpoint = grown(checkpoint, [deployment(1_000 + number, "04-02")], Totals())
        after = files_after(checkpoint, files)
        rewritten += after[CHECKPOINT_FILE] != files[CHECKPOINT_FILE]
        assert len(after[NEW_CHECKPOINT_FILE]) <= len(after[CHECKPOINT_FILE]) / 8
        files = after
    assert 0 < rewritten < 4
    assert contents(read_checkpoint(files, "rules")) == contents(checkpoint)


@pytest.mark.parametrize(
    "checkpoint",
    [
        replace(LARGE, until=JUNE),
        replace(LARGE, retained_facts=LARGE.retained_facts[1:]),
        replace(LARGE, repositories=SHOPS[1:]),
        replace(LARGE, base_totals=totals_of_services(39)),
    ],
    ids=["another month", "without a fact", "without a repository", "without a scope"],
)
def test_what_is_gone_is_no_change_to_add(checkpoint: Checkpoint) -> None:
    files = files_after(checkpoint, files_after(with_resolved_outage(LARGE), LARGE_FILES))
    assert files[NEW_CHECKPOINT_FILE] == b""
    assert contents(read_checkpoint(files, "rules")) == contents(checkpoint)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b"{}",
        b'{"rules":"rules","until":"2024","totals":[],"carried":[]}',
        b'{"x":' + b"[" * 100_000,
    ],
)
def test_a_broken_file_seals_nothing(content: bytes) -> None:
    assert read_checkpoint({CHECKPOINT_FILE: content}, "rules") == EMPTY
    if content:
        assert read_checkpoint({**LARGE_FILES, NEW_CHECKPOINT_FILE: content}, "rules") == EMPTY
        assert files_after(LARGE, {**LARGE_FILES, NEW_CHECKPOINT_FILE: content}) == LARGE_FILES


def test_changes_belong_to_one_checkpoint() -> None:
    files = files_after(with_resolved_outage(LARGE), LARGE_FILES)
    other = checkpoint_files(replace(LARGE, retained_facts=(OUTAGE,)), EMPTY, {})
    mixed = {**other, NEW_CHECKPOINT_FILE: files[NEW_CHECKPOINT_FILE]}
    assert read_checkpoint(mixed, "rules") == EMPTY
    assert read_checkpoint({NEW_CHECKPOINT_FILE: files[NEW_CHECKPOINT_FILE]}, "rules") == EMPTY


def test_a_checkpoint_that_does_not_know_which_incidents_were_dropped_seals_nothing() -> None:
    """An earlier version wrote it."""
    fields = json.loads(LARGE_FILES[CHECKPOINT_FILE])
    del fields["dropped"]
    assert read_checkpoint({CHECKPOINT_FILE: json.dumps(fields).encode()}, "rules") == EMPTY


def test_a_checkpoint_by_other_rules_seals_nothing() -> None:
    assert read_checkpoint(LARGE_FILES, "other rules") == Checkpoint("other rules")


def test_a_checkpoint_made_by_older_rules_is_discarded_though_no_setting_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fingerprint = policy_fingerprint(Policy())
    files = checkpoint_files(Checkpoint(fingerprint, MAY), Checkpoint(fingerprint), {})
    assert read_checkpoint(files, policy_fingerprint(Policy())).until == MAY
    monkeypatch.setattr(policy_module, "RULES_EDITION", policy_module.RULES_EDITION + 1)
    assert read_checkpoint(files, policy_fingerprint(Policy())).until is None


def test_a_checkpoint_that_seals_nothing_is_no_file() -> None:
    assert not any(checkpoint_files(EMPTY, EMPTY, {}).values())


@pytest.mark.parametrize("part", [None, 0, SUM_PART, -1, SUM_PART + 1, 10**30])
@pytest.mark.parametrize(
    "number",
    [-MAX_MARK, MAX_MARK, -MAX_MARK - 1, MAX_MARK + 1, -(10**400), 10**400],
    ids=["lowest", "highest", "too low", "too high", "far too low", "far too high"],
)
def test_a_total_that_no_months_can_have_makes_the_file_invalid(part: int | None, number: int) -> None:
    """No number of Prometheus could hold it. The ledger is read whole, as with any broken file."""
    scope = {"repository": "acme/shop", "service": "shop", "environment": "production"}
    totals = [{**scope, "series": [["dora_lead_time_seconds", "", part, number]]}]
    content = json.dumps(
        {"rules": "rules", "until": "2026-05-01T00:00:00Z", "totals": totals, "carried": [], "dropped": []}
    )
    is_valid = abs(number) <= MAX_MARK and part in (None, 0, SUM_PART)
    assert (read_checkpoint({CHECKPOINT_FILE: content.encode()}, "rules") != EMPTY) is is_valid

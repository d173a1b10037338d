"""A ledger that people edited, or that another version wrote, is read as far as possible.

Invalid lines are set aside and reported; files of others stay unchanged.
"""

import json
from collections.abc import Mapping

import pytest

from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.ledger.layout import QUARANTINE_FILE
from dora_metrics.core.ledger.month_files import MAX_FILE_BYTES
from support.branch_shop import FACTS_FILE, BranchShop
from support.runs import NOW, deployment_ids, deployment_status

GRAPHQL_TEXT_LIMIT = 512_000


def fact_line(number: int, at: str = "2026-11-20T12:00:00Z", **fields: object) -> bytes:
    """A fact line of a ledger."""
    fact = Deployment(
        id=f"test:{number}",
        repository="acme/shop",
        environment="production",
        observed_at=NOW,
        finished_at=NOW,
        status="success",
        source="deployments",
    )
    plain = {**json.loads(encode_fact(fact)), "observed_at": at, "finished_at": at, **fields}
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def deployments_total(shop: BranchShop) -> float:
    """Total of deployments in the ledger's exposition."""
    metrics = (shop.read("metrics.prom") or b"").decode()
    rows = [row for row in metrics.splitlines() if row.startswith("dora_deployments_total{")]
    return sum(float(row.rpartition(" ")[2]) for row in rows)


def test_lines_broken_by_hand_are_set_aside_and_told_and_the_rest_counts(shop: BranchShop) -> None:
    shop.run(1)
    whole = shop.read(FACTS_FILE) or b""
    shop.commit_by_hand({FACTS_FILE: b"<<<<<<< HEAD\n" + whole + fact_line(7)[:50] + b"\n" + fact_line(8)})
    ran = shop.run(2)
    assert shop.fact_ids() == [*deployment_ids(1, 2), "test:8"]
    aside = [json.loads(row) for row in (shop.read(QUARANTINE_FILE) or b"").splitlines()]
    assert [(one["file"], one["line"], one["text"]) for one in aside] == [
        (FACTS_FILE, 1, "<<<<<<< HEAD"),
        (FACTS_FILE, 3, fact_line(7)[:50].decode()),
    ]
    assert f"{FACTS_FILE}:1: not a complete JSON object" in ran.log
    assert "kept in quarantine.jsonl" in ran.summary
    assert ran.code == 0
    assert deployments_total(shop) == 3


def test_what_was_set_aside_is_told_once_and_kept(shop: BranchShop) -> None:
    shop.run(1)
    shop.commit_by_hand({FACTS_FILE: (shop.read(FACTS_FILE) or b"") + b"broken\n"})
    shop.run(2)
    kept = shop.read(QUARANTINE_FILE)
    assert "quarantine" not in shop.run(3).log
    assert shop.read(QUARANTINE_FILE) == kept != b""


@pytest.mark.parametrize(
    "content", [b"\0" + fact_line(7), b"\xff\xfe\n" + fact_line(7)], ids=["binary", "other encoding"]
)
def test_a_file_that_is_no_text_is_read_all_the_same(shop: BranchShop, content: bytes) -> None:
    """GraphQL returns no text of such a file, so its blob is read."""
    shop.run(1)
    shop.commit_by_hand({"facts/2026/10.jsonl": content + fact_line(8)})
    ran = shop.run(2)
    assert [asked.status for asked in shop.github.requests_matching("GET */git/blobs/*")] == [200]
    assert "test:8" in shop.fact_ids()
    assert "kept in quarantine.jsonl" in ran.log


def test_a_file_that_github_cuts_is_read_whole_and_split_when_it_is_written(shop: BranchShop) -> None:
    shop.run(1)
    many = [
        fact_line(number, f"2026-11-{number // 60 % 20 + 1:02}T10:{number % 60:02}:00Z") for number in range(100, 1500)
    ]
    shop.commit_by_hand({FACTS_FILE: (shop.read(FACTS_FILE) or b"") + b"".join(many)})
    assert len(shop.read(FACTS_FILE) or b"") > GRAPHQL_TEXT_LIMIT
    shop.run(2)
    assert [asked.status for asked in shop.github.requests_matching("GET */git/blobs/*")] == [200]
    assert len(shop.fact_ids()) == len(set(shop.fact_ids())) == 1402
    assert deployments_total(shop) == 1402
    assert all(len(content) <= MAX_FILE_BYTES for content in shop.fact_files().values())


def test_facts_in_any_folder_and_file_count(shop: BranchShop) -> None:
    shop.run(1)
    own = {
        "facts/old.jsonl": fact_line(1),
        "facts/2025.jsonl": fact_line(2, "2025-03-01T00:00:00Z"),
        "facts/from-jenkins/all.jsonl": fact_line(3, "2024-03-01T00:00:00Z"),
        "facts/a/b/c/d.jsonl": fact_line(4),
        "facts/2026/10-by-hand.jsonl": fact_line(5, "2026-10-02T00:00:00Z"),
        "facts/2026/deeper/x.jsonl": fact_line(6),
    }
    shop.commit_by_hand(own)
    for number in (2, 3):
        assert shop.run(number).code == 0
        assert deployments_total(shop) == 6 + number
    assert {path: shop.read(path) for path in own} == own


def test_facts_of_the_future_count_within_the_same_requests(shop: BranchShop) -> None:
    """The budget of four: a clock that was wrong once must not make every later run more expensive."""
    shop.run(1)
    shop.commit_by_hand({"facts/2099/01.jsonl": fact_line(7, "2099-01-15T00:00:00Z")})
    for number in (2, 3):
        shop.github.requests.clear()
        shop.run(number, state="failure")
        assert len(shop.github.requests) <= 4
        assert deployments_total(shop) == 2
    assert "test:7" in shop.fact_ids()


def test_an_event_of_the_future_is_recorded_and_counts(shop: BranchShop) -> None:
    shop.run_event("deployment_status", deployment_status(7, at="2099-01-15T00:00:00Z"))
    assert list(shop.fact_files()) == ["facts/2099/01.jsonl"]
    shop.run(1)
    assert deployments_total(shop) == 2


NEWER_RECORDS: Mapping[str, bytes] = {
    "a key that is not known": fact_line(1, risk={"b": [1, 2.5], "a": "ü"}),
    "a kind that is not known": b'{"any":[{"x":1}],"id":"2","kind":"test","observed_at":"2026-11-05T00:00:00Z"}\n',
    "a version that fits": fact_line(3, v=2, risk=0.1),
    "a version that does not fit": b'{"finished_at":7,"id":"4","kind":"deployment","v":2}\n',
}


def test_what_a_newer_version_has_written_is_used_where_it_fits_and_stays_as_it_is(shop: BranchShop) -> None:
    shop.run(1)
    shop.commit_by_hand({FACTS_FILE: (shop.read(FACTS_FILE) or b"") + b"".join(NEWER_RECORDS.values())})
    ran = shop.run(2)
    lines = set((shop.read(FACTS_FILE) or b"").splitlines(keepends=True))
    assert set(NEWER_RECORDS.values()) <= lines
    assert len(lines) == 2 + len(NEWER_RECORDS)
    assert shop.read(QUARANTINE_FILE) is None
    assert deployments_total(shop) == 4
    assert ran.code == 0


@pytest.mark.parametrize("content", [b"{}", b"\xff", b"[" * 10_000, b'{"rules":', b"\0"])
@pytest.mark.parametrize("path", ["checkpoint.json", "sequence", "outbox.jsonl"])
def test_a_file_beside_the_facts_that_is_broken_costs_no_fact_and_no_run(
    shop: BranchShop, path: str, content: bytes
) -> None:
    shop.commit_by_hand(
        {
            "README.md": "# The ledger of dora-metrics\n",
            path: content,
            "facts/2019/01.jsonl": fact_line(7, "2019-01-02T00:00:00Z"),
        }
    )
    for number in (1, 2):
        assert shop.run(number).code == 0
        assert shop.fact_ids() == [*deployment_ids(*range(1, number + 1)), "test:7"]
        assert deployments_total(shop) == 1 + number


def test_other_files_on_the_branch_stay(shop: BranchShop) -> None:
    shop.run(1)
    own = {
        "index.html": b"<p>",
        "notes/mine.txt": b"keep",
        "facts/README": b"mine",
        "facts/2026/11.jsonl.orig": b"broken",
    }
    shop.commit_by_hand(own)
    shop.run(2)
    assert {path: shop.read(path) for path in own} == own


def test_a_readme_in_other_words_stays(shop: BranchShop) -> None:
    shop.run(1)
    shop.commit_by_hand({"README.md": "# Our deployments\n\nAsk Ann."})
    shop.run(2)
    assert shop.read("README.md") == b"# Our deployments\n\nAsk Ann."
    assert shop.fact_ids() == deployment_ids(1, 2)
    shop.commit_by_hand({"README.md": None})
    shop.run(3)
    assert b"ledger of dora-metrics" in (shop.read("README.md") or b"")

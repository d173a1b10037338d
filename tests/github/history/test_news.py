"""When a repository counts as quiet: by what GitHub shows of it, and by what the last reading has left."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace as with_fields

from dora_metrics.core.cursors import NEWS, Cursor
from dora_metrics.core.facts.model import EPOCH
from dora_metrics.github import queries
from dora_metrics.github.history import GatheredHistory, HistoryRequest, ReadFailure
from dora_metrics.github.history.news import RepositoryNews, are_alerts_due, is_quiet, news_cursor
from dora_metrics.settings.model import Settings
from fakes import schema
from support.github_history import NOW, make_history_run

NODE: dict[str, Any] = {
    "databaseId": 7,
    "nameWithOwner": "acme/shop",
    "hasIssuesEnabled": True,
    "isInOrganization": True,
    "defaultBranchRef": {"name": "main", "target": {"oid": "a" * 40, "committedDate": "2026-09-01T00:00:00Z"}},
    "pullRequests": {"totalCount": 1, "nodes": [{"number": 1, "updatedAt": "2026-09-01T00:00:00Z"}]},
    "issues": {"totalCount": 0, "nodes": []},
    "deployments": {"totalCount": 1, "nodes": [{"id": "D", "createdAt": "2026-09-02T00:00:00Z", "latestStatus": None}]},
    "releases": {"totalCount": 0, "nodes": []},
}
NEWS_OF_SHOP, SETTINGS = RepositoryNews(NODE), Settings()
COMPLETE = {
    "commits": Cursor(anchors=("a" * 40,)),
    "deployments": Cursor(newest=NOW - timedelta(days=80)),
    "jobs": Cursor(reached=EPOCH),
    NEWS: Cursor(reached=NOW, open=(NEWS_OF_SHOP.digest(SETTINGS), "deployments")),
}


def request_with(cursors: Mapping[str, Cursor], **fields: Any) -> HistoryRequest:  # noqa: ANN401 - fields of any type
    all_fields = {"known_sources": frozenset({"deployments"}), **fields}
    return HistoryRequest(make_history_run(), SETTINGS, None, {**COMPLETE, **cursors}, **all_fields)


def test_a_repository_that_shows_the_same_as_before_is_quiet() -> None:
    assert is_quiet(NEWS_OF_SHOP, request_with({}))


@pytest.mark.parametrize("name", NODE)
def test_no_part_of_what_github_shows_may_differ(name: str) -> None:
    changed = {**NODE, name: None if name == "defaultBranchRef" else {**NODE["issues"], "totalCount": 5}}
    changed |= {"nameWithOwner": "Acme/Shop"} if name == "nameWithOwner" else {}
    assert not is_quiet(RepositoryNews(changed), request_with({}))


@pytest.mark.parametrize(
    "left",
    [
        {"pulls": Cursor(newest=NOW, reached=NOW - timedelta(days=3), after="token")},
        {"deployments": Cursor(newest=NOW, open=("DE_1",))},
        {"jobs": Cursor(reached=NOW)},
        {"jobs": Cursor(reached=EPOCH, open=("github:deployment:1",))},
        {"commits": Cursor(newest=NOW)},
        {NEWS: Cursor()},
        {NEWS: Cursor(open=(NEWS_OF_SHOP.digest(SETTINGS),))},
    ],
    ids=["pages", "a deployment", "jobs", "a job", "commits", "unknown", "another source"],
)
def test_a_reading_that_left_something_is_gone_on_with(left: dict[str, Cursor]) -> None:
    assert not is_quiet(NEWS_OF_SHOP, request_with(left))


def test_what_runs_would_tell_is_not_known() -> None:
    """Deployments that have left the window are no longer a reason not to read workflow runs."""
    assert not is_quiet(NEWS_OF_SHOP, request_with({}, known_sources=frozenset()))


@pytest.mark.parametrize(("failed_ids", "quiet"), [((), True), (("D",), True), (("D", "E"), False)])
def test_a_failure_that_the_news_do_not_show_may_have_succeeded(failed_ids: tuple[str, ...], quiet: bool) -> None:  # noqa: FBT001
    deployments = with_fields(COMPLETE["deployments"], anchors=failed_ids)
    assert is_quiet(NEWS_OF_SHOP, request_with({"deployments": deployments})) == quiet


LAST_RUNS = Cursor(newest=NOW - timedelta(hours=19))
READ_ALL = {NEWS: Cursor(reached=NOW, open=(NEWS_OF_SHOP.digest(SETTINGS), "deployments", "releases"))}


@pytest.mark.parametrize(
    ("known_sources", "pushed_hours_ago", "runs", "quiet"),
    [
        ({"pushes"}, 30, LAST_RUNS, True),
        (set(), 30, LAST_RUNS, True),
        ({"workflow-runs"}, 30, LAST_RUNS, False),
        ({"pushes"}, 18, LAST_RUNS, False),
        ({"pushes"}, 30, with_fields(LAST_RUNS, newest=NOW - timedelta(days=7)), False),
        ({"pushes"}, 30, with_fields(LAST_RUNS, open=("7",)), False),
        ({"pushes"}, 30, Cursor(), False),
    ],
    ids=["merges", "nothing", "runs", "pushed since", "a week", "attempts left", "never read"],
)
def test_runs_are_read_once_a_week_where_none_counts(
    known_sources: set[str],
    pushed_hours_ago: int,
    runs: Cursor,
    quiet: bool,  # noqa: FBT001
) -> None:
    listed = {**NODE, "pushedAt": (NOW - timedelta(hours=pushed_hours_ago)).isoformat()}
    request = request_with({**READ_ALL, "runs": runs}, known_sources=frozenset(known_sources))
    assert is_quiet(NEWS_OF_SHOP, request, listed) == quiet
    assert not is_quiet(NEWS_OF_SHOP, request)


@pytest.mark.parametrize(("hours", "is_due"), [(0, False), (19, False), (20, True), (-1, True)])
def test_alerts_are_due_after_a_night(hours: int, is_due: bool) -> None:  # noqa: FBT001
    read_at = with_fields(COMPLETE[NEWS], reached=NOW - timedelta(hours=hours))
    assert are_alerts_due(read_at, make_history_run()) == is_due


def test_a_complete_reading_is_remembered() -> None:
    gathered = GatheredHistory(info=NEWS_OF_SHOP.info)
    remembered = news_cursor(NEWS_OF_SHOP, gathered, request_with({}), ("line",))
    assert remembered == Cursor(
        newest=NOW, reached=NOW, read_at=NOW, open=(NEWS_OF_SHOP.digest(SETTINGS),), anchors=("line",)
    )


@pytest.mark.parametrize(
    "gathered",
    [
        GatheredHistory(info=NEWS_OF_SHOP.info, failures=[ReadFailure("pulls", "no")]),
        GatheredHistory(info=NEWS_OF_SHOP.info, has_refused_what_was_requested=True),
        GatheredHistory(info=replace(NEWS_OF_SHOP.info, head_sha="b" * 40)),
        GatheredHistory(),
    ],
    ids=["failed", "refused", "another head", "no answer"],
)
def test_an_incomplete_reading_is_not_remembered(gathered: GatheredHistory) -> None:
    assert news_cursor(NEWS_OF_SHOP, gathered, request_with({}), ("line",)) is None


def test_the_news_of_twenty_repositories_cost_one_point() -> None:
    query = queries.with_slots(queries.load("News"), 20)
    size = schema.query_size(schema.parse_query(query), "News", {})
    assert size.cost == 1
    assert size.nodes <= schema.NODE_LIMIT / 20

"""Progress of reading GitHub's history: lines at a moderate pace in a log, bars on a terminal."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest

from dora_metrics.core.facts.model import Change
from dora_metrics.github.history import HistoryPart, ReadFailure
from dora_metrics.github.runner import Runner
from dora_metrics.pipeline.progress import ProgressBars, ProgressLines, make_progress

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FACT = Change(id="github:pull:acme/shop#1", repository="acme/shop", observed_at=NOW)


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def make_part(days_ago: int, *, done: bool = False, facts: int = 100) -> HistoryPart:
    return HistoryPart("pulls", (FACT,) * facts, reached=NOW - timedelta(days=days_ago), is_complete=done)


def progress_lines(*times_and_parts: tuple[float, HistoryPart | ReadFailure]) -> list[str]:
    """Log of a read whose parts arrived at these seconds."""
    log, clock = StringIO(), iter([moment for second, _ in times_and_parts for moment in (second, second)])
    with ProgressLines(Runner(log, None, None), lambda: next(clock)) as shown:
        for _, one in times_and_parts:
            shown.show("acme/shop", one)
    return log.getvalue().splitlines()


def test_a_log_has_grouped_lines_of_how_far_each_kind_is() -> None:
    assert progress_lines((0, make_part(10)), (6, make_part(90, done=True))) == [
        "::group::Reading GitHub's history",
        "acme/shop: pull requests back to 2026-11-11, 100 facts",
        "acme/shop: all pull requests, 200 facts",
        "::endgroup::",
    ]


def test_outside_of_a_workflow_the_title_of_a_group_is_a_line() -> None:
    log = StringIO()
    with ProgressLines(Runner(log, None, None, has_commands=False)) as shown:
        shown.show("acme/shop", make_part(90, done=True))
    assert log.getvalue().splitlines() == ["Reading GitHub's history", "acme/shop: all pull requests, 100 facts"]


def test_many_parts_in_a_short_time_are_few_lines() -> None:
    assert len(progress_lines(*((second / 10, make_part(second)) for second in range(100)))) == 4


def test_a_kind_without_anything_needs_no_line() -> None:
    assert (
        len(
            progress_lines(
                (0, make_part(1)), (1, make_part(90, done=True, facts=0)), (2, HistoryPart("issues", is_complete=True))
            )
        )
        == 4
    )


def test_a_failure_is_a_line() -> None:
    assert "acme/shop: GitHub did not return pull requests: gone" in progress_lines((0, ReadFailure("pulls", "gone")))


@pytest.mark.parametrize("since", [NOW - timedelta(days=90), None], ids=["90 days", "all"])
def test_a_terminal_has_a_bar_a_kind_with_facts_and_rate(since: datetime | None) -> None:
    terminal = Terminal()
    with ProgressBars(terminal, NOW, since) as shown:
        shown.show("acme/shop", make_part(45))
        shown.show("acme/shop", ReadFailure("runs", "gone"))
        shown.show("acme/shop", make_part(90, done=True))
    assert "acme/shop pulls" in terminal.getvalue()
    assert "200 facts" in terminal.getvalue()


def test_bars_are_for_people_and_lines_for_logs() -> None:
    runner = Runner(StringIO(), Path("out"), None)
    assert isinstance(make_progress(runner, Terminal(), NOW, None), ProgressBars)
    assert isinstance(make_progress(runner, StringIO(), NOW, None), ProgressLines)

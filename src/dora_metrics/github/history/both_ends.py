"""A long list that is to be read completely: from both ends at once, until the readings meet.

GitHub lists pull requests by the time of their last change, in both directions, and has no token for the middle. An
item that changes meanwhile moves to the top, where the next sync reads it, as it does after a reading from one end.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from dora_metrics.core.cursors import Cursor
from dora_metrics.github.client import GitHubError
from dora_metrics.github.history.pages import PageStep, ResultPage
from dora_metrics.github.history.streams import iterate_concurrently
from dora_metrics.github.queries import JsonObject


@dataclass(frozen=True)
class EndStep:
    """Items of the list; `step` is the step of the reading from the newest on, None for one from the oldest on."""

    nodes: tuple[JsonObject, ...]
    step: PageStep | None = None


@dataclass
class BothEnds:
    """Two readings of one list, whose items have a `number`.

    Attributes:
        from_newest: the steps from the newest item on. Only they have cursors.
        from_oldest: the pages from the oldest item on, read by a client of its own.
        oldest: when the oldest item was last changed.
    """

    from_newest: Iterator[PageStep]
    from_oldest: Iterator[ResultPage]
    oldest: datetime | None
    _newest_numbers: set[int] = field(default_factory=set)
    _oldest_numbers: set[int] = field(default_factory=set)
    _have_met: threading.Event = field(default_factory=threading.Event)

    def steps(self) -> Iterator[EndStep]:
        """Yield all items, some of them twice. The step that says that all were read is the last one that has a step.

        Raises:
            GitHubError: if GitHub refuses a request from the newest on or does not answer.
        """
        return iterate_concurrently([self._from_newest(), self._from_oldest()])

    def _from_newest(self) -> Iterator[EndStep]:
        """Yield steps until the other reading has what follows; items count as read only after they were yielded."""
        try:
            for step in self.from_newest:
                numbers = _numbers(step.nodes)
                if _has_any(self._oldest_numbers, numbers):
                    yield EndStep(step.nodes, self._complete(step))
                    return
                yield EndStep(step.nodes, step)
                self._newest_numbers |= numbers
                if self._have_met.is_set():
                    yield EndStep((), self._complete(step))
                    return
        finally:
            self._have_met.set()

    def _from_oldest(self) -> Iterator[EndStep]:
        """Yield pages until the other reading has what follows. If GitHub refuses one, the other reads it."""
        try:
            for page in self.from_oldest:
                yield EndStep(page.nodes)
                numbers = _numbers(page.nodes)
                self._oldest_numbers |= numbers
                if self._have_met.is_set():
                    return
                if page.next_page_token is None or _has_any(self._newest_numbers, numbers):
                    self._have_met.set()
                    return
        except GitHubError:
            return

    def _complete(self, step: PageStep) -> PageStep:
        """Return a step after which nothing is left."""
        cursor = Cursor(newest=step.cursor.newest, reached=self.oldest)
        return PageStep(step.nodes, cursor, self.oldest, is_complete=True)


def _numbers(nodes: tuple[JsonObject, ...]) -> set[int]:
    return {node["number"] for node in nodes}


def _has_any(known: set[int], numbers: set[int]) -> bool:
    """Whether any of the numbers is known; another thread may be adding to these."""
    return any(number in known for number in numbers)

"""Lists that GitHub shows by pages: one that shows a page again would be read without end."""

from collections.abc import Hashable
from dataclasses import dataclass, field

from dora_metrics.github.client import UnexpectedAnswerError


@dataclass
class PagesRead:
    """The pages of one list that were read.

    `list_name` names the list in the error.
    """

    list_name: str
    _marks: set[Hashable] = field(default_factory=set)

    def add(self, mark: Hashable) -> None:
        """Note a page by its token, or by its first item.

        Raises:
            UnexpectedAnswerError: if it was read before.
        """
        if mark in self._marks:
            raise UnexpectedAnswerError(f"GitHub shows a page of {self.list_name} a second time, so reading stopped")
        self._marks.add(mark)

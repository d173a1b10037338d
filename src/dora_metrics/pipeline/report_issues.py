"""One period's report: its issues made, written anew, and those of the one before closed."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dora_metrics.core.linking.link import Scope
from dora_metrics.core.periods import Period
from dora_metrics.core.reports.periodic.claims import CLAIM, Entry, Filed, finished, scope_of
from dora_metrics.core.reports.periodic.issue_body import LARGEST, Letter, has_work, length, marker_in
from dora_metrics.core.reports.render import TemplateError
from dora_metrics.github.client import GitHubError, MovedError, NotFoundError
from dora_metrics.github.issues import Desk, Issue
from dora_metrics.pipeline.shelf import Claimant, Shelf

if TYPE_CHECKING:
    from dora_metrics.pipeline.reports import Letters

_BETWEEN_SECONDS = 1.0
"""GitHub asks for that much between things that notify people."""


class OvertakenError(Exception):
    """Another run makes the report."""


@dataclass
class Filing:
    """The letters of a period, and where they go."""

    desk: Desk
    shelf: Shelf
    claimant: Claimant
    period: Period
    entry: Entry
    found: "Letters"
    _has_created: bool = False

    def made(self) -> dict[Scope, Issue]:
        """Makes the issues that are not there yet, closes those of the last report, and remembers both.

        Raises:
            GitHubError: by meaning.
            LedgerError: if nothing can be remembered.
            OvertakenError: if another run has taken the report over.
        """
        there = self.desk.reports(self._known)
        issues = {scope: self._placed(scope, one, there) for scope, one in self.found.letters.items()}
        self._close(there, issues.values())
        kept = {one.marker: Filed(issues[scope].number, one.digest) for scope, one in self.found.letters.items()}
        self.shelf.keep(self.period.kind, finished(self.entry, kept))
        return issues

    def renewed(self) -> bool:
        """Writes anew what says something else by now; whether there was anything.

        Raises:
            GitHubError: by meaning.
            LedgerError: if it cannot be remembered.
        """
        changed = list(self._changed())
        for scope, one, number in changed:
            if issue := self._there(number):
                self._rewrite(scope, one, issue)
        if changed:
            kept = self.entry.filed | {one.marker: Filed(number, one.digest) for _, one, number in changed}
            self.shelf.keep(self.period.kind, replace(self.entry, filed=kept))
        return bool(changed)

    def numbers(self) -> dict[Scope, int]:
        """The issues that are known, by scope."""
        letters = self.found.letters.items()
        return {scope: was.number for scope, one in letters if (was := self.entry.filed.get(one.marker))}

    def take_up(self) -> bool:
        """Claims a report that is done, for the sake of scopes that it does not have yet; whether that can be."""
        mine = replace(self.entry, claimed_at=self.claimant.now, claimed_by=self.claimant.name, done=False)
        if not self.shelf.take(self.period.kind, mine):
            return False
        self.entry = mine
        return True

    @property
    def lacks_some(self) -> bool:
        """Whether a scope has a letter and no issue."""
        return any(one.marker not in self.entry.filed for one in self.found.letters.values())

    @property
    def _known(self) -> frozenset[int]:
        ours = (one.number for one in self.entry.filed.values())
        return frozenset((*ours, *self.entry.before.values(), *self.entry.closing.values()))

    def _changed(self) -> Iterator[tuple[Scope, Letter, int]]:
        for scope, one in self.found.letters.items():
            was = self.entry.filed.get(one.marker)
            if was and was.digest != one.digest:
                yield scope, one, was.number

    def _placed(self, scope: Scope, one: Letter, there: Mapping[str, Issue]) -> Issue:
        """The issue of a letter: the one that an earlier run has left, with today's words, or a new one."""
        if found := there.get(one.marker):
            self._rewrite(scope, one, found)
            return found
        if self._has_created:
            self.desk.client.pause(_BETWEEN_SECONDS)
        self._hold()
        self._has_created = True
        return self.desk.create(one, self._before(one))

    def _hold(self) -> None:
        """A claim that has become old, by waiting for rate limits, is made anew before anything is made by it."""
        if self.claimant.now - self.entry.claimed_at < CLAIM:
            return
        found = self.shelf.again(self.period.kind)
        mine = replace(self.entry, claimed_at=self.claimant.now)
        if found is None or not self.claimant.owns(found) or not self.shelf.take(self.period.kind, mine):
            raise OvertakenError
        self.entry = mine

    def _rewrite(self, scope: Scope, one: Letter, issue: Issue) -> None:
        """What is ours of an issue; one whose marks were taken away belongs to people."""
        body = issue.body.replace("\r\n", "\n")
        text = one.renewed(body, self._before(one))
        if text is not None and length(text) > LARGEST:
            with suppress(TemplateError):  # people left no room: it stays as it is
                text = self.found.shorter(scope, length(text) - length(one.ours)).renewed(body, self._before(one))
        if text is not None and text != body and length(text) <= LARGEST:
            self.desk.rewrite(issue.number, one.title, text)

    def _close(self, there: Mapping[str, Issue], made: Iterable[Issue]) -> None:
        """The issues of the report before, unless somebody has work left in them; what cannot be closed stays open."""
        by_number = {issue.number: issue for issue in there.values()}
        new = {issue.number for issue in made}
        for key, number in self.entry.closing.items():
            with suppress(GitHubError):
                issue = None if number in new else by_number.get(number) or self._there(number)
                if issue and issue.is_open and _is_of(issue, key) and not has_work(issue.body):
                    self.desk.close(number)

    def _there(self, number: int) -> Issue | None:
        """An issue that was filed; None where somebody has deleted or transferred it."""
        with suppress(NotFoundError, MovedError):
            return self.desk.issue(number)
        return None

    def _before(self, one: Letter) -> int | None:
        return self.entry.before.get(scope_of(one.marker))


def _is_of(issue: Issue, key: str) -> bool:
    """Whether an issue is a report of a scope; numbers alone may lead to anything."""
    marker = marker_in(issue.body)
    return marker is not None and scope_of(marker) == key

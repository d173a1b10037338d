"""A ledger as a run reads it: as far as its windows reach, and further only where a fact from further back changes."""

from dataclasses import dataclass, replace
from datetime import datetime

from dora_metrics.core.facts.model import Change, Deployment, Fact
from dora_metrics.core.ledger import checkpoint, checkpoint_part, layout
from dora_metrics.core.ledger.checkpoint import Judged
from dora_metrics.core.ledger.checkpoint_part import Checkpoint
from dora_metrics.core.ledger.layout import CHECKPOINT, EVERYTHING, Contents, Plan, Reach, month_at
from dora_metrics.core.policy import Policy
from dora_metrics.errors import LedgerError, SettingsError
from dora_metrics.pipeline.evaluate import rules_of
from dora_metrics.settings.model import Settings
from dora_metrics.storage.base import Ledger, Snapshot

_CARRIED = (
    "by the last of those before: what was not delivered, not ended or deployed since then. "
    "`mode: rebuild` judges by all."
)


@dataclass(frozen=True)
class Book:
    """What was read: the files, what is sealed of them, what they hold.

    `since`: the first month that the windows reach, None for all. `kept`: the checkpoint as it lies in the ledger.
    """

    seen: Snapshot
    since: datetime | None
    kept: Checkpoint
    checkpoint: Checkpoint
    contents: Contents

    @property
    def whole(self) -> bool:
        return self.checkpoint.until is None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know about how far back it was read."""
        until = self.checkpoint.until
        return (f"Judged by all facts since {until:%Y-%m}, and {_CARRIED}",) if until else ()

    def lacks(self, plan: Plan) -> Reach | None:
        """What has to be read before this can be planned; None if nothing.

        A fact is merged with what its month holds. One that changes what is sealed needs all months.
        """
        reach = self.seen.reach
        known = [fact for new in plan.news if (fact := self.contents.known(new.id))]
        months = set().union(*(_months(fact) for fact in (*plan.news, *known)))
        if unread := {month for month in months if not reach.holds(month)}:
            return Reach(reach.since, reach.also | unread)
        if self.whole or not any(self._is_late(fact, plan) for fact in plan.news):
            return None
        return EVERYTHING

    def _is_late(self, fact: Fact, plan: Plan) -> bool:
        """Whether it changes what is sealed: not if it ends what is carried, or was delivered by nothing before."""
        known = self.contents.known(fact.id)
        if all(month_at(one.defining_time) >= self.contents.sealed for one in (fact, known) if one):
            return False
        carried = fact.id in self.contents.carried
        match fact:
            case Deployment():
                return True
            case Change() if carried:
                return fact.id in self.contents.delivered
            case Change():
                return known is not None or fact.id not in plan.after.delivered
            case _:
                return not carried

    def carrying(self, after: Contents, rules: Policy) -> Checkpoint:
        """The checkpoint beside the facts that are judged after this run."""
        return self.checkpoint if self.whole else self._called_up(after, rules)

    def sealed_anew(self, found: Checkpoint, after: Contents, state: Judged) -> Checkpoint:
        """The checkpoint for the next run: with months sealed that no window reaches any more."""
        until = self.since or self.kept.until
        if until is None or until == found.until:
            return found
        old = after.old(month_at(until))
        return checkpoint.sealed(state, found, until, old) if old else found

    def _called_up(self, after: Contents, rules: Policy) -> Checkpoint:
        """The checkpoint with the newest of what it carries, and with what lies further back and counts again."""
        facts = {fact.id: fact for fact in after.facts}
        again = (after.out_of_sight & facts.keys()) - self.contents.carried
        were = [known for identity in sorted(again) if (known := self.contents.known(identity))]
        base = checkpoint.base_without(self.checkpoint.base, were, self.contents.facts, rules)
        carried = [*(one.id for one in self.checkpoint.carried), *sorted(again)]
        return replace(self.checkpoint, base=base, carried=tuple(facts[one] for one in carried if one in facts))


def _months(fact: Fact) -> set[str]:
    """Where a fact lies, and where an earlier end of a deployment may lie that ends once more."""
    times = [fact.defining_time]
    if isinstance(fact, Deployment) and fact.started_at:
        times.append(fact.started_at)
    return set(map(month_at, times))


def opened(ledger: Ledger, settings: Settings, now: datetime, *, whole: bool) -> Book:
    """The ledger as far as the settings' windows reach, or `whole`.

    Raises:
        LedgerError: if it cannot be read, or is something else.
        SettingsError: if the window cannot be.
    """
    try:
        since = checkpoint.needed_since(settings.window_spec, now)
    except ValueError as problem:
        raise SettingsError(f"window: {problem}") from None
    seen = ledger.read(Reach(month_at(since)) if since and not whole else EVERYTHING)
    if layout.is_foreign(seen.files, seen.folders, seen.sequence):
        raise LedgerError(f"{ledger.name} holds something else, which stays as it is; name a place of its own")
    rules = rules_of(settings)
    kept = checkpoint_part.decode(seen.files.get(CHECKPOINT, b""), rules)
    used = kept if seen.reach.since and kept.until and since and kept.until <= since else Checkpoint(rules)
    reach = Reach(month_at(used.until)) if used.until else EVERYTHING
    return _book(ledger.more(seen, reach), since, kept, used)


def widened(ledger: Ledger, book: Book, reach: Reach) -> Book:
    """The same state of the ledger, read further back; read whole, it needs no checkpoint.

    Raises:
        LedgerError: if it cannot be read.
    """
    used = book.checkpoint if reach.since else Checkpoint(book.kept.rules)
    return _book(ledger.more(book.seen, reach), book.since, book.kept, used)


def _book(seen: Snapshot, since: datetime | None, kept: Checkpoint, used: Checkpoint) -> Book:
    return Book(seen, since, kept, used, layout.read(seen.files, used.carried, used.until))

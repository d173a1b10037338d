"""Everything outside that a run needs, made once and only when it is needed: GitHub's API, the ledger, the asker."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dora_metrics.asking import Asker
from dora_metrics.core.facts import Change, Deployment, Fact
from dora_metrics.core.ledger import Contents
from dora_metrics.errors import LedgerError
from dora_metrics.inputs import Inputs
from dora_metrics.ledgers.directory import DirectoryLedger
from dora_metrics.ledgers.none import NoLedger
from dora_metrics.ledgers.port import Ledger
from dora_metrics.settings import policy

if TYPE_CHECKING:
    from dora_metrics.github.client import Client


@dataclass
class Opening:
    """The outside of one run; `tell` is told what GitHub did not say, and why."""

    given: Inputs
    pause: Callable[[float], None]
    tell: Callable[[str], None]

    def ledger(self) -> Ledger:
        """The ledger that the settings name.

        Raises:
            LedgerError: if there is no token for a branch, or a folder that a container would not keep.
        """
        kind, _, place = self.given.settings.ledger.partition(":")
        match kind:
            case "dir":
                return _directory(self.given, self.given.workspace / place)
            case "branch":
                return self._branch(place)
            case _:
                return NoLedger()

    def ask(self, facts: tuple[Fact, ...], before: Contents) -> tuple[Fact, ...]:
        """The facts with what GitHub adds to them; as they are without a token."""
        if self.client_wanted and any(isinstance(fact, Deployment | Change) for fact in facts):
            return self._asker(facts, before)
        return facts

    @property
    def client_wanted(self) -> bool:
        return self.given.settings.github_token is not None

    @property
    def requests(self) -> int:
        """How many requests GitHub was asked so far."""
        return self._client.requests if "_client" in self.__dict__ else 0

    @cached_property
    def _client(self) -> "Client":
        from dora_metrics.github.client import Client  # noqa: PLC0415 - a run without it need not wait for PyGithub

        token = self.given.settings.github_token
        return Client(token.get_secret_value() if token else "", self.given.api_url, self.pause)

    @cached_property
    def _asker(self) -> Asker:
        from dora_metrics.github.client import GitHubError  # noqa: PLC0415 - as above
        from dora_metrics.github.history import History  # noqa: PLC0415

        rules = policy(self.given.settings)
        history = History(self._client, self.given.run.repository, rules.services)
        return Asker(history, rules, GitHubError, self._unanswered)

    def _unanswered(self, problem: Exception) -> None:
        from dora_metrics.github.client import ForbiddenError, NotFoundError  # noqa: PLC0415 - as above

        lacking = isinstance(problem, ForbiddenError | NotFoundError)
        advice = "; give the job `permissions: contents: read` and `pull-requests: read`" if lacking else ""
        self.tell(f"GitHub did not say what was delivered: {problem}{advice}")

    def _branch(self, place: str) -> Ledger:
        if not self.client_wanted:
            raise LedgerError("ledger branch: no `github-token`, so only this event is known")
        from dora_metrics.ledgers.branch import BranchLedger  # noqa: PLC0415 - as above

        branch, _, repository = place.partition("@")
        return BranchLedger(self._client, repository or self.given.run.repository, branch)


def _directory(given: Inputs, root: Path) -> Ledger:
    """A folder that would be written into the container would be gone with it."""
    if given.contained and not root.exists() and given.workspace.resolve() not in root.resolve().parents:
        raise LedgerError(
            f"dir:{root} is outside of what the container sees; name one in the workspace, or set `runtime: python`"
        )
    return DirectoryLedger(root)

"""Everything outside that a run needs, made once and only when it is needed: GitHub's API, the ledger, the asker."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dora_metrics.core.facts.model import Change, Deployment, Fact
from dora_metrics.core.ledger.layout import LedgerContents
from dora_metrics.core.outcome import Outcome
from dora_metrics.errors import LedgerError
from dora_metrics.pipeline.enrich import Enricher
from dora_metrics.pipeline.inputs import Inputs
from dora_metrics.settings import loading
from dora_metrics.settings.loading import Layer
from dora_metrics.settings.model import EVERY_REPOSITORY, policy_of
from dora_metrics.storage.base import NoStorage, Storage
from dora_metrics.storage.directory import DirectoryStorage

if TYPE_CHECKING:
    from dora_metrics.github.client import Client
    from dora_metrics.pipeline.progress import Progress
    from dora_metrics.pipeline.report_issues import ReportRun
    from dora_metrics.pipeline.sync import Sync
    from dora_metrics.storage.branch import BranchStorage


@dataclass
class RunContext:
    """The outside of one run; `tell` is told what GitHub did not say, and why; `say` is the log."""

    given: Inputs
    pause: Callable[[float], None]
    tell: Callable[[Outcome], None]
    say: Callable[[str], None]
    _begun: "BranchStorage | None" = None

    def settle(self) -> Inputs:
        """All settings: the config file is the checkout's, else, where there is none, the default branch's.

        Raises:
            SettingsError: with every problem.
        """
        file = self.given.local_config()
        remote = self.client_wanted and self.given.run.repository != EVERY_REPOSITORY
        if file is None and remote and not self.given.has_checkout:
            file = self._remote_config()
        self.given = self.given.settled(file)
        if "_client" in self.__dict__:
            self._client.max_rate_limit_wait = self.given.settings.max_rate_limit_wait
        return self.given

    def ledger(self) -> Storage:
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
                return NoStorage()

    def ask(self, facts: tuple[Fact, ...], before: LedgerContents) -> tuple[Fact, ...]:
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
        return self._client.request_count if "_client" in self.__dict__ else 0

    @cached_property
    def _client(self) -> "Client":
        from dora_metrics.github.client import Client  # noqa: PLC0415 - a run without it need not wait for PyGithub

        token = self.given.settings.github_token
        most = self.given.settings.max_rate_limit_wait
        secret = token.get_secret_value() if token else ""
        return Client(secret, self.given.api_url, self.pause, max_rate_limit_wait=most, on_wait=self.say)

    @cached_property
    def _asker(self) -> Enricher:
        from dora_metrics.github.client import GitHubError  # noqa: PLC0415 - as above
        from dora_metrics.github.compare import RepositoryComparer  # noqa: PLC0415

        rules = policy_of(self.given.settings)
        history = RepositoryComparer(self._client, self.given.run.repository, rules.services)
        return Enricher(history, rules, GitHubError, self._unanswered)

    def _unanswered(self, problem: Exception) -> None:
        from dora_metrics.github.client import ForbiddenError, NotFoundError  # noqa: PLC0415 - as above

        lacking = isinstance(problem, ForbiddenError | NotFoundError)
        advice = "; give the job `permissions: contents: read` and `pull-requests: read`" if lacking else ""
        self.tell(Outcome("changes", "failed", f"GitHub did not say what was delivered: {problem}{advice}"))

    def _branch(self, place: str) -> Storage:
        if not self.client_wanted:
            raise LedgerError("ledger branch: no `github-token`, so only this event is known")
        if "@" not in place and self.given.run.repository == EVERY_REPOSITORY:
            raise LedgerError(f"ledger branch:{place}: of which repository? Say `--repository OWNER/NAME`")
        from dora_metrics.storage.branch import BranchStorage  # noqa: PLC0415 - as above

        branch, _, repository = place.partition("@")
        found = BranchStorage(self._client, repository or self.given.run.repository, branch, self.given.run.now)
        begun, self._begun = self._begun, None
        return begun if begun and begun.name == found.name else found

    def _remote_config(self) -> Layer | None:
        """The config file on the default branch, in one request with the ledger if that is a branch."""
        from dora_metrics.github.client import GitHubError  # noqa: PLC0415 - as above

        repository, path = self.given.run.repository, self.given.config
        try:
            found = self._begin(repository, path)
        except (GitHubError, LedgerError) as problem:
            self.tell(
                Outcome(
                    "config",
                    "skipped",
                    f"{path} cannot be read from the default branch, so only inputs count: {problem}",
                )
            )
            return None
        return None if found is None else loading.config_layer(path, found)

    @cached_property
    def reporting(self) -> "ReportRun | None":
        """The report issues; None where there is no token, no repository for them, or none is wanted."""
        given = self.given
        if not (self.client_wanted and given.settings.report) or given.run.repository == EVERY_REPOSITORY:
            return None
        from dora_metrics.github.issues import ReportIssueTracker  # noqa: PLC0415 - as above
        from dora_metrics.pipeline.report_issues import ReportRun  # noqa: PLC0415 - as above

        desk = ReportIssueTracker(self._client, given.run.repository, given.settings.report_labels)
        return ReportRun(desk, given.settings, given.run, given.work != "record", self._template)

    def _template(self, wanted: Path) -> str:
        """The report's template: the workspace's, else, without a checkout, the default branch's.

        Raises:
            OSError: if it cannot be read.
            TemplateError: if GitHub does not show it, or it lies elsewhere.
        """
        from dora_metrics.core.reports.render import TemplateError  # noqa: PLC0415 - as above
        from dora_metrics.github.client import GitHubError  # noqa: PLC0415 - as above
        from dora_metrics.github.repository import file_content, read_objects  # noqa: PLC0415 - as above
        from dora_metrics.pipeline.reports import read_template  # noqa: PLC0415 - as above

        given = self.given
        if given.has_checkout or os.path.lexists(given.workspace / wanted):
            return read_template(given.workspace, wanted)
        try:
            (found,) = read_objects(self._client, given.run.repository, [f"HEAD:{wanted.as_posix()}"])
            text = file_content(self._client, given.run.repository, found)
        except GitHubError as problem:
            raise TemplateError(f"GitHub does not show it on the default branch: {problem}") from None
        if text is None:
            raise FileNotFoundError
        return text.decode()

    def claim(self, before: LedgerContents) -> Mapping[str, bytes]:
        """The ledger's file by which this run claims the reports that are due."""
        return self.reporting.claim(before) if self.reporting else {}

    def sync(self, progress: "Progress") -> "Sync":
        """GitHub's past, to be recorded."""
        from dora_metrics.github.compare import RepositoryComparer  # noqa: PLC0415 - as above
        from dora_metrics.pipeline.sync import Sync  # noqa: PLC0415 - as above

        given = self.given
        services = policy_of(given.settings).services
        return Sync(
            client=self._client,
            settings=given.settings,
            run=given.run,
            history=lambda repository: RepositoryComparer(self._client, repository, services),
            tell=self.tell,
            progress=progress,
            claim=self.claim,
        )

    def _begin(self, repository: str, path: str) -> bytes | None:
        from dora_metrics.github.repository import file_content, read_objects  # noqa: PLC0415 - as above
        from dora_metrics.storage.branch import BranchStorage  # noqa: PLC0415 - as above

        if self.given.settings.ledger.startswith("branch:") and isinstance(ledger := self.ledger(), BranchStorage):
            self._begun = ledger
            return ledger.read_config_and_prefetch(repository, path)
        (found,) = read_objects(self._client, repository, [f"HEAD:{path}"])
        return file_content(self._client, repository, found)


def _directory(given: Inputs, root: Path) -> Storage:
    """A folder that would be written into the container would be gone with it."""
    if given.contained and not root.exists() and given.workspace.resolve() not in root.resolve().parents:
        raise LedgerError(
            f"dir:{root} is outside of what the container sees; name one in the workspace, or set `runtime: python`"
        )
    return DirectoryStorage(root)

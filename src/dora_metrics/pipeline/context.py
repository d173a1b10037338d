"""One run: what it was asked for, its settings, and its collaborators, each made once and only if it is needed."""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Change, Deployment, Fact, Repository
from dora_metrics.core.ledger.layout import ALL_MONTHS, LedgerContents, MonthSelection
from dora_metrics.core.ledger.view import months_needed
from dora_metrics.core.linking.former_names import RepositoryNames, observed_repository
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.repository_patterns import is_selected
from dora_metrics.core.scope import recorded_name
from dora_metrics.errors import LedgerError, SettingsError
from dora_metrics.github.observation import Run
from dora_metrics.github.runner import Runner
from dora_metrics.pipeline.clock import clock_problem
from dora_metrics.pipeline.inputs import NO_REPOSITORY, RunRequest
from dora_metrics.runtime import Runtime
from dora_metrics.settings import addresses
from dora_metrics.settings.loading import Layer, label, load_settings
from dora_metrics.settings.model import EVERY_REPOSITORY, Settings, default_text
from dora_metrics.sources.paths import exists
from dora_metrics.storage.base import NoStorage, Storage
from dora_metrics.storage.directory import DirectoryStorage

if TYPE_CHECKING:
    from dora_metrics.github.client import Client
    from dora_metrics.pipeline.commit_lookup import CommitLookup
    from dora_metrics.pipeline.enrich import Enricher
    from dora_metrics.pipeline.report_issues import ReportRun
    from dora_metrics.storage.branch import BranchStorage

Work = Literal["record", "sync", "rebuild"]

_SECONDS_TO_ENRICH, _SECONDS_TO_CHECK, _SECONDS_TO_RECORD, _SECONDS_TO_KEEP = 40, 55, 65, 85
"""How long an event waits in all, for GitHub and a health check: until nothing more is asked about its facts, until the
health check ends, until no further write is tried, and until its facts are kept because no ledger took them."""
_USUAL_CHECK_SECONDS = 60
"""Whoever sets a longer `health-check-timeout` than this wants to wait longer, which does not count."""

_DEFAULT_BRANCH = "default branch"
"""What the problems of its config file begin with where a checkout has one too."""


@dataclass
class RunContext:
    """Everything that the steps of one run share.

    Attributes:
        request: what was asked for.
        settings: of the flags, the inputs and the config file.
        runtime: environment, streams and clock.
        runner: the log and files of the workflow's step.
        outcomes: how each effect of the run went, in order.
    """

    request: RunRequest
    settings: Settings
    runtime: Runtime
    runner: Runner
    outcomes: list[Outcome] = field(default_factory=list)
    _prefetched: "BranchStorage | None" = None
    _name_in_event: str | None = None

    @classmethod
    def load(cls, request: RunRequest, runtime: Runtime, runner: Runner) -> Self:
        """Load all settings; the config file is the checkout's or, if it has none, the default branch's.

        Raises:
            SettingsError: with every problem.
            UnreadSettingsError: if GitHub does not show the default branch's file, where that matters.
        """
        context = cls(request, request.access_settings, runtime, runner)
        local = request.local_config()
        config = local or context._default_branch_config()
        context.settings = load_settings(request.with_config(config))
        if "client" in context.__dict__:
            context.client.max_rate_limit_wait = context.settings.max_rate_limit_wait
        if config and (local or request.is_by_hand) and not request.is_config_trusted:
            context._confine(config)
        context._ignore_unused_shard_ledgers()
        context._use_github_time()
        return context

    def _ignore_unused_shard_ledgers(self) -> None:
        """Forget the ledgers of shards in a run that reads an event or GitHub: it is about what it records."""
        if self.settings.shard_ledgers and self.work != "rebuild":
            self.settings = self.settings.model_copy(update={"shard_ledgers": ()})
            reason = "not read: only `mode: report` and `mode: rebuild` show other ledgers"
            self.note(Outcome(addresses.SHARD_LEDGERS, "skipped", reason))

    def _use_github_time(self) -> None:
        """Take GitHub's time for this run if this machine's clock cannot be right."""
        if not self.has_token or self.request.has_fixed_time:
            return
        self._prefetch_ledger()
        if self.work == "sync" and self._prefetched is None and self.client.started_at is None:
            self._ask_for_time()
        github_time = self.client.started_at if "client" in self.__dict__ else None
        problem = clock_problem(self.run.now, github_time)
        if github_time is None or not problem:
            return
        self.note(Outcome("clock", "failed", f"{problem}. This run uses GitHub's time; correct the runner's clock"))
        self.request = replace(self.request, run=replace(self.run, now=github_time))
        if self._prefetched:
            self._prefetched.now = github_time

    def _ask_for_time(self) -> None:
        """Let GitHub say what time it is, where no ledger is read from it: a sync reads up to the present."""
        from dora_metrics.github.client import GitHubError  # noqa: PLC0415 - as below

        with suppress(GitHubError):  # noted when the history is read
            self.client.query("Time", {})

    def _prefetch_ledger(self) -> None:
        """Read the ledger ahead if it is a branch, so that GitHub's time is known before anything depends on it."""
        from dora_metrics.storage.branch import BranchStorage  # noqa: PLC0415 - as below

        try:
            storage = self.storage()
        except LedgerError:  # reported when the ledger is opened
            return
        if not isinstance(storage, BranchStorage):
            return
        self._prefetched = storage
        with self.recording_time(is_persistent=True):
            storage.prefetch(self._needed_months)

    @property
    def _needed_months(self) -> MonthSelection:
        """The months of the ledger that this run reads; all if the window is wrong, which is reported elsewhere."""
        with suppress(ValueError):
            return months_needed(self.settings.window_spec, self.run.now, reads_everything=self.work != "record")
        return ALL_MONTHS

    def recording_time(self, *, is_persistent: bool) -> AbstractContextManager[None]:
        """Bound what an event asks GitHub for in the block, in which it records its facts or only shows them."""
        if self.work != "record" or "client" not in self.__dict__:
            return nullcontext()
        return self.client.until(_SECONDS_TO_RECORD if is_persistent else _SECONDS_TO_KEEP)

    @contextmanager
    def health_check_time(self) -> Iterator[float]:
        """Count a health check in the block as the event's time if GitHub has the ledger; enter with what it may take.

        Otherwise a check after a slow GitHub, and a slow GitHub after that, would add up.
        """
        if not self._is_ledger_on_github:
            yield math.inf
            return
        uncounted = max(0.0, self.settings.health_check_timeout.total_seconds() - _USUAL_CHECK_SECONDS)
        started = self.runtime.monotonic()
        try:
            yield max(0.0, _SECONDS_TO_CHECK - self.client.spent_seconds) + uncounted
        finally:
            self.client.spent_seconds += max(0.0, self.runtime.monotonic() - started - uncounted)

    def pause_between_writes(self, seconds: float) -> None:
        """Pause before the ledger is read and written again; at most as long as there is time for that."""
        if not self._is_ledger_on_github:
            self.runtime.sleep(seconds)
            return
        pause_seconds = min(seconds, self.client.seconds_left)
        self.client.spent_seconds += pause_seconds
        self.runtime.sleep(pause_seconds)

    @property
    def _is_ledger_on_github(self) -> bool:
        return self.has_token and self.settings.ledger.startswith("branch:")

    def _confine(self, config: Layer) -> None:
        """Take addresses that only a config file has, or lacks, from the default branch's file; note what is withheld.

        A checkout that lacks an address, such as that of an older commit, is no reason to miss a fact there for good.

        Raises:
            SettingsError: if only that file names a ledger elsewhere, or an address on the default branch is wrong.
            UnreadSettingsError: if GitHub does not show the file that it is compared with.
        """
        default_branch = self._compared_addresses(config)
        named = default_branch.values if default_branch else {}
        withheld = self._withheld_addresses(config, named)
        reason = partial(
            addresses.unconfirmed_reason,
            config_path=self.request.config_path,
            is_compared=default_branch is not None,
            is_by_hand=self.request.is_by_hand,
        )
        if addresses.LEDGER in withheld and self._is_elsewhere(self.settings.ledger):
            problem = "a ledger outside the workspace, in another repository or on another branch is not used"
            place = label(str(self.request.config_path), addresses.LEDGER)
            raise SettingsError(f"{place}: {problem}: {reason(addresses.LEDGER)}")
        if addresses.SHARD_LEDGERS in withheld:  # numbers without them would look complete
            problem = "ledgers outside the workspace, in another repository or on another branch are not read"
            place = label(str(self.request.config_path), addresses.SHARD_LEDGERS)
            raise SettingsError(f"{place}: {problem}: {reason(addresses.SHARD_LEDGERS)}")
        for address in withheld:
            self.note(addresses.withheld_outcome(address, reason(address)))
        layers = self.request.with_config(addresses.without_addresses(config, withheld))
        below = [addresses.usable_addresses(default_branch, layers)] if default_branch else []
        self.settings = load_settings((*below, *layers))

    def _compared_addresses(self, config: Layer) -> Layer | None:
        """The addresses in the default branch's file to compare a checkout's with; None without access to it.

        They are needed if an address in the checkout's file counts only with that of the default branch. If the ledger
        is on GitHub, reading them costs no request, and what the checkout's file lacks is taken from them. A run that
        needs them knows them, or ends: without them it would begin another ledger, or owe an endpoint nothing.

        A run by hand trusts the default branch no more than a checkout.
        """
        nothing = Layer(_DEFAULT_BRANCH, {})
        if self.request.is_by_hand:
            return nothing
        if not self._has_default_branch:
            return None
        if not (self._is_ledger_on_github or self._withheld_addresses(config, {})):
            return nothing
        return addresses.named_addresses(self._default_branch_layer() or nothing)

    def _default_branch_layer(self) -> Layer | None:
        """The config file of the default branch beside that of a checkout, from which its problems tell it apart."""
        try:
            config = self._read_default_branch_config()
        except SettingsError as error:
            raise SettingsError([f"{_DEFAULT_BRANCH}: {problem}" for problem in error.problems]) from None
        return config and replace(config, origin=f"{_DEFAULT_BRANCH}: {config.origin}")

    def _withheld_addresses(self, config: Layer, default_branch: Mapping[str, object]) -> Sequence[str]:
        unconfirmed = addresses.unconfirmed_addresses(config, self.request.layers, default_branch)
        return addresses.withheld_addresses(
            self.settings,
            unconfirmed - self._unused_addresses,
            is_ledger_used=self._is_elsewhere(self.settings.ledger) or addresses.LEDGER in default_branch,
        )

    @property
    def _unused_addresses(self) -> frozenset[str]:
        """What a run does not use: only a sync reads alerts and incidents, and only a rebuild or a report reads other
        ledgers. By hand, there is no event, and only a sync reads other repositories.
        """
        unused = set() if self.work == "sync" else {addresses.INCIDENTS, addresses.PROMETHEUS}
        if self.work != "rebuild" or not any(map(self._is_elsewhere, self.settings.shard_ledgers)):
            unused.add(addresses.SHARD_LEDGERS)
        if self.request.is_by_hand:
            unused |= {addresses.HEALTH_CHECK} | (set() if self.work == "sync" else {addresses.REPOSITORIES})
        return frozenset(unused)

    def _is_elsewhere(self, ledger: str) -> bool:
        """Whether a ledger is neither in the workspace nor on the usual branch of this run's repository."""
        kind, _, place = ledger.partition(":")
        if kind == "dir":
            return self.request.is_outside_workspace(self.request.workspace / place)
        is_usual = ledger.partition("@")[0] == default_text(addresses.LEDGER) and self._is_of_this_repository(ledger)
        return ledger != "none" and not is_usual

    @property
    def tenant(self) -> str:
        """The run's repository, if its ledger is on a branch of another one; otherwise empty."""
        is_guest = self._is_ledger_on_github and not self._is_of_this_repository(self.settings.ledger)
        return self.run.repository if is_guest else ""

    def _is_of_this_repository(self, ledger: str) -> bool:
        return ledger.partition("@")[2].lower() in ("", self.run.repository.lower())

    def use_payload_repository(self, repository: tuple[int, str] | None) -> None:
        """Take the number of this run's repository from its event, where the runner does not name it.

        A name in the event that differs from the runner's is a former one: the event is older than the rename.
        """
        if repository is None or self.run.repository_number not in (None, repository[0]):
            return
        self.request = replace(self.request, run=replace(self.run, repository_number=repository[0]))
        self._name_in_event = repository[1]

    def identify(self, names: RepositoryNames) -> tuple[Repository, ...]:
        """Return what this run adds to the known names of its repository."""
        number = self.run.repository_number
        if number is None:
            return ()
        record = observed_repository(
            names, number, self.run.repository, self.run.now, filter(None, [self._name_in_event])
        )
        return (record,) if record else ()

    def run_under_present_name(self, names: RepositoryNames) -> Run:
        """Return the run with the name by which the ledger knows its repository; by its number, if that is known."""
        number = self.run.repository_number
        repository = None if number is None else names.repositories.get(ids.repository(number))
        name = names.present_name_of(repository) if repository else names.present_name(self.run.repository)
        return replace(self.run, repository=name)

    def use_recorded_name(self, names: RepositoryNames, recorded: Iterable[str]) -> None:
        """Call this run's repository as the recorded scopes do, whatever case or former name a person typed."""
        run = self.run_under_present_name(names)
        self.request = replace(self.request, run=replace(run, repository=recorded_name(run.repository, recorded)))

    def note(self, outcome: Outcome) -> None:
        """Add an outcome, once however often a step is repeated."""
        if outcome not in self.outcomes:
            self.outcomes.append(outcome)

    @property
    def run(self) -> Run:
        return self.request.run

    @property
    def work(self) -> Work:
        """What this run is for. A job that names the environment it deployed to is an event, whatever started it."""
        match self.settings.mode:
            case "auto" if self.run.event in ("schedule", "workflow_dispatch") and self.settings.environment is None:
                return "sync"
            case "auto":
                return "record"
            case "sync":
                return "sync"
            case _:
                return "rebuild"

    @property
    def subject_repository(self) -> str:
        """The repository that the numbers are about; `EVERY_REPOSITORY` for a ledger of several."""
        return EVERY_REPOSITORY if self.settings.covers_several_repositories else self.run.repository

    @property
    def has_token(self) -> bool:
        return self.settings.github_token is not None

    @property
    def request_count(self) -> int:
        """How many requests were sent to GitHub so far."""
        return self.client.request_count if "client" in self.__dict__ else 0

    @cached_property
    def client(self) -> "Client":
        from dora_metrics.github.client import Client  # noqa: PLC0415 - a run without a token sends nothing

        token = self.settings.github_token
        return Client(
            token.get_secret_value() if token else "",
            self.request.api_url,
            self.runtime.sleep,
            max_rate_limit_wait=self.settings.max_rate_limit_wait,
            on_wait=self.runner.info,
            monotonic=self.runtime.monotonic,
            repository_numbers={self.run.repository.lower(): number} if (number := self.run.repository_number) else {},
        )

    def storage(self) -> Storage:
        """The storage that the setting `ledger` names.

        Raises:
            LedgerError: if a workflow has no token for a branch, or a container would not keep the folder.
            SettingsError: if a command line lacks the token or the repository of a branch.
        """
        return self.storage_of(self.settings.ledger)

    def place_of(self, ledger: str) -> tuple[str, ...]:
        """Return where a ledger is: equal for the same ledger in other words."""
        kind, _, place = ledger.partition(":")
        if kind == "dir":
            return kind, str((self.request.workspace / place).resolve())
        branch, _, repository = place.partition("@")
        return kind, branch, (repository or self.run.repository).casefold()

    def storage_of(self, ledger: str) -> Storage:
        """Return the storage of a ledger, the run's own or another one; see `storage` for the errors."""
        kind, _, place = ledger.partition(":")
        match kind:
            case "dir":
                return self._directory(self.request.workspace / place)
            case "branch":
                return self._branch(place)
            case _:
                return NoStorage()

    def _directory(self, root: Path) -> Storage:
        is_in_workspace = self.request.workspace.resolve() in root.resolve().parents
        if self.request.is_in_container and not exists(root) and not is_in_workspace:
            raise LedgerError(
                f"dir:{root} is not visible in the container; use a folder in the workspace or set `runtime: python`"
            )
        return DirectoryStorage(root)

    def _branch(self, place: str) -> Storage:
        if self.request.is_by_hand and (problems := list(self._missing_for_branch(place))):
            raise SettingsError(problems)
        if not self.has_token:
            raise LedgerError("ledger branch: no `github-token`, so earlier facts are unknown")
        from dora_metrics.storage.branch import BranchStorage  # noqa: PLC0415 - most local runs have no branch

        branch, _, repository = place.partition("@")
        storage = BranchStorage(
            self.client, repository or self.run.repository, branch, self.run.now, has_job=self.run.has_job
        )
        if self._prefetched is None or self._prefetched.name != storage.name:
            return storage
        prefetched, self._prefetched = self._prefetched, None
        return prefetched

    def _missing_for_branch(self, place: str) -> Iterator[str]:
        """Yield what a command line lacks for a ledger on a branch."""
        if not self.has_token:
            access = "read" if self.request.is_read_only else "read and write"
            yield (
                "GITHUB_TOKEN is not set, so the ledger's branch cannot be read. "
                f"Set it to a token that can {access} the branch, or use --ledger dir:PATH."
            )
        if "@" in place or self.run.repository != EVERY_REPOSITORY:
            return
        if self.work == "sync" and not self.settings.repositories:
            yield NO_REPOSITORY
        else:
            yield (
                "The repository of the ledger's branch is not set. Pass --repository OWNER/NAME, or use "
                f"--ledger branch:{place}@OWNER/NAME or --ledger dir:PATH."
            )

    def _default_branch_config(self) -> Layer | None:
        """The config file of the default branch, for a run whose checkout has none; None if there is none."""
        if self.request.has_unread_config:
            reason = "the file in the workspace is ignored, because git has written nothing there since this job began"
            self.note(Outcome(self.request.config_path, "skipped", reason))
        if self.request.has_config_outside or self.request.is_folder_of_person or not self._has_default_branch:
            return None
        return self._read_default_branch_config()

    @property
    def _has_default_branch(self) -> bool:
        return self.has_token and self.run.repository != EVERY_REPOSITORY

    def _read_default_branch_config(self) -> Layer | None:
        """Read the config file of the default branch, in one request with the ledger if that is a branch.

        Raises:
            SettingsError: if it cannot be used.
            UnreadSettingsError: if GitHub does not show it.
        """
        from dora_metrics.pipeline.default_branch import read_default_branch_config  # noqa: PLC0415 - as above
        from dora_metrics.storage.branch import BranchStorage  # noqa: PLC0415 - as above

        ledger = self._readable_ledger
        storage = self.storage_of(ledger) if ledger.startswith("branch:") else None
        self._prefetched = storage if isinstance(storage, BranchStorage) else None
        return read_default_branch_config(
            self.client,
            self.run,
            self.request.config_path_on_default_branch,
            self._prefetched,
            self._needed_months,
        )

    @property
    def _readable_ledger(self) -> str:
        """The ledger to read while the default branch's file is unknown: none elsewhere that only a checkout names."""
        settings = self.settings if self._is_of_this_repository(self.settings.ledger) else self.request.access_settings
        return settings.ledger

    def _default_branch_file(self, path: str, check_size: Callable[[int], None]) -> bytes | None:
        from dora_metrics.github.repository import file_content, is_file, read_objects  # noqa: PLC0415 - as above

        (git_object,) = read_objects(self.client, self.run.repository, [f"HEAD:{path}"])
        if is_file(git_object):
            check_size(git_object.get("byteSize", 0))
        return file_content(self.client, self.run.repository, git_object)

    def enrich(self, facts: tuple[Fact, ...], contents: LedgerContents) -> tuple[Fact, ...]:
        """Return the facts with what GitHub adds to them in time; unchanged without a token.

        Facts of a repository that this run does not cover stay as they are: the token may not read it.
        """
        if not (self.has_token and any(isinstance(fact, Deployment | Change) for fact in facts)):
            return facts
        own_name = self.run_under_present_name(contents.names).repository.casefold()
        repositories = {fact.repository for fact in facts if fact.repository.casefold() != own_name}
        with self.client.until(_SECONDS_TO_ENRICH):
            own = tuple(fact for fact in facts if fact.repository not in repositories)
            enriched = self._enricher_of(self.run.repository)(own, contents) if own else own
            for repository in sorted(repositories):
                others = tuple(fact for fact in facts if fact.repository == repository)
                covers = is_selected(repository, self.settings.repositories)
                enriched += self._enricher_of(repository)(others, contents) if covers else others
            return enriched

    def full_sha(self, repository: str, digits: str, contents: LedgerContents) -> str | None:
        """Return the commit whose sha begins with some digits; None if it is not known, or if there are several."""
        return self._commit_lookup.full_sha(repository, digits, contents.facts)

    @cached_property
    def _commit_lookup(self) -> "CommitLookup":
        from dora_metrics.github.repository import commit_beginning_with  # noqa: PLC0415 - as above
        from dora_metrics.pipeline.commit_lookup import CommitLookup  # noqa: PLC0415 - few runs complete a sha

        def ask(repository: str, digits: str) -> str | None:
            with self.client.until(_SECONDS_TO_ENRICH):
                return commit_beginning_with(self.client, repository, digits)

        def may_ask(repository: str) -> bool:
            is_own = repository.casefold() == self.run.repository.casefold()
            return self.has_token and (is_own or is_selected(repository, self.settings.repositories))

        return CommitLookup(ask, may_ask, self.note)

    def _enricher_of(self, repository: str) -> "Enricher":
        if repository not in self._enrichers:
            self._enrichers[repository] = self._make_enricher(repository)
        return self._enrichers[repository]

    @cached_property
    def _enrichers(self) -> "dict[str, Enricher]":
        return {}

    def _make_enricher(self, repository: str) -> "Enricher":
        from dora_metrics.github.compare import RepositoryComparer  # noqa: PLC0415 - as above
        from dora_metrics.github.jobs import RepositoryJobs  # noqa: PLC0415 - as above
        from dora_metrics.pipeline.enrich import Enricher  # noqa: PLC0415 - as above

        comparer = RepositoryComparer(self.client, repository, self.settings.policy.services)
        jobs = RepositoryJobs(self.client, repository)
        return Enricher(comparer, self.settings.policy, self.note, jobs)

    def claim_reports(self, contents: LedgerContents) -> Mapping[str, bytes]:
        """The ledger's file with this run's claims on the reports that are due."""
        return self.report_run.claim(contents) if self.report_run else {}

    @cached_property
    def report_run(self) -> "ReportRun | None":
        """The report issues of this run; None without a token, a repository for them, or a report that is on."""
        if not (self.has_token and self.settings.report) or self.run.repository == EVERY_REPOSITORY:
            return None
        from dora_metrics.github.issues import ReportIssueTracker  # noqa: PLC0415 - as above
        from dora_metrics.pipeline.report_issues import ReportRun  # noqa: PLC0415 - as above

        tracker = ReportIssueTracker(self.client, self.run.repository, self.settings.report_labels)
        is_requested = self.work != "record"
        return ReportRun(tracker, self.settings, self.run, is_requested, self.read_template, self.runtime.monotonic)

    def read_template(self, path: Path) -> str:
        """Read a template of the user's from the default branch; for a person who starts the run, from the folder.

        A checkout may be a pull request's, and a template is Markdown that is not escaped.

        Raises:
            OSError: if it cannot be read.
            TemplateError: if GitHub does not show it, or the path leads out of the workspace.
        """
        from dora_metrics.core.reports.sandbox import TemplateError  # noqa: PLC0415 - as above
        from dora_metrics.github.client import GitHubError  # noqa: PLC0415 - as above
        from dora_metrics.pipeline.user_templates import check_template_size, read_template  # noqa: PLC0415 - as above

        if self.request.is_by_hand and os.path.lexists(self.request.workspace / path):
            return read_template(self.request.workspace, path)
        try:
            content = self._default_branch_file(path.as_posix(), check_template_size)
        except GitHubError as error:
            raise TemplateError(f"GitHub does not show it on the default branch: {error}") from None
        if content is None:
            raise FileNotFoundError
        return content.decode()

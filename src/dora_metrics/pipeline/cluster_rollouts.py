"""Deployments by GitOps tools, from the files of `kubernetes`, beside what a run records of its event or of GitHub."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from dora_metrics.core import formatting
from dora_metrics.core.facts.merge import CLOCK_SKEW
from dora_metrics.core.facts.model import EPOCH, Deployment, Fact
from dora_metrics.core.gitops.commits import FullSha
from dora_metrics.core.gitops.deployments import NewDeployments, completed_deployments, new_deployments
from dora_metrics.core.gitops.occurrence import Occurrence
from dora_metrics.core.gitops.rollouts import rollout_of
from dora_metrics.core.gitops.targets import GitOpsTargets
from dora_metrics.core.ledger.layout import LedgerContents, plan_merge
from dora_metrics.core.linking.former_names import RepositoryNames
from dora_metrics.core.outcome import Outcome
from dora_metrics.github import text
from dora_metrics.github.events.observe import prepare_fact
from dora_metrics.github.observation import Observation, Run
from dora_metrics.pipeline.context import RunContext
from dora_metrics.pipeline.inputs import RunRequest
from dora_metrics.pipeline.record import RecordRequest
from dora_metrics.settings.model import EVERY_REPOSITORY, Settings
from dora_metrics.sources.kubernetes.files import ClusterFile, read_file
from dora_metrics.sources.kubernetes.read import ClusterReading, read_cluster

OUTCOME = "kubernetes"

_MAX_NAMED, _MAX_KINDS = 5, 10
_MAX_SHOWN, _MAX_NOTE_LENGTH = 100, 300


def with_cluster(request: RecordRequest, context: RunContext) -> RecordRequest:
    """Return the request of a run that also records what the files of `kubernetes` say."""
    if context.request.is_of_fork:
        context.note(Outcome(OUTCOME, "skipped", "a run for a pull request from a fork reads no cluster"))
        return request
    if context.work == "rebuild":
        context.note(Outcome(OUTCOME, "skipped", "this run records nothing; a sync or an event reads the files"))
        return request
    files = [_read_named(name, context.request) for name in context.settings.kubernetes]
    rollouts = ClusterRollouts.of(files, context.settings, context.run)
    for outcome in rollouts.outcomes:
        context.note(outcome)
    return (_with_sync if context.work == "sync" else _with_event)(request, rollouts, context)


def _read_named(name: str, request: RunRequest) -> ClusterFile:
    """Read a file that the workflow names, from its workspace."""
    path = request.workspace / name
    if request.is_in_container and not _is_shared(path, request):
        problem = "not visible in the container; write it into the workspace or into RUNNER_TEMP"
        return ClusterFile(name, problem=problem)
    return read_file(name, path)


def _is_shared(path: Path, request: RunRequest) -> bool:
    """Whether a path is in one of the folders of the runner that the container has."""
    folders = [folder for folder in (request.workspace, request.temporary_folder) if folder]
    return any(path.resolve().is_relative_to(folder.resolve()) for folder in folders)


def _with_sync(request: RecordRequest, rollouts: "ClusterRollouts", context: RunContext) -> RecordRequest:
    """Read the cluster before GitHub's history, so that the history links its deployments to changes."""

    def with_new_facts(contents: LedgerContents) -> tuple[NewDeployments, LedgerContents]:
        new = _new_to(contents, contents.facts, rollouts, context)
        return new, plan_merge(contents, new.deployments).after if new.deployments else contents

    def observe(contents: LedgerContents) -> Observation:
        new, contents_with_new = with_new_facts(contents)
        return rollouts.added_to(request.observe(contents_with_new), new)

    return replace(
        request,
        observe=observe,
        read_in_steps=lambda contents: request.read_in_steps(with_new_facts(contents)[1]),
    )


def _with_event(request: RecordRequest, rollouts: "ClusterRollouts", context: RunContext) -> RecordRequest:
    """Read the cluster after the event, which may report one of its rollouts."""

    def observe(contents: LedgerContents) -> Observation:
        observation = request.observe(contents)
        new = _new_to(contents, [*contents.facts, *observation.facts], rollouts, context)
        added = rollouts.added_to(observation, new)
        return replace(added, may_repeat_since=EPOCH) if _is_any_unknown(new, contents) else added

    return replace(request, observe=observe)


def _new_to(
    contents: LedgerContents, recorded: Iterable[Fact], rollouts: "ClusterRollouts", context: RunContext
) -> NewDeployments:
    run = context.run_under_present_name(contents.names)
    full_sha: FullSha = lambda repository, digits: context.full_sha(repository, digits, contents)  # noqa: E731
    return rollouts.new_to(recorded, contents.names, run, full_sha)


def _is_any_unknown(new: NewDeployments, contents: LedgerContents) -> bool:
    """Whether a deployment is the first one of its object in what was read of the ledger."""
    recorded = (rollout_of(fact) for fact in contents.facts if isinstance(fact, Deployment))
    recorded_keys = {rollout.key for rollout in recorded if rollout}
    return any(rollout.key not in recorded_keys for each in new.deployments if (rollout := rollout_of(each)))


@dataclass(frozen=True)
class ClusterRollouts:
    """What the objects in some files say, for one run.

    Attributes:
        files: the files.
        reading: what their objects say.
        settings: what the objects deploy.
        run: the workflow run, or that of a command line.
    """

    files: tuple[ClusterFile, ...]
    reading: ClusterReading
    settings: Settings
    run: Run

    @classmethod
    def of(cls, files: Iterable[ClusterFile], settings: Settings, run: Run) -> "ClusterRollouts":
        """Read the objects of files together."""
        files = tuple(files)
        objects = (each for file in files for each in file.objects)
        return cls(files, read_cluster(objects, run.now, run.server_url), settings, run)

    def new_to(self, recorded: Iterable[Fact], names: RepositoryNames, run: Run, full_sha: FullSha) -> NewDeployments:
        """Return the deployments that are not recorded yet, with notes for readers.

        Args:
            recorded: the ledger's facts.
            names: those of repositories in it.
            run: the run, under the present name of its repository.
            full_sha: completes an abbreviated sha.
        """
        deployments = [fact for fact in recorded if isinstance(fact, Deployment)]
        occurrences = [
            _under_present_name(each, names) for each in self.reading.occurrences if not self._is_early(each)
        ]
        targets = GitOpsTargets.parse(self.settings.gitops)
        new = new_deployments(occurrences, deployments, targets, run.repository, full_sha)
        completed = completed_deployments(occurrences, deployments, targets, run.repository, full_sha)
        placed = tuple(each for each in new.deployments if each.repository != EVERY_REPOSITORY)
        prepared = tuple(prepare_fact(each, self.settings) for each in (*placed, *completed))
        notes = (*new.notes, *_placeless_notes(len(new.deployments) - len(placed)), *self._time_notes(placed))
        return replace(new, deployments=prepared, notes=tuple(text.one_line(note)[:_MAX_NOTE_LENGTH] for note in notes))

    def added_to(self, observation: Observation, new: NewDeployments) -> Observation:
        """Return what a run observed, with what is new in the cluster."""
        observed_ids = {fact.id for fact in observation.facts}
        added = tuple(each for each in new.deployments if each.id not in observed_ids)
        count = formatting.count(len(new.deployments), "deployment")
        news = f"{count} read from the cluster" if new.deployments else ""
        return observation.with_more(added, news, (*new.notes, *self.notes))

    @property
    def notes(self) -> tuple[str, ...]:
        """What readers must know about what was read."""
        early_count = sum(map(self._is_early, self.reading.occurrences))
        return (*_cut_notes(self.files), *_early_notes(early_count), *self.reading.partly_read[:_MAX_NAMED])

    @property
    def outcomes(self) -> Iterator[Outcome]:
        """How the reading of the files went."""
        for file in self.files:
            if file.problem:
                unread = "its deployments are unread, which does not mean that there were none"
                yield Outcome(OUTCOME, "failed", f"{_shown(file.name)}: {file.problem}; {unread}")
        if self.reading.unread:
            yield Outcome(OUTCOME, "failed", _unread_text(self.reading.unread))
        if any(not (file.problem or file.is_empty) for file in self.files):
            yield self._reading_outcome
        elif absent := [file.name for file in self.files if file.is_empty]:
            yield Outcome(OUTCOME, "skipped", f"the cluster was not asked: {_names(absent)} absent or empty")

    @property
    def _reading_outcome(self) -> Outcome:
        read = [file.name for file in self.files if not (file.problem or file.is_empty)]
        absent = [file.name for file in self.files if file.is_empty]
        reading, places = self.reading, formatting.join_with_and([_shown(name) for name in read])
        if not (reading.read_counts or reading.unknown_counts or reading.unread):
            doubt = "kubectl also writes an empty list if it may not read a kind, and then it ends with an error"
            return Outcome(
                OUTCOME, "skipped", f"no objects in {places}, which does not mean that there are none: {doubt}"
            )
        parts = (
            f"{_counts(reading.read_counts) or 'no object of a kind that deploys'} read from {places}",
            f"no rollout has ended in {_counts(reading.idle_counts)}" if reading.idle_counts else "",
            f"other kinds: {_counts(reading.unknown_counts)}" if reading.unknown_counts else "",
            f"not asked for: {_names(absent)} absent or empty" if absent else "",
        )
        return Outcome(OUTCOME, "done", "; ".join(filter(None, parts)))

    def _is_early(self, occurrence: Occurrence) -> bool:
        """Whether a rollout ends in the future, by the clock of this run."""
        return occurrence.finished_at > self.run.now + CLOCK_SKEW

    def _time_notes(self, new: Iterable[Deployment]) -> Iterator[str]:
        """Yield a note on the deployments that have the time of the reading, since their objects keep none."""
        undated = {
            (each.deployer.path, each.finished_at) for each in self.reading.occurrences if each.is_time_of_asking
        }
        dated = sorted(
            {
                rollout.key.path
                for each in new
                if (rollout := rollout_of(each)) and (rollout.key.path, each.finished_at) in undated
            }
        )
        if dated:
            objects = formatting.join_first(dated, _MAX_NAMED)
            yield f"{objects} {'does' if len(dated) == 1 else 'do'} not say when; the time of the reading counts"


def _under_present_name(occurrence: Occurrence, names: RepositoryNames) -> Occurrence:
    name = occurrence.source_repository
    commits = tuple((names.present_name(each), sha) for each, sha in occurrence.source_commits)
    return replace(occurrence, source_repository=names.present_name(name) if name else None, source_commits=commits)


def _placeless_notes(count: int) -> Iterator[str]:
    if count:
        rollouts = formatting.count_are(count, "rollout")
        yield f"{rollouts} not recorded, because nothing says of which repository; name it in `gitops`"


def _early_notes(count: int) -> Iterator[str]:
    if count:
        yield f"{formatting.count_are(count, 'rollout')} not recorded, because the end is in the future; check clocks"


def _cut_notes(files: Iterable[ClusterFile]) -> Iterator[str]:
    """Yield a note for each page that the cluster has more objects for."""
    for file in files:
        if file.is_cut:
            advice = "use `kubectl get -o json`, which asks for all pages, or a larger `limit`"
            yield f"{_shown(file.name)} is only a part of the objects, because the page was cut off; {advice}"


def _unread_text(unread: Sequence[str]) -> str:
    count = formatting.count(len(unread), "object")
    others = f"; and {len(unread) - _MAX_NAMED} more" if len(unread) > _MAX_NAMED else ""
    return f"{count} of another shape than documented, which {'is' if len(unread) == 1 else 'are'} set aside: " + (
        "; ".join(text.one_line(each) for each in unread[:_MAX_NAMED]) + others
    )


def _counts(counts: Mapping[str, int]) -> str:
    """`2 Kustomization, 1 Canary`, by number."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{number:,} {text.one_line(name)[:_MAX_SHOWN]}" for name, number in ordered[:_MAX_KINDS]]
    return ", ".join([*shown, *(["others"] if len(ordered) > _MAX_KINDS else [])])


def _names(names: Sequence[str]) -> str:
    return f"{formatting.join_with_and([_shown(name) for name in names])} {'is' if len(names) == 1 else 'are'}"


def _shown(name: str) -> str:
    return text.one_line(name)[:_MAX_SHOWN]

"""Reads files of cluster objects: the entry point. It says what ended, what did not, and what it could not read."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.core.gitops.occurrence import NoOccurrence, Occurrence
from dora_metrics.core.json_errors import UNREADABLE_JSON
from dora_metrics.core.markdown import storable
from dora_metrics.sources.kubernetes.application import read_application
from dora_metrics.sources.kubernetes.artefacts import SOURCE_KINDS, Artefact, Artefacts, SourceKey, read_source
from dora_metrics.sources.kubernetes.canary import read_canary
from dora_metrics.sources.kubernetes.files import ObjectText, name_in
from dora_metrics.sources.kubernetes.helm_release import read_helm_release
from dora_metrics.sources.kubernetes.kustomization import read_kustomization
from dora_metrics.sources.kubernetes.objects import ClusterView, ObjectReader, PartlyRead, usable
from dora_metrics.sources.kubernetes.rollout import read_rollout

_READERS: Mapping[tuple[str, str], ObjectReader] = {
    ("kustomize.toolkit.fluxcd.io", "Kustomization"): read_kustomization,
    ("helm.toolkit.fluxcd.io", "HelmRelease"): read_helm_release,
    ("flagger.app", "Canary"): read_canary,
    ("argoproj.io", "Application"): read_application,
    ("argoproj.io", "Rollout"): read_rollout,
}
_SOURCE_GROUP = "source.toolkit.fluxcd.io"


class ClusterReading(Struct, frozen=True):
    """What the objects say.

    Attributes:
        occurrences: the rollouts that ended.
        read_counts: how many objects of each kind were read, those of sources among them.
        idle_counts: how many of these say nothing about a rollout that ended, by kind and reason.
        unknown_counts: how many objects of each other kind there are.
        unread: which objects have another shape than documented, and what is wrong with each.
        partly_read: which objects say more than is read, and what is left out of each.
    """

    occurrences: tuple[Occurrence, ...]
    read_counts: Mapping[str, int]
    idle_counts: Mapping[str, int]
    unknown_counts: Mapping[str, int]
    unread: tuple[str, ...]
    partly_read: tuple[str, ...]


@dataclass
class _ObjectReadings:
    """Collects what objects say."""

    at: datetime
    server_url: str
    occurrences: list[Occurrence] = field(default_factory=list)
    read_counts: Counter[str] = field(default_factory=Counter)
    idle_counts: Counter[str] = field(default_factory=Counter)
    unknown_counts: Counter[str] = field(default_factory=Counter)
    unread: list[str] = field(default_factory=list)
    partly_read: list[str] = field(default_factory=list)
    sources: dict[SourceKey, Artefact] = field(default_factory=dict)

    def add_source(self, text: ObjectText) -> None:
        """Read a source, which later objects refer to."""
        with self._named_problems(text):
            key, artefact = read_source(text.kind, text.text, self.server_url)
            self.sources[key] = artefact
            self.read_counts[text.kind] += 1

    def add_deployer(self, text: ObjectText, read: ObjectReader) -> None:
        """Read an object that deploys something."""
        with self._named_problems(text):
            read_at = min(usable(text.written_at) or self.at, self.at)
            reading = read(text.text, ClusterView(read_at, Artefacts(self.sources, self.server_url)))
            self.read_counts[text.kind] += 1
            if isinstance(reading, NoOccurrence):
                self.idle_counts[f"{text.kind}: {reading.reason}"] += 1
                return
            if isinstance(reading, PartlyRead):
                self.partly_read.append(f"{text.kind} {name_in(text.text)}: {reading.left_out}")
                reading = reading.occurrences
            self.occurrences += map(_storable, reading)

    @contextmanager
    def _named_problems(self, text: ObjectText) -> Iterator[None]:
        try:
            yield
        except UNREADABLE_JSON as error:
            self.unread.append(f"{text.kind} {name_in(text.text)}: {_problem_text(error)}")

    @property
    def result(self) -> ClusterReading:
        counts = (self.read_counts, self.idle_counts, self.unknown_counts)
        return ClusterReading(tuple(self.occurrences), *counts, tuple(self.unread), tuple(self.partly_read))


def read_cluster(objects: Iterable[ObjectText], at: datetime, server_url: str) -> ClusterReading:
    """Read the objects of all files together: a source may be in another file than what refers to it.

    Args:
        objects: in any order.
        at: when the files are read. The cluster was read when a file was written, or now if nobody knows when.
        server_url: the run's GitHub, whose repositories are recognised by the addresses of sources.
    """
    objects = list(objects)
    reading = _ObjectReadings(at, server_url)
    for each in objects:
        if _is_source(each):
            reading.add_source(each)
    for each in objects:
        if read := _READERS.get((each.group, each.kind)):
            reading.add_deployer(each, read)
        elif not _is_source(each):
            reading.unknown_counts[each.kind or "no kind"] += 1
    return reading.result


def _storable(occurrence: Occurrence) -> Occurrence:
    """Return a rollout whose texts can be stored in facts."""
    version = storable(occurrence.version) if occurrence.version else None
    return replace(occurrence, revision=storable(occurrence.revision), version=version)


def _is_source(each: ObjectText) -> bool:
    return each.group == _SOURCE_GROUP and each.kind in SOURCE_KINDS


def _problem_text(error: Exception) -> str:
    """Return what is wrong with an object; of a text that lacks a form not the form, which is an expression."""
    text = str(error)
    return f"Kubernetes has no such text{text[text.index(' - at') :]}" if "matching regex" in text else text

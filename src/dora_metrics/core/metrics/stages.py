"""How lead time divides into stages, and what hides them.

A stage that equals the whole lead time because the others are unknown is not the slowest one. So stages are compared
only over changes of which all are known, and only if these are at least half of the changes.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from msgspec import Struct

from dora_metrics.core import formatting, schema
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Change
from dora_metrics.core.metrics.lead_time import MeasuredChange, is_squash_without_branch, seconds_by_stage
from dora_metrics.core.statistics import quantile

STAGE_NAMES = {
    "coding": "coding",
    "pickup": "waiting for review",
    "review": "review",
    "delivery": "waiting for deployment",
}
"""What each stage is called wherever people read it."""

_STAGE_SPANS = {
    "coding": "from the first commit to the pull request",
    "review": "from the opening of the pull request to its merge",
    "delivery": "from merge to deployment",
}

MIN_CHANGES = 3
"""With fewer changes nothing is said about their stages."""

_ALL_STAGES = ("coding", "review", "delivery")
_STAGES_BY_START: dict[str, tuple[str, ...]] = {
    "first-commit": _ALL_STAGES,
    "commit": _ALL_STAGES,
    "opened": ("review", "delivery"),
    "merged": ("delivery",),
}
"""The stages that make up the lead time, by value of the setting `lead-time-start`."""


class StageBreakdown(Struct, frozen=True, dict=True):
    """The stages of the changes in a window.

    `stages` make up the lead time. `complete` are the changes of which all of these are known, `incomplete` the others.
    """

    stages: tuple[str, ...]
    complete: Sequence[MeasuredChange]
    incomplete: Sequence[MeasuredChange]

    @property
    def change_count(self) -> int:
        return len(self.complete) + len(self.incomplete)

    @property
    def is_comparable(self) -> bool:
        """Whether enough is known to say which stage takes longest."""
        return self._are_most_complete and len(self.stages) > 1 and self.median_seconds(self.longest_stage) > 0

    @property
    def _are_most_complete(self) -> bool:
        """Whether all stages are known of enough changes, and of at least half."""
        return len(self.complete) >= max(MIN_CHANGES, len(self.incomplete))

    @property
    def longest_stage(self) -> str:
        """The stage with the largest median. Sums are not compared, because one old branch would decide."""
        return max(self.stages, key=self.median_seconds)

    @property
    def has_dominant_stage(self) -> bool:
        """Whether the stages can be compared, and the longest takes at least as long as all others together."""
        if not self.is_comparable:
            return False
        return self.median_seconds(self.longest_stage) >= sum(map(self.median_seconds, self._other_stages))

    @property
    def _other_stages(self) -> list[str]:
        return [stage for stage in self.stages if stage != self.longest_stage]

    def longest_stage_text(self) -> str:
        """Return `20 h from merge to deployment (coding 2 h, review 3 h; medians of 34 changes)`."""
        others = ", ".join(f"{STAGE_NAMES[stage]} {self._median_text(stage)}" for stage in self._other_stages)
        known_count = f"{len(self.complete):,} of " if self.incomplete else ""
        changes = formatting.count(self.change_count, "change")
        longest = f"{self._median_text(self.longest_stage)} {_STAGE_SPANS[self.longest_stage]}"
        return f"{longest} ({others}; medians of {known_count}{changes})"

    def _median_text(self, stage: str) -> str:
        return formatting.duration(self.median_seconds(stage))

    def median_seconds(self, stage: str) -> float:
        return self._median_seconds[stage]

    @cached_property
    def _median_seconds(self) -> dict[str, float]:
        """By stage, of the complete changes."""
        values = {stage: sorted(seconds_by_stage(change)[stage] for change in self.complete) for stage in self.stages}
        return {stage: quantile(seconds, 0.5) for stage, seconds in values.items()}

    def hidden_stages_text(self) -> str:
        """Say what hides the stages of the incomplete changes: `12 of 15 changes were squash-merged, which …`.

        Empty for too few changes, and if enough stages are known or there is only one.
        """
        if self.change_count < MIN_CHANGES or len(self.stages) == 1 or self._are_most_complete:
            return ""
        kinds = [_kind(change.stage_source) for change in self.incomplete]
        counts = dict(Counter(kinds).most_common())
        return "; ".join(self._kind_texts(counts))

    def _kind_texts(self, counts: dict[str, int]) -> Iterator[str]:
        for position, (kind, count) in enumerate(counts.items()):
            singular, plural = _HIDDEN_STAGE_TEXTS[kind]
            of_changes = "" if position else f" of {self.change_count:,} changes"
            if count < self.change_count:
                yield f"{count:,}{of_changes} {singular if count == 1 else plural}"
            elif kind == "unopened":
                yield f"none of the {count:,} changes has a record of when its pull request was opened"
            else:
                yield f"all {count:,} changes {plural}"


_HIDDEN_STAGE_TEXTS = {
    "squash": (
        "was squash-merged, which hides when coding began",
        "were squash-merged, which hides when coding began",
    ),
    "direct": (
        "is a commit without a pull request, so it has no coding or review stage",
        "are commits without a pull request, so they have no coding or review stage",
    ),
    "unopened": (
        "has no record of when its pull request was opened",
        "have no record of when their pull requests were opened",
    ),
    "unclear": (
        "has stages that are not recorded, or not in order",
        "have stages that are not recorded, or not in order",
    ),
}
"""By kind of change, in singular and plural: why its stages are not all known."""


def median_seconds_by_stage(stages: schema.Stages) -> dict[str, float]:
    """Return the median of each stage with a known one.

    Empty if only the wait for deployment has one: nothing tells how much of it the stages before it took.
    """
    medians = {stage: getattr(stages, stage).p50_seconds for stage in STAGE_NAMES}
    known = {stage: seconds for stage, seconds in medians.items() if seconds is not None}
    return {} if known.keys() == {"delivery"} else known


def _kind(change: Change | None) -> str:
    if change is None:
        return "unclear"
    if ids.is_commit(change.id):
        return "direct"
    if is_squash_without_branch(change):
        return "squash"
    return "unopened" if change.opened_at is None else "unclear"


def break_down_stages(changes: Iterable[MeasuredChange], lead_time_start: str) -> StageBreakdown:
    """Divide lead time into stages; with `lead-time-start: commit`, the lead time of each change's first commit."""
    stages = _STAGES_BY_START[lead_time_start]
    complete: list[MeasuredChange] = []
    incomplete: list[MeasuredChange] = []
    for change in changes:
        if change.stage_source is not None:
            is_complete = not ids.is_commit(change.change_id) and seconds_by_stage(change).keys() >= set(stages)
            (complete if is_complete else incomplete).append(change)
    return StageBreakdown(stages, complete, incomplete)

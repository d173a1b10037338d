"""The policy: every setting that metrics depend on."""

import hashlib
import re
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from dora_metrics.core.names import PRODUCTION_NAMES, ProductionNames
from dora_metrics.core.scope import Scope
from dora_metrics.core.services import Services
from dora_metrics.core.targets.benchmarks import NEWEST_MONOTONE, Benchmark, published_benchmark
from dora_metrics.core.targets.goals import GoalSpec

if TYPE_CHECKING:  # most repositories set none
    from dora_metrics.core.teams import Teams

RULES_EDITION = 7
"""Raised whenever a rule changes what the same facts and settings count as, so that old checkpoints are discarded."""

DAY = timedelta(hours=24)
_DISPLAY_ONLY_FIELDS = ("zone", "benchmark", "goals", "teams")
"""Fields of `Policy` that change how results are shown, and no total or failure."""

FAILURE_RULES = ("explicit", "rollback", "revert", "hotfix", "incident", "health-check")
"""The rules that the setting `failure-rules` can name."""


@dataclass(frozen=True)
class Policy:
    """The settings that facts are evaluated by. Defaults are those of the settings."""

    production_environments: tuple[str, ...] = PRODUCTION_NAMES
    failure_rules: frozenset[str] = frozenset(FAILURE_RULES)
    count_failed_runs: bool = False
    incident_window: timedelta = DAY
    hotfix_labels: tuple[str, ...] = ("hotfix",)
    hotfix_branches: tuple[str, ...] = ("hotfix/", "hotfix-")
    hotfix_window: timedelta = DAY
    lead_time_start: str = "first-commit"
    exclude_bots: bool = True
    zone: ZoneInfo = ZoneInfo("UTC")
    benchmark: Benchmark = field(default_factory=lambda: published_benchmark(NEWEST_MONOTONE))
    services: Services = field(default_factory=Services)
    goals: tuple[GoalSpec, ...] = ()
    deploy_workflows: tuple[str, ...] = ()
    teams: "Teams | None" = None

    @property
    def fingerprint(self) -> str:
        """A hash of what totals and failures depend on: the fields, and `RULES_EDITION`.

        Checkpoints made by another policy, or by other rules, are discarded.

        Renaming a field here, or in `Services`, changes it and costs every ledger one full read.
        """
        names = [each.name for each in fields(self) if each.name not in _DISPLAY_ONLY_FIELDS]
        values = {name: getattr(self, name) for name in names}
        plain = {name: sorted(value) if isinstance(value, frozenset) else value for name, value in values.items()}
        return hashlib.sha256(repr((RULES_EDITION, plain)).encode()).hexdigest()[:16]

    def team_of(self, scope: Scope) -> str | None:
        """Return the team that a scope belongs to by the setting `teams`; None if it belongs to none."""
        return self.teams.team_of(scope) if self.teams else None

    def is_production(self, environment: str) -> bool:
        """Return whether an environment is production by the words in its name."""
        if environment not in self._is_production_by_name:
            self._is_production_by_name[environment] = self._production_names.fit(environment)
        return self._is_production_by_name[environment]

    @cached_property
    def _production_names(self) -> ProductionNames:
        return ProductionNames.of(self.production_environments)

    @cached_property
    def _is_production_by_name(self) -> dict[str, bool]:
        """What `is_production` has returned; most facts have one of a few environments."""
        return {}

    @cached_property
    def folded_hotfix_labels(self) -> frozenset[str]:
        """The hotfix labels, casefolded for comparison."""
        return frozenset(label.casefold() for label in self.hotfix_labels)

    @cached_property
    def folded_hotfix_branches(self) -> tuple[str, ...]:
        """The hotfix branch prefixes, casefolded for comparison."""
        return tuple(prefix.casefold() for prefix in self.hotfix_branches)

    @cached_property
    def hotfix_title_pattern(self) -> re.Pattern[str]:
        """Matches titles that begin with a hotfix label as a word: `hotfix: …`, not `hotfixes …`.

        The label `hotfix` may be two words if a colon follows: `hot fix: …`, `hot-fix(cart): …`.
        """
        labels = "|".join(re.escape(label) for label in self.hotfix_labels) or "(?!)"
        two_words = r"|hot[ -]fix(?:\([^)]*\))?!?:" if "hotfix" in self.folded_hotfix_labels else ""
        return re.compile(rf"\s*(?:(?:{labels})(?!\w){two_words})", re.IGNORECASE)

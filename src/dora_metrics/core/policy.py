"""What the numbers depend on besides the facts: the settings that the pure part reads."""

import hashlib
import re
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from dora_metrics.core.services import Services
from dora_metrics.core.targets.benchmarks import NEWEST_MONOTONE, Benchmark, published_benchmark
from dora_metrics.core.targets.goals import GoalSpec

DAY = timedelta(hours=24)
_DISPLAY_ONLY_FIELDS = ("zone", "benchmark", "goals")
FAILURE_RULES = ("explicit", "rollback", "revert", "hotfix", "incident", "health-check")


@dataclass(frozen=True)
class Policy:
    """One reading of the facts; the defaults are those of the settings."""

    production_environments: tuple[str, ...] = ("production", "prod", "live", "prd")
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

    @property
    def fingerprint(self) -> str:
        """The same for policies that judge facts alike, whatever they show of them."""
        values_by_field = {
            policy_field.name: getattr(self, policy_field.name)
            for policy_field in fields(self)
            if policy_field.name not in _DISPLAY_ONLY_FIELDS
        }
        sorted_values = {
            name: sorted(value) if isinstance(value, frozenset) else value for name, value in values_by_field.items()
        }
        return hashlib.sha256(repr(sorted_values).encode()).hexdigest()[:16]

    def is_production(self, environment: str) -> bool:
        """Whether an environment is one of the production names, or such a name with a suffix."""
        return self._production_pattern.fullmatch(environment) is not None

    @cached_property
    def _production_pattern(self) -> re.Pattern[str]:
        names = "|".join(re.escape(name) for name in self.production_environments) or "(?!)"
        return re.compile(rf"(?:{names})(?:[-/_.].+)?", re.IGNORECASE | re.DOTALL)

    @cached_property
    def folded_hotfix_labels(self) -> frozenset[str]:
        return frozenset(label.casefold() for label in self.hotfix_labels)

    @cached_property
    def folded_hotfix_branches(self) -> tuple[str, ...]:
        return tuple(prefix.casefold() for prefix in self.hotfix_branches)

    @cached_property
    def hotfix_title_pattern(self) -> re.Pattern[str]:
        """A title that begins with a hotfix label as a word: `hotfix: …`, not `hotfixes …`."""
        labels = "|".join(re.escape(label) for label in self.hotfix_labels) or "(?!)"
        return re.compile(rf"\s*(?:{labels})(?!\w)", re.IGNORECASE)

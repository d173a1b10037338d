"""Facts and settings become numbers: what `compute` and an action run have in common."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from dora_metrics import __version__
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.metrics.comparison import Subject, verdicts
from dora_metrics.core.metrics.document import document
from dora_metrics.core.metrics.scope_history import Record, judge_all
from dora_metrics.core.metrics.totals import Totals, totals
from dora_metrics.core.reports.prometheus import Families
from dora_metrics.core.scope import Scope
from dora_metrics.core.targets.thresholds import Judged, Seen, judge
from dora_metrics.errors import SettingsError
from dora_metrics.settings.model import Settings, policy


def subject_of(facts: Iterable[Fact], settings: Settings, now: datetime, notes: Sequence[str] = ()) -> Subject:
    """The numbers of these facts, as of `now`.

    Raises:
        SettingsError: if the window cannot be.
    """
    rules, spec = policy(settings), settings.window_spec
    records = judge_all(facts, rules)
    try:
        return Subject(records, document(records, rules, spec, now, notes), spec, rules, now)
    except ValueError as problem:
        raise SettingsError(f"window: {problem}") from None


def judged(subject: Subject, settings: Settings, scopes: Iterable[Scope]) -> Judged:
    """The thresholds of the settings on the numbers of some scopes."""
    if not (settings.fail_on or settings.warn_on):
        return Judged()
    records = {record.scope: record for record in subject.records.records}
    found = ((scope, subject.scope(scope)) for scope in scopes)
    seen = [
        Seen(scope, one.metrics, one.previous, verdicts(subject, records[scope], one)) for scope, one in found if one
    ]
    return judge(settings.fail_on, settings.warn_on, seen)


def rules_of(settings: Settings) -> str:
    """A name for everything that totals are judged by: the settings that matter, and this version."""
    return f"{__version__} {policy(settings).fingerprint}"


def totals_of(subject: Subject, facts: Iterable[Fact]) -> Totals:
    """What is counted of the facts that the subject was made from."""
    return totals(subject.records.records, facts, subject.policy)


def families_of(subject: Subject, found: Totals, sequence: int | None, repository: str | None = None) -> Families:
    """The Prometheus families of a repository, or of all."""
    records = [record for record in subject.records.records if repository in (None, record.scope.repository)]
    wanted = Counter({s: number for s, number in found.items() if repository in (None, s.scope.repository)})
    return Families(records, wanted, subject.policy, subject.now, sequence, __version__)


def latest_of(records: Sequence[Record]) -> Record | None:
    """The scope that was deployed last, else any that there is."""
    deployed = [record for record in records if record.deployments]
    if deployed:
        return max(deployed, key=lambda record: record.deployments[-1].finished_at)
    return records[0] if records else None

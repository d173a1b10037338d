"""What shapes are made from: the facts of golden cases and of anything else, evaluated as in a run."""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from dora_metrics.core.facts.jsonl import decode_lines
from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident, Vulnerability
from dora_metrics.core.shapes.shape import ShapeInput
from dora_metrics.pipeline.evaluate import cumulative_totals, evaluate, prometheus_families
from dora_metrics.settings.model import Settings
from support.golden_cases import load_case
from support.runs import run_action

REPOSITORY = "acme/shop"


def shape_input(
    facts: Iterable[Fact], now: datetime, owed: Iterable[Fact] | None = None, **settings: object
) -> ShapeInput:
    """The input of a shape after a run at `now`; all facts are owed unless others are named."""
    known = list(facts)
    results = evaluate([fact for fact in known if not fact.retracted], Settings.model_validate(settings), now)
    families = prometheus_families(results, cumulative_totals(results, known), 7)
    return ShapeInput(
        repository=REPOSITORY,
        event="deployment_status",
        facts=known if owed is None else list(owed),
        reports=(),
        results=results,
        families=families,
    )


@cache
def golden_input(name: str) -> ShapeInput:
    """The input of a shape after the run of a golden case, if every fact is owed."""
    case = load_case(name)
    with TemporaryDirectory() as folder:
        case.write_ledger(Path(folder))
        run_action(Path(folder), case.event, case.payload, case.inputs, now=case.now)
        facts = recorded_facts(Path(folder) / "ledger")
    return shape_input(facts, case.now)


def recorded_facts(ledger: Path) -> list[Fact]:
    """The facts in a ledger's folder; one without facts has none."""
    records = [
        record for path in sorted(ledger.glob("facts/**/*.jsonl")) for record in decode_lines(path.read_bytes())[0]
    ]
    return [record for record in records if isinstance(record, Deployment | Change | Incident | Vulnerability)]

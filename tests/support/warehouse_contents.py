"""What a ledger has for a warehouse, made from a few deployments, and a run that sends it to a fake BigQuery."""

from collections.abc import Collection, Iterable

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.rows.judged import JudgedFacts
from dora_metrics.pipeline.warehouse import contents_of
from dora_metrics.runtime import Deadline, HttpLimits
from dora_metrics.settings.model import Settings
from dora_metrics.sinks.bigquery.contents import Contents
from dora_metrics.sinks.bigquery.warehouse import BigQuery, DatasetName
from fakes.bigquery import NAME, TOKEN, FakeBigQuery
from support.sink_payloads import NOW, deployment

LIMITS = HttpLimits(connect_seconds=2, read_seconds=10, tries=2, pause_seconds=0)
LEDGER = "branch:dora-metrics@acme/shop"
PARTS = ("facts", "rows", "metrics")


def deployments(repository: str, count: int, **fields: object) -> list[Fact]:
    """Deployments of a repository, one a day until yesterday."""
    return [
        deployment(number, count - number + 1, repository=repository, id=f"test:{repository}:{number}", **fields)
        for number in range(1, count + 1)
    ]


def contents(
    facts: Iterable[Fact],
    sequence: int = 1,
    parts: Collection[str] = PARTS,
    ledger: str = LEDGER,
    **settings: object,
) -> Contents:
    """Everything that a warehouse should have of some facts."""
    fact_list, made = list(facts), Settings.model_validate(settings)
    evaluation = evaluate_facts(fact_list, made.policy)
    judged = JudgedFacts.of(evaluation, fact_list, made.policy, made.window_spec, NOW)
    return contents_of(judged, parts, ledger, sequence)


def sink_to(fake: FakeBigQuery, limits: HttpLimits = LIMITS, token: str = TOKEN, dataset: str = NAME) -> BigQuery:
    return BigQuery(DatasetName.of(dataset), token, None, limits, Deadline(limits.warehouse_seconds), fake.url)


def send(fake: FakeBigQuery, sent: Contents) -> Outcome:
    fake.forget_requests()
    return sink_to(fake).send(sent)

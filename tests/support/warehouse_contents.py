"""What a ledger has for a warehouse, made from a few deployments, and a run that sends it to a fake BigQuery."""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.linking.former_names import RepositoryNames, observed_repository
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.rows.judged import JudgedFacts
from dora_metrics.pipeline.warehouse import SentLedger, contents_of
from dora_metrics.runtime import Deadline, HttpLimits
from dora_metrics.settings.model import Settings
from dora_metrics.sinks.bigquery.contents import Contents
from dora_metrics.sinks.bigquery.warehouse import BigQuery, DatasetName
from fakes.bigquery import NAME, TOKEN, FakeBigQuery
from support.sink_payloads import NOW, deployment

LIMITS = HttpLimits(connect_seconds=2, read_seconds=10, tries=2, pause_seconds=0)
LEDGER = "branch:dora-metrics@acme/shop"
PARTS = ("facts", "rows", "metrics")
NO_NUMBERS: Mapping[str, int] = MappingProxyType({})


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
    numbers: Mapping[str, int] = NO_NUMBERS,
    **settings: object,
) -> Contents:
    """Everything that a warehouse should have of some facts; `numbers` are GitHub's of the repositories, by name."""
    fact_list, made = list(facts), Settings.model_validate({"warehouse": list(parts), **settings})
    evaluation = evaluate_facts(fact_list, made.policy)
    judged = JudgedFacts.of(evaluation, fact_list, made.policy, made.window_spec, NOW)
    records = (observed_repository(RepositoryNames(), number, name, NOW) for name, number in numbers.items())
    names = RepositoryNames.of(record for record in records if record)
    return contents_of(judged, made, SentLedger(ledger, sequence, names))


def sink_to(fake: FakeBigQuery, limits: HttpLimits = LIMITS, token: str = TOKEN, dataset: str = NAME) -> BigQuery:
    return BigQuery(DatasetName.of(dataset), token, None, limits, Deadline(limits.warehouse_seconds), fake.url)


def send(fake: FakeBigQuery, sent: Contents) -> Outcome:
    fake.forget_requests()
    return sink_to(fake).send(sent)

"""What shapes are made from, for facts that an endpoint is owed."""

from collections.abc import Iterable, Sequence

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.reports.periodic.page_address import PageAddress
from dora_metrics.core.shapes.shape import OwedReport, ShapeInput
from dora_metrics.pipeline.evaluate import cumulative_totals, evaluate, prometheus_families
from dora_metrics.settings.model import Settings
from support.facts import at


def shape_input_of(*facts: Fact, known: Iterable[Fact] = (), reports: Sequence[OwedReport] = ()) -> ShapeInput:
    """The input for facts that are owed, where the ledger has these and `known`."""
    all_facts = [*facts, *known]
    results = evaluate(all_facts, Settings(), at("04-01"))
    families = prometheus_families(results, cumulative_totals(results, all_facts), None)
    return ShapeInput(
        "acme/shop", "deployment_status", facts, reports, results, families, PageAddress("https://acme.example/dora/")
    )

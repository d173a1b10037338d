"""A Prometheus whose store was filled with the metrics of the past, as docs/monitoring.md says to do it."""

import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from io import BytesIO, StringIO
from pathlib import Path

from dora_metrics.cli import run
from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.reports.openmetrics import END
from dora_metrics.runtime import Runtime
from support.servers import Prometheus, prometheus
from support.tools import require_tool

NOBODY = "http://127.0.0.1:9"
"""A target that nobody serves: such a Prometheus has only what was put into its store."""


def past_text(facts: Iterable[Fact], now: datetime, since: str, *options: str) -> str:
    """What `compute --format openmetrics` prints."""
    lines, out, errors = b"".join(encode_fact(fact) + b"\n" for fact in facts), StringIO(), StringIO()
    command = ["compute", "--facts", "-", "--format", "openmetrics", "--now", now.isoformat(), "--since", since]
    assert run([*command, *options], Runtime({}, BytesIO(lines), out, errors, now, lambda _: None)) == 0, errors
    return out.getvalue()


def with_samples(text: str, samples: Iterable[str], at: datetime) -> str:
    """The text with further gauges, such as those that a Pushgateway adds, each with a sample at one time."""
    lines = (f"# TYPE {sample.partition('{')[0]} gauge\n{sample} {at.timestamp():.0f}\n" for sample in samples)
    return text.removesuffix(END) + "".join(lines) + END


@contextmanager
def filled_prometheus(folder: Path, *texts: str) -> Iterator[Prometheus]:
    """Start a Prometheus that holds the samples of these texts, and scrapes nothing."""
    for number, text in enumerate(texts):
        file = folder / f"{number}.om"
        file.write_text(text, "utf-8")
        options = ["create-blocks-from", "--max-block-duration=4800h", "openmetrics", str(file), str(folder / "tsdb")]
        subprocess.run([str(require_tool("promtool")), "tsdb", *options], check=True, capture_output=True)
    with prometheus(folder, NOBODY, "--storage.tsdb.retention.time=100y") as server:
        yield server

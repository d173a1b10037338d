"""Runs that record facts in a folder and send them to several endpoints."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.ledger.outbox import DEFAULT_ENDPOINT, read_outbox
from dora_metrics.core.outcome import Outcome
from dora_metrics.pipeline.deliver import deliver
from dora_metrics.pipeline.plan import RunResult
from dora_metrics.runtime import HttpLimits
from dora_metrics.settings.model import Settings
from dora_metrics.storage.base import Storage
from dora_metrics.storage.directory import DirectoryStorage
from support import events
from support.fake_endpoint import FakeEndpoint
from support.ledger_writer import record_facts
from support.servers import listening

PATIENT_LIMITS = HttpLimits(tries=2, pause_seconds=0)
"""Of a busy machine, whose answers are late and not lost."""


@dataclass
class EndpointRuns:
    """Runs of acme/shop on one ledger, and the endpoints that they send to.

    Attributes:
        folder: of the ledger.
        fakes: the endpoints by name.
        options: what the setting says of named endpoints besides name and address.
        inputs: other settings.
        names: the endpoints in the settings of the next run.
    """

    folder: Path
    fakes: Mapping[str, FakeEndpoint]
    options: dict[str, Mapping[str, object]] = field(default_factory=dict)
    inputs: dict[str, object] = field(default_factory=dict)
    storage: Storage = field(init=False)
    names: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.storage = DirectoryStorage(self.folder)
        self.names = list(self.fakes)

    @property
    def settings(self) -> Settings:
        entries = [
            {"name": name, "url": self.fakes[name].url, **self.options.get(name, {})}
            for name in self.names
            if name != DEFAULT_ENDPOINT
        ]
        single = {"endpoint-url": self.fakes[DEFAULT_ENDPOINT].url} if DEFAULT_ENDPOINT in self.names else {}
        return Settings.model_validate({**single, "endpoints": entries, **self.inputs})

    def record(self, *facts: Fact) -> RunResult:
        """Record facts, up to the point where sinks are called."""
        return record_facts(self.storage, *facts, run=events.make_run("push"), settings=self.settings)

    def deliver(
        self, recorded: RunResult, *, has_time: bool = False, limits: HttpLimits = PATIENT_LIMITS
    ) -> dict[str, Outcome]:
        """Send what is owed; return the outcome of each sink by name."""
        run = events.make_run("push")
        outcomes = deliver(recorded, self.settings, run, limits, read_template=Path.read_text, has_time=has_time)
        return {outcome.name: outcome for outcome in outcomes}

    def run(self, *facts: Fact, has_time: bool = False) -> dict[str, Outcome]:
        """Record facts and send what is owed."""
        return self.deliver(self.record(*facts), has_time=has_time)

    def owed_ids(self, name: str) -> list[str]:
        """The ids of what an endpoint is owed, oldest first."""
        return [entry.id for entry in read_outbox(self.storage.read().files).get(name, [])]


def started(stack: ExitStack, folder: Path, *names: str) -> EndpointRuns:
    """Start an endpoint of each name, for as long as the stack lasts."""
    return EndpointRuns(folder, {name: stack.enter_context(listening(FakeEndpoint())) for name in names})

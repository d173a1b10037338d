"""Runs that record facts in a folder and send them to several endpoints."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.ledger.outbox import read_outbox
from dora_metrics.core.outcome import Outcome
from dora_metrics.pipeline.deliver import deliver
from dora_metrics.pipeline.plan import RunResult
from dora_metrics.runtime import HttpLimits
from dora_metrics.settings.endpoints import EndpointSettings
from dora_metrics.settings.model import Settings
from dora_metrics.storage.base import Storage
from dora_metrics.storage.directory import DirectoryStorage
from support import events
from support.fake_endpoint import FakeEndpoint
from support.ledger_writer import record_facts
from support.servers import listening


PATIENT_LIMITS = HttpLimits(tries=2, pause_seconds=0)
"""Of a busy machine, whose answers are late and not lost."""


def settings_with(endpoints: Iterable[EndpointSettings], **inputs: object) -> Settings:
    """Settings with these endpoints, as a config file and the tokens would make them."""
    settings = Settings.model_validate(inputs)
    settings.__dict__["all_endpoints"] = tuple(endpoints)
    return settings


@dataclass
class EndpointRuns:
    """Runs of acme/shop on one ledger, and the endpoints that they send to.

    Attributes:
        folder: of the ledger.
        fakes: the endpoints by name.
        templates: the shape of each endpoint; `dora` if it is not named.
        names: the endpoints in the settings of the next run.
    """

    folder: Path
    fakes: Mapping[str, FakeEndpoint]
    templates: Mapping[str, str] = field(default_factory=dict)
    storage: Storage = field(init=False)
    names: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.storage = DirectoryStorage(self.folder)
        self.names = list(self.fakes)

    @property
    def settings(self) -> Settings:
        return settings_with(
            EndpointSettings(name, self.fakes[name].url, self.templates.get(name, "dora")) for name in self.names
        )

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


def started(stack: ExitStack, folder: Path, *names: str, **templates: str) -> EndpointRuns:
    """Start an endpoint of each name, for as long as the stack lasts."""
    fakes = {name: stack.enter_context(listening(FakeEndpoint())) for name in names}
    return EndpointRuns(folder, fakes, templates)

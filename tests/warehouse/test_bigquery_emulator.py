"""From an empty project to the numbers of `compute`: Terraform's tables, our loads, our views, Google's own client.

`make emulator` installs what this needs. The emulator takes a job's name twice, so the fake BigQuery tests that.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from dora_metrics.core.linking.former_names import RepositoryNames, observed_repository
from dora_metrics.core.policy import Policy
from dora_metrics.core.rows.judged import JudgedFacts
from dora_metrics.core.windows import Window, parse_window
from dora_metrics.pipeline.warehouse import SentLedger, contents_of
from dora_metrics.runtime import Deadline
from dora_metrics.settings.model import Settings
from dora_metrics.sinks.bigquery.warehouse import BigQuery, DatasetName
from support.paths import ROOT
from support.servers import free_port, running
from support.sink_payloads import NOW
from support.tools import leave_out
from support.warehouse import Database, Question, Row, compare, differing, view_texts
from support.warehouse_contents import LEDGER, LIMITS, deployments
from support.warehouse_questions import QUESTIONS

PYTHON = ROOT / "build" / "emulator" / "bin" / "python"
PROJECT, DATASET = "acme-metrics", "dora"
NAME = f"{PROJECT}.{DATASET}"

pytestmark = pytest.mark.emulator


class Emulated(Database):
    """A dataset in the emulator: filled by our sink, read by Google's client."""

    def __init__(self, address: str, client: "subprocess.Popen[str]") -> None:
        self._address, self._client = address, client
        self.question: Question | None = None
        self.sequence = 0

    def load(self, folder: Path) -> None:  # noqa: ARG002 - rows come from the question itself, through the sink
        assert self.question
        self.send(self.question)

    def send(self, question: Question) -> str:
        self.sequence += 1
        return self.send_from(question, SentLedger(LEDGER, self.sequence, RepositoryNames()))

    def send_from(self, question: Question, ledger: SentLedger) -> str:
        judged = JudgedFacts.of(
            question.evaluation, question.facts, question.policy, question.window_spec, question.now
        )
        sink = BigQuery(DatasetName(PROJECT, DATASET), "any", None, LIMITS, Deadline(300), self._address)
        outcome = sink.send(contents_of(judged, Settings(), ledger))
        assert outcome.status == "done", outcome
        return outcome.detail

    def select(self, query: str) -> list[Row]:
        stdin, stdout = self._client.stdin, self._client.stdout
        assert stdin
        assert stdout
        stdin.write(json.dumps(query) + "\n")
        stdin.flush()
        rows: list[Row] = json.loads(stdout.readline())
        return rows

    def call(self, function: str, window: Window, now: datetime, columns: str = "*") -> list[Row]:
        times = ", ".join(f"TIMESTAMP '{moment}'" for moment in (window.start, window.end, now))
        return self.select(f"SELECT {columns} FROM `{NAME}.{function}`({times})")


@contextmanager
def google_client(address: str) -> Iterator["subprocess.Popen[str]"]:
    script = ROOT / "tests" / "support" / "google_client.py"
    tables = ROOT / "terraform" / "tables.json"
    command = [str(PYTHON), str(script), address, PROJECT, DATASET, str(tables)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def without_reserved_words(view: str) -> str:
    """Rename the arguments of a table function: the emulator does not quote them, and `from` is a word of SQL."""
    return re.sub(r"`(from|to|now)`", r"window_\1", view)


@contextmanager
def emulator(folder: Path) -> Iterator[Emulated]:
    if not PYTHON.exists():
        leave_out("the emulator of BigQuery is not installed; `make emulator` installs it")
    port, log = free_port(), folder / "emulator.log"
    script = ROOT / "tests" / "support" / "start_bigquery_emulator.py"
    options = ("start", "--rest-port", str(port), "--grpc-port", str(free_port()), "--log-level", "error")
    address = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        stack.enter_context(
            running([str(PYTHON), str(script), *options], address, log, f"/bigquery/v2/projects/{PROJECT}/datasets")
        )
        dataset = Emulated(address, stack.enter_context(google_client(address)))
        for text in view_texts("bigquery"):
            dataset.select(without_reserved_words(text).replace("${dataset}", NAME))
        yield dataset


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    with emulator(tmp_path_factory.mktemp("emulator")) as dataset:
        yield dataset


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_number_is_that_of_compute(emulated: Emulated, name: str, tmp_path: Path) -> None:
    """Each question replaces the rows of the one before."""
    emulated.question = QUESTIONS[name]()
    assert not differing(compare(emulated.question, emulated, tmp_path))
    assert emulated.send(emulated.question) == "nothing has changed; 0 rows sent"


def test_a_repository_that_another_ledger_has_under_another_name_is_taken_over(tmp_path: Path) -> None:
    """The statements that compare two ledgers and look for what is there twice are accepted too."""
    policy = Policy()
    with emulator(tmp_path) as dataset:
        for ledger, name, count in (("branch:a", "acme/api", 3), ("branch:b", "acme/core", 4)):
            renamed = [replace(fact, repository=name) for fact in deployments("acme/any", count)]
            question = Question(renamed, policy, parse_window("30d", policy.zone), NOW)
            record = observed_repository(RepositoryNames(), 12, name, NOW)
            dataset.send_from(question, SentLedger(ledger, 1, RepositoryNames.of(filter(None, [record]))))
        rows = dataset.select(f"SELECT repository FROM `{NAME}.deployments`")
    assert [row["repository"] for row in rows] == ["acme/core"] * 4

"""Facts with everything that a view counts or leaves out, and the questions that are asked of them."""

from collections.abc import Callable, Mapping
from functools import partial
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

from dora_metrics.commands.demo import NOW
from dora_metrics.core.facts.model import Commit, Fact
from dora_metrics.core.policy import Policy
from dora_metrics.core.teams import Teams
from dora_metrics.core.windows import parse_instant, parse_window
from dora_metrics.sources import fact_files
from support.facts import MARCH, at, change, deployment, deployment_id, failed_deployment, incident, pull_id, sha
from support.paths import ROOT
from support.warehouse import Question

SAMPLE = ROOT / "src" / "dora_metrics" / "sample" / "ledger"
TEAMS = Teams.parse({"checkout": ["acme/shop"], "platform": ["acme/api"]})

_REVIEWED = {"opened_at": "03-01T06:00", "first_review_at": "03-01T09:00", "merged_at": "03-02T12:00"}
BUSY: tuple[Fact, ...] = (
    failed_deployment(14, "02-25T09:00"),
    deployment(1, "02-26T10:00", changes=[1]),
    deployment(2, "03-01T00:00", changes=[2], commit_count=3),
    deployment(3, "03-05T12:00", changes=[3, 4], version="v3"),
    failed_deployment(4, "03-06T09:00"),
    failed_deployment(5, "03-06T10:00"),
    deployment(6, "03-06T12:00", remediates=deployment_id(3)),
    deployment(7, "03-12T09:00", changes=[5, 6, 7]),
    deployment(8, "03-13T09:00", status="cancelled"),
    deployment(9, "03-19T12:00", changes=[8], version="v9"),
    deployment(10, "03-25T10:00", changes=[9, 10, 11]),
    deployment(11, "03-25T15:00"),
    failed_deployment(12, "03-30T10:00", reached_users=True),
    deployment(13, "04-01T00:00", changes=[12]),
    change(1),
    change(2, "02-28"),
    change(3, "03-01", **_REVIEWED),
    change(4, "03-02", opened_at="03-02T06:00", merged_at="03-04"),
    change(5, "03-01", bot=True),
    change(6, None),
    change(7, "03-20"),
    change(8, "03-10", **_REVIEWED),
    change(9, "03-24"),
    change(10, "03-24T12:00", opened_at="03-24T13:00", first_review_at="03-24T20:00", merged_at="03-25"),
    change(11, "03-25T09:00"),
    change(12),
    incident(20, "03-05T13:00", resolved_at="03-05T15:30", deployment="v3"),
    incident(21, "03-19T13:00", deployment="v9"),
    incident(22, "03-10T12:00", resolved_at="03-11"),
    incident(23, "02-27T12:00", resolved_at="03-02"),
    incident(24, "03-25T11:00", resolved_at="03-25T10:30"),
    incident(25, "03-28T12:00", resolved_at="04-02"),
    deployment(201, "03-04T09:00", repository="acme/api", service="api"),
    deployment(202, "03-20T09:00", repository="acme/api", service="api", changes=["github:pull:acme/api#1"]),
    deployment(203, "03-21T09:00", repository="acme/api", service="api"),
    change(101, "03-11", id="github:pull:acme/api#1", repository="acme/api", service="api"),
    incident(26, "03-21T10:00", resolved_at="03-21T19:00", repository="acme/api", service="api"),
    deployment(301, "02-10T09:00", repository="acme/tool", service="tool", source="git"),
    deployment(302, "03-11T09:00", repository="acme/tool", service="tool", source="git", changes=[201]),
    change(
        201,
        "03-10",
        repository="acme/tool",
        service="tool",
        source="git",
        commits=(Commit(sha(pull_id(201)), at("03-10")),),
    ),
    incident(27, "03-11T10:00", repository="acme/idle", service="idle"),
)


def facts_at(location: Path) -> list[Fact]:
    """The facts of a ledger; none if a run has begun none."""
    return fact_files.read(str(location), BytesIO()).facts if location.exists() else []


def sample(window: str) -> Question:
    policy = Policy(zone=ZoneInfo("Europe/Berlin"), teams=Teams.parse({"shop": "acme/shop"}))
    return Question(facts_at(SAMPLE), policy, parse_window(window, policy.zone), parse_instant(NOW))


def busy(window: str = MARCH, zone: str = "UTC", *, count_failed_runs: bool = False) -> Question:
    policy = Policy(zone=ZoneInfo(zone), teams=TEAMS, exclude_bots=True, count_failed_runs=count_failed_runs)
    return Question(BUSY, policy, parse_window(window, policy.zone), at("04-03"))


QUESTIONS: Mapping[str, Callable[[], Question]] = {
    "sample": partial(sample, "30d"),
    "sample of 90 days": partial(sample, "90d"),
    "whole sample": partial(sample, "all"),
    "busy": busy,
    "busy in Berlin": partial(busy, "30d", "Europe/Berlin"),
    "failed runs count": partial(busy, count_failed_runs=True),
    "all that is busy": partial(busy, "all"),
    "nothing yet": partial(busy, "2020-01-01..2020-02-01"),
}

"""A week in which Flux and Flagger deploy and PagerDuty pages, through the action, to five numbers worked out by hand.

| time | what happens |
|---|---|
| Monday 10:00 | Flux applies the first commit; earlier ones are not known, so its changes have no lead time |
| Tuesday 10:00 | Flux applies "Search", opened on Monday at 12:00: 22 h |
| Tuesday 11:00 to 13:00 | PagerDuty pages: "Search" failed, and was recovered 3 h after its deployment |
| Wednesday 10:00 | Flux applies "Prices", opened on Tuesday at 16:00: 18 h |
| Thursday 10:00 | Flagger rolls a canary back: a failure that reached users |
| Friday 10:00 | Flagger promotes the next canary, which recovers it after 24 h |
| Saturday 10:00 | Flux applies the revert of "Prices", opened at 8:00: 2 h. "Prices" had failed, for 72 h |
| Sunday 20:00 | a sync reads PagerDuty, the cluster and GitHub |
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.github import FakeGitHub
from fakes.incident_systems import TOKEN, FakePagerDuty
from support.cluster import FluxKustomization, canary
from support.gitops_events import flagger_hook, flux_event
from support.gitops_shop import GitOpsShop, cluster_time, hours
from support.runs import ActionRun
from support.servers import listening

DAY, HOUR = 24, 3600
MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = (DAY * number for number in range(7))


class Week:
    """Runs of acme/shop that Flux and Flagger start, and a sync."""

    def __init__(self, shop: GitOpsShop, pager: FakePagerDuty) -> None:
        self.shop, self.pager = shop, pager
        self.kustomization = FluxKustomization()
        services = {"Checkout": {"service": "shop", "environment": "production"}}
        shop.settings = {
            "gitops": {"flux-system/shop": {"service": "shop"}, "apps/shop": {"service": "shop"}},
            "incidents": [{"system": "pagerduty", "url": pager.url, "services": services}],
            "window": "7d",
        }

    def flux_applies(self, sha: str, number: float) -> ActionRun:
        """Let Flux apply a commit, and report it by itself."""
        self.kustomization.reconcile(sha, cluster_time(number))
        revision = f"main@sha1:{sha}"
        self.kustomization.history[0]["metadata"]["revision"] = revision
        self.kustomization.status |= {"lastAppliedRevision": revision, "lastAttemptedRevision": revision}
        about = {"kind": "Kustomization", "namespace": "flux-system", "name": "shop"}
        event = flux_event(
            reason="Progressing",
            message="Health check passed in 2.1s",
            involvedObject=about,
            timestamp=f"{cluster_time(number)}Z",
            metadata={"revision": revision},
        )
        return self.report(event, number)

    def flagger_ends(self, phase: str, spec: str, number: float) -> ActionRun:
        """Let Flagger end an analysis, and its load tester report that."""
        ended = {"lastAppliedSpec": spec, "lastTransitionTime": f"{cluster_time(number)}Z"}
        return self.report(flagger_hook(phase, **ended), number)

    def report(self, event: dict[str, Any], number: float) -> ActionRun:
        ran = self.shop.run("repository_dispatch", event, at=number + 0.1, kubernetes="")
        assert ran.code == 0, ran.log
        return ran

    def sync(self, number: float) -> ActionRun:
        """Read everything that there is to read."""
        self.pager.now = hours(number)
        self.shop.write_cluster(self.kustomization.object, canary("web-2", cluster_time(FRIDAY + 10)))
        tokens = f"pagerduty: {TOKEN}"
        ran = self.shop.run(at=number, strict="true", incident_tokens=tokens, incident_hosts=self.pager.host)
        assert ran.code == 0, ran.log
        return ran


@pytest.fixture
def week(tmp_path: Path) -> Iterator[Week]:
    with FakeGitHub(now=lambda: hours(SUNDAY + 21)) as github, listening(FakePagerDuty()) as pager:
        yield Week(GitOpsShop(github, tmp_path), pager)


def test_a_week_of_flux_flagger_and_pagerduty_gives_the_numbers_worked_out_by_hand(week: Week) -> None:
    shop = week.shop
    week.flux_applies(shop.first, MONDAY + 10)
    week.flux_applies(shop.merge("Search", MONDAY + 12, TUESDAY + 9), TUESDAY + 10)
    week.pager.add("Q1", hours(TUESDAY + 11), hours(TUESDAY + 13))
    week.flux_applies(shop.merge("Prices", TUESDAY + 16, WEDNESDAY + 9), WEDNESDAY + 10)
    assert "❌" in week.flagger_ends("Failed", "web-1", THURSDAY + 10).summary
    week.flagger_ends("Succeeded", "web-2", FRIDAY + 10)
    week.flux_applies(shop.merge('Revert "Prices"', SATURDAY + 8, SATURDAY + 9), SATURDAY + 10)
    assert len(shop.facts()) == 6

    ran = week.sync(SUNDAY + 20)
    assert len(shop.facts()) == 6, "what was pushed is the same when it is read"
    (scope,) = json.loads(ran.outputs["metrics"])["scopes"]
    metrics = scope["metrics"]
    # five succeeded, on Monday, Tuesday, Wednesday, Friday and Saturday
    assert metrics["deployment_frequency"]["deployments"] == 5
    assert metrics["deployment_frequency"]["deployment_days"] == 5
    # 22 h, 18 h and 2 h
    assert metrics["lead_time"]["changes"] == 3
    assert metrics["lead_time"]["p50_seconds"] == 18 * HOUR
    # of six that reached users: "Search", "Prices" and the first canary
    assert (metrics["change_failure_rate"]["failed"], metrics["change_failure_rate"]["deployments"]) == (3, 6)
    # 3 h, 24 h and 72 h
    assert (metrics["recovery_time"]["recovered"], metrics["recovery_time"]["open"]) == (3, 0)
    assert metrics["recovery_time"]["p50_seconds"] == 24 * HOUR
    # the revert
    assert (metrics["rework_rate"]["rework"], metrics["rework_rate"]["deployments"]) == (1, 6)
    assert (metrics["incident_restore"]["incidents"], metrics["incident_restore"]["p50_seconds"]) == (1, 2 * HOUR)
    rules = sorted(failed["rule"] for failed in scope["evidence"]["failed_deployments"])
    assert rules == ["failed-run", "incident", "revert"]


def test_another_sync_adds_nothing(week: Week) -> None:
    week.flux_applies(week.shop.first, MONDAY + 10)
    week.pager.add("Q1", hours(TUESDAY + 11), hours(TUESDAY + 13))
    week.sync(SUNDAY + 20)
    before = [*week.shop.facts(), *week.shop.facts("incident")]
    week.kustomization.reconcile(week.shop.first, cluster_time(SUNDAY + 20.5), manifests=week.shop.first)
    week.sync(SUNDAY + 21)
    assert [*week.shop.facts(), *week.shop.facts("incident")] == before

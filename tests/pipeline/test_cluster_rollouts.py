"""Runs with files of a cluster: what is new becomes deployments with their changes, and nothing is recorded twice."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dora_metrics.core.gitops.deployments import NewDeployments
from dora_metrics.github.observation import Observation
from dora_metrics.pipeline.cluster_rollouts import ClusterRollouts
from fakes.faults import meanwhile
from support.cluster import ArgoApplication, FluxHelmRelease, FluxKustomization, canary, git_repository
from support.events import make_run, settings
from support.facts import deployment
from support.gitops_events import argocd_sync, flagger_hook, flux_event, helm_event
from support.gitops_shop import GitOpsShop, cluster_time, gitops_shop, hours
from support.runs import ActionRun

__all__ = ["gitops_shop"]

HOUR = 3600


def reconcile(kustomization: FluxKustomization, commit: str, number: float, **fields: str) -> None:
    """Apply a commit of the repository, by its sha."""
    kustomization.reconcile(commit, cluster_time(number), **fields)
    revision = f"main@sha1:{commit}"
    kustomization.history[0]["metadata"]["revision"] = revision
    names = (
        ("lastAttemptedRevision", "lastAppliedRevision") if not fields.get("outcome") else ("lastAttemptedRevision",)
    )
    kustomization.status |= dict.fromkeys(names, revision)


class TestChanges:
    def test_a_sync_gives_a_deployment_its_changes_and_lead_time(self, gitops_shop: GitOpsShop) -> None:
        """Opened at 1:00 with its commit, applied by Flux at 7:00: six hours."""
        flux = FluxKustomization()
        reconcile(flux, gitops_shop.first, 0.5)
        gitops_shop.write_cluster(flux.object)
        assert gitops_shop.run(at=0.75, strict="true").code == 0
        merged = gitops_shop.merge("Faster", 1, 3)
        reconcile(flux, merged, 7)
        gitops_shop.write_cluster(flux.object)
        ran = gitops_shop.run(at=20, strict="true")
        assert ran.code == 0, ran.log
        first, second = sorted(gitops_shop.facts(), key=lambda fact: fact["finished_at"])
        assert (first["sha"], second["sha"]) == (gitops_shop.first, merged)
        assert (second["service"], second["environment"], second["source"]) == ("shop", "production", "flux")
        assert second["id"] == f"flux:flux-system/shop:main@sha1:{merged}:2026-11-16T07:00:00Z"
        assert second["changes"] == ["github:pull:acme/shop#1"]
        assert ran.outputs["lead-time-seconds"] == str(6 * HOUR)
        assert "1 deployment read from the cluster" in ran.summary

    def test_so_does_an_event_run(self, gitops_shop: GitOpsShop) -> None:
        flux = FluxKustomization()
        reconcile(flux, gitops_shop.first, 0.5)
        gitops_shop.write_cluster(flux.object)
        gitops_shop.run("issues", {"action": "opened"}, at=0.75)
        merged = gitops_shop.merge("Faster", 1, 3)
        reconcile(flux, merged, 7)
        gitops_shop.write_cluster(flux.object)
        ran = gitops_shop.run("push", {"ref": "refs/heads/other"}, at=20)
        assert ran.outputs["lead-time-seconds"] == str(6 * HOUR), ran.log

    def test_the_failure_of_a_canary_is_a_failed_deployment_and_the_next_success_recovers(
        self, gitops_shop: GitOpsShop
    ) -> None:
        """Three deployments reached users, one of them failed at 20:00, and the next one ended at 21:30."""
        for number, (spec, phase) in enumerate((("one", "Succeeded"), ("two", "Failed"), ("three", "Succeeded"))):
            gitops_shop.write_cluster(canary(spec, cluster_time((10, 20, 21.5)[number]), phase))
            ran = gitops_shop.run(at=22 + number)
        assert ran.outputs["change-failure-rate"] == "0.3333333333"
        assert ran.outputs["recovery-time-seconds"] == "5400"

    def test_another_repository_that_the_ledger_covers_is_linked_by_the_sync(self, gitops_shop: GitOpsShop) -> None:
        """A deployment belongs to the repository that its revision is of."""
        config = gitops_shop.github.repository("acme/config", empty=True)
        first = config.commit({"app.yaml": "1"}, message="Begin", author_date=hours(0))
        second = config.commit({"app.yaml": "2"}, message="Next", author_date=hours(5))
        flux, source = FluxKustomization(), git_repository("https://github.com/acme/config")
        for number, commit in ((1, first), (7, second)):
            reconcile(flux, commit, number)
            gitops_shop.write_cluster(flux.object, source)
            environment = {"GITHUB_SERVER_URL": "https://github.com"}
            gitops_shop.run(at=number + 1, repositories="acme/*", environment=environment)
        facts = sorted(gitops_shop.facts(), key=lambda fact: fact["finished_at"])
        assert [(fact["repository"], fact["sha"]) for fact in facts] == [
            ("acme/config", first),
            ("acme/config", second),
        ]
        assert facts[1]["changes"] == [f"commit:{second}"]

    def test_a_setting_says_what_an_object_deploys(self, gitops_shop: GitOpsShop) -> None:
        gitops_shop.settings = {
            "gitops": {"flux-system/shop": {"service": "till", "environment": "prod-eu"}, "*": "skip"}
        }
        shop, other = FluxKustomization(), FluxKustomization(name="monitoring")
        for each in (shop, other):
            reconcile(each, gitops_shop.first, 1)
        gitops_shop.write_cluster(shop.object, other.object)
        ran = gitops_shop.run(at=2)
        (fact,) = gitops_shop.facts()
        assert (fact["service"], fact["environment"]) == ("till", "prod-eu")
        assert "1 rollout of objects that the setting" in ran.summary


class TestOnce:
    def test_a_hundred_readings_without_a_change_add_no_fact(self, gitops_shop: GitOpsShop) -> None:
        flux, argo, helm = FluxKustomization(), ArgoApplication(), FluxHelmRelease()
        helm.release("1.0.0", cluster_time(1))
        for number in range(100):
            time = 1 + number / 6
            reconcile(flux, gitops_shop.first, time)
            argo.sync("A", cluster_time(time))
            gitops_shop.write_cluster(flux.object, argo.object, helm.object, canary("one", cluster_time(1)))
            if number % 10 == 0:
                gitops_shop.run("push", {"ref": "refs/heads/other"}, at=time)
        assert len(gitops_shop.facts()) == 4

    def test_a_b_a_is_three_deployments(self, gitops_shop: GitOpsShop) -> None:
        flux = FluxKustomization()
        second = gitops_shop.merge("Faster", 1, 3)
        for number, commit in ((4, gitops_shop.first), (8, second), (12, gitops_shop.first)):
            reconcile(flux, commit, number)
            gitops_shop.write_cluster(flux.object)
            gitops_shop.run(at=number + 1)
        times = sorted(fact["finished_at"] for fact in gitops_shop.facts())
        assert times == ["2026-11-16T04:00:00Z", "2026-11-16T08:00:00Z", "2026-11-16T12:00:00Z"]

    def test_an_event_run_looks_back_as_far_as_it_must(self, gitops_shop: GitOpsShop) -> None:
        """The rollout was recorded 200 days ago, long before the window of an event run."""
        flux = FluxKustomization()
        reconcile(flux, gitops_shop.first, 0)
        gitops_shop.write_cluster(flux.object_without_history)
        gitops_shop.run(at=1)
        for days in (60, 120, 200):
            gitops_shop.run("push", {"ref": "refs/heads/other"}, at=24 * days, github_token="")
        assert len(gitops_shop.facts()) == 1

    def test_the_ledger_decides_again_if_another_run_was_faster(self, gitops_shop: GitOpsShop, tmp_path: Path) -> None:
        """The other run gets the same rollout pushed, one minute later than the object says."""
        inputs: dict[str, Any] = {"ledger": "branch:dora-metrics"}
        gitops_shop.write_cluster(canary("one", cluster_time(1)))
        gitops_shop.run("push", {"ref": "refs/heads/other"}, at=2, **inputs)
        (tmp_path / "other").mkdir()
        other = gitops_shop.in_folder(tmp_path / "other")
        other.write_cluster(canary("two", cluster_time(3 + 1 / 60)))
        gitops_shop.write_cluster(canary("two", cluster_time(3)))
        gitops_shop.github.fail(
            meanwhile(lambda: other.run("push", {"ref": "refs/heads/other"}, at=4, **inputs)),
            to="Append",
            times=1,
        )
        ran = gitops_shop.run("push", {"ref": "refs/heads/other"}, at=5, **inputs)
        assert ran.facts == []
        assert "read from the cluster" not in ran.summary


def pushed_and_read(shop: GitOpsShop, tool: str) -> tuple[Callable[..., ActionRun], Callable[[], None]]:
    """What pushes a rollout that ended at 3:00 to a run, and what writes its object to the file."""
    time = f"{cluster_time(3)}Z"
    match tool:
        case "flux":
            flux = FluxKustomization()
            reconcile(flux, shop.first, 3)
            about = {"kind": "Kustomization", "name": "shop", "namespace": "flux-system"}
            event = flux_event(involvedObject=about, timestamp=time, metadata={"revision": f"main@sha1:{shop.first}"})
            made = flux.object
        case "helm":
            helm = FluxHelmRelease()
            helm.release("6.6.1", cluster_time(3 - 5 / 60))
            event, made = helm_event(timestamp=time), helm.object
        case "argocd":
            argo = ArgoApplication()
            argo.sync("A", cluster_time(3))
            event, made = argocd_sync(startedAt=time, finishedAt=time), argo.object
        case _:
            event, made = flagger_hook(lastTransitionTime=time), canary("765c47b8f7", cluster_time(3))

    def push(at: float, kubernetes: str = "") -> ActionRun:
        return shop.dispatch(event["client_payload"], event["action"], at=at, kubernetes=kubernetes)

    return push, lambda: shop.write_cluster(made)


@pytest.mark.parametrize("tool", ["flux", "helm", "argocd", "flagger"])
class TestPushedOrRead:
    """One rollout is one fact, whichever way it comes first."""

    def test_pushed_and_read_five_minutes_later(self, gitops_shop: GitOpsShop, tool: str) -> None:
        push, write = pushed_and_read(gitops_shop, tool)
        push(3.01)
        (pushed,) = gitops_shop.facts()
        write()
        ran = gitops_shop.run("push", {"ref": "refs/heads/other"}, at=3.1)
        assert "read from cluster.json" in ran.summary
        assert gitops_shop.facts() == [pushed]

    def test_read_and_pushed_five_minutes_later(self, gitops_shop: GitOpsShop, tool: str) -> None:
        push, write = pushed_and_read(gitops_shop, tool)
        write()
        gitops_shop.run("push", {"ref": "refs/heads/other"}, at=3.01)
        (read,) = gitops_shop.facts()
        ran = push(3.1)
        assert "is recorded already, and nothing was deployed since" in ran.summary
        assert gitops_shop.facts() == [read]

    def test_one_run_gets_the_event_and_the_file(self, gitops_shop: GitOpsShop, tool: str) -> None:
        push, write = pushed_and_read(gitops_shop, tool)
        write()
        ran = push(3.01, kubernetes="cluster.json")
        assert "read from cluster.json" in ran.summary
        assert len(gitops_shop.facts()) == 1


def test_a_reading_completes_what_was_reported_without_its_commit(gitops_shop: GitOpsShop) -> None:
    """Opened at 1:00 with its commit, deployed at 7:00: six hours. GitHub knows the commit only when it is read."""
    gitops_shop.settings = {"gitops": {"argocd/shop": {"commit": "image-tag", "repository": "acme/shop"}}}
    argo = ArgoApplication(images=[f"ghcr.io/acme/shop:{gitops_shop.first[:12]}"])
    argo.sync("A", cluster_time(0.5))
    gitops_shop.write_cluster(argo.object)
    gitops_shop.run(at=0.6)
    merged = gitops_shop.merge("Faster", 1, 3)
    time = f"{cluster_time(7)}Z"
    pushed = argocd_sync(name="B", startedAt=time, finishedAt=time, images=[f"ghcr.io/acme/shop:{merged[:12]}"])
    gitops_shop.dispatch(pushed["client_payload"], pushed["action"], at=7.1, kubernetes="", github_token="")
    assert [fact["sha"] for fact in gitops_shop.facts()] == [gitops_shop.first, None]
    argo.images = [f"ghcr.io/acme/shop:{merged[:12]}"]
    argo.sync("B", cluster_time(7))
    gitops_shop.write_cluster(argo.object)
    ran = gitops_shop.run(at=20)
    assert [fact["sha"] for fact in gitops_shop.facts()] == [gitops_shop.first, merged]
    assert ran.outputs["lead-time-seconds"] == str(6 * HOUR)


class TestTimeOfReading:
    """What an object without a time of its own is worth depends on when its file was written."""

    def test_a_file_that_is_older_than_a_report_invents_no_rollback(self, gitops_shop: GitOpsShop) -> None:
        """The step reads the first commit at 4:00, the second one is reported at 4:01, and the run is at 4:02."""
        second = gitops_shop.merge("Faster", 1, 3)
        flux = FluxKustomization()
        reconcile(flux, gitops_shop.first, 0.5)
        gitops_shop.write_cluster(flux.object_without_history, at=1)
        gitops_shop.run(at=1)
        gitops_shop.write_cluster(flux.object_without_history, at=4)
        about = {"kind": "Kustomization", "name": "shop", "namespace": "flux-system"}
        metadata = {"revision": f"main@sha1:{second}"}
        time = f"{cluster_time(4 + 1 / 60)}Z"
        event = flux_event(involvedObject=about, timestamp=time, metadata=metadata)
        gitops_shop.dispatch(event["client_payload"], event["action"], at=4.02, kubernetes="")
        gitops_shop.run("push", {"ref": "refs/heads/other"}, at=4 + 2 / 60)
        reconcile(flux, second, 4 + 1 / 60)
        gitops_shop.write_cluster(flux.object_without_history, at=28)
        gitops_shop.run("push", {"ref": "refs/heads/other"}, at=28)
        assert [fact["sha"] for fact in in_order(gitops_shop)] == [gitops_shop.first, second]

    def test_the_time_of_the_file_is_that_of_the_rollout(self, gitops_shop: GitOpsShop) -> None:
        flux = FluxKustomization()
        reconcile(flux, gitops_shop.first, 0.5)
        gitops_shop.write_cluster(flux.object_without_history, at=1)
        gitops_shop.run(at=2)
        assert [fact["finished_at"] for fact in in_order(gitops_shop)] == ["2026-11-16T01:00:00Z"]

    @pytest.mark.parametrize("written_at", [3, -500_000], ids=["in-the-future", "in-1969"])
    def test_a_time_that_cannot_be_is_now(self, gitops_shop: GitOpsShop, written_at: float) -> None:
        flux = FluxKustomization()
        reconcile(flux, gitops_shop.first, 0.5)
        gitops_shop.write_cluster(flux.object_without_history, at=written_at)
        gitops_shop.run(at=2)
        assert [fact["finished_at"] for fact in in_order(gitops_shop)] == ["2026-11-16T02:00:00Z"]


def in_order(shop: GitOpsShop) -> list[dict[str, Any]]:
    return sorted(shop.facts(), key=lambda fact: str(fact["finished_at"]))


def test_two_clusters_of_one_environment_do_not_deploy_at_each_reading(gitops_shop: GitOpsShop) -> None:
    second = gitops_shop.merge("Faster", 1, 3)
    for name, commit in (("cluster.json", gitops_shop.first), ("other.json", second)):
        flux = FluxKustomization()
        reconcile(flux, commit, 4)
        gitops_shop.write_cluster(flux.object_without_history, name=name)
    for hour in range(5, 10):
        ran = gitops_shop.run(at=hour, kubernetes="cluster.json, other.json")
    assert [fact["sha"] for fact in in_order(gitops_shop)] == sorted(
        (gitops_shop.first, second), key=lambda sha: f"main@sha1:{sha}"
    )
    assert "Several objects of one name, at different revisions: flux-system/shop" in ran.summary
    assert "give each cluster an" in ran.summary


class TestFiles:
    def test_an_absent_file_means_that_the_cluster_was_not_asked(self, gitops_shop: GitOpsShop) -> None:
        ran = gitops_shop.run(at=1, strict="true")
        assert ran.code == 0, ran.log
        assert "the cluster was not asked: cluster.json is absent or empty" in ran.summary

    def test_an_empty_list_does_not_mean_that_there_is_nothing(self, gitops_shop: GitOpsShop) -> None:
        gitops_shop.write_cluster()
        ran = gitops_shop.run(at=1, strict="true")
        assert ran.code == 0
        assert "no objects in cluster.json, which does not mean that there are none" in ran.summary

    def test_what_cannot_be_read_is_named_and_the_other_files_count(self, gitops_shop: GitOpsShop) -> None:
        (gitops_shop.folder / "broken.json").write_text("error: You must be logged in to the server")
        gitops_shop.write_cluster(canary("one", cluster_time(1)))
        ran = gitops_shop.run(at=2, kubernetes="broken.json, cluster.json")
        assert ran.code == 0
        assert "broken.json: not JSON" in ran.summary
        assert "unread, which does not mean that there were none" in ran.summary
        assert "logged in" not in ran.summary + ran.log
        assert len(gitops_shop.facts()) == 1
        assert gitops_shop.run(at=3, kubernetes="broken.json, cluster.json", strict="true").code == 1

    def test_an_object_of_another_shape_is_named_and_the_others_count(self, gitops_shop: GitOpsShop) -> None:
        broken = canary("one", cluster_time(1))
        broken["status"]["conditions"] = "::error::planted"
        gitops_shop.write_cluster(broken, canary("two", cluster_time(1)))
        ran = gitops_shop.run(at=2)
        assert "1 object of another shape than documented, which is set aside: Canary apps/shop" in ran.summary
        assert len(gitops_shop.facts()) == 1

    def test_what_was_read_is_said(self, gitops_shop: GitOpsShop) -> None:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "b"}}
        suspended = FluxKustomization(spec={"suspend": True})
        reconcile(suspended, gitops_shop.first, 1)
        gitops_shop.write_cluster(canary("one", cluster_time(1)), suspended.object, pod, pod)
        ran = gitops_shop.run(at=2, kubernetes="cluster.json, other.json")
        assert "1 Canary, 1 Kustomization read from cluster.json" in ran.summary
        assert "no rollout has ended in 1 Kustomization: suspended" in ran.summary
        assert "other kinds: 2 Pod" in ran.summary
        assert "other.json is absent or empty" in ran.summary

    def test_a_page_that_was_cut_off_is_said(self, gitops_shop: GitOpsShop) -> None:
        made = canary("one", cluster_time(1))
        gitops_shop.write_cluster(made)
        path = gitops_shop.folder / "cluster.json"
        path.write_text(
            path.read_text("utf-8").replace('"metadata": {}', '"metadata": {"continue": "abc"}', 1), "utf-8"
        )
        ran = gitops_shop.run(at=2)
        assert "cluster.json is only a part of the objects" in ran.summary

    def test_a_time_that_nobody_keeps_is_said(self, gitops_shop: GitOpsShop) -> None:
        flux = FluxKustomization()
        reconcile(flux, gitops_shop.first, 1)
        gitops_shop.write_cluster(flux.object_without_history)
        assert "flux-system/shop does not say when" in gitops_shop.run(at=2).summary
        assert "does not say when" not in gitops_shop.run(at=3).summary

    def test_a_rollout_in_the_future_is_not_recorded(self, gitops_shop: GitOpsShop) -> None:
        gitops_shop.write_cluster(canary("one", cluster_time(9)))
        ran = gitops_shop.run(at=2)
        assert "1 rollout is not recorded, because the end is in the future" in ran.summary
        assert gitops_shop.facts() == []

    def test_hostile_revisions_stay_revisions(self, gitops_shop: GitOpsShop) -> None:
        hostile = canary("a:b/c@d\n::error::x\u202e<script>\x00" + "long" * 100, cluster_time(1))
        gitops_shop.write_cluster(hostile)
        ran = gitops_shop.run(at=2)
        (fact,) = gitops_shop.facts()
        assert len(fact["id"]) <= 300
        assert "<script>" not in ran.summary
        assert "\n::error::x" not in ran.log
        assert gitops_shop.run(at=3).facts == []

    def test_hostile_names_are_no_names(self, gitops_shop: GitOpsShop) -> None:
        hostile = canary("one", cluster_time(1))
        hostile["metadata"] = {"name": "x:y\n::error::x @everyone", "namespace": "<script>"}
        gitops_shop.write_cluster(hostile)
        ran = gitops_shop.run(at=2)
        assert gitops_shop.facts() == []
        assert "1 object of another shape than documented" in ran.summary
        assert "<script>" not in ran.summary
        assert "\n::error::x" not in ran.log


class TestPlaces:
    def test_in_a_container_only_shared_folders_exist(self, gitops_shop: GitOpsShop, tmp_path: Path) -> None:
        place = tmp_path / "elsewhere.json"
        place.write_bytes(b"")
        environment = {"DORA_IN_CONTAINER": "true"}
        ran = gitops_shop.run(at=1, kubernetes=str(place), environment=environment)
        assert "not visible in the container" in ran.summary

    def test_a_pipe_is_not_waited_for(self, gitops_shop: GitOpsShop) -> None:
        os.mkfifo(gitops_shop.folder / "cluster.json")
        assert "not a regular file" in gitops_shop.run(at=1).summary

    def test_a_config_file_cannot_name_files(self, gitops_shop: GitOpsShop) -> None:
        gitops_shop.settings = {"kubernetes": ["cluster.json"]}
        ran = gitops_shop.run(at=1)
        assert ran.code == 2
        assert "kubernetes: it belongs to one run; set it as an input" in ran.log

    def test_a_pull_request_from_a_fork_reads_nothing(self, gitops_shop: GitOpsShop) -> None:
        gitops_shop.write_cluster(canary("one", cluster_time(1)))
        payload = {"action": "opened", "pull_request": {"head": {"repo": {"full_name": "stranger/shop"}}}}
        ran = gitops_shop.run("pull_request", payload, at=2)
        assert gitops_shop.facts() == []
        assert "a run for a pull request from a fork reads no cluster" in ran.summary

    @pytest.mark.parametrize("mode", ["rebuild", "report"])
    def test_a_run_that_records_nothing_reads_nothing(self, gitops_shop: GitOpsShop, mode: str) -> None:
        gitops_shop.write_cluster(canary("one", cluster_time(1)))
        ran = gitops_shop.run("workflow_dispatch", {}, at=2, mode=mode)
        assert gitops_shop.facts() == []
        assert "this run records nothing" in ran.summary


def test_what_an_event_reports_comes_before_what_was_read_besides() -> None:
    """What GitHub adds has a limited time, and a first reading of a cluster may have a hundred deployments."""
    reported, read = deployment(1), deployment(2)
    rollouts = ClusterRollouts.of([], settings(), make_run("repository_dispatch"))
    observation = rollouts.added_to(Observation((reported,), "Reported"), NewDeployments((read,)))
    assert observation.facts == (reported, read)
    assert observation.title == "Reported; 1 deployment read from the cluster"

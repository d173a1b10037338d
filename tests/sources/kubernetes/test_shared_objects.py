"""Objects of Flux, Flagger, Argo CD and Argo Rollouts, in the collection beside this repository."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.cluster import read_objects
from support.facts import at
from support.tools import leave_out

COLLECTION = Path(__file__).parents[4] / "shared" / "data" / "kubernetes"
VELERO = "ea8759964626a583667a2bfd08f334ec2070040a"
SUCCESS, FAILED, FAILED_FOR_USERS = (True, False), (False, False), (False, True)
"""Whether a rollout succeeded, and whether a failed one reached users."""


def load(name: str) -> dict[str, Any]:
    if not COLLECTION.is_dir():
        leave_out("there is no ../shared/data/kubernetes beside this checkout")
    text = yaml.safe_load((COLLECTION / name).read_text("utf-8"))
    made: dict[str, Any] = json.loads(json.dumps(text, default=str))
    return made


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("canary_succeeded.yaml", ("default/podinfo", "658bbf784f", SUCCESS, "2020-07-03T13:36:22")),
        ("canary_degraded.yaml", ("default/podinfo", "765c47b8f7", FAILED_FOR_USERS, "2020-07-03T19:13:47")),
        (
            "rollout_degraded_aborted.yaml",
            ("default/canary-demo", "6758949f55", FAILED_FOR_USERS, "2019-11-05T18:20:12"),
        ),
        ("rollout_progress_deadline.yaml", ("jesse-test/canary-demo", "65fb5ffc84", FAILED, "2019-10-28T04:52:55")),
    ],
)
def test_what_has_ended(name: str, expected: tuple[str, str, tuple[bool, bool], str]) -> None:
    (occurrence,) = read_objects(load(name)).occurrences
    path, revision, result, ended_at = expected
    assert (occurrence.deployer.path, occurrence.revision) == (path, revision)
    assert (occurrence.succeeded, occurrence.reached_users) == result
    assert (occurrence.finished_at, occurrence.is_time_of_asking) == (at(ended_at), False)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("canary_progressing.yaml", "Canary: no analysis has ended (Progressing)"),
        ("canary_promoting.yaml", "Canary: no analysis has ended (Promoting)"),
        ("kustomization_degraded.yaml", "Kustomization: nothing was applied (ArtifactFailed)"),
        ("kustomization_progressing.yaml", "Kustomization: in progress"),
        ("kustomization_ready.json", "Kustomization: suspended"),
    ],
)
def test_what_has_not(name: str, reason: str) -> None:
    reading = read_objects(load(name))
    assert not reading.occurrences
    assert reading.idle_counts == {reason: 1}


def test_a_kustomization_that_is_not_suspended_and_its_source() -> None:
    kustomization, source = load("kustomization_ready.json"), load("gitrepository_ready.json")
    kustomization["spec"]["suspend"] = False
    source["metadata"]["namespace"] = kustomization["metadata"]["namespace"]
    (occurrence,) = read_objects(kustomization, source).occurrences
    assert occurrence.sha == "0647aea75b85755411b007a290b9321668370be5"
    assert occurrence.source_repository == "stefanprodan/podinfo"
    assert occurrence.is_time_of_asking


def test_the_history_of_a_kustomization() -> None:
    kustomization = load("kustomization_ready.json")
    kustomization["spec"]["suspend"] = False
    status = {**kustomization["status"], **load("kustomization_history_fragment.json")["status"]}
    revision = status["history"][0]["metadata"]["revision"]
    kustomization["status"] = {**status, "lastAppliedRevision": revision, "lastAttemptedRevision": revision}
    (occurrence,) = read_objects(kustomization).occurrences
    assert (occurrence.version, occurrence.finished_at) == ("v1.0.1", at("2025-08-15T10:11:00"))


def test_an_application_that_synced_one_revision_ten_times() -> None:
    occurrences = read_objects(load("argocd_application_history.json")).occurrences
    assert {each.revision for each in occurrences} == {VELERO}
    assert len(occurrences) == 10
    assert occurrences[0].source_repository == "foo/manifests-velero"


def test_the_history_of_a_helm_release() -> None:
    release = load("helmrelease_history.json")
    assert read_objects(release).unread  # the example of the documentation has a placeholder for its name
    release["metadata"]["name"] = "podinfo"
    first, second = read_objects(release).occurrences
    assert first.deployer.path == "default/podinfo"
    assert (first.version, first.finished_at) == ("6.6.0+cdd538a0167e", at("2024-05-07T04:54:21"))
    assert (second.version, second.finished_at) == ("6.6.1+0cc9a8446c95", at("2024-05-07T04:54:55"))
    assert (first.succeeded, second.succeeded) == (True, True)

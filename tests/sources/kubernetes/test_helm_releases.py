"""HelmReleases of Flux: each release in the history is a deployment."""

from support.cluster import FluxHelmRelease, ReadLedger, condition, read_objects
from support.facts import at, sha


def test_each_release_is_a_deployment() -> None:
    shop = FluxHelmRelease()
    shop.release("1.0.0", "03-05T12:00")
    shop.release("1.1.0", "03-06T12:00")
    ledger = ReadLedger()
    ledger.read(shop.object)
    assert ledger.rollouts == [("03-05T12:00", "1.0.0", "success"), ("03-06T12:00", "1.1.0", "success")]


def test_a_hundred_readings_add_nothing() -> None:
    shop, ledger = FluxHelmRelease(), ReadLedger()
    for number in range(4):
        shop.release(f"1.{number}.0", f"03-0{number + 1}T12:00", "failed" if number == 2 else "deployed")
    for _ in range(100):
        ledger.read(shop.object)
    assert len(ledger.rollouts) == 4


def test_a_rollback_by_helm_is_a_deployment_of_the_former_chart() -> None:
    shop, ledger = FluxHelmRelease(), ReadLedger()
    shop.release("1.0.0", "03-05T12:00")
    shop.release("1.1.0", "03-06T12:00", "failed")
    ledger.read(shop.object)
    shop.release("1.0.0", "03-06T12:10")
    ledger.read(shop.object)
    assert ledger.rollouts == [
        ("03-05T12:00", "1.0.0", "success"),
        ("03-06T12:00", "1.1.0", "failure"),
        ("03-06T12:10", "1.0.0", "success"),
    ]
    assert [each.reached_users for each in ledger.deployments] == [False, True, False]


def test_an_upgrade_of_the_values_alone_is_a_deployment() -> None:
    shop, ledger = FluxHelmRelease(), ReadLedger()
    shop.release("1.0.0", "03-05T12:00")
    shop.release("1.0.0", "03-06T12:00")
    ledger.read(shop.object)
    assert len(ledger.rollouts) == 2


def test_a_release_that_has_not_ended_is_none() -> None:
    shop = FluxHelmRelease()
    shop.release("1.0.0", "03-05T12:00", "pending-install")
    reading = read_objects(shop.object)
    assert not reading.occurrences
    assert reading.idle_counts == {"HelmRelease: no release of its history has ended (pending-install)": 1}


def test_tests_that_failed_reject_a_release_unless_they_are_ignored() -> None:
    shop = FluxHelmRelease()
    shop.release("1.0.0", "03-05T12:00", testHooks={"smoke": {"phase": "Failed"}, "other": None})
    made = shop.object
    (rejected,) = read_objects(made).occurrences
    assert (rejected.succeeded, rejected.reached_users) == (False, True)
    (ignored,) = read_objects({**made, "spec": {"test": {"enable": True, "ignoreFailures": True}}}).occurrences
    assert ignored.succeeded


def test_a_chart_has_no_commit_and_a_note_says_so() -> None:
    shop, ledger = FluxHelmRelease(), ReadLedger()
    shop.release("1.0.0", "03-05T12:00")
    new = ledger.read(shop.object)
    assert new.notes == ("apps/shop has no lead time: its revision 1.0.0 names no commit",)


def test_an_oci_chart_may_name_the_commit_that_it_was_built_from() -> None:
    digest = f"sha256:{'a' * 64}"
    shop = FluxHelmRelease()
    shop.release("1.0.0", "03-05T12:00", ociDigest=f"sha256:{'b' * 64}")
    shop.release("1.1.0+aaaaaaaaaaaa", "03-06T12:00", ociDigest=digest)
    made = {**shop.object, "spec": {"chartRef": {"kind": "OCIRepository", "name": "shop"}}}
    source = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "OCIRepository",
        "metadata": {"name": "shop", "namespace": "apps"},
        "status": {
            "artifact": {
                "revision": f"1.1.0@{digest}",
                "metadata": {
                    "org.opencontainers.image.revision": sha("built"),
                    "org.opencontainers.image.source": "https://github.com/acme/shop",
                },
            }
        },
    }
    older, newer = read_objects(made, source).occurrences
    assert (older.sha, newer.sha, newer.source_repository) == (None, sha("built"), "acme/shop")


def test_before_flux_2_2_there_is_no_history() -> None:
    made = {
        "apiVersion": "helm.toolkit.fluxcd.io/v2beta1",
        "kind": "HelmRelease",
        "metadata": {"name": "shop", "namespace": "apps"},
        "status": {
            "lastAppliedRevision": "1.0.0",
            "lastAttemptedRevision": "1.1.0",
            "conditions": [condition("Ready", "True", "ReconciliationSucceeded", "03-05T12:00")],
        },
    }
    ledger = ReadLedger()
    for day in range(1, 10):
        ledger.read(made, asked_at=f"03-0{day}T04:00")
    assert ledger.rollouts == [("03-01T04:00", "1.0.0", "success")]
    made["status"]["conditions"] = [condition("Ready", "False", "UpgradeFailed", "03-05T12:00")]  # type: ignore[index]
    ledger.read(made, asked_at="03-11T04:00")
    assert ledger.rollouts[1:] == [("03-11T04:00", "1.1.0", "failure")]
    made["status"]["conditions"] = [condition("Ready", "False", "ArtifactFailed", "03-05T12:00")]  # type: ignore[index]
    assert not read_objects(made, asked_at=at("03-12")).occurrences


def test_a_release_without_a_chart_version_says_why_it_is_none() -> None:
    shop = FluxHelmRelease()
    shop.release("1.0.0", "03-05T12:00")
    made = shop.object
    for version in ({"chartVersion": ""}, {}):
        release = {name: value for name, value in shop.history[0].items() if name != "chartVersion"}
        made["status"]["history"] = [{**release, **version}]
        reading = read_objects(made)
        assert (reading.occurrences, reading.unread) == ((), ())
        assert reading.idle_counts == {"HelmRelease: its release names no chart version": 1}

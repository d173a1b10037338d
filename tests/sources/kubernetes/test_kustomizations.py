"""Kustomizations of Flux: what they deployed, and when, from objects that are read every night."""

import pytest

from support.cluster import FluxKustomization, ReadLedger, every_ten_minutes, git_repository, read_objects, revision
from support.facts import at, sha

READY, FAILED = "ReconciliationSucceeded", "HealthCheckFailed"


class TestSequences:
    def test_a_hundred_reconciliations_without_a_change_are_one_deployment(self) -> None:
        shop, ledger = FluxKustomization(), ReadLedger()
        for time in every_ten_minutes("03-05T12:00", 100):
            shop.reconcile("A", time)
            ledger.read(shop.object, asked_at=time)
        assert ledger.rollouts == [("03-05T12:00", "A", "success")]

    def test_without_a_history_too(self) -> None:
        shop, ledger = FluxKustomization(), ReadLedger()
        for time in every_ten_minutes("03-05T12:00", 100):
            shop.reconcile("A", time)
            ledger.read(shop.object_without_history, asked_at=time)
        assert ledger.rollouts == [("03-05T12:00", "A", "success")]

    def test_a_return_to_an_older_revision_is_a_deployment(self) -> None:
        shop, ledger = FluxKustomization(), ReadLedger()
        for commit, day in (("A", "03-05"), ("B", "03-06"), ("A", "03-07")):
            for time in every_ten_minutes(f"{day}T12:00", 3):
                shop.reconcile(commit, time)
            ledger.read(shop.object, asked_at=f"{day}T23:00")
        times = [("03-05T12:00", "A"), ("03-06T12:00", "B"), ("03-07T12:20", "A")]
        assert ledger.rollouts == [(*each, "success") for each in times]

    def test_reading_that_again_adds_nothing(self) -> None:
        shop, ledger = FluxKustomization(), ReadLedger()
        for commit, time in (("A", "03-05T12:00"), ("B", "03-06T12:00"), ("A", "03-07T12:00")):
            shop.reconcile(commit, time)
            ledger.read(shop.object, asked_at=time)
        for time in every_ten_minutes("03-07T13:00", 50):
            shop.reconcile("A", time)
            assert not ledger.read(shop.object, asked_at=time).deployments
        assert len(ledger.rollouts) == 3

    def test_a_commit_that_changes_no_manifest_is_no_deployment(self) -> None:
        """In a repository with many Kustomizations, each commit is a new revision of all of them."""
        shop, ledger = FluxKustomization(), ReadLedger()
        for commit, day in (("A", "05"), ("B", "06"), ("C", "07")):
            shop.reconcile(commit, f"03-{day}T12:00", manifests="same")
            ledger.read(shop.object, asked_at=f"03-{day}T23:00")
        assert ledger.rollouts == [("03-05T12:00", "A", "success")]

    def test_neither_is_one_after_a_return(self) -> None:
        shop, ledger = FluxKustomization(), ReadLedger()
        commits = (("A", "one"), ("B", "two"), ("C", "one"), ("D", "one"), ("E", "one"))
        for hour, (commit, manifests) in enumerate(commits):
            shop.reconcile(commit, f"03-05T{hour:02}:00", manifests=manifests)
            ledger.read(shop.object, asked_at=f"03-05T{hour:02}:30")
        assert [name for _, name, _ in ledger.rollouts] == ["A", "B", "C"]

    def test_a_failure_and_the_success_after_it_are_two(self) -> None:
        shop, ledger = FluxKustomization(), ReadLedger()
        shop.reconcile("A", "03-05T12:00")
        ledger.read(shop.object)
        for time in every_ten_minutes("03-06T12:00", 5):
            shop.reconcile("B", time, outcome=FAILED)
            ledger.read(shop.object, asked_at=time)
        shop.reconcile("B", "03-06T13:00")
        ledger.read(shop.object)
        shop.reconcile("B", "03-06T13:10")
        ledger.read(shop.object)
        assert ledger.rollouts == [
            ("03-05T12:00", "A", "success"),
            ("03-06T12:00", "B", "failure"),
            ("03-06T13:00", "B", "success"),
        ]

    def test_health_checks_that_fail_later_are_no_deployment(self) -> None:
        shop, ledger = FluxKustomization(), ReadLedger()
        shop.reconcile("A", "03-05T12:00", manifests="same")
        shop.reconcile("B", "03-06T12:00", manifests="same", outcome=FAILED)
        new = ledger.read(shop.object)
        shop.reconcile("B", "03-06T13:00", manifests="same")
        ledger.read(shop.object)
        assert not new.deployments
        assert ledger.rollouts == [("03-05T12:00", "B", "success")]

    def test_manifests_that_failed_before_can_fail_again(self) -> None:
        shop, ledger = FluxKustomization(), ReadLedger()
        for commit, time, outcome in (
            ("A", "03-05T12:00", READY),
            ("B", "03-06T12:00", FAILED),
            ("A", "03-07T12:00", READY),
            ("B", "03-08T12:00", FAILED),
        ):
            shop.reconcile(commit, time, outcome=outcome)
            ledger.read(shop.object)
        assert [(name, status) for _, name, status in ledger.rollouts] == [
            ("A", "success"),
            ("B", "failure"),
            ("A", "success"),
            ("B", "failure"),
        ]


class TestStates:
    @pytest.mark.parametrize(
        ("reason", "status", "idle"),
        [
            ("ArtifactFailed", "False", "nothing was applied (ArtifactFailed)"),
            ("DependencyNotReady", "False", "nothing was applied (DependencyNotReady)"),
            ("Progressing", "Unknown", "in progress"),
        ],
    )
    def test_nothing_is_deployed_where_nothing_was_applied(self, reason: str, status: str, idle: str) -> None:
        shop = FluxKustomization()
        shop.reconcile("A", "03-05T12:00")
        shop.wait(reason, "03-06T12:00", status)
        reading = read_objects(shop.object)
        assert not reading.occurrences
        assert reading.idle_counts == {f"Kustomization: {idle}": 1}

    def test_a_suspended_one_has_an_old_status(self) -> None:
        shop = FluxKustomization(spec={"suspend": True})
        shop.reconcile("A", "03-05T12:00")
        assert read_objects(shop.object).idle_counts == {"Kustomization: suspended": 1}

    def test_the_status_may_be_of_an_older_generation(self) -> None:
        shop = FluxKustomization()
        shop.reconcile("A", "03-05T12:00")
        shop.generation = 2
        reading = read_objects(shop.object)
        assert reading.idle_counts == {"Kustomization: its newest generation is not reconciled yet": 1}

    def test_after_a_failure_only_the_condition_says_of_which_generation_it_is(self) -> None:
        shop = FluxKustomization()
        shop.reconcile("A", "03-05T12:00")
        shop.generation = 2
        shop.reconcile("B", "03-06T12:00", outcome=FAILED)
        assert shop.status["observedGeneration"] == 1
        (occurrence,) = read_objects(shop.object).occurrences
        assert (occurrence.succeeded, occurrence.revision) == (False, revision("B"))

    def test_one_that_was_never_reconciled(self) -> None:
        assert read_objects(FluxKustomization().object).idle_counts == {"Kustomization: not reconciled yet": 1}

    @pytest.mark.parametrize(
        ("reason", "reached_users"), [("HealthCheckFailed", True), ("PruneFailed", True), ("BuildFailed", False)]
    )
    def test_a_failure_reaches_users_once_something_is_applied(self, reason: str, reached_users: bool) -> None:  # noqa: FBT001
        shop = FluxKustomization()
        shop.reconcile("A", "03-05T12:00", outcome=reason)
        (occurrence,) = read_objects(shop.object).occurrences
        assert (occurrence.succeeded, occurrence.reached_users) == (False, reached_users)


class TestTimes:
    def test_the_condition_never_says_when(self) -> None:
        shop = FluxKustomization()
        shop.reconcile("A", "03-05T12:00")
        shop.reconcile("A", "03-09T12:00")
        (occurrence,) = read_objects(shop.object).occurrences
        assert occurrence.finished_at == at("03-05T12:00")

    def test_without_a_history_it_is_the_time_of_asking_and_says_so(self) -> None:
        shop = FluxKustomization()
        shop.reconcile("A", "03-05T12:00")
        (occurrence,) = read_objects(shop.object_without_history, asked_at=at("03-06T04:00")).occurrences
        assert occurrence.finished_at == at("03-06T04:00")
        assert occurrence.is_time_of_asking

    def test_a_zero_time_is_no_time(self) -> None:
        shop = FluxKustomization()
        shop.reconcile("A", "03-05T12:00")
        shop.history[0]["firstReconciled"] = "0001-01-01T00:00:00Z"
        (occurrence,) = read_objects(shop.object).occurrences
        assert occurrence.is_time_of_asking


class TestRevisions:
    @pytest.mark.parametrize(
        ("written", "commit"),
        [
            (f"main@sha1:{sha('A')}", sha("A")),
            (f"main/{sha('A')}", sha("A")),
            (f"sha1:{sha('A')}", sha("A")),
            (f"refs/heads/feature@v2@sha1:{sha('A')}", sha("A")),
            (f"latest@sha256:{'0' * 64}", None),
            ("6.5.0", None),
        ],
    )
    def test_the_commit_in_a_revision(self, written: str, commit: str | None) -> None:
        shop = FluxKustomization()
        shop.reconcile("A", "03-05T12:00")
        shop.status["lastAppliedRevision"] = written
        (occurrence,) = read_objects(shop.object).occurrences
        assert (occurrence.revision, occurrence.sha) == (written, commit)

    def test_an_oci_artefact_was_built_from_a_commit(self) -> None:
        shop = FluxKustomization(source="OCIRepository")
        shop.reconcile("A", "03-05T12:00", origin=f"main@sha1:{sha('origin')}")
        shop.status["lastAppliedRevision"] = f"latest@sha256:{'0' * 64}"
        (occurrence,) = read_objects(shop.object).occurrences
        assert occurrence.sha == sha("origin")

    def test_an_older_flux_says_so_in_the_source_only(self) -> None:
        shop = FluxKustomization(source="OCIRepository")
        shop.reconcile("A", "03-05T12:00")
        artefact = {
            "revision": f"latest@sha256:{'0' * 64}",
            "metadata": {
                "org.opencontainers.image.revision": f"v1.2.0@sha1:{sha('origin')}",
                "org.opencontainers.image.source": "https://github.com/acme/shop.git",
            },
        }
        source = {
            "apiVersion": "source.toolkit.fluxcd.io/v1beta2",
            "kind": "OCIRepository",
            "metadata": {"name": "config", "namespace": "flux-system"},
            "status": {"artifact": artefact},
        }
        shop.status["lastAppliedRevision"] = artefact["revision"]
        (occurrence,) = read_objects(shop.object, source).occurrences
        assert (occurrence.sha, occurrence.source_repository) == (sha("origin"), "acme/shop")
        assert occurrence.version == "v1.2.0"
        shop.status["lastAppliedRevision"] = f"latest@sha256:{'1' * 64}"
        (occurrence,) = read_objects(shop.object, source).occurrences
        assert occurrence.sha is None

    def test_a_tag_is_the_version(self) -> None:
        shop = FluxKustomization()
        shop.reconcile("A", "03-05T12:00")
        shop.status["lastAppliedRevision"] = f"v1.2.0@sha1:{sha('A')}"
        (occurrence,) = read_objects(shop.object).occurrences
        assert occurrence.version == "v1.2.0"

    @pytest.mark.parametrize(
        ("url", "repository"),
        [
            ("https://github.com/acme/shop", "acme/shop"),
            ("https://github.com/acme/shop.git", "acme/shop"),
            ("https://token@github.com/acme/shop.git/", "acme/shop"),
            ("ssh://git@github.com/acme/shop.git", "acme/shop"),
            ("ssh://git@ssh.github.com:443/acme/shop", "acme/shop"),
            ("git@github.com:acme/shop.git", "acme/shop"),
            ("https://gitlab.com/acme/shop", None),
            ("https://github.com/acme", None),
            ("https://github.com.evil.example/acme/shop", None),
            ("https://[broken", None),
            ("", None),
        ],
    )
    def test_the_source_says_which_repository_the_revision_is_of(self, url: str, repository: str | None) -> None:
        shop = FluxKustomization()
        shop.reconcile("A", "03-05T12:00")
        (occurrence,) = read_objects(shop.object, git_repository(url)).occurrences
        assert occurrence.source_repository == repository

    def test_the_source_may_be_in_another_namespace(self) -> None:
        shop = FluxKustomization(
            namespace="apps",
            spec={"sourceRef": {"kind": "GitRepository", "name": "config", "namespace": "flux-system"}},
        )
        shop.reconcile("A", "03-05T12:00")
        (occurrence,) = read_objects(shop.object, git_repository("https://github.com/acme/config")).occurrences
        assert occurrence.source_repository == "acme/config"

    def test_images_and_annotations_may_name_the_commit(self) -> None:
        shop = FluxKustomization(
            spec={"images": [{"name": "shop", "newName": "ghcr.io/acme/shop", "newTag": "sha-1234567"}]}
        )
        shop.reconcile("A", "03-05T12:00")
        made = shop.object
        made["metadata"]["annotations"] = {
            "commit": sha("A"),
            "kubectl.kubernetes.io/last-applied-configuration": "x" * 999,
        }
        (occurrence,) = read_objects(made).occurrences
        assert occurrence.images == ("ghcr.io/acme/shop:sha-1234567",)
        assert occurrence.annotations == (("commit", sha("A")),)

    def test_older_apis_are_read_alike(self) -> None:
        shop = FluxKustomization()
        shop.reconcile("A", "03-05T12:00")
        made = {**shop.object_without_history, "apiVersion": "kustomize.toolkit.fluxcd.io/v1beta2"}
        assert len(read_objects(made).occurrences) == 1

"""What a real kubectl writes, against a fake cluster, and what is read of it; and the step of examples/gitops.yml."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from dora_metrics.sources.kubernetes.files import ClusterFile, read_file
from dora_metrics.sources.kubernetes.read import read_cluster
from fakes.kubernetes import FakeKubernetes, fake_kubernetes
from support.cluster import ArgoApplication, FluxKustomization, canary, rollout
from support.facts import at
from support.paths import ROOT
from support.servers import free_port
from support.tools import require_tool

EXAMPLE = ROOT / "examples" / "gitops.yml"


@pytest.fixture
def cluster() -> Iterator[FakeKubernetes]:
    with fake_kubernetes() as made:
        flux, argo = FluxKustomization(), ArgoApplication()
        flux.reconcile("A", "03-05T12:00")
        argo.sync("A", "03-05T12:00")
        made.objects = [flux.object, argo.object, *(canary(spec, "03-05T12:00") for spec in ("one", "two", "three"))]
        for number, each in enumerate(made.objects[2:]):
            each["metadata"]["name"] = f"shop-{number}"
        yield made


class Kubectl:
    """kubectl in a folder, with access to a fake cluster."""

    def __init__(self, cluster: FakeKubernetes, folder: Path) -> None:
        self.program, self.folder = require_tool("kubectl"), folder
        self.environment = {
            "PATH": f"{self.program.parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "KUBECONFIG": str(cluster.write_config(folder)),
        }

    def get(self, *arguments: str) -> tuple[int, ClusterFile]:
        """Exit code, and the file with what was written."""
        path = self.folder / "cluster.json"
        with path.open("wb") as file:
            command = [str(self.program), "get", *arguments]
            ran = subprocess.run(command, env=self.environment, stdout=file, stderr=subprocess.PIPE, check=False)
        return ran.returncode, read_file("cluster.json", path)

    def run_example(self) -> subprocess.CompletedProcess[str]:
        """Run the step of the example that reads the cluster."""
        steps = yaml.safe_load(EXAMPLE.read_text("utf-8"))["jobs"]["sync"]["steps"]
        (script,) = (step["run"] for step in steps if step.get("name") == "Read the cluster")
        return subprocess.run(
            ["bash", "-e", "-c", script],
            env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip


@pytest.fixture
def kubectl(cluster: FakeKubernetes, tmp_path: Path) -> Kubectl:
    return Kubectl(cluster, tmp_path)


def revisions(file: ClusterFile) -> list[str]:
    assert not file.problem
    return [each.revision for each in read_cluster(file.objects, at("12-31"), "https://github.com").occurrences]


class TestKubectl:
    def test_get_of_several_kinds_is_a_list(self, kubectl: Kubectl) -> None:
        code, file = kubectl.get("kustomizations,canaries,applications", "--all-namespaces", "--output", "json")
        assert code == 0
        assert len(revisions(file)) == 5
        assert not file.is_cut

    def test_get_asks_for_all_pages(self, kubectl: Kubectl, cluster: FakeKubernetes) -> None:
        _, file = kubectl.get("canaries", "--all-namespaces", "--output", "json", "--chunk-size", "1")
        assert revisions(file) == ["one", "two", "three"]
        assert not file.is_cut
        assert sum("/canaries?" in path for path in cluster.paths) == 3

    def test_raw_is_one_page_and_that_is_noticed(self, kubectl: Kubectl) -> None:
        code, file = kubectl.get("--raw", "/apis/flagger.app/v1beta1/canaries?limit=2")
        assert (code, file.is_cut, revisions(file)) == (0, True, ["one", "two"])

    def test_a_kind_that_is_not_installed_leaves_an_empty_file(self, kubectl: Kubectl, cluster: FakeKubernetes) -> None:
        cluster.installed -= {"canaries"}
        code, file = kubectl.get("kustomizations,canaries", "--all-namespaces", "--output", "json")
        assert code != 0
        assert file.is_empty

    def test_a_kind_that_is_forbidden_leaves_a_list_without_objects(
        self, kubectl: Kubectl, cluster: FakeKubernetes
    ) -> None:
        cluster.forbidden = {"canaries"}
        code, file = kubectl.get("canaries", "--all-namespaces", "--output", "json")
        assert code != 0
        assert (file.objects, file.problem, file.is_empty) == ([], "", False)


class TestExample:
    def test_each_kind_that_is_there_has_a_file(self, kubectl: Kubectl, cluster: FakeKubernetes) -> None:
        cluster.installed -= {"helmreleases"}
        cluster.forbidden = {"applications"}
        cluster.objects.append(rollout("aaaa", "aaaa"))
        ran = kubectl.run_example()
        assert ran.returncode == 0, ran.stderr
        written = sorted(path.name for path in kubectl.folder.glob("cluster-*.json"))
        kinds = ("canaries", "gitrepositories", "kustomizations", "rollouts")
        assert written == [f"cluster-{kind}.json" for kind in kinds]
        files = [read_file(name, kubectl.folder / name) for name in written]
        objects = [each for file in files for each in file.objects]
        assert len(read_cluster(objects, at("12-31"), "https://github.com").occurrences) == 5

    def test_the_action_gets_the_files_that_the_step_writes(self) -> None:
        steps = yaml.safe_load(EXAMPLE.read_text("utf-8"))["jobs"]["sync"]["steps"]
        (script,) = (step["run"] for step in steps if step.get("name") == "Read the cluster")
        given = steps[-1]["with"]["kubernetes"].split()
        kinds = [
            word
            for word in script.replace("\\", " ").replace(";", " ").split()
            if ".toolkit." in word or ".app" in word
        ]
        kinds += [word for word in script.replace(";", " ").split() if word.endswith(".argoproj.io")]
        assert given == [f"cluster-{kind.partition('.')[0]}.json" for kind in kinds]

    def test_a_cluster_that_does_not_answer_leaves_no_file(self, kubectl: Kubectl, cluster: FakeKubernetes) -> None:
        cluster.url = f"http://127.0.0.1:{free_port()}"
        cluster.write_config(kubectl.folder)
        ran = kubectl.run_example()
        assert ran.returncode == 0, ran.stderr
        assert "The cluster does not answer, so it is not asked." in ran.stdout
        assert list(kubectl.folder.glob("cluster-*.json")) == []

"""`dora-metrics kubernetes`: facts from what kubectl wrote, and messages about everything else."""

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest

from dora_metrics.cli import run
from dora_metrics.runtime import Runtime
from support.cluster import ArgoApplication, FluxKustomization, canary, kubectl_list
from support.facts import at, sha
from support.git_repository import GitRepository


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def facts(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Command:
    """The program in a folder."""

    folder: Path

    def __call__(self, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> Ran:
        out, err = StringIO(), StringIO()
        runtime = Runtime(environment or {}, BytesIO(stdin), out, err, at("04-01"), lambda _: None)
        code = run(["kubernetes", *arguments], runtime)
        return Ran(code, out.getvalue(), err.getvalue())


SHOP = ("--repository", "acme/shop")


@pytest.fixture
def kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    return Command(tmp_path)


def test_facts_go_to_standard_output_and_the_rest_to_standard_error(kubernetes: Command) -> None:
    Path("cluster.json").write_bytes(kubectl_list(canary("one", "03-05T12:00")))
    ran = kubernetes("--from", "cluster.json", *SHOP)
    assert ran.code == 0
    (fact,) = ran.facts
    assert (fact["id"], fact["repository"]) == ("flagger:apps/shop:one:2024-03-05T12:00:00Z", "acme/shop")
    assert (fact["status"], fact["version"], fact["source"]) == ("success", "one", "flagger")
    assert ran.err.splitlines() == [
        "dora-metrics: 1 Canary read from cluster.json",
        "dora-metrics: apps/shop has no lead time: its revision one names no commit",
    ]


def test_standard_input_and_several_files(kubernetes: Command) -> None:
    Path("other.json").write_bytes(kubectl_list(canary("one", "03-05T12:00")))
    application = ArgoApplication()
    application.sync("A", "03-06T12:00")
    ran = kubernetes("--from", "-", "--from", "other.json", *SHOP, stdin=kubectl_list(application.object))
    assert [fact["source"] for fact in ran.facts] == ["flagger", "argocd"]


def test_a_file_for_the_facts(kubernetes: Command) -> None:
    ran = kubernetes("--from", "-", "--out", "new.jsonl", *SHOP, stdin=kubectl_list(canary("one", "03-05T12:00")))
    assert ran.out == ""
    assert ran.err.endswith("1 deployment written to new.jsonl\n")
    (line,) = Path("new.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["source"] == "flagger"


def test_what_is_recorded_is_not_printed_again_and_completes_commits(kubernetes: Command) -> None:
    application = ArgoApplication(images=[f"ghcr.io/acme/shop:sha-{sha('A')[:7]}"])
    application.sync("A", "03-05T12:00")
    Path("dora.yml").write_text("gitops: {argocd/shop: {commit: image-tag}}\n", "utf-8")
    config = ("--config", "dora.yml")
    alone = kubernetes("--from", "-", *SHOP, *config, stdin=kubectl_list(application.object))
    assert alone.facts[0]["sha"] is None
    assert "no commit of acme/shop, or more than one, begins with" in alone.err
    change = {
        "v": 1, "kind": "change", "id": "github:pull:acme/shop#1", "repository": "acme/shop", "source": "pull-requests",
        "observed_at": "2024-03-05T10:00:00Z", "sha": sha("A"), "merged_at": "2024-03-05T10:00:00Z",
    }  # fmt: skip
    Path("facts.jsonl").write_text(json.dumps(change), "utf-8")
    with_facts = ("--facts", "facts.jsonl")
    known = kubernetes("--from", "-", *SHOP, *config, *with_facts, stdin=kubectl_list(application.object))
    assert known.facts[0]["sha"] == sha("A")
    Path("facts.jsonl").write_text(f"{json.dumps(change)}\n{known.out}", "utf-8")
    again = kubernetes("--from", "-", *SHOP, *config, *with_facts, stdin=kubectl_list(application.object))
    assert again.facts == []


def test_without_a_repository_it_is_that_of_the_current_folder(
    kubernetes: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = kubectl_list(canary("one", "03-05T12:00"))
    ran = kubernetes("--from", "-", stdin=content)
    name = f"local/{Path.cwd().name}"
    assert [fact["repository"] for fact in ran.facts] == [name]
    assert f"the repository is {name}, since no clone is there that has an origin" in ran.err
    monkeypatch.chdir(GitRepository.create(Path("clone"), origin="git@github.com:acme/config.git").folder)
    ran = kubernetes("--from", "-", stdin=content)
    assert [fact["repository"] for fact in ran.facts] == ["acme/config"]
    assert "the repository is acme/config, as its remote origin says; --repository names another" in ran.err


def test_the_repository_is_that_of_the_workflow_or_of_the_source(kubernetes: Command) -> None:
    content = kubectl_list(canary("one", "03-05T12:00"))
    assert kubernetes("--from", "-", stdin=content, environment={"GITHUB_REPOSITORY": "acme/till"}).facts
    application = ArgoApplication()
    application.sync("A", "03-06T12:00")
    (fact,) = kubernetes("--from", "-", stdin=kubectl_list(application.object)).facts
    assert fact["repository"] == "acme/shop"
    enterprise = {"GITHUB_SERVER_URL": "https://github.acme.example", "GITHUB_REPOSITORY": "acme/till"}
    (fact,) = kubernetes("--from", "-", stdin=kubectl_list(application.object), environment=enterprise).facts
    assert fact["repository"] == "acme/till"


def test_now_is_when_the_cluster_was_asked(kubernetes: Command) -> None:
    flux = FluxKustomization()
    flux.reconcile("A", "03-05T12:00")
    content = kubectl_list(flux.object_without_history)
    (fact,) = kubernetes("--from", "-", *SHOP, "--now", "2024-03-06T00:00:00Z", stdin=content).facts
    assert fact["finished_at"] == "2024-03-06T00:00:00Z"


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_nothing_means_that_the_cluster_was_not_asked(kubernetes: Command, content: bytes) -> None:
    ran = kubernetes("--from", "-", *SHOP, stdin=content)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "dora-metrics: the cluster was not asked: standard input is absent or empty\n"
    absent = kubernetes("--from", "absent.json", *SHOP)
    assert (absent.code, absent.err) == (0, "dora-metrics: the cluster was not asked: absent.json is absent or empty\n")


def test_every_file_that_cannot_be_read_is_named(kubernetes: Command) -> None:
    Path("a.json").write_text("NAME  READY\n")
    Path("b.json").mkdir()
    ran = kubernetes("--from", "a.json", "--from", "b.json", *SHOP)
    assert (ran.code, ran.out) == (2, "")
    first, second = ran.err.splitlines()
    assert first.startswith("dora-metrics: --from a.json: not JSON; write it with")
    assert second == "dora-metrics: --from b.json: not a regular file"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "kubernetes: --from is missing"),
        (("--from", "-", "--facts", "-"), "--facts and --from cannot both be standard input"),
        (("--from", "-", "--repository", "shop"), "--repository 'shop' is not OWNER/NAME"),
        (("--from", "-", "--config", "absent.yml"), "--config absent.yml: there is no such file"),
        (("--from", "-", *SHOP, "--out", "absent/new.jsonl"), "--out absent/new.jsonl cannot be written"),
        (("--from", "-", *SHOP, "--now", "today"), "today"),
    ],
)
def test_wrong_options(kubernetes: Command, arguments: tuple[str, ...], problem: str) -> None:
    ran = kubernetes(*arguments, stdin=kubectl_list(canary("one", "03-05T12:00")))
    assert (ran.code, ran.out) == (2, "")
    assert problem in ran.err


def test_a_pipe_that_a_person_names_is_read(kubernetes: Command) -> None:
    os.mkfifo("pipe")
    writer = threading.Thread(target=lambda: Path("pipe").write_bytes(kubectl_list(canary("one", "03-05T12:00"))))
    writer.start()
    assert len(kubernetes("--from", "pipe", *SHOP).facts) == 1
    writer.join()


def test_a_cut_page_and_an_object_of_another_shape_are_said(kubernetes: Command) -> None:
    broken = {**canary("one", "03-05T12:00"), "status": []}
    ran = kubernetes("--from", "-", *SHOP, stdin=kubectl_list(broken, **{"continue": "abc"}))
    assert ran.code == 0
    assert "standard input is only a part of the objects" in ran.err
    assert "1 object of another shape than documented" in ran.err

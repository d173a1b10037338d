"""The commit of a rollout: in its revision, an image tag or an annotation, of the right repository."""

from collections.abc import Mapping
from typing import Any

import pytest

from dora_metrics.core.gitops.commits import commit_of, known_sha, sha_in_revision
from dora_metrics.core.gitops.deployments import new_deployments
from dora_metrics.core.gitops.targets import GitOpsTargets
from support.facts import change, deployment, sha
from support.rollouts import SHOP, occurrence

A = sha("A")


@pytest.mark.parametrize(
    ("revision", "expected"),
    [
        (f"main@sha1:{A}", A),
        (f"feature/x@sha1:{A}", A),
        (f"main/{A}", A),
        (A, A),
        (f"refs/tags/v1@sha1:{A}", A),
        (f"main@sha1:{A[:12]}", None),
        (f"latest@sha256:{A}{A[:24]}", None),
        (f"sha256:{A}{A[:24]}", None),
        (f"main@sha1:{A}-dirty", None),
        ("6.6.1", None),
        ("", None),
        (f"{'@' * 100_000}{A}", A),
    ],
)
def test_a_revision_of_a_git_repository_ends_with_its_commit(revision: str, expected: str | None) -> None:
    assert sha_in_revision(revision) == expected


@pytest.mark.parametrize(
    ("revision", "name"),
    [
        (f"main@sha1:{A}", f"main@{A[:7]}"),
        (f"main/{A}", f"main/{A[:7]}"),
        ("6.6.1", "6.6.1"),
        (f"latest@sha256:{A}{A}", f"latest@sha256:{A}{A}"[:60]),
        ("a" * 100, "a" * 60),
    ],
)
def test_without_a_commit_the_revision_is_the_name(revision: str, name: str) -> None:
    (made,) = new_deployments(
        [occurrence("A", revision=revision, sha=None)], [], GitOpsTargets(), "acme/shop"
    ).deployments
    assert made.version == name


def test_a_commit_of_the_ledger_completes_its_first_digits() -> None:
    facts = [
        change(1, sha="1a2b3c4" + "0" * 33),
        deployment(2, sha="1a2b3c5" + "0" * 33),
        change(3, sha="1a2b3c4" + "1" * 33, repository="acme/pay"),
        "no fact",
    ]
    assert known_sha("1a2b3c4", "ACME/shop", facts) == "1a2b3c4" + "0" * 33
    assert known_sha("1a2b3c", "acme/shop", facts) is None, "two begin so"
    assert known_sha("ffffff", "acme/shop", facts) is None


COMMITS = {"1a2b3c4": "1a2b3c4" + "0" * 33}


def found(target: Mapping[str, str], **fields: Any) -> tuple[str | None, str]:  # noqa: ANN401 - any field
    """Return sha and reason of a rollout whose object has this target, in a run of acme/config."""
    whole = GitOpsTargets.parse({"*": {"repository": "acme/shop", **target}}).target_of(SHOP.path)
    assert whole
    made = commit_of(
        occurrence("A", **fields), whole, "acme/shop", "acme/config", lambda _repository, digits: COMMITS.get(digits)
    )
    return made.sha, made.because


IMAGE = {"commit": "image-tag"}


@pytest.mark.parametrize(
    ("target", "fields", "expected"),
    [
        ({"commit": "revision"}, {}, A),
        (IMAGE, {"images": ("registry.example/acme/shop:sha-1a2b3c4",)}, COMMITS["1a2b3c4"]),
        (IMAGE, {"images": ("registry.example:5000/acme/shop:1a2b3c4@sha256:00",)}, COMMITS["1a2b3c4"]),
        (IMAGE, {"images": (f"shop:{A}", "redis:7.2")}, A),
        (IMAGE, {"images": (f"shop:{A}", f"worker:{A}")}, A),
        ({**IMAGE, "image": "*/shop"}, {"images": (f"a/shop:{A}", f"a/worker:{sha('B')}")}, A),
        ({**IMAGE, "tag": "main-{sha}-*"}, {"images": ("shop:main-1a2b3c4-170",)}, COMMITS["1a2b3c4"]),
        ({"commit": "annotation"}, {"annotations": (("org.opencontainers.image.revision", A),)}, A),
        ({"commit": "annotation"}, {"annotations": (("commit", f"main@sha1:{A}"),)}, A),
        (
            {"commit": "annotation", "annotation": "acme/sha"},
            {"annotations": (("acme/sha", " 1a2b3c4 "),)},
            COMMITS["1a2b3c4"],
        ),
    ],
)
def test_the_commit_is_where_the_setting_says(target: Mapping[str, str], fields: Any, expected: str) -> None:  # noqa: ANN401 - any field
    assert found(target, **fields) == (expected, "")


@pytest.mark.parametrize(
    ("target", "fields", "because"),
    [
        ({}, {}, "its revision is of acme/config, not of acme/shop; set `commit` in `gitops`"),
        ({"commit": "revision"}, {"sha": None, "revision": "6.6.1"}, "its revision 6.6.1 names no commit"),
        (IMAGE, {}, "nothing says which images it deployed"),
        (IMAGE, {"images": ("shop:v1.2", "redis")}, "the image tags ``, `v1.2` name no commit as `gitops` says"),
        (
            IMAGE,
            {"images": (f"shop:{A}", f"pay:{sha('B')}")},
            "2 commits are named; say with `image` in `gitops` which counts",
        ),
        (IMAGE, {"images": ("shop:7654321",)}, "no commit of acme/shop, or more than one, begins with 7654321"),
        (IMAGE, {"images": (f"shop:sha-{A}0",)}, f"the image tags `sha-{A}0` name no commit as `gitops` says"),
        ({"commit": "annotation"}, {}, "it has no commit in the annotation `org.opencontainers.image.revision`"),
        ({"commit": "annotation"}, {"annotations": (("commit", "v1.2"),)}, "it has no commit in the annotation"),
    ],
)
def test_otherwise_there_is_none_and_the_reason_is_said(target: Mapping[str, str], fields: Any, because: str) -> None:  # noqa: ANN401 - any field
    none, said = found(target, **fields)
    assert none is None
    assert said.startswith(because)


def test_a_deployment_belongs_to_the_repository_of_its_revision_if_the_tool_names_it() -> None:
    (made,) = new_deployments(
        [occurrence("A", source_repository="acme/shop")], [], GitOpsTargets(), "acme/config"
    ).deployments
    assert (made.repository, made.sha) == ("acme/shop", A)


def test_a_sha_is_completed_only_for_what_is_new() -> None:
    asked: list[str] = []

    def full_sha(_repository: str, digits: str) -> str:
        asked.append(digits)
        return COMMITS[digits]

    targets = GitOpsTargets.parse({"*": IMAGE})
    each = occurrence("A", images=("shop:1a2b3c4",))
    first = new_deployments([each], [], targets, "acme/shop", full_sha)
    again = new_deployments([each], first.deployments, targets, "acme/shop", full_sha)
    assert (again.deployments, asked) == ((), ["1a2b3c4"])

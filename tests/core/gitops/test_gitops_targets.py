"""The setting `gitops`: what is valid, and which object is meant."""

import pytest

from dora_metrics.core.gitops.targets import GitOpsTarget, GitOpsTargets, tag_regex

TARGETS = GitOpsTargets.parse(
    {
        "*": "skip",
        "apps/*": {"service": "any"},
        "apps/shop": {"service": "exact"},
        "apps/shop-*": {"service": "longer"},
        "*/pay": {"environment": "eu"},
    }
)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("apps/shop", GitOpsTarget(service="exact")),
        ("apps/shop-eu", GitOpsTarget(service="longer")),
        ("apps/cart", GitOpsTarget(service="any")),
        ("other/pay", GitOpsTarget(environment="eu")),
        ("apps/pay", GitOpsTarget(service="any")),
        ("other/cart", None),
    ],
)
def test_the_most_exact_pattern_counts(path: str, target: GitOpsTarget | None) -> None:
    assert TARGETS.target_of(path) == target


def test_without_a_pattern_everything_is_as_the_tool_says() -> None:
    assert GitOpsTargets().target_of("apps/shop") == GitOpsTarget()


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("drop", "'drop' is neither `skip` nor fields such as {service: shop, environment: production}"),
        (None, "None is neither `skip` nor fields such as {service: shop, environment: production}"),
        ({"svc": "a"}, "svc: unknown; the fields are service, environment, repository, commit, image, tag, annotation"),
        ({"service": ""}, "service: expected a text of 1 to 200 printable characters"),
        ({"service": 7}, "service: expected a text of 1 to 200 printable characters"),
        ({"service": "a" * 201}, "service: expected a text of 1 to 200 printable characters"),
        ({"service": "a\x1bb"}, "service: expected a text of 1 to 200 printable characters"),
        ({"repository": "shop"}, "repository: 'shop' is not a repository; write owner/name"),
        ({"commit": "tag"}, "commit: 'tag' is not one of revision, image-tag, annotation"),
        (
            {"commit": "image-tag", "tag": "v*"},
            "tag: 'v*' needs {sha} once, and may have * twice, such as main-{sha}-*",
        ),
        ({"commit": "image-tag", "tag": "*-*-*{sha}"}, "tag: '*-*-*{sha}' needs {sha} once, and may have * twice,"),
        ({"image": "shop"}, "image: only of use with `commit: image-tag`"),
        ({"commit": "revision", "annotation": "a"}, "annotation: only of use with `commit: annotation`"),
    ],
)
def test_a_wrong_value_is_named_with_its_object(fields: object, problem: str) -> None:
    with pytest.raises(ValueError, match=r"^apps/shop: ") as raised:
        GitOpsTargets.parse({"apps/shop": fields})
    assert str(raised.value).startswith(f"apps/shop: {problem}")


@pytest.mark.parametrize("pattern", ["shop", "apps/shop/eu", "Apps/shop", "", "apps/", 7])
def test_a_key_that_is_no_object_is_refused(pattern: object) -> None:
    with pytest.raises(ValueError, match="write namespace/name"):
        GitOpsTargets.parse({pattern: "skip"})  # type: ignore[dict-item]


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(ValueError, match="write namespace/name") as raised:
        GitOpsTargets.parse({"shop": "skip", "a/b": {"commit": 1, "x": 1}})
    assert len(raised.value.args) == 3


@pytest.mark.parametrize(
    ("tag", "text", "sha"),
    [
        ("sha-{sha}", "sha-1a2b3c4", "1a2b3c4"),
        ("sha-{sha}", "sha-1a2b3c", None),
        ("main-{sha}-*", "main-1a2b3c4d-1700000000", "1a2b3c4d"),
        ("*-{sha}", "release-1.2-1a2b3c4", "1a2b3c4"),
        ("{sha}", "1A2B3C4", None),
        ("v{sha}.x", "v1a2b3c4-x", None),
    ],
)
def test_the_commit_of_a_tag_is_where_the_placeholder_is(tag: str, text: str, sha: str | None) -> None:
    match = tag_regex(tag).fullmatch(text)
    assert (match["sha"] if match else None) == sha

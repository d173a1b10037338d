"""Which repositories the incidents of other systems may belong to."""

import pytest

from dora_metrics.core.covered_repositories import CoveredRepositories


@pytest.mark.parametrize(
    ("name", "patterns", "repository"),
    [
        ("", (), "acme/shop"),
        ("acme/shop", (), "acme/shop"),
        ("Acme/Shop", (), "acme/shop"),
        ("acme/pay", (), None),
        ("shop", (), None),
        ("acme/pay", ("acme/*",), "acme/pay"),
        ("acme/pay", ("acme/*", "!acme/pay"), None),
        ("acme/pay", ("!acme/pay", "acme/*"), "acme/pay"),
        ("other/pay", ("acme/*",), None),
        ("acme/old", (), "acme/shop"),
        ("acme/till", ("acme/*",), "acme/pay"),
        ("acme/till", ("acme/till",), "acme/pay"),
        ("acme/till", ("acme/*", "!acme/till"), None),
        ("acme/till", ("acme/*", "!acme/pay"), None),
    ],
)
def test_the_repository_that_a_name_means(name: str, patterns: tuple[str, ...], repository: str | None) -> None:
    def present_name(any_name: str) -> str:
        return {"acme/old": "acme/shop", "acme/till": "acme/pay"}.get(any_name, any_name)

    covered = CoveredRepositories("acme/shop", patterns, present_name)
    assert covered.named(name) == repository


@pytest.mark.parametrize(
    "name",
    ["acme/", "acme/a b", "acme/<b>", "acme/a/b", "acme/..", "acme/shop@7", "acme/a\u200b", "acme/" + 101 * "a"],
)
def test_what_is_not_the_name_of_a_repository_is_none(name: str) -> None:
    assert CoveredRepositories("acme/shop", ("acme/*",)).named(name) is None

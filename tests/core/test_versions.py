"""What the name of a tag says: a version, a prerelease, or none of them."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core.versions import Version, parse_version, version_key, versions_by_tag


@pytest.mark.parametrize(
    "name",
    [
        "v1.2.0", "1.2", "v1", "V7", "1.2.3.4", "v1.2.0+build.5", "1.0.2a", "5.0.0.Final", "v1.2-prefix", "32.0-jre",
        "shop-1.2.0", "shop-v1.2.0", "release-2", "web@1.2.0", "@acme/web@1.2.0", "api/v1.2.0", "go1.21.3", "r-0311",
        "2024-03-05", "05-03-2024", "20240305", "2024.3.5-2", "2024.03.05-1530", "deploy/2024-03-05",
        "release/2024.3.1/9", "1508.v1a2b3c4d5e6f", "4.17.v9b_c30a_249a_4c",
        "build-77", "@acme/testing@1.0.0", "latest-news-1.4.0",
        "next-5.0.0", "web-next@5.0.0", "1.2.0-nextcloud", "0.0.0", "v0.0.0", "0.0.1-1",
    ],
)  # fmt: skip
def test_these_are_releases(name: str) -> None:
    version = parse_version(name)
    assert version
    assert not version.is_prerelease


@pytest.mark.parametrize(
    "name",
    [
        "v1.2.0-rc.1", "1.2.0-alpha", "api/v1.2.0-beta.2", "app@1.2.0-rc1", "v6.1-rc3", "5.0a1", "3.12.0b4",
        "v3.12.0rc1", "1.2.0.beta1", "2.0.0.M1", "v2.0-SNAPSHOT", "v1.4.0-pre-2", "v3-beta", "1.3.0-testflight",
        "0.9-canary.4", "v1.2.0-preview", "nightly-2024-03-05", "staging/1.2.0", "e2e-1.2", "test-v1.2", "2024.3.5-rc1",
        "2024.3.5-fix", "2024-03-05-fix", "5.0.0-next.1", "web@4.0.0-next.0", "1.2.0-next", "0.0.0-20220721",
        "web@0.0.0-feature-20220721", "0.0-abc",
    ],
)  # fmt: skip
def test_these_are_prereleases(name: str) -> None:
    version = parse_version(name)
    assert version
    assert version.is_prerelease


@pytest.mark.parametrize(
    "name",
    [
        "", "v", "latest", "stable", "nightly", "rc", "2.3.x", "v2.X", "1.2.3.x", "deploy-monday", "test-1",
        "0-git-init", "v1.2.0;id", "v1..2", "build-77-b3", "v\u0661.2.0", "jdk-21+35", "1.2.0/", "v 1.2",
        "v2.35.0-retract", "web@1.2.0-retracted", "v1.2.0-retract.1",
        "-" * 2000, "1-" * 2000, "@" * 2000,
    ],
)  # fmt: skip
def test_these_are_no_versions(name: str) -> None:
    assert parse_version(name) is None


@pytest.mark.parametrize(
    ("name", "package", "pattern"),
    [
        ("astro@7.2.4", "astro", "astro@*"), ("@acme/web@1.2.0", "@acme/web", "@acme/web@*"),
        ("api/v1.2.0", "api", "api/*"), ("shop-v1.2.0", "shop", "shop-*"), ("a[b]-1.2", "a[b]", "a[[]b]-*"),
        ("v1.2.0", "", "v*"), ("1.2.0", "", ""), ("release-1.2.0", "", ""),
    ],
)  # fmt: skip
def test_the_package_of_a_version_and_the_pattern_that_selects_it(name: str, package: str, pattern: str) -> None:
    version = parse_version(name)
    assert version
    assert (version.package, version.pattern) == (package, pattern)


def test_names_are_in_order_as_people_count() -> None:
    assert sorted(["v1.10.0", "v1.9.0", "v1.9", "a", "1.0", "v2" + "0" * 5000], key=version_key) == [
        "1.0", "a", "v1.9", "v1.9.0", "v1.10.0", "v2" + "0" * 5000,
    ]  # fmt: skip


def test_a_very_long_name_is_no_version() -> None:
    assert parse_version("v1." + "1." * 2_000 + "1") is None


TAGS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "v", "web-", "web@", "go"]),
    st.lists(st.integers(0, 2), min_size=1, max_size=5).map(lambda numbers: ".".join(map(str, numbers))),
    st.sampled_from(["", "", "-rc.1", "+build"]),
)


@given(st.dictionaries(TAGS, st.none() | st.integers(0, 3), max_size=12))
def test_a_tag_moves_if_it_does_by_comparing_it_with_each_other_one(seconds_by_tag: dict[str, int | None]) -> None:
    versions = {tag: version for tag in seconds_by_tag if (version := parse_version(tag))}
    staying = {
        tag: version
        for tag, version in versions.items()
        if not is_moving(version, [other for other in versions.values() if continues(other, version)], seconds_by_tag)
    }
    assert versions_by_tag(seconds_by_tag) == staying


def continues(longer: Version, version: Version) -> bool:
    """Whether the first of two versions has the same name and numbers, and more; at most three numbers move."""
    count = len(version.numbers)
    is_of_same_name = longer.name + longer.separator == version.name + version.separator
    return is_of_same_name and 0 < count <= 3 and longer.numbers[:count] == version.numbers != longer.numbers


def is_moving(version: Version, longer: list[Version], seconds_by_tag: Mapping[str, int | None]) -> bool:
    if version.is_single_number:
        return bool(longer)
    releases = [each for each in longer if not each.is_prerelease]
    has_first = any(each.numbers[len(version.numbers)] == 1 for each in releases)
    has_zeroth = any(each.numbers[len(version.numbers)] == 0 for each in releases)
    is_not_newer = all(is_known_order(seconds_by_tag[version.tag], seconds_by_tag[each.tag]) for each in releases)
    return bool(releases) and not (has_first and not has_zeroth and is_not_newer)


def is_known_order(seconds: int | None, later_seconds: int | None) -> bool:
    return seconds is not None and later_seconds is not None and seconds <= later_seconds


class CountedTimes(dict[str, float | None]):
    """The times of tags, and how often one was looked up."""

    lookups = 0

    def __getitem__(self, tag: str) -> float | None:
        self.lookups += 1
        return super().__getitem__(tag)


def test_any_number_of_tags_with_the_same_numbers_is_looked_at_once_each() -> None:
    """A stranger's clone has what a stranger likes."""
    letters = [chr(97 + number // 26) + chr(97 + number % 26) for number in range(500)]
    times = CountedTimes(dict.fromkeys([*(f"{word}1.0" for word in letters), *(f"1.0.{n}" for n in range(500))], 0))
    versions = versions_by_tag(times)
    assert len(versions) == 500
    assert times.lookups <= 4 * len(times)

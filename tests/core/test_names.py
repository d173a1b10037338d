"""DEFINITIONS: which tags read as versions, and which of them are prereleases."""

import pytest

from dora_metrics.core.versions import is_prerelease_name, reads_as_version, ref_reads_as_version

VERSIONS = [
    "v3.4.5",
    "3.4",
    "V0.9.1",
    "shop-2.0.1",
    "@acme/web@4.1.0",
    "api/v2.3",
    "release-2026-11",
    "2026-11-20",
    "20-11-2026",
    "20261120",
    "2026.11.20-2",
    "v2026.11",
    "v204",
    "R-1120",
    "release/2026.11/17",
    "2177.vfe09ab12cd34",
    "5.1.0+build.9",
    "6.2.0.Final",
]
PRERELEASES = [
    "v3.4.5-rc.1",
    "3.4rc2",
    "5.0a1",
    "5.0b2",
    "6.0-M3",
    "1.2.0.beta4",
    "1.0.0-SNAPSHOT",
    "v2.0.0-dev.20261120",
    "nightly-20261120",
    "v7-canary-1.2",
    "web-testflight-3.1",
    "1.4.0-preview.2",
    "test-7",
    "2026.11.20-trial",
    "2026-11-20-hotfix",
]
OTHERS = ["main", "latest", "stable", "nope", "v", "1.x", "2.3.x", "0-add-login", "fix-12", "pr-7", "1-2", "a" * 300]


@pytest.mark.parametrize("tag", VERSIONS)
def test_tags_that_are_versions(tag: str) -> None:
    assert reads_as_version(tag)
    assert not is_prerelease_name(tag)


@pytest.mark.parametrize("tag", PRERELEASES)
def test_tags_that_are_prereleases(tag: str) -> None:
    assert is_prerelease_name(tag)


@pytest.mark.parametrize("tag", OTHERS)
def test_tags_that_are_no_versions(tag: str) -> None:
    assert not reads_as_version(tag)


def test_a_hash_has_no_words() -> None:
    assert not is_prerelease_name("2177.vbeta00")
    assert reads_as_version("2177.vbe7a00")


@pytest.mark.parametrize(("tag", "is_version"), [("v4", False), ("web-4", False), ("v41", True), ("4", True)])
def test_a_number_that_other_tags_go_on_from_moves_with_them(tag: str, *, is_version: bool) -> None:
    assert reads_as_version(tag, ["v4.0.1", "web-4.2", "v4", "v40"]) == is_version


@pytest.mark.parametrize("ref", ["v12", "release/12", "r-12", "shop-1.2"])
def test_a_ref_with_a_single_number_is_a_version_after_a_word_for_a_release(ref: str) -> None:
    assert ref_reads_as_version(ref)


@pytest.mark.parametrize("ref", ["SHOP-12", "login-2", "renovate/node-24.1", "feature/2026.11"])
def test_branches_named_after_tickets_and_updates_are_no_versions(ref: str) -> None:
    assert not ref_reads_as_version(ref)


@pytest.mark.parametrize("name", ["1." * 9000, "a-" * 9000, "1-" * 9000, "v1.2-" + "a-" * 9000 + "!", "9" * 90000])
def test_a_name_that_is_too_long_is_no_version(name: str) -> None:
    assert not reads_as_version(name)
    assert not ref_reads_as_version(name)

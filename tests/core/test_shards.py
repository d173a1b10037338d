"""Shards of repositories, by a hash of their names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core.covered_repositories import CoveredRepositories
from dora_metrics.core.shards import Shard, parse_shard
from dora_metrics.errors import SettingsError
from dora_metrics.settings.loading import INPUT, Layer, load_settings

SHARDS_OF_TEN = {"acme/shop": 6, "acme/api": 5, "acme/web": 8, "Other/Tool": 9}
"""As `sha256sum` and a calculator find them: the remainder of a division by ten, plus one."""


@pytest.mark.parametrize(("name", "number"), SHARDS_OF_TEN.items())
def test_the_sha256_of_the_name_in_lower_case_decides(name: str, number: int) -> None:
    assert [each for each in range(1, 11) if Shard(each, 10).holds(name)] == [number]


@given(st.from_regex(r"[A-Za-z0-9-]{1,9}/[A-Za-z0-9._-]{1,20}", fullmatch=True), st.integers(1, 1_000))
def test_each_repository_is_in_one_shard_whatever_its_letters(name: str, count: int) -> None:
    shards = [Shard(number, count) for number in range(1, count + 1)]
    (holding,) = [shard for shard in shards if shard.holds(name)]
    assert holding.holds(name.upper())


def test_shards_are_about_equally_large() -> None:
    sizes = [sum(Shard(number, 10).holds(f"acme/service-{each}") for each in range(5_000)) for number in range(1, 11)]
    assert sum(sizes) == 5_000
    assert max(sizes) < 1.15 * 500


@pytest.mark.parametrize("text", ["1/1", "3/10", "1000/1000", "03/10"])
def test_a_shard_is_its_number_and_how_many_there_are(text: str) -> None:
    number, count = map(int, text.split("/"))
    assert parse_shard(text) == Shard(number, count)
    assert load_settings([Layer(INPUT, {"repositories": "acme/*", "shard": text})]).repository_shard == Shard(
        number, count
    )


def test_without_the_setting_there_is_no_shard() -> None:
    assert load_settings([Layer(INPUT, {"shard": ""})]).repository_shard is None


HOW_TO_WRITE = "is not a shard; write its number and how many there are, such as 3/10"
PROBLEMS = {
    "0/10": "'0/10' is not a shard: the shards of 10 have the numbers 1 to 10",
    "11/10": "'11/10' is not a shard: the shards of 10 have the numbers 1 to 10",
    "3/0": "'3/0' is not a shard: there can be 1 to 1,000 shards",
    "3/1001": "'3/1001' is not a shard: there can be 1 to 1,000 shards",
    "x/y": f"'x/y' {HOW_TO_WRITE}",
    "3": f"'3' {HOW_TO_WRITE}",
    "-1/10": f"'-1/10' {HOW_TO_WRITE}",
    "1/10/2": f"'1/10/2' {HOW_TO_WRITE}",
    "٣/10": f"'٣/10' {HOW_TO_WRITE}",
    f"1/{10**20}": f"'1/{10**20}' {HOW_TO_WRITE}",
}


@pytest.mark.parametrize("text", PROBLEMS)
def test_what_is_not_a_shard_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings([Layer(INPUT, {"shard": text})])
    assert refused.value.problems == (f"input shard: {PROBLEMS[text]}",)


def test_incidents_of_other_systems_are_recorded_by_the_shard_of_their_repository_alone() -> None:
    """Those without a repository too: they belong to the run's own, which is in one shard as any other."""
    for name, repository in (("acme/api", "acme/api"), ("", "acme/shop")):
        shards = [Shard(number, 10) for number in range(1, 11)]
        covered = [CoveredRepositories("acme/shop", ("acme/*",), shard=shard).named(name) for shard in shards]
        assert [each for each in covered if each] == [repository]
        assert covered[SHARDS_OF_TEN[repository] - 1] == repository


def test_a_repository_of_another_shard_is_not_one_that_no_ledger_covers() -> None:
    covered = CoveredRepositories("acme/shop", ("acme/*",), shard=Shard(5, 10))
    elsewhere = [name for name in ("", "acme/shop", "acme/api", "other/api", "no name") if covered.is_elsewhere(name)]
    assert elsewhere == ["", "acme/shop"]
    assert not CoveredRepositories("acme/shop", ("acme/*",)).is_elsewhere("acme/api")


def test_a_ledger_of_all_repositories_covers_those_of_all_shards() -> None:
    assert CoveredRepositories("*", ("acme/*",), shard=Shard(1, 10)).named("") == "*"
    assert CoveredRepositories("acme/shop", ("acme/*",)).named("acme/api") == "acme/api"


def test_spaces_around_a_shard_in_the_settings_do_not_count() -> None:
    assert load_settings([Layer(INPUT, {"shard": " 3/10 "})]).shard == "3/10"

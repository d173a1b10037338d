"""DEFINITIONS §3, rule `explicit`: names of deployments are taken as people paste them."""

import pytest

from dora_metrics.core.facts.model import Deployment, Fact
from support.facts import (
    change,
    commits,
    deployment,
    failed_deployment,
    failure_rules,
    incident,
    sha,
    unmatched_reasons,
)

MERGE = "4c0ffee" + "1" * 33
OWN = "0ddba11" + "2" * 33
RELEASED = "deadbee" + "3" * 33


def history(**fields: str) -> list[Fact]:
    """Pull request 12 in the second of three deployments; by time, the third would be the one that failed."""
    return [
        deployment(1, "03-01", version="v1.0.0"),
        deployment(2, "03-02", sha=RELEASED, version="v1.1.0", ref="refs/tags/v1.1.0", changes=[12], **fields),
        deployment(3, "03-03", version="v1.2.0"),
        change(12, sha=MERGE, commits=commits("03-01T08:00"), url="https://github.com/acme/shop/pull/12"),
    ]


def failed_by(name: str, *facts: Fact) -> dict[int, str]:
    return failure_rules(*(facts or history()), incident(1, "03-04", deployment=name))


@pytest.mark.parametrize(
    "name",
    [
        RELEASED[:7],
        RELEASED[:7].upper(),
        RELEASED[:39],
        MERGE[:8],
        sha("03-01T08:00")[:7],
        "1.1.0",
        "refs/tags/1.1.0",
        "2",
        "#12",
        "acme/shop#12",
        "ACME/Shop#12",
        "<https://github.com/acme/shop/pull/12>",
    ],
)
def test_a_short_form_leads_to_its_deployment(name: str) -> None:
    assert failed_by(name) == {2: "explicit"}


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/acme/shop/pull/12",
        "https://github.com/acme/shop/pull/12/files",
        "https://github.com/acme/shop/pull/12#issuecomment-99",
        "https://github.com/acme/shop/pull/12/?diff=split",
        "http://www.GitHub.com/Acme/SHOP/pull/12",
        "github.com/acme/shop/pull/12",
        f"https://github.com/acme/shop/commit/{RELEASED}",
        f"https://github.com/acme/shop/commit/{RELEASED[:10]}",
        f"https://github.com/acme/shop/commit/{MERGE}.patch",
        "https://github.com/acme/shop/releases/tag/v1.1.0",
        "https://github.com/acme/shop/deployments/2",
        "https://api.github.com/repos/acme/shop/deployments/2",
        "https://api.github.com/repos/acme/shop/pulls/12",
    ],
)
def test_an_address_leads_to_its_deployment(address: str) -> None:
    assert failed_by(address) == {2: "explicit"}


@pytest.mark.parametrize(
    "name",
    [
        "abc1234",
        RELEASED[:6],
        RELEASED[:7] + "0",
        "1.1",
        "v1.1.0.0",
        "vv1.1.0",
        "99999999999999999999",
        "9" * 5000,
        "02",
        "#13",
        "#012",
        "# 12",
        "acme/till#12",
        "https://gitlab.com/acme/shop/pull/12",
        "https://github.com.example.com/acme/shop/pull/12",
        "https://github.com@example.com/acme/shop/pull/12",
        "https://github.com/acme/till/pull/12",
        "https://github.com/acme/shop/pull/",
        "https://github.com/acme/shop/issues/12",
        "https://github.com/acme/shop/releases/tag/",
        "https://github.com/acme/shop/releases/tag/1.1.0",
        f"https://github.com/acme/till/commit/{RELEASED}",
        "https://github.com/acme/till/deployments/2",
        "https://[broken",
        "the one from yesterday",
    ],
)
def test_a_name_that_leads_nowhere_is_unmatched_with_its_text(name: str) -> None:
    assert failed_by(name) == {}
    assert name in unmatched_reasons(*history(), incident(1, "03-04", deployment=name))[1]


def test_a_v_before_the_number_may_be_missing_on_either_side() -> None:
    assert failed_by("v7.0", deployment(1, version="7.0")) == {1: "explicit"}
    assert failed_by("7.0", deployment(1, version="v7.0")) == {1: "explicit"}
    assert failed_by("7.0", deployment(1, version="V7.0")) == {1: "explicit"}
    assert failed_by("1.0", deployment(1, version="shop-v1.0")) == {}


def test_the_most_literal_reading_decides() -> None:
    prefixed, bare = deployment(1, "03-01", version="v7.0"), deployment(2, "03-02", version="7.0")
    assert failed_by("v7.0", prefixed, bare) == {1: "explicit"}
    assert failed_by("7.0", prefixed, bare) == {2: "explicit"}
    build, numbered = deployment(1, "03-01", sha="7654321" + "0" * 33), deployment(7654321, "03-02")
    assert failed_by("7654321", build, numbered) == {7654321: "explicit"}
    assert failed_by("7654321", build) == {1: "explicit"}


def with_version(number: int, day: str, version: str, **place: str) -> Deployment:
    return deployment(number, day, version=version, **place)


def test_the_scope_comes_before_the_reading() -> None:
    """`v1.0` of the own scope is meant by `1.0`, although another service has a version of exactly that name."""
    own, other = with_version(1, "03-02", "v1.0"), with_version(2, "03-01", "1.0", service="api")
    assert failed_by("1.0", own, other) == {1: "explicit"}
    elsewhere = with_version(3, "03-01", "1.0", repository="acme/till", service="shop")
    assert failed_by("1.0", with_version(2, "03-02", "v1.0", service="api"), elsewhere) == {2: "explicit"}


def test_of_several_with_one_reading_the_first_success_is_meant() -> None:
    again = deployment(4, "03-05", sha=RELEASED)
    broken = failed_deployment(5, "03-01T01", sha=RELEASED, reached_users=True)
    assert failed_by(RELEASED[:7], *history(), again, broken)[2] == "explicit"
    assert "explicit" not in failed_by(RELEASED[:7], broken, again, *history())[5]


def test_a_number_of_another_repository_is_its_pull_request() -> None:
    till = deployment(5, "03-02", repository="acme/till", changes=["github:pull:acme/till#12"])
    assert failed_by("acme/till#12", *history(), till) == {5: "explicit"}
    assert failed_by("https://github.com/acme/till/pull/12", *history(), till) == {5: "explicit"}
    assert failed_by("#12", *history(), till) == {2: "explicit"}


def test_a_pull_request_means_the_deployment_that_delivered_it_first() -> None:
    later = deployment(4, "03-03T12:00", changes=[12])
    assert failed_by("#12", *history(), later) == {2: "explicit"}
    assert failed_by("#12", *history(environment="staging")) == {}


def test_tags_in_addresses_may_be_escaped_or_hold_slashes() -> None:
    scoped = deployment(1, version="@acme/web@2.0.0")
    assert failed_by("https://github.com/acme/shop/releases/tag/%40acme%2Fweb%402.0.0", scoped) == {1: "explicit"}
    assert failed_by("https://github.com/acme/shop/releases/tag/@acme/web@2.0.0", scoped) == {1: "explicit"}


def test_the_same_github_is_the_one_that_the_facts_are_from() -> None:
    facts = [*history()[:3], change(12, url="https://git.acme.example/acme/shop/pull/12")]
    assert failed_by("https://git.acme.example/acme/shop/pull/12", *facts) == {2: "explicit"}
    assert failed_by("https://git.acme.example/api/v3/repos/acme/shop/pulls/12", *facts) == {2: "explicit"}
    assert failed_by("https://github.com/acme/shop/pull/12", *facts) == {}


def test_what_a_deployment_remediates_takes_the_same_forms() -> None:
    for name in ("1.1.0", RELEASED[:7], "#12", "https://github.com/acme/shop/pull/12", "2"):
        fix = deployment(4, "03-04", remediates=name)
        assert failure_rules(*history(), fix) == {2: "explicit"}

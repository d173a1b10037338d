"""Which repositories the setting `repositories` selects from GitHub's lists, and how many requests that takes."""

from collections.abc import Iterator

import pytest

from dora_metrics.github.client import RateLimitError
from dora_metrics.github.owned_repositories import ListedRepository, OwnerList, expand_patterns
from fakes.faults import custom_answer, partial_errors, primary_limit
from fakes.github import FakeGitHub
from support.github_history import NOW, make_client


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    """acme with a repository for each thing that a pattern looks at."""
    with FakeGitHub(now=lambda: NOW) as made:
        for name, topics in (
            ("Api", "payments go"),
            ("shop", "payments"),
            ("old-shop", "payments legacy"),
            ("web", ""),
        ):
            made.repository(f"acme/{name}", empty=True).topics = topics.split()
        made.repository("acme/archived", empty=True).is_archived = True
        made.repository("acme/fork", empty=True).is_fork = True
        yield made


def selected(github: FakeGitHub, *patterns: str) -> list[str]:
    return sorted(each.name.removeprefix("acme/") for each in expand_patterns(make_client(github), patterns))


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ("acme/*", "Api old-shop shop web"),
        ("acme/*shop", "old-shop shop"),
        ("acme/* topic:payments", "Api old-shop shop"),
        ("acme/* topic:payments topic:GO", "Api"),
        ("acme/* topic:payments -topic:legacy", "Api shop"),
        ("acme/* -topic:payments", "web"),
        ("acme/* fork:true", "Api fork old-shop shop web"),
        ("acme/* fork:only", "fork"),
        ("acme/* topic:go, acme/* -topic:payments", "Api web"),
        ("acme/* topic:payments, !acme/old-*", "Api shop"),
        ("acme/* topic:none, acme/fork, acme/archived", "archived fork"),
        ("!acme/web, acme/*", "Api old-shop shop web"),
        ("acme/none, acme/*-shop", "none old-shop"),
        ("nobody/*", ""),
    ],
)
def test_patterns_select_by_name_topic_and_fork(github: FakeGitHub, patterns: str, names: str) -> None:
    assert selected(github, *patterns.split(", ")) == names.split()


def test_a_name_in_other_letters_is_the_same_repository(github: FakeGitHub) -> None:
    topics = frozenset({"payments", "go"})
    for patterns in (["ACME/api", "acme/*"], ["acme/*", "ACME/api"]):
        listed = expand_patterns(make_client(github), patterns)
        assert [each.topics for each in listed if each.name == "acme/Api"] == [topics]
        assert len(listed) == 4
    assert len(expand_patterns(make_client(github), ["ACME/api", "acme/API"])) == 1


def test_an_owner_in_other_letters_is_listed_once(github: FakeGitHub) -> None:
    assert selected(github, "ACME/api", "Acme/w*", "acme/sh*", "!ACME/WEB") == ["Api", "shop"]
    assert len(github.requests) == 1


def test_an_owner_that_github_does_not_list_does_not_hold_up_the_others(github: FakeGitHub) -> None:
    github.repository("other/tool", empty=True)
    github.fail(custom_answer(403, {"message": "SAML"}), to="OwnedRepositories", times=2)  # with and without news
    refused: dict[str, str] = {}
    listed = expand_patterns(
        make_client(github),
        ["acme/*", "other/*", "acme/full"],
        note_refusal=lambda owner, problem: refused.update({owner: str(problem)}),
    )
    assert [each.name for each in listed] == ["other/tool", "acme/full"]
    assert refused == {"acme": "SAML"}


def test_a_used_up_limit_ends_the_listing(github: FakeGitHub) -> None:
    github.fail(primary_limit(), to="OwnedRepositories", times=None)
    with pytest.raises(RateLimitError):
        expand_patterns(make_client(github), ["acme/*"], note_refusal=lambda *_: None)


@pytest.mark.parametrize(("place", "request_count"), [("", 1), (".releases", 2)])
def test_a_repository_that_github_hides_in_a_list_does_not_hold_up_the_others(
    github: FakeGitHub, place: str, request_count: int
) -> None:
    """If it hides a part only, the repositories are listed without their news."""
    github.fail(partial_errors(f"repositoryOwner.repositories.nodes.0{place}", "FORBIDDEN"), to="OwnedRepositories")
    names = selected(github, "acme/*")
    assert names == (["Api", "old-shop", "shop", "web"] if place else ["old-shop", "shop", "web"])
    assert len(github.requests) == request_count


def test_a_list_says_how_many_repositories_are_hidden_and_which_are_public(github: FakeGitHub) -> None:
    github.repository("acme/secret", empty=True, private=True)
    github.fail(partial_errors("repositoryOwner.repositories.nodes.0", "FORBIDDEN"), to="OwnedRepositories")
    lists: list[OwnerList] = []
    listed = expand_patterns(make_client(github), ["acme/s*", "acme/none"], note_list=lists.append)
    assert {each.name: each.is_public for each in listed} == {
        "acme/shop": True,
        "acme/secret": False,
        "acme/none": None,
    }
    shown = {"acme/archived", "acme/fork", "acme/old-shop", "acme/shop", "acme/web"}
    assert lists == [OwnerList("acme", 1, frozenset(shown))]


def test_topics_of_a_repository_that_no_list_shows_are_unknown(github: FakeGitHub) -> None:
    assert expand_patterns(make_client(github), ["acme/shop"]) == [ListedRepository("acme/shop", None)]
    assert not github.requests


def test_five_thousand_names_take_fifty_requests(github: FakeGitHub) -> None:
    for number in range(5_000 - len(github.state.repositories)):
        github.repository(f"acme/service-{number}", empty=True)
    assert len(expand_patterns(make_client(github), ["acme/*", "!acme/web"])) == 4_997
    assert len(github.requests) == 50

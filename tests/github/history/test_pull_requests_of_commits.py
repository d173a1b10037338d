"""Which pull request brought a commit of the default branch."""

from fakes.github import FakeGitHub
from fakes.repository import Repository
from support.github_history import at, deploy, merge_pull_request, read_fake_history


def test_open_pull_requests_that_hold_a_commit_do_not_hide_the_one_that_brought_it(
    github: FakeGitHub, shop: Repository
) -> None:
    deploy(shop, 1)
    waiting = [
        shop.pull(f"Wait {number}", files={f"{number}.txt": ""}, created_at=at(number / 10)) for number in range(7)
    ]
    merged = merge_pull_request(shop, "Faster", 2)
    shop.pulls_by_commit[merged][:0] = waiting
    second = deploy(shop, 3)
    read = read_fake_history(github)
    assert read.deployments[second].changes == ("github:pull:acme/shop#8",)

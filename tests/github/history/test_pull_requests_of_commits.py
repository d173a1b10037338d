"""Which pull request brought a commit of the default branch."""

from fakes.github import FakeGitHub
from fakes.repository import Repository
from support.github_history import at, deploy, read_fake_history


def test_many_merged_pull_requests_that_hold_a_commit_do_not_hide_the_one_that_brought_it(
    github: FakeGitHub, shop: Repository
) -> None:
    deploy(shop, 1)
    carriers = [
        shop.pull(f"Carry {number}", files={f"{number}.txt": ""}, created_at=at(number / 10)) for number in range(12)
    ]
    maker = shop.pull("Faster", files={"faster.txt": ""}, created_at=at(1.5))
    merged = shop.merge_pull(maker, at=at(2))
    second = deploy(shop, 3)
    for number, carrier in enumerate(carriers):
        shop.merge_pull(carrier, at=at(4 + number))
    shop.pulls_by_commit[merged][:0] = carriers
    read = read_fake_history(github)
    assert read.deployments[second].changes == (f"github:pull:acme/shop#{maker.number}",)
    assert len(github.requests_matching("AssociatedPulls")) == 1

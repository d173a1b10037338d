"""A repository after some months of work: the size that the request budget is made for."""

from itertools import count

from fakes.records import Deployment
from fakes.repository import Repository
from support.github_history import at, deploy

PULL_COUNT, COMMIT_COUNT, DEPLOYMENT_COUNT, ISSUE_COUNT = 350, 900, 150, 70
MERGE_METHODS = ("squash", "merge", "rebase")
_numbers = count()


def fill_repository(shop: Repository) -> None:
    """Add 350 closed pull requests (a tenth of them not merged), 900 commits, 150 deployments and 70 issues."""
    for number in range(PULL_COUNT):
        hours = number + 1.0
        direct_commits = [] if number % 10 == 9 else range(2 if number % 3 == 1 else 1)
        for _ in direct_commits:
            shop.commit({"direct.txt": str(next(_numbers))}, message="By hand", author_date=at(hours - 0.9))
        pull = shop.pull(f"Pull {number}", files={f"{number % 50}.txt": str(number)}, created_at=at(hours - 1))
        if number % 10 == 9:
            pull.closed_at = pull.updated_at = at(hours)
            continue
        shop.review(pull, at=at(hours - 0.5))
        shop.merge_pull(pull, method=MERGE_METHODS[number % 3], at=at(hours))  # type: ignore[arg-type]
        if number % 7 == 0:
            deploy(shop, hours + 0.2)
    while len(shop.git.rev_list(str(shop.head()))) < COMMIT_COUNT:
        shop.commit({"direct.txt": str(next(_numbers))}, message="By hand", author_date=at(PULL_COUNT + 1))
    for number in range(DEPLOYMENT_COUNT - len(shop.records_of(Deployment))):
        deploy(shop, number * 3 + 1.5, environment="staging")
    for number in range(ISSUE_COUNT):
        shop.issue(f"Issue {number}", labels=["incident"], created_at=at(number), closed_at=at(number + 1))

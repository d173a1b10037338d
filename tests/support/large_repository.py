"""A repository after some months of work, as large as the budget of requests is made for."""

from itertools import count

from fakes.records import Deployment
from fakes.repository import Repository
from support.github_history import at, deployed

PULLS, COMMITS, DEPLOYMENTS, ISSUES = 350, 900, 150, 70
HOWS = ("squash", "merge", "rebase")
_numbers = count()


def grown(shop: Repository) -> None:
    """350 closed pull requests, a tenth of them not merged; 900 commits, 150 deployments, 70 issues."""
    for number in range(PULLS):
        hours = number + 1.0
        direct = [] if number % 10 == 9 else range(2 if number % 3 == 1 else 1)
        for _ in direct:
            shop.commit({"direct.txt": str(next(_numbers))}, message="By hand", author_date=at(hours - 0.9))
        pull = shop.pull(f"Pull {number}", files={f"{number % 50}.txt": str(number)}, created_at=at(hours - 1))
        if number % 10 == 9:
            pull.closed_at = pull.updated_at = at(hours)
            continue
        shop.review(pull, at=at(hours - 0.5))
        shop.merge_pull(pull, how=HOWS[number % 3], at=at(hours))  # type: ignore[arg-type]
        if number % 7 == 0:
            deployed(shop, hours + 0.2)
    while len(shop.git.walk(str(shop.head()))) < COMMITS:
        shop.commit({"direct.txt": str(next(_numbers))}, message="By hand", author_date=at(PULLS + 1))
    for number in range(DEPLOYMENTS - len(shop.every(Deployment))):
        deployed(shop, number * 3 + 1.5, environment="staging")
    for number in range(ISSUES):
        shop.issue(f"Issue {number}", labels=["incident"], created_at=at(number), closed_at=at(number + 1))

"""What the names of environments, workflows, branches and tags say about deployments. Pure.

The words in this file are the only ones that decide; docs/events.md shows them to users.
"""

import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from functools import cached_property, lru_cache

from msgspec import Struct


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PRODUCTION_NAMES = ("production", "prod", "live", "prd")
"""The default of `production-environments`."""

NOT_PRODUCTION_WORDS = _words("""
    pre non not no test tests testing e2e smoke eval evals stage staging stg dev development qa uat sandbox training
    preview review demo demos docs documentation storybook plan approval gate validation verification acceptance
    qualification like secrets only readonly drift
""")
"""Words that say of a name with a production word that it is not production: `pre-production`, `prod-plan`."""

DEPLOY_WORDS = _words("deploy deploys deployment deployments release releases publish production prod live")
"""Words in the name of a workflow that deploys. `cd` is one too, unless `ci` is also in the name."""

NOT_DEPLOY_WORDS = NOT_PRODUCTION_WORDS | _words("draft drafter notes results undo lint check cleanup")
"""Words that say of a workflow with a deploy word that it does not deploy: `Release drafter`, `Deploy preview`."""

EVENTS_WITHOUT_DEPLOYMENT = _words(
    "dynamic issue_comment pull_request pull_request_target pull_request_review pull_request_review_comment"
    " issues discussion discussion_comment watch fork label milestone gollum project project_card project_column"
    " projects_v2 projects_v2_item check_run check_suite status page_build public member branch_protection_rule"
)
"""Events whose runs deploy nothing, unless `deploy-workflows` names the workflow; for a pull request, not even then.

Strangers and bots may cause them.
"""

PRERELEASE_WORDS = NOT_PRODUCTION_WORDS | _words(
    "alpha beta rc pre snapshot nightly canary testflight prerelease milestone"
)
"""Words in a tag that say that it is a prerelease, also with a number after them: `rc1`."""

PRERELEASE_WORDS_AFTER_VERSION = _words("next")
"""Words that say so only after the version: `5.0.0-next.1`, but not `next-5.0.0` of a package."""

RETRACTED_WORDS = _words("retract retracted")
"""Words after a version that take it back: `v2.35.0-retract` is the tag by which a Go module withdraws a release."""

WORKING_BRANCH_WORDS = _words("""
    dependabot renovate feature features feat fix bugfix chore issue issues bump update upgrade deps patch pr pull
    task ticket wip
""")
"""Words before a number that make it no version: `fix-12`, `pr-7`, `dependabot/pip/django-4.2.1`."""

NUMBER_PREFIXES = _words("r rel release version ver build deploy deployment") | {""}
"""What may precede a single number in a name that may be a branch's: `r-0906` is a version, `SHOP-12` is not."""


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case, split at everything that is neither a letter nor a digit."""
    return tuple(word for word in re.split(r"[\W_]+", name.lower()) if word)


def is_production_name(name: str, production_names: tuple[str, ...]) -> bool:
    """Return whether a name is production, see `ProductionNames`."""
    return ProductionNames.of(production_names).fit(name)


class ProductionNames(Struct, frozen=True, dict=True):
    """What the names of production environments have in common: one of these rows of words.

    A word such as `pre` takes that back, unless it is a production name by itself or part of the one that fits.
    """

    rows: AbstractSet[tuple[str, ...]]

    @classmethod
    def of(cls, names: Iterable[str]) -> "ProductionNames":
        return cls(frozenset(filter(None, map(words_of, names))))

    def fit(self, name: str) -> bool:
        """Return whether a name is production: a production name as words in a row, and no word that takes it back."""
        words = words_of(name)
        revoking = {word for word in words if word in NOT_PRODUCTION_WORDS and (word,) not in self.rows}
        return any(row in self.rows and revoking.issubset(row) for row in self._rows_in(words))

    def _rows_in(self, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for length in self._lengths:
            yield from (words[start : start + length] for start in range(len(words) - length + 1))

    @cached_property
    def _lengths(self) -> AbstractSet[int]:
        return set(map(len, self.rows))


def is_for_pull_request(event: str | None) -> bool:
    """Return whether a run with this event is for a pull request; the names of all such events begin alike."""
    return (event or "").startswith("pull_request")


@lru_cache(maxsize=1024)
def names_a_deploy_workflow(name: str) -> bool:
    """Return whether a workflow's name is that of one that deploys."""
    words = set(words_of(name))
    is_delivery = "cd" in words and "ci" not in words
    return (is_delivery or not words.isdisjoint(DEPLOY_WORDS)) and words.isdisjoint(NOT_DEPLOY_WORDS)

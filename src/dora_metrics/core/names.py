"""What the names of environments, workflows, branches and tags say about deployments. Pure.

The words in this file are the only ones that decide; docs/events.md shows them to users.
"""

import re
from collections.abc import Collection
from functools import lru_cache


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

EVENTS_WITHOUT_DEPLOYMENT = _words("dynamic issue_comment pull_request pull_request_target")
"""Events whose runs deploy nothing, unless `deploy-workflows` names the workflow; for a pull request, not even then."""

PRERELEASE_WORDS = NOT_PRODUCTION_WORDS | _words(
    "alpha beta rc snapshot nightly canary testflight prerelease milestone"
)
"""Words in a tag that say that it is a prerelease, also with a number after them: `rc1`."""

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


@lru_cache(maxsize=1024)
def is_production_name(name: str, production_names: tuple[str, ...]) -> bool:
    """Return whether a name is production: a production name as words in a row, and no word that takes it back.

    A word does not take anything back if it is a production name by itself, or part of the one that fits.
    """
    words, names = words_of(name), [words_of(production_name) for production_name in production_names]
    allowed_words = {words[0] for words in names if len(words) == 1}
    return any(
        _has_in_a_row(words, row) and not set(words) & (NOT_PRODUCTION_WORDS - allowed_words - set(row))
        for row in names
    )


def _has_in_a_row(words: tuple[str, ...], row: tuple[str, ...]) -> bool:
    starts = range(len(words) - len(row) + 1) if row else ()
    return any(words[start : start + len(row)] == row for start in starts)


def names_a_deploy_workflow(name: str) -> bool:
    """Return whether a workflow's name is that of one that deploys."""
    words = set(words_of(name))
    is_delivery = "cd" in words and "ci" not in words
    return (is_delivery or not words.isdisjoint(DEPLOY_WORDS)) and words.isdisjoint(NOT_DEPLOY_WORDS)


# --- Versions ---

_LONGEST_NAME = 255
_VERSION = re.compile(
    r"""
    (?:(?P<name>.+?)[-_@/.])??                       # shop-, release/, @acme/web@
    v?
    (?:
        (?: (?P<date>
                \d{4}[-_]\d\d?[-_]\d\d?               # 2018-12-19
              | \d\d?[-_]\d\d?[-_]\d{4}               # 01-02-2025
              | (?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])
              | (?:19|20)\d\d(?:\.\d+)+                # 2026.8.0
            )
          | \d+(?:\.\d+)*\.(?P<hash>v[0-9a-f_]{6,})   # 1414.v878271fc496f
          | \d+(?:\.\d+)+                            # 1.2
        )
        (?P<suffix>(?:[-+_.]?[0-9A-Za-z][0-9A-Za-z.+_-]*)?)
      | (?P<number>\d{1,18})                         # 161
    )
    (?:/[0-9A-Za-z][0-9A-Za-z.+_-]*)?                # a build: 2026.7.3/2026.2546
    """,
    re.IGNORECASE | re.ASCII | re.VERBOSE,
)
_SHORT_PRERELEASE = re.compile(r"[ab]\d+|[-.]m\d+", re.IGNORECASE | re.ASCII)
"""What follows the numbers of a prerelease that is named by a letter: `5.0a1`, `5.0b2`, `6.0-M3`."""
_CALENDAR_PRERELEASE = re.compile(r".*-[a-z].*", re.IGNORECASE | re.ASCII)
"""What follows the date of a prerelease: `2026.08.19-trial`."""


def reads_as_version(tag: str, other_tags: Collection[str] = ()) -> bool:
    """Return whether the name of a tag reads as a version: `v1.2.0`, `shop-1.2`, `01-02-2025`, `r-0906`, `v161`.

    A single number is a version unless another tag begins with it and a dot: `v10` beside `v10.1` moves with releases.
    """
    match = _version_match(tag)
    return match is not None and not (match["number"] and any(other.startswith(f"{tag}.") for other in other_tags))


def ref_reads_as_version(ref: str) -> bool:
    """Return whether a name that may be a tag's or a branch's reads as a version.

    A single number counts only after nothing or a word for a release, since branches are often named after tickets.
    """
    match = _version_match(ref)
    return match is not None and not (match["number"] and (match["name"] or "").lower() not in NUMBER_PREFIXES)


def is_prerelease_name(tag: str) -> bool:
    """Return whether the name of a tag is a prerelease's, by a word, or by letters after `-` in a calendar version."""
    match = _version_match(tag)
    commit_hash, suffix = (match["hash"] or "", match["suffix"] or "") if match else ("", "")
    words = re.findall(r"[a-z]+", tag.replace(commit_hash, "").lower())
    is_calendar = match is not None and match["date"] is not None
    pattern = _CALENDAR_PRERELEASE if is_calendar else _SHORT_PRERELEASE
    return not PRERELEASE_WORDS.isdisjoint(words) or pattern.fullmatch(suffix) is not None


def _version_match(name: str) -> re.Match[str] | None:
    """Match a name that reads as a version. Neither `1.2.x`, a series, nor `fix-12`, a working branch, does."""
    match = _VERSION.fullmatch(name) if len(name) <= _LONGEST_NAME else None
    if match is None or "x" in words_of(match["suffix"] or ""):
        return None
    name_words = words_of(match["name"] or "")
    is_name = match["name"] is None or re.search(r"[a-z]", match["name"], re.IGNORECASE)
    return match if is_name and WORKING_BRANCH_WORDS.isdisjoint(name_words) else None

"""Changes: pull requests that were merged into the default branch."""

import re

from dora_metrics.core.facts.model import Change
from dora_metrics.github import text
from dora_metrics.github.observation import Observed, Run, nothing
from dora_metrics.github.payloads import PullRequestEvent, User

_REVERTED_PULL = re.compile(r"^[ \t]*Reverts[ \t]+([\w.-]+/[\w.-]+)?#(\d{1,18})\b", re.MULTILINE | re.ASCII)
_REVERTED_COMMIT = re.compile(r"\bThis reverts commit ([0-9a-f]{40})\b")


def closed(run: Run, event: PullRequestEvent) -> Observed:
    pull, branch = event.pull_request, event.repository.default_branch
    name = f"pull request {run.repository}#{pull.number}"
    merged_at = pull.merged_at or pull.closed_at
    if event.action != "closed":
        return nothing(f"{name} was {event.action}; changes count when they are merged")
    if pull.merged is False or merged_at is None:
        return nothing(f"{name} was closed without a merge")
    if pull.base.ref != branch:
        return nothing(f"{name} was merged into {pull.base.ref}; changes count when they reach {branch}")
    change = Change(
        id=f"github:pull:{run.repository}#{pull.number}",
        repository=run.repository,
        source="github",
        observed_at=pull.closed_at or pull.updated_at or merged_at,
        url=text.link(pull.html_url),
        sha=text.full_sha(pull.merge_commit_sha),
        title=text.title(pull.title),
        opened_at=pull.created_at,
        merged_at=merged_at,
        labels=tuple(label.name for label in pull.labels or ()),
        branch=pull.head.ref if pull.head else None,
        bot=_is_bot(pull.user),
        reverts=reverted(run.repository, pull.body),
    )
    return Observed((change,), f"{name[0].upper()}{name[1:]} was merged")


def _is_bot(user: User | None) -> bool:
    """Whether a program opened it; nobody is known any more where the account is deleted."""
    return user is not None and (user.type == "Bot" or (user.login or "").endswith("[bot]"))


def reverted(repository: str, body: str | None) -> str | None:
    """What a text says that it takes back, as GitHub's Revert button and `git revert` write it: a change or a sha."""
    if found := _REVERTED_PULL.search(body or ""):
        named = found[1] or repository
        own = named.lower() == repository.lower()
        return f"github:pull:{repository if own else named}#{int(found[2])}"
    commit = _REVERTED_COMMIT.search(body or "")
    return commit[1] if commit else None

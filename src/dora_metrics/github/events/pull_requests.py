"""Changes in events: pull requests that were merged into the default branch."""

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Change
from dora_metrics.github import text
from dora_metrics.github.observation import Observation, Run, nothing_to_record
from dora_metrics.github.payloads import PullRequestEvent, UserPayload
from dora_metrics.github.reverts import reverts_field


def observe_pull_request(run: Run, event: PullRequestEvent) -> Observation:
    """Map a closed pull request to a change if it was merged into the default branch."""
    pull, branch = event.pull_request, event.repository.default_branch
    pull_name = f"pull request {run.repository}#{pull.number}"
    merged_at = pull.merged_at or pull.closed_at
    if event.action != "closed":
        return nothing_to_record(f"{pull_name} was {event.action}; changes count when they are merged")
    if pull.merged is False or merged_at is None:
        return nothing_to_record(f"{pull_name} was closed without a merge")
    if pull.base.ref != branch:
        return nothing_to_record(f"{pull_name} was merged into {pull.base.ref}; changes count when they reach {branch}")
    change = Change(
        id=ids.pull_request(run.repository, pull.number),
        repository=run.repository,
        source="github",
        observed_at=pull.closed_at or pull.updated_at or merged_at,
        url=text.address_on(run.server_url, pull.html_url),
        sha=text.full_sha_or_none(pull.merge_commit_sha),
        title=text.truncate_title(pull.title),
        opened_at=pull.created_at,
        merged_at=merged_at,
        labels=tuple(label.name for label in pull.labels or ()),
        branch=pull.head.ref if pull.head else None,
        bot=_is_bot(pull.user),
        reverts=reverts_field(run.repository, pull.body, pull.html_url),
    )
    return Observation((change,), f"{pull_name[0].upper()}{pull_name[1:]} was merged")


def _is_bot(user: UserPayload | None) -> bool:
    """Whether a program opened the pull request; False if the account was deleted."""
    return user is not None and (user.type == "Bot" or (user.login or "").endswith("[bot]"))

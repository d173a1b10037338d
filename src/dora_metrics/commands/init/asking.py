"""Asks GitHub, in one request, what a repository has that deployments and incidents could be read from."""

from collections.abc import Callable, Mapping
from typing import Any

from dora_metrics.commands.init.findings import PUBLIC, Deployed, OnGitHub
from dora_metrics.github.client import Client, GitHubError, owner_and_name


def ask(
    repository: str | None, server: str | None, environment: Mapping[str, str], pause: Callable[[float], None]
) -> OnGitHub | str:
    """What GitHub says, or why nobody was asked.

    A token goes to the GitHub that the environment names, and never to an address that a checkout names: whoever made
    the checkout could have put any there.
    """
    token = environment.get("GITHUB_TOKEN") or environment.get("GH_TOKEN")
    own = (environment.get("GITHUB_SERVER_URL") or PUBLIC).rstrip("/")
    if not token:
        return "there is no token in GITHUB_TOKEN or GH_TOKEN"
    if not repository:
        return "the checkout has no remote `origin` on GitHub; name the repository with --repository OWNER/NAME"
    if server and server.lower() != own.lower():
        advice = "GITHUB_SERVER_URL and GITHUB_API_URL name another place"
        return f"the repository is on {server}, and the token is for {own}; {advice}"
    client = Client(token, environment.get("GITHUB_API_URL") or "https://api.github.com", pause)
    try:
        return _read(client.query("Setup", owner_and_name(repository))["repository"])
    except GitHubError as problem:
        return f"GitHub did not say what {repository} has: {problem}"


def _read(said: Mapping[str, Any]) -> OnGitHub:
    labels = (node["name"] for key in ("incidents", "outages", "severities", "hotfixes") for node in said[key]["nodes"])
    return OnGitHub(
        branch=(said["defaultBranchRef"] or {}).get("name"),
        has_issues=said["hasIssuesEnabled"],
        labels=tuple(dict.fromkeys(labels)),
        releases=tuple(node["tagName"] for node in said["releases"]["nodes"] if not node["isDraft"]),
        deployments=tuple(_deployed(node) for node in said["deployments"]["nodes"] if _counts(node["task"])),
    )


def _deployed(node: Mapping[str, Any]) -> Deployed:
    return Deployed(
        environment=node["environment"] or "",
        day=str(node["createdAt"]).partition("T")[0],
        creator=(node["creator"] or {}).get("login") or "",
    )


def _counts(task: str | None) -> bool:
    return not task or task == "deploy" or task.startswith("deploy:")

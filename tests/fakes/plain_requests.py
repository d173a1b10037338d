"""Plain HTTP requests to the fake GitHub, and the queries of its own tests."""

import base64
from datetime import UTC, datetime
from typing import Any

import requests

from fakes.github import FakeGitHub

DAY = datetime(2026, 11, 20, 10, tzinfo=UTC)
HEAD_QUERY = 'query Head { repository(owner: "acme", name: "shop") { id defaultBranchRef { name target { oid } } } }'
COMMIT_MUTATION = """
mutation Record($input: CreateCommitOnBranchInput!) {
  createCommitOnBranch(input: $input) { commit { oid message parents(first: 1) { nodes { oid } } } }
}
"""
DEEP_QUERY = """
pullRequests(first: 100) {
  nodes { commits(first: 100) { nodes { commit { associatedPullRequests(first: 100) { totalCount } } } } }
}
"""
UPDATE_REFS_MUTATION = "mutation Refs($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }"

Json = dict[str, Any]


def get(github: FakeGitHub, path: str, token: str | None = None, **query: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {token or github.token}"}
    return requests.get(f"{github.root_url}/repos/acme/shop{path}", params=query, headers=headers, timeout=5)


def post(github: FakeGitHub, path: str, body: Json) -> requests.Response:
    headers = {"Authorization": f"Bearer {github.token}"}
    return requests.post(f"{github.root_url}/repos/acme/shop{path}", json=body, headers=headers, timeout=5)


def post_graphql(
    github: FakeGitHub, query: str, token: str | None = None, timeout: float = 5, **variables: object
) -> Json:
    """Send a GraphQL query; return the answer, including errors."""
    headers = {"Authorization": f"Bearer {token or github.token}"}
    body = {"query": query, "variables": variables}
    response = requests.post(github.graphql_url, json=body, headers=headers, timeout=timeout)
    response.raise_for_status()
    answer: Json = response.json()
    return answer


def repository_fields(github: FakeGitHub, fields: str) -> Json:
    """Query fields of acme/shop."""
    answer = post_graphql(github, f'{{ repository(owner: "acme", name: "shop") {{ {fields} }} }}')
    assert "errors" not in answer, answer
    repository: Json = answer["data"]["repository"]
    return repository


def commit_input(expected: str | None, branch: str = "main", **files: str) -> Json:
    """Input of createCommitOnBranch."""
    return {
        "branch": {"repositoryNameWithOwner": "acme/shop", "branchName": branch},
        "expectedHeadOid": expected,
        "message": {"headline": "Record 1 fact"},
        "fileChanges": {
            "additions": [
                {"path": name, "contents": base64.b64encode(text.encode()).decode()} for name, text in files.items()
            ]
        },
    }

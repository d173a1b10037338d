"""The fake GitHub itself, driven through PyGithub and through plain requests."""

import subprocess
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

import pytest
from github import Auth, Github, GithubException

from fakes.github import FakeGitHub
from fakes.nodes import TEXT_LIMIT
from fakes.plain_requests import (
    COMMIT_MUTATION,
    DAY,
    DEEP_QUERY,
    HEAD_QUERY,
    commit_input,
    get,
    post_graphql,
    repository_fields,
)
from fakes.repository import Repository
from fakes.rest_alerts import SECRET


def test_pygithub_reads_a_repository_at_the_address_of_an_enterprise_server(client: Github, shop: Repository) -> None:
    found = client.get_repo("acme/shop")
    assert (found.default_branch, found.get_branch("main").commit.sha) == ("main", shop.head())


def test_pygithub_derives_the_address_of_graphql(client: Github, shop: Repository) -> None:
    _, found = client.requester.graphql_query(HEAD_QUERY, {})
    assert found["data"]["repository"]["defaultBranchRef"] == {"name": "main", "target": {"oid": shop.head()}}


def test_the_addresses_of_github_com_work_as_well(github: FakeGitHub, shop: Repository) -> None:
    with Github(base_url=github.root_url, auth=Auth.Token(github.token)) as client:
        assert client.get_repo("acme/shop").id == shop.database_id
        assert client.requester.graphql_query(HEAD_QUERY, {})[1]["data"]["repository"]["id"] == shop.id


def test_a_former_name_is_redirected_until_another_repository_takes_it(
    github: FakeGitHub, client: Github, shop: Repository
) -> None:
    github.state.rename("acme/shop", "umbrella/store")
    assert client.get_repo("acme/shop").full_name == "umbrella/store"
    assert client.requester.graphql_query(HEAD_QUERY, {})[1]["data"]["repository"]["id"] == shop.id
    assert [request.status for request in github.requests] == [301, 200, 200]
    successor = github.repository("acme/shop")
    assert client.get_repo("acme/shop").id == successor.database_id
    assert client.get_repo("umbrella/store").id == shop.database_id


def test_what_it_writes_is_a_sound_git_repository(github: FakeGitHub, shop: Repository) -> None:
    shop.commit({"deep/er/file.txt": "1", "deep.txt": "2"})
    shop.commit({"deep/er/file.txt": None, "README.md": b"\x00\xff"})
    shop.tag("v1", message="First")
    for how in ("squash", "merge", "rebase"):
        shop.merge_pull(shop.pull(f"By {how}", files={f"{how}.txt": how}), how)
    head = shop.head()
    assert head
    assert "data" in post_graphql(github, COMMIT_MUTATION, input=commit_input(head, a="1"))
    checked = subprocess.run(
        ["git", "--git-dir", shop.git.folder, "fsck", "--strict"], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    listed = shop.git.run("ls-tree", "-r", "--name-only", "main").split()
    assert listed == ["README.md", "a", "deep.txt", "merge.txt", "rebase.txt", "squash.txt"]


def test_a_query_with_an_unknown_field_fails_as_on_github(github: FakeGitHub, shop: Repository) -> None:
    found = post_graphql(github, f'{{ repository(owner: "acme", name: "{shop.name}") {{ stars }} }}')
    (error,) = found["errors"]
    assert error["message"] == "Field 'stars' doesn't exist on type 'Repository'"
    assert error["extensions"] == {"code": "undefinedField", "typeName": "Repository", "fieldName": "stars"}
    assert "data" not in found


@pytest.mark.parametrize(
    ("connection", "kind"),
    [
        ("releases { totalCount }", "MISSING_PAGINATION_BOUNDARIES"),
        ("releases(first: 101) { totalCount }", "EXCESSIVE_PAGINATION"),
        (DEEP_QUERY, "MAX_NODE_LIMIT_EXCEEDED"),
    ],
)
def test_a_list_without_bounds_or_too_long_is_refused(
    github: FakeGitHub, shop: Repository, connection: str, kind: str
) -> None:
    found = post_graphql(github, f'{{ repository(owner: "acme", name: "{shop.name}") {{ {connection} }} }}')
    assert [error["type"] for error in found["errors"]] == [kind]


def test_a_repository_that_is_not_there_is_a_typed_error(github: FakeGitHub) -> None:
    found = post_graphql(github, HEAD_QUERY)
    assert found["data"] == {"repository": None}
    assert found["errors"][0]["type"] == "NOT_FOUND"
    assert found["errors"][0]["message"] == "Could not resolve to a Repository with the name 'acme/shop'."
    assert get(github, "").status_code == 404


def test_what_the_fake_does_not_know_fails_the_test_and_not_just_the_request() -> None:
    def use() -> None:
        with FakeGitHub() as github:
            github.repository("acme/shop")
            post_graphql(github, '{ repository(owner: "acme", name: "shop") { hasWikiEnabled } }')
            assert get(github, "/stargazers").status_code == 500

    with pytest.raises(AssertionError, match=r"no Repository\.hasWikiEnabled.* not know GET /repos/.*/stargazers"):
        use()


def test_files_of_a_branch_come_in_one_query_and_long_ones_are_cut(github: FakeGitHub, shop: Repository) -> None:
    shop.commit({"facts/11.jsonl": "é" * TEXT_LIMIT, "facts/12.jsonl": "{}", "raw": b"\xff"}, branch="data", parents=[])
    found = repository_fields(
        github,
        'ref(qualifiedName: "refs/heads/data") { target { ... on Commit { tree { entries { name type } }'
        ' file(path: "facts") { object { ... on Tree { entries { name object { ... on Blob'
        ' { text byteSize isTruncated isBinary } } } } } } } } } object(expression: "data:raw")'
        " { ... on Blob { text isBinary } }",
    )
    head = found["ref"]["target"]
    assert head["tree"]["entries"] == [{"name": "facts", "type": "tree"}, {"name": "raw", "type": "blob"}]
    long, short = (entry["object"] for entry in head["file"]["object"]["entries"])
    assert (len(long["text"].encode()), long["byteSize"], long["isTruncated"]) == (TEXT_LIMIT, 2 * TEXT_LIMIT, True)
    assert short == {"text": "{}", "byteSize": 2, "isTruncated": False, "isBinary": False}
    assert found["object"] == {"text": None, "isBinary": True}


def test_600_commits_are_compared_page_by_page(github: FakeGitHub, client: Github, shop: Repository) -> None:
    base = shop.head()
    made = [shop.commit({"count.txt": str(number)}, message=f"Count {number}") for number in range(600)]
    pages = [get(github, f"/compare/{base}...main", page=str(page)) for page in (1, 2, 3)]
    assert [len(page.json()["commits"]) for page in pages] == [250, 250, 100]
    assert [row["sha"] for page in pages for row in page.json()["commits"]] == made
    assert [len(page.json()["files"]) for page in pages] == [1, 0, 0]
    assert [sorted(page.links) for page in pages] == [
        ["last", "next"], ["first", "last", "next", "prev"], ["first", "prev"],
    ]  # fmt: skip
    compared = client.get_repo("acme/shop").compare(str(base), "main", comparison_commits_per_page=100)
    assert (compared.total_commits, compared.status, len(list(compared.commits))) == (600, "ahead", 600)
    assert get(github, "/compare/nowhere...main").status_code == 404


def test_history_is_paged_by_cursor(github: FakeGitHub, shop: Repository) -> None:
    made = [shop.commit({"a": str(number)}, author_date=DAY + timedelta(hours=number)) for number in range(5)]
    seen, after = [], "null"
    while after:
        page = repository_fields(
            github,
            f"defaultBranchRef {{ target {{ ... on Commit {{ history(first: 2, after: {after}) {{ totalCount"
            " nodes { oid committedDate } pageInfo { hasNextPage endCursor } } } } }",
        )["defaultBranchRef"]["target"]["history"]
        seen += [row["oid"] for row in page["nodes"]]
        after = f'"{page["pageInfo"]["endCursor"]}"' if page["pageInfo"]["hasNextPage"] else ""
    assert len(seen) == page["totalCount"] == 6
    assert set(made) < set(seen)


def test_history_can_be_that_of_a_path_and_since_a_time(github: FakeGitHub, shop: Repository) -> None:
    def at(hours: int) -> datetime:
        return DAY + timedelta(hours=hours)

    made = [("web/deep/a", "1"), ("web/b", "1"), ("webs/a", "1"), ("web/b", "2")]
    folder, file, other, later = (
        shop.commit({name: text}, author_date=at(hours)) for hours, (name, text) in enumerate(made)
    )
    pull = shop.pull("Fix", files={"web/c": "1"}, created_at=at(4))
    shop.merge_pull(pull, "merge", at=at(5))

    def history(arguments: str) -> list[str]:
        found = repository_fields(
            github,
            f"defaultBranchRef {{ target {{ ... on Commit {{ history(first: 9, {arguments}) {{ nodes {{ oid }} }}"
            " } } }",
        )
        return [row["oid"] for row in found["defaultBranchRef"]["target"]["history"]["nodes"]]

    assert history('path: "web"') == [*pull.shas, later, file, folder]
    assert history('path: "web/b"') == [later, file]
    assert history(f'path: "web", since: "{at(3):%Y-%m-%dT%H:%M:%SZ}"') == [*pull.shas, later]
    assert history('path: "webs"') == [other]
    assert history('path: "web/*"') == history('path: "nowhere"') == []


def test_files_of_a_pull_request_are_listed_a_hundred_at_a_time_and_counted(
    github: FakeGitHub, shop: Repository
) -> None:
    shop.pull("Large", files={f"{number:03}": "1" for number in range(120)})
    found = repository_fields(github, "pullRequest(number: 1) { files(first: 100) { totalCount nodes { path } } }")
    assert (found["pullRequest"]["files"]["totalCount"], len(found["pullRequest"]["files"]["nodes"])) == (120, 100)


def test_what_is_left_out_of_a_query_costs_nothing(github: FakeGitHub, shop: Repository) -> None:
    files = "files(first: 100) @include(if: $files) { nodes { path } }"
    query = (
        "query Cost($files: Boolean = false) { rateLimit { nodeCount }"
        f' repository(owner: "acme", name: "{shop.name}") {{ pullRequests(first: 100) {{ nodes {{ {files} }} }} }} }}'
    )
    without, left_out, asked = (
        found["data"]["rateLimit"]["nodeCount"]
        for found in (
            post_graphql(github, query),
            post_graphql(github, query, files=False),
            post_graphql(github, query, files=True),
        )
    )
    assert (without, left_out, asked) == (100, 100, 10_100)


@pytest.mark.parametrize("how", ["squash", "merge", "rebase"])
def test_a_landed_pull_request_is_found_from_its_commit(
    github: FakeGitHub, client: Github, shop: Repository, how: Literal["squash", "merge", "rebase"]
) -> None:
    for number in (1, 2):
        shop.commit({f"{number}.txt": "1"}, branch="fix", message=f"Step {number}", author_date=DAY)
    pull = shop.pull("Fix", branch="fix", labels=["hotfix"], author="dependabot[bot]", created_at=DAY)
    shop.review(pull, at=DAY + timedelta(hours=1))
    shop.commit({"other.txt": "1"})
    sha = shop.merge_pull(pull, how, at=DAY + timedelta(hours=2), delete_branch=True)
    found = repository_fields(
        github,
        f'object(oid: "{sha}") {{ ... on Commit {{ parents(first: 2) {{ totalCount }} associatedPullRequests(first: 5)'
        " { nodes { number state mergedAt mergeCommit { oid } author { __typename login } labels(first: 5)"
        " { nodes { name } } commits(first: 5) { totalCount nodes { commit { authoredDate } } }"
        " reviews(first: 1) { nodes { submittedAt author { login } } } files(first: 5) { nodes { path } } } } } }",
    )["object"]
    assert found == {
        "parents": {"totalCount": 2 if how == "merge" else 1},
        "associatedPullRequests": {
            "nodes": [
                {
                    "number": 1,
                    "state": "MERGED",
                    "mergedAt": "2026-11-20T12:00:00Z",
                    "mergeCommit": {"oid": sha},
                    "author": {"__typename": "Bot", "login": "dependabot"},
                    "labels": {"nodes": [{"name": "hotfix"}]},
                    "commits": {
                        "totalCount": 2,
                        "nodes": [{"commit": {"authoredDate": "2026-11-20T10:00:00Z"}}] * 2,
                    },
                    "reviews": {"nodes": [{"submittedAt": "2026-11-20T11:00:00Z", "author": {"login": "reviewer"}}]},
                    "files": {"nodes": [{"path": "1.txt"}, {"path": "2.txt"}]},
                }
            ]
        },
    }
    (rest,) = client.get_repo("acme/shop").get_commit(sha).get_pulls()
    assert (rest.number, rest.user.login, rest.merge_commit_sha) == (1, "dependabot[bot]", sha)
    assert [made.sha for made in rest.get_commits()] == pull.shas
    assert {path: shop.read(path) for path in ("1.txt", "2.txt", "other.txt")} == dict.fromkeys(
        ("1.txt", "2.txt", "other.txt"), b"1"
    )


def test_only_a_commit_outside_the_default_branch_has_open_pull_requests(github: FakeGitHub, shop: Repository) -> None:
    main, side = shop.commit({"a": "1"}), shop.commit({"b": "1"}, branch="release")
    shop.branch("fork", side)
    opened = shop.pull("Open", branch="fork", created_at=DAY)
    shop.pulls_by_commit[main] = [opened]
    query = " ".join(
        f'{name}: object(oid: "{sha}") {{ ... on Commit {{ associatedPullRequests(first: 5) {{ totalCount }} }} }}'
        for name, sha in (("main", main), ("side", side))
    )
    found = repository_fields(github, query)
    assert [found[name]["associatedPullRequests"]["totalCount"] for name in ("main", "side")] == [0, 1]


def test_a_later_success_makes_the_earlier_deployment_inactive(client: Github, shop: Repository) -> None:
    first, second = shop.deployment(at=DAY), shop.deployment(at=DAY + timedelta(days=1))
    shop.deployment("staging", at=DAY)
    found = list(client.get_repo("acme/shop").get_deployments(environment="production"))
    assert [made.id for made in found] == [second.database_id, first.database_id]
    assert [status.state for status in found[1].get_statuses()] == ["inactive", "success"]


def test_releases_issues_and_runs_are_listed_newest_first(client: Github, shop: Repository) -> None:
    for number in (1, 2):
        shop.release(f"v{number}", published_at=DAY + timedelta(days=number))
        shop.run(at=DAY + timedelta(days=number))
    shop.issue("Down", labels=["incident"], created_at=DAY, closed_at=DAY + timedelta(hours=1))
    repository = client.get_repo("acme/shop")
    assert [made.tag_name for made in repository.get_releases()] == ["v2", "v1"]
    assert [made.run_number for made in repository.get_workflow_runs()] == [2, 1]
    assert [made.title for made in repository.get_issues(state="all", labels=["incident"])] == ["Down"]


def test_deployments_releases_and_issues_come_in_one_query(github: FakeGitHub, shop: Repository) -> None:
    shop.deployment(at=DAY)
    shop.release("v1", published_at=DAY)
    shop.issue("Down", labels=["incident"], created_at=DAY)
    found = repository_fields(
        github,
        "deployments(first: 1, orderBy: {field: CREATED_AT, direction: DESC}) { nodes { databaseId state environment"
        " commitOid latestStatus { state createdAt } statuses(first: 5) { nodes { state } } } }"
        " releases(first: 1) { nodes { tagName publishedAt isDraft tagCommit { oid } } }"
        ' issues(first: 1, labels: ["incident"], states: OPEN) { nodes { number title closedAt stateReason } }',
    )
    (deployed,) = found["deployments"]["nodes"]
    assert (deployed["state"], deployed["latestStatus"]["state"], deployed["commitOid"]) == (
        "ACTIVE", "SUCCESS", shop.head(),
    )  # fmt: skip
    assert found["releases"]["nodes"][0]["tagCommit"] == {"oid": shop.head()}
    assert found["issues"]["nodes"] == [{"number": 1, "title": "Down", "closedAt": None, "stateReason": None}]


def test_an_issue_is_written_once_and_its_body_has_a_limit(client: Github, shop: Repository) -> None:
    repository = client.get_repo("acme/shop")
    made = repository.create_issue("Weekly report", body="1", labels=["dora"])
    made.edit(body="2")
    assert repository.get_issue(1).body == "2"
    with pytest.raises(GithubException) as refused:
        made.edit(body="x" * 65_537)
    assert refused.value.status == 422
    assert len(shop.records) == 1


def test_a_file_is_read_at_any_ref(client: Github, shop: Repository) -> None:
    sha = shop.commit({".github/dora.yml": "window: 7d\n"})
    shop.commit({".github/dora.yml": "window: 30d\n"})
    repository = client.get_repo("acme/shop")
    found = repository.get_contents(".github/dora.yml", ref=sha)
    assert not isinstance(found, list)
    assert found.decoded_content == b"window: 7d\n"


def test_a_leaked_secret_is_told_in_clear_unless_it_is_to_be_hidden(github: FakeGitHub, shop: Repository) -> None:
    shop.alert("secret-scanning", "Token")
    assert SECRET in get(github, "/secret-scanning/alerts").text
    assert SECRET not in get(github, "/secret-scanning/alerts", hide_secret="true").text
    assert github.state.revealed_secrets == 1


def test_security_alerts_are_never_public(github: FakeGitHub, shop: Repository) -> None:
    shop.alert()
    token = github.grant(vulnerability_alerts="none")
    assert get(github, "/dependabot/alerts", token).status_code == 403
    assert len(get(github, "/dependabot/alerts").json()) == 1


def test_security_alerts_are_paged_by_a_cursor_or_by_number(github: FakeGitHub, shop: Repository) -> None:
    for number in range(3):
        shop.alert("dependabot", at=DAY + timedelta(hours=number))
        shop.alert("code-scanning", at=DAY + timedelta(hours=number))
    asked = {"sort": "updated", "per_page": "2"}
    for path, sign in (("/dependabot/alerts", "after"), ("/code-scanning/alerts", "page")):
        first = get(github, path, **asked)
        place = dict(parse_qsl(urlsplit(first.links["next"]["url"]).query))
        second = get(github, path, **asked, **{sign: place[sign]})
        assert [one["number"] for one in (*first.json(), *second.json())] == [3, 2, 1]
        assert "next" not in second.links
    assert get(github, "/dependabot/alerts", after="bm8gY3Vyc29y").status_code == 422

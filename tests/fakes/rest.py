"""REST, the records: repositories, pull requests, deployments, releases, issues and workflow runs."""

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from fakes import rest_views
from fakes.mutations import BODY_LIMIT
from fakes.records import Deployment, Issue, PullRequest, Record, Release, WorkflowRun
from fakes.repository import Repository
from fakes.resolvers import stamp
from fakes.routing import Answer, Call, HttpError, invalid, route

R = TypeVar("R", bound=Record)
RUNS_LIMIT = 1000
"""How many runs a list gives at most, over all its pages."""


def one(found: Sequence[R]) -> R:
    if not found:
        raise HttpError(404, "Not Found")
    return found[0]


def newest(records: Sequence[R], call: Call) -> list[R]:
    """Sorted as `sort` and `direction` ask: by creation or last change, newest first unless asked otherwise."""
    name = "updated_at" if call.query.get("sort") == "updated" else "created_at"
    return sorted(
        records, key=lambda record: (getattr(record, name), record.database_id),
        reverse=call.query.get("direction", "desc") == "desc",
    )  # fmt: skip


def in_state(records: Sequence[Issue], call: Call) -> list[Issue]:
    state = call.query.get("state", "open")
    return [record for record in records if state == "all" or record.closed == (state == "closed")]


@route("GET", "")
def repository(call: Call, home: Repository) -> Answer:
    return Answer(200, rest_views.repository(call.base, home, push=call.token.may("contents", "write", home)))


@route("GET", "/pulls")
def pulls(call: Call, home: Repository) -> Answer:
    call.need(home, "pull-requests")
    base, head = call.query.get("base"), call.query.get("head", "").rpartition(":")[2]
    found = [
        pull
        for pull in newest(in_state(home.every(PullRequest), call), call)
        if isinstance(pull, PullRequest)
        and base in {None, pull.base_ref_name}
        and head in {"", pull.head_ref_name}
    ]  # fmt: skip
    return call.listed(found, partial(rest_views.pull, call.base))


def _pull(call: Call, home: Repository, number: str) -> PullRequest:
    call.need(home, "pull-requests")
    return one([pull for pull in home.every(PullRequest) if str(pull.number) == number])


@route("GET", "/pulls/{number}")
def pull(call: Call, home: Repository, number: str) -> Answer:
    return Answer(200, rest_views.whole_pull(call.base, _pull(call, home, number)))


@route("GET", "/pulls/{number}/commits")
def pull_commits(call: Call, home: Repository, number: str) -> Answer:
    found = [home.git.commit(sha) for sha in _pull(call, home, number).shas[:250]]
    return call.listed([made for made in found if made], partial(rest_views.commit, call.base, home))


@route("GET", "/pulls/{number}/reviews")
def pull_reviews(call: Call, home: Repository, number: str) -> Answer:
    return call.listed(_pull(call, home, number).reviews, partial(rest_views.review, call.base))


@route("GET", "/commits/{sha}/pulls")
def commit_pulls(call: Call, home: Repository, sha: str) -> Answer:
    """Merged ones for a commit of the default branch, open ones for any other."""
    call.need(home, "pull-requests")
    oid = home.git.resolve(sha)
    if oid is None:
        raise HttpError(422, f"No commit found for SHA: {sha}")
    landed = home.git.contains(home.head() or "", oid)
    found = [made for made in home.landed.get(oid, []) if made.merged == landed and (landed or not made.closed)]
    return call.listed(found, partial(rest_views.pull, call.base))


@route("GET", "/deployments")
def deployments(call: Call, home: Repository) -> Answer:
    call.need(home, "deployments")
    names = {"environment": "environment", "sha": "commit_oid", "ref": "ref_name", "task": "task"}
    wanted = {names[key]: value for key, value in call.query.items() if key in names and value != "none"}
    found = [made for made in home.every(Deployment) if all(getattr(made, key) == wanted[key] for key in wanted)]
    return call.listed(newest(found, call), partial(rest_views.deployment, call.base))


def _deployment(call: Call, home: Repository, number: str) -> Deployment:
    call.need(home, "deployments")
    return one([made for made in home.every(Deployment) if str(made.database_id) == number])


@route("GET", "/deployments/{number}")
def deployment(call: Call, home: Repository, number: str) -> Answer:
    return Answer(200, rest_views.deployment(call.base, _deployment(call, home, number)))


@route("GET", "/deployments/{number}/statuses")
def deployment_statuses(call: Call, home: Repository, number: str) -> Answer:
    found = _deployment(call, home, number).history[::-1]
    return call.listed(found, partial(rest_views.deployment_status, call.base))


@route("GET", "/releases")
def releases(call: Call, home: Repository) -> Answer:
    """Drafts are shown only to who may write."""
    call.need(home, "contents")
    writes = call.token.may("contents", "write", home)
    found = [made for made in home.every(Release) if writes or not made.is_draft]
    return call.listed(found[::-1], partial(rest_views.release, call.base))


@route("GET", "/issues")
def issues(call: Call, home: Repository) -> Answer:
    """Pull requests are issues too, with a key `pull_request`."""
    call.need(home, "issues")
    labels = set(filter(None, call.query.get("labels", "").split(",")))
    since = call.query.get("since", "")
    found = [
        issue
        for issue in in_state([*home.every(Issue), *home.every(PullRequest)], call)
        if labels <= set(issue.labels) and stamp(issue.updated_at) >= since
    ]
    return call.listed(newest(found, call), partial(rest_views.issue, call.base))


def _issue(home: Repository, number: str) -> Issue:
    return one([made for made in [*home.every(Issue), *home.every(PullRequest)] if str(made.number) == number])


@route("GET", "/issues/{number}")
def issue(call: Call, home: Repository, number: str) -> Answer:
    call.need(home, "issues")
    return Answer(200, rest_views.issue(call.base, _issue(home, number)))


def _body(given: object) -> str:
    text = given if isinstance(given, str) else ""
    if len(text) > BODY_LIMIT:
        raise invalid("Issue", "body", "custom", f"body is too long (maximum is {BODY_LIMIT} characters)")
    return text


@route("POST", "/issues")
def create_issue(call: Call, home: Repository) -> Answer:
    call.need(home, "issues", "write")
    if not home.has_issues_enabled:
        raise HttpError(410, "Issues are disabled for this repo")
    given = call.request.json()
    if not isinstance(given.get("title"), str):
        raise invalid("Issue", "title", "missing_field")
    body, author = _body(given.get("body")), call.token.actor.name
    made = home.issue(given["title"], body=body, labels=given.get("labels") or (), author=author)
    return Answer(201, rest_views.issue(call.base, made))


@route("PATCH", "/issues/{number}")
def update_issue(call: Call, home: Repository, number: str) -> Answer:
    call.need(home, "issues", "write")
    given, made = call.request.json(), _issue(home, number)
    made.title, made.labels = given.get("title", made.title), given.get("labels", made.labels)
    made.body, made.updated_at = _body(given.get("body", made.body)), call.world.now()
    if "state" in given:
        made.closed_at = made.updated_at if given["state"] == "closed" else None
        made.state_reason = given.get("state_reason", "completed" if made.closed_at else "reopened")
    return Answer(200, rest_views.issue(call.base, made))


@route("GET", "/actions/workflows")
def workflows(call: Call, home: Repository) -> Answer:
    call.need(home, "actions")
    found = home.workflows()
    shown, headers = call.page(
        list(found), lambda number: {"id": number, "name": found[number][0], "path": found[number][1]}
    )
    return Answer(200, {"total_count": len(found), "workflows": shown}, headers)


@route("GET", "/actions/workflows/{number}/runs")
def workflow_runs(call: Call, home: Repository, number: str) -> Answer:
    call.need(home, "actions")
    known = home.workflows()
    if int(number) not in known:
        raise HttpError(404, "Not Found")
    return _runs(call, home, known[int(number)][1])


@route("GET", "/actions/runs")
def runs(call: Call, home: Repository) -> Answer:
    call.need(home, "actions")
    return _runs(call, home)


def _runs(call: Call, home: Repository, path: str | None = None) -> Answer:
    names = {"branch": "head_branch", "event": "event", "head_sha": "head_sha"}
    wanted = {names[key]: value for key, value in call.query.items() if key in names}
    found = [
        run
        for run in home.every(WorkflowRun)
        if path in {None, run.path}
        and all(getattr(run, key) == wanted[key] for key in wanted)
        and call.query.get("status") in {None, run.status, run.conclusion}
        and _within(stamp(run.created_at), call.query.get("created", ""))
    ]
    shown, headers = call.page(newest(found, call)[:RUNS_LIMIT], partial(rest_views.run, call.base))
    return Answer(200, {"total_count": len(found), "workflow_runs": shown}, headers)


def _within(at: str, asked: str) -> bool:
    """`2026-11-01..2026-11-30`, `>=2026-11-01`, `*..2026-11-30`, each end with or without a time."""
    first, dots, last = asked.partition("..")
    if not dots:
        bare = asked.lstrip("<>=")
        first, last = ("", bare) if asked.startswith("<") else (bare, "" if asked.startswith(">") else bare)
    first, last = (end.replace("*", "").replace("+00:00", "Z") for end in (first, last))
    return (not first or at >= first) and (not last or at[: len(last)] <= last)

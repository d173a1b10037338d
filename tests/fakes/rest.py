"""REST API of records: repositories, pull requests, deployments, releases, issues and workflow runs."""

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from fakes import rest_views
from fakes.mutations import BODY_LIMIT, TITLE_LIMIT
from fakes.records import Deployment, Issue, Job, PullRequest, Record, Release, WorkflowRun
from fakes.repository import Repository
from fakes.resolvers import timestamp
from fakes.routing import Answer, Call, HttpError, route, validation_error

R = TypeVar("R", bound=Record)
RUNS_LIMIT = 1000
"""Maximum number of runs in a list, over all its pages."""


def first_or_404(records: Sequence[R]) -> R:
    if not records:
        raise HttpError(404, "Not Found")
    return records[0]


def sort_records(records: Sequence[R], call: Call) -> list[R]:
    """Sort as `sort` and `direction` say: by creation or last update, newest first by default."""
    name = "updated_at" if call.query.get("sort") == "updated" else "created_at"
    return sorted(
        records, key=lambda record: (getattr(record, name), record.database_id),
        reverse=call.query.get("direction", "desc") == "desc",
    )  # fmt: skip


def in_state(records: Sequence[Issue], call: Call) -> list[Issue]:
    state = call.query.get("state", "open")
    return [record for record in records if state == "all" or record.closed == (state == "closed")]


@route("GET", "")
def repository(call: Call, repository: Repository) -> Answer:
    return Answer(
        200, rest_views.repository(call.base, repository, push=call.token.is_allowed("contents", "write", repository))
    )


@route("GET", "/pulls")
def pulls(call: Call, repository: Repository) -> Answer:
    call.require(repository, "pull-requests")
    base, head = call.query.get("base"), call.query.get("head", "").rpartition(":")[2]
    matching = [
        pull
        for pull in sort_records(in_state(repository.records_of(PullRequest), call), call)
        if isinstance(pull, PullRequest)
        and base in {None, pull.base_ref_name}
        and head in {"", pull.head_ref_name}
    ]  # fmt: skip
    return call.page_answer(matching, partial(rest_views.pull, call.base))


def _pull(call: Call, repository: Repository, number: str) -> PullRequest:
    call.require(repository, "pull-requests")
    return first_or_404([pull for pull in repository.records_of(PullRequest) if str(pull.number) == number])


@route("GET", "/pulls/{number}")
def pull(call: Call, repository: Repository, number: str) -> Answer:
    return Answer(200, rest_views.full_pull(call.base, _pull(call, repository, number)))


@route("GET", "/pulls/{number}/commits")
def pull_commits(call: Call, repository: Repository, number: str) -> Answer:
    commits = [repository.git.commit(sha) for sha in _pull(call, repository, number).shas[:250]]
    return call.page_answer([commit for commit in commits if commit], partial(rest_views.commit, call.base, repository))


@route("GET", "/pulls/{number}/reviews")
def pull_reviews(call: Call, repository: Repository, number: str) -> Answer:
    return call.page_answer(_pull(call, repository, number).reviews, partial(rest_views.review, call.base))


@route("GET", "/commits/{sha}/pulls")
def commit_pulls(call: Call, repository: Repository, sha: str) -> Answer:
    """Merged pull requests of a commit on the default branch, open ones of any other commit."""
    call.require(repository, "pull-requests")
    oid = repository.git.resolve(sha)
    if oid is None:
        raise HttpError(422, f"No commit found for SHA: {sha}")
    is_on_default_branch = repository.git.contains(repository.head() or "", oid)
    matching = [
        pull_request
        for pull_request in repository.pulls_by_commit.get(oid, [])
        if pull_request.merged == is_on_default_branch and (is_on_default_branch or not pull_request.closed)
    ]
    return call.page_answer(matching, partial(rest_views.pull, call.base))


@route("GET", "/deployments")
def deployments(call: Call, repository: Repository) -> Answer:
    call.require(repository, "deployments")
    names = {"environment": "environment", "sha": "commit_oid", "ref": "ref_name", "task": "task"}
    filters = {names[key]: value for key, value in call.query.items() if key in names and value != "none"}
    matching = [
        deployment
        for deployment in repository.records_of(Deployment)
        if all(getattr(deployment, key) == filters[key] for key in filters)
    ]
    return call.page_answer(sort_records(matching, call), partial(rest_views.deployment, call.base))


def _deployment(call: Call, repository: Repository, number: str) -> Deployment:
    call.require(repository, "deployments")
    return first_or_404(
        [deployment for deployment in repository.records_of(Deployment) if str(deployment.database_id) == number]
    )


@route("GET", "/deployments/{number}")
def deployment(call: Call, repository: Repository, number: str) -> Answer:
    return Answer(200, rest_views.deployment(call.base, _deployment(call, repository, number)))


@route("GET", "/deployments/{number}/statuses")
def deployment_statuses(call: Call, repository: Repository, number: str) -> Answer:
    statuses = _deployment(call, repository, number).status_history[::-1]
    return call.page_answer(statuses, partial(rest_views.deployment_status, call.base))


@route("GET", "/releases")
def releases(call: Call, repository: Repository) -> Answer:
    """Releases; drafts only for tokens that may write."""
    call.require(repository, "contents")
    writes = call.token.is_allowed("contents", "write", repository)
    visible = [release for release in repository.records_of(Release) if writes or not release.is_draft]
    return call.page_answer(visible[::-1], partial(rest_views.release, call.base))


@route("GET", "/issues")
def issues(call: Call, repository: Repository) -> Answer:
    """Issues, including pull requests, which have the key `pull_request`."""
    call.require(repository, "issues")
    labels = set(filter(None, call.query.get("labels", "").split(",")))
    since = call.query.get("since", "")
    matching = [
        issue
        for issue in in_state([*repository.records_of(Issue), *repository.records_of(PullRequest)], call)
        if labels <= set(issue.labels) and timestamp(issue.updated_at) >= since
    ]
    return call.page_answer(sort_records(matching, call), partial(rest_views.issue, call.base))


def _issue(repository: Repository, number: str) -> Issue:
    return first_or_404(
        [
            issue
            for issue in [*repository.records_of(Issue), *repository.records_of(PullRequest)]
            if str(issue.number) == number
        ]
    )


@route("GET", "/issues/{number}")
def issue(call: Call, repository: Repository, number: str) -> Answer:
    call.require(repository, "issues")
    return Answer(200, rest_views.issue(call.base, _issue(repository, number)))


def _checked_body(body: object) -> str:
    text = body if isinstance(body, str) else ""
    if len(text) > BODY_LIMIT:
        raise validation_error("Issue", "body", "custom", f"body is too long (maximum is {BODY_LIMIT} characters)")
    return text


@route("POST", "/issues")
def create_issue(call: Call, repository: Repository) -> Answer:
    call.require(repository, "issues", "write")
    if not repository.has_issues_enabled:
        raise HttpError(410, "Issues are disabled for this repo")
    fields = call.request.json()
    if not isinstance(fields.get("title"), str):
        raise validation_error("Issue", "title", "missing_field")
    if len(fields["title"]) > TITLE_LIMIT:
        raise validation_error("Issue", "title", "custom", f"title is too long (maximum is {TITLE_LIMIT} characters)")
    body, author = _checked_body(fields.get("body")), call.token.actor.name
    issue = repository.issue(fields["title"], body=body, labels=fields.get("labels") or (), author=author)
    return Answer(201, rest_views.issue(call.base, issue))


@route("PATCH", "/issues/{number}")
def update_issue(call: Call, repository: Repository, number: str) -> Answer:
    call.require(repository, "issues", "write")
    fields, issue = call.request.json(), _issue(repository, number)
    issue.title, issue.labels = fields.get("title", issue.title), fields.get("labels", issue.labels)
    issue.body, issue.updated_at = _checked_body(fields.get("body", issue.body)), call.state.now()
    if "state" in fields:
        issue.closed_at = issue.updated_at if fields["state"] == "closed" else None
        issue.state_reason = fields.get("state_reason", "completed" if issue.closed_at else "reopened")
    return Answer(200, rest_views.issue(call.base, issue))


@route("GET", "/actions/workflows")
def workflows(call: Call, repository: Repository) -> Answer:
    call.require(repository, "actions")
    by_number = repository.workflows()
    rows, headers = call.page(
        list(by_number), lambda number: {"id": number, "name": by_number[number][0], "path": by_number[number][1]}
    )
    return Answer(200, {"total_count": len(by_number), "workflows": rows}, headers)


@route("GET", "/actions/workflows/{number}/runs")
def workflow_runs(call: Call, repository: Repository, number: str) -> Answer:
    call.require(repository, "actions")
    by_number = repository.workflows()
    if int(number) not in by_number:
        raise HttpError(404, "Not Found")
    return _runs(call, repository, by_number[int(number)][1])


@route("GET", "/actions/jobs/{number}")
def job(call: Call, repository: Repository, number: str) -> Answer:
    call.require(repository, "actions")
    jobs = [job for job in repository.records_of(Job) if str(job.database_id) == number]
    return Answer(200, rest_views.job(call.base, first_or_404(jobs)))


@route("GET", "/actions/runs")
def runs(call: Call, repository: Repository) -> Answer:
    call.require(repository, "actions")
    return _runs(call, repository)


@route("GET", "/actions/runs/{number}/attempts/{attempt}")
def run_attempt(call: Call, repository: Repository, number: str, attempt: str) -> Answer:
    call.require(repository, "actions")
    runs = [run for run in repository.records_of(WorkflowRun) if str(run.database_id) == number]
    attempts = [attempt for run in runs for attempt in (*run.earlier_attempts, run)]
    return Answer(
        200, rest_views.run(call.base, first_or_404([run for run in attempts if str(run.run_attempt) == attempt]))
    )


def _runs(call: Call, repository: Repository, path: str | None = None) -> Answer:
    names = {"branch": "head_branch", "event": "event", "head_sha": "head_sha"}
    filters = {names[key]: value for key, value in call.query.items() if key in names}
    matching = [
        run
        for run in repository.records_of(WorkflowRun)
        if path in {None, run.path}
        and all(getattr(run, key) == filters[key] for key in filters)
        and call.query.get("status") in {None, run.status, run.conclusion}
        and _in_range(timestamp(run.created_at), call.query.get("created", ""))
    ]
    rows, headers = call.page(sort_records(matching, call)[:RUNS_LIMIT], partial(rest_views.run, call.base))
    return Answer(200, {"total_count": len(matching), "workflow_runs": rows}, headers)


def _in_range(at: str, range_text: str) -> bool:
    """Whether a time is in a range: `2026-11-01..2026-11-30`, `>=2026-11-01`, `*..2026-11-30`; times are optional."""
    first, dots, last = range_text.partition("..")
    if not dots:
        bound = range_text.lstrip("<>=")
        first, last = (
            ("", bound) if range_text.startswith("<") else (bound, "" if range_text.startswith(">") else bound)
        )
    first, last = (end.replace("*", "").replace("+00:00", "Z") for end in (first, last))
    return (not first or at >= first) and (not last or at[: len(last)] <= last)

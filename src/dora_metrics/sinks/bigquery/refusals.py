"""What a reason in an answer of BigQuery means. Only the words of its documentation are shown, and our own sentences.

Each request holds a token, and an answer may repeat it, in parts and in any encoding. So no answer is quoted.
"""

_LACKS_ROLE = (
    "the service account lacks a role; it needs roles/bigquery.dataEditor on the dataset and roles/bigquery.jobUser on "
    "the project"
)
_NOT_AUTHENTICATED = (
    "`bigquery-token` is wrong, or older than an hour; pass the `access_token` that google-github-actions/auth made in "
    "the same job"
)
_TOO_MANY = "too many requests for the project; the next run sends again"
_NOT_THERE = "the project or dataset does not exist; check `bigquery-dataset`, and create it with terraform/"
_FAILED_AGAIN = "BigQuery failed, also when it was asked again; the next run sends again"
_CONCURRENT = "other runs changed the same table, also when it was tried again; the next run sends again"

_OF_REQUESTS = {
    "accessNotConfigured": "the BigQuery API is not enabled in the project; enable bigquery.googleapis.com",
    "billingNotEnabled": "the project has no billing account, which loading and MERGE need",
    "quotaExceeded": "a quota of the project is used up; the next run sends again",
    "rateLimitExceeded": _TOO_MANY,
    "responseTooLarge": "the answer is too large",
}
_OF_STATUSES = {401: _NOT_AUTHENTICATED, 403: _LACKS_ROLE, 404: _NOT_THERE, 429: _TOO_MANY}
_OF_JOBS = {
    **_OF_REQUESTS,
    "accessDenied": _LACKS_ROLE,
    "backendError": _FAILED_AGAIN,
    "internalError": _FAILED_AGAIN,
    "invalid": "BigQuery refused the rows or the statement, and nothing was changed",
    "invalidQuery": "BigQuery refused the statement, and nothing was changed",
    "jobBackendError": _FAILED_AGAIN,
    "jobInternalError": _FAILED_AGAIN,
    "jobRateLimitExceeded": _TOO_MANY,
    "notFound": "a table disappeared while it was used, and nothing was changed",
    "resourcesExceeded": "the statement needs more than BigQuery grants it, and nothing was changed",
    "stopped": "somebody cancelled the job, and nothing was changed; the next run sends again",
    "timeout": "the job took too long, and nothing was changed; the next run sends again",
}
_KNOWN_REASONS = frozenset({
    *_OF_JOBS, "attributeError", "authError", "badRequest", "billingTierLimitExceeded", "blocked", "conflict",
    "duplicate", "forbidden", "invalidUser", "notImplemented", "proxyAuthenticationRequired", "required",
    "resourceInUse", "tableUnavailable",
})  # fmt: skip
"""https://cloud.google.com/bigquery/docs/error-messages, and those of Google's APIs in general."""


def request_refusal(status: int, reason: str) -> str:
    """Say why a request was refused, the likely cause and what to do."""
    meaning = _OF_REQUESTS.get(reason) or _OF_STATUSES.get(status, "BigQuery refused the request")
    return f"HTTP {status}: {meaning}{_named(reason)}"


def job_failure(job_id: str, reason: str, *, is_concurrent: bool) -> str:
    """Say why a job of ours failed, and where its errors are.

    Args:
        job_id: our name of the job.
        reason: a word of the answer.
        is_concurrent: whether other statements changed the same table again and again.
    """
    meaning = _CONCURRENT if is_concurrent else _OF_JOBS.get(reason, "the job failed and changed nothing")
    return f"{meaning}{_named(reason)}; its errors are in the job history of the project, under {job_id}"


def _named(reason: str) -> str:
    return f" (reason: {reason})" if reason in _KNOWN_REASONS else ""

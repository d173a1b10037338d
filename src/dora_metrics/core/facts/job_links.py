"""The workflow run and the job that made a deployment: from its fields, from its id, or from an address on GitHub."""

import re
from typing import NamedTuple

from dora_metrics.core.facts.ids import DeploymentId
from dora_metrics.core.facts.model import Deployment

_RUN_PATH = "/actions/runs/"
_ADDRESS = re.compile(
    r"(?P<server>https?://[^/?#\s]+)/(?P<repository>[^/?#\s]+/[^/?#\s]+)/actions/runs/(?P<run>\d{1,20})"
    r"(?:/attempts/\d{1,9})?(?:/jobs?/(?P<job>\d{1,20}))?/?(?:[?#].*)?",
    re.IGNORECASE | re.ASCII,
)


_JOB_NUMBER = re.compile(r"[0-9]{1,18}")


class JobLink(NamedTuple):
    """A job of a workflow run.

    Attributes:
        run_id: the number of the run.
        job_id: that of the job; None for a whole run.
        server: the GitHub of the address that says so, in lower case; empty where no address does.
    """

    run_id: str
    job_id: str | None = None
    server: str = ""


def github_job_number(deployment: Deployment) -> int | None:
    """Return the number of a deployment's job on GitHub; None without a job, or if another system has named it."""
    job_id = deployment.job_id or ""
    return int(job_id) if _JOB_NUMBER.fullmatch(job_id) else None


def parse_job_link(url: str | None, repository: str | None, server_url: str | None = None) -> JobLink | None:
    """Read the address of a run or a job; None if it is another address.

    Args:
        url: `https://HOST/OWNER/REPO/actions/runs/RUN`, also with `/job/JOB`.
        repository: the one that the run has to be of; the case of letters does not matter. None: any.
        server_url: the address of the GitHub that the run has to be on; None where that is not known.
    """
    if not url or _RUN_PATH not in url.lower():
        return None
    match = _ADDRESS.fullmatch(url)
    if match is None or (repository is not None and match["repository"].lower() != repository.lower()):
        return None
    server = match["server"].lower()
    if server_url is not None and server != server_url.rstrip("/").lower():
        return None
    return JobLink(match["run"], match["job"], server)


def job_address(url: str | None, repository: str) -> str | None:
    """Return the address of a run or a job under the present name of its repository; any other address as it is.

    Args:
        url: an address of a job that is known to be the repository's.
        repository: its present name.
    """
    link, match = parse_job_link(url, None), _ADDRESS.fullmatch(url or "")
    if link is None or match is None or match["repository"].lower() == repository.lower():
        return url
    job_path = f"/job/{link.job_id}" if link.job_id else ""
    return f"{match['server']}/{repository}{_RUN_PATH}{link.run_id}{job_path}"


def job_link_of(deployment: Deployment) -> JobLink | None:
    """Return the run and the job that a deployment is a part of; None if it is not a part of a run.

    A deployment of a whole run (`github:run:7`), of a release or of a push is not a part.
    """
    if not (
        deployment.run_id or deployment.id.startswith("github:run:") or _RUN_PATH in (deployment.url or "").lower()
    ):
        return None
    kind, key, _ = DeploymentId.parse(deployment.id)
    if kind in ("run", "release", "push"):
        return None
    address = parse_job_link(deployment.url, deployment.repository)
    run_id = deployment.run_id or (key if kind == "job" else None) or (address.run_id if address else None)
    if run_id is None:
        return None
    if address is None or address.run_id != run_id:
        return JobLink(run_id, deployment.job_id)
    return JobLink(run_id, deployment.job_id or address.job_id, address.server)

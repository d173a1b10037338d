"""The ids of facts: made here, and read here.

An id names the thing that was observed, never the run that recorded it. So whoever observes the same thing again, later
or from another side, records the same fact.
"""

import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal, NamedTuple
from urllib.parse import quote, unquote

DeploymentKind = Literal["deployment", "release", "push", "run", "job"]

SHA_LENGTH = 40
"""Digits of a full commit sha."""

MAX_LENGTH = 300
"""Characters of an id."""

GITHUB_PREFIX = "github:"
"""How the ids begin of what is on GitHub. GitHub gives its numbers once, to one repository."""

COMMIT_PREFIX = "commit:"
"""How the ids begin of commits that reached the deployed history without a pull request."""

DISPATCH = "dispatch"
"""How the ids begin of what a dispatch reports under a name without a system."""

_VISIBLE = (
    r"[^\s\x00-\x20\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f\u2060-\u206f"
    r"\u2800\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"  # not escaped: JSON Schema cannot
)
"""A printable character other than white space; also the variation selectors, which belong to emoji."""

NAME_PATTERN = rf"^{_VISIBLE}+(?!\n)$"
"""What names another fact: an id, or what a person wrote in its place."""

PATTERN = (
    rf"^[A-Za-z0-9][A-Za-z0-9._-]*:{_VISIBLE}+(?!\n)$"
    rf"|^github:(?:run|release|push):{_VISIBLE}+(?: +{_VISIBLE}+)*(?!\n)$"
)
"""`source:name`. Environments and services once stood in ids with their spaces; such ids are still read."""

NAME_RULE = f"printable, without white space, at most {MAX_LENGTH} characters"
ID_RULE = f"`source:name`, {NAME_RULE}"
"""The patterns in words, for messages."""

_ID = re.compile(PATTERN)
_INVISIBLE = re.compile(rf"%|(?!{_VISIBLE}).", re.DOTALL)

_MAX_PART_LENGTH = 64
_MAX_KEY_LENGTH = 250

_PULL_REQUEST = "github:pull:"
_REPOSITORY = "github:repository:"
_ALERT_OCCURRENCE = "alertmanager:"
_ISSUE = "github:issue:"
_JIRA_ISSUE = "jira:"
_PAGERDUTY_INCIDENT = "pagerduty:"
_TICKETS = (_ISSUE, _JIRA_ISSUE, "statuspage:")
ROLLOUT_PREFIXES = ("argo-rollouts:", "argocd:", "flagger:", "flux:")
"""How the ids of rollouts begin: with the GitOps tool that rolled out."""

_ROLLOUT = re.compile(
    r"(argo-rollouts|argocd|flagger|flux):([^:/]+/[^:/]+)(?::(.+))?"
    r":\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z(?::[^:]+)?",
    re.ASCII,
)
_ROLLOUT_ENVIRONMENT = "production"
"""The environment of a rollout whose id names none."""
_MAX_NAMESPACE_LENGTH, _MAX_OBJECT_LENGTH, _MAX_REVISION_LENGTH = 63, 70, 90
_DEPLOYMENT_KINDS: dict[str, DeploymentKind] = {
    "deployment": "deployment",
    "release": "release",
    "push": "push",
    "run": "run",
}

_OCCURRENCE = re.compile(
    r"^(github:(?:run:.+?(?=:attempt:\d)|push:[^:]+(?=:\d{4}-)))"
    r"(?::attempt:\d+|:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)(?![^:])"
)
"""The part of an id that names an occurrence, with what stands before it."""


def github_deployment(number: int) -> str:
    """A deployment of GitHub's deployments API."""
    return f"github:deployment:{number}"


def workflow_run(run_id: int | str) -> str:
    """All attempts of a workflow run."""
    return f"github:run:{run_id}"


def deploy_job(run_id: str, environment: str, service: str | None, part: str = "") -> str:
    """What a job of a run deploys to one environment; of one service in a monorepo.

    `part` distinguishes the executions of jobs in a run: `executed_job` or `numbered_job`; empty for an unknown job.
    """
    return f"github:run:{run_id}:{_encoded(environment)}{_suffix(part)}{_suffix(service)}"


def executed_job(check_run_id: str) -> str:
    """The part of an id that names one execution of a job, by its check run; each attempt has one of its own."""
    return f"job:{check_run_id}"


def numbered_job(job: str, attempt: int, matrix_index: int | None) -> str:
    """The part of an id that names one execution of a job, by its key, where its check run is not known.

    A key has no dot: `deploy.2` is the second attempt of a job, `deploy.1.2` that of the second job of a matrix.
    """
    place = "" if matrix_index is None else f".{matrix_index}"
    return f"part:{job}{place}.{attempt}"


def release(number: int, service: str | None) -> str:
    """A release; the part of one service in a monorepo."""
    return f"github:release:{number}{_suffix(service)}"


def push(sha: str, service: str | None) -> str:
    """A push to the default branch, by its newest commit; the part of one service in a monorepo."""
    return f"github:push:{sha}{_suffix(service)}"


def pull_request(repository: str, number: int | str) -> str:
    """A merged pull request."""
    return f"{_PULL_REQUEST}{repository}#{number}"


def pull_request_copy(pull_request_id: str, sha: str) -> str:
    """A commit with which a merged pull request came to another line of releases as well; no change of its own."""
    return f"{pull_request_id}@{sha}"


def split_copy(change_id: str) -> tuple[str, str | None]:
    """Return the pull request and the sha of a copy of it; any other id unchanged, and None."""
    if change_id[-SHA_LENGTH - 1 : -SHA_LENGTH] != "@" or not is_pull_request(change_id):
        return change_id, None
    return change_id[: -SHA_LENGTH - 1], change_id[-SHA_LENGTH:]


def commit(sha: str) -> str:
    """A commit that reached the deployed history without a pull request."""
    return f"{COMMIT_PREFIX}{sha}"


def issue(repository: str, number: int | str) -> str:
    """An incident that is a GitHub issue."""
    return f"{_ISSUE}{repository}#{number}"


def in_case_of(fact_id: str, repository: str) -> str:
    """Return the id of an issue with its repository as it is written here, since GitHub ignores the case of letters."""
    prefix = issue(repository, "")
    is_of_repository = fact_id.casefold().startswith(prefix.casefold())
    return prefix + fact_id[len(prefix) :] if is_of_repository else fact_id


def is_issue(incident_id: str) -> bool:
    """Whether an incident is a GitHub issue."""
    return incident_id.startswith(_ISSUE)


def jira_issue(key: str) -> str:
    """An incident that is an issue in Jira, such as `OPS-12`."""
    return f"{_JIRA_ISSUE}{key}"


def pagerduty_incident(number: str) -> str:
    """An incident in PagerDuty, such as `Q1ABC`."""
    return f"{_PAGERDUTY_INCIDENT}{number}"


def is_ticket(incident_id: str) -> bool:
    """Whether people open and close an incident by hand: an issue, or what Jira or Statuspage reports."""
    return incident_id.startswith(_TICKETS)


def alert(kind: str, repository: str, number: int | str) -> str:
    """A security alert, such as one of `dependabot`."""
    return f"github:{kind}:{repository}#{number}"


def alert_occurrence(fingerprint: str, started_at: str) -> str:
    """One time that an alert of Prometheus fired: by Alertmanager's fingerprint, and the time when it began."""
    return f"{_ALERT_OCCURRENCE}{fingerprint}:{started_at}"


def alert_fingerprint(incident_id: str) -> str | None:
    """The fingerprint of the alert that an incident is an occurrence of; None for any other incident."""
    return incident_id.split(":")[1] if incident_id.startswith(_ALERT_OCCURRENCE) else None


def rollout(tool: str, path: str, revision: str, time: datetime, environment: str) -> str:
    """One rollout of a revision by an object in a cluster, such as `flux:apps/shop:main@sha1:…:2026-11-21T12:00:00Z`.

    A revision can come back, so the time is part of the id. Clusters of several environments may have objects of the
    same name, so an environment other than production is part of it as well.
    """
    namespace, _, name = path.partition("/")
    place = f"{_object_name(namespace, _MAX_NAMESPACE_LENGTH)}/{_object_name(name, _MAX_OBJECT_LENGTH)}"
    suffix = "" if environment == _ROLLOUT_ENVIRONMENT else f":{_without_colon(_encoded(environment, 45))}"
    return f"{tool}:{place}:{rollout_revision(revision)}:{time_name(time)}{suffix}"


def rollout_revision(revision: str) -> str:
    """The revision of a rollout as its id has it."""
    return _encoded(revision, _MAX_REVISION_LENGTH)


def _object_name(name: str, max_length: int) -> str:
    return _without_colon(_encoded(name, max_length)).replace("/", "%2F")


def _without_colon(name: str) -> str:
    return name.replace(":", "%3A")


def incident(system: str, key: str) -> str:
    """An incident of another system, by what the system calls it."""
    return f"{system}:{_encoded(key, max_length=_MAX_KEY_LENGTH)}"


def incident_key(incident_id: str, system: str) -> str | None:
    """What a system calls an incident; None for an incident of another one."""
    prefix = f"{system}:"
    return unquote(incident_id.removeprefix(prefix)) if incident_id.startswith(prefix) else None


def repository(number: int) -> str:
    """A repository, by the number that it keeps when it is renamed or transferred."""
    return f"{_REPOSITORY}{number}"


def repository_number(repository_id: str) -> str:
    """The number in a repository's id."""
    return repository_id.removeprefix(_REPOSITORY)


def dispatched(name: str) -> str:
    """What another system reported under a name of its own; a name with a system before it stays as it is."""
    return name if ":" in name else f"{DISPATCH}:{name}"


def system(fact_id: str) -> str:
    """How an id begins: with the system that has the thing, such as `pagerduty`."""
    return fact_id.partition(":")[0]


def git_tag(name: str) -> str:
    """A tag of a local git history."""
    return f"git:tag:{_encoded(name, max_length=200)}"


def occurrence(fact_id: str, name: str, service: str | None) -> str:
    """One occurrence of what happened again: an attempt of a run (`attempt:2`), or the time of a push; service last."""
    suffix = _suffix(service)
    stem = fact_id.removesuffix(suffix)
    if DeploymentId.parse(stem).kind != DeploymentId.parse(fact_id).kind:
        return f"{fact_id}:{name}"  # an environment of the service's name
    return f"{stem}:{name}{suffix if stem != fact_id else ''}"


def first_occurrence(fact_id: str) -> str:
    """The id of the first occurrence of a deployment, which all its occurrences share as their beginning."""
    if ":attempt:" not in fact_id and not fact_id.startswith("github:push:"):
        return fact_id  # nearly all ids; the pattern costs more than everything else that reads them
    return _OCCURRENCE.sub(r"\1", fact_id, count=1)


def attempt_name(number: int) -> str:
    """The name of an attempt in the id of a run or of a job."""
    return f"attempt:{number}"


def time_name(time: datetime) -> str:
    """The name of a time in an id: RFC 3339 in UTC, with Z."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def is_valid(fact_id: str) -> bool:
    """Whether a text is an id: `source:name`, printable, without white space, and not too long."""
    return len(fact_id) <= MAX_LENGTH and _ID.match(fact_id) is not None


def is_valid_name(name: str) -> bool:
    """Whether a text can name a fact: printable, without white space, and not too long."""
    return len(name) <= MAX_LENGTH and re.match(NAME_PATTERN, name) is not None


def _suffix(name: str | None) -> str:
    return f":{_encoded(name)}" if name else ""


def _encoded(name: str, max_length: int = _MAX_PART_LENGTH) -> str:
    """A name as part of an id: what is not visible as in URLs; of a long name the beginning and a digest."""
    encoded = _INVISIBLE.sub(lambda match: quote(match[0], errors="surrogatepass"), name)
    return (
        encoded
        if len(encoded) <= max_length
        else f"{encoded[: max_length - 17]}~{sha256(encoded.encode()).hexdigest()[:16]}"
    )


def is_commit(change_id: str) -> bool:
    """Whether a change is a direct commit."""
    return change_id.startswith(COMMIT_PREFIX)


def is_pull_request(change_id: str) -> bool:
    """Whether a change is a pull request on GitHub."""
    return change_id.startswith(_PULL_REQUEST)


def is_secret_scanning_alert(vulnerability_id: str) -> bool:
    """Whether a vulnerability is a leaked secret, which no deployment fixes."""
    return vulnerability_id.startswith("github:secret-scanning:")


def number(fact_id: str) -> str | None:
    """The number of a pull request, issue or alert as `#12`; None for any other id."""
    match = re.fullmatch(r"github:(?:pull|issue|dependabot|code-scanning|secret-scanning):.*(#\d+)", fact_id, re.DOTALL)
    return match[1] if match else None


def is_github(fact_id: str) -> bool:
    """Whether a fact is about something on GitHub."""
    return fact_id.startswith(GITHUB_PREFIX)


def without_commit_prefix(change_id: str) -> str:
    """The sha of a direct commit; any other id as it is."""
    return change_id.removeprefix(COMMIT_PREFIX)


def short(fact_id: str) -> str:
    """An id as people write it: `#12` for a pull request or issue, seven digits of a commit; any other as it is."""
    if re.fullmatch(r"github:(?:pull|issue):.*#\d+", fact_id):
        return f"#{fact_id.rpartition('#')[2]}"
    return without_commit_prefix(fact_id)[:7] if is_commit(fact_id) else fact_id


class DeploymentId(NamedTuple):
    """What a deployment's id says.

    Attributes:
        kind: what GitHub calls the thing; None for a deployment that GitHub did not report.
        key: its number or sha; for a job that of its run.
        is_part: whether it is the part of one job, or of one service.
    """

    kind: DeploymentKind | None
    key: str
    is_part: bool

    @classmethod
    def parse(cls, fact_id: str) -> "DeploymentId":
        """Read the id of a deployment."""
        system, _, rest = first_occurrence(fact_id).partition(":")
        name, _, number = rest.partition(":")
        kind = _DEPLOYMENT_KINDS.get(name) if system == "github" else None
        if kind is None:
            return cls(None, "", is_part=False)
        key, colon, part = number.partition(":")
        if kind == "run" and colon and not re.fullmatch(r"attempt:\d+", part, re.ASCII):
            return cls("job", key, is_part=True)
        if kind == "run":
            return cls("run", key, is_part=False)
        return cls(kind, key, is_part=bool(colon))


class RolloutId(NamedTuple):
    """What the id of a rollout says.

    Attributes:
        tool: what rolled out, such as `flux`.
        path: the object in the cluster, as `namespace/name`.
        revision: what was rolled out, as `rollout_revision` writes it; None if the id has only a time.
    """

    tool: str
    path: str
    revision: str | None

    @classmethod
    def parse(cls, fact_id: str) -> "RolloutId | None":
        """Read the id of a rollout; None for any other id."""
        match = _ROLLOUT.fullmatch(fact_id)
        return cls(match[1], match[2], match[3]) if match else None

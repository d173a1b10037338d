"""Rollouts that Flux, Flagger and Argo CD report by repository_dispatch; docs/gitops.md has their configurations."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from dora_metrics.core.facts.merge import CLOCK_SKEW
from dora_metrics.core.facts.model import EPOCH, Deployment
from dora_metrics.core.gitops import argocd, flux
from dora_metrics.core.gitops.commits import sha_in_revision, version_in_revision
from dora_metrics.core.gitops.deployments import NewDeployments, new_deployments
from dora_metrics.core.gitops.metadata import EVENT_GROUP, environment_in, images_in, short_texts
from dora_metrics.core.gitops.occurrence import OBJECT_NAME, GitOpsObject, NoOccurrence, Occurrence, start_before
from dora_metrics.core.gitops.repositories import repository_at
from dora_metrics.core.gitops.targets import GitOpsTargets
from dora_metrics.core.markdown import storable
from dora_metrics.errors import EventError
from dora_metrics.github import text
from dora_metrics.github.observation import Observation, Recorded, Run, deployment_observation, nothing_to_record
from dora_metrics.github.payloads import (
    ARGO_CD_KEY,
    FLAGGER_KEY,
    Payload,
    PayloadFlag,
    PayloadT,
    PayloadText,
    PayloadTime,
    parse_payload,
)

_MAX_ITEMS = 50
_MAX_REVISION_LENGTH = 1_000
_GROUP = re.compile(r"([a-z0-9.-]+\.fluxcd\.io)/(.+)", re.DOTALL)
_APPLIED = (
    "Flux has applied it, and says whether it is healthy only if the Kustomization has `wait: true` or `healthChecks`"
)

Body = Mapping[str, object]


# --- What payloads have in common ---


def _valid_object_name(value: str) -> str:
    if not re.fullmatch(OBJECT_NAME, value):
        raise ValueError("a name in Kubernetes, of a-z, 0-9, - and .")
    return value


def _metadata(value: object) -> object:
    """Return the metadata of an event, empty for missing ones."""
    return short_texts(value or {}) if value is None or isinstance(value, Mapping) else value


def _texts(value: object) -> object:
    """Return a list with empty texts in place of what is no text; an empty list for a missing one."""
    if not isinstance(value, list):
        return () if value is None else value
    return tuple(storable(each) if isinstance(each, str) else "" for each in value[:_MAX_ITEMS])


ObjectName = Annotated[PayloadText, AfterValidator(_valid_object_name)]
Revision = Annotated[str, Field(min_length=1, max_length=_MAX_REVISION_LENGTH), BeforeValidator(text.remove_unstorable)]
Metadata = Annotated[dict[str, str], BeforeValidator(_metadata)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]


def observe_rollout(run: Run, payload: Body, setting: Mapping[str, object], recorded: Recorded) -> Observation:
    """Map what a tool says about a rollout to a deployment, or to nothing if the ledger has it.

    Args:
        run: the workflow run.
        payload: the `client_payload` of the dispatch.
        setting: the setting `gitops`.
        recorded: what the ledger knows.

    Raises:
        EventError: if the payload has another shape than documented.
    """
    read = _read(run, payload)
    if isinstance(read, NoOccurrence):
        return nothing_to_record(read.reason)
    targets = GitOpsTargets.parse(setting)
    new = new_deployments([read], recorded.deployments(), targets, run.repository, recorded.full_sha)
    if not new.deployments:
        return nothing_to_record(_why_none(new, read))
    (deployment,) = new.deployments
    return deployment_observation(deployment, (*_elsewhere_notes(run, read, deployment, targets), *new.notes))


def _elsewhere_notes(run: Run, read: Occurrence, deployment: Deployment, targets: GitOpsTargets) -> Iterator[str]:
    """Yield a note if a deployment belongs to another repository than the run's, and no setting says so."""
    path = read.deployer.path
    target = targets.target_of(path)
    if target and not target.repository and deployment.repository.casefold() != run.repository.casefold():
        yield (
            f"The deployment of {path} belongs to {deployment.repository}, which its revision is of. If it deploys "
            f"{run.repository}, set `repository` and `commit` in `gitops`"
        )


def _read(run: Run, payload: Body) -> Occurrence | NoOccurrence:
    if FLAGGER_KEY in payload and ARGO_CD_KEY in payload:
        raise EventError(f"client_payload: expected `{FLAGGER_KEY}` or `{ARGO_CD_KEY}`, not both; send two events")
    if FLAGGER_KEY in payload:
        return _read_flagger(run, _parse_object(FlaggerHook, payload, FLAGGER_KEY))
    if ARGO_CD_KEY in payload:
        return _read_argo_cd(run, _parse_object(ArgoCdSync, payload, ARGO_CD_KEY))
    return _read_flux(run, parse_payload(FluxEvent, payload, "client_payload."))


def _parse_object(model: type[PayloadT], payload: Body, key: str) -> PayloadT:
    content = payload[key]
    if not isinstance(content, Mapping):
        raise EventError(f"client_payload.{key}: expected an object, as docs/gitops.md shows it")
    return parse_payload(model, content, f"client_payload.{key}.")


def _why_none(new: NewDeployments, read: Occurrence) -> str:
    if new.skipped_count:
        return f"the setting `gitops` skips {read.deployer.path}"
    return f"the revision that {read.deployer.path} reports is recorded already, and nothing was deployed since"


def _checked_end(time: datetime, run: Run, place: str) -> datetime:
    """Return the end of a rollout.

    Raises:
        EventError: if it is in the future, or is the zero time of a program.
    """
    if time.year <= EPOCH.year:
        raise EventError(f"{place}: expected the time of a deployment, which is after {EPOCH.year}")
    if time > run.now + CLOCK_SKEW:
        raise EventError(f"{place}: expected a time that is not in the future")
    return time


# --- Flux ---


class _InvolvedObject(Payload):
    kind: PayloadText
    name: ObjectName
    namespace: ObjectName


class FluxEvent(Payload):
    """An event of Flux's notification-controller."""

    involvedObject: _InvolvedObject  # noqa: N815 - Flux's name
    reason: PayloadText
    message: PayloadText = ""
    timestamp: PayloadTime
    metadata: Metadata = Field(default_factory=dict)


class _FluxRevision(Payload):
    revision: Revision


def _read_flux(run: Run, event: FluxEvent) -> Occurrence | NoOccurrence:
    match event.involvedObject.kind:
        case "Kustomization":
            return _read_kustomization(run, event)
        case "HelmRelease":
            return _read_helm_release(run, event)
        case kind:
            return NoOccurrence(f"a {kind} deploys nothing; Flux deploys with a Kustomization or a HelmRelease")


def _read_kustomization(run: Run, event: FluxEvent) -> Occurrence | NoOccurrence:
    """Return the rollout of a Kustomization.

    Flux sends the event `ReconciliationSucceeded` only to what sets commit statuses, and to generic webhooks. To others
    it reports a success as the health check that ends it, with the reason `Progressing`.
    """
    if event.reason == "Progressing":
        has_succeeded = event.message.startswith("Health check passed")
        if not has_succeeded:
            return NoOccurrence(_APPLIED)
    elif event.reason in flux.KUSTOMIZATION_SUCCESSES:
        has_succeeded = True
    elif event.reason in flux.KUSTOMIZATION_FAILURES:
        has_succeeded = False
    else:
        return _no_end(event)
    return _flux_occurrence(run, event, succeeded=has_succeeded, failures=flux.KUSTOMIZATION_FAILURES)


def _read_helm_release(run: Run, event: FluxEvent) -> Occurrence | NoOccurrence:
    if event.reason not in (*flux.HELM_SUCCESSES, *flux.HELM_FAILURES):
        return _no_end(event)
    has_succeeded = event.reason in flux.HELM_SUCCESSES
    return _flux_occurrence(run, event, succeeded=has_succeeded, failures=flux.HELM_FAILURES)


def _no_end(event: FluxEvent) -> NoOccurrence:
    about = event.involvedObject
    return NoOccurrence(f"{event.reason} of {about.kind} {about.namespace}/{about.name} ends no deployment")


def _flux_occurrence(run: Run, event: FluxEvent, *, succeeded: bool, failures: Mapping[str, bool]) -> Occurrence:
    about, metadata = event.involvedObject, _flux_metadata(event.metadata)
    revision = parse_payload(_FluxRevision, metadata, "client_payload.metadata.").revision
    origin = metadata.get("originRevision") or revision
    is_chart = about.kind == "HelmRelease"
    return Occurrence(
        deployer=GitOpsObject("flux", about.kind, about.namespace, about.name),
        revision=revision,
        succeeded=succeeded,
        finished_at=_checked_end(event.timestamp, run, "client_payload.timestamp"),
        observed_at=event.timestamp,
        sha=sha_in_revision(origin),
        version=revision if is_chart else version_in_revision(origin),
        reached_users=failures.get(event.reason, False),
        environment=environment_in(metadata),
        images=images_in(metadata),
        annotations=tuple(metadata.items()),
    )


def _flux_metadata(metadata: Mapping[str, str]) -> Mapping[str, str]:
    """Return metadata without the groups of their names, as notification-controller sends them from 1.5 on.

    What a controller says wins over what the alert says, and that over the annotations of the object.
    """
    from_object: dict[str, str] = {}
    from_alert: dict[str, str] = {}
    from_controller: dict[str, str] = {}
    for name, value in metadata.items():
        match = _GROUP.fullmatch(name)
        if match is None:
            from_alert[name] = value
        elif name.startswith(EVENT_GROUP):
            from_object[match[2]] = value
        else:
            from_controller[match[2]] = value
    return {**from_object, **from_alert, **from_controller}


# --- Flagger ---


def _milliseconds(value: str | None) -> datetime | None:
    """Return the time in an event hook's metadata, in milliseconds since 1970 as text; None for anything else."""
    if value is None or not re.fullmatch(r"[0-9]{12,13}", value, re.ASCII):
        return None
    return datetime.fromtimestamp(int(value) / 1_000, UTC)


class FlaggerHook(Payload):
    """The body of Flagger's webhooks, with what the canary's status says besides."""

    name: ObjectName
    namespace: ObjectName
    phase: PayloadText
    checksum: Revision | None = None
    lastAppliedSpec: Revision | None = None  # noqa: N815 - Flagger's name
    lastTransitionTime: PayloadTime | None = None  # noqa: N815 - Flagger's name
    metadata: Metadata = Field(default_factory=dict)


_LAST_MESSAGES = ("Promotion completed!", "Canary failed!")
"""How the last event of a canary's analysis begins. The phase of those before and after it may be the same."""


def _read_flagger(run: Run, hook: FlaggerHook) -> Occurrence | NoOccurrence:
    if hook.phase not in ("Succeeded", "Failed"):
        return NoOccurrence(f"the canary {hook.namespace}/{hook.name} has not ended (phase {hook.phase})")
    message = hook.metadata.get("eventMessage")
    if message is not None and not message.startswith(_LAST_MESSAGES):
        return NoOccurrence(f"this event of the canary {hook.namespace}/{hook.name} is not the end of its analysis")
    revision = hook.lastAppliedSpec or hook.checksum
    if not revision:
        raise EventError(f"client_payload.{FLAGGER_KEY}.checksum: expected a string, since there is no lastAppliedSpec")
    stated = hook.lastTransitionTime or _milliseconds(hook.metadata.get("timestamp"))
    finished_at = _checked_end(stated or run.now, run, f"client_payload.{FLAGGER_KEY}.lastTransitionTime")
    return Occurrence(
        deployer=GitOpsObject("flagger", "Canary", hook.namespace, hook.name),
        revision=revision,
        succeeded=hook.phase == "Succeeded",
        finished_at=finished_at,
        observed_at=finished_at,
        version=revision,
        reached_users=hook.phase == "Failed",
        environment=environment_in(hook.metadata),
        images=images_in(hook.metadata),
        annotations=tuple(hook.metadata.items()),
        is_time_of_asking=stated is None,
    )


# --- Argo CD ---


class ArgoCdSync(Payload):
    """What the template in docs/gitops.md says about the last sync of an Application."""

    name: ObjectName
    namespace: ObjectName
    phase: PayloadText
    startedAt: PayloadTime | None = None  # noqa: N815 - Argo CD's name
    finishedAt: PayloadTime  # noqa: N815 - Argo CD's name
    revisions: Texts
    repositories: Texts = ()
    images: Texts = ()
    applied: PayloadFlag = False
    partial: PayloadFlag = False
    environment: PayloadText | None = None
    url: PayloadText | None = None


def _read_argo_cd(run: Run, sync: ArgoCdSync) -> Occurrence | NoOccurrence:
    if sync.phase not in (argocd.SUCCEEDED, *argocd.FAILURES):
        return NoOccurrence(f"the sync of {sync.namespace}/{sync.name} has not ended (phase {sync.phase})")
    if sync.partial:
        return NoOccurrence(f"the sync of {sync.namespace}/{sync.name} was a trial, or of some resources only")
    sources = zip_longest(sync.revisions, sync.repositories, fillvalue="")
    synced = argocd.synced_revision(argocd.SyncedSource(revision, url) for revision, url in sources)
    if not synced.text:
        return NoOccurrence(f"the sync of {sync.namespace}/{sync.name} was of no revision")
    finished_at = _checked_end(sync.finishedAt, run, f"client_payload.{ARGO_CD_KEY}.finishedAt")
    return Occurrence(
        deployer=GitOpsObject("argocd", "Application", sync.namespace, sync.name),
        revision=synced.text,
        succeeded=sync.phase == argocd.SUCCEEDED,
        started_at=start_before(sync.startedAt, finished_at),
        finished_at=finished_at,
        observed_at=finished_at,
        sha=synced.sha,
        version=synced.version,
        reached_users=sync.applied and sync.phase != argocd.SUCCEEDED,
        environment=sync.environment or None,
        source_repository=repository_at(synced.url, run.server_url),
        source_commits=synced.commits_by(lambda url: repository_at(url, run.server_url)),
        images=tuple(filter(None, sync.images)),
        url=text.first_http_url(sync.url),
    )

"""From what was found to what is proposed, each with its reason. Pure: the same findings give the same proposal.

What names say: environments that are production, labels of incidents and hotfixes.
"""

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dora_metrics.commands.init.findings import CONFIG, WORKFLOW, Checkout, Deployed, Found
from dora_metrics.commands.init.workflows import Target, Targets, Workflow, targets
from dora_metrics.core import formatting
from dora_metrics.core.selection import BEST_FIRST
from dora_metrics.github import text
from dora_metrics.github.events.deployments import deploys
from dora_metrics.github.payloads import Workflow as Named
from dora_metrics.settings.model import Settings, policy

_PRODUCTION = frozenset({"production", "prod", "live", "prd"})
_NOT_IT = frozenset({"pre", "non", "not", "no", "test", "testing", "dev", "staging", "stage", "preview", "qa", "false"})
_SEVERITY = re.compile(r"sev(?:erity)?[ _:/-]*[0-4]", re.IGNORECASE)


def is_production(environment: str, settings: Settings) -> bool:
    """By the settings; or by one of the words, wherever in the name it stands: `eu-production`, not `pre-prod`."""
    said = set(text.words(environment))
    return policy(settings).is_production(environment) or bool(said & _PRODUCTION and not said & _NOT_IT)


def incident_labels(found: Found) -> tuple[tuple[str, ...], str]:
    """The labels of incidents, best first, and why."""
    asked, usual = found.checkout.settings.incident_labels, Settings().incident_labels
    labelled = [name for name in (found.github.labels if found.github else ()) if _of_incidents(name)]
    labelled.sort(key=lambda name: (name.lower() != "incident", "incident" not in text.words(name)))
    if asked not in (usual, tuple(labelled)):
        return asked, f"{CONFIG} says so"
    if [name.lower() for name in labelled] == ["incident"]:
        return usual, "GitHub has this label"
    if labelled:
        return tuple(labelled), "GitHub has these labels"
    return usual, "the default; GitHub has no such label yet" if found.github else "the default"


def missing_label(found: Found, labels: tuple[str, ...]) -> str | None:
    """The label that the form would give and GitHub does not know; None where it does, or nobody could say."""
    if found.github is None:
        return None
    known = {name.lower() for name in found.github.labels}
    return next((label for label in labels[:1] if label.lower() not in known), None)


def hotfix_labels(found: Found) -> tuple[str, ...]:
    """Labels of hotfixes where they are called otherwise than by default."""
    labels = found.github.labels if found.github else ()
    named = tuple(name for name in labels if "hotfix" in text.words(name))
    return named if [name.lower() for name in named] not in ([], ["hotfix"]) else ()


def _of_incidents(label: str) -> bool:
    said = set(text.words(label))
    if "${{" in label or not label.isprintable():  # nothing to put into an expression
        return False
    return not said & _NOT_IT and bool(said & {"incident", "incidents", "outage"} or _SEVERITY.fullmatch(label.strip()))


_MINUTES = [minute for minute in range(7, 54, 2) if minute % 5]
_SHOWN = 3


@dataclass(frozen=True)
class Setting:
    """A setting that differs from its default, and why."""

    name: str
    value: object
    because: tuple[str, ...]


@dataclass(frozen=True)
class When:
    """What starts the workflow. `workflows`: those whose end is listened to. `push`: the branch.

    `pulls`: some of those workflows run for pull requests too, which deploy nothing to production, but for `merges`:
    these run when one is closed.
    """

    workflows: tuple[str, ...] = ()
    pulls: bool = False
    merges: tuple[str, ...] = ()
    deployment_status: bool = False
    release: bool = False
    push: str | None = None
    issues: bool = True
    minute: int = 17
    hour: int = 5


@dataclass(frozen=True)
class Proposal:
    """What to record, from what and when. `direct`: the action is called in a step, not the reusable workflow."""

    sources: tuple[str, ...]
    because: tuple[str, ...]
    when: When
    environments: tuple[str, ...]
    labels: tuple[str, ...]
    labels_because: str
    settings: tuple[Setting, ...]
    services: Mapping[str, str]
    direct: bool
    recorded_by: str | None
    form: bool
    notes: tuple[str, ...]
    missing_label: str | None


@dataclass(frozen=True)
class _Seen:
    """The findings, with what follows from them more than once."""

    found: Found
    own: tuple[Workflow, ...]
    targets: Mapping[str, Targets]

    @property
    def settings(self) -> Settings:
        return self.found.checkout.settings

    def production(self, path: str) -> list[Target]:
        return [one for one in self.targets[path].found if is_production(one.environment, self.settings)]

    @property
    def deploying(self) -> list[Workflow]:
        """Workflows that deploy to production by `environment:`, the sure ones first."""
        deploying = [one for one in self.own if self.production(one.path)]
        return sorted(deploying, key=lambda one: not any(target.sure for target in self.production(one.path)))

    @property
    def publishing(self) -> list[Workflow]:
        return [one for one in self.own if one.path in self.found.checkout.publishing]

    @property
    def named(self) -> list[Workflow]:
        """Workflows named like one that deploys. Runs for pull requests are never taken for deployments."""
        wanted = self.settings.deploy_workflows
        return [one for one in self.own if one.runs_by_itself and deploys(Named(name=one.name, path=one.path), wanted)]


def decide(found: Found) -> Proposal:
    """What is proposed."""
    checkout = found.checkout
    by_themselves = (one for one in checkout.workflows.values() if one.runs_by_itself or one.at_merges)
    own = tuple(one for one in by_themselves if not one.ours)
    seen = _Seen(found, own, {one.path: targets(one, checkout.workflows) for one in own})
    sources, because = _sources(seen)
    labels, labels_because = incident_labels(found)
    issues = not _without_issues(found)
    return Proposal(
        sources=sources,
        because=because,
        when=_when(seen, sources, issues=issues),
        environments=_environments(seen),
        labels=labels,
        labels_because=labels_because,
        settings=tuple(_settings(seen, sources, because, labels, labels_because)),
        services=checkout.services if len(checkout.services) > 1 else {},
        direct=checkout.is_on_server,
        recorded_by=next(_recording(checkout.workflows.values()), None),
        form=issues and not [path for path in checkout.incident_forms if path not in checkout.existing],
        notes=tuple(_notes(seen, sources)),
        missing_label=missing_label(found, labels) if issues else None,
    )


def _without_issues(found: Found) -> bool:
    return found.github is not None and not found.github.has_issues


def _recording(workflows: Iterable[Workflow]) -> Iterator[str]:
    """Where this action is used already; the workflow that would be written is compared by its text."""
    for one in workflows:
        if one.ours and one.path != WORKFLOW:
            yield f"{one.path}:{one.ours.line}"


# --- Deployments ---


def _sources(seen: _Seen) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The best source that there is, as `deployment-source: auto` would take it; the config file's word counts more."""
    evidence = {source: tuple(_EVIDENCE[source](seen)) for source in BEST_FIRST}
    best = next(source for source in BEST_FIRST if evidence[source])
    asked = seen.settings.deployment_source
    if asked in (("auto",), (best,)):
        return (best,), evidence[best][:_SHOWN]
    return asked, (f"{CONFIG} says so",)


def _deployments(seen: _Seen) -> Iterator[str]:
    named = [target.evidence for one in seen.deploying for target in seen.production(one.path)]
    yield from named[:1]
    made = _production_on_github(seen)
    for environment in dict.fromkeys(one.environment for one in made):
        here = [one for one in made if one.environment == environment]
        many = formatting.count(len(here), "deployment")
        yield f"GitHub has {many} to {environment} among the newest 100 of all, the last of {here[0].day}"
    yield from named[1:]


def _releases(seen: _Seen) -> Iterator[str]:
    checkout, github = seen.found.checkout, seen.found.github
    yield from (checkout.publishing[one.path] for one in seen.publishing)
    yield from (f"{one.path}: it runs `on: release`" for one in seen.own if "release" in one.events)
    if github and github.releases:
        yield f"GitHub has releases, the newest is {github.releases[0]}"
    if github is None and checkout.tags:
        yield f"{formatting.count(len(checkout.tags), 'tag')} look like versions, the newest is {checkout.tags[0]}"


def _workflow_runs(seen: _Seen) -> Iterator[str]:
    yield from (f"{one.path}: the workflow {one.shown_name} is named like one that deploys" for one in seen.named)


def _pushes(seen: _Seen) -> Iterator[str]:
    for evidence in seen.found.checkout.gitops:
        yield f"{evidence}: a controller takes what is merged"
    yield "no job has a production `environment:`, nothing publishes releases, no workflow is named like deploy"


_EVIDENCE = {
    "deployments": _deployments,
    "releases": _releases,
    "workflow-runs": _workflow_runs,
    "pushes": _pushes,
}


def _production_on_github(seen: _Seen) -> list[Deployed]:
    made = seen.found.github.deployments if seen.found.github else ()
    return [one for one in made if is_production(one.environment, seen.settings)]


def _environments(seen: _Seen) -> tuple[str, ...]:
    """The names of production that were found, each once whatever its case."""
    named = [target.environment for one in seen.deploying for target in seen.production(one.path)]
    named += [one.environment for one in _production_on_github(seen)]
    return tuple({name.lower(): name for name in reversed(named)}.values())[::-1]


def _when(seen: _Seen, sources: tuple[str, ...], *, issues: bool) -> When:
    listened: list[Workflow] = []
    if "deployments" in sources:
        listened += seen.deploying
    if "releases" in sources:
        listened += seen.publishing
    if "workflow-runs" in sources:
        listened += seen.named
    checkout = seen.found.checkout
    chance = zlib.crc32((checkout.repository or "").lower().encode())
    made = _production_on_github(seen)
    by_others = (not made and not seen.deploying) or any(not one.by_actions for one in made)
    return When(
        workflows=tuple(dict.fromkeys(one.shown_name for one in listened)),
        pulls=any("pull_request" in one.events and not one.at_merges for one in listened),
        merges=tuple(dict.fromkeys(one.shown_name for one in listened if one.at_merges)),
        deployment_status="deployments" in sources and by_others,
        release="releases" in sources,
        push=_branch(seen.found) if "pushes" in sources else None,
        issues=issues,
        minute=_MINUTES[chance % len(_MINUTES)],
        hour=3 + chance // len(_MINUTES) % 3,
    )


def _branch(found: Found) -> str:
    return (found.github and found.github.branch) or found.checkout.branch.value


# --- Settings and notes ---


def _settings(
    seen: _Seen, sources: tuple[str, ...], because: tuple[str, ...], labels: tuple[str, ...], labels_because: str
) -> Iterator[Setting]:
    yield Setting("deployment-source", sources[0] if len(sources) == 1 else list(sources), because)
    usual, found = policy(Settings()), _environments(seen)
    if any(not usual.is_production(name) for name in found):
        yield Setting(
            "production-environments", list(found), ("these names were found; the default has not all of them",)
        )
    if _without_issues(seen.found):
        yield Setting("report", "off", ("issues are switched off on GitHub, and a report is an issue",))
    if labels != Settings().incident_labels:
        yield Setting("incident-labels", list(labels), (labels_because,))
    if hotfixes := hotfix_labels(seen.found):
        yield Setting("hotfix-labels", list(hotfixes), ("these labels were found on GitHub",))


def _notes(seen: _Seen, sources: tuple[str, ...]) -> Iterator[str]:
    checkout = seen.found.checkout
    yield from _hosts(checkout)
    yield from checkout.odd
    named = {one.path for one in seen.named}
    for path, one in seen.targets.items():
        yield from (said for said in one.unknown if path in named or "known only when" in said)
    yield from _merging(seen)
    yield from _nameless(seen)
    if "deployments" in sources and not seen.deploying and any(one.by_actions for one in _production_on_github(seen)):
        yield "no workflow here names the environment that Actions deploys to: those deployments are found at night"
    if "pushes" in sources and checkout.gitops:
        yield "the controller can tell when it has deployed, by a repository_dispatch: docs/events.md of dora-metrics"
    yield from _unsure_branch(seen.found)
    if seen.found.github is None:
        yield f"labels, releases and environments on GitHub are not known: {seen.found.silence}"


def _hosts(checkout: Checkout) -> Iterator[str]:
    """Where it will run, if that is not github.com."""
    if checkout.is_elsewhere:
        advice = "where the repository is on GitHub too, name it with --repository OWNER/NAME"
        yield f"origin is on {checkout.host}, and this is for GitHub: its Actions run what is written here; {advice}"
    elif checkout.has_residency:
        yield f"{checkout.server} is taken to know what github.com knows (docs/adopting.md#for-whom-this-is-not)"
    elif checkout.is_on_server:
        yield f"{checkout.server} is taken for a GitHub Enterprise Server, so the action is called in a step"


def _unsure_branch(found: Found) -> Iterator[str]:
    branch = found.checkout.branch
    if not branch.sure and not (found.github and found.github.branch):
        advice = "`git remote set-head origin --auto` asks it; then run this again"
        yield f"that {branch.value} is the default branch is not sure, as git does not know what origin says: {advice}"


def _merging(seen: _Seen) -> Iterator[str]:
    """Workflows that may well deploy at a merge, though nothing but their name says so."""
    sure = {one.path for one in (*seen.deploying, *seen.publishing)}
    for one in seen.own:
        if one.path not in sure and not one.runs_by_itself and deploys(Named(name=one.name, path=one.path), ()):
            advice = "runs for pull requests count as none; if it deploys, give its job `environment: production`"
            yield f"{one.path}: it is named like one that deploys, and {advice}"


def _nameless(seen: _Seen) -> Iterable[str]:
    listened: list[Workflow] = [*seen.deploying, *seen.publishing, *seen.named]
    paths = dict.fromkeys(one.path for one in listened if one.name is None)
    return (f"{path}: it has no `name:`, so it is listened to by its path; give it a name to be sure" for path in paths)

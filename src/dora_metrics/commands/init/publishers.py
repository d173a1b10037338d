"""Which workflows publish releases on GitHub, or packages in a registry, by well-known actions and commands. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from dora_metrics.commands.init.deploy_targets import called_path
from dora_metrics.commands.init.workflows import LocatedText, WorkflowFile, WorkflowJob, WorkflowStep

Product = Literal["release", "package"]

_RELEASE_ACTIONS = frozenset({
    "actions/create-release", "actions/upload-release-asset", "changesets/action", "changesets/action/publish",
    "codfish/semantic-release-action", "cycjimmy/semantic-release-action",
    "google-github-actions/release-please-action", "googleapis/release-please-action",
    "goreleaser/goreleaser-action", "helm/chart-releaser-action",
    "marvinpinto/action-automatic-releases", "ncipollo/release-action", "release-plz/action",
    "shogo82148/actions-upload-release-asset", "softprops/action-gh-release", "svenstaro/upload-release-action",
    "taiki-e/create-gh-release-action", "taiki-e/upload-rust-binary-action", "tauri-apps/tauri-action",
})  # fmt: skip
_PACKAGE_ACTIONS = frozenset({
    "10up/action-wordpress-plugin-deploy", "haaleo/publish-vscode-extension", "js-devtools/npm-publish",
    "katyo/publish-crates", "pypa/gh-action-pypi-publish", "r0adkll/upload-google-play", "rubygems/release-gem",
})  # fmt: skip
_RELEASE_WORKFLOWS = ("jenkins-infra/github-reusable-workflows/.github/workflows/maven-cd.yml",)
_GORELEASER = "goreleaser/goreleaser-action"
_GORELEASER_COMMANDS = ("release", "continue", "publish")

# Repetitions have an end, and no part of a text fits in two ways: otherwise a line could take minutes, and strangers
# write them.
_COMMAND_START = r"""
    (?:^|[;&|(]|\b(?:then|do|else)\b)[ \t]*     # where a command may begin: not in a text that is printed
    (?:\w+=[^\s;&|()]*[ \t]+){0,20}              # CI=true
    (?:
        (?:sudo|exec|time|npx|bunx|uvx|yarn|yarn[ \t]+dlx|npm[ \t]+exec|pnpm|pnpm[ \t]+(?:exec|dlx)|uv[ \t]+run
            |poetry[ \t]+run|bundle[ \t]+exec|python3?[ \t]+-m)
        [ \t]+(?:-[\w=@/.-]+[ \t]+){0,20}
    )?
"""
_RELEASE_COMMANDS = r"gh[ ]release[ ]create|goreleaser[ ]release|semantic-release|release-it|release-please|cr[ ]upload"
_PACKAGE_COMMANDS = r"""
    (?:npm|pnpm|yarn[ ]npm|cargo|poetry|uv|hatch|flit|vsce|ovsx|lerna|changeset)(?:[ ]-[^\s;&|()]+){0,20}[ ]publish
    |twine[ ]upload|gem[ ]push|(?:dotnet[ ])?nuget[ ]push
"""


def _pattern(commands: str) -> re.Pattern[str]:
    whole = rf"{_COMMAND_START}(?P<command>{commands})(?![\w-])(?P<rest>[^\n;&|]*)"
    return re.compile(whole, re.MULTILINE | re.VERBOSE)


_COMMANDS: dict[Product, re.Pattern[str]] = {
    "release": _pattern(_RELEASE_COMMANDS),
    "package": _pattern(_PACKAGE_COMMANDS),
}
_REHEARSALS = re.compile(r"--(?:dry-run|snapshot|nightly|skip[= ]publish|skip-publish)|test\.?pypi", re.IGNORECASE)
"""What says that a command publishes nothing, or only for a test."""


@dataclass(frozen=True)
class Publication:
    """A step, or a called workflow, that publishes something.

    Attributes:
        text: what it does, such as `uses goreleaser/goreleaser-action`.
    """

    product: Product
    text: str
    line: int


@dataclass(frozen=True)
class WorkflowPublication:
    """What a workflow publishes, with the evidence for it."""

    product: Product
    evidence: str


def publication_of(
    workflow: WorkflowFile,
    workflows_by_path: Mapping[str, WorkflowFile],
    local_actions: Mapping[str, Publication],
) -> WorkflowPublication | None:
    """Return what a workflow publishes, also by the workflows that it calls; a release counts more than a package.

    Args:
        workflow: the workflow.
        workflows_by_path: all workflows of the checkout.
        local_actions: what the composite actions of the checkout publish, by the name that workflows use.
    """
    publications = list(_publications(workflow, workflows_by_path, local_actions, {workflow.path}))
    releases = [each for each in publications if each.product == "release"]
    return next(iter((*releases, *publications)), None)


def _publications(
    workflow: WorkflowFile,
    workflows_by_path: Mapping[str, WorkflowFile],
    local_actions: Mapping[str, Publication],
    visited_paths: set[str],
) -> Iterator[WorkflowPublication]:
    """Yield what a workflow publishes; a workflow that several jobs call is followed once."""
    for job in workflow.jobs:
        for publication in _publications_of_job(job, local_actions):
            evidence = f"{workflow.path}:{publication.line}: job {job.name} {publication.text}"
            yield WorkflowPublication(publication.product, evidence)
        path = called_path(job.called_workflow.text) if job.called_workflow else ""
        if job.called_workflow and path in workflows_by_path and path not in visited_paths:
            visited_paths.add(path)
            location = f"{workflow.path}:{job.called_workflow.line}: job {job.name} calls"
            called = _publications(workflows_by_path[path], workflows_by_path, local_actions, visited_paths)
            yield from (WorkflowPublication(each.product, f"{location} {each.evidence}") for each in called)


def _publications_of_job(job: WorkflowJob, local_actions: Mapping[str, Publication]) -> Iterator[Publication]:
    call = job.called_workflow
    if call and call.text.partition("@")[0] in _RELEASE_WORKFLOWS:
        yield Publication("release", f"calls {call.text.partition('@')[0]}", call.line)
    for step in job.steps:
        local = local_actions.get(step.local_action or "")
        if step.action and local:
            yield Publication(local.product, f"uses {step.local_action}, which {local.text}", step.action.line)
        else:
            yield from publications_of_step(step)


def publications_of_step(step: WorkflowStep) -> Iterator[Publication]:
    """Yield what a step publishes by a well-known action or command."""
    if step.action and (product := _product_of_action(step)):
        yield Publication(product, f"uses {step.action.text.partition('@')[0]}", step.action.line)
    if step.script:
        yield from _publications_of_script(step.script)


def _product_of_action(step: WorkflowStep) -> Product | None:
    """Return what an action publishes; None if it is not known to, or its inputs say that it does not."""
    name = step.action.text.partition("@")[0].lower() if step.action else ""
    inputs = {key.lower().replace("_", "-"): value for key, value in step.inputs.items()}
    arguments = inputs.get("args", "").split()
    if name == _GORELEASER and arguments and arguments[0] not in _GORELEASER_COMMANDS:
        return None
    if inputs.get("dry-run") == "true" or any(map(_REHEARSALS.search, inputs.values())):
        return None
    if name in _RELEASE_ACTIONS:
        return "release"
    return "package" if name in _PACKAGE_ACTIONS else None


def _publications_of_script(script: LocatedText) -> Iterator[Publication]:
    text = script.text.replace("\\\n", " ")
    for product, command in _COMMANDS.items():
        for match in command.finditer(text):
            if not _REHEARSALS.search(match["rest"]):
                yield Publication(product, f"runs {match['command']}", script.line)

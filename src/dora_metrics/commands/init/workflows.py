"""Workflow files: their name, events and jobs, and the environments that the jobs deploy to.

Environments are followed through expressions and through called workflows, as far as the files show.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from posixpath import normpath

import yaml

from dora_metrics.commands.init.yaml_nodes import (
    OptionalNode,
    UnreadableYamlError,
    compose,
    line_number,
    mapping_entries,
    node_at,
    scalar_text,
    scalar_texts,
    sequence_items,
)

WORKFLOWS_FOLDER = ".github/workflows"
_PUBLISHING_ACTIONS = frozenset({
    "actions/create-release", "changesets/action", "cycjimmy/semantic-release-action", "goreleaser/goreleaser-action",
    "google-github-actions/release-please-action", "googleapis/release-please-action", "ncipollo/release-action",
    "softprops/action-gh-release",
})  # fmt: skip
_PUBLISHING_COMMAND = re.compile(
    r"\b(gh release create|goreleaser release|semantic-release|release-it|release-please)\b"
)
_PULL_REQUEST_EVENTS = ("pull_request", "pull_request_target")
_THIS_ACTION = re.compile(r"[\w.-]+/dora-metrics(?:@|/\.github/workflows/dora\.ya?ml@)\S+")


@dataclass(frozen=True)
class LocatedText:
    """A text in a file, and its line number."""

    text: str
    line: int


@dataclass(frozen=True)
class WorkflowJob:
    """A job of a workflow.

    Attributes:
        environment: as written, with expressions.
        matrix: values of each matrix variable.
        called_workflow: the reusable workflow that the job calls.
        call_inputs: the inputs that it passes to that workflow, with expressions.
        release_step: the step that publishes a release.
        local_actions: the actions of the same repository that it uses.
    """

    name: str
    environment: LocatedText | None = None
    matrix: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    called_workflow: LocatedText | None = None
    call_inputs: Mapping[str, str] = field(default_factory=dict)
    release_step: LocatedText | None = None
    local_actions: tuple[LocatedText, ...] = ()


@dataclass(frozen=True)
class WorkflowFile:
    """A workflow file.

    Attributes:
        input_values: values that each input may take, as far as the file shows.
        this_action: where the workflow uses dora-metrics.
        runs_on_merge: whether it runs when a pull request is closed, and so when one is merged.
    """

    path: str
    name: str | None
    events: frozenset[str]
    input_values: Mapping[str, tuple[str, ...]]
    jobs: tuple[WorkflowJob, ...]
    this_action: LocatedText | None = None
    runs_on_merge: bool = False

    @property
    def display_name(self) -> str:
        """The name for `on: workflow_run`: GitHub uses the path of a workflow without a name."""
        return self.name or self.path

    @property
    def has_own_trigger(self) -> bool:
        """Whether it has other triggers than calls and pull requests."""
        return bool(self.events - {"workflow_call", *_PULL_REQUEST_EVENTS})


def parse_workflow(path: str, content: str) -> WorkflowFile:
    """Parse a workflow file.

    Raises:
        UnreadableYamlError: if it is not a workflow.
    """
    root = compose(content)
    if root is None:
        raise UnreadableYamlError("it is empty")
    jobs = mapping_entries(root).get("jobs")
    if jobs is None:
        raise UnreadableYamlError("it has no `jobs:`")
    triggers = mapping_entries(root).get("on")
    return WorkflowFile(
        path=path,
        name=(scalar_text(mapping_entries(root).get("name")) or "").strip() or None,
        events=frozenset(mapping_entries(triggers) or scalar_texts(triggers)),
        input_values={
            **_input_values(node_at(triggers, "workflow_dispatch")),
            **_input_values(node_at(triggers, "workflow_call")),
        },
        jobs=tuple(_parse_job(name, node) for name, node in mapping_entries(jobs).items()),
        this_action=next(_uses_of_this_action(jobs), None),
        runs_on_merge=any(
            "closed" in scalar_texts(node_at(triggers, event, "types")) for event in _PULL_REQUEST_EVENTS
        ),
    )


def release_step_of_action(action: str) -> LocatedText | None:
    """Return the step of a composite action that publishes a release, None if there is none or it is unreadable."""
    try:
        return _release_step(node_at(compose(action), "runs"))
    except UnreadableYamlError:
        return None


def _input_values(trigger: OptionalNode) -> dict[str, tuple[str, ...]]:
    declared = mapping_entries(node_at(trigger, "inputs"))
    return {
        name: (*scalar_texts(node_at(declaration, "options")), *scalar_texts(node_at(declaration, "default")))
        for name, declaration in declared.items()
    }


def _parse_job(name: str, node: yaml.Node) -> WorkflowJob:
    call_inputs = ((key, scalar_text(value)) for key, value in mapping_entries(node_at(node, "with")).items())
    uses = node_at(node, "uses")
    called_path = scalar_text(uses)
    return WorkflowJob(
        name=name,
        environment=_job_environment(mapping_entries(node).get("environment")),
        matrix=_matrix_values(node_at(node, "strategy", "matrix")),
        called_workflow=LocatedText(called_path, line_number(uses)) if uses is not None and called_path else None,
        call_inputs={key: value for key, value in call_inputs if value is not None},
        release_step=_release_step(node),
        local_actions=tuple(_local_actions(node)),
    )


def _job_environment(node: OptionalNode) -> LocatedText | None:
    """Return the environment that a job deploys to; with `deployment: false` it only uses one."""
    if scalar_text(node_at(node, "deployment")) == "false":
        return None
    name_node = mapping_entries(node).get("name", node)
    name = (scalar_text(name_node) or "").strip()
    return LocatedText(name, line_number(name_node)) if name_node is not None and name else None


def _matrix_values(node: OptionalNode) -> dict[str, tuple[str, ...]]:
    values_by_variable = {
        key: scalar_texts(value) for key, value in mapping_entries(node).items() if key not in ("include", "exclude")
    }
    for included in sequence_items(node_at(node, "include")):
        for key, value in mapping_entries(included).items():
            values_by_variable[key] = (*values_by_variable.get(key, ()), *scalar_texts(value))
    return values_by_variable


def _step_texts(node: OptionalNode) -> Iterator[tuple[str, LocatedText]]:
    """Yield the `uses` and `run` texts of each step, with their key."""
    for step in sequence_items(node_at(node, "steps")):
        for key in ("uses", "run"):
            value = mapping_entries(step).get(key)
            if value is not None and (step_text := scalar_text(value)):
                yield key, LocatedText(step_text.strip(), line_number(value))


def _release_step(node: OptionalNode) -> LocatedText | None:
    """Return the first step that publishes a release by a known action or command."""
    for key, step in _step_texts(node):
        if key == "uses" and step.text.partition("@")[0].lower() in _PUBLISHING_ACTIONS:
            return LocatedText(f"uses {step.text.partition('@')[0]}", step.line)
        if key == "run" and (command := _PUBLISHING_COMMAND.search(step.text)):
            return LocatedText(f"runs {command[0]}", step.line)
    return None


def _local_actions(node: OptionalNode) -> Iterator[LocatedText]:
    for key, step in _step_texts(node):
        if key == "uses" and step.text.startswith(("./", "$/")):
            yield step


def _uses_of_this_action(jobs: OptionalNode) -> Iterator[LocatedText]:
    for job in mapping_entries(jobs).values():
        uses = node_at(job, "uses")
        if uses is not None and _THIS_ACTION.fullmatch(scalar_text(uses) or ""):
            yield LocatedText(str(scalar_text(uses)), line_number(uses))
        yield from (step for key, step in _step_texts(job) if key == "uses" and _THIS_ACTION.fullmatch(step.text))


# --- Deploy targets ---

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_VARIABLE = re.compile(r"(?:github\.event\.)?(inputs|matrix)\.([\w-]+)")
_OPERAND = re.compile(r"(?:&&|\|\|)\s*(?:'((?:[^']|'')*)'|((?:github\.event\.)?(?:inputs|matrix)\.[\w-]+))")
_MAX_CALL_DEPTH = 10
"""GitHub's limit on nested workflow calls."""
_MAX_VALUES = 50

ValueLookup = Callable[[str], tuple[str, ...]]
"""Returns the values that a variable such as `inputs.environment` may take."""


@dataclass(frozen=True)
class DeployTarget:
    """An environment that a job deploys to.

    Attributes:
        location: path and line of the workflow.
        is_certain: False if the environment is only one possible result of an expression.
        via_workflow: path of the called workflow that has the environment, empty if the job has it itself.
    """

    environment: str
    location: str
    job_name: str
    is_certain: bool = True
    via_workflow: str = ""

    @property
    def evidence(self) -> str:
        """The target as text: .github/workflows/deploy.yml:14: job deploy has `environment: production`."""
        verb = "has" if self.is_certain else "may have"
        via = f", through {self.via_workflow}" if self.via_workflow else ""
        return f"{self.location}: job {self.job_name} {verb} `environment: {self.environment}`{via}"


@dataclass(frozen=True)
class DeployTargets:
    """The targets of a workflow; `unresolved` says in sentences what the files do not show."""

    targets: tuple[DeployTarget, ...] = ()
    unresolved: tuple[str, ...] = ()

    def __add__(self, other: "DeployTargets") -> "DeployTargets":
        return DeployTargets(
            (*self.targets, *other.targets)[:_MAX_VALUES], (*self.unresolved, *other.unresolved)[:_MAX_VALUES]
        )


def deploy_targets(workflow: WorkflowFile, workflows_by_path: Mapping[str, WorkflowFile]) -> DeployTargets:
    """Return where a workflow deploys to, also by the workflows of the checkout that it calls."""
    return _collect_targets(workflow, workflows_by_path, workflow.input_values, (workflow.path,))


def _collect_targets(
    workflow: WorkflowFile,
    workflows_by_path: Mapping[str, WorkflowFile],
    input_values: Mapping[str, tuple[str, ...]],
    call_chain: tuple[str, ...],
) -> DeployTargets:
    collected = DeployTargets()
    for job in workflow.jobs:
        lookup = _value_lookup(input_values, job.matrix)
        if job.environment:
            collected += _direct_targets(workflow, job, job.environment, lookup)
        if job.called_workflow:
            collected += _targets_of_call(workflow, job, job.called_workflow, workflows_by_path, lookup, call_chain)
    return collected


def _value_lookup(inputs: Mapping[str, tuple[str, ...]], matrix: Mapping[str, tuple[str, ...]]) -> ValueLookup:
    values_by_context = {"inputs": inputs, "matrix": matrix}

    def look_up(variable: str) -> tuple[str, ...]:
        match = _VARIABLE.fullmatch(variable.strip())
        return values_by_context[match[1]].get(match[2], ()) if match else ()

    return look_up


def _direct_targets(
    workflow: WorkflowFile, job: WorkflowJob, environment: LocatedText, lookup: ValueLookup
) -> DeployTargets:
    location, names = f"{workflow.path}:{environment.line}", possible_texts(environment.text, lookup)
    if not names:
        return DeployTargets(
            unresolved=(f"{location}: job {job.name} has `environment: {environment.text}`, known only when it runs",)
        )
    is_certain = "${{" not in environment.text or len(names) == 1
    return DeployTargets(tuple(DeployTarget(name, location, job.name, is_certain) for name in names))


def possible_texts(text: str, lookup: ValueLookup) -> tuple[str, ...]:
    """Return what a text with expressions may become, as far as the files show."""
    candidates = [text]
    for expression in _EXPRESSION.finditer(text):
        results = _possible_results(expression[1], lookup)
        candidates = [candidate.replace(expression[0], result, 1) for candidate in candidates for result in results]
        candidates = candidates[:_MAX_VALUES]
    return tuple(dict.fromkeys(candidate for candidate in candidates if candidate.strip()))


def _possible_results(expression: str, lookup: ValueLookup) -> tuple[str, ...]:
    """Return the possible results of an expression.

    For `github.ref == 'x' && 'production' || inputs.environment` these are production and the values of the input.
    """
    if variable_values := lookup(expression):
        return variable_values
    results = list(lookup(expression.partition("||")[0]) if "&&" not in expression else ())
    for literal, variable in _OPERAND.findall(expression):
        results += lookup(variable) if variable else [literal.replace("''", "'")]
    return tuple(results)


def _targets_of_call(  # noqa: PLR0913, PLR0917 - the state of the recursion
    workflow: WorkflowFile,
    job: WorkflowJob,
    call: LocatedText,
    workflows_by_path: Mapping[str, WorkflowFile],
    lookup: ValueLookup,
    call_chain: tuple[str, ...],
) -> DeployTargets:
    path = normpath(call.text.removeprefix("$/")) if call.text.startswith(("./", "$/")) else ""
    call_inputs = {name: possible_texts(value, lookup) for name, value in job.call_inputs.items()}
    if path in workflows_by_path and path not in call_chain and len(call_chain) < _MAX_CALL_DEPTH:
        called_targets = _collect_targets(
            workflows_by_path[path],
            workflows_by_path,
            {**workflows_by_path[path].input_values, **call_inputs},
            (*call_chain, path),
        )
        location = f"{workflow.path}:{call.line}"
        caller_targets = (
            replace(target, location=location, job_name=job.name, via_workflow=path)
            for target in called_targets.targets
        )
        return DeployTargets(tuple(dict.fromkeys(caller_targets)), called_targets.unresolved)
    if path in call_chain:
        return DeployTargets()
    return _targets_outside_checkout(f"{workflow.path}:{call.line}", job, call, call_inputs)


def _targets_outside_checkout(
    location: str, job: WorkflowJob, call: LocatedText, call_inputs: Mapping[str, tuple[str, ...]]
) -> DeployTargets:
    """Return the targets of a workflow in another repository: an input named environment counts as one."""
    environments = tuple(
        value for name, values in call_inputs.items() if "environment" in name.lower() for value in values
    )
    targets = tuple(DeployTarget(name, location, job.name, is_certain=False) for name in environments)
    return DeployTargets(targets, (f"{location}: job {job.name} calls {call.text}, which is not in this checkout",))


def release_evidence(workflow: WorkflowFile, publishing_actions: Mapping[str, LocatedText]) -> Iterator[str]:
    """Yield where a workflow publishes releases, itself or by one of the local `publishing_actions`."""
    for job in workflow.jobs:
        if job.release_step:
            yield f"{workflow.path}:{job.release_step.line}: job {job.name} {job.release_step.text}"
        for local_action in job.local_actions:
            if local_action.text in publishing_actions:
                location = f"{workflow.path}:{local_action.line}"
                step = publishing_actions[local_action.text].text
                yield f"{location}: job {job.name} uses {local_action.text}, which {step}"

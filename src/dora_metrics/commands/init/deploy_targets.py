"""The environments that workflows deploy to, through expressions and called workflows, as far as files show. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from posixpath import normpath

from dora_metrics.commands.init.workflows import MAX_VALUES, LocatedText, WorkflowFile, WorkflowJob

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_VARIABLE = re.compile(r"(?:github\.event\.)?(inputs|matrix)\.([\w-]+)")
_OPERAND = re.compile(r"(?:&&|\|\|)\s*(?:'((?:[^']|'')*)'|((?:github\.event\.)?(?:inputs|matrix)\.[\w-]+))")
_MAX_TEXT_LENGTH = 2_000
"""Of a text before and after its expressions are replaced; a name of an environment has at most 255 characters."""
_MAX_CALL_DEPTH = 10
"""GitHub's limit on nested workflow calls."""

InputValues = Mapping[str, tuple[str, ...]]
"""What each input of a workflow may be."""

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
    """The targets of a workflow, and in sentences what the files do not show.

    Attributes:
        chosen_at_run: jobs whose environment is known only when they run.
        outside_checkout: calls of workflows that are not in the checkout.
    """

    targets: tuple[DeployTarget, ...] = ()
    chosen_at_run: tuple[str, ...] = ()
    outside_checkout: tuple[str, ...] = ()

    def __add__(self, other: "DeployTargets") -> "DeployTargets":
        return DeployTargets(
            (*self.targets, *other.targets)[:MAX_VALUES],
            (*self.chosen_at_run, *other.chosen_at_run)[:MAX_VALUES],
            (*self.outside_checkout, *other.outside_checkout)[:MAX_VALUES],
        )


def deploy_targets(workflow: WorkflowFile, workflows_by_path: Mapping[str, WorkflowFile]) -> DeployTargets:
    """Return where a workflow deploys to, also by the workflows of the checkout that it calls."""
    return _Collector(workflows_by_path).collect(workflow, workflow.input_values, (workflow.path,))


@dataclass(frozen=True)
class _Collector:
    """Follows the calls of workflows; what was called with the same inputs before is not followed again."""

    workflows_by_path: Mapping[str, WorkflowFile]
    collected_before: dict[object, DeployTargets] = field(default_factory=dict)

    def collect(self, workflow: WorkflowFile, input_values: InputValues, call_chain: tuple[str, ...]) -> DeployTargets:
        key = (workflow.path, tuple(sorted(input_values.items())))
        if key not in self.collected_before:
            self.collected_before[key] = self._collect(workflow, input_values, call_chain)
        return self.collected_before[key]

    def _collect(self, workflow: WorkflowFile, input_values: InputValues, call_chain: tuple[str, ...]) -> DeployTargets:
        collected = DeployTargets()
        for job in workflow.jobs:
            lookup = _value_lookup(input_values, job.matrix)
            if job.environment:
                collected += _direct_targets(workflow, job, job.environment, lookup)
            if job.called_workflow:
                call_inputs = {name: possible_texts(value, lookup) for name, value in job.call_inputs.items()}
                location = f"{workflow.path}:{job.called_workflow.line}"
                collected += self._targets_of_call(location, job, job.called_workflow, call_inputs, call_chain)
        return collected

    def _targets_of_call(
        self, location: str, job: WorkflowJob, call: LocatedText, inputs: InputValues, call_chain: tuple[str, ...]
    ) -> DeployTargets:
        path = called_path(call.text)
        called = self.workflows_by_path.get(path)
        if path in call_chain:
            return DeployTargets()
        if called is None or len(call_chain) >= _MAX_CALL_DEPTH:
            return _targets_outside_checkout(location, job, call, inputs)
        targets = self.collect(called, {**called.input_values, **inputs}, (*call_chain, path))
        caller_targets = (
            replace(target, location=location, job_name=job.name, via_workflow=path) for target in targets.targets
        )
        return replace(targets, targets=tuple(dict.fromkeys(caller_targets)))


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
            chosen_at_run=(
                f"{location}: job {job.name} has `environment: {environment.text}`, known only when it runs",
            )
        )
    is_certain = "${{" not in environment.text or len(names) == 1
    return DeployTargets(tuple(DeployTarget(name, location, job.name, is_certain) for name in names))


def possible_texts(text: str, lookup: ValueLookup) -> tuple[str, ...]:
    """Return what a text with expressions may become, as far as the files show."""
    if len(text) > _MAX_TEXT_LENGTH:
        return ()
    candidates = [text]
    for expression in _EXPRESSION.finditer(text):
        results = _possible_results(expression[1], lookup)
        filled = (candidate.replace(expression[0], result, 1) for candidate in candidates for result in results)
        candidates = list(islice((each for each in filled if len(each) <= _MAX_TEXT_LENGTH), MAX_VALUES))
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


def called_path(call: str) -> str:
    """Return the path of a called workflow of the same repository, empty for any other."""
    return normpath(call.removeprefix("$/")) if call.startswith(("./", "$/")) else ""


def _targets_outside_checkout(
    location: str, job: WorkflowJob, call: LocatedText, call_inputs: InputValues
) -> DeployTargets:
    """Return the targets of a workflow in another repository: an input named environment counts as one."""
    environments = tuple(
        value for name, values in call_inputs.items() if "environment" in name.lower() for value in values
    )
    targets = tuple(DeployTarget(name, location, job.name, is_certain=False) for name in environments)
    note = f"{location}: job {job.name} calls {call.text}, which is not in this checkout"
    return DeployTargets(targets, outside_checkout=(note,))

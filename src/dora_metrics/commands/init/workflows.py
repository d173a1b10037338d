"""Workflow files: their name, events, jobs and steps. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

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
from dora_metrics.core.names import words_of

WORKFLOWS_FOLDER = ".github/workflows"
MAX_VALUES = 50
"""Values of one variable that are followed."""

_PULL_REQUEST_EVENTS = ("pull_request", "pull_request_target")
_THIS_ACTION = re.compile(r"[\w.-]+/dora-metrics(?:@|/\.github/workflows/dora\.ya?ml@)\S+")


@dataclass(frozen=True)
class LocatedText:
    """A text in a file, and its line number."""

    text: str
    line: int


@dataclass(frozen=True)
class WorkflowStep:
    """A step of a job: its name, the action that it uses with which inputs, and the script that it runs."""

    title: str = ""
    action: LocatedText | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    script: LocatedText | None = None

    @property
    def local_action(self) -> str | None:
        """The action of the same repository that the step uses."""
        return self.action.text if self.action and self.action.text.startswith(("./", "$/")) else None


@dataclass(frozen=True)
class WorkflowJob:
    """A job of a workflow.

    Attributes:
        name: its key in the file.
        title: its `name:`, empty if it has none.
        environment: as written, with expressions; None if the job makes no deployment.
        used_environment: as written, also where the job makes no deployment.
        matrix: values of each matrix variable.
        called_workflow: the reusable workflow that the job calls.
        call_inputs: the inputs that it passes to that workflow, with expressions.
    """

    name: str
    line: int = 0
    title: str = ""
    environment: LocatedText | None = None
    used_environment: str = ""
    matrix: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    called_workflow: LocatedText | None = None
    call_inputs: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[WorkflowStep, ...] = ()

    @property
    def words(self) -> frozenset[str]:
        """The words of its key and title."""
        return frozenset((*words_of(self.name), *words_of(self.title)))


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

    @property
    def runs_only_on_schedule(self) -> bool:
        """Whether only a schedule starts it, apart from a person."""
        return "schedule" in self.events and self.events <= {"schedule", "workflow_dispatch", "workflow_call"}


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
    scripts = _JsonText("\n".join(_scripts(jobs)).replace("\\", ""))
    return WorkflowFile(
        path=path,
        name=(scalar_text(mapping_entries(root).get("name")) or "").strip() or None,
        events=frozenset(mapping_entries(triggers) or scalar_texts(triggers)),
        input_values={
            **_input_values(node_at(triggers, "workflow_dispatch")),
            **_input_values(node_at(triggers, "workflow_call")),
        },
        jobs=tuple(_parse_job(name, node, scripts) for name, node in mapping_entries(jobs).items()),
        this_action=next(_uses_of_this_action(jobs), None),
        runs_on_merge=any(
            "closed" in scalar_texts(node_at(triggers, event, "types")) for event in _PULL_REQUEST_EVENTS
        ),
    )


def steps_of_action(action: str) -> tuple[WorkflowStep, ...]:
    """Return the steps of a composite action, none if it has none or is unreadable."""
    try:
        return tuple(_steps(node_at(compose(action), "runs")))
    except UnreadableYamlError:
        return ()


def _scripts(jobs: yaml.Node) -> Iterator[str]:
    for job in mapping_entries(jobs).values():
        yield from (step.script.text for step in _steps(job) if step.script)


def _input_values(trigger: OptionalNode) -> dict[str, tuple[str, ...]]:
    declared = mapping_entries(node_at(trigger, "inputs"))
    return {
        name: (*scalar_texts(node_at(declaration, "options")), *scalar_texts(node_at(declaration, "default")))
        for name, declaration in declared.items()
    }


def _parse_job(name: str, node: yaml.Node, scripts: "_JsonText") -> WorkflowJob:
    uses = node_at(node, "uses")
    called_path = scalar_text(uses)
    return WorkflowJob(
        name=name,
        line=line_number(node),
        title=scalar_text(node_at(node, "name")) or "",
        environment=_job_environment(mapping_entries(node).get("environment")),
        used_environment=_environment_name(mapping_entries(node).get("environment")),
        matrix=_matrix_values(node_at(node, "strategy", "matrix"), scripts),
        called_workflow=LocatedText(called_path, line_number(uses)) if uses is not None and called_path else None,
        call_inputs=_inputs(node),
        steps=tuple(_steps(node)),
    )


def _job_environment(node: OptionalNode) -> LocatedText | None:
    """Return the environment that a job deploys to; with `deployment: false` it only uses one."""
    if scalar_text(node_at(node, "deployment")) == "false":
        return None
    return _located_text(mapping_entries(node).get("name", node))


def _environment_name(node: OptionalNode) -> str:
    return (scalar_text(mapping_entries(node).get("name", node)) or "").strip()


def _inputs(node: yaml.Node) -> dict[str, str]:
    """Return the scalar values of `with:`."""
    values = ((key, scalar_text(value)) for key, value in mapping_entries(node_at(node, "with")).items())
    return {key: value for key, value in values if value is not None}


def _steps(node: OptionalNode) -> Iterator[WorkflowStep]:
    for step in sequence_items(node_at(node, "steps")):
        yield WorkflowStep(
            title=scalar_text(node_at(step, "name")) or "",
            action=_located_text(node_at(step, "uses")),
            inputs=_inputs(step),
            script=_located_text(node_at(step, "run")),
        )


def _located_text(node: OptionalNode) -> LocatedText | None:
    text = (scalar_text(node) or "").strip()
    return LocatedText(text, line_number(node)) if node is not None and text else None


def _uses_of_this_action(jobs: OptionalNode) -> Iterator[LocatedText]:
    for job in mapping_entries(jobs).values():
        uses = node_at(job, "uses")
        if uses is not None and _THIS_ACTION.fullmatch(scalar_text(uses) or ""):
            yield LocatedText(str(scalar_text(uses)), line_number(uses))
        yield from (step.action for step in _steps(job) if step.action and _THIS_ACTION.fullmatch(step.action.text))


# --- Matrices ---

_JSON_EXPRESSION = re.compile(r"\$\{\{\s*fromJSON\(\s*(?:'((?:[^']|'')*)')?", re.IGNORECASE)
_JSON_PAIR = re.compile(r'"([\w-]+)"\s*:\s*(?:"([^"\n]*)"|\[([^\]]{0,1000})\])')
_JSON_LIST = re.compile(r'\[(\s*"[^"\n\]]*"\s*(?:,\s*"[^"\n\]]*"\s*){0,200})\]')
_JSON_TEXT = re.compile(r'"([^"\n]*)"')


@dataclass(frozen=True)
class _JsonText:
    """A text that has JSON in it. It is searched once, however many variables of a matrix have their values from it."""

    text: str

    @cached_property
    def values_by_key(self) -> dict[str, tuple[str, ...]]:
        """The values of each key, as a text or a list of texts."""
        values_by_key: dict[str, tuple[str, ...]] = {}
        for key, text, items in _JSON_PAIR.findall(self.text):
            values = _JSON_TEXT.findall(items) if items else [text]
            values_by_key[key] = tuple(dict.fromkeys((*values_by_key.get(key, ()), *values)))[:MAX_VALUES]
        return values_by_key

    @cached_property
    def listed_values(self) -> tuple[str, ...]:
        """The texts of all lists."""
        lists = (match[1] for match in _JSON_LIST.finditer(self.text))
        return tuple(dict.fromkeys(text for items in lists for text in _JSON_TEXT.findall(items)))[:MAX_VALUES]


def _matrix_values(node: OptionalNode, scripts: _JsonText) -> dict[str, tuple[str, ...]]:
    """Return the values of each matrix variable.

    A matrix from `fromJSON` has the values of the JSON in the expression, otherwise of that in the workflow's scripts:
    one of them makes it.
    """
    if json := _json_of(node, scripts):
        return json.values_by_key
    values_by_variable = {
        key: _variable_values(value, scripts)
        for key, value in mapping_entries(node).items()
        if key not in ("include", "exclude")
    }
    for key, values in _included_values(node_at(node, "include"), scripts):
        values_by_variable[key] = (*values_by_variable.get(key, ()), *values)[:MAX_VALUES]
    return values_by_variable


def _variable_values(node: yaml.Node, scripts: _JsonText) -> tuple[str, ...]:
    json = _json_of(node, scripts)
    return json.listed_values if json else scalar_texts(node)[:MAX_VALUES]


def _included_values(node: OptionalNode, scripts: _JsonText) -> Iterator[tuple[str, tuple[str, ...]]]:
    if json := _json_of(node, scripts):
        yield from json.values_by_key.items()
    for included in sequence_items(node):
        yield from ((key, scalar_texts(value)) for key, value in mapping_entries(included).items())


def _json_of(node: OptionalNode, scripts: _JsonText) -> _JsonText | None:
    """Return the text that has the JSON of a `fromJSON` expression, None for any other node."""
    match = _JSON_EXPRESSION.match(scalar_text(node) or "")
    if match is None:
        return None
    return _JsonText(match[1].replace("''", "'")) if match[1] else scripts

"""What a workflow file says: its name, its events, and of each job the environment, what it calls and publishes.

Which environments the jobs of a workflow deploy to, through expressions and the workflows that they call.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from posixpath import normpath

import yaml

from dora_metrics.commands.init import yaml_nodes
from dora_metrics.commands.init.yaml_nodes import NotReadableError, composed, entries, items, line, text, texts, under

FOLDER = ".github/workflows"
_PUBLISHING_ACTIONS = frozenset({
    "actions/create-release", "changesets/action", "cycjimmy/semantic-release-action", "goreleaser/goreleaser-action",
    "google-github-actions/release-please-action", "googleapis/release-please-action", "ncipollo/release-action",
    "softprops/action-gh-release",
})  # fmt: skip
_PUBLISHING_COMMAND = re.compile(
    r"\b(gh release create|goreleaser release|semantic-release|release-it|release-please)\b"
)
_PULLS = ("pull_request", "pull_request_target")
_OURS = re.compile(r"[\w.-]+/dora-metrics(?:@|/\.github/workflows/dora\.ya?ml@)\S+")


@dataclass(frozen=True)
class Said:
    """A text of a file, and its line."""

    text: str
    line: int


@dataclass(frozen=True)
class Job:
    """`environment` is as written, with its expressions; `matrix` are the values that its variables take."""

    name: str
    environment: Said | None = None
    matrix: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    calls: Said | None = None
    given: Mapping[str, str] = field(default_factory=dict)
    publishes: Said | None = None
    local_actions: tuple[Said, ...] = ()


@dataclass(frozen=True)
class Workflow:
    """`inputs` are the values that an input may take as far as the file says; `ours` is where it uses this action.

    `at_merges`: it runs when a pull request is closed, as when it is merged.
    """

    path: str
    name: str | None
    events: frozenset[str]
    inputs: Mapping[str, tuple[str, ...]]
    jobs: tuple[Job, ...]
    ours: Said | None = None
    at_merges: bool = False

    @property
    def shown_name(self) -> str:
        """As `on: workflow_run` wants it: GitHub calls a workflow without a name by its path."""
        return self.name or self.path

    @property
    def runs_by_itself(self) -> bool:
        """Not only for those that call it, and not only for pull requests."""
        return bool(self.events - {"workflow_call", *_PULLS})


def read(path: str, content: str) -> Workflow:
    """A workflow file.

    Raises:
        NotReadableError: if it is none.
    """
    root = composed(content)
    if root is None:
        raise NotReadableError("it is empty")
    jobs = entries(root).get("jobs")
    if jobs is None:
        raise NotReadableError("it has no `jobs:`")
    on = entries(root).get("on")
    return Workflow(
        path=path,
        name=(text(entries(root).get("name")) or "").strip() or None,
        events=frozenset(entries(on) or texts(on)),
        inputs={**_inputs(under(on, "workflow_dispatch")), **_inputs(under(on, "workflow_call"))},
        jobs=tuple(_job(name, node) for name, node in entries(jobs).items()),
        ours=next(_ours(jobs), None),
        at_merges=any("closed" in texts(under(on, event, "types")) for event in _PULLS),
    )


def published_by(action: str) -> Said | None:
    """What a composite action publishes releases with, None where it does not or cannot be read."""
    try:
        return _publishes(under(composed(action), "runs"))
    except NotReadableError:
        return None


def _inputs(on: yaml_nodes.Node) -> dict[str, tuple[str, ...]]:
    declared = entries(under(on, "inputs"))
    return {name: (*texts(under(one, "options")), *texts(under(one, "default"))) for name, one in declared.items()}


def _job(name: str, node: yaml.Node) -> Job:
    given = ((key, text(value)) for key, value in entries(under(node, "with")).items())
    uses = under(node, "uses")
    return Job(
        name=name,
        environment=_environment(entries(node).get("environment")),
        matrix=_matrix(under(node, "strategy", "matrix")),
        calls=Said(path, line(uses)) if uses is not None and (path := text(uses)) else None,
        given={key: value for key, value in given if value is not None},
        publishes=_publishes(node),
        local_actions=tuple(_local_actions(node)),
    )


def _environment(node: yaml_nodes.Node) -> Said | None:
    """`deployment: false` uses an environment and makes no deployment."""
    if text(under(node, "deployment")) == "false":
        return None
    named = entries(node).get("name", node)
    found = text(named)
    return Said(found.strip(), line(named)) if named is not None and found and found.strip() else None


def _matrix(node: yaml_nodes.Node) -> dict[str, tuple[str, ...]]:
    found = {key: texts(value) for key, value in entries(node).items() if key not in ("include", "exclude")}
    for one in items(under(node, "include")):
        for key, value in entries(one).items():
            found[key] = (*found.get(key, ()), *texts(value))
    return found


def _steps(node: yaml_nodes.Node) -> Iterator[tuple[str, Said]]:
    """`uses` and `run` of each step."""
    for step in items(under(node, "steps")):
        for key in ("uses", "run"):
            value = entries(step).get(key)
            if value is not None and (found := text(value)):
                yield key, Said(found.strip(), line(value))


def _publishes(node: yaml_nodes.Node) -> Said | None:
    """The step that publishes a release, as far as its words show."""
    for key, said in _steps(node):
        if key == "uses" and said.text.partition("@")[0].lower() in _PUBLISHING_ACTIONS:
            return Said(f"uses {said.text.partition('@')[0]}", said.line)
        if key == "run" and (found := _PUBLISHING_COMMAND.search(said.text)):
            return Said(f"runs {found[0]}", said.line)
    return None


def _local_actions(node: yaml_nodes.Node) -> Iterator[Said]:
    for key, said in _steps(node):
        if key == "uses" and said.text.startswith(("./", "$/")):
            yield said


def _ours(jobs: yaml_nodes.Node) -> Iterator[Said]:
    for job in entries(jobs).values():
        uses = under(job, "uses")
        if uses is not None and _OURS.fullmatch(text(uses) or ""):
            yield Said(str(text(uses)), line(uses))
        yield from (said for key, said in _steps(job) if key == "uses" and _OURS.fullmatch(said.text))


_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_VARIABLE = re.compile(r"(?:github\.event\.)?(inputs|matrix)\.([\w-]+)")
_RESULT = re.compile(r"(?:&&|\|\|)\s*(?:'((?:[^']|'')*)'|((?:github\.event\.)?(?:inputs|matrix)\.[\w-]+))")
_DEEPEST = 10
"""How deep GitHub lets workflows call each other."""
_MOST = 50

Values = Callable[[str], tuple[str, ...]]


@dataclass(frozen=True)
class Target:
    """An environment that a job deploys to.

    `sure`: it is written there; else it is what an expression may become. `through`: the workflow that the job calls.
    """

    environment: str
    where: str
    job: str
    sure: bool = True
    through: str = ""

    @property
    def evidence(self) -> str:
        """`.github/workflows/deploy.yml:14: job deploy has `environment: production``."""
        may = "has" if self.sure else "may have"
        through = f", through {self.through}" if self.through else ""
        return f"{self.where}: job {self.job} {may} `environment: {self.environment}`{through}"


@dataclass(frozen=True)
class Targets:
    """`unknown`: what cannot be told from the files, as sentences."""

    found: tuple[Target, ...] = ()
    unknown: tuple[str, ...] = ()

    def __add__(self, other: "Targets") -> "Targets":
        return Targets((*self.found, *other.found)[:_MOST], (*self.unknown, *other.unknown)[:_MOST])


def targets(workflow: Workflow, others: Mapping[str, Workflow]) -> Targets:
    """Where a workflow deploys to; `others` are those of the checkout by their paths."""
    return _targets(workflow, others, workflow.inputs, (workflow.path,))


def _targets(
    workflow: Workflow,
    others: Mapping[str, Workflow],
    inputs: Mapping[str, tuple[str, ...]],
    on_the_way: tuple[str, ...],
) -> Targets:
    found = Targets()
    for job in workflow.jobs:
        values = _values(inputs, job.matrix)
        if job.environment:
            found += _own(workflow, job, job.environment, values)
        if job.calls:
            found += _called(workflow, job, job.calls, others, values, on_the_way)
    return found


def _values(inputs: Mapping[str, tuple[str, ...]], matrix: Mapping[str, tuple[str, ...]]) -> Values:
    known = {"inputs": inputs, "matrix": matrix}

    def values(variable: str) -> tuple[str, ...]:
        match = _VARIABLE.fullmatch(variable.strip())
        return known[match[1]].get(match[2], ()) if match else ()

    return values


def _own(workflow: Workflow, job: Job, said: Said, values: Values) -> Targets:
    where, names = f"{workflow.path}:{said.line}", may_be(said.text, values)
    if not names:
        return Targets(unknown=(f"{where}: job {job.name} has `environment: {said.text}`, known only when it runs",))
    sure = "${{" not in said.text or len(names) == 1
    return Targets(tuple(Target(name, where, job.name, sure) for name in names))


def may_be(text: str, values: Values) -> tuple[str, ...]:
    """What a text with expressions may become, as far as the files say."""
    found = [text]
    for expression in _EXPRESSION.finditer(text):
        each = _results(expression[1], values)
        found = [one.replace(expression[0], result, 1) for one in found for result in each][:_MOST]
    return tuple(dict.fromkeys(one for one in found if one.strip()))


def _results(expression: str, values: Values) -> tuple[str, ...]:
    """Of `github.ref == 'x' && 'production' || inputs.environment`: production, and the values of the input."""
    if alone := values(expression):
        return alone
    found = list(values(expression.partition("||")[0]) if "&&" not in expression else ())
    for written, variable in _RESULT.findall(expression):
        found += values(variable) if variable else [written.replace("''", "'")]
    return tuple(found)


def _called(  # noqa: PLR0913, PLR0917 - the way down
    workflow: Workflow,
    job: Job,
    said: Said,
    others: Mapping[str, Workflow],
    values: Values,
    on_the_way: tuple[str, ...],
) -> Targets:
    path = normpath(said.text.removeprefix("$/")) if said.text.startswith(("./", "$/")) else ""
    given = {name: may_be(value, values) for name, value in job.given.items()}
    if path in others and path not in on_the_way and len(on_the_way) < _DEEPEST:
        below = _targets(others[path], others, {**others[path].inputs, **given}, (*on_the_way, path))
        where = f"{workflow.path}:{said.line}"
        here = (replace(one, where=where, job=job.name, through=path) for one in below.found)
        return Targets(tuple(dict.fromkeys(here)), below.unknown)
    if path in on_the_way:
        return Targets()
    return _elsewhere(f"{workflow.path}:{said.line}", job, said, given)


def _elsewhere(where: str, job: Job, said: Said, given: Mapping[str, tuple[str, ...]]) -> Targets:
    """A workflow that is not here: what it is given as an environment it will use as one."""
    named = tuple(one for name, values in given.items() if "environment" in name.lower() for one in values)
    found = tuple(Target(name, where, job.name, sure=False) for name in named)
    return Targets(found, (f"{where}: job {job.name} calls {said.text}, which is not in this checkout",))


def publishing(workflow: Workflow, actions: Mapping[str, Said]) -> Iterator[str]:
    """Where a workflow publishes releases; `actions` are the local actions that do, by how they are named."""
    for job in workflow.jobs:
        if job.publishes:
            yield f"{workflow.path}:{job.publishes.line}: job {job.name} {job.publishes.text}"
        for used in job.local_actions:
            if used.text in actions:
                yield f"{workflow.path}:{used.line}: job {job.name} uses {used.text}, which {actions[used.text].text}"

"""Which environments the jobs of a workflow deploy to, through expressions and the workflows that they call."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from posixpath import normpath

from dora_metrics.commands.init.workflows import Job, Said, Workflow

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

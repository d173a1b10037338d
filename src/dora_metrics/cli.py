"""Arguments → app. The only place, with `__main__`, that touches the process's environment."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from dora_metrics import __version__
from dora_metrics.core import windows
from dora_metrics.errors import DoraError
from dora_metrics.runtime import Runtime
from dora_metrics.settings.loading import Layer
from dora_metrics.settings.model import DEFAULT_CONFIG, EVERY_REPOSITORY, FLAGS, Settings
from dora_metrics.sources import FactSource, SourceFacts

FORMATS = ("json", "markdown", "html", "prometheus", "weekly", "monthly", "quarterly")


def run(arguments: Sequence[str], world: Runtime) -> int:
    """Runs one command and returns its exit code; wrong settings and facts are exit code 2."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options, world))
    except DoraError as error:
        for problem in error.problems:
            print(f"dora-metrics: {problem}", file=world.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dora-metrics", description="DORA metrics: facts in, metrics out.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_compute(commands.add_parser("compute", help="metrics from facts files; no network", allow_abbrev=False))
    _add_report(commands.add_parser("report", help="metrics from a git history; no network", allow_abbrev=False))
    _add_action(commands.add_parser("action", help="what the GitHub Action runs", allow_abbrev=False))
    for mode, (told, description) in _ON_A_LEDGER.items():
        _add_on_a_ledger(commands.add_parser(mode, help=told, description=description, allow_abbrev=False), mode)
    _add_demo(commands.add_parser("demo", help="an event run on sample data", allow_abbrev=False))
    _add_init(commands.add_parser("init", help="proposes workflow and settings for a checkout", allow_abbrev=False))
    return parser


def _add_action(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_action)


def _action(_: argparse.Namespace, world: Runtime) -> int:
    from dora_metrics.commands import action  # noqa: PLC0415 - `compute` needs none of what it imports

    return action.action(world)


_ACCESS = "A branch needs a token in GITHUB_TOKEN, and the repository by --repository or in GITHUB_REPOSITORY."
_ON_A_LEDGER = {
    "sync": (
        "GitHub's history into a ledger",
        f"Brings into a ledger what GitHub knows and it does not; goes on where it stopped. {_ACCESS}",
    ),
    "rebuild": (
        "a ledger's derived files from its facts",
        f"Computes everything again from all facts of a ledger, and changes no fact. {_ACCESS}",
    ),
}


def _add_on_a_ledger(parser: argparse.ArgumentParser, mode: str) -> None:
    parser.set_defaults(command=_on_a_ledger, mode=mode)
    parser.add_argument("--repository", metavar="OWNER/NAME", help="whose ledger it is")
    _add_settings(parser)


def _on_a_ledger(options: argparse.Namespace, world: Runtime) -> int:
    from dora_metrics.commands import action  # noqa: PLC0415 - as above

    token, now = world.environment.get("GITHUB_TOKEN"), _moment(options.now, world.now)
    asked = {"mode": options.mode, "github-token": token, "config": options.config and str(options.config)}
    flags = Layer("flag", {"strict": "true", "report": "off", **_flags(options).values, **asked})
    repository = options.repository or world.environment.get("GITHUB_REPOSITORY") or EVERY_REPOSITORY
    here = {"GITHUB_EVENT_NAME": "workflow_dispatch", "GITHUB_REPOSITORY": repository}
    return action.action(replace(world, environment={**world.environment, **here}, now=now), flags)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_demo)
    parser.add_argument("--output", type=Path, default=Path("dora-demo"), metavar="DIR", help="default: dora-demo")


def _demo(options: argparse.Namespace, world: Runtime) -> int:
    from dora_metrics.commands import demo  # noqa: PLC0415 - as above

    return demo.run(options.output, world)


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_init)
    parser.description = (
        "Looks at a checkout and, with a token in GITHUB_TOKEN or GH_TOKEN, at its repository; shows what it would "
        "record and why; writes workflow, settings and incident form when you agree. It changes no file that is there."
    )
    parser.add_argument("--directory", type=Path, default=Path(), metavar="DIR", help="the checkout; default: here")
    parser.add_argument("--repository", metavar="OWNER/NAME", help="default: where the remote origin is")
    parser.add_argument("--action", metavar="OWNER/NAME@REF", help="where you keep dora-metrics, and at which commit")
    parser.add_argument("--yes", action="store_true", help="write without asking")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")


def _init(options: argparse.Namespace, world: Runtime) -> int:
    from dora_metrics.commands.init import command  # noqa: PLC0415 - as above

    given = {"directory": options.directory, "repository": options.repository, "yes": options.yes}
    if options.action is not None:
        given["action"] = options.action
    return command.run(command.InitRequest(dry_run=options.dry_run, **given), world)


def _add_compute(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_compute)
    parser.add_argument("--facts", required=True, metavar="FILE|DIR|-", help="facts, one JSON object a line")
    _add_common(parser)


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_report)
    parser.add_argument("--git", required=True, metavar="DIR", help="a checkout, a bare repository or a mirror")
    parser.add_argument("--tags", metavar="GLOB", help="the tags that are deployments, such as 'v*'; default: all")
    _add_common(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    """What every command has that prints numbers."""
    parser.add_argument("--format", choices=FORMATS, default="json", help="default: json")
    what = "say as Markdown why a fact counts as it does: an id, a version or tag, #12, a commit or its beginning"
    parser.add_argument("--explain", metavar="ID", help=what)
    _add_settings(parser)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help=f"default: {DEFAULT_CONFIG}, if it is there")
    parser.add_argument("--now", metavar="TIME", help="compute as of this time, such as 2026-11-21T12:00:00Z")
    group = parser.add_argument_group("settings", "the same as in the config file; they win over it")
    for name in FLAGS:
        field = Settings.model_fields[name.replace("-", "_")]
        group.add_argument(f"--{name}", metavar="VALUE", help=(field.description or "").replace("%", "%%"))


def _flags(options: argparse.Namespace) -> Layer:
    given = ((name, getattr(options, name.replace("-", "_"))) for name in FLAGS)
    return Layer("flag", {f"{name}": value for name, value in given if value is not None})


def _compute(options: argparse.Namespace, world: Runtime) -> int:
    from dora_metrics.sources import fact_files  # noqa: PLC0415 - the action needs none of what it imports

    return _print(lambda _settings, _now: fact_files.read(options.facts, world.stdin), options, world)


def _report(options: argparse.Namespace, world: Runtime) -> int:
    from dora_metrics.sources.git import read  # noqa: PLC0415 - as above

    def source(settings: Settings, now: datetime) -> SourceFacts:
        return read.read_history(
            read.GitHistoryRequest(options.git, options.tags or None, settings, now), world.environment
        )

    return _print(source, options, world)


def _print(source: FactSource, options: argparse.Namespace, world: Runtime) -> int:
    from dora_metrics.commands import compute  # noqa: PLC0415 - as above

    request = compute.ComputeRequest(
        format=options.format,
        config=options.config,
        flags=_flags(options),
        now=_moment(options.now, world.now),
        explain=options.explain,
    )
    return compute.run(request, source, world.stdout, world.stderr)


def _moment(text: str | None, now: datetime) -> datetime:
    if text is None:
        return now
    try:
        return windows.parse_instant(text)
    except ValueError as problem:
        raise DoraError(f"flag now: {problem}") from None

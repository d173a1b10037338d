"""Arguments to one command. With `__main__`, the only place that touches the process's environment."""

import argparse
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from dora_metrics import __version__
from dora_metrics.core.windows import parse_instant
from dora_metrics.errors import DoraError
from dora_metrics.github import console
from dora_metrics.runtime import Runtime
from dora_metrics.settings.loading import Layer
from dora_metrics.settings.model import DEFAULT_CONFIG, FLAGS, Settings
from dora_metrics.sources import FactSource, SourceFacts

FORMATS = ("json", "markdown", "html", "prometheus", "weekly", "monthly", "quarterly")


def run(arguments: Sequence[str], runtime: Runtime) -> int:
    """Run one command and return its exit code; 2 if settings or facts are wrong."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options, runtime))
    except DoraError as error:
        for problem in error.problems:
            console.write_line(runtime.stderr, f"dora-metrics: {problem}")
        return 2


class _Parser(argparse.ArgumentParser):
    """Prints what is wrong with arguments, which may come from anywhere, like all other text."""

    def error(self, message: str) -> NoReturn:
        super().error(console.neutral_line(message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="dora-metrics", description="DORA metrics: facts in, metrics out.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_compute(commands.add_parser("compute", help="metrics from facts files; no network", allow_abbrev=False))
    _add_report(commands.add_parser("report", help="metrics from a git history; no network", allow_abbrev=False))
    _add_action(commands.add_parser("action", help="what the GitHub Action runs", allow_abbrev=False))
    for mode, (summary, description) in _LEDGER_COMMANDS.items():
        _add_ledger_command(commands.add_parser(mode, help=summary, description=description, allow_abbrev=False), mode)
    _add_demo(commands.add_parser("demo", help="an event run on sample data", allow_abbrev=False))
    _add_init(commands.add_parser("init", help="proposes workflow and settings for a checkout", allow_abbrev=False))
    return parser


# Commands import what they run: `compute` needs nothing of GitHub, and a run of one event nothing of git.


def _add_action(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_action)


def _action(_: argparse.Namespace, runtime: Runtime) -> int:
    from dora_metrics.commands import action  # noqa: PLC0415 - see above

    return action.run(runtime)


_ACCESS = "A branch needs a token in GITHUB_TOKEN, and the repository by --repository or in GITHUB_REPOSITORY."
_LEDGER_COMMANDS = {
    "sync": (
        "GitHub's history into a ledger",
        f"Brings into a ledger what GitHub knows and it does not; goes on where it stopped. {_ACCESS}",
    ),
    "rebuild": (
        "a ledger's derived files from its facts",
        f"Computes everything again from all facts of a ledger, and changes no fact. {_ACCESS}",
    ),
}


def _add_ledger_command(parser: argparse.ArgumentParser, mode: str) -> None:
    parser.set_defaults(command=_ledger_command, mode=mode)
    parser.add_argument("--repository", metavar="OWNER/NAME", help="whose ledger it is")
    _add_settings(parser)


def _ledger_command(options: argparse.Namespace, runtime: Runtime) -> int:
    from dora_metrics.commands import ledger  # noqa: PLC0415 - see above

    request = ledger.LedgerRequest(
        mode=options.mode,
        repository=options.repository,
        config=options.config,
        flags=_flags(options),
        now=_moment(options.now, runtime.now),
    )
    return ledger.run(request, runtime)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_demo)
    parser.add_argument("--output", type=Path, default=Path("dora-demo"), metavar="DIR", help="default: dora-demo")


def _demo(options: argparse.Namespace, runtime: Runtime) -> int:
    from dora_metrics.commands import demo  # noqa: PLC0415 - see above

    return demo.run(options.output, runtime)


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


def _init(options: argparse.Namespace, runtime: Runtime) -> int:
    from dora_metrics.commands.init import command  # noqa: PLC0415 - see above

    named = {} if options.action is None else {"action": options.action}
    request = command.InitRequest(
        directory=options.directory,
        repository=options.repository,
        yes=options.yes,
        dry_run=options.dry_run,
        **named,
    )
    return command.run(request, runtime)


def _add_compute(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_compute)
    parser.add_argument("--facts", required=True, metavar="FILE|DIR|-", help="facts, one JSON object a line")
    _add_output_options(parser)


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_report)
    parser.add_argument("--git", required=True, metavar="DIR", help="a checkout, a bare repository or a mirror")
    parser.add_argument("--tags", metavar="GLOB", help="the tags that are deployments, such as 'v*'; default: versions")
    _add_output_options(parser)


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    """The options of every command that prints numbers."""
    parser.add_argument("--format", choices=FORMATS, default="json", help="default: json")
    explain_help = (
        "say as Markdown why a fact counts as it does: an id, a version or tag, #12, a commit or its beginning"
    )
    parser.add_argument("--explain", metavar="ID", help=explain_help)
    _add_settings(parser)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help=f"default: {DEFAULT_CONFIG}, if it is there")
    parser.add_argument("--now", metavar="TIME", help="compute as of this time, such as 2026-11-21T12:00:00Z")
    group = parser.add_argument_group("settings", "the same as in the config file; they win over it")
    for name in FLAGS:
        field = Settings.model_fields[name.replace("-", "_")]
        group.add_argument(f"--{name}", metavar="VALUE", help=(field.description or "").replace("%", "%%"))


def _flags(options: argparse.Namespace) -> Layer:
    values = ((name, getattr(options, name.replace("-", "_"))) for name in FLAGS)
    return Layer("flag", {name: value for name, value in values if value is not None})


def _compute(options: argparse.Namespace, runtime: Runtime) -> int:
    from dora_metrics.sources import fact_files  # noqa: PLC0415 - see above

    return _print(lambda _settings, _now: fact_files.read(options.facts, runtime.stdin), options, runtime)


def _report(options: argparse.Namespace, runtime: Runtime) -> int:
    from dora_metrics.sources.git import read  # noqa: PLC0415 - see above

    def source(settings: Settings, now: datetime) -> SourceFacts:
        request = read.GitHistoryRequest(options.git, options.tags or None, settings, now)
        return read.read_history(request, runtime.environment)

    return _print(source, options, runtime)


def _print(source: FactSource, options: argparse.Namespace, runtime: Runtime) -> int:
    from dora_metrics.commands import compute  # noqa: PLC0415 - see above

    request = compute.ComputeRequest(
        format=options.format,
        config=options.config,
        flags=_flags(options),
        now=_moment(options.now, runtime.now),
        explain=options.explain,
    )
    return compute.run(request, source, runtime.stdout, runtime.stderr)


def _moment(text: str | None, now: datetime) -> datetime:
    """The time of the flag `--now`, or the current one.

    Raises:
        DoraError: if the text is not a valid time.
    """
    if text is None:
        return now
    try:
        return parse_instant(text)
    except ValueError as error:
        raise DoraError(f"flag now: {error}") from None

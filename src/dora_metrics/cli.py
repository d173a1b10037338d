"""Arguments to one command. With `__main__`, the only place that touches the process's environment."""

import argparse
import re
import shlex
import textwrap
from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import NoReturn, get_args

from dora_metrics import __version__
from dora_metrics.core.windows import PastSteps, parse_instant
from dora_metrics.errors import DoraError
from dora_metrics.github import console
from dora_metrics.runtime import Runtime
from dora_metrics.settings.flags import LEDGER_DEFAULTS, SettingsCommand, flags_of, flags_without_effect
from dora_metrics.settings.loading import COMMAND_LINE, Layer
from dora_metrics.settings.model import DEFAULT_CONFIG, Settings, default_text
from dora_metrics.sources import FactSource, SourceFacts

FORMATS = ("text", "json", "markdown", "html", "prometheus", "openmetrics", "weekly", "monthly", "quarterly")
LEDGER_FORMATS = ("text", "json", "markdown")
DEFAULT_SINCE, DEFAULT_STEP = "90d", "1d"


def run(arguments: Sequence[str], runtime: Runtime) -> int:
    """Run one command and return its exit code; 2 if arguments, settings or facts are wrong."""
    try:
        options = _parse(arguments)
        _note_flags_without_effect(options, runtime)
        return int(options.command(options, runtime))
    except DoraError as error:
        problems: Sequence[str] = error.problems
    except FileNotFoundError:  # every command that needs the folder asks for it in a place of its own
        if _has_current_folder():
            raise
        problems = _NO_CURRENT_FOLDER
    for problem in problems:
        console.write_line(runtime.stderr, f"dora-metrics: {problem}")
    return 2


_NO_CURRENT_FOLDER = (
    "the current folder does not exist any more",
    "change to another one, such as with 'cd ~', and run the command again",
)


def _has_current_folder() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse arguments.

    Raises:
        DoraError: if they are wrong; two problems, what is wrong and where the options are listed.
    """
    options, others = _parser(arguments).parse_known_args(arguments)
    if others:
        raise DoraError(_unknown_arguments(others, options))
    if options.command_name is None:
        raise DoraError(["no command given", _help_hint("")])
    if name := _missing_option(options):
        raise DoraError([f"{options.command_name}: --{name} is missing", _help_hint(options.command_name)])
    return options


def _missing_option(options: argparse.Namespace) -> str:
    """The option that a command needs and lacks; empty if there is none.

    argparse would name it before it looks at the others, and the reason may be that it is misspelt.
    """
    name: str = getattr(options, "command_needs", "")
    return name if name and getattr(options, name) is None else ""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are two lines: what is wrong, and where the options are listed."""

    def __init__(self, *, prog: str, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog=prog, description=description, epilog=epilog, allow_abbrev=False, formatter_class=_wide_formatter
        )

    def error(self, message: str) -> NoReturn:
        command = self.prog.removeprefix("dora-metrics").strip()
        message += _suggestion(message)
        for pattern, plain_text in _PLAIN_ERRORS.items():
            message = re.sub(pattern, plain_text, message)
        raise DoraError([f"{command}: {message}" if command else message, _help_hint(command)])


class _HelpFormatter(argparse.HelpFormatter):
    """Help whose values can be copied: a line never ends inside a word with hyphens."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(f"{indent}{line}" for line in self._split_lines(text, width - len(indent)))


def _wide_formatter(prog: str) -> argparse.HelpFormatter:
    return _HelpFormatter(prog, max_help_position=32)


def _suggestion(message: str) -> str:
    """Return the choice that a mistyped one is similar to, as a question; empty without any."""
    from difflib import get_close_matches  # noqa: PLC0415 - only errors need it

    match = re.fullmatch(_INVALID_CHOICE, message)
    choices = re.findall(r"[\w-]+", match[3]) if match else []
    similar = get_close_matches(match[2].strip("'"), choices, 1) if match else []
    return f"; did you mean {similar[0]}?" if similar else ""


_INVALID_CHOICE = r"argument (\S+): invalid choice: ('.*?'|\S+) \(choose from (.*)\)"
_PLAIN_ERRORS = {
    rf"^{_INVALID_CHOICE}": r"\1 \2 is not one of \3",
    r"^argument (\S+): expected one argument$": r"\1 needs a value; if it begins with '-', write \1=VALUE",
}
"""Plain sentences for what argparse says; other messages stay as they are."""


def _help_hint(command: str) -> str:
    name = f"dora-metrics {command} --help" if command else "dora-metrics --help"
    return f"run '{name}' for usage"


def _unknown_arguments(arguments: Sequence[str], options: argparse.Namespace) -> list[str]:
    """The first argument that a command does not take, with similar options, and where the options are listed."""
    from difflib import get_close_matches  # noqa: PLC0415 - only errors need it

    unknown, command = arguments[0], options.command_name or ""
    name = unknown.partition("=")[0]
    names = [name.replace("_", "-") for name in vars(options) if not name.startswith("command")]
    names += [] if command else ["version", "help"]
    if name.startswith("-"):
        kind, similar = f"unknown option {name}", get_close_matches(name.lstrip("-"), names, 1)
        guess = similar[0] if similar else ""
    else:
        kind, missing = f"unexpected argument {unknown!r}", _missing_option(options)
        guess = f"{missing} {shlex.quote(unknown)}" if missing else ""
    prefix = f"{command}: " if command else ""
    return [f"{prefix}{kind}{f'; did you mean --{guess}?' if guess else ''}", _help_hint(command)]


_COMMANDS = {
    "report": "metrics for a git clone; no network, no token",
    "compute": "metrics from facts files; no network",
    "rows": "judged rows for a database, from facts files, a git clone or a ledger",
    "send": "print or send what an endpoint gets about facts files",
    "init": "propose a workflow and settings for a checkout",
    "sync": "read GitHub's history into a ledger",
    "rebuild": "recompute a ledger's files from its facts",
    "incidents": "read the incidents of PagerDuty, Jira or another system into a facts file",
    "kubernetes": "deployments from files that kubectl wrote, as facts",
    "demo": "run the action on one sample event",
    "action": "what the GitHub Action runs",
}


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of all commands; only one that is among the arguments gets its options, since there are 200."""
    parser = _Parser(
        prog="dora-metrics",
        description="Compute the DORA metrics of a repository from recorded facts, GitHub's history or a git clone.",
        epilog="'dora-metrics COMMAND --help' lists the options of a command.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands", dest="command_name")
    add_options = {
        "report": _add_report,
        "compute": _add_compute,
        "rows": _add_rows,
        "send": _add_send,
        "init": _add_init,
        "sync": _add_sync,
        "rebuild": _add_rebuild,
        "incidents": _add_incidents,
        "kubernetes": _add_kubernetes,
        "demo": _add_demo,
        "action": _add_action,
    }
    for name, summary in _COMMANDS.items():
        command = commands.add_parser(name, prog=f"dora-metrics {name}", help=summary, description="")
        if name in arguments:
            add_options[name](command)
    return parser


# Commands import what they run: `compute` needs nothing of GitHub, and a run of one event nothing of git.


def _add_action(parser: argparse.ArgumentParser) -> None:
    parser.description = "Run the action with the inputs in the workflow's environment variables. It has no options."
    parser.set_defaults(command=_action)


def _action(_: argparse.Namespace, runtime: Runtime) -> int:
    from dora_metrics.commands import action  # noqa: PLC0415 - see above

    return action.run(runtime)


def _add_sync(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Read from GitHub what the ledger does not have yet. A later run continues where the last one stopped. It "
        "needs a token in GITHUB_TOKEN, and --repository or GITHUB_REPOSITORY. --ledger dir:ledger writes to a folder "
        "instead of a branch."
    )
    _add_ledger_options(parser, "sync")


def _add_rebuild(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Recompute all numbers and files of a ledger from its facts. It changes no facts. A ledger on a branch "
        "needs a token in GITHUB_TOKEN, and --repository or GITHUB_REPOSITORY."
    )
    _add_ledger_options(parser, "rebuild")


def _add_ledger_options(parser: argparse.ArgumentParser, mode: SettingsCommand) -> None:
    parser.set_defaults(command=_ledger_command, command_mode=mode)
    parser.usage = "%(prog)s [OPTIONS]"
    parser.add_argument(
        "--repository",
        metavar="OWNER/NAME",
        help="repository that has the ledger, and that sync reads unless --repositories names others",
    )
    parser.add_argument(
        "--format", choices=LEDGER_FORMATS, metavar="FORMAT", help=_format_help(LEDGER_FORMATS, "markdown")
    )
    _add_settings(parser, mode)


def _format_help(formats: Sequence[str], otherwise: str) -> str:
    return f"{', '.join(formats)}; default: text on a terminal, otherwise {otherwise}"


def _ledger_command(options: argparse.Namespace, runtime: Runtime) -> int:
    from dora_metrics.commands import ledger  # noqa: PLC0415 - see above

    request = ledger.LedgerRequest(
        mode=options.command_mode,
        format=options.format or ("text" if runtime.stdout.isatty() else "markdown"),
        repository=options.repository,
        config=options.config,
        flags=_flags(options),
        now=_moment(options.now, runtime.now),
    )
    return ledger.run(request, runtime)


_OF_FOLDER = "default: GITHUB_REPOSITORY, or what the clone in this folder is called"


def _add_incidents(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Read the incidents of one system in the setting 'incidents', and write them as facts, one a line. It needs "
        "the system's token in INCIDENT_TOKENS. 'compute --facts' reads the "
        "file."
    )
    parser.set_defaults(command=_incidents, command_needs="system")
    parser.usage = "%(prog)s --system NAME [OPTIONS]"
    parser.add_argument("--system", metavar="NAME", help="such as pagerduty, or the name of a custom system")
    parser.add_argument("--out", metavar="FILE", default="-", help="the facts file; default: -, standard output")
    parser.add_argument(
        "--repository", metavar="OWNER/NAME", help=f"the repository that incidents belong to; {_OF_FOLDER}"
    )
    _add_settings(parser, "incidents")


def _incidents(options: argparse.Namespace, runtime: Runtime) -> int:
    from dora_metrics.commands import incidents  # noqa: PLC0415 - see above

    request = incidents.IncidentsRequest(
        system=options.system,
        out=options.out,
        repository=options.repository,
        config=options.config,
        flags=_flags(options),
        now=_moment(options.now, runtime.now),
    )
    return incidents.run(request, runtime)


def _add_kubernetes(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_kubernetes, command_needs="from")
    parser.usage = "%(prog)s --from FILE|- [OPTIONS]"
    parser.description = (
        "Read objects of Flux, Flagger, Argo CD and Argo Rollouts that 'kubectl get -o json' wrote. Print the "
        "deployments as facts, one JSON object per line. It reads files only: no cluster, no token."
    )
    parser.add_argument(
        "--from",
        action="append",
        metavar="FILE|-",
        help="what kubectl wrote, or - for standard input; several times for several files",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the facts to this file")
    parser.add_argument(
        "--facts", metavar="FILE|DIR|-", help="recorded facts, such as a ledger; what they hold is not printed again"
    )
    parser.add_argument(
        "--repository",
        metavar="OWNER/NAME",
        help=f"the repository of deployments whose source is not in the files; {_OF_FOLDER}",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"file with the setting gitops; default: {DEFAULT_CONFIG}, if there is one",
    )
    parser.add_argument(
        "--now", metavar="TIME", help="when the cluster was asked, if a file was not written earlier; default: now"
    )


def _kubernetes(options: argparse.Namespace, runtime: Runtime) -> int:
    from dora_metrics.commands import kubernetes  # noqa: PLC0415 - see above

    request = kubernetes.KubernetesRequest(
        files=tuple(getattr(options, "from")),
        facts=options.facts,
        out=options.out,
        repository=options.repository,
        config=options.config,
        now=_moment(options.now, runtime.now),
    )
    return kubernetes.run(request, runtime)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.description = "Run the action on one sample event. Print the job summary and the paths of the other files."
    parser.set_defaults(command=_demo)
    parser.add_argument(
        "--output", type=Path, default=Path("dora-demo"), metavar="DIR", help="where to write; default: dora-demo"
    )


def _demo(options: argparse.Namespace, runtime: Runtime) -> int:
    from dora_metrics.commands import demo  # noqa: PLC0415 - see above

    return demo.run(options.output, runtime)


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_init)
    parser.description = (
        "Look at a checkout and, with a token in GITHUB_TOKEN or GH_TOKEN, at its repository. Show what the "
        "action would record, and why. Write a workflow, settings and an incident form if you agree. Existing files "
        "stay unchanged."
    )
    parser.add_argument(
        "--directory", type=Path, default=Path(), metavar="DIR", help="the checkout; default: the current folder"
    )
    parser.add_argument("--repository", metavar="OWNER/NAME", help="default: that of the remote origin")
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
    parser.description = "Compute the metrics from recorded facts. It reads files only: no network, no token."
    parser.set_defaults(command=_compute, command_needs="facts")
    parser.add_argument(
        "--facts",
        metavar="FILE|DIR|-",
        help="facts, one JSON object per line: a file, a folder such as a ledger, or - for standard input",
    )
    _add_output_options(parser, "compute")
    parser.usage = "%(prog)s --facts FILE|DIR|- [OPTIONS]"


def _add_rows(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Judge recorded facts, and write the results as rows for a database: a file TABLE.ndjson for each table, one "
        "JSON object per line. It reads files only. A ledger on a branch needs a token in GITHUB_TOKEN. It changes no "
        "ledger."
    )
    parser.set_defaults(command=_rows, command_needs="to", as_of=None)
    parser.usage = "%(prog)s --facts FILE|DIR|- | --git DIR | --ledger LEDGER --to DIR [OPTIONS]"
    parser.add_argument("--facts", metavar="FILE|DIR|-", help="recorded facts, as 'compute' reads them")
    parser.add_argument(
        "--ledger",
        metavar="LEDGER",
        help="instead of --facts: dir:PATH, or branch:NAME@OWNER/NAME, such as sync writes",
    )
    parser.add_argument("--git", metavar="DIR", help="instead of --facts: a git clone, as 'report' reads it")
    parser.add_argument("--tags", metavar="GLOB", help="with --git: tags that are deployments, such as 'v*'")
    parser.add_argument("--to", metavar="DIR", help="the folder for the files; older ones are replaced")
    parser.add_argument(
        "--repository", metavar="OWNER/NAME", help="repository of the ledger's branch, if --ledger does not name it"
    )
    _add_settings(parser, "rows")


def _rows(options: argparse.Namespace, runtime: Runtime) -> int:
    from dora_metrics.commands import rows  # noqa: PLC0415 - see above

    named = [name for name in ("--facts", "--git", "--ledger") if getattr(options, name[2:]) is not None]
    if len(named) != 1:
        problem = f"{' and '.join(named)} exclude each other" if named else "--facts, --git or --ledger is missing"
        raise DoraError([f"rows: {problem}", _help_hint("rows")])
    if options.to in ("", "-"):
        problem = f"--to {options.to!r} is not a folder; there is a file for each table"
        raise DoraError([f"rows: {problem}", _help_hint("rows")])
    sources = {"--facts": _file_source, "--git": _git_source}
    request = rows.RowsRequest(
        source=sources[named[0]](options, runtime) if options.ledger is None else options.ledger,
        to=Path(options.to),
        repository=options.repository,
        config=options.config,
        flags=_flags(options),
        now=_moment(options.now, runtime.now),
    )
    return rows.run(request, runtime)


def _add_send(parser: argparse.ArgumentParser) -> None:
    from dora_metrics.core.periods import PERIOD_KINDS  # noqa: PLC0415 - see above

    parser.description = (
        "Print the requests that an endpoint would get if the facts were new, or send them without --dry-run. A real "
        "sending takes tokens from ENDPOINT_TOKENS (a line each, 'name: TOKEN'), or from ENDPOINT_TOKEN and "
        "ENDPOINT_SECRET for --endpoint-url. It changes no ledger, so a run of the action may send the same again."
    )
    parser.set_defaults(command=_send, command_needs="facts", as_of=None)
    parser.usage = "%(prog)s --dry-run --template NAME|FILE | --endpoint NAME --facts FILE|DIR|- [OPTIONS]"
    parser.add_argument("--dry-run", action="store_true", help="print the requests and send nothing; secrets are ***")
    parser.add_argument("--template", metavar="NAME|FILE", help="a shipped template, or a file of your own")
    parser.add_argument("--endpoint", metavar="NAME", help="instead of --template: an endpoint of the config file")
    parser.add_argument("--facts", metavar="FILE|DIR|-", help="recorded facts, as 'compute' reads them")
    parser.add_argument(
        "--report",
        choices=PERIOD_KINDS,
        metavar="KIND",
        help=f"instead of facts, the report: {', '.join(PERIOD_KINDS)}",
    )
    parser.add_argument(
        "--event",
        metavar="NAME",
        default="deployment_status",
        help="the event that started the run; default: deployment_status",
    )
    parser.add_argument(
        "--repository",
        metavar="OWNER/NAME",
        help="the repository of the run; default: GITHUB_REPOSITORY, or that of the newest fact",
    )
    _add_settings(parser, "send", now_help="the time of the run; default: that of the newest fact, so that it is news")


def _send(options: argparse.Namespace, runtime: Runtime) -> int:
    from dora_metrics.commands import send  # noqa: PLC0415 - see above

    named = [name for name in ("--template", "--endpoint") if getattr(options, name[2:]) is not None]
    if len(named) != 1:
        problem = f"{' and '.join(named)} exclude each other" if named else "--template or --endpoint is missing"
        raise DoraError([f"send: {problem}", _help_hint("send")])
    request = send.SendRequest(
        template=options.template,
        endpoint=options.endpoint,
        report=options.report,
        event=options.event,
        repository=options.repository,
        is_dry=options.dry_run,
        config=options.config,
        flags=_flags(options),
        now=None if options.now is None else _moment(options.now, runtime.now),
    )
    return send.run(request, _file_source(options, runtime), runtime)


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Compute the metrics for any git clone: version tags are deployments, merged pull requests and commits are "
        "changes. It does not change the clone or run code from it. It needs no network and no token."
    )
    parser.set_defaults(command=_report, command_needs="git")
    parser.add_argument("--git", metavar="DIR", help="a checkout, a bare repository or a mirror")
    parser.add_argument(
        "--tags", metavar="GLOB", help="tags that are deployments, such as 'v*' or 'web@*'; default: version tags"
    )
    _add_output_options(parser, "report")
    parser.usage = "%(prog)s --git DIR [OPTIONS]"


def _add_output_options(parser: argparse.ArgumentParser, command: SettingsCommand) -> None:
    from dora_metrics.core.facts.as_of import AsOf  # noqa: PLC0415 - see above

    """The options of every command that prints numbers."""
    parser.add_argument("--format", choices=FORMATS, metavar="FORMAT", help=_format_help(FORMATS, "json"))
    parser.add_argument("--page-file", type=Path, metavar="FILE", help="also write the page with charts to this file")
    parser.add_argument(
        "--explain",
        metavar="ID",
        help="explain how one fact counts, as Markdown: a version or tag, #12, a commit (its first digits) or an id",
    )
    parser.add_argument(
        "--since", metavar="VALUE", help=f"with --format openmetrics: how far back; default: {DEFAULT_SINCE}"
    )
    parser.add_argument(
        "--step", metavar="VALUE", help=f"with --format openmetrics: time between samples; default: {DEFAULT_STEP}"
    )
    parser.add_argument(
        "--as-of",
        choices=get_args(AsOf),
        metavar="VALUE",
        help="with --format openmetrics: happened (what had happened by each time) or known (what had been recorded by "
        "then); default: happened",
    )
    _add_settings(parser, command)


def _add_settings(
    parser: argparse.ArgumentParser,
    command: SettingsCommand,
    now_help: str = "compute as of this time, such as 2026-11-21T12:00:00Z",
) -> None:
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help=f"file with settings; default: {DEFAULT_CONFIG}, if there is one"
    )
    parser.add_argument("--now", metavar="TIME", help=now_help)
    defaults = LEDGER_DEFAULTS if command in ("sync", "rebuild") else {}
    for heading, names in flags_of(command).items():
        group = parser.add_argument_group(heading)
        for name in names:
            group.add_argument(f"--{name}", metavar="VALUE", help=_setting_help(name, defaults.get(name)))
    without_effect = flags_without_effect(command)
    for name in without_effect:
        parser.add_argument(f"--{name}", metavar="VALUE", help=argparse.SUPPRESS)
    with_effect = list(chain.from_iterable(flags_of(command).values()))
    parser.set_defaults(command_without_effect=without_effect, command_settings=[*with_effect, *without_effect])
    parser.epilog = "All options except those in the first group are also settings of the config file, and override it."
    if defaults:
        parser.epilog += f" This command ignores {' and '.join(repr(name) for name in defaults)} in the config file."


def _setting_help(name: str, command_default: str | None) -> str:
    """A setting's description as plain text, with its default if the description has none."""
    description = Settings.model_fields[name.replace("-", "_")].description or ""
    text = description.replace("`", "").replace("%", "%%").rstrip(".")
    if not text[1:2].isupper():  # an abbreviation such as HTTP stays
        text = text[:1].lower() + text[1:]
    default = command_default or default_text(name)
    return f"{text}; default: {default}" if default and "default" not in text.lower() else text


def _note_flags_without_effect(options: argparse.Namespace, runtime: Runtime) -> None:
    names = [name for name in getattr(options, "command_without_effect", ()) if _value(options, name) is not None]
    for name in names:
        console.write_line(runtime.stderr, f"dora-metrics: --{name} has no effect on {options.command_name}")


def _value(options: argparse.Namespace, name: str) -> str | None:
    value: str | None = getattr(options, name.replace("-", "_"))
    return value


def _flags(options: argparse.Namespace) -> Layer:
    values = ((name, _value(options, name)) for name in options.command_settings)
    return Layer(COMMAND_LINE, {name: value for name, value in values if value is not None})


def _compute(options: argparse.Namespace, runtime: Runtime) -> int:
    return _print(_file_source(options, runtime), options, runtime)


def _file_source(options: argparse.Namespace, runtime: Runtime) -> FactSource:
    from dora_metrics.sources import fact_files  # noqa: PLC0415 - see above

    def source(settings: Settings, _now: datetime) -> SourceFacts:
        with_earlier, services = options.as_of == "known", frozenset(settings.services)
        return fact_files.read(options.facts, runtime.stdin, with_earlier=with_earlier, services=services)

    return source


def _report(options: argparse.Namespace, runtime: Runtime) -> int:
    return _print(_git_source(options, runtime), options, runtime)


def _git_source(options: argparse.Namespace, runtime: Runtime) -> FactSource:
    from dora_metrics.sources.git import read  # noqa: PLC0415 - see above

    def source(settings: Settings, now: datetime) -> SourceFacts:
        request = read.GitHistoryRequest(options.git, options.tags or None, settings, now)
        return read.read_history(request, runtime.environment)

    return source


def _print(source: FactSource, options: argparse.Namespace, runtime: Runtime) -> int:
    from dora_metrics.commands import compute  # noqa: PLC0415 - see above

    output_format = options.format or ("text" if runtime.stdout.isatty() else "json")
    now = _moment(options.now, runtime.now)
    request = compute.ComputeRequest(
        format=output_format,
        config=options.config,
        flags=_flags(options),
        now=now,
        past_steps=_past_steps(options, output_format, now),
        as_of=options.as_of or "happened",
        explain=options.explain,
        page_file=options.page_file,
    )
    return compute.run(request, source, runtime)


def _past_steps(options: argparse.Namespace, output_format: str, now: datetime) -> PastSteps | None:
    """The past times of `--format openmetrics`; None for the other formats.

    Raises:
        DoraError: if the options are wrong, or do nothing for this format.
    """
    if output_format == "openmetrics":
        since, step = options.since or DEFAULT_SINCE, options.step or DEFAULT_STEP
        try:
            return PastSteps.parse(now, since, step)
        except ValueError as error:
            raise DoraError(f"--since {since} --step {step}: {error}") from None
    for name in ("since", "step", "as-of"):
        if _value(options, name) is not None:
            command = options.command_name
            raise DoraError([f"{command}: --{name} needs --format openmetrics", _help_hint(command)])
    return None


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
        raise DoraError(f"--now: {error}") from None

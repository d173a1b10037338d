"""`dora-metrics init`: gathers, proposes, shows, asks, and writes. The decisions are pure and in the other modules."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dora_metrics.commands.init import gather, summary
from dora_metrics.commands.init.files import DEFAULT_ACTION, PLACEHOLDER_OWNER, TEMPLATE_NAMES, render_files
from dora_metrics.commands.init.findings import CONFIG_PATH, Checkout, Findings, GitHubFindings
from dora_metrics.commands.init.first_numbers import MAX_SECONDS, read_first_numbers
from dora_metrics.commands.init.proposal import Proposal, propose
from dora_metrics.commands.init.summary import ProposedFile
from dora_metrics.core.scope import is_repository_name
from dora_metrics.errors import DoraError
from dora_metrics.github import console
from dora_metrics.runtime import Runtime
from dora_metrics.sources.paths import is_folder
from dora_metrics.templates import load_template


@dataclass(frozen=True)
class InitRequest:
    """The command line of `init`.

    Attributes:
        directory: a folder in the checkout.
        repository: `OWNER/NAME`, None for the one of the remote `origin`.
        action: `OWNER/NAME@REF` of the action to call.
        yes: write without asking.
        dry_run: show only.
    """

    directory: Path
    repository: str | None = None
    action: str = DEFAULT_ACTION
    yes: bool = False
    dry_run: bool = False


def run(request: InitRequest, runtime: Runtime) -> int:
    """Show a proposal, and write its new files if the user agrees.

    Returns:
        The exit code: 0 if done, also if nothing was to be done or the user declined; 1 if a file could not be written
        or there is no terminal to confirm on.

    Raises:
        DoraError: if the folder does not exist or an option is invalid.
    """
    _check_options(request)
    root = gather.checkout_root(request.directory, runtime.environment)
    findings = _gather_findings(request, runtime, gather.gather_checkout(root, runtime.environment))
    proposal = propose(findings)
    proposed_files = _proposed_files(root, findings.checkout, proposal, request.action)
    new_files = [file for file in proposed_files if file.is_new]
    repository = request.repository or findings.checkout.repository or root.name
    _print_lines(runtime, summary.summary_lines(findings, proposal, proposed_files, repository, str(root)))
    if findings.github and proposal.sources != ("none",):
        _print_first_numbers(runtime, repository, proposed_files)
    _print_lines(runtime, ("", *(line for file in proposed_files for line in summary.file_lines(file))))
    if not new_files:
        _print_lines(runtime, ("Nothing to write.",))
        return 0
    if not _is_confirmed(request, runtime, new_files):
        return int(not request.dry_run and not _is_terminal(runtime))
    problems = [problem for file in new_files if (problem := _write_new_file(root, file))]
    _print_lines(runtime, problems or (f"Written: {summary.file_list(new_files)}", ""))
    if not problems:
        has_placeholder = request.action.startswith(PLACEHOLDER_OWNER)
        _print_lines(runtime, summary.next_steps(findings, proposal, has_placeholder=has_placeholder))
    return int(bool(problems))


def _check_options(request: InitRequest) -> None:
    """Raise a DoraError that lists every invalid option."""
    problems = []
    if request.repository is not None and not is_repository_name(request.repository):
        problems.append(f"--repository {request.repository!r} is not OWNER/NAME")
    action_repository, separator, reference = request.action.partition("@")
    if (
        not is_repository_name(action_repository)
        or not separator
        or not reference
        or not reference.isprintable()
        or " " in reference
    ):
        problems.append(f"--action {request.action!r}: expected OWNER/NAME@REF, such as {DEFAULT_ACTION}")
    if problems:
        raise DoraError(problems)


def _gather_findings(request: InitRequest, runtime: Runtime, checkout: Checkout) -> Findings:
    """Ask GitHub about the repository of the command line, otherwise the checkout's own if it is on GitHub."""
    repository, server_url = request.repository, None
    if repository is None and checkout.host and not checkout.is_hosted_elsewhere:
        repository = checkout.repository  # on another host, GitHub may have an unrelated repository of the same name
    if request.repository is None:
        server_url = checkout.server_url
    answer = gather.query_github(repository, server_url, runtime.environment, runtime.sleep)
    if isinstance(answer, GitHubFindings):
        return Findings(checkout, answer)
    return Findings(checkout, github_unavailable_reason=answer)


def _proposed_files(root: Path, checkout: Checkout, proposal: Proposal, action: str) -> list[ProposedFile]:
    templates = {name: load_template(f"init/{name}") for name in TEMPLATE_NAMES}
    return [
        ProposedFile(path, text, checkout.existing_files.get(path), is_unreadable=_is_unreadable(root, path, checkout))
        for path, text in render_files(proposal, action, templates).items()
    ]


def _print_first_numbers(runtime: Runtime, repository: str, files: Sequence[ProposedFile]) -> None:
    """Show the numbers that the workflow would show, with the config file that there is or will be."""
    folder_text = "into a temporary folder that is deleted"
    _print_lines(runtime, ("", f"First sync of {repository}, {folder_text} (at most {MAX_SECONDS} s) ..."))
    runtime.stdout.flush()
    config = next(file for file in files if file.path == CONFIG_PATH)
    token = gather.token_of(runtime.environment)
    numbers = read_first_numbers(repository, config.existing_text or config.text, token, runtime)
    _print_lines(runtime, summary.number_lines(numbers))


def _is_unreadable(root: Path, path: str, checkout: Checkout) -> bool:
    """Return whether something exists at a path that could not be read as a file, or may exist there."""
    target = root / path
    try:
        is_behind_link = any(parent.is_symlink() for parent in target.parents[: path.count("/")])
        return path not in checkout.existing_files and (target.is_symlink() or target.exists() or is_behind_link)
    except OSError:  # a folder that this user may not enter
        return True


def _is_confirmed(request: InitRequest, runtime: Runtime, new_files: Sequence[ProposedFile]) -> bool:
    """Ask whether to write the new files; `--yes` and `--dry-run` answer without asking."""
    if request.dry_run:
        file_list = summary.file_list(list(new_files))
        _print_lines(runtime, (f"--dry-run: nothing was written. Without it, init would write {file_list}",))
        return False
    if request.yes:
        return True
    if not _is_terminal(runtime):
        _print_lines(
            runtime,
            ("Nothing was written: no terminal to confirm on. Use --yes to write, or --dry-run to show only.",),
        )
        return False
    return _ask_to_write(runtime, new_files)


def _ask_to_write(runtime: Runtime, new_files: Sequence[ProposedFile]) -> bool:
    """Ask at the terminal whether to write the new files."""
    console.write_question(runtime.stdout, summary.confirmation_question(list(new_files)))
    try:
        is_confirmed = runtime.stdin.readline().decode("utf-8", "replace").strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        is_confirmed = False
        _print_lines(runtime, ("",))
    if not is_confirmed:
        _print_lines(runtime, ("Nothing was written.",))
    return is_confirmed


def _is_terminal(runtime: Runtime) -> bool:
    return runtime.stdin.isatty()


def _write_new_file(root: Path, file: ProposedFile) -> str | None:
    """Write a file and return the problem, None if there was none. An existing file is never replaced."""
    target = root / file.path
    if obstacle := _file_in_place_of_folder(root, file.path):
        return f"{file.path}: not written, since {obstacle} is not a folder; move it away and run init again"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(file.text)
    except FileExistsError:
        return f"{file.path}: not written, since it exists now; run init again"
    except OSError as problem:
        return f"{file.path}: not written ({problem.strerror}); check the folder and run init again"
    return None


def _file_in_place_of_folder(root: Path, path: str) -> str | None:
    """Return the first part of a path that should be a folder and is something else."""
    folders = [part.as_posix() for part in reversed(PurePosixPath(path).parents)]
    return next((folder for folder in folders if os.path.lexists(root / folder) and not is_folder(root / folder)), None)


def _print_lines(runtime: Runtime, lines: Iterable[str]) -> None:
    for line in lines:
        console.write_line(runtime.stdout, line)

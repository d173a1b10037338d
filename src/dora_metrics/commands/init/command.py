"""The shell of `dora-metrics init`: gather → decide → show → ask → write."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from dora_metrics.commands.init import files as writing
from dora_metrics.commands.init import gather, summary
from dora_metrics.commands.init.findings import Checkout, Findings, GitHubFindings
from dora_metrics.commands.init.proposal import propose
from dora_metrics.commands.init.summary import ProposedFile
from dora_metrics.errors import DoraError
from dora_metrics.runtime import Runtime


@dataclass(frozen=True)
class InitRequest:
    """What the command line says."""

    directory: Path
    repository: str | None = None
    action: str = writing.DEFAULT_ACTION
    yes: bool = False
    dry_run: bool = False


def run(request: InitRequest, runtime: Runtime) -> int:
    """Proposes, and writes what is agreed to.

    Returns:
        0 done, also where nothing was to be done or somebody said no; 1 something could not be written, or nobody could
        be asked.

    Raises:
        DoraError: if there is no such folder, or an option is wrong.
    """
    _check_options(request)
    root = gather.checkout_root(request.directory, runtime.environment)
    findings = _gather_findings(request, runtime, gather.gather_checkout(root, runtime.environment))
    proposal = propose(findings)
    form_template = (files("dora_metrics") / "commands" / "init" / "incident-form.yml").read_text("utf-8")
    proposed_files = [
        ProposedFile(
            path,
            text,
            findings.checkout.existing_files.get(path),
            is_unreadable=_is_unreadable(root, path, findings.checkout),
        )
        for path, text in writing.render_files(proposal, request.action, form_template).items()
    ]
    new_files = [file for file in proposed_files if file.is_new]
    repository = request.repository or findings.checkout.repository or root.resolve().name
    _print_lines(runtime, summary.summary_lines(findings, proposal, proposed_files, repository))
    _print_lines(runtime, ("", *(line for file in proposed_files for line in summary.file_lines(file))))
    if not new_files:
        _print_lines(runtime, ("Nothing to write.",))
        return 0
    if not _is_confirmed(request, runtime, new_files):
        return int(not request.dry_run and not _is_terminal(runtime))
    problems = [problem for file in new_files if (problem := _write_new_file(root, file))]
    _print_lines(runtime, problems or (f"Written: {summary.file_list(new_files)}", ""))
    if not problems:
        has_placeholder = request.action.startswith(writing.PLACEHOLDER_OWNER)
        _print_lines(runtime, summary.next_steps(findings, proposal, has_placeholder=has_placeholder))
    return int(bool(problems))


def _check_options(request: InitRequest) -> None:
    """Raises DoraError with every option that cannot be."""
    problems = []
    if request.repository is not None and not _is_repository_name(request.repository):
        problems.append(f"--repository {request.repository!r}: expected OWNER/NAME")
    action_repository, separator, reference = request.action.partition("@")
    if (
        not _is_repository_name(action_repository)
        or not separator
        or not reference
        or not reference.isprintable()
        or " " in reference
    ):
        problems.append(f"--action {request.action!r}: expected OWNER/NAME@REF, such as {writing.DEFAULT_ACTION}")
    if problems:
        raise DoraError(problems)


def _is_repository_name(text: str) -> bool:
    parts = text.split("/")
    return len(parts) == 2 and all(  # noqa: PLR2004 - owner and name
        part and part.isascii() and part.replace("-", "").replace("_", "").replace(".", "").isalnum() for part in parts
    )


def _gather_findings(request: InitRequest, runtime: Runtime, checkout: Checkout) -> Findings:
    own_repository = (
        None if checkout.is_hosted_elsewhere or not checkout.host else checkout.repository
    )  # it may have a namesake on GitHub
    repository, server_url = (request.repository, None) if request.repository else (own_repository, checkout.server_url)
    answer = gather.query_github(repository, server_url, runtime.environment, runtime.sleep)
    return (
        Findings(checkout, answer)
        if isinstance(answer, GitHubFindings)
        else Findings(checkout, github_unavailable_reason=answer)
    )


def _is_unreadable(root: Path, path: str, checkout: Checkout) -> bool:
    """There, but not as a file that could be read."""
    target = root / path
    is_behind_link = any(parent.is_symlink() for parent in target.parents[: path.count("/")])
    return path not in checkout.existing_files and (target.is_symlink() or target.exists() or is_behind_link)


def _is_confirmed(request: InitRequest, runtime: Runtime, new_files: Sequence[ProposedFile]) -> bool:
    file_list = summary.file_list(list(new_files))
    if request.dry_run:
        _print_lines(runtime, (f"Nothing was written, as --dry-run says. It would be {file_list}",))
        return False
    if request.yes:
        return True
    if not _is_terminal(runtime):
        _print_lines(
            runtime, ("Nothing was written: there is no terminal to ask at. --yes writes, --dry-run only shows.",)
        )
        return False
    runtime.stdout.write(summary.confirmation_question(list(new_files)))
    runtime.stdout.flush()
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
    """What kept a file from being written; it is never put in the place of another."""
    target = root / file.path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(file.text)
    except FileExistsError:
        return f"{file.path}: was not written: it is there by now"
    except OSError as problem:
        return f"{file.path}: was not written ({problem.strerror})"
    return None


def _print_lines(runtime: Runtime, lines: Iterable[str]) -> None:
    """Names are strangers': what a terminal would obey is shown as a code."""
    for line in lines:
        printable = "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in line)
        runtime.stdout.write(f"{printable}\n")

"""The shell of `dora-metrics init`: gather → decide → show → ask → write."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from dora_metrics.commands.init import files as writing
from dora_metrics.commands.init import gather, summary
from dora_metrics.commands.init.findings import Checkout, Found, OnGitHub
from dora_metrics.commands.init.proposal import decide
from dora_metrics.commands.init.summary import File
from dora_metrics.errors import DoraError
from dora_metrics.runtime import World


@dataclass(frozen=True)
class Request:
    """What the command line says."""

    directory: Path
    repository: str | None = None
    action: str = writing.ACTION
    yes: bool = False
    dry_run: bool = False


def run(request: Request, world: World) -> int:
    """Proposes, and writes what is agreed to.

    Returns:
        0 done, also where nothing was to be done or somebody said no; 1 something could not be written, or nobody could
        be asked.

    Raises:
        DoraError: if there is no such folder, or an option is wrong.
    """
    _check(request)
    root = gather.top(request.directory, world.environment)
    found = _found(request, world, gather.gather(root, world.environment))
    proposal = decide(found)
    form = (files("dora_metrics") / "commands" / "init" / "incident-form.yml").read_text("utf-8")
    proposed = [
        File(path, text, found.checkout.existing.get(path), odd=_is_odd(root, path, found.checkout))
        for path, text in writing.texts(proposal, request.action, form).items()
    ]
    new = [file for file in proposed if file.is_new]
    name = request.repository or found.checkout.repository or root.resolve().name
    _say(world, summary.summary(found, proposal, proposed, name))
    _say(world, ("", *(line for file in proposed for line in summary.shown(file))))
    if not new:
        _say(world, ("Nothing to write.",))
        return 0
    if not _agreed(request, world, new):
        return int(not request.dry_run and not _is_terminal(world))
    problems = [problem for file in new if (problem := _written(root, file))]
    _say(world, problems or (f"Written: {summary.listed(new)}", ""))
    if not problems:
        placeholder = request.action.startswith(writing.PLACEHOLDER)
        _say(world, summary.afterwards(found, proposal, placeholder=placeholder))
    return int(bool(problems))


def _check(request: Request) -> None:
    """Raises DoraError with every option that cannot be."""
    problems = []
    if request.repository is not None and not _is_name(request.repository):
        problems.append(f"--repository {request.repository!r}: expected OWNER/NAME")
    name, at, reference = request.action.partition("@")
    if not _is_name(name) or not at or not reference or not reference.isprintable() or " " in reference:
        problems.append(f"--action {request.action!r}: expected OWNER/NAME@REF, such as {writing.ACTION}")
    if problems:
        raise DoraError(problems)


def _is_name(text: str) -> bool:
    parts = text.split("/")
    return len(parts) == 2 and all(  # noqa: PLR2004 - owner and name
        part and part.isascii() and part.replace("-", "").replace("_", "").replace(".", "").isalnum() for part in parts
    )


def _found(request: Request, world: World, checkout: Checkout) -> Found:
    own = (
        None if checkout.is_elsewhere or not checkout.host else checkout.repository
    )  # it may have a namesake on GitHub
    repository, server = (request.repository, None) if request.repository else (own, checkout.server)
    said = gather.ask(repository, server, world.environment, world.pause)
    return Found(checkout, said) if isinstance(said, OnGitHub) else Found(checkout, silence=said)


def _is_odd(root: Path, path: str, checkout: Checkout) -> bool:
    """There, but not as a file that could be read."""
    place = root / path
    outside = any(parent.is_symlink() for parent in place.parents[: path.count("/")])
    return path not in checkout.existing and (place.is_symlink() or place.exists() or outside)


def _agreed(request: Request, world: World, new: Sequence[File]) -> bool:
    many = summary.listed(list(new))
    if request.dry_run:
        _say(world, (f"Nothing was written, as --dry-run says. It would be {many}",))
        return False
    if request.yes:
        return True
    if not _is_terminal(world):
        _say(world, ("Nothing was written: there is no terminal to ask at. --yes writes, --dry-run only shows.",))
        return False
    world.stdout.write(summary.question(list(new)))
    world.stdout.flush()
    try:
        agreed = world.stdin.readline().decode("utf-8", "replace").strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        agreed = False
        _say(world, ("",))
    if not agreed:
        _say(world, ("Nothing was written.",))
    return agreed


def _is_terminal(world: World) -> bool:
    return world.stdin.isatty()


def _written(root: Path, file: File) -> str | None:
    """What kept a file from being written; it is never put in the place of another."""
    place = root / file.path
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(file.text)
    except FileExistsError:
        return f"{file.path}: was not written: it is there by now"
    except OSError as problem:
        return f"{file.path}: was not written ({problem.strerror})"
    return None


def _say(world: World, lines: Iterable[str]) -> None:
    """Names are strangers': what a terminal would obey is shown as a code."""
    for line in lines:
        plain = "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in line)
        world.stdout.write(f"{plain}\n")

"""Looks at a checkout: its files as they lie there, and its git.

Asks GitHub, in one request, what a repository has that deployments and incidents could be read from.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from dora_metrics.commands.init import workflows
from dora_metrics.commands.init.findings import CONFIG, FILES, PUBLIC, Checkout, Deployed, Known, OnGitHub
from dora_metrics.commands.init.workflows import Said, Workflow, publishing
from dora_metrics.commands.init.yaml_nodes import NotReadableError, composed, entries, texts, under
from dora_metrics.errors import DoraError, GitError
from dora_metrics.github import text
from dora_metrics.github.client import Client, GitHubError, owner_and_name
from dora_metrics.settings import loading
from dora_metrics.settings.loading import Layer, load
from dora_metrics.settings.model import Settings
from dora_metrics.sources.git.repository import Git, project

LARGEST_BYTES = 256 * 1024
_MOST_TAGS = 100
_USUAL = ("main", "master")
_MOST_FOLDERS = 200
_SERVICES = ("services", "apps", "packages")
_MANIFESTS = ("Dockerfile", "package.json", "pyproject.toml", "go.mod", "Cargo.toml", "pom.xml", "build.gradle")
_CONTROLLED = r"^apiVersion: *[\"']?(argoproj\.io|[a-z-]+\.toolkit\.fluxcd\.io)/"


def top(directory: Path, environment: Mapping[str, str]) -> Path:
    """The root of the checkout that a folder lies in; the folder itself where git knows none.

    Raises:
        DoraError: if there is no such folder, or it is git's own, as a bare repository is.
    """
    if not directory.is_dir():
        raise DoraError(f"--directory {directory}: there is no such folder")
    git = Git(str(directory), environment)
    with suppress(GitError):
        if git.read("rev-parse", "--is-inside-git-dir").strip() == b"true":
            raise DoraError(f"--directory {directory}: holds git's own data and no files; name a checkout")
        return Path(os.fsdecode(git.read("rev-parse", "--show-toplevel").removesuffix(b"\n")))
    return directory


def gather(root: Path, environment: Mapping[str, str]) -> Checkout:
    """Everything that the files and git say."""
    odd: list[str] = []
    found = dict(_workflows(root, odd))
    actions = dict(_actions(root, found.values()))
    published = {path: next(publishing(one, actions), "") for path, one in found.items()}
    checkout = Checkout(
        workflows=found,
        publishing={path: evidence for path, evidence in published.items() if evidence},
        existing={name: content for name in FILES if (content := _content(root / name, name, odd)) is not None},
        settings=_settings(root, odd),
        incident_forms=tuple(_incident_forms(root, odd)),
        services=dict(_services(root)),
    )
    seen = _with_git(checkout, root, environment, odd)
    return replace(seen, server=_server(seen, environment), odd=tuple(dict.fromkeys(odd)))


def _server(checkout: Checkout, environment: Mapping[str, str]) -> str:
    """The GitHub that origin names, else the one that we run on."""
    if checkout.host and not checkout.is_elsewhere:
        return f"https://{checkout.host}"
    return (environment.get("GITHUB_SERVER_URL") or PUBLIC).rstrip("/").lower()


# --- Files ---


def _content(path: Path, name: str, odd: list[str]) -> str | None:
    """A file's text; None where there is none, or where it is odd, which is told."""
    try:
        if path.is_symlink() or any(parent.is_symlink() for parent in _below(path, name)):
            odd.append(f"{name}: a symbolic link, which is not followed")
        elif not path.is_file():
            return None
        elif (size := path.stat().st_size) > LARGEST_BYTES:
            odd.append(f"{name}: {size // 1024} kB, too large to be looked at")
        else:
            return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        odd.append(f"{name}: not UTF-8, so it is not looked at")
    except OSError as problem:
        odd.append(f"{name}: cannot be read ({problem.strerror})")
    return None


def _below(path: Path, name: str) -> Iterable[Path]:
    """The folders of the checkout that a file lies in."""
    return path.parents[: name.count("/")]


def _listed(root: Path, folder: str, odd: list[str]) -> Iterator[tuple[str, str]]:
    """The YAML files of a folder with their texts, by name."""
    try:
        names = sorted(one.name for one in (root / folder).iterdir() if one.suffix in (".yml", ".yaml"))
    except OSError:
        return
    for name in names:
        content = _content(root / folder / name, f"{folder}/{name}", odd)
        if content is not None:
            yield f"{folder}/{name}", content


def _workflows(root: Path, odd: list[str]) -> Iterator[tuple[str, Workflow]]:
    for path, content in _listed(root, workflows.FOLDER, odd):
        try:
            yield path, workflows.read(path, content)
        except NotReadableError as problem:
            odd.append(f"{path}: no workflow that can be read, so it is not looked at: {problem}")


def _actions(root: Path, found: Iterable[Workflow]) -> Iterator[tuple[str, Said]]:
    """The composite actions of the checkout that publish releases, by how workflows name them."""
    names = {used.text for one in found for job in one.jobs for used in job.local_actions}
    for name in sorted(names):
        folder = os.path.normpath(name[2:])
        for file in ("action.yml", "action.yaml"):
            path = f"{folder}/{file}" if folder != "." else file
            content = None if folder.startswith("..") else _content(root / path, path, [])
            if content is not None and (said := workflows.published_by(content)):
                yield name, said


def _settings(root: Path, odd: list[str]) -> Settings:
    """Those of the config file, as far as there is one that can be used."""
    if (root / ".github" / "dora.yaml").is_file():
        odd.append(f".github/dora.yaml: is not read; the action looks for {CONFIG}")
    try:
        found = loading.read(root / CONFIG)
        return load([Layer(CONFIG, found.values)] if found else [])
    except DoraError as problem:
        odd.extend(problem.problems)
        return Settings()


def _incident_forms(root: Path, odd: list[str]) -> Iterator[str]:
    """Issue forms whose label or name says that they are for incidents."""
    for path, content in _listed(root, ".github/ISSUE_TEMPLATE", odd):
        with suppress(NotReadableError):
            form = composed(content)
            said = (*texts(under(form, "labels")), *texts(entries(form).get("name")))
            if any({"incident", "outage"} & set(text.words(one)) for one in said):
                yield path


def _services(root: Path) -> Iterator[tuple[str, str]]:
    """Folders that look like services of a monorepo, by name; nothing unless there are two."""
    for parent in _SERVICES:
        found = [one.name for one in _folders(root / parent) if any((one / name).is_file() for name in _MANIFESTS)]
        if len(found) > 1:
            yield from ((name, f"{parent}/{name}") for name in found)
            return
    found = [one.name for one in _folders(root) if (one / "Dockerfile").is_file()]
    if len(found) > 1:
        yield from ((name, name) for name in found)


def _folders(place: Path) -> list[Path]:
    try:
        each = sorted(one for one in place.iterdir() if one.is_dir() and not one.is_symlink())
    except OSError:
        return []
    return [one for one in each if not one.name.startswith(".")][:_MOST_FOLDERS]


# --- git ---


def _with_git(checkout: Checkout, root: Path, environment: Mapping[str, str], odd: list[str]) -> Checkout:
    git = Git(str(root), environment)
    try:
        git.read("rev-parse", "--git-dir")
    except GitError as problem:
        alone = "not a git repository" in str(problem)
        odd.append(f"{root}: no git repository, so remotes and tags are not known" if alone else str(problem))
        return checkout
    named = project(git, root)
    return replace(
        checkout,
        repository=named.repository if named.known else None,
        host=named.host if "." in (named.host or "") else None,
        branch=_branch(git, has_remote=named.known),
        tags=tuple(_tags(git)),
        gitops=tuple(_controlled(git)),
    )


def _branch(git: Git, *, has_remote: bool) -> Known:
    """The default branch; where origin's word is missing, a guess: a checkout may be one of any branch."""
    if said := _pointed_at(git, "refs/remotes/origin/HEAD"):
        return Known(said.removeprefix("origin/"), "origin/HEAD")
    usual = [name for name in _USUAL if _is_there(git, f"refs/remotes/origin/{name}")]
    if len(usual) == 1:
        return Known(usual[0], "origin has it, and does not say which is the default", sure=False)
    if checked_out := _pointed_at(git, "HEAD"):
        return Known(checked_out, "the branch that is checked out", sure=not has_remote)
    return Known("main", "git names none, so this is a guess", sure=not has_remote)


def _pointed_at(git: Git, reference: str) -> str:
    with suppress(GitError):
        return git.read("symbolic-ref", "--quiet", "--short", reference).decode("utf-8", "replace").strip()
    return ""


def _is_there(git: Git, reference: str) -> bool:
    with suppress(GitError):
        return bool(git.read("rev-parse", "--verify", "--quiet", reference).strip())
    return False


def _tags(git: Git) -> Iterator[str]:
    """Those that look like versions, the newest first."""
    asked = (
        "--sort=-version:refname",
        "--sort=-creatordate",
        f"--count={_MOST_TAGS}",
        "--format=%(refname:strip=2)",
        "refs/tags",
    )
    with suppress(GitError):
        names = git.read("for-each-ref", *asked).decode("utf-8", "replace").splitlines()
        yield from (name for name in names if text.version(name))


def _controlled(git: Git) -> Iterator[str]:
    """The first objects of Argo CD and Flux, with file and line."""
    with suppress(GitError):  # also where it finds nothing
        said = git.read("grep", "-zInE", "--max-count=1", _CONTROLLED, "--", "*.yaml", "*.yml").decode(
            "utf-8", "replace"
        )
        for one in said.splitlines()[:3]:
            path, line, found = one.split("\0", 2)
            yield f"{path}:{line}: `{found.strip()}`"


def ask(
    repository: str | None, server: str | None, environment: Mapping[str, str], pause: Callable[[float], None]
) -> OnGitHub | str:
    """What GitHub says, or why nobody was asked.

    A token goes to the GitHub that the environment names, and never to an address that a checkout names: whoever made
    the checkout could have put any there.
    """
    token = environment.get("GITHUB_TOKEN") or environment.get("GH_TOKEN")
    own = (environment.get("GITHUB_SERVER_URL") or PUBLIC).rstrip("/")
    if not token:
        return "there is no token in GITHUB_TOKEN or GH_TOKEN"
    if not repository:
        return "the checkout has no remote `origin` on GitHub; name the repository with --repository OWNER/NAME"
    if server and server.lower() != own.lower():
        advice = "GITHUB_SERVER_URL and GITHUB_API_URL name another place"
        return f"the repository is on {server}, and the token is for {own}; {advice}"
    client = Client(token, environment.get("GITHUB_API_URL") or "https://api.github.com", pause)
    try:
        return _read(client.query("Setup", owner_and_name(repository))["repository"])
    except GitHubError as problem:
        return f"GitHub did not say what {repository} has: {problem}"


def _read(said: Mapping[str, Any]) -> OnGitHub:
    labels = (node["name"] for key in ("incidents", "outages", "severities", "hotfixes") for node in said[key]["nodes"])
    return OnGitHub(
        branch=(said["defaultBranchRef"] or {}).get("name"),
        has_issues=said["hasIssuesEnabled"],
        labels=tuple(dict.fromkeys(labels)),
        releases=tuple(node["tagName"] for node in said["releases"]["nodes"] if not node["isDraft"]),
        deployments=tuple(_deployed(node) for node in said["deployments"]["nodes"] if _counts(node["task"])),
    )


def _deployed(node: Mapping[str, Any]) -> Deployed:
    return Deployed(
        environment=node["environment"] or "",
        day=str(node["createdAt"]).partition("T")[0],
        creator=(node["creator"] or {}).get("login") or "",
    )


def _counts(task: str | None) -> bool:
    return not task or task == "deploy" or task.startswith("deploy:")

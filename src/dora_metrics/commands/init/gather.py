"""Gathers the findings: from the checkout's files, from its git, and from GitHub by one request."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from dora_metrics.commands.init import workflows
from dora_metrics.commands.init.findings import (
    CONFIG_PATH,
    GITHUB_COM_URL,
    PROPOSED_PATHS,
    Checkout,
    DefaultBranch,
    GitHubDeployment,
    GitHubFindings,
    VersionTags,
)
from dora_metrics.commands.init.publishers import (
    Publication,
    WorkflowPublication,
    publication_of,
    publications_of_step,
)
from dora_metrics.commands.init.workflows import WorkflowFile
from dora_metrics.commands.init.yaml_nodes import UnreadableYamlError, compose, node_at, scalar_texts
from dora_metrics.core import formatting
from dora_metrics.core.names import NOT_DEPLOY_WORDS, words_of
from dora_metrics.core.selection import is_release_habit
from dora_metrics.core.versions import reads_as_version, versions_by_tag
from dora_metrics.core.windows import parse_instant, parse_instant_or_none
from dora_metrics.errors import DoraError, GitError
from dora_metrics.github.client import Client, GitHubError, owner_and_name
from dora_metrics.settings.config_file import read_config_file
from dora_metrics.settings.loading import load_settings
from dora_metrics.settings.model import Settings
from dora_metrics.sources.git.repository import Git, https_url, identify_repository
from dora_metrics.sources.paths import is_file, is_folder

MAX_FILE_BYTES = 256 * 1024
MAX_FILES = 200
MAX_TOTAL_BYTES = 5_000_000
"""Limits of the YAML files of one folder, and of the composite actions, which together decide how long init takes."""

_MAX_NAMED_FILES = 3
_MAX_MANIFESTS = 3
_MAX_LINE_LENGTH = 100
_SECONDS_PER_DAY = 86_400
_USUAL_BRANCHES = ("main", "master")
_MAX_FOLDERS = 200
_SERVICE_PARENTS = ("services", "apps", "packages")
_MANIFESTS = ("Dockerfile", "package.json", "pyproject.toml", "go.mod", "Cargo.toml", "pom.xml", "build.gradle")
_NOT_SERVICE_WORDS = NOT_DEPLOY_WORDS | {"build", "ci", "docker", "tools"}
"""Words in the name of a folder at the root whose image is not a service's."""

_GITOPS_API_VERSION = r"^apiVersion: *[\"']?(argoproj\.io|[a-z-]+\.toolkit\.fluxcd\.io)/"


def checkout_root(directory: Path, environment: Mapping[str, str]) -> Path:
    """Return the root of the checkout around a folder, or the folder itself outside of a git repository.

    The root holds `.git`. Git's setting `core.worktree` could name any other folder, so that whoever made the checkout
    would decide where files are written.

    Returns:
        An absolute path without links.

    Raises:
        DoraError: if the folder does not exist, is git's data folder or a bare repository, or if git takes another
            folder for the root than the one that holds `.git`.
    """
    if not is_folder(directory):
        raise DoraError(f"--directory {directory}: there is no such folder")
    folder = directory.resolve()
    git = Git(str(folder), environment)
    with suppress(GitError):
        if git.read("rev-parse", "--is-inside-git-dir").strip() == b"true":
            raise DoraError(
                f"--directory {directory} is a bare repository or a .git folder; use a checkout with working files"
            )
        root = next((place for place in (folder, *folder.parents) if os.path.lexists(place / ".git")), folder)
        work_tree = os.fsdecode(git.read("rev-parse", "--show-toplevel").removesuffix(b"\n"))
        if os.path.realpath(work_tree) != str(root):
            raise DoraError([_OTHER_WORK_TREE.format(root, work_tree), _OTHER_WORK_TREE_ADVICE])
        return root
    return folder


_OTHER_WORK_TREE = "{}: its git settings (core.worktree) name another folder for its files: {}"
_OTHER_WORK_TREE_ADVICE = (
    "init writes only into the folder that holds .git. Remove the setting (`git config --unset core.worktree`), or "
    "name the other folder with --directory"
)


def gather_checkout(root: Path, environment: Mapping[str, str]) -> Checkout:
    """Read everything that the files and git show."""
    problems: list[str] = []
    workflows_by_path = dict(_read_workflows(root, problems))
    settings, configured_names = _existing_settings(root, problems)
    checkout = Checkout(
        workflows=workflows_by_path,
        publications=dict(_publications(root, workflows_by_path, problems)),
        existing_files={
            name: content for name in PROPOSED_PATHS if (content := _read_text(root / name, name, problems)) is not None
        },
        settings=settings,
        configured_names=configured_names,
        incident_forms=tuple(_incident_forms(root, problems)),
        services=dict(_service_folders(root)),
    )
    with_git = _with_git(checkout, root, environment, problems)
    return replace(with_git, server_url=_server_url(with_git, environment), problems=tuple(dict.fromkeys(problems)))


def _server_url(checkout: Checkout, environment: Mapping[str, str]) -> str:
    """Return the GitHub of `origin`, otherwise the one of the environment.

    An `origin` by ssh does not tell the port of the pages; the environment does, if it is about the same host.
    """
    environment_url = (environment.get("GITHUB_SERVER_URL") or GITHUB_COM_URL).rstrip("/").lower()
    if not checkout.host or checkout.is_hosted_elsewhere:
        return environment_url
    if checkout.https_port is None and environment_url.startswith(f"https://{checkout.host}:"):
        return environment_url
    return https_url(checkout.host, checkout.https_port)


# --- Files ---


def _read_text(path: Path, name: str, problems: list[str]) -> str | None:
    """Return a file's text, None if there is none or it cannot be used; the latter adds to `problems`."""
    try:
        if path.is_symlink() or any(parent.is_symlink() for parent in _parent_folders(path, name)):
            problems.append(f"{name}: init does not follow symbolic links")
        elif not path.is_file():
            return None
        elif (size_bytes := path.stat().st_size) > MAX_FILE_BYTES:
            problems.append(f"{name}: {size_bytes // 1024} kB is too large to read")
        else:
            return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        problems.append(f"{name}: not UTF-8, so init did not read it")
    except OSError as problem:
        problems.append(f"{name}: cannot be read ({problem.strerror})")
    return None


def _parent_folders(path: Path, name: str) -> Iterable[Path]:
    """Return the folders of the checkout that contain a file."""
    return path.parents[: name.count("/")]


def _yaml_files(root: Path, folder: str, problems: list[str]) -> Iterator[tuple[str, str]]:
    """Yield path and text of each YAML file in a folder, sorted by name, up to the limits."""
    try:
        names = sorted(file.name for file in (root / folder).iterdir() if file.suffix in (".yml", ".yaml"))
    except OSError:
        return
    yield from _read_within_limits(root, [f"{folder}/{name}" for name in names], problems)


def _read_within_limits(root: Path, paths: Sequence[str], problems: list[str]) -> Iterator[tuple[str, str]]:
    """Yield path and text of each file that can be read, until they are too many or too large together."""
    bytes_left = MAX_TOTAL_BYTES
    for number, path in enumerate(paths):
        content = _read_text(root / path, path, problems) if number < MAX_FILES else ""
        bytes_left -= len((content or "").encode())
        if number == MAX_FILES or bytes_left < 0:
            problems.append(_left_out_problem(paths[number:]))
            return
        if content is not None:
            yield path, content


def _left_out_problem(paths: Sequence[str]) -> str:
    megabytes = MAX_TOTAL_BYTES // 1_000_000
    named = formatting.join_first(paths, _MAX_NAMED_FILES)
    return f"{named}: left out, because init reads {MAX_FILES} files of a kind and {megabytes} MB of them"


def _read_workflows(root: Path, problems: list[str]) -> Iterator[tuple[str, WorkflowFile]]:
    for path, content in _yaml_files(root, workflows.WORKFLOWS_FOLDER, problems):
        try:
            yield path, workflows.parse_workflow(path, content)
        except UnreadableYamlError as problem:
            problems.append(f"{path}: init cannot read this workflow: {problem}")


def _publications(
    root: Path, workflows_by_path: Mapping[str, WorkflowFile], problems: list[str]
) -> Iterator[tuple[str, WorkflowPublication]]:
    """Yield the workflows that publish something, by path."""
    local_actions = dict(_publishing_actions(root, workflows_by_path.values(), problems))
    for path, workflow in workflows_by_path.items():
        if publication := publication_of(workflow, workflows_by_path, local_actions):
            yield path, publication


def _publishing_actions(
    root: Path, workflow_files: Iterable[WorkflowFile], problems: list[str]
) -> Iterator[tuple[str, Publication]]:
    """Yield the checkout's composite actions that publish something, by the name that workflows use."""
    steps = (step for workflow in workflow_files for job in workflow.jobs for step in job.steps)
    names = sorted({step.local_action for step in steps if step.local_action})
    paths = dict.fromkeys(path for name in names for path in _action_files(name) if is_file(root / path))
    contents = dict(_read_within_limits(root, [*paths], problems))
    for name in names:
        for path in _action_files(name):
            action_steps = workflows.steps_of_action(contents[path]) if path in contents else ()
            if publication := next(chain.from_iterable(map(publications_of_step, action_steps)), None):
                yield name, publication


def _action_files(name: str) -> tuple[str, ...]:
    """Return where the file of a composite action can be; none if that is outside of the checkout."""
    folder = os.path.normpath(name[2:])
    if folder.startswith(("..", "/")):
        return ()
    return tuple(file if folder == "." else f"{folder}/{file}" for file in ("action.yml", "action.yaml"))


def _existing_settings(root: Path, problems: list[str]) -> tuple[Settings, frozenset[str]]:
    """Return the settings of the config file and which it has, or the defaults if there is none that can be used."""
    if is_file(root / ".github" / "dora.yaml"):
        problems.append(f".github/dora.yaml: the action does not read this name; it reads {CONFIG_PATH}")
    try:
        config_layer = read_config_file(root / CONFIG_PATH, root)
        if config_layer is None:
            return Settings(), frozenset()
        return load_settings([replace(config_layer, origin=CONFIG_PATH)]), frozenset(config_layer.values)
    except DoraError as problem:
        problems.extend(problem.problems)
        return Settings(), frozenset()


def _incident_forms(root: Path, problems: list[str]) -> Iterator[str]:
    """Yield the paths of issue forms that are for incidents by their labels or name."""
    for path, content in _yaml_files(root, ".github/ISSUE_TEMPLATE", problems):
        with suppress(UnreadableYamlError):
            form = compose(content)
            labels_and_name = (*scalar_texts(node_at(form, "labels")), *scalar_texts(node_at(form, "name")))
            if any({"incident", "outage"} & set(words_of(label)) for label in labels_and_name):
                yield path


def _service_folders(root: Path) -> Iterator[tuple[str, str]]:
    """Yield name and path of folders that look like services of a monorepo, if there are at least two."""
    for parent in _SERVICE_PARENTS:
        names = [
            folder.name
            for folder in _subfolders(root / parent)
            if any(is_file(folder / manifest) for manifest in _MANIFESTS)
        ]
        if len(names) > 1:
            yield from ((name, f"{parent}/{name}") for name in names)
            return
    images = (folder.name for folder in _subfolders(root) if is_file(folder / "Dockerfile"))
    names = [name for name in images if _NOT_SERVICE_WORDS.isdisjoint(words_of(name))]
    if len(names) > 1:
        yield from ((name, name) for name in names)


def _subfolders(parent: Path) -> list[Path]:
    try:
        folders = sorted(folder for folder in parent.iterdir() if folder.is_dir() and not folder.is_symlink())
    except OSError:
        return []
    return [folder for folder in folders if not folder.name.startswith(".")][:_MAX_FOLDERS]


# --- git ---


def _with_git(checkout: Checkout, root: Path, environment: Mapping[str, str], problems: list[str]) -> Checkout:
    """Return the checkout with what git knows about it."""
    git = Git(str(root), environment)
    try:
        git.read("rev-parse", "--git-dir")
    except GitError as problem:
        is_no_repository = "not a git repository" in str(problem)
        problems.append(
            f"{root}: not a git repository, so init cannot read remotes or tags" if is_no_repository else str(problem)
        )
        return checkout
    identity = identify_repository(git, root)
    default_branch = _default_branch(git, has_remote=identity.is_from_remote)
    return replace(
        checkout,
        repository=identity.repository if identity.is_from_remote else None,
        host=identity.host if "." in (identity.host or "") else None,
        https_port=identity.https_port,
        default_branch=default_branch,
        version_tags=_version_tags(git, default_branch),
        gitops_evidence=tuple(_gitops_manifests(git)),
    )


def _default_branch(git: Git, *, has_remote: bool) -> DefaultBranch:
    """Return the default branch by `origin`, otherwise a guess: any branch may be checked out."""
    if origin_head := _symbolic_ref_target(git, "refs/remotes/origin/HEAD"):
        return DefaultBranch(origin_head.removeprefix("origin/"), "origin/HEAD")
    usual_branches = [name for name in _USUAL_BRANCHES if _ref_exists(git, f"refs/remotes/origin/{name}")]
    if len(usual_branches) == 1:
        return DefaultBranch(
            usual_branches[0], "origin has it; git does not know whether it is the default", is_certain=False
        )
    if checked_out := _symbolic_ref_target(git, "HEAD"):
        return DefaultBranch(checked_out, "a guess: it is checked out", is_certain=not has_remote)
    return DefaultBranch("main", "a guess: no branch was found", is_certain=not has_remote)


def _symbolic_ref_target(git: Git, reference: str) -> str:
    with suppress(GitError):
        return git.read("symbolic-ref", "--quiet", "--short", reference).decode("utf-8", "replace").strip()
    return ""


def _ref_exists(git: Git, reference: str) -> bool:
    with suppress(GitError):
        return bool(git.read("rev-parse", "--verify", "--quiet", reference).strip())
    return False


def _version_tags(git: Git, default_branch: DefaultBranch) -> VersionTags | None:
    """Return the tags that read as versions, without those that move with each release and without prereleases."""
    seconds_by_tag = dict(_tag_times(git))
    versions = versions_by_tag(seconds_by_tag)
    names = [tag for tag, version in versions.items() if not version.is_prerelease and reads_as_version(tag)]
    if not names:
        return None
    last_commit = _last_commit_seconds(git, default_branch)
    days_behind = (last_commit - seconds_by_tag[names[0]]) // _SECONDS_PER_DAY if last_commit else None
    return VersionTags(len(names), names[0], days_behind)


def _tag_times(git: Git) -> Iterator[tuple[str, int]]:
    """Yield each tag with its time in seconds since 1970, newest first."""
    options = (
        "--sort=-version:refname",
        "--sort=-creatordate",
        "--format=%(creatordate:unix) %(refname:strip=2)",
        "refs/tags",
    )
    with suppress(GitError):
        for line in filter(None, git.read("for-each-ref", *options).decode("utf-8", "replace").split("\n")):
            time, _, name = line.partition(" ")
            yield name, int(time or 0)


def _last_commit_seconds(git: Git, branch: DefaultBranch) -> int:
    """Return the time of the default branch's last commit, in seconds since 1970; 0 if it is not known."""
    for reference in (f"refs/remotes/origin/{branch.name}", f"refs/heads/{branch.name}", "HEAD"):
        with suppress(GitError, ValueError):
            return int(git.read("rev-list", "--max-count=1", "--timestamp", reference, "--").partition(b" ")[0])
    return 0


def _gitops_manifests(git: Git) -> Iterator[str]:
    """Yield the first manifests of Argo CD and Flux, with file and line.

    Binary files are searched like others: to know which are binary, git would open `.gitattributes`, maybe a pipe.
    """
    options = ("-zanE", "--no-color", "--no-column", "--max-count=1", _GITOPS_API_VERSION, "--", "*.yaml", "*.yml")
    with suppress(GitError):  # also raised if nothing matches
        output = git.read("grep", *options).decode("utf-8", "replace")
        for _ in range(_MAX_MANIFESTS):  # a path may hold a line break, a matched line cannot
            path, _, after_path = output.partition("\0")
            line, _, after_line = after_path.partition("\0")
            matched_line, _, output = after_line.partition("\n")
            if not line:
                return
            yield f"{path}:{line}: `{matched_line.strip()[:_MAX_LINE_LENGTH]}`"


# --- GitHub ---


def token_of(environment: Mapping[str, str]) -> str:
    """Return the token for GitHub, empty if there is none."""
    return environment.get("GITHUB_TOKEN") or environment.get("GH_TOKEN") or ""


def query_github(
    repository: str | None, server_url: str | None, environment: Mapping[str, str], pause: Callable[[float], None]
) -> GitHubFindings | str:
    """Ask GitHub about a repository.

    The token is sent only to the GitHub of the environment, never to an address from the checkout, which is untrusted.

    Returns:
        The findings, or the reason why there are none.
    """
    token = token_of(environment)
    token_server_url = (environment.get("GITHUB_SERVER_URL") or GITHUB_COM_URL).rstrip("/")
    if not token:
        return "set a token in GITHUB_TOKEN or GH_TOKEN"
    if not repository:
        return "the remote `origin` is not on GitHub; name the repository with --repository OWNER/NAME"
    if server_url and server_url.lower() != token_server_url.lower():
        advice = "set GITHUB_SERVER_URL and GITHUB_API_URL"
        return f"the repository is on {server_url}, and the token is for {token_server_url}; {advice}"
    client = Client(token, environment.get("GITHUB_API_URL") or "https://api.github.com", pause)
    try:
        return _github_findings(client.query("Setup", owner_and_name(repository))["repository"])
    except GitHubError as problem:
        return f"GitHub did not answer about {repository}: {problem}"


def _github_findings(repository_node: Mapping[str, Any]) -> GitHubFindings:
    releases, last_release = _releases(repository_node)
    return GitHubFindings(
        default_branch=(repository_node["defaultBranchRef"] or {}).get("name"),
        has_issues=repository_node["hasIssuesEnabled"],
        labels=_label_names(repository_node),
        releases=releases,
        last_release=last_release,
        deployments=tuple(
            _github_deployment(node)
            for node in repository_node["deployments"]["nodes"]
            if _is_deploy_task(node["task"])
        ),
    )


def _releases(repository_node: Mapping[str, Any]) -> tuple[tuple[str, ...], str | None]:
    """Return the tags of the published releases, newest first; or the last release, if there are none any more."""
    published = [node for node in repository_node["releases"]["nodes"] if node["publishedAt"] and not node["isDraft"]]
    head = (repository_node["defaultBranchRef"] or {}).get("target") or {}
    releases = [node for node in published if not node["isPrerelease"]]
    last = max(releases, key=lambda node: parse_instant(node["publishedAt"]), default=None)
    committed_at = parse_instant_or_none(head.get("committedDate"))
    if committed_at and last and not is_release_habit(parse_instant(last["publishedAt"]), committed_at):
        return (), f"{last['tagName']} of {last['publishedAt'].partition('T')[0]}"
    return tuple(node["tagName"] for node in published), None


def _label_names(repository_node: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the labels that the query looked for, each once."""
    names = (
        node["name"]
        for key in ("incidents", "outages", "severities", "hotfixes")
        for node in repository_node[key]["nodes"]
    )
    return tuple(dict.fromkeys(names))


def _github_deployment(node: Mapping[str, Any]) -> GitHubDeployment:
    return GitHubDeployment(
        environment=node["environment"] or "",
        day=str(node["createdAt"]).partition("T")[0],
        creator=(node["creator"] or {}).get("login") or "",
    )


def _is_deploy_task(task: str | None) -> bool:
    """Return whether a deployment's task deploys; others are migrations and the like."""
    return not task or task == "deploy" or task.startswith("deploy:")

"""`ledger: branch:NAME` or `branch:NAME@owner/repo`: an orphan branch to which commits are only ever added.

Reading takes one request, or a few for a large ledger. Writing takes one: a commit that GitHub creates only on top of
the head that was read. Nothing is checked out and nothing is force-pushed.
"""

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from msgspec.structs import replace

from dora_metrics.core.ledger.layout import ALL_MONTHS, ROOT_FILES, SEQUENCE_FILE, MonthSelection, is_at_one_of
from dora_metrics.core.ledger.month_files import first_paths, month_of_path, month_of_time
from dora_metrics.core.ledger.snapshot import Snapshot, parse_sequence, with_next_sequence
from dora_metrics.errors import LedgerError
from dora_metrics.github import shapes
from dora_metrics.github.client import (
    Client,
    ForbiddenError,
    GitHubError,
    IncompleteAnswerError,
    NotFoundError,
    ReferenceExistsError,
    StaleHeadError,
    UncertainOutcomeError,
    UnexpectedAnswerError,
    owner_and_name,
    permission_advice,
)
from dora_metrics.github.repository import GitObject, file_content, object_in, read_objects
from dora_metrics.runtime import Deadline

_NO_CONFIG: Mapping[str, object] = {"configOwner": "", "configName": "", "config": "", "includesConfig": False}
_RULE_VIOLATION = re.compile(r"rule violation|protected (?:ref|branch)|being restricted|pull request", re.IGNORECASE)
"""What GitHub says of a write that a ruleset or a branch protection forbids; the type of such an error varies."""
_RULES_ADVICE = (
    "; the repository's rules forbid it. Exclude the branch `{}` from them (Settings → Rules → Rulesets, or Branches), "
    "or use a token that may bypass them"
)
_NOT_WRITTEN = (
    "GitHub's answer does not show the new {}; GitHub may have a problem, or a proxy answered instead; try again later"
)
_LEFT_OUT = "GitHub's answer leaves out `{}`, which is there; try again later"
_MAX_NOT_FOUND_WRITES = 3
"""After this many writes to a branch that was there when it was read, the ledger counts as unusable."""
_MAX_WRITE_SECONDS = 60
"""From the first of several writes without an answer until the ledger counts as unusable, without announced waits."""
_UNANSWERED_PAUSES_SECONDS = (1, 2, 4, 8, 15, 15)
"""The pauses after writes without an answer."""
_Shown = TypeVar("_Shown")
_QUERIED_MONTHS = 8
"""Months up to the next one that the first request can ask for."""


@dataclass
class BranchStorage:
    """A branch of a repository on GitHub.

    `now` decides which months the first request asks for. `has_job`: whether a job of a workflow can be given a
    permission that the token lacks.
    """

    client: Client
    repository: str
    branch: str
    now: datetime
    has_job: bool = True
    is_persistent: bool = True
    _not_found_writes: int = 0
    _unanswered_writes: int = 0
    _overtaken_version: str | None = None
    _write_deadline: Deadline = field(default_factory=lambda: Deadline(_MAX_WRITE_SECONDS))
    _prefetched: Snapshot | LedgerError | None = None

    @property
    def name(self) -> str:
        return f"branch:{self.branch} of {self.repository}"

    def read_config_and_prefetch(self, repository: str, path: str, months: MonthSelection) -> GitObject:
        """Read a file of a repository's default branch, and the ledger for the next `read`, in one request.

        A ledger that cannot be used raises no error here: `read` reads it again, and says why.

        Returns:
            The file, or None if there is no such file.

        Raises:
            GitHubError: if GitHub does not return both.
        """
        repository_variables = dict(
            zip(("configOwner", "configName"), owner_and_name(repository).values(), strict=True)
        )
        config_variables = {**repository_variables, "config": f"HEAD:{path}", "includesConfig": True}
        paths = self._queried_paths(months)
        answer = self.client.query("Ledger", {**self._ref_variables, **config_variables}, paths)
        config_object = object_in(answer.get("config"), "object")
        with suppress(LedgerError, IncompleteAnswerError):
            self._prefetched = self._snapshot(answer, paths, months)
        return config_object

    def read(self, months: MonthSelection = ALL_MONTHS) -> Snapshot:
        """See Storage. Takes one request if the months are few and small. A missing branch is an empty ledger.

        Raises:
            LedgerError: if GitHub does not return it.
        """
        prefetched, self._prefetched = self._prefetched, None
        if isinstance(prefetched, LedgerError):
            raise prefetched
        return self.read_more(prefetched or self._query_after_conflict(months), months)

    def prefetch(self, months: MonthSelection) -> None:
        """Send the first request of the next `read` now, unless that was done; a failure is raised by that `read`."""
        if self._prefetched is None:
            try:
                self._prefetched = self._query_ledger(months)
            except LedgerError as problem:
                self._prefetched = problem

    def _query_after_conflict(self, months: MonthSelection) -> Snapshot:
        """Query the ledger, and start the time of this run again if others have written in it: then GitHub works.

        Where GitHub says that a head is stale and shows no newer one, the time goes on.
        """
        version, self._overtaken_version = self._overtaken_version, None
        if version is None:
            return self._query_ledger(months)
        spent_seconds, self.client.spent_seconds = self.client.spent_seconds, 0
        is_overtaken = False
        try:
            snapshot = self._query_ledger(months)
            is_overtaken = snapshot.version != version
            return snapshot
        finally:
            self.client.spent_seconds += 0 if is_overtaken else spent_seconds

    def _query_ledger(self, months: MonthSelection) -> Snapshot:
        """Return the part of the ledger that one request can show."""
        paths = self._queried_paths(months)
        variables = {**self._ref_variables, **_NO_CONFIG}
        with self._as_ledger_error("read"):
            return _asked_again(
                lambda: self._snapshot(self.client.query("Ledger", variables, paths), paths, months),
            )

    def _queried_paths(self, months: MonthSelection) -> list[str]:
        """Return the files and folders of a ledger that one request asks for."""
        month_paths = list(filter(months.includes, _last_months(self.now)))
        facts_paths = (path for month in month_paths for path in first_paths(month))
        return [*ROOT_FILES, "facts", *_year_folders(month_paths), *facts_paths]

    def _snapshot(self, answer: Mapping[str, Any], paths: Sequence[str], months: MonthSelection) -> Snapshot:
        """Return the part of the ledger that an answer to the query for these paths shows.

        Raises:
            LedgerError: if it shows no repository, or an empty one.
            GitHubError: if it does not show all files that are there, and GitHub does not either.
        """
        repository_node = answer["repository"]
        if repository_node is None:
            raise LedgerError(f"{self.name}: GitHub did not return the repository; check its name and the token")
        if repository_node["isEmpty"]:
            raise LedgerError(f"{self.name}: the repository is empty, so it cannot have a branch; push a commit first")
        if repository_node["ref"] is None:
            return Snapshot({}, 0, months=months)
        target = repository_node["ref"]["target"]
        objects_by_path = {path: (target[f"slot{n}"] or {}).get("object") for n, path in enumerate(paths)}
        root_names = tuple(entry["name"] for entry in target["tree"]["entries"])
        _require_listed({**objects_by_path, "": target["tree"]}, paths)
        files = self._read_contents(objects_by_path)
        sequence = parse_sequence(files.pop(SEQUENCE_FILE, b""))
        listed_folders = [path for path in paths if path.startswith("facts") and not path.endswith(".jsonl")]
        folders = {"": root_names, **_names_by_folder(objects_by_path, *listed_folders)}
        return Snapshot(files, sequence, target["oid"], months, folders)

    def read_more(self, snapshot: Snapshot, months: MonthSelection) -> Snapshot:
        """See Storage. Takes one request for each fifty files, and one for each level of subfolders.

        Raises:
            LedgerError: if GitHub does not return it.
        """
        folders = dict(snapshot.folders)
        while unlisted := [path for path, names in folders.items() if names is None and months.includes_any_of(path)]:
            folders |= self._read_folders(snapshot.version, unlisted)
        paths = (f"{folder}/{name}" for folder, names in folders.items() if folder for name in names or ())
        facts_paths = [path for path in paths if path.endswith(".jsonl") and months.includes(month_of_path(path))]
        missing = [path for path in facts_paths if path not in snapshot.files]
        files = {**snapshot.files, **self._read_files(snapshot.version, missing)}
        return replace(snapshot, files=files, months=months, folders=folders)

    def _read_files(self, version: str, paths: Sequence[str]) -> dict[str, bytes]:
        with self._as_ledger_error("read"):
            return _asked_again(lambda: self._read_contents(self._read_listed(version, paths)))

    def _read_folders(self, version: str, paths: Sequence[str]) -> dict[str, tuple[str, ...] | None]:
        with self._as_ledger_error("read"):
            return _names_by_folder(_asked_again(lambda: self._read_listed(version, paths)), *paths)

    def _read_listed(self, version: str, paths: Sequence[str]) -> dict[str, GitObject]:
        """Return the objects at paths that a folder lists.

        Raises:
            GitHubError: if GitHub does not return all of them.
        """
        objects_in_order = read_objects(self.client, self.repository, [f"{version}:{path}" for path in paths])
        objects_by_path = dict(zip(paths, objects_in_order, strict=True))
        if absent_path := next((path for path, each in objects_by_path.items() if each is None), None):
            raise IncompleteAnswerError(_LEFT_OUT.format(absent_path))
        return objects_by_path

    def _read_contents(self, objects_by_path: Mapping[str, GitObject]) -> dict[str, bytes]:
        contents = {
            path: file_content(self.client, self.repository, git_object) for path, git_object in objects_by_path.items()
        }
        return {path: content for path, content in contents.items() if content is not None}

    def write(self, snapshot: Snapshot, changes: Mapping[str, bytes], message: str) -> Snapshot | None:
        """See Storage. A lost answer counts as a conflict: the next read shows whether the write was done.

        Raises:
            LedgerError: if GitHub refuses, or answers no write for a minute.
        """
        sequence, changes = with_next_sequence(snapshot.sequence, changes)
        if not self._unanswered_writes:
            self._write_deadline = Deadline(_MAX_WRITE_SECONDS, self.client.working_seconds)
        try:
            with self.client.within(self._write_deadline):
                version = self._commit(snapshot.version, changes, message)
        except UncertainOutcomeError as problem:
            self._pause_after_unanswered(problem)
            return None
        except GitHubError as problem:
            self._raise_unless_conflict(problem)
            self._overtaken_version = snapshot.version
            return None
        if version is None:
            self._overtaken_version = snapshot.version
        self._unanswered_writes = 0
        return replace(snapshot.with_changes(changes, sequence), version=version) if version else None

    def _pause_after_unanswered(self, problem: UncertainOutcomeError) -> None:
        """Pause until it makes sense to look whether a write was done, and to try it again if it was not.

        Raises:
            LedgerError: if there is no time left for that.
        """
        pauses = _UNANSWERED_PAUSES_SECONDS[self._unanswered_writes :]
        self._unanswered_writes += 1
        seconds_left = min(self._write_deadline.seconds_left, self.client.seconds_left)
        if not pauses or pauses[0] >= seconds_left:
            raise self._ledger_error("written", problem) from None
        self.client.pause(pauses[0])

    def _raise_unless_conflict(self, problem: GitHubError) -> None:
        """Take a stale head as a conflict, and for a few times a branch that is not there any more.

        Raises:
            LedgerError: for any other problem.
        """
        if isinstance(problem, StaleHeadError):
            return
        if isinstance(problem, NotFoundError):
            self._not_found_writes += 1
            if self._not_found_writes < _MAX_NOT_FOUND_WRITES:
                return
        raise self._ledger_error("written", problem) from None

    def blob_ids(self, snapshot: Snapshot, paths: Sequence[str]) -> Mapping[str, str]:
        """See Storage. Takes one request. If it fails the result is empty, so all files are written again."""
        if not snapshot.version:
            return {}
        try:
            tree = self.client.get(
                f"/repos/{self.repository}/git/trees/{snapshot.version}", {"recursive": "1"}, shapes.RestTree
            )
        except GitHubError:
            return {}
        blobs = ((entry["path"], entry["sha"]) for entry in tree["tree"] if entry["type"] == "blob")
        return {path: blob_id for path, blob_id in blobs if is_at_one_of(path, paths)}

    def has_changed_since(self, snapshot: Snapshot) -> bool:
        """See Storage.

        Raises:
            LedgerError: if GitHub does not return the branch.
        """
        with self._as_ledger_error("read"):
            ref = self.client.query("Head", self._ref_variables)["repository"]["ref"]
        return (ref["target"]["oid"] if ref else "") != snapshot.version

    @property
    def _ref_variables(self) -> dict[str, object]:
        return {**owner_and_name(self.repository), "ref": f"refs/heads/{self.branch}"}

    @contextmanager
    def _as_ledger_error(self, participle: str) -> Iterator[None]:
        """Turn GitHub's errors into a LedgerError; `participle` completes "cannot be ..."."""
        try:
            yield
        except GitHubError as problem:
            raise self._ledger_error(participle, problem) from None

    def _commit(self, head: str, changes: Mapping[str, bytes], message: str) -> str | None:
        """Create a commit on `head`, or the branch if there is none yet; None if another run created it first."""
        return self._commit_on_head(head, changes, message) if head else self._create_branch(changes, message)

    def _commit_on_head(self, head: str, changes: Mapping[str, bytes], message: str) -> str:
        answer = self.client.mutate(
            "Append",
            {
                "input": {
                    "branch": {"repositoryNameWithOwner": self.repository, "branchName": self.branch},
                    "expectedHeadOid": head,
                    "message": {"headline": message},
                    "fileChanges": _file_changes(changes),
                }
            },
        )
        new_head = str(answer["createCommitOnBranch"]["commit"]["oid"])
        if new_head in ("", head):
            raise UnexpectedAnswerError(_NOT_WRITTEN.format("commit"))
        return new_head

    def _create_branch(self, changes: Mapping[str, bytes], message: str) -> str | None:
        """Create an orphan branch with its first commit; None if another run created it first."""
        git_api = f"/repos/{self.repository}/git"
        tree = self.client.post(f"{git_api}/trees", {"tree": _tree_entries(changes)}, shapes.GitObjectSha)
        content = {"message": message, "tree": tree["sha"], "parents": []}
        commit = self.client.post(f"{git_api}/commits", content, shapes.GitObjectSha)
        ref = {"ref": f"refs/heads/{self.branch}", "sha": commit["sha"]}
        try:
            created = self.client.post(f"{git_api}/refs", ref, shapes.CreatedRef)
        except ReferenceExistsError:
            return None
        if (created["ref"], created["object"]["sha"]) != (ref["ref"], ref["sha"]):
            raise UnexpectedAnswerError(_NOT_WRITTEN.format("branch"))
        return str(commit["sha"])

    def _ledger_error(self, participle: str, problem: GitHubError) -> LedgerError:
        advice = ""
        if participle == "written" and _RULE_VIOLATION.search(str(problem)):
            advice = _RULES_ADVICE.format(self.branch)
        elif isinstance(problem, ForbiddenError):
            permission = "write" if participle == "written" else "read"
            advice = f"; {permission_advice(f'contents: {permission}', has_job=self.has_job)}"
            advice += " (a fork's or Dependabot's run cannot have it)" if self.has_job else ""
        elif isinstance(problem, NotFoundError):
            advice = "; check the name, and that the token can read that repository"
        reason = " ".join(str(problem).split())
        if participle == "read" and isinstance(problem, UncertainOutcomeError):
            return LedgerError(f"{self.name}: {reason}")
        return LedgerError(f"{self.name}: cannot be {participle}: {reason}{advice}")


def _file_changes(changes: Mapping[str, bytes]) -> dict[str, list[dict[str, str]]]:
    """Return changes as `FileChanges` of GitHub's GraphQL API; empty content deletes a file."""
    return {
        "additions": [
            {"path": path, "contents": base64.b64encode(content).decode()}
            for path, content in changes.items()
            if content
        ],
        "deletions": [{"path": path} for path, content in changes.items() if not content],
    }


def _tree_entries(changes: Mapping[str, bytes]) -> list[dict[str, str]]:
    """Return the files of a first commit as entries of GitHub's REST API for trees."""
    return [
        {"path": path, "mode": "100644", "type": "blob", "content": content.decode()}
        for path, content in changes.items()
        if content
    ]


def _asked_again(ask: Callable[[], _Shown]) -> _Shown:
    """Return what GitHub shows; once more if it left something out."""
    try:
        return ask()
    except IncompleteAnswerError:
        return ask()


def _require_listed(objects_by_path: Mapping[str, GitObject], paths: Sequence[str]) -> None:
    """Check that an answer shows what is there: what it leaves out would be overwritten as if it did not exist.

    Args:
        objects_by_path: the files and folders in the answer; the root is `""`.
        paths: those that were asked for.

    Raises:
        IncompleteAnswerError: if nothing is shown at a path that the folder above lists.
    """
    for path in paths:
        folder, _, name = path.rpartition("/")
        entries = (objects_by_path.get(folder) or {}).get("entries") or ()
        is_listed = any(entry["name"] == name and entry["type"] != "commit" for entry in entries)
        if is_listed and objects_by_path[path] is None:
            raise IncompleteAnswerError(_LEFT_OUT.format(path))


def _year_folders(month_paths: Sequence[str]) -> list[str]:
    """Return the folders of these months, such as `facts/2026`."""
    return sorted({month_path.rpartition("/")[0] for month_path in month_paths})


def _last_months(now: datetime) -> list[str]:
    """Return the last months, ending with the next one because clocks differ."""
    current_month = now.year * 12 + now.month
    return [
        month_of_time(datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC))
        for month in range(current_month - _QUERIED_MONTHS + 1, current_month + 1)
    ]


def _names_by_folder(objects_by_path: Mapping[str, GitObject], *paths: str) -> dict[str, tuple[str, ...] | None]:
    """Return the file names in each folder at `paths`; their subfolders map to None, which means not listed yet."""
    names_by_folder: dict[str, tuple[str, ...] | None] = {}
    for path in paths:
        entries = (objects_by_path.get(path) or {}).get("entries") or ()
        for entry in entries:
            if entry["type"] == "tree":
                names_by_folder.setdefault(f"{path}/{entry['name']}", None)
        names_by_folder[path] = tuple(entry["name"] for entry in entries if entry["type"] == "blob")
    return names_by_folder

"""`ledger: branch:NAME` or `branch:NAME@owner/repo`: an orphan branch that is only ever appended to.

Read in one request, or a few for a large ledger, and written in one: a commit that GitHub makes only on top of the head
that was read. Nothing is checked out, nothing forced.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from dora_metrics.core.ledger.layout import EVERYTHING, ROOT_FILES, SEQUENCE, Reach, month_at, month_of
from dora_metrics.core.windows import instant
from dora_metrics.errors import LedgerError
from dora_metrics.github.client import (
    Client,
    ForbiddenError,
    GitHubError,
    NotFoundError,
    StaleHeadError,
    UnsureError,
    owner_and_name,
)
from dora_metrics.github.repository import Found, content, objects
from dora_metrics.storage.base import Snapshot, counted, sequence

_NO_CONFIG: Mapping[str, object] = {"configOwner": "", "configName": "", "config": "", "asksConfig": False}
_ALREADY_THERE = "reference already exists"
_UNANSWERED = 3
_MONTHS = 8
_USUAL_MONTHS = 6
"""What a window of 30 days needs, and gauges of 90; the next month is one of them."""


@dataclass
class BranchLedger:
    """A branch of a repository on GitHub. Writes without an answer are given up after a few.

    `now`: which months are looked for first.
    """

    client: Client
    repository: str
    branch: str
    now: datetime
    remembers: bool = True
    _unanswered: int = 0
    _begun: Snapshot | None = None

    @property
    def name(self) -> str:
        return f"branch:{self.branch} of {self.repository}"

    def begin(self, repository: str, path: str) -> bytes | None:
        """A file on a repository's default branch, None where there is none; read in one request with the ledger.

        Raises:
            LedgerError: if GitHub does not show both.
        """
        config = dict(zip(("configOwner", "configName"), owner_and_name(repository).values(), strict=True))
        usual = Reach(_last_months(self.now)[-_USUAL_MONTHS])
        self._begun, found = self._first(usual, {**config, "config": f"HEAD:{path}", "asksConfig": True})
        with self._told(f"read ({path})"):
            return content(self.client, repository, found)

    def read(self, reach: Reach = EVERYTHING) -> Snapshot:
        """See the port: in one request, if the months are few and small; nothing where there is no branch yet.

        Raises:
            LedgerError: if GitHub does not show it.
        """
        seen, self._begun = self._begun or self._first(reach, _NO_CONFIG)[0], None
        return self.more(seen, reach)

    def _first(self, reach: Reach, config: Mapping[str, object]) -> tuple[Snapshot, Found]:
        """The branch as far as one request shows it, and the config file if that is asked for."""
        months = list(filter(reach.holds, _last_months(self.now)))
        years = sorted({month.rpartition("/")[0] for month in months})
        paths = [*ROOT_FILES, "facts", *years, *(f"{month}.jsonl" for month in months)]
        with self._told("read"):
            answer = self.client.query("Ledger", {**self._place, **config}, paths)
        found, asked = answer["repository"], answer.get("config") or {}
        if found["isEmpty"]:
            raise LedgerError(f"{self.name}: the repository has no commit yet, so it can have no branch")
        if found["ref"] is None:
            return Snapshot({}, 0, reach=reach), asked.get("object")
        target = found["ref"]["target"]
        objects = {path: (target[f"slot{n}"] or {}).get("object") for n, path in enumerate(paths)}
        root = tuple(entry["name"] for entry in target["tree"]["entries"])
        files = self._files(objects)
        number = sequence(files.pop(SEQUENCE, b""))
        folders = {"": root, **_folders(objects, "facts", *years)}
        seen = Snapshot(files, number, target["oid"], reach, instant(target["committedDate"]), folders)
        return seen, asked.get("object")

    def more(self, seen: Snapshot, reach: Reach) -> Snapshot:
        """See the port: in one request for every fifty files, and one for folders in folders of facts.

        Raises:
            LedgerError: if GitHub does not show it.
        """
        folders = dict(seen.folders)
        while unknown := [path for path, names in folders.items() if names is None and reach.touches(path)]:
            folders |= _folders(self._objects(seen.version, unknown), *unknown)
        facts = (f"{folder}/{name}" for folder, names in folders.items() if folder for name in names or ())
        wanted = [path for path in facts if path.endswith(".jsonl") and reach.holds(month_of(path))]
        missing = [path for path in wanted if path not in seen.files]
        files = {**seen.files, **self._files(self._objects(seen.version, missing))}
        return replace(seen, files=files, reach=reach, folders=folders)

    def _objects(self, version: str, paths: Sequence[str]) -> dict[str, Found]:
        with self._told("read"):
            found = objects(self.client, self.repository, [f"{version}:{path}" for path in paths])
        return dict(zip(paths, found, strict=True))

    def _files(self, found: Mapping[str, Found]) -> dict[str, bytes]:
        with self._told("read"):
            contents = {path: content(self.client, self.repository, one) for path, one in found.items()}
        return {path: text for path, text in contents.items() if text is not None}

    def write(self, seen: Snapshot, changes: Mapping[str, bytes], message: str) -> Snapshot | None:
        """See the port. An answer that got lost counts as overtaken: the next read shows whether it was done.

        Raises:
            LedgerError: if GitHub refuses.
        """
        number, changes = counted(seen.sequence, changes)
        try:
            version = self._append(seen.version, changes, message) if seen.version else self._begin(changes, message)
        except StaleHeadError:
            return None
        except (UnsureError, NotFoundError) as problem:
            self._unanswered += 1
            if self._unanswered == _UNANSWERED:
                raise self._unusable("written", problem) from None
            return None
        except GitHubError as problem:
            raise self._unusable("written", problem) from None
        files = {path: content for path, content in {**seen.files, **changes}.items() if content and path != SEQUENCE}
        return replace(seen, files=files, sequence=number, version=version) if version else None

    def listed(self, seen: Snapshot, places: Sequence[str]) -> Mapping[str, str]:
        """See the port: in one request. Where GitHub does not tell, nothing is known to be there."""
        if not seen.version:
            return {}
        try:
            tree = self.client.get(f"/repos/{self.repository}/git/trees/{seen.version}", {"recursive": "1"})
        except GitHubError:
            return {}
        files = ((entry["path"], entry["sha"]) for entry in tree["tree"] if entry["type"] == "blob")
        return {path: name for path, name in files if path.startswith(tuple(places))}

    def overtaken(self, seen: Snapshot) -> bool:
        """See the port.

        Raises:
            LedgerError: if GitHub does not show it.
        """
        with self._told("read"):
            ref = self.client.query("Head", self._place)["repository"]["ref"]
        return (ref["target"]["oid"] if ref else "") != seen.version

    @property
    def _place(self) -> dict[str, object]:
        return {**owner_and_name(self.repository), "ref": f"refs/heads/{self.branch}"}

    @contextmanager
    def _told(self, done: str) -> Iterator[None]:
        """What GitHub refuses is a ledger that cannot be used."""
        try:
            yield
        except GitHubError as problem:
            raise self._unusable(done, problem) from None

    def _append(self, head: str, changes: Mapping[str, bytes], message: str) -> str:
        additions = [
            {"path": path, "contents": base64.b64encode(content).decode()}
            for path, content in changes.items()
            if content
        ]
        deletions = [{"path": path} for path, content in changes.items() if not content]
        done = self.client.mutate(
            "Append",
            {
                "input": {
                    "branch": {"repositoryNameWithOwner": self.repository, "branchName": self.branch},
                    "expectedHeadOid": head,
                    "message": {"headline": message},
                    "fileChanges": {"additions": additions, "deletions": deletions},
                }
            },
        )
        return str(done["createCommitOnBranch"]["commit"]["oid"])

    def _begin(self, changes: Mapping[str, bytes], message: str) -> str | None:
        """The first commit of an orphan branch; None if another run has begun it meanwhile."""
        base = f"/repos/{self.repository}/git"
        tree = [
            {"path": path, "mode": "100644", "type": "blob", "content": content.decode()}
            for path, content in changes.items()
            if content
        ]
        made = self.client.post(f"{base}/trees", {"tree": tree})
        commit = self.client.post(f"{base}/commits", {"message": message, "tree": made["sha"], "parents": []})
        try:
            self.client.post(f"{base}/refs", {"ref": f"refs/heads/{self.branch}", "sha": commit["sha"]})
        except GitHubError as problem:
            if _ALREADY_THERE in str(problem).lower():
                return None
            raise
        return str(commit["sha"])

    def _unusable(self, done: str, problem: GitHubError) -> LedgerError:
        advice = ""
        if isinstance(problem, ForbiddenError):
            need = "write" if done == "written" else "read"
            advice = f"; give the job `permissions: contents: {need}` (a fork's or Dependabot's run cannot have it)"
        elif isinstance(problem, NotFoundError):
            advice = "; check the name, and that the token may read that repository"
        return LedgerError(f"{self.name}: cannot be {done}: {problem}{advice}")


def _last_months(now: datetime) -> list[str]:
    """The months up to the next one, since clocks differ."""
    count = now.year * 12 + now.month
    return [month_at(datetime(n // 12, n % 12 + 1, 1, tzinfo=UTC)) for n in range(count - _MONTHS + 1, count + 1)]


def _folders(objects: Mapping[str, Found], *paths: str) -> dict[str, tuple[str, ...] | None]:
    """The names of the files in each of these folders; the folders in them as not looked into yet."""
    found: dict[str, tuple[str, ...] | None] = {}
    for path in paths:
        entries = (objects.get(path) or {}).get("entries") or ()
        for entry in entries:
            if entry["type"] == "tree":
                found.setdefault(f"{path}/{entry['name']}", None)
        found[path] = tuple(entry["name"] for entry in entries if entry["type"] == "blob")
    return found

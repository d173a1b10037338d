"""`ledger: branch:NAME` or `branch:NAME@owner/repo`: an orphan branch that is only ever appended to.

Read in one request and written in one: a commit that GitHub makes only on top of the head that was read. Nothing is
checked out, nothing forced.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dora_metrics.core.ledger import CHECKPOINT, FACTS, OUTBOX, QUARANTINE, README
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
from dora_metrics.ledgers import checkpoint
from dora_metrics.ledgers.port import Snapshot

_ROOT_FILES = {"readme": README, "checkpoint": CHECKPOINT, "outbox": OUTBOX, "quarantine": QUARANTINE}
_ALREADY_THERE = "reference already exists"
_UNANSWERED = 3


@dataclass
class BranchLedger:
    """A branch of a repository on GitHub. Writes without an answer are given up after a few."""

    client: Client
    repository: str
    branch: str
    remembers: bool = True
    _unanswered: int = 0

    @property
    def name(self) -> str:
        return f"branch:{self.branch} of {self.repository}"

    def read(self) -> Snapshot:
        """All facts at the branch's head, and what is pending; nothing where there is no branch yet.

        Raises:
            LedgerError: if GitHub does not show it.
        """
        found = self._asked("Ledger")
        if found["isEmpty"]:
            raise LedgerError(f"{self.name}: the repository has no commit yet, so it can have no branch")
        if found["ref"] is None:
            return Snapshot({}, 0)
        target = found["ref"]["target"]
        files = dict(self._files(target))
        return Snapshot(files, checkpoint.sequence(files.get(CHECKPOINT, b"")), target["oid"])

    def _files(self, target: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
        for key, path in _ROOT_FILES.items():
            if target[key]:
                yield path, self._content(path, target[key]["object"])
        for year in _entries(target["facts"]):
            for file in _entries(year):
                path = f"{FACTS}{year['name']}/{file['name']}"
                if path.endswith(".jsonl"):
                    yield path, self._content(path, file["object"])

    def _content(self, path: str, blob: Mapping[str, Any]) -> bytes:
        if blob.get("isTruncated") or blob.get("text") is None:
            raise LedgerError(f"{self.name}: {path} is too large or no text; split it into files below 400 kB")
        return str(blob["text"]).encode()

    def write(self, seen: Snapshot, changes: Mapping[str, bytes], message: str) -> Snapshot | None:
        """See the port. An answer that got lost counts as overtaken: the next read shows whether it was done.

        Raises:
            LedgerError: if GitHub refuses.
        """
        sequence, changes = checkpoint.counted(seen.sequence, changes)
        files = {path: content for path, content in {**seen.files, **changes}.items() if content}
        try:
            version = self._append(seen.version, changes, message) if seen.version else self._begin(changes, message)
        except StaleHeadError:
            return None
        except UnsureError as problem:
            self._unanswered += 1
            if self._unanswered == _UNANSWERED:
                raise self._unusable("written", problem) from None
            return None
        except GitHubError as problem:
            raise self._unusable("written", problem) from None
        return Snapshot(files, sequence, version) if version else None

    def overtaken(self, seen: Snapshot) -> bool:
        """See the port.

        Raises:
            LedgerError: if GitHub does not show it.
        """
        ref = self._asked("Head")["ref"]
        return (ref["target"]["oid"] if ref else "") != seen.version

    def _asked(self, query: str) -> dict[str, Any]:
        variables = {**owner_and_name(self.repository), "ref": f"refs/heads/{self.branch}"}
        try:
            found: dict[str, Any] = self.client.query(query, variables)["repository"]
        except GitHubError as problem:
            raise self._unusable("read", problem) from None
        return found

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


def _entries(place: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The entries of a folder; a file has none."""
    found = ((place or {}).get("object") or {}).get("entries")
    return list(found or ())

"""The git commit of a rollout: in its revision, in an image tag, or in an annotation."""

import re
from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from dora_metrics.core.facts.ids import SHA_LENGTH
from dora_metrics.core.facts.model import Change, Deployment
from dora_metrics.core.gitops.occurrence import Occurrence
from dora_metrics.core.gitops.targets import DEFAULT_ANNOTATIONS, DEFAULT_TAGS, GitOpsTarget, tag_regex
from dora_metrics.core.versions import ref_reads_as_version
from dora_metrics.core.wildcards import matches

MIN_DIGITS = 7
"""Of an abbreviated sha. git abbreviates to no fewer."""

_MAX_NAME_LENGTH = 60
_MAX_TAG_LENGTH = 128
"""Registries allow no more."""

FullSha = Callable[[str, str], str | None]
"""From a repository and the first digits of a sha to the whole one; None if no commit, or several, begin with them."""

_REVISION_SHA = re.compile(r"(?:^|[@/:])([0-9a-f]{40})")
_DIGITS = re.compile(rf"[0-9a-f]{{{MIN_DIGITS},{SHA_LENGTH}}}")


class CommitOfRollout(Struct, frozen=True):
    """The commit that a rollout deployed; `sha` None if it is not known, and then `because` says why."""

    sha: str | None
    because: str = ""


def sha_in_revision(revision: str) -> str | None:
    """Return the sha that a revision ends with, such as `main@sha1:…` or `main/…`; None if it has none."""
    match = _REVISION_SHA.search(revision, max(len(revision) - SHA_LENGTH - 1, 0))
    return match[1] if match and match.end() == len(revision) else None


def version_in_revision(revision: str) -> str | None:
    """Return the tag in a revision such as `v1.0.1@sha1:…`, if it reads as a version; otherwise None."""
    ref = revision.partition("@")[0]
    return ref if ref_reads_as_version(ref) else None


def short_revision(revision: str) -> str:
    """Return a revision for people, such as `main@0647aea` of `main@sha1:0647aea…`."""
    sha = sha_in_revision(revision)
    name = revision[:-SHA_LENGTH].removesuffix("sha1:") + sha[:MIN_DIGITS] if sha else revision
    return name[:_MAX_NAME_LENGTH]


def known_sha(digits: str, repository: str, facts: Iterable[object]) -> str | None:
    """Return the only commit of a repository in the ledger whose sha begins with some digits; None if there is none."""
    shas = {sha for fact in facts for sha in _shas_of(fact, repository) if sha.startswith(digits)}
    return shas.pop() if len(shas) == 1 else None


def _shas_of(fact: object, repository: str) -> Iterator[str]:
    if not isinstance(fact, Change | Deployment) or fact.repository.casefold() != repository.casefold():
        return
    if fact.sha:
        yield fact.sha
    if isinstance(fact, Change):
        yield from (commit.sha for commit in fact.commits or ())


def commit_of(
    occurrence: Occurrence, target: GitOpsTarget, repository: str, revision_repository: str, full_sha: FullSha
) -> CommitOfRollout:
    """Return the commit that a rollout deployed, where the settings say that it is.

    Args:
        occurrence: the rollout.
        target: what the settings say about its object.
        repository: the repository that the deployment belongs to.
        revision_repository: the one that the revision is of.
        full_sha: completes an abbreviated sha.
    """
    match target.commit:
        case "image-tag":
            return _only_commit(_digits_in_tags(occurrence, target), repository, full_sha, _no_tag(occurrence))
        case "annotation":
            return _only_commit(
                _digits_in_annotations(occurrence, target), repository, full_sha, _no_annotation(target)
            )
        case _:
            return _commit_of_revision(occurrence, target, repository, revision_repository)


def _commit_of_revision(
    occurrence: Occurrence, target: GitOpsTarget, repository: str, revision_repository: str
) -> CommitOfRollout:
    if occurrence.sha is None:
        return CommitOfRollout(None, f"its revision {short_revision(occurrence.revision)} names no commit")
    if target.commit is None and revision_repository.casefold() != repository.casefold():
        because = f"its revision is of {revision_repository}, not of {repository}; set `commit` in `gitops`"
        return CommitOfRollout(None, because)
    return CommitOfRollout(occurrence.sha)


def _only_commit(
    names: Iterable[str], repository: str, full_sha: FullSha, because_without_name: str
) -> CommitOfRollout:
    """Return the commit that some texts name, which may be abbreviated."""
    named = set(names)
    if not named:
        return CommitOfRollout(None, because_without_name)
    if len(named) > 1:
        return CommitOfRollout(None, f"{len(named)} commits are named; say with `image` in `gitops` which counts")
    (digits,) = named
    sha = digits if len(digits) == SHA_LENGTH else full_sha(repository, digits)
    return CommitOfRollout(sha, "" if sha else f"no commit of {repository}, or more than one, begins with {digits}")


def _digits_in_tags(occurrence: Occurrence, target: GitOpsTarget) -> Iterator[str]:
    patterns = [tag_regex(tag) for tag in ((target.tag,) if target.tag else DEFAULT_TAGS)]
    for image in occurrence.images:
        name, tag = split_image(image)
        if target.image is None or matches(target.image, name):
            yield from (match["sha"] for pattern in patterns if (match := pattern.fullmatch(tag[:_MAX_TAG_LENGTH])))


def split_image(image: str) -> tuple[str, str]:
    """Return the name and the tag of an image, without its digest; the tag is empty if it has none."""
    path, slash, last = image.partition("@")[0].rpartition("/")
    name, _, tag = last.partition(":")
    return f"{path}{slash}{name}", tag


def _digits_in_annotations(occurrence: Occurrence, target: GitOpsTarget) -> Iterator[str]:
    """Yield the commit that the first of the annotations names which is there."""
    annotations = dict(occurrence.annotations)
    names = (target.annotation,) if target.annotation else DEFAULT_ANNOTATIONS
    value = next((annotations[name].strip() for name in names if annotations.get(name)), "")
    digits = sha_in_revision(value) or value
    if _DIGITS.fullmatch(digits):
        yield digits


def _no_tag(occurrence: Occurrence) -> str:
    tags = sorted({f"`{split_image(image)[1]}`" for image in occurrence.images})
    if not tags:
        return "nothing says which images it deployed"
    return f"the image tags {', '.join(tags[:3])} name no commit as `gitops` says"


def _no_annotation(target: GitOpsTarget) -> str:
    return f"it has no commit in the annotation `{target.annotation or DEFAULT_ANNOTATIONS[0]}`"

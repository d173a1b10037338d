"""Check a release, print its notes, and make the commit that names its image.

    python tools/release.py check 1.2.0 OWNER/NAME   # prints outputs for the workflow, or every problem
    python tools/release.py notes 1.2.0              # prints the changelog's section
    python tools/release.py tag 1.2.0 IMAGE@sha256:…  # commits action/image, sets and pushes the tags

The commit of a release is a child of the released one and is on no branch: it only adds `action/image`, which
`action/run.sh` pulls. Between releases the file does not exist, and the image is built from the sources.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

REGISTRY = "ghcr.io"
VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z]+(?:[.-][0-9A-Za-z]+)*))?")
_IMAGE = re.compile(r"[a-z0-9.-]+(?:/[a-z0-9._-]+)+@sha256:[0-9a-f]{64}")
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_BOT_IDENTITY = (
    "-c",
    "user.name=github-actions[bot]",
    "-c",
    "user.email=41898282+github-actions[bot]@users.noreply.github.com",
)


class ReleaseError(Exception):
    """All problems of a release."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def sections(changelog: str) -> dict[str, tuple[str, str]]:
    """Heading and text of each version in a changelog."""
    parts = _HEADING.split(changelog)[1:]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return {heading.split(" - ")[0].strip(): (heading.strip(), text.strip()) for heading, text in pairs}


def notes(version: str, changelog: str) -> str:
    """Text of a version in the changelog. A prerelease without a section of its own has the text under Unreleased.

    Raises:
        ReleaseError: if the changelog has none.
    """
    _, text = sections(changelog).get(section_name(version, changelog), ("", ""))
    if not text:
        raise ReleaseError(f"CHANGELOG.md has no section `## {version} - YYYY-MM-DD` with anything in it")
    return text


def section_name(version: str, changelog: str) -> str:
    """Name of the section that describes a version: its own, or Unreleased for a prerelease without one."""
    return "Unreleased" if is_prerelease(version) and version not in sections(changelog) else version


def is_prerelease(version: str) -> bool:
    return "-" in version


def problems(version: str, root: Path) -> Iterator[str]:
    """Everything that prevents a release of this version from this checkout."""
    if not VERSION.fullmatch(version):
        yield f"{version!r} is not a valid version. Use one such as 1.2.0 or 1.2.0-rc.1, without the v"
        return
    yield from _changelog_problems(version, (root / "CHANGELOG.md").read_text("utf-8"))
    yield from _program_problems(version, root)
    if f"v{version}" in tags(root):
        yield f"the tag v{version} exists already"
    if (root / "action" / "image").exists():
        yield "action/image exists, so this is the commit of a release. Release from a branch"


def _changelog_problems(version: str, changelog: str) -> Iterator[str]:
    heading_and_text = sections(changelog)
    section = section_name(version, changelog)
    try:
        notes(version, changelog)
    except ReleaseError as problem:
        yield str(problem)
    else:
        dated = rf"{re.escape(version)} - \d{{4}}-\d\d-\d\d"
        if section == version and not re.fullmatch(dated, heading_and_text[version][0]):
            yield f"CHANGELOG.md: the heading of {version} has no date such as 2026-12-01"
    if section == version and heading_and_text.get("Unreleased", ("", ""))[1]:
        yield f"CHANGELOG.md: move the text under Unreleased to {version}"


def _program_problems(version: str, root: Path) -> Iterator[str]:
    own = program_version(root)
    expected = {version, version.partition("-")[0]}
    if own not in expected:
        yield f"src/dora_metrics/__init__.py: its version is {own or 'missing'}, not {min(expected, key=len)}"


def program_version(root: Path) -> str:
    """The version in the program, which a prerelease shares with the version that follows it; empty if missing."""
    text = (root / "src/dora_metrics/__init__.py").read_text("utf-8")
    match = re.search(r'^__version__ = "(.*)"$', text, re.MULTILINE)
    return match[1] if match else ""


def tags(root: Path) -> list[str]:
    return _git(root, "tag", "--list", "v*").split()


def major_tag(version: str, existing_tags: list[str]) -> str | None:
    """`v1` for a stable version that is newer than all others of its major version; otherwise None."""
    match = VERSION.fullmatch(version)
    if match is None or match[4]:
        return None
    others = (VERSION.fullmatch(name.removeprefix("v")) for name in existing_tags)
    newest = max(
        (_version_numbers(other) for other in others if other and not other[4] and other[1] == match[1]),
        default=(0, 0, -1),
    )
    return f"v{match[1]}" if _version_numbers(match) >= newest else None


def _version_numbers(match: re.Match[str]) -> tuple[int, int, int]:
    return int(match[1]), int(match[2]), int(match[3])


def tag(version: str, image: str, root: Path) -> list[str]:
    """Commit the image, and set and push the tags of a release; return the tags.

    Raises:
        ReleaseError: if the image is not named by digest.
    """
    if not _IMAGE.fullmatch(image):
        raise ReleaseError(f"{image!r} is no image by digest, such as {REGISTRY}/owner/name@sha256:…")
    moved = major_tag(version, tags(root))
    _git(root, "switch", "--quiet", "--detach")
    (root / "action" / "image").write_text(f"{image}\n", "utf-8")
    _git(root, "add", "action/image")
    _git(root, *_BOT_IDENTITY, "commit", "--quiet", f"--message=The image of {version}, by digest")
    _git(root, *_BOT_IDENTITY, "tag", "--annotate", f"--message={version}", f"v{version}")
    pushed = [f"refs/tags/v{version}"]
    if moved:
        _git(root, *_BOT_IDENTITY, "tag", "--force", moved, f"v{version}^{{}}")
        pushed.append(f"+refs/tags/{moved}")
    _git(root, "push", "--quiet", "--atomic", "origin", *pushed)
    return [name.rpartition("/")[2] for name in pushed]


def _git(root: Path, *arguments: str) -> str:
    completed = subprocess.run(["git", *arguments], cwd=root, stdout=subprocess.PIPE, text=True, check=True)
    return completed.stdout


def main(command: str, version: str, *rest: str, root: Path = Path()) -> None:
    """Run one command; see the top of the file.

    Raises:
        ReleaseError: with every problem.
    """
    match command, rest:
        case "check", (repository,):
            if problem_list := list(problems(version, root)):
                raise ReleaseError(*problem_list)
            print(f"image={REGISTRY}/{repository.lower()}")
            print(f"prerelease={str(is_prerelease(version)).lower()}")
            print(f"program-version={program_version(root)}")
        case "notes", ():
            print(notes(version, (root / "CHANGELOG.md").read_text("utf-8")))
        case "tag", (image,):
            print("\n".join(tag(version, image, root)))
        case _:
            raise ReleaseError(f"there is no {command} with {len(rest)} further words; see tools/release.py")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ReleaseError as error:
        sys.exit("\n".join(f"::error title=Release::{problem}" for problem in error.problems))

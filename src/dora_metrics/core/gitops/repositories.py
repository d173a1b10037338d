"""The repository on GitHub that an address of git leads to."""

import re
from urllib.parse import urlsplit

_NAME = r"[A-Za-z0-9._-]+"
_SCP_ADDRESS = re.compile(rf"(?:[^@/:]+@)?([^@/:]+):/?({_NAME}/{_NAME}?)/?")
_PATH = re.compile(rf"/({_NAME}/{_NAME}?)/?")


def repository_at(url: str, server_url: str) -> str | None:
    """Return `owner/name` from an address such as `ssh://git@github.com/owner/name.git`; None if it is elsewhere.

    Args:
        url: an address that git clones.
        server_url: the address of the run's GitHub.
    """
    place = _host_and_path(url.strip())
    if place is None or place[0].removeprefix("ssh.").lower() != urlsplit(server_url).hostname:
        return None
    return place[1].removesuffix(".git")


def _host_and_path(url: str) -> tuple[str, str] | None:
    if "://" not in url:
        match = _SCP_ADDRESS.fullmatch(url)
        return (match[1], match[2]) if match else None
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return None
    path = _PATH.fullmatch(parts.path)
    return (host, path[1]) if path else None

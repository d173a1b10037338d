"""Hosts and origins in settings: of incident systems, endpoints and others.

Every part of an address is limited to characters that all parsers of addresses read in the same way, so that the host
that is compared is the host that gets the request.
"""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

_HOST = r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_PORT = r"(?::(?P<port>[0-9]{1,5}))?"
_LINE = re.compile(_HOST + _PORT)
_ADDRESS = re.compile(rf"(?P<scheme>https?)://{_HOST}{_PORT}(?P<path>(?:/[A-Za-z0-9._~%+=@,;:-]*)*)", re.IGNORECASE)
_DEFAULT_PORTS = {"https": 443, "http": 80}
_LAST_PORT = 65_535

_ADDRESS_RULE = "write https://, a host, and a path if there is one; no user, no query, no fragment"
_LOOPBACK_RULE = "http is for this machine only, such as http://127.0.0.1:8080; write https://"


class Origin(NamedTuple):
    """Where a request goes: the part of an address that a token is meant for. The host is in lower case."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, address: str) -> "Origin":
        """Return the origin of an address.

        Raises:
            ValueError: if it is not a valid address of a system.
        """
        match = _ADDRESS.fullmatch(address)
        if match is None:
            raise ValueError(f"not a valid address; {_ADDRESS_RULE}")
        scheme = match["scheme"].lower()
        port = int(match["port"] or _DEFAULT_PORTS[scheme])
        origin = cls(scheme, match["host"].lower(), port)
        if not 0 < port <= _LAST_PORT:
            raise ValueError(f"port {port} does not exist; write one from 1 to {_LAST_PORT}")
        if scheme == "http" and not origin.is_loopback:
            raise ValueError(_LOOPBACK_RULE)
        return origin

    @classmethod
    def of_link(cls, address: str) -> "Origin | None":
        """Return the origin of an address with a query, as an answer names it; None if it has none that is valid."""
        try:
            return cls.of(urlsplit(address)._replace(query="", fragment="").geturl())
        except ValueError:
            return None

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        import ipaddress  # noqa: PLC0415 - most runs look at no address

        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    def is_named_by(self, hosts: Collection[str]) -> bool:
        """Whether lines of `host` or `host:port` name it; a line without a port means the usual one."""
        has_usual_port = self.port == _DEFAULT_PORTS[self.scheme]
        return f"{self.host}:{self.port}" in hosts or (has_usual_port and self.host in hosts)


def is_host(text: str) -> bool:
    """Whether a text is `host` or `host:port`, and nothing that a parser of addresses could read in another way."""
    match = _LINE.fullmatch(text)
    return match is not None and int(match["port"] or 1) <= _LAST_PORT


def parse_hosts(lines: Sequence[str]) -> tuple[str, ...]:
    """Return hosts in lower case, as `Origin.is_named_by` compares them.

    Raises:
        ValueError: with a problem for each line that is not `host` or `host:port`.
    """
    if invalid := [line for line in lines if not is_host(line)]:
        problem = "is not a host; write one a line, as in acme.atlassian.net or pager.example.com:8443"
        raise ValueError(*(f"{line!r} {problem}" for line in invalid))
    return tuple(line.lower() for line in lines)

"""The header `Link` of a page (RFC 8288), which names the next one."""

import re

from dora_metrics.sources.incidents.api import IncidentSystemError

_MAX_HEADER_LENGTH = 20_000
_MAX_ADDRESS_LENGTH = 8_000
_LINK = re.compile(r"""<([^<>]*)>((?:[^<>"]|"[^"]*")*)""")
_RELATIONS = re.compile(r"""(?:^|;)\s*rel\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s;,"']+))""", re.IGNORECASE)
_HAS_NO_RESULTS = re.compile(r"""(?:^|;)\s*results\s*=\s*["']?false""", re.IGNORECASE)
"""What Sentry says of a page without items."""


def address_of_relation(header: str, relation: str) -> str | None:
    """Return the address that a header `Link` gives for a relation, in upper or lower case; None if it gives none.

    Raises:
        IncidentSystemError: if the header is too long, or the address cannot be asked for.
    """
    if len(header) > _MAX_HEADER_LENGTH:
        raise IncidentSystemError(f"its header `Link` has more than {_MAX_HEADER_LENGTH:,} characters")
    for address, parameters in _LINK.findall(header):
        if relation.lower() in _relations(parameters) and not _HAS_NO_RESULTS.search(parameters):
            return _usable(address.strip())
    return None


def _relations(parameters: str) -> list[str]:
    """Return the relations of a link: one address can be that of the previous and of the next page."""
    match = _RELATIONS.search(parameters)
    return "".join(filter(None, match.groups())).lower().split() if match else []


def _usable(address: str) -> str:
    is_usable = address.isascii() and address.isprintable() and " " not in address
    if not address or not is_usable or len(address) > _MAX_ADDRESS_LENGTH:
        raise IncidentSystemError(
            "the address of its next page is empty, too long, or has characters that none can have"
        )
    return address

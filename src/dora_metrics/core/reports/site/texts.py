"""Texts and addresses from outside, as the page shows them: short, visible, and nothing to click but http."""

from urllib.parse import urlsplit

from dora_metrics.core.markdown import visible
from dora_metrics.core.reports.site.model import Link

LONGEST_TITLE = 160
LONGEST_NAME = 60
_LONGEST_ADDRESS = 500


def shown(text: str, most: int = LONGEST_TITLE) -> str:
    """Text on one line, without what cannot be seen and what turns the direction of a line."""
    line = " ".join(visible(text[: most * 4]).split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


class Links:
    """Addresses, their beginnings kept once: most differ in a number at the end only. `size`: of those, in bytes."""

    def __init__(self) -> None:
        self._bases: dict[str, int] = {}
        self.size = 0

    def of(self, address: str | None) -> Link:
        """A link; nothing for what is no address that a reader may follow."""
        if not address or len(address) > _LONGEST_ADDRESS or not _usable(address):
            return None
        base, slash, rest = address.rpartition("/")
        if (beginning := base + slash) not in self._bases:
            self._bases[beginning] = len(self._bases)
            self.size += len(beginning) + 3
        return (self._bases[beginning], rest)

    @property
    def bases(self) -> list[str]:
        return list(self._bases)


def _usable(address: str) -> bool:
    try:
        return urlsplit(address).scheme in ("http", "https")
    except ValueError:
        return False


_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def embedded(json: bytes) -> str:
    """JSON that nothing in it can end before its end: neither `</script>` nor `<!--` nor a line separator."""
    return json.decode().translate(_ESCAPES)

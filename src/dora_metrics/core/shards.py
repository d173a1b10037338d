"""Shards: parts of many repositories, each of which a sync of its own reads into a ledger of its own."""

import hashlib
import re

from msgspec import Struct

MAX_SHARDS = 1_000
"""More than that would have fewer repositories each than one ledger takes, in the largest organisations as well."""

_SHARD = re.compile(r"(\d{1,9})/(\d{1,9})", re.ASCII)


class Shard(Struct, frozen=True):
    """One of several shards: `number` is from 1 to `count`."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def holds(self, repository: str) -> bool:
        """Whether a repository, by its name `owner/name` in any letter case, is in this shard.

        The SHA-256 of the name decides. So each repository is in exactly one shard, stays there whatever repositories
        come and go, and any program on any machine finds it there. Shards by places in a list would move repositories
        whenever one is added, and Python's own `hash` differs in each process.
        """
        digest = hashlib.sha256(repository.lower().encode()).hexdigest()
        return int(digest, 16) % self.count == self.number - 1


def parse_shard(text: str) -> Shard:
    """Parse a shard such as `3/10`.

    Raises:
        ValueError: if it is not valid, with what is wrong and what to write.
    """
    match = _SHARD.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a shard; write its number and how many there are, such as 3/10")
    number, count = int(match[1]), int(match[2])
    if not 1 <= count <= MAX_SHARDS:
        raise ValueError(f"{text!r} is not a shard: there can be 1 to {MAX_SHARDS:,} shards")
    if not 1 <= number <= count:
        raise ValueError(f"{text!r} is not a shard: the shards of {count:,} have the numbers 1 to {count:,}")
    return Shard(number, count)

"""How long a sink may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """Seconds to connect, seconds for an answer, tries; seconds before the second try, then doubled."""

    connect_seconds: float = 5
    read_seconds: float = 10
    tries: int = 3
    pause_seconds: float = 1

    @property
    def in_words(self) -> str:
        return f"{self.tries} tries of {self.read_seconds:g} s"

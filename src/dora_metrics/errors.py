"""Exception types. A message says what happened, the usual cause and what to do.

DoraError
├── SettingsError          inputs, flags or the config file are wrong (exit 2)
├── UnreadSettingsError    GitHub does not show the config file; the run ends and has recorded nothing
├── FactsError             a facts file is wrong (exit 2)
├── GitError               a git repository cannot be read (exit 2)
├── EventError             the event cannot be read; the run goes on without it
└── LedgerError            the ledger cannot be read or written; the run goes on without it

CancelledError is none of them: the process was told to end (exit 130 or 143).
"""

from collections.abc import Sequence


class DoraError(Exception):
    """Base class. `problems` holds one message per problem; the text of the exception has one per line."""

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class SettingsError(DoraError):
    """An input, a flag or a line of the config file cannot be used."""


class UnreadSettingsError(DoraError):
    """GitHub does not show the config file, so the run's settings are unknown.

    Two problems: what happened, and what to do about it.
    """


class FactsError(DoraError):
    """A facts file holds lines that are not valid facts. Each problem reads `file:line: what`."""


class GitError(DoraError):
    """A git repository cannot be read."""


class EventError(DoraError):
    """The event that started the run cannot be read."""


class CancelledError(BaseException):
    """The process was told to end, as a cancelled job is: by SIGINT or SIGTERM, at any point of its work."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit_code = 128 + signal_number


class LedgerError(DoraError):
    """The ledger cannot be read or written."""

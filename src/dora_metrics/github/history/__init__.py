"""GitHub's past: deployments, releases, runs, merged pull requests, commits and incidents that no event told of.

Few requests: the first asks for the newest of every kind; what is older comes by the hundred, the kinds side by side.
Everything goes through the mappers of the events, so that the past and its events are the same facts.
"""

from dora_metrics.github.history.pages import (
    GatheredHistory,
    HistoryPart,
    HistoryRequest,
    PartOrFailure,
    ReadFailure,
    RefusedAlerts,
)
from dora_metrics.github.history.read import read_history

__all__ = [
    "GatheredHistory",
    "HistoryPart",
    "HistoryRequest",
    "PartOrFailure",
    "ReadFailure",
    "RefusedAlerts",
    "read_history",
]

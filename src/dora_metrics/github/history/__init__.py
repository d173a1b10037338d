"""GitHub's history: deployments, releases, runs, merged pull requests, commits, incidents and alerts.

The first request reads the newest items of every kind. Older ones are read by pages of 100, several kinds in parallel.
Everything goes through the mappers of the events, so that history and events give the same facts.
"""

from dora_metrics.github.history.pages import (
    GatheredHistory,
    HistoryPart,
    HistoryRequest,
    PartOrFailure,
    ReadFailure,
    RefusedAlerts,
    RepositoryInfo,
)
from dora_metrics.github.history.read import read_history, read_without_news

__all__ = [
    "GatheredHistory",
    "HistoryPart",
    "HistoryRequest",
    "PartOrFailure",
    "ReadFailure",
    "RefusedAlerts",
    "RepositoryInfo",
    "read_history",
    "read_without_news",
]

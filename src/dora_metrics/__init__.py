"""DORA metrics for GitHub repositories: facts in, metrics out."""

__version__ = "0.1.0"

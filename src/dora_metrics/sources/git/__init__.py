"""A git history as facts."""

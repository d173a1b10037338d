"""Where facts come from besides GitHub's events."""

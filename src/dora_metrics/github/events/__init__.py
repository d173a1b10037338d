"""The events of GitHub, mapped to facts."""

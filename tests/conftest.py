"""Hypothesis runs without a deadline, since a busy machine is no failure."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
if settings.get_current_profile_name() == "default":
    settings.load_profile("unhurried")

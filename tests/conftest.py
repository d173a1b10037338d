"""How properties are tried: without a deadline, since a machine that is busy breaks no law."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
if settings.get_current_profile_name() == "default":
    settings.load_profile("unhurried")

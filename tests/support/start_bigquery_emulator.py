"""Starts the emulator of BigQuery without its extension for geography, which it would download.

It runs in the environment of the emulator.
"""

import sys

from bqemulator import cli  # type: ignore[import-not-found] # it is in an environment of its own
from bqemulator.storage import engine  # type: ignore[import-not-found] # as above

for each in vars(engine).values():
    if isinstance(each, type) and hasattr(each, "_load_spatial"):
        each._load_spatial = lambda _: None  # noqa: SLF001 - there is no option for it

sys.exit(cli.main())

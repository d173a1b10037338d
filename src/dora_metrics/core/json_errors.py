"""What decoding JSON from outside may raise."""

from typing import Final

import msgspec

UNREADABLE_JSON: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""Another shape or no JSON, bytes that are not UTF-8, and nesting that is too deep."""

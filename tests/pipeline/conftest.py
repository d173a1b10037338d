"""A shop whose GitHub's clock stands still."""

from support.branch_shop import shop

__all__ = ["shop"]

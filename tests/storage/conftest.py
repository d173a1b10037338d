"""acme/shop on a fake GitHub whose clock stands still."""

from support.branch_shop import shop

__all__ = ["shop"]

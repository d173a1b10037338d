"""Repositories on a fake GitHub whose clock stands still."""

from support.branch_shop import shop
from support.organisation import acme
from support.sync_shop import sync_shop

__all__ = ["acme", "shop", "sync_shop"]

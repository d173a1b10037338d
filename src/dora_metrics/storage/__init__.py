"""Where a ledger lives. `core.ledger.layout` decides which files it holds; this package reads and writes them."""

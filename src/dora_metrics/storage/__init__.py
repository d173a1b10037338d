"""Where history is kept. A ledger is a set of files with a version; `core.ledger.layout` decides what is in them."""

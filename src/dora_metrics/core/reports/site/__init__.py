"""Files that the ledger publishes: the page, `history.json` and badges."""

"""What a ledger shows to people and other programs: the page, the weekly history, badges."""

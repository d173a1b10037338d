"""GitHub: what its events say, and later its history, its branches and its issues."""

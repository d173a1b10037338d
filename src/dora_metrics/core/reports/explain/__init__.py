"""Why one fact counts as it does: the chain of facts and rules behind it, as text (`compute --explain`)."""

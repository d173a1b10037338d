"""Which deployments failed, by which rule, and how each was recovered from."""

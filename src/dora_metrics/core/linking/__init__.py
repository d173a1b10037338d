"""Which deployments belong together, and which changes each of them delivered."""

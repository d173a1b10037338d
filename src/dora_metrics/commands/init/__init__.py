"""`dora-metrics init`: looks at a checkout, proposes how to record it, and writes what was agreed to."""

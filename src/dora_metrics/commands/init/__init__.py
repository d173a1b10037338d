"""`dora-metrics init`: looks at a checkout, proposes how to record its deployments, and writes the files on consent."""

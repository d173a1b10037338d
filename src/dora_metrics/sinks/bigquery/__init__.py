"""BigQuery: the rows of a warehouse by load jobs and MERGE, over its REST API without Google's library."""

"""Runs statements with Google's own client: reads one a line as JSON, answers with its rows. Not run by our Python.

Arguments: the address, the project, the dataset, and the file with the tables to create first.
"""

import json
import sys
from pathlib import Path

from google.auth.credentials import AnonymousCredentials  # type: ignore[import-untyped] # in an environment of its own
from google.cloud import bigquery  # type: ignore[import-untyped] # as above

address, project, dataset_name, tables_path = sys.argv[1:]
client = bigquery.Client(project, AnonymousCredentials(), client_options={"api_endpoint": address})
dataset = bigquery.Dataset(f"{project}.{dataset_name}")
dataset.location = "EU"
client.create_dataset(dataset, exists_ok=True)
for name, definition in json.loads(Path(tables_path).read_text("utf-8")).items():
    table = bigquery.Table(f"{project}.{dataset_name}.{name}", definition["schema"])
    table.clustering_fields = definition["clustering"]
    if definition["partition"]:
        table.time_partitioning = bigquery.TimePartitioning("MONTH", definition["partition"])
    client.create_table(table, exists_ok=True)
for line in sys.stdin:
    rows = [
        dict(row.items())
        for row in client.query(json.loads(line), location="EU", retry=None, job_retry=None).result(retry=None)
    ]
    sys.stdout.write(json.dumps(rows, default=str) + "\n")
    sys.stdout.flush()

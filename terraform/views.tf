# The views and table functions of sql/bigquery. Each file is one statement; Google's API takes the query within it.

locals {
  statements = {
    for file in fileset("${path.module}/../sql/bigquery", "*.sql") :
    trimsuffix(file, ".sql") => file("${path.module}/../sql/bigquery/${file}")
  }
  queries = {
    for name, statement in local.statements :
    name => replace(regex("(?s)\nAS \\(\n(.*)\n\\);", statement)[0], "$${dataset}", "${var.project}.${google_bigquery_dataset.dora.dataset_id}")
  }
  functions = toset([for name, statement in local.statements : name if strcontains(statement, "REPLACE TABLE FUNCTION")])
  views     = setsubtract(keys(local.statements), local.functions)
}

resource "google_bigquery_table" "view" {
  for_each = local.views

  project             = var.project
  dataset_id          = google_bigquery_dataset.dora.dataset_id
  table_id            = each.key
  deletion_protection = false

  view {
    query          = local.queries[each.key]
    use_legacy_sql = false
  }

  depends_on = [google_bigquery_table.table]
}

# metrics(from, to, now) and its siblings take a window.
resource "google_bigquery_routine" "function" {
  for_each = local.functions

  project         = var.project
  dataset_id      = google_bigquery_dataset.dora.dataset_id
  routine_id      = each.key
  routine_type    = "TABLE_VALUED_FUNCTION"
  language        = "SQL"
  definition_body = local.queries[each.key]

  dynamic "arguments" {
    for_each = ["from", "to", "now"]

    content {
      name      = arguments.value
      data_type = jsonencode({ typeKind = "TIMESTAMP" })
    }
  }

  depends_on = [google_bigquery_table.table]
}

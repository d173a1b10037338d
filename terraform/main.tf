# The dataset with its tables, and who may write and read. The views are in views.tf, and the login of GitHub Actions in identity.tf.

locals {
  tables = jsondecode(file("${path.module}/tables.json"))
}

resource "google_bigquery_dataset" "dora" {
  project                    = var.project
  dataset_id                 = var.dataset
  location                   = var.location
  description                = "DORA metrics of GitHub repositories, written by the action dora-metrics"
  delete_contents_on_destroy = false
  labels                     = var.labels
}

resource "google_bigquery_table" "table" {
  for_each = local.tables

  project             = var.project
  dataset_id          = google_bigquery_dataset.dora.dataset_id
  table_id            = each.key
  description         = each.value.description
  schema              = jsonencode(each.value.schema)
  clustering          = each.value.clustering
  deletion_protection = var.deletion_protection

  dynamic "time_partitioning" {
    for_each = each.value.partition == null ? [] : [each.value.partition]

    content {
      type  = "MONTH"
      field = time_partitioning.value
    }
  }
}

resource "google_service_account" "writer" {
  project      = var.project
  account_id   = var.writer_account
  display_name = "dora-metrics"
  description  = "Writes the tables of the dataset ${var.dataset}; used by GitHub Actions, without a key"
}

# The writer also creates the tables that it loads into (`…_incoming`), so it may edit the dataset, and nothing else.
resource "google_bigquery_dataset_iam_member" "writer" {
  project    = var.project
  dataset_id = google_bigquery_dataset.dora.dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.writer.member
}

resource "google_project_iam_member" "writer_jobs" {
  project = var.project
  role    = "roles/bigquery.jobUser"
  member  = google_service_account.writer.member
}

resource "google_bigquery_dataset_iam_member" "reader" {
  for_each = toset(var.readers)

  project    = var.project
  dataset_id = google_bigquery_dataset.dora.dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = each.value
}

resource "google_project_iam_member" "reader_jobs" {
  for_each = toset(var.readers)

  project = var.project
  role    = "roles/bigquery.jobUser"
  member  = each.value
}

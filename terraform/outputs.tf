output "dataset" {
  value       = "${var.project}.${google_bigquery_dataset.dora.dataset_id}"
  description = "The action's input `bigquery-dataset`."
}

output "location" {
  value       = google_bigquery_dataset.dora.location
  description = "The action's input `bigquery-location`."
}

output "service_account" {
  value       = google_service_account.writer.email
  description = "The input `service_account` of google-github-actions/auth."
}

output "workload_identity_provider" {
  value       = google_iam_workload_identity_pool_provider.github.name
  description = "The input `workload_identity_provider` of google-github-actions/auth."
}

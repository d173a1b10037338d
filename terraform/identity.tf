# GitHub Actions logs in with the token that GitHub makes for each job (OIDC), so there is no key that could leak.

locals {
  is_owner = "assertion.repository_owner_id == '${var.github_owner_id}'"
  is_ref   = var.github_ref == "" ? [] : ["assertion.ref == '${var.github_ref}'"]
}

resource "google_iam_workload_identity_pool" "github" {
  project                   = var.project
  workload_identity_pool_id = var.pool
  display_name              = "GitHub Actions"
  description               = "Workflows that write DORA metrics"
}

resource "google_iam_workload_identity_pool_provider" "github" {
  project                            = var.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub Actions"
  attribute_condition                = join(" && ", concat([local.is_owner], local.is_ref))

  attribute_mapping = {
    "google.subject"       = "assertion.sub"
    "attribute.repository" = "assertion.repository"
  }

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account_iam_member" "github" {
  for_each = toset(var.github_repositories)

  service_account_id = google_service_account.writer.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github.name}/attribute.repository/${each.value}"
}

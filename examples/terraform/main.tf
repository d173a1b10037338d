# BigQuery for DORA metrics. Instructions: docs/warehouse.md

terraform {
  required_version = ">= 1.5"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.0"
    }
  }
}

provider "google" {
  project = "acme-metrics"
}

module "dora" {
  source = "github.com/OWNER/dora-metrics//terraform?ref=main"

  project             = "acme-metrics"
  location            = "EU"
  github_owner_id     = "9919" # gh api users/acme --jq .id
  github_repositories = ["acme/metrics"]
  readers             = ["group:engineering@example.com"]
}

# The variables of the workflow (examples/bigquery.yml), in upper case: terraform output
output "workflow" {
  value = {
    dora_dataset           = module.dora.dataset
    dora_location          = module.dora.location
    dora_service_account   = module.dora.service_account
    dora_identity_provider = module.dora.workload_identity_provider
  }
}

variable "project" {
  type        = string
  description = "Id of the Google Cloud project, such as `acme-metrics`."
}

variable "dataset" {
  type        = string
  default     = "dora"
  description = "Name of the BigQuery dataset that is created."

  validation {
    condition     = can(regex("^[A-Za-z0-9_]+$", var.dataset))
    error_message = "The name of a dataset has letters, digits and underscores only."
  }
}

variable "location" {
  type        = string
  default     = "EU"
  description = "Where BigQuery stores the data. It cannot be changed later. The action needs the same value as `bigquery-location`."
}

variable "github_owner_id" {
  type        = string
  description = "Numeric id of the GitHub organisation or user: `gh api users/NAME --jq .id`. A name can be taken over, an id cannot."

  validation {
    condition     = can(regex("^[0-9]+$", var.github_owner_id))
    error_message = "Write the numeric id, not the name: gh api users/NAME --jq .id."
  }
}

variable "github_repositories" {
  type        = list(string)
  description = "Repositories whose workflows may write, as `owner/name` in the same upper and lower case as on GitHub."

  validation {
    condition     = length(var.github_repositories) > 0 && alltrue([for name in var.github_repositories : can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", name))])
    error_message = "Name at least one repository, each as owner/name."
  }
}

variable "github_ref" {
  type        = string
  default     = "refs/heads/main"
  description = "The git ref on which a workflow must run to write, so that no branch of a colleague can. An empty text allows every ref."

  validation {
    condition     = can(regex("^(refs/[^'\\\\]+)?$", var.github_ref))
    error_message = "Write a full ref, such as refs/heads/main, or an empty text."
  }
}

variable "writer_account" {
  type        = string
  default     = "dora-metrics"
  description = "Name of the service account that the action uses."
}

variable "pool" {
  type        = string
  default     = "dora-metrics"
  description = "Name of the workload identity pool that trusts GitHub Actions."
}

variable "readers" {
  type        = list(string)
  default     = []
  description = "Who may query, such as `group:engineering@example.com` or the service account of a Grafana."
}

variable "labels" {
  type        = map(string)
  default     = {}
  description = "Labels of the dataset."
}

variable "deletion_protection" {
  type        = bool
  default     = true
  description = "Whether Terraform refuses to delete the tables. To delete them, set `false` and apply, then destroy."
}

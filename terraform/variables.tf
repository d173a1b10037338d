variable "project" {
  type        = string
  description = "Id of the Google Cloud project, such as `acme-metrics`."

  validation {
    condition     = can(regex("^([a-z][a-z0-9-]{4,28}|[a-z0-9.-]+:[a-z][a-z0-9-]*)[a-z0-9]\\z", var.project))
    error_message = "Write the id of the project: 6 to 30 lower-case letters, digits and hyphens. It is not the project's name or number."
  }
}

variable "dataset" {
  type        = string
  default     = "dora"
  description = "Name of the BigQuery dataset that is created."

  validation {
    condition     = can(regex("^[A-Za-z0-9_]+\\z", var.dataset))
    error_message = "The name of a dataset has letters, digits and underscores only."
  }
}

variable "location" {
  type        = string
  default     = "EU"
  description = "Where BigQuery stores the data. It cannot be changed later. The action needs the same value as `bigquery-location`."

  validation {
    condition     = can(regex("^[A-Za-z]+(-[a-z0-9]+)*\\z", var.location))
    error_message = "Write a location of BigQuery, such as EU, US or europe-west3."
  }
}

variable "github_owner_id" {
  type        = string
  description = "Numeric id of the GitHub organisation or user: `gh api users/NAME --jq .id`. A name can be taken over, an id cannot."

  validation {
    condition     = can(regex("^[1-9][0-9]*\\z", var.github_owner_id))
    error_message = "Write the numeric id, not the name: gh api users/NAME --jq .id."
  }
}

variable "github_repositories" {
  type        = list(string)
  description = "Repositories whose workflows may write, as `owner/name` in the same upper and lower case as on GitHub."

  validation {
    condition     = try(length(var.github_repositories) > 0 && alltrue([for name in var.github_repositories : can(regex("^[A-Za-z0-9_-]+/[A-Za-z0-9._-]+\\z", name)) && !can(regex("/[.]{1,2}\\z", name))]), false)
    error_message = "Name at least one repository, each as owner/name."
  }
}

variable "github_ref" {
  type        = string
  default     = "refs/heads/main"
  description = "The git ref on which a workflow must run to write, so that no branch of a colleague can. An empty text allows every ref."

  validation {
    condition     = can(regex("^(refs/[^'\\\\[:space:][:cntrl:]]+)?\\z", var.github_ref))
    error_message = "Write a full ref, such as refs/heads/main, or an empty text."
  }
}

variable "writer_account" {
  type        = string
  default     = "dora-metrics"
  description = "Name of the service account that the action uses."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]\\z", var.writer_account))
    error_message = "The name of a service account has 6 to 30 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "pool" {
  type        = string
  default     = "dora-metrics"
  description = "Name of the workload identity pool that trusts GitHub Actions."

  validation {
    condition     = can(regex("^[a-z0-9-]{4,32}\\z", var.pool)) && !startswith(coalesce(var.pool, "gcp-"), "gcp-")
    error_message = "The name of a pool has 4 to 32 lower-case letters, digits and hyphens, and does not begin with gcp-."
  }
}

variable "readers" {
  type        = list(string)
  default     = []
  description = "Who may query, such as `group:engineering@example.com` or the service account of a Grafana."

  validation {
    condition     = try(alltrue([for reader in var.readers : can(regex("^((user|group|serviceAccount|domain):|(principal|principalSet)://)[^[:space:][:cntrl:]]+\\z", reader))]), false)
    error_message = "Write each reader with its kind, such as group:engineering@example.com. Everybody (allUsers, allAuthenticatedUsers) cannot be a reader."
  }
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

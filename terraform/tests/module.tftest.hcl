# Run by `terraform test`. The provider is mocked: nothing is created, and no account is needed.

mock_provider "google" {
  mock_resource "google_service_account" {
    defaults = {
      name   = "projects/acme-metrics/serviceAccounts/dora-metrics@acme-metrics.iam.gserviceaccount.com"
      email  = "dora-metrics@acme-metrics.iam.gserviceaccount.com"
      member = "serviceAccount:dora-metrics@acme-metrics.iam.gserviceaccount.com"
    }
  }

  mock_resource "google_iam_workload_identity_pool" {
    defaults = {
      name = "projects/1/locations/global/workloadIdentityPools/dora-metrics"
    }
  }
}

variables {
  project             = "acme-metrics"
  github_owner_id     = "9919"
  github_repositories = ["acme/metrics"]
}

run "every_table_has_its_key_and_partition" {
  assert {
    condition     = toset(keys(google_bigquery_table.table)) == toset(keys(jsondecode(file("tables.json"))))
    error_message = "The tables are not those of tables.json."
  }

  assert {
    condition     = google_bigquery_table.table["deployments"].time_partitioning[0].type == "MONTH" && google_bigquery_table.table["deployments"].time_partitioning[0].field == "finished_at"
    error_message = "Deployments are not partitioned by the month in which they finished."
  }

  assert {
    condition     = length(google_bigquery_table.table["scopes"].time_partitioning) == 0
    error_message = "A table without a defining time must not be partitioned."
  }

  assert {
    condition     = alltrue([for table in google_bigquery_table.table : table.deletion_protection])
    error_message = "Tables must be protected unless somebody says otherwise."
  }
}

run "every_view_and_function_reads_this_dataset" {
  assert {
    condition     = toset(keys(google_bigquery_table.view)) == toset(["failures", "metrics_30d", "metrics_weekly", "open_incidents"])
    error_message = "The views are not those of sql/bigquery."
  }

  assert {
    condition     = toset(keys(google_bigquery_routine.function)) == toset(["metrics", "metrics_by_team", "metrics_by_week", "metrics_pooled"])
    error_message = "The table functions are not those of sql/bigquery."
  }

  assert {
    condition     = alltrue([for view in google_bigquery_table.view : strcontains(view.view[0].query, "`acme-metrics.dora.") && !strcontains(view.view[0].query, "$${")])
    error_message = "A view reads another dataset."
  }

  assert {
    condition     = alltrue([for function in google_bigquery_routine.function : strcontains(function.definition_body, "`acme-metrics.dora.deployments`") && !strcontains(function.definition_body, ";")])
    error_message = "A table function reads another dataset, or is more than a query."
  }

  assert {
    condition     = [for argument in google_bigquery_routine.function["metrics"].arguments : argument.name] == ["from", "to", "now"]
    error_message = "A table function has other arguments than a window and the present."
  }
}

run "only_the_named_repository_on_its_ref_may_write" {
  assert {
    condition     = google_iam_workload_identity_pool_provider.github.attribute_condition == "assertion.repository_owner_id == '9919' && assertion.ref == 'refs/heads/main'"
    error_message = "The provider trusts more than the owner's workflows on the default branch."
  }

  assert {
    condition     = [for each in google_service_account_iam_member.github : each.member] == ["principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/dora-metrics/attribute.repository/acme/metrics"]
    error_message = "Another repository may use the service account."
  }

  assert {
    condition     = google_bigquery_dataset_iam_member.writer.role == "roles/bigquery.dataEditor" && google_project_iam_member.writer_jobs.role == "roles/bigquery.jobUser"
    error_message = "The writer has other roles than it needs."
  }
}

run "any_ref_only_if_asked_for" {
  variables {
    github_ref = ""
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.github.attribute_condition == "assertion.repository_owner_id == '9919'"
    error_message = "An empty ref must not restrict."
  }
}

run "readers_may_query_and_not_write" {
  variables {
    readers = ["group:engineering@example.com"]
  }

  assert {
    condition     = [for each in google_bigquery_dataset_iam_member.reader : each.role] == ["roles/bigquery.dataViewer"]
    error_message = "A reader has another role on the dataset."
  }

  assert {
    condition     = [for each in google_project_iam_member.reader_jobs : each.role] == ["roles/bigquery.jobUser"]
    error_message = "A reader cannot run queries, or may do more in the project."
  }
}

run "names_that_cannot_be_right_are_refused" {
  command = plan

  variables {
    project             = "Acme metrics"
    dataset             = "acme.dora"
    location            = ""
    github_owner_id     = "acme"
    github_repositories = ["metrics"]
    github_ref          = "main"
    writer_account      = "Bad Name!"
    pool                = "gcp-dora"
    readers             = ["alice@example.com"]
  }

  expect_failures = [
    var.project,
    var.dataset,
    var.location,
    var.github_owner_id,
    var.github_repositories,
    var.github_ref,
    var.writer_account,
    var.pool,
    var.readers,
  ]
}

run "a_text_that_would_widen_the_condition_is_refused" {
  command = plan

  variables {
    github_ref = "refs/heads/main'||'a'=='a"
  }

  expect_failures = [var.github_ref]
}

run "a_line_break_at_the_end_is_refused" {
  command = plan

  variables {
    project             = "acme-metrics\n"
    dataset             = "dora\n"
    location            = "EU\n"
    github_owner_id     = "9919\n"
    github_repositories = ["acme/metrics\n"]
    github_ref          = "refs/heads/main\n"
    writer_account      = "dora-metrics\n"
    pool                = "dora-metrics\n"
    readers             = ["group:engineering@example.com\n"]
  }

  expect_failures = [
    var.project,
    var.dataset,
    var.location,
    var.github_owner_id,
    var.github_repositories,
    var.github_ref,
    var.writer_account,
    var.pool,
    var.readers,
  ]
}

run "everybody_is_no_reader" {
  command = plan

  variables {
    readers = ["group:engineering@example.com", "allUsers"]
  }

  expect_failures = [var.readers]
}

run "everybody_with_an_account_is_no_reader" {
  command = plan

  variables {
    readers = ["allAuthenticatedUsers"]
  }

  expect_failures = [var.readers]
}

run "every_kind_of_reader_is_accepted" {
  command = plan

  variables {
    readers = [
      "user:alice@example.com",
      "serviceAccount:grafana@acme-metrics.iam.gserviceaccount.com",
      "domain:example.com",
      "principal://iam.googleapis.com/locations/global/workforcePools/acme/subject/alice",
      "principalSet://iam.googleapis.com/locations/global/workforcePools/acme/*",
    ]
  }

  assert {
    condition     = length(google_bigquery_dataset_iam_member.reader) == 5
    error_message = "A reader that Google knows is refused."
  }
}

run "a_folder_above_is_no_repository" {
  command = plan

  variables {
    github_repositories = ["acme/.."]
  }

  expect_failures = [var.github_repositories]
}

run "no_repositories_are_refused" {
  command = plan

  variables {
    github_repositories = null
  }

  expect_failures = [var.github_repositories]
}

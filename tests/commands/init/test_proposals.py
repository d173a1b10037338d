"""What `init` proposes for a checkout, and why: the source that `deployment-source: auto` would use."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dora_metrics.commands.init.findings import GitHubDeployment, GitHubFindings
from support.checkouts import CI_WORKFLOW, DEPLOY_WORKFLOW, RELEASE_WORKFLOW, Checkout, workflow

DEPLOY_FILE, RELEASE_FILE = ".github/workflows/deploy.yml", ".github/workflows/release.yml"


def test_a_job_with_a_production_environment_is_a_deployment(tmp_path: Path) -> None:
    found = Checkout.create(
        tmp_path, {DEPLOY_FILE: DEPLOY_WORKFLOW, ".github/workflows/ci.yml": CI_WORKFLOW}
    ).proposal()
    assert found.sources == ("deployments",)
    assert found.source_reasons == (".github/workflows/deploy.yml:10: job deploy has `environment: production`",)
    assert found.triggers.workflows == ("Ship it",)
    assert not found.triggers.deployment_status
    assert found.production_environments == ("production",)


def test_an_environment_without_a_deployment_is_none(tmp_path: Path) -> None:
    quiet = DEPLOY_WORKFLOW.replace("url: https://shop.example", "deployment: false").replace("Ship", "Deploy")
    assert Checkout.create(tmp_path, {DEPLOY_FILE: quiet}).proposal().sources == ("workflow-runs",)


def test_a_workflow_that_only_uses_an_environment_is_advised_to_make_no_deployment(tmp_path: Path) -> None:
    drift_file = ".github/workflows/drift.yml"
    drift = workflow("Nightly drift", check={"environment": "production", "steps": [{"run": "terraform plan"}]})
    deploy = DEPLOY_WORKFLOW.replace("Ship it", "Deploy")
    found = Checkout.create(tmp_path, {DEPLOY_FILE: deploy, drift_file: drift}).proposal()
    assert found.triggers.workflows == ("Deploy",)
    (note,) = [note for note in found.notes if drift_file in note]
    assert "`environment: {name: production, deployment: false}`" in note


def test_a_workflow_that_publishes_releases_makes_releases_the_deployments(tmp_path: Path) -> None:
    found = Checkout.create(tmp_path, {RELEASE_FILE: RELEASE_WORKFLOW}).proposal()
    assert found.sources == ("releases",)
    assert found.source_reasons == (
        ".github/workflows/release.yml:7: job release-please uses googleapis/release-please-action",
    )
    assert found.triggers.workflows == ("Release please",)
    assert found.triggers.release


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("gh release create v1", "gh release create"),
        ("npx semantic-release", "semantic-release"),
        ("set -e\ngoreleaser release --clean", "goreleaser release"),
    ],
)
def test_a_command_that_publishes_a_release_counts_as_well(tmp_path: Path, command: str, told: str) -> None:
    found = Checkout.create(tmp_path, {RELEASE_FILE: workflow("Out", go={"steps": [{"run": command}]})}).proposal()
    assert found.sources == ("releases",)
    assert found.source_reasons[0].endswith(f": job go runs {told}")


def test_a_composite_action_of_the_checkout_that_publishes_counts_as_well(tmp_path: Path) -> None:
    action = "runs: {using: composite, steps: [{run: gh release create v1, shell: bash}]}"
    files = {
        RELEASE_FILE: workflow("Out", go={"steps": [{"uses": "./.github/actions/publish"}]}),
        ".github/actions/publish/action.yml": action,
    }
    found = Checkout.create(tmp_path, files).proposal()
    assert found.source_reasons[0].endswith("job go uses ./.github/actions/publish, which runs gh release create")


def test_tags_that_look_like_versions_are_taken_for_releases_where_nobody_can_be_asked(tmp_path: Path) -> None:
    checkout = Checkout.create(tmp_path, tags=["v1.9.0", "v1.10.0", "nightly"])
    assert checkout.proposal().source_reasons == ("2 tags look like versions; the newest is v1.10.0",)
    assert checkout.proposal(GitHubFindings()).sources == ("pushes",)


def test_a_workflow_named_like_deploy_is_watched(tmp_path: Path) -> None:
    found = Checkout.create(tmp_path, {DEPLOY_FILE: workflow("Deploy it", go={"steps": [{"run": "x"}]})}).proposal()
    assert found.sources == ("workflow-runs",)
    assert found.triggers.workflows == ("Deploy it",)


@pytest.mark.parametrize(("days", "source"), [(179, "releases"), (181, "pushes")])
def test_tags_count_only_while_the_default_branch_has_not_left_them_behind(
    tmp_path: Path, days: int, source: str
) -> None:
    checkout = Checkout.create(tmp_path, tags=["v1.9.0"])
    last = datetime.now(UTC) + timedelta(days=days, hours=-1)
    checkout.git("commit", "--quiet", "--allow-empty", "--message=Later", GIT_COMMITTER_DATE=last.isoformat())
    assert checkout.proposal().sources == (source,)


def test_tags_that_are_prereleases_or_builds_of_pull_requests_are_no_releases(tmp_path: Path) -> None:
    checkout = Checkout.create(tmp_path, tags=["v1.9.0-rc.1", "pr-12", "nightly-20261120"])
    assert checkout.proposal().sources == ("pushes",)


def test_without_anything_merges_are_deployments_and_the_reason_says_what_was_looked_for(tmp_path: Path) -> None:
    found = Checkout.create(tmp_path, {".github/workflows/ci.yml": CI_WORKFLOW}).proposal()
    assert (found.sources, found.triggers.push_branch) == (("pushes",), "main")
    assert found.source_reasons[0].startswith("no job has a production `environment:`")


@pytest.mark.parametrize("api", ["argoproj.io/v1alpha1", "kustomize.toolkit.fluxcd.io/v1"])
def test_what_a_controller_takes_from_the_branch_is_named(tmp_path: Path, api: str) -> None:
    found = Checkout.create(tmp_path, {"apps/shop.yaml": f"apiVersion: {api}\nkind: Application\n"}).proposal()
    assert found.sources == ("pushes",)
    assert found.source_reasons[0] == f"apps/shop.yaml:1: `apiVersion: {api}`: a controller deploys what is merged"
    assert any("repository_dispatch" in note for note in found.notes)


def test_a_better_source_wins_over_a_lesser_one(tmp_path: Path) -> None:
    files = {DEPLOY_FILE: DEPLOY_WORKFLOW, RELEASE_FILE: RELEASE_WORKFLOW}
    found = Checkout.create(tmp_path, files, tags=["v1.0.0"]).proposal()
    assert found.sources == ("deployments",)
    assert found.triggers.workflows == ("Ship it",)


# --- Environments ---


@pytest.mark.parametrize("name", ["eu-production", "Production EU", "aws prod", "live-2"])
def test_production_is_known_by_a_word_of_its_name(tmp_path: Path, name: str) -> None:
    found = Checkout.create(tmp_path, {DEPLOY_FILE: workflow("Go", go={"environment": name})}).proposal()
    assert found.production_environments == (name,)


@pytest.mark.parametrize(
    "name", ["staging", "pre-prod", "non-production", "github-pages", "delivery", "qa-live", "prod-plan"]
)
def test_what_is_called_otherwise_is_not_production(tmp_path: Path, name: str) -> None:
    found = Checkout.create(tmp_path, {".github/workflows/x.yml": workflow("Go", go={"environment": name})}).proposal()
    assert found.sources == ("pushes",)


def test_names_that_the_default_does_not_cover_become_a_setting(tmp_path: Path) -> None:
    jobs = {"eu": {"environment": "prod-eu"}, "us": {"environment": "box-us"}}
    files = {
        DEPLOY_FILE: workflow("Go", **jobs),
        ".github/dora.yml": "production-environments: [prod, box]",
    }
    found = Checkout.create(tmp_path, files).proposal()
    assert {one.name: one.value for one in found.settings} == {
        "deployment-source": "deployments",
        "production-environments": ["prod-eu", "box-us"],
    }


def test_environments_that_are_not_production_are_named_with_the_setting(tmp_path: Path) -> None:
    jobs = {"eu": {"environment": "box-eu"}, "plan": {"environment": "prod-plan"}}
    found = Checkout.create(tmp_path, {DEPLOY_FILE: workflow("Go", **jobs)}).proposal()
    (note,) = (note for note in found.notes if "production-environments" in note)
    assert "box-eu, prod-plan" in note


def test_an_environment_that_a_called_workflow_is_given_is_the_callers(tmp_path: Path) -> None:
    called = """
on: {workflow_call: {inputs: {where: {type: string, default: staging}}}}
jobs: {deploy: {environment: "${{ inputs.where }}", runs-on: x, steps: [{run: x}]}}
"""
    caller = workflow("Out", go={"uses": "./.github/workflows/_called.yml", "with": {"where": "production"}})
    files = {".github/workflows/_called.yml": called, ".github/workflows/out.yml": caller}
    found = Checkout.create(tmp_path, files).proposal()
    assert found.triggers.workflows == ("Out",)
    assert found.source_reasons == (
        ".github/workflows/out.yml:3: job go has `environment: production`, through .github/workflows/_called.yml",
    )


@pytest.mark.parametrize(
    ("job", "environments"),
    [
        ({"environment": "${{ matrix.to }}", "strategy": {"matrix": {"to": ["staging", "prod-eu"]}}}, ("prod-eu",)),
        (
            {"environment": "${{ matrix.to }}", "strategy": {"matrix": {"include": [{"to": "prod-us"}]}}},
            ("prod-us",),
        ),
        (
            {"environment": "prod-${{ matrix.at }}", "strategy": {"matrix": {"at": ["eu", "us"]}}},
            ("prod-eu", "prod-us"),
        ),
        ({"environment": "${{ github.ref == 'refs/heads/main' && 'production' || 'staging' }}"}, ("production",)),
        ({"environment": "${{ inputs.to || 'live' }}"}, ("live",)),
    ],
)
def test_an_expression_is_read_as_far_as_the_file_says(
    tmp_path: Path, job: dict[str, object], environments: tuple[str, ...]
) -> None:
    found = Checkout.create(tmp_path, {DEPLOY_FILE: workflow("Go", go=job)}).proposal()
    assert found.production_environments == environments
    assert all("may have" in line or len(environments) == 1 for line in found.source_reasons)


def test_the_choices_of_a_manual_run_are_read(tmp_path: Path) -> None:
    manual = """
name: Manual
on: {workflow_dispatch: {inputs: {to: {type: choice, options: [staging, production]}}}}
jobs: {go: {environment: "${{ github.event.inputs.to }}", runs-on: x, steps: [{run: x}]}}
"""
    found = Checkout.create(tmp_path, {".github/workflows/manual.yml": manual}).proposal()
    assert found.source_reasons == (".github/workflows/manual.yml:4: job go may have `environment: production`",)


def test_a_workflow_for_pull_requests_only_deploys_nothing(tmp_path: Path) -> None:
    preview = DEPLOY_WORKFLOW.replace("on: {push: {branches: [main]}}", "on: pull_request")
    assert Checkout.create(tmp_path, {DEPLOY_FILE: preview}).proposal().sources == ("pushes",)


MERGE_WORKFLOW = """\
name: Ship it
on: {pull_request: {types: [closed], branches: [main]}}
jobs:
  deploy:
    if: github.event.pull_request.merged
    environment: production
    runs-on: ubuntu-latest
    steps: [{run: ./deploy}]
"""


@pytest.mark.parametrize(
    "on",
    [
        "{pull_request: {types: [closed], branches: [main]}}",
        "{pull_request: {types: closed}}",
        "{pull_request_target: {types: [labeled, closed]}}",
        "{pull_request: {types: [closed]}, workflow_dispatch: }",
    ],
)
def test_a_workflow_for_merged_pull_requests_deploys_and_its_runs_are_listened_to(tmp_path: Path, on: str) -> None:
    at_merges = MERGE_WORKFLOW.replace("{pull_request: {types: [closed], branches: [main]}}", on)
    found = Checkout.create(tmp_path, {DEPLOY_FILE: at_merges}).proposal()
    assert found.sources == ("deployments",)
    assert found.source_reasons == (".github/workflows/deploy.yml:6: job deploy has `environment: production`",)
    assert found.triggers.workflows == ("Ship it",)
    assert not found.triggers.has_pull_request_runs
    advice = "do not count; call the action in this job with `environment: production`"
    job = ".github/workflows/deploy.yml:6: job deploy"
    assert f"{job} runs for pull requests, and GitHub deployments by such runs {advice}" in found.notes


def test_beside_another_watched_workflow_merges_are_let_through_by_their_name(tmp_path: Path) -> None:
    both = DEPLOY_WORKFLOW.replace("on: {push: {branches: [main]}}", "on: [push, pull_request]").replace(
        "Ship it", "Other"
    )
    files = {DEPLOY_FILE: MERGE_WORKFLOW, ".github/workflows/other.yml": both}
    when = Checkout.create(tmp_path, files).proposal().triggers
    assert when.workflows == ("Ship it", "Other")
    assert (when.has_pull_request_runs, when.merge_workflows) == (True, ("Ship it",))


def test_a_release_that_a_merge_publishes_is_listened_to(tmp_path: Path) -> None:
    at_merges = RELEASE_WORKFLOW.replace("on: {push: {branches: [main]}}", "on: {pull_request: {types: [closed]}}")
    found = Checkout.create(tmp_path, {RELEASE_FILE: at_merges}).proposal()
    assert (found.sources, found.triggers.workflows, found.triggers.has_pull_request_runs) == (
        ("releases",),
        ("Release please",),
        False,
    )


def test_runs_for_pull_requests_are_no_deployments_by_their_name(tmp_path: Path) -> None:
    closing = MERGE_WORKFLOW.replace("    environment: production\n", "").replace("Ship", "Deploy")
    found = Checkout.create(tmp_path, {DEPLOY_FILE: closing}).proposal()
    assert found.sources == ("pushes",)
    assert any("if it deploys, call the action there with `environment: production`" in note for note in found.notes)


def test_runs_of_a_watched_workflow_for_pull_requests_start_none_of_ours(tmp_path: Path) -> None:
    both = DEPLOY_WORKFLOW.replace("on: {push: {branches: [main]}}", "on: [push, pull_request]")
    assert Checkout.create(tmp_path, {DEPLOY_FILE: both}).proposal().triggers.has_pull_request_runs


# --- What GitHub reports ---


def test_deployments_by_another_service_are_listened_to(tmp_path: Path) -> None:
    github = GitHubFindings(deployments=(GitHubDeployment("Production", "2026-11-20", "vercel"),))
    found = Checkout.create(tmp_path).proposal(github)
    assert found.sources == ("deployments",)
    assert found.triggers.deployment_status
    assert found.source_reasons == (
        "GitHub has 1 deployment to Production among its newest 100, the last on 2026-11-20",
    )


def test_deployments_by_actions_are_looked_for_when_the_workflow_ends(tmp_path: Path) -> None:
    github = GitHubFindings(deployments=(GitHubDeployment("production", "2026-11-20", "github-actions"),))
    found = Checkout.create(tmp_path, {DEPLOY_FILE: DEPLOY_WORKFLOW}).proposal(github)
    assert found.triggers.workflows == ("Ship it",)
    assert not found.triggers.deployment_status


def test_deployments_by_actions_that_no_workflow_here_names_are_found_at_night_and_that_is_said(tmp_path: Path) -> None:
    github = GitHubFindings(deployments=(GitHubDeployment("production", "2026-11-20", "github-actions"),))
    found = Checkout.create(tmp_path).proposal(github)
    assert (found.triggers.workflows, found.triggers.deployment_status) == ((), False)
    assert (
        "No workflow here names the environment that Actions deploys to; the nightly run finds those deployments"
        in (found.notes)
    )


@pytest.mark.parametrize(
    ("labels", "taken"),
    [
        ((), ("incident",)),
        (("Incident",), ("incident",)),
        (("sev1", "outage", "incident"), ("incident", "sev1", "outage")),
        (("type: incident", "not an incident", "Sev-2"), ("type: incident", "Sev-2")),
        (("severity:1", "several"), ("severity:1",)),
        (("incident", "incident/postmortem", "incident post-mortem"), ("incident",)),
        (("incident ${{ x }}", "incident\x1b[31m"), ("incident",)),
    ],
)
def test_labels_of_incidents_are_those_that_exist(
    tmp_path: Path, labels: tuple[str, ...], taken: tuple[str, ...]
) -> None:
    found = Checkout.create(tmp_path).proposal(GitHubFindings(labels=labels))
    assert found.incident_labels == taken


def test_labels_of_hotfixes_are_proposed_where_they_have_another_name(tmp_path: Path) -> None:
    checkout = Checkout.create(tmp_path)
    named = checkout.proposal(GitHubFindings(labels=("hotfix",))).settings
    assert [one.name for one in named] == ["deployment-source"]
    other = checkout.proposal(GitHubFindings(labels=("type/hotfix",))).settings
    assert ("hotfix-labels", ["type/hotfix"]) in [(one.name, one.value) for one in other]


def test_a_repository_without_issues_gets_no_form_and_no_event_for_them(tmp_path: Path) -> None:
    found = Checkout.create(tmp_path).proposal(GitHubFindings(has_issues=False))
    assert not found.has_incident_form
    assert not found.triggers.issues
    assert found.report is None


# --- The default branch ---


def with_branches(checkout: Checkout, *names: str) -> Checkout:
    """The checkout with these branches at origin and another one checked out."""
    for name in names:
        checkout.git("update-ref", f"refs/remotes/origin/{name}", "HEAD")
    checkout.git("checkout", "--quiet", "-b", "feature")
    return checkout


def uncertain_settings(checkout: Checkout, github: GitHubFindings | None = None) -> list[str]:
    return [note for note in checkout.proposal(github).notes if "git remote set-head origin --auto" in note]


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (("main", "feature"), "main"),
        (("master", "x"), "master"),
        (("main", "master"), "feature"),
        (("trunk",), "feature"),
    ],
)
def test_a_branch_that_is_checked_out_is_the_default_one_only_for_want_of_a_better_guess(
    tmp_path: Path, names: tuple[str, ...], taken: str
) -> None:
    checkout = with_branches(Checkout.create(tmp_path), *names)
    assert checkout.proposal().triggers.push_branch == taken
    (note,) = uncertain_settings(checkout)
    assert note.startswith(f"{taken} may not be the default branch")


def test_what_origin_or_github_says_is_sure(tmp_path: Path) -> None:
    checkout = with_branches(Checkout.create(tmp_path), "main", "trunk")
    assert checkout.proposal(GitHubFindings(default_branch="trunk")).triggers.push_branch == "trunk"
    assert uncertain_settings(checkout, GitHubFindings(default_branch="trunk")) == []
    checkout.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    assert checkout.proposal().triggers.push_branch == "trunk"
    assert uncertain_settings(checkout) == []


def test_without_a_remote_there_is_nobody_to_ask_for_the_branch(tmp_path: Path) -> None:
    assert uncertain_settings(with_branches(Checkout.create(tmp_path, origin=None))) == []


# --- Where the action will run ---


def proposed_host(checkout: Checkout, environment: dict[str, str] | None = None) -> tuple[bool, str]:
    """Whether the action is called in a step, and what the proposal says about it."""
    found = checkout.proposal(environment=environment)
    return found.calls_action_in_step, found.notes[0]


@pytest.mark.parametrize(
    "origin",
    [
        "https://github.com/acme/shop.git",
        "git@github.com:acme/shop.git",
        "ssh://git@ssh.github.com:443/acme/shop.git",
        "git@github.com-work:acme/shop.git",
        "git@work:acme/shop.git",
        None,
    ],
)
def test_github_itself_is_called_for_the_reusable_workflow(tmp_path: Path, origin: str | None) -> None:
    assert proposed_host(Checkout.create(tmp_path, origin=origin))[0] is False


@pytest.mark.parametrize("host", ["github.acme.example", "git.acme.example", "code.acme.example:8443"])
def test_any_other_host_is_taken_for_an_enterprise_server(tmp_path: Path, host: str) -> None:
    direct, said = proposed_host(Checkout.create(tmp_path, origin=f"https://{host}/acme/shop.git"))
    assert direct
    assert said.startswith(f"https://{host} is treated as a GitHub Enterprise Server")


def test_with_data_residency_it_is_githubs_own_and_the_doubt_is_told(tmp_path: Path) -> None:
    direct, said = proposed_host(Checkout.create(tmp_path, origin="https://acme.ghe.com/acme/shop.git"))
    assert not direct
    assert said.startswith("https://acme.ghe.com may not have all features of github.com")


@pytest.mark.parametrize(
    "host",
    ["gitlab.com", "bitbucket.org", "codeberg.org", "gitlab.acme.example", "git.sr.ht", "ssh.dev.azure.com"],
)
def test_what_is_evidently_no_github_is_told_plainly(tmp_path: Path, host: str) -> None:
    direct, said = proposed_host(Checkout.create(tmp_path, origin=f"git@{host}:acme/shop.git"))
    assert not direct
    assert said.startswith(f"origin is on {host}, and these workflows run only on GitHub")


@pytest.mark.parametrize("origin", [None, "git@work:acme/shop.git", "https://gitlab.com/acme/shop.git"])
def test_where_origin_names_no_github_the_one_that_it_runs_on_counts(tmp_path: Path, origin: str | None) -> None:
    checkout = Checkout.create(tmp_path, origin=origin)
    assert proposed_host(checkout, {"GITHUB_SERVER_URL": "https://git.acme.example/"})[0]
    assert not proposed_host(checkout, {"GITHUB_SERVER_URL": "https://github.com"})[0]


def test_origin_counts_more_than_where_it_runs(tmp_path: Path) -> None:
    assert not proposed_host(Checkout.create(tmp_path), {"GITHUB_SERVER_URL": "https://git.acme.example"})[0]


# --- Existing files ---


def test_the_config_files_word_counts_more_than_what_was_found(tmp_path: Path) -> None:
    files = {
        DEPLOY_FILE: DEPLOY_WORKFLOW,
        ".github/dora.yml": "deployment-source: releases\nincident-labels: [outage]\n",
    }
    found = Checkout.create(tmp_path, files).proposal()
    assert (found.sources, found.source_reasons) == (("releases",), (".github/dora.yml says so",))
    assert found.incident_labels == ("outage",)
    assert found.triggers.release


def test_another_workflow_that_records_already_is_not_joined_by_a_second_one(tmp_path: Path) -> None:
    ours = workflow("Numbers", go={"steps": [{"uses": "acme/dora-metrics@v1"}]})
    found = Checkout.create(tmp_path, {DEPLOY_FILE: DEPLOY_WORKFLOW, ".github/workflows/numbers.yml": ours}).proposal()
    assert found.existing_use == ".github/workflows/numbers.yml:4"


def test_another_incident_form_is_not_joined_by_a_second_one(tmp_path: Path) -> None:
    form = "name: Something broke\ndescription: x\nlabels: [type/incident]\nbody: []\n"
    assert not Checkout.create(tmp_path, {".github/ISSUE_TEMPLATE/broke.yml": form}).proposal().has_incident_form


SERVICE_FILES = {f"services/{name}/Dockerfile": "FROM x" for name in ("web", "checkout")} | {"services/docs/i.md": "x"}


def test_folders_that_look_like_services_are_proposed_where_deployments_can_name_one(tmp_path: Path) -> None:
    github = GitHubFindings(deployments=(GitHubDeployment("Production", "2026-11-20", "vercel"),))
    assert Checkout.create(tmp_path, SERVICE_FILES).proposal(github).services == {
        "checkout": "services/checkout",
        "web": "services/web",
    }


def test_folders_with_images_for_tests_and_builds_are_no_services(tmp_path: Path) -> None:
    files = {f"{name}/Dockerfile": "FROM x" for name in ("ci", "tests-nightly", "docker")}
    assert not [note for note in Checkout.create(tmp_path, files).proposal().notes if "look like services" in note]


@pytest.mark.parametrize("deployments", [(), (GitHubDeployment("production", "2026-11-20", "github-actions"),)])
def test_services_that_deployments_cannot_name_are_no_setting_but_a_note(
    tmp_path: Path, deployments: tuple[GitHubDeployment, ...]
) -> None:
    found = Checkout.create(tmp_path, SERVICE_FILES).proposal(GitHubFindings(deployments=deployments))
    assert found.services == {}
    (note,) = [note for note in found.notes if note.startswith("checkout, web look like services")]
    assert "call the action with `environment` and `service`" in note


def test_the_same_checkout_gives_the_same_proposal_and_the_minute_is_not_a_round_one(tmp_path: Path) -> None:
    checkout = Checkout.create(tmp_path, {DEPLOY_FILE: DEPLOY_WORKFLOW})
    assert checkout.proposal() == checkout.proposal()
    assert checkout.proposal().triggers.schedule_minute % 5

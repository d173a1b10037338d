"""What `init` proposes for kinds of public repositories: what deploys, what publishes, and what only looks like it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from dora_metrics.commands.init.findings import GitHubDeployment, GitHubFindings
from dora_metrics.commands.init.proposal import Proposal
from support.checkouts import CI_WORKFLOW, CONFIG_PATH, Checkout, workflow

FOLDER = ".github/workflows"


def on(events: object, name: str, **jobs: object) -> str:
    """A workflow with these events."""
    return yaml.safe_dump({"name": name, "on": events, "jobs": jobs}, allow_unicode=True)


def job(*steps: object, **fields: object) -> dict[str, object]:
    return {"runs-on": "ubuntu-latest", "steps": list(steps), **fields}


def proposal_of(folder: Path, **files: str) -> Proposal:
    """The proposal for a checkout with these workflows, by the name of the file without its ending."""
    return Checkout.create(folder, {f"{FOLDER}/{name}.yml": text for name, text in files.items()}).proposal()


def settings_of(proposal: Proposal) -> dict[str, object]:
    return {setting.name: setting.value for setting in proposal.settings}


# --- Environments ---

DYNAMIC_MATRIX = "${{ fromJSON(needs.build.outputs.matrix) }}"
MATRIX_SCRIPT = r'echo "matrix={\"environment\":[\"staging\",\"production\"]}" >> $GITHUB_OUTPUT'


@pytest.mark.parametrize(
    "matrix",
    [
        DYNAMIC_MATRIX,
        {"include": DYNAMIC_MATRIX},
        {"environment": DYNAMIC_MATRIX},
        {"environment": """${{ fromJSON('["staging", "production"]') }}"""},
        {"environment": """${{ fromJson(inputs.all && '["a"]' || '["production"]') }}"""},
    ],
)
def test_a_matrix_from_json_has_the_environments_that_the_workflow_puts_into_it(tmp_path: Path, matrix: object) -> None:
    deploy = job(environment="${{ matrix.environment }}", strategy={"matrix": matrix})
    text = on({"push": None}, "Build and deploy", build=job({"run": MATRIX_SCRIPT}), deploy=deploy)
    found = proposal_of(tmp_path, deploy=text)
    assert found.source_reasons == (f"{FOLDER}/deploy.yml:7: job deploy may have `environment: production`",)
    assert found.triggers.workflows == ("Build and deploy",)


def test_a_matrix_from_json_that_the_workflow_does_not_show_is_a_note(tmp_path: Path) -> None:
    deploy = job(environment="${{ matrix.to }}", strategy={"matrix": "${{ fromJSON(vars.TARGETS) }}"})
    found = proposal_of(tmp_path, go=on({"push": None}, "Go", deploy=deploy))
    assert any("`environment: ${{ matrix.to }}`, known only when it runs" in note for note in found.notes)


USES_OF_PRODUCTION = {
    "backup": on({"schedule": [], "workflow_dispatch": None}, "Backup database", backup=job(environment="production")),
    "drift": on({"schedule": []}, "Check for drift", check=job(environment="production")),
    "restore": on({"workflow_dispatch": None}, "Restore database", restore=job(environment="production")),
}


def test_backups_and_checks_beside_a_workflow_named_deploy_are_not_listened_to(tmp_path: Path) -> None:
    deploy = on({"push": None}, "Build and deploy", go=job(environment="production"))
    found = proposal_of(tmp_path, deploy=deploy, **USES_OF_PRODUCTION)
    assert found.triggers.workflows == ("Build and deploy",)
    assert settings_of(found) == {"deployment-source": "deployments"}
    (note,) = [note for note in found.notes if "deployment: false" in note]
    assert note.startswith("These only use the environment production, so they do not count as deployments: ")
    assert all(f"{FOLDER}/{name}.yml:" in note for name in USES_OF_PRODUCTION)


def test_where_no_name_tells_what_deploys_the_setting_does(tmp_path: Path) -> None:
    main = on({"push": None}, "Main", go=job(environment="production"))
    uses = {name: text for name, text in USES_OF_PRODUCTION.items() if name != "restore"}
    checkout = Checkout.create(
        tmp_path, {f"{FOLDER}/{name}.yml": text for name, text in {"main": main, **uses}.items()}
    )
    found = checkout.proposal()
    assert found.triggers.workflows == ("Main",)
    assert settings_of(found)["deploy-workflows"] == ["Main"]
    checkout.run_init("--yes")
    assert checkout.proposal().settings[1].value == ["Main"]
    assert "Nothing to write." in checkout.run_init().stdout


@pytest.mark.parametrize("name", ["backup", "drift"])
def test_what_only_uses_production_makes_no_deployments_alone_either(tmp_path: Path, name: str) -> None:
    checkout = Checkout.create(tmp_path, {f"{FOLDER}/{name}.yml": USES_OF_PRODUCTION[name]})
    github = GitHubFindings(deployments=(GitHubDeployment("production", "2026-11-20", "github-actions"),))
    for found in (checkout.proposal(), checkout.proposal(github)):
        assert found.sources == ("pushes",)
        assert any("deployment: false" in note for note in found.notes)


def test_the_environment_of_a_job_that_builds_is_not_that_of_the_job_that_deploys(tmp_path: Path) -> None:
    jobs = {
        "build-app": job(environment="build-production"),
        "cluster": {"name": "Deploy to the cluster", "uses": "acme/ci/.github/workflows/use-production.yml@v1"},
    }
    found = proposal_of(tmp_path, production=on({"push": {"tags": ["v*"]}}, "Production", **jobs))
    assert found.sources == ("workflow-runs",)
    assert settings_of(found)["deploy-workflows"] == ["Production"]


# --- Jobs that deploy without an environment ---


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("deploy-prod", {"uses": "acme/ci/.github/workflows/deploy.yml@v1"}, "its name is deploy-prod"),
        (
            "deploy",
            {"uses": "acme/ci/.github/workflows/deploy.yml@v1", "with": {"cluster": "prod-eu"}},
            "it calls deploy.yml with `cluster: prod-eu`",
        ),
        (
            "terraform_prod_apply",
            {"name": "Apply production", "uses": "./.github/workflows/tf.yml"},
            "its name is Apply production",
        ),
    ],
)
def test_a_job_that_deploys_to_production_by_its_name_makes_its_workflow_the_deployment(
    tmp_path: Path, name: str, fields: dict[str, object], reason: str
) -> None:
    files = {
        f"{FOLDER}/main.yml": on({"push": None}, "Main", **{name: fields}),
        f"{FOLDER}/topics.yml": on({"workflow_dispatch": None}, "Deploy topics", go=job()),
    }
    found = Checkout.create(tmp_path, files, tags=["v1.0.0"]).proposal()
    assert (found.sources, found.triggers.workflows) == (("workflow-runs",), ("Main",))
    assert found.source_reasons == (f"{FOLDER}/main.yml:3: job {name} deploys to production ({reason})",)
    assert settings_of(found)["deploy-workflows"] == ["Main"]
    assert any(note.startswith(f"{FOLDER}/topics.yml: its name says that it deploys") for note in found.notes)


def test_a_workflow_named_after_deploying_to_production_counts_more_than_tags(tmp_path: Path) -> None:
    files = {
        f"{FOLDER}/out.yml": workflow("Deploy to production", go=job({"run": "x"})),
        f"{FOLDER}/check.yml": workflow("Inspect production", go=job({"run": "x"})),
    }
    found = Checkout.create(tmp_path, files, tags=["v1.0.0"]).proposal()
    assert (found.sources, found.triggers.workflows) == (("workflow-runs",), ("Deploy to production",))


def test_a_step_that_deploys_to_production_by_its_name_does_so_whatever_the_workflow_is_called(tmp_path: Path) -> None:
    steps = [{"name": name, "uses": "acme/deploy@v1"} for name in ("Deploy to dev", "Deploy to prod")]
    found = proposal_of(tmp_path, main=on({"push": None}, "Deploy to dev and prod", go=job(*steps)))
    assert (found.sources, found.triggers.workflows) == (("workflow-runs",), ("Deploy to dev and prod",))
    assert found.source_reasons == (f"{FOLDER}/main.yml:3: job go deploys to production (its step is Deploy to prod)",)
    assert settings_of(found)["deploy-workflows"] == ["Deploy to dev and prod"]


@pytest.mark.parametrize(
    "title", ["Notify of the deployment to production", "Deploy to preprod", "Build for production"]
)
def test_a_step_of_another_kind_is_no_evidence(tmp_path: Path, title: str) -> None:
    text = on({"push": None}, "Main", go=job({"name": title, "run": "x"}))
    assert proposal_of(tmp_path, main=text).sources == ("pushes",)


@pytest.mark.parametrize("name", ["deploy-preprod", "deploy-staging", "build-production", "e2e-prod-deploy"])
def test_a_job_for_another_environment_or_another_purpose_is_no_evidence(tmp_path: Path, name: str) -> None:
    called = {"uses": "acme/ci/.github/workflows/it.yml@v1"}
    assert proposal_of(tmp_path, main=on({"push": None}, "Main", **{name: called})).sources == ("pushes",)


def test_a_workflow_that_deploys_to_staging_only_is_no_deployment(tmp_path: Path) -> None:
    staging = workflow("Build and deploy", go=job({"name": "Update images in staging", "run": "x"}))
    found = proposal_of(tmp_path, deploy=staging)
    assert (found.sources, found.triggers.workflows) == (("none",), ())
    assert found.triggers.repository_dispatch
    assert any(
        "The system that does can report each deployment with a `repository_dispatch`" in note for note in found.notes
    )


def test_beside_it_one_that_may_deploy_to_production_is_named(tmp_path: Path) -> None:
    staging = workflow("Deploy it", go=job({"name": "Update staging", "run": "x"}))
    found = proposal_of(tmp_path, staging=staging, ship=workflow("Deploy all", go=job({"run": "x"})))
    assert found.sources == ("workflow-runs",)
    assert settings_of(found)["deploy-workflows"] == ["Deploy all"]


# --- Releases and packages ---


@pytest.mark.parametrize(
    "step",
    [
        {"uses": "changesets/action@v1"},
        {"uses": "changesets/action/publish@v2"},
        {"uses": "helm/chart-releaser-action@v1"},
        {"uses": "svenstaro/upload-release-action@v2"},
        {"uses": "goreleaser/goreleaser-action@v6", "with": {"args": "release --clean"}},
        {"run": "set -e; CI=true npx --yes semantic-release"},
        {"run": "gh release create v1 && npm publish --dry-run"},
        {"run": "if true; then gh release create v1 \\\n  --notes x; fi"},
    ],
)
def test_what_publishes_releases_is_listened_to(tmp_path: Path, step: dict[str, object]) -> None:
    found = proposal_of(tmp_path, out=workflow("Out", go=job(step)), ci=CI_WORKFLOW)
    assert (found.sources, found.triggers.workflows) == (("releases",), ("Out",))


def test_a_called_workflow_that_publishes_makes_its_caller_the_publisher(tmp_path: Path) -> None:
    called = on({"workflow_call": None}, "Called", go=job({"run": "gh release create v1"}))
    found = proposal_of(tmp_path, _out=called, main=workflow("Main", up={"uses": f"./{FOLDER}/_out.yml"}))
    assert found.triggers.workflows == ("Main",)
    assert found.source_reasons[0].startswith(f"{FOLDER}/main.yml:3: job up calls {FOLDER}/_out.yml:")


def test_the_continuous_delivery_of_a_jenkins_plugin_publishes_releases(tmp_path: Path) -> None:
    call = {"uses": "jenkins-infra/github-reusable-workflows/.github/workflows/maven-cd.yml@v1"}
    found = proposal_of(tmp_path, cd=on({"check_run": None, "workflow_dispatch": None}, "cd", **{"maven-cd": call}))
    assert (found.sources, found.triggers.workflows) == (("releases",), ("cd",))


@pytest.mark.parametrize(
    "step",
    [
        {"uses": "goreleaser/goreleaser-action@v6", "with": {"args": "check"}},
        {"uses": "goreleaser/goreleaser-action@v6", "with": {"args": "build --snapshot"}},
        {"uses": "goreleaser/goreleaser-action@v6", "with": {"args": "release --nightly --clean"}},
        {"uses": "pypa/gh-action-pypi-publish@v1", "with": {"repository-url": "https://test.pypi.org/legacy/"}},
        {"run": "echo 'Then run gh release create v1'"},
        {"run": "# gh release create v1\ntrue"},
        {"run": "npm publish --dry-run"},
        {"name": "gh release create", "run": "true"},
    ],
)
def test_what_only_looks_like_a_publisher_is_none(tmp_path: Path, step: dict[str, object]) -> None:
    assert proposal_of(tmp_path, out=workflow("Out", go=job(step))).sources == ("pushes",)


def test_a_workflow_that_is_named_nightly_is_not_listened_to(tmp_path: Path) -> None:
    step = {"uses": "softprops/action-gh-release@v2"}
    found = proposal_of(tmp_path, nightly=workflow("Nightly", go=job(step)), out=workflow("Out", go=job(step)))
    assert found.triggers.workflows == ("Out",)


@pytest.mark.parametrize(
    "step",
    [
        {"uses": "pypa/gh-action-pypi-publish@release/v1"},
        {"run": "npm publish --access public"},
        {"run": "pnpm -r publish"},
        {"run": "cargo publish"},
        {"run": "python -m twine upload dist/*"},
    ],
)
def test_runs_that_publish_packages_are_deployments_where_nothing_makes_releases(
    tmp_path: Path, step: dict[str, object]
) -> None:
    files = {f"{FOLDER}/out.yml": on({"push": {"tags": ["v*"]}}, "Push to the registry", go=job(step))}
    found = Checkout.create(tmp_path, files, tags=["v1.0.0"]).proposal()
    assert found.sources == ("workflow-runs",)
    assert settings_of(found)["deploy-workflows"] == ["Push to the registry"]


def test_beside_a_publisher_of_releases_those_of_packages_are_listened_to_as_well(tmp_path: Path) -> None:
    release = workflow("Binaries", go=job({"uses": "softprops/action-gh-release@v2"}))
    package = workflow("Package", go=job({"uses": "pypa/gh-action-pypi-publish@release/v1"}))
    found = proposal_of(tmp_path, binaries=release, package=package)
    assert (found.sources, found.triggers.workflows) == (("releases",), ("Binaries", "Package"))
    assert any("it publishes packages; a package counts only if GitHub has a release" in note for note in found.notes)


@pytest.mark.parametrize(
    ("name", "sources"), [("Announce", ("pushes",)), ("Update changelog", ("pushes",)), ("Deploy", ("releases",))]
)
def test_a_side_workflow_on_release_is_no_habit_of_releasing(
    tmp_path: Path, name: str, sources: tuple[str, ...]
) -> None:
    text = on({"release": {"types": ["published"]}}, name, go=job({"run": "x"}))
    assert proposal_of(tmp_path, side=text).sources == sources


# --- Tags ---


def test_all_tags_are_counted_whatever_prefix_they_have(tmp_path: Path) -> None:
    tags = [f"{kind}-1.{number}.0" for kind in ("stable", "rc", "dev") for number in range(120)]
    found = Checkout.create(tmp_path, tags=[*tags, "stable"]).proposal()
    assert found.source_reasons == ("120 tags look like versions; the newest is stable-1.119.0",)


def test_it_says_that_a_tag_is_not_a_release(tmp_path: Path) -> None:
    checkout = Checkout.create(tmp_path, tags=["v1.0.0"])
    advice = "Tags alone are not recorded. If you publish no releases, no deployment will be recorded."
    assert any(note.startswith(advice) for note in checkout.proposal().notes)
    assert any(f"GitHub has no releases. {advice}" in note for note in checkout.proposal(GitHubFindings()).notes)
    with_releases = checkout.proposal(GitHubFindings(releases=("v1.0.0",)))
    assert not any("a tag is not a release" in note.lower() for note in with_releases.notes)


def test_tags_that_were_given_up_count_less_than_a_workflow_that_deploys_and_are_a_note(tmp_path: Path) -> None:
    checkout = Checkout.create(tmp_path, {f"{FOLDER}/go.yml": workflow("Deploy", go=job({"run": "x"}))}, tags=["v1.0"])
    later = datetime.now(UTC) + timedelta(days=400)
    checkout.git("commit", "--quiet", "--allow-empty", "--message=Later", GIT_COMMITTER_DATE=later.isoformat())
    found = checkout.proposal()
    assert (found.sources, found.triggers.workflows) == (("workflow-runs",), ("Deploy",))
    (note,) = [note for note in found.notes if "tags do not count" in note]
    assert note.startswith("The newest version tag, v1.0, is ")


def test_what_deploy_workflows_says_already_is_proposed_again(tmp_path: Path) -> None:
    files = {
        f"{FOLDER}/a.yml": workflow("Deploy a", go=job({"run": "x"})),
        f"{FOLDER}/b.yml": workflow("Ship b", go=job({"run": "x"})),
        CONFIG_PATH: "deploy-workflows: [Ship b]\n",
    }
    found = Checkout.create(tmp_path, files).proposal()
    assert (found.sources, found.triggers.workflows) == (("workflow-runs",), ("Ship b",))
    assert settings_of(found)["deploy-workflows"] == ["Ship b"]

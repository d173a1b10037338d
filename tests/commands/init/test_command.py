"""`dora-metrics init` as a user runs it: what it shows first, when it writes, and what it never changes."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from fakes.faults import unavailable
from fakes.github import FakeGitHub
from support.checkouts import CONFIG_PATH, DEPLOY_WORKFLOW, FORM_PATH, WORKFLOW_PATH, Checkout, workflow
from support.git_repository import CLEAN_ENVIRONMENT
from support.github_history import at, deploy

ALL_FILES = {WORKFLOW_PATH, CONFIG_PATH, FORM_PATH}
DEPLOY_PATH = ".github/workflows/deploy.yml"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout.create(tmp_path, {DEPLOY_PATH: DEPLOY_WORKFLOW})


# --- Output, and when it writes ---


def test_the_first_line_says_what_a_deployment_is_and_the_next_ones_why(checkout: Checkout) -> None:
    first, _, because, *_ = checkout.run_init("--dry-run").stdout.splitlines()
    assert first == "acme/shop: a deployment is a GitHub deployment to production."
    assert because == f"  Because         {DEPLOY_PATH}:10: job deploy has `environment: production`"


def test_everything_that_is_written_is_shown_before_and_asked_for(checkout: Checkout) -> None:
    ran = checkout.run_init(answer="y")
    shown, question, after = ran.stdout.partition("Write these 3 files? [y/N] ")
    assert (ran.code, bool(question)) == (0, True)
    for name in ALL_FILES:
        assert f"── {name} (new) " in shown
        assert checkout.text(name) in shown
    assert after.startswith(f"Written: 3 files: {WORKFLOW_PATH}, {CONFIG_PATH}, {FORM_PATH}\n")
    assert "commit, and push to main" in after


@pytest.mark.parametrize("answer", ["", "n", "no", "yeah", "\xff"])
def test_whoever_does_not_say_yes_gets_nothing(checkout: Checkout, answer: str) -> None:
    before = checkout.files()
    ran = checkout.run_init(answer=answer)
    assert (ran.code, checkout.files()) == (0, before)
    assert ran.stdout.endswith("Nothing was written.\n")


def test_a_dry_run_never_writes(checkout: Checkout) -> None:
    before = checkout.files()
    ran = checkout.run_init("--dry-run", "--yes", answer="y")
    assert (ran.code, checkout.files()) == (0, before)
    assert "--dry-run: nothing was written. Without it, init would write 3 files" in ran.stdout


def test_without_a_terminal_nothing_is_written_unless_it_was_said_before(checkout: Checkout) -> None:
    before = checkout.files()
    ran = checkout.run_init()
    assert (ran.code, checkout.files()) == (1, before)
    assert "Use --yes to write, or --dry-run to show only." in ran.stdout
    assert checkout.run_init("--yes").code == 0
    assert set(checkout.files()) >= ALL_FILES


def test_a_second_run_writes_nothing(checkout: Checkout) -> None:
    checkout.run_init("--yes")
    before = checkout.files()
    ran = checkout.run_init()
    assert (ran.code, checkout.files()) == (0, before)
    assert ran.stdout.endswith(
        "".join(f"{name}: up to date\n" for name in (WORKFLOW_PATH, CONFIG_PATH, FORM_PATH)) + "Nothing to write.\n"
    )


def test_comments_and_layout_of_the_users_are_no_difference_and_quotes_that_matter_are(checkout: Checkout) -> None:
    checkout.run_init("--yes")
    checkout.write_file(CONFIG_PATH, "# Ours.\n\ndeployment-source:   deployments\n")
    assert "Nothing to write." in (said := checkout.run_init().stdout)
    assert "unchanged" not in said
    checkout.write_file(WORKFLOW_PATH, checkout.text(WORKFLOW_PATH).replace("default: auto", 'default: "auto"'))
    assert "unchanged" not in checkout.run_init().stdout
    checkout.write_file(FORM_PATH, checkout.text(FORM_PATH).replace("required: true", 'required: "true"'))
    assert f"yours, unchanged: {FORM_PATH}" in checkout.run_init().stdout


def test_windows_line_ends_in_what_was_written_are_no_difference(checkout: Checkout) -> None:
    checkout.run_init("--yes")
    for name in ALL_FILES:
        checkout.write_file(name, checkout.text(name).replace("\n", "\r\n"))
    assert "Nothing to write." in checkout.run_init().stdout


@pytest.mark.parametrize("name", sorted(ALL_FILES))
def test_a_file_of_the_users_is_left_alone_and_shown_with_the_difference(checkout: Checkout, name: str) -> None:
    own = {WORKFLOW_PATH: "on: push\njobs: {}\n", CONFIG_PATH: "window: 12w\n", FORM_PATH: "name: Mine\n"}[name]
    checkout.write_file(name, own)
    ran = checkout.run_init("--yes")
    assert ran.code == 0
    assert checkout.text(name) == own
    assert f"── {name} (yours, unchanged) " in ran.stdout
    assert f"\n-{own.splitlines()[0]}\n" in ran.stdout
    assert f"yours, unchanged: {name}" in ran.stdout
    assert set(checkout.files()) >= ALL_FILES


def test_a_long_difference_is_counted_and_nobody_is_told_to_delete_a_file(checkout: Checkout) -> None:
    text = "\n".join(f"# note {number}" for number in range(100)) + "\nname: Other\non: push\njobs: {}\n"
    checkout.write_file(WORKFLOW_PATH, text)
    lines = checkout.run_init().stdout.splitlines()
    start = next(
        number for number, line in enumerate(lines) if line.startswith(f"── {WORKFLOW_PATH} (yours, unchanged) ")
    )
    assert re.fullmatch(r"differs in \d{3} lines", lines[start + 1])
    assert lines[start + 2] == (
        "init does not change this file. If you need its proposal, copy the lines you want, or move your file away and "
        "run init again."
    )


def test_where_another_workflow_records_already_only_the_rest_is_proposed(checkout: Checkout) -> None:
    checkout.write_file(
        ".github/workflows/numbers.yml", workflow("N", go={"steps": [{"uses": "acme/dora-metrics@v1"}]})
    )
    ran = checkout.run_init("--yes")
    assert WORKFLOW_PATH not in checkout.files()
    assert "by .github/workflows/numbers.yml:4, which uses dora-metrics already" in ran.stdout


def test_from_a_folder_below_the_root_is_looked_at(checkout: Checkout) -> None:
    ran = Checkout(checkout.folder / ".github").run_init("--yes")
    assert ran.code == 0
    assert set(checkout.files()) >= ALL_FILES


def test_a_name_cannot_steer_the_terminal(checkout: Checkout) -> None:
    checkout.write_file(DEPLOY_PATH, 'name: "Deploy\\e[2J\\u202E\\r"\n' + DEPLOY_WORKFLOW.partition("\n")[2])
    ran = checkout.run_init("--dry-run")
    assert "a run of Deploy\\x1b[2J\\x202e finishes" in ran.stdout
    assert not set("\x1b\r\u202e") & set(ran.stdout)


def test_the_place_of_the_action_is_put_where_it_belongs(checkout: Checkout) -> None:
    sha = "a" * 40
    ran = checkout.run_init("--yes", "--action", f"acme/dora-metrics@{sha}")
    assert f"uses: acme/dora-metrics/.github/workflows/dora.yml@{sha}\n" in checkout.text(WORKFLOW_PATH)
    assert "OWNER" not in ran.stdout + checkout.text(WORKFLOW_PATH)


# --- Impossible cases ---


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--repository", "shop"], "--repository 'shop' is not OWNER/NAME"),
        (["--repository", "../x"], "--repository '../x' is not OWNER/NAME"),
        (["--action", "acme/dora-metrics"], "--action 'acme/dora-metrics': expected OWNER/NAME@REF"),
        (["--action", "acme/x@a b"], "--action 'acme/x@a b': expected OWNER/NAME@REF"),
    ],
)
def test_a_wrong_option_is_told_and_nothing_is_written(checkout: Checkout, options: list[str], told: str) -> None:
    before = checkout.files()
    ran = checkout.run_init("--yes", *options)
    assert (ran.code, ran.stdout, checkout.files()) == (2, "", before)
    assert f"dora-metrics: {told}" in ran.stderr


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    ran = Checkout(tmp_path / "gone").run_init()
    assert (ran.code, ran.stderr) == (
        2,
        f"dora-metrics: --directory {tmp_path / 'gone'}: there is no such folder\n",
    )


@pytest.mark.parametrize("place", [".git", "bare.git"])
def test_a_folder_of_gits_own_is_no_checkout(tmp_path: Path, place: str) -> None:
    checkout = Checkout.create(tmp_path)
    checkout.git("clone", "--quiet", "--bare", ".", "bare.git")
    ran = Checkout(checkout.folder / place).run_init("--yes")
    assert ran.code == 2
    assert "is a bare repository or a .git folder; use a checkout with working files" in ran.stderr


def test_a_link_in_the_place_of_a_file_or_folder_is_never_written_through(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (checkout.folder / ".github" / "ISSUE_TEMPLATE").symlink_to(tmp_path / "outside")
    (checkout.folder / CONFIG_PATH).symlink_to(tmp_path / "outside" / "dora.yml")
    ran = checkout.run_init("--yes")
    assert list((tmp_path / "outside").iterdir()) == []
    assert f"{FORM_PATH}: exists and could not be read; init does not change it" in ran.stdout
    assert f"{CONFIG_PATH}: exists and could not be read; init does not change it" in ran.stdout
    assert WORKFLOW_PATH in checkout.files()


def test_a_file_in_the_place_of_a_folder_is_named_with_exit_code_1(tmp_path: Path) -> None:
    checkout = Checkout.create(tmp_path, {".github": "a file"})
    ran = checkout.run_init("--yes")
    assert ran.code == 1
    for path in ALL_FILES:
        assert f"{path}: not written, since .github is not a folder; move it away and run init again\n" in ran.stdout
    assert checkout.text(".github") == "a file"


# --- With a token ---


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub() as fake:
        yield fake


def api_environment(github: FakeGitHub, token: str | None = None) -> dict[str, str]:
    return {"GITHUB_TOKEN": token or github.token, "GITHUB_API_URL": github.api_url}


def test_with_a_token_github_is_asked_once_what_the_repository_has(tmp_path: Path, github: FakeGitHub) -> None:
    shop = github.repository("acme/shop")
    shop.labels = ["bug", "outage"]
    shop.deployment("production", at=at(1), creator="vercel[bot]")
    shop.deployment("preview", at=at(2))
    shop.deployment("production", at=at(3), task="rollout")
    ran = Checkout.create(tmp_path).run_init("--yes", environment=api_environment(github))
    assert ran.stdout.startswith("acme/shop: a deployment is a GitHub deployment to production.\n")
    assert "GitHub has 1 deployment to production" in ran.stdout
    assert "issues with the label outage (GitHub has these labels)" in ran.stdout
    assert "Notes:" not in ran.stdout
    assert [request.operation for request in github.requests].count("Setup") == 1


def test_releases_on_github_are_the_deployments_where_there_are_none(tmp_path: Path, github: FakeGitHub) -> None:
    shop = github.repository("acme/shop")
    shop.release("v1.0.0", draft=True)
    checkout = Checkout.create(tmp_path, tags=["v0.9.0"])
    assert (
        "a deployment is a push to main" in checkout.run_init("--dry-run", environment=api_environment(github)).stdout
    )
    shop.release("v1.0.0")
    assert (
        "a deployment is a published release"
        in checkout.run_init("--dry-run", environment=api_environment(github)).stdout
    )


@pytest.mark.parametrize(("days", "source"), [(179, "a published release"), (181, "a push to main")])
def test_releases_on_github_are_a_habit_while_the_newest_commit_is_less_than_180_days_younger(
    tmp_path: Path, github: FakeGitHub, days: int, source: str
) -> None:
    shop = github.repository("acme/shop")
    newest_commit = datetime(2026, 11, 1, tzinfo=UTC)
    shop.commit({"a": "b"}, message="Later", author_date=newest_commit)
    shop.release("v1.0.0", published_at=newest_commit - timedelta(days=days))
    shop.release("v1.1.0", published_at=newest_commit, prerelease=True)
    ran = Checkout.create(tmp_path).run_init("--dry-run", environment=api_environment(github))
    assert f"a deployment is {source}" in ran.stdout


def test_a_second_run_with_a_token_writes_nothing_either(tmp_path: Path, github: FakeGitHub) -> None:
    shop = github.repository("acme/shop")
    shop.labels = ["sev1", "outage", "type/hotfix"]
    shop.deployment("eu-production", at=at(1))
    checkout = Checkout.create(tmp_path, {DEPLOY_PATH: DEPLOY_WORKFLOW})
    checkout.run_init("--yes", environment=api_environment(github))
    assert "incident-labels: [outage, sev1]" in checkout.text(CONFIG_PATH)
    shop.deployment("eu-production", at=at(30))
    checkout.write_file(DEPLOY_PATH, "# A line more, so that all lines below have other numbers.\n" + DEPLOY_WORKFLOW)
    assert "Nothing to write." in (said := checkout.run_init(environment=api_environment(github)).stdout)
    assert "unchanged" not in said


@pytest.mark.parametrize("labels", [[], ["hotfix"]])
def test_a_label_that_is_missing_is_said(tmp_path: Path, github: FakeGitHub, labels: list[str]) -> None:
    github.repository("acme/shop").labels = labels
    ran = Checkout.create(tmp_path).run_init("--yes", environment=api_environment(github))
    assert "create the label incident: an issue form cannot create it" in ran.stdout


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "GH_TOKEN"])
def test_the_token_is_in_nothing_that_is_said_or_written(tmp_path: Path, github: FakeGitHub, name: str) -> None:
    github.repository("acme/shop")
    checkout = Checkout.create(tmp_path)
    ran = checkout.run_init("--yes", environment={name: github.token, "GITHUB_API_URL": github.api_url})
    assert "The workflow would show" in ran.stdout or "GitHub has no such deployment" in ran.stdout
    assert github.token not in ran.stdout + ran.stderr + "".join(checkout.text(path) for path in ALL_FILES)


def test_a_token_never_goes_to_a_place_that_only_the_checkout_names(tmp_path: Path, github: FakeGitHub) -> None:
    checkout = Checkout.create(tmp_path, origin="https://github.evil.example/acme/shop.git")
    ran = checkout.run_init("--dry-run", environment=api_environment(github))
    assert github.requests == []
    assert "the repository is on https://github.evil.example, and the token is for https://github.com" in ran.stdout


@pytest.mark.parametrize(
    ("origin", "server", "request_count"),
    [
        ("https://ghe.example:8443/acme/shop.git", "https://ghe.example:8443", 1),
        ("ssh://git@ghe.example:2222/acme/shop.git", "https://ghe.example:8443", 1),
        ("ssh://git@ghe.example:2222/acme/shop.git", "https://ghe.example", 1),
        ("https://ghe.example:443/acme/shop.git", "https://ghe.example", 1),
        ("https://ghe.example:8443/acme/shop.git", "https://ghe.example", 0),
        ("https://ghe.example:8443/acme/shop.git", "https://ghe.example:9443", 0),
        ("git@ghe.example.evil.example:acme/shop.git", "https://ghe.example:8443", 0),
    ],
)
def test_the_port_of_a_server_is_part_of_its_address(
    tmp_path: Path, github: FakeGitHub, origin: str, server: str, request_count: int
) -> None:
    github.repository("acme/shop")
    environment = {**api_environment(github), "GITHUB_SERVER_URL": server}
    ran = Checkout.create(tmp_path, origin=origin).run_init("--dry-run", environment=environment)
    assert len(github.requests[:1]) == request_count
    assert ran.stdout.count("and the token is for") == 1 - request_count


def test_a_namesake_on_github_of_a_repository_elsewhere_is_not_asked(tmp_path: Path, github: FakeGitHub) -> None:
    checkout = Checkout.create(tmp_path, origin="https://gitlab.example/acme/shop.git")
    ran = checkout.run_init("--dry-run", environment=api_environment(github))
    assert github.requests == []
    assert "origin is on gitlab.example, and these workflows run only on GitHub" in ran.stdout
    assert "name it with --repository OWNER/NAME" in ran.stdout
    github.repository("acme/shop")
    checkout.run_init("--dry-run", "--repository", "acme/shop", environment=api_environment(github))
    assert github.requests[0].operation == "Setup"


@pytest.mark.parametrize("how", ["refused", "gone", "down"])
def test_what_github_does_not_say_is_told_and_the_files_decide(tmp_path: Path, github: FakeGitHub, how: str) -> None:
    token = "wrong" if how == "refused" else github.token
    if how == "down":
        github.repository("acme/shop")
        github.fail(unavailable(502), times=None)
    ran = Checkout.create(tmp_path, {DEPLOY_PATH: DEPLOY_WORKFLOW}).run_init(
        "--dry-run", environment=api_environment(github, token)
    )
    assert ran.code == 0
    assert "a deployment is a GitHub deployment to production" in ran.stdout
    assert "GitHub did not answer about acme/shop: " in ran.stdout


# --- The first numbers ---


def deployed_shop(github: FakeGitHub) -> None:
    """A repository with seven deployments by a service in the last three weeks, each with a change."""
    shop = github.repository("acme/shop")
    for number in range(1, 8):
        shop.commit({"a": str(number)}, message=f"Change {number}", author_date=at(1590 + 20 * number))
        shop.deployment("production", at=at(1600 + 20 * number), creator="vercel[bot]")


def test_with_a_token_it_shows_the_numbers_of_a_first_sync_before_it_asks(tmp_path: Path, github: FakeGitHub) -> None:
    deployed_shop(github)
    checkout = Checkout.create(tmp_path)
    before = checkout.files()
    ran = checkout.run_init(answer="n", environment=api_environment(github))
    shown, question, _ = ran.stdout.partition("Write these 3 files? [y/N] ")
    assert question
    numbers = shown.partition("First sync of acme/shop, into a temporary folder that is deleted (at most 60 s) ...")[2]
    _, _, heading, frequency, lead_time, *_ = numbers.splitlines()
    assert heading == "The workflow would show (production, last 30 days):"
    assert frequency.startswith("  Deployment frequency   1.6 a week")
    assert frequency.endswith("7 deployments on 6 days")
    assert lead_time.startswith("  Lead time for changes  10 h")
    assert checkout.files() == before


def test_the_numbers_follow_the_config_file_that_is_there(tmp_path: Path, github: FakeGitHub) -> None:
    deployed_shop(github)
    checkout = Checkout.create(tmp_path, {CONFIG_PATH: "window: 7d\n"})
    ran = checkout.run_init("--dry-run", environment=api_environment(github))
    assert "The workflow would show (production, last 7 days):" in ran.stdout


def test_other_repositories_are_not_read_even_if_the_default_branch_names_them(
    tmp_path: Path, github: FakeGitHub
) -> None:
    """The clone and its default branch may be a stranger's, and the token may read a lot."""
    line = "repositories: [acme/*]\n"
    github.repository("acme/shop").commit({CONFIG_PATH: line}, message="Configure")
    deploy(github.repository("acme/secret"), 1)
    ran = Checkout.create(tmp_path, {CONFIG_PATH: line}).run_init("--dry-run", environment=api_environment(github))
    assert not any("secret" in str(request) for request in github.requests)
    assert (
        "  - repositories: only this repository was read, since the settings in this checkout are not trusted"
        in ran.stdout
    )


def test_inputs_of_another_run_in_the_environment_change_no_number(tmp_path: Path, github: FakeGitHub) -> None:
    deployed_shop(github)
    others = {"INPUT_WINDOW": "7d", "DORA_INPUTS": "broken", "GITHUB_OUTPUT": str(tmp_path / "output")}
    ran = Checkout.create(tmp_path).run_init("--dry-run", environment=api_environment(github) | others)
    assert "The workflow would show (production, last 30 days):" in ran.stdout
    assert not (tmp_path / "output").exists()


def test_a_repository_that_deploys_nothing_of_the_kind_is_told_so(tmp_path: Path, github: FakeGitHub) -> None:
    github.repository("acme/shop").release("v1.0.0", published_at=at(-24 * 200))
    checkout = Checkout.create(tmp_path, {CONFIG_PATH: "deployment-source: releases\n"})
    ran = checkout.run_init("--dry-run", environment=api_environment(github))
    assert "GitHub has no such deployment since 2026-08-23." in ran.stdout


def test_a_first_sync_that_fails_is_told_and_stops_nothing(tmp_path: Path, github: FakeGitHub) -> None:
    deployed_shop(github)
    github.fail(unavailable(502), times=None, skip=1)
    ran = Checkout.create(tmp_path).run_init("--yes", environment=api_environment(github))
    assert ran.code == 0
    assert "  - sync: acme/shop: " in ran.stdout
    assert "Written: 3 files" in ran.stdout


def test_a_first_sync_that_takes_too_long_is_stopped_and_that_is_said(tmp_path: Path, github: FakeGitHub) -> None:
    deployed_shop(github)
    checkout, ticks = Checkout.create(tmp_path), count(step=25)
    ran = checkout.run_init("--dry-run", environment=api_environment(github), monotonic=lambda: float(next(ticks)))
    assert ran.code == 0
    assert "  - it stopped after 60 s; the workflow reads the rest" in ran.stdout
    assert len(github.requests) < 4


def test_a_config_file_that_is_wrong_has_no_numbers_and_stops_nothing(tmp_path: Path, github: FakeGitHub) -> None:
    deployed_shop(github)
    checkout = Checkout.create(tmp_path, {CONFIG_PATH: "window: never\n"})
    ran = checkout.run_init("--yes", environment=api_environment(github))
    assert ran.code == 0
    assert "init could not compute the numbers:\n  - " in ran.stdout


def test_nothing_is_synced_where_nothing_here_deploys(tmp_path: Path, github: FakeGitHub) -> None:
    github.repository("acme/shop")
    staging = workflow("Deploy", go={"steps": [{"name": "Update staging", "run": "x"}]})
    ran = Checkout.create(tmp_path, {DEPLOY_PATH: staging}).run_init("--dry-run", environment=api_environment(github))
    assert "First sync" not in ran.stdout
    assert len(github.requests) == 1


def test_the_program_runs_as_a_process_of_its_own(checkout: Checkout) -> None:
    command = [sys.executable, "-m", "dora_metrics", "init", "--dry-run"]
    result = subprocess.run(
        command,
        cwd=checkout.folder,
        env=CLEAN_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("acme/shop: a deployment is")

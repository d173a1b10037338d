"""`dora-metrics init` as somebody runs it: what it says first, when it writes, and what it never touches."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.faults import unavailable
from fakes.github import FakeGitHub
from support.checkouts import CONFIG, DEPLOY, FORM, WORKFLOW, Checkout, workflow
from support.git_repository import CLEAN
from support.github_history import at

ALL = {WORKFLOW, CONFIG, FORM}
DEPLOYING = ".github/workflows/deploy.yml"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout.of(tmp_path, {DEPLOYING: DEPLOY})


# --- What it says, and when it writes ---


def test_the_first_line_says_what_a_deployment_is_and_the_next_ones_why(checkout: Checkout) -> None:
    first, _, because, *_ = checkout.init("--dry-run").said.splitlines()
    assert first == "acme/shop: a deployment is a GitHub deployment to production."
    assert because == f"  Because      {DEPLOYING}:10: job deploy has `environment: production`"


def test_everything_that_is_written_is_shown_before_and_asked_for(checkout: Checkout) -> None:
    ran = checkout.init(answer="y")
    shown, question, after = ran.said.partition("Write these 3 files? [y/N] ")
    assert (ran.code, bool(question)) == (0, True)
    for name in ALL:
        assert f"── {name} (new) " in shown
        assert checkout.text(name) in shown
    assert after.startswith(f"Written: 3 files: {WORKFLOW}, {CONFIG}, {FORM}\n")
    assert "commit, and push to main" in after


@pytest.mark.parametrize("answer", ["", "n", "no", "yeah", "\xff"])
def test_whoever_does_not_say_yes_gets_nothing(checkout: Checkout, answer: str) -> None:
    before = checkout.files()
    ran = checkout.init(answer=answer)
    assert (ran.code, checkout.files()) == (0, before)
    assert ran.said.endswith("Nothing was written.\n")


def test_a_dry_run_never_writes(checkout: Checkout) -> None:
    before = checkout.files()
    ran = checkout.init("--dry-run", "--yes", answer="y")
    assert (ran.code, checkout.files()) == (0, before)
    assert "Nothing was written, as --dry-run says. It would be 3 files" in ran.said


def test_without_a_terminal_nothing_is_written_unless_it_was_said_before(checkout: Checkout) -> None:
    before = checkout.files()
    ran = checkout.init()
    assert (ran.code, checkout.files()) == (1, before)
    assert "--yes writes, --dry-run only shows" in ran.said
    assert checkout.init("--yes").code == 0
    assert set(checkout.files()) >= ALL


def test_a_second_run_writes_nothing(checkout: Checkout) -> None:
    checkout.init("--yes")
    before = checkout.files()
    ran = checkout.init()
    assert (ran.code, checkout.files()) == (0, before)
    assert ran.said.endswith(
        "".join(f"{name}: up to date\n" for name in (WORKFLOW, CONFIG, FORM)) + "Nothing to write.\n"
    )


def test_comments_and_layout_of_the_users_are_no_difference_and_quotes_that_matter_are(checkout: Checkout) -> None:
    checkout.init("--yes")
    checkout.put(CONFIG, "# Ours.\n\ndeployment-source:   deployments\n")
    assert "Nothing to write." in (said := checkout.init().said)
    assert "left alone" not in said
    checkout.put(WORKFLOW, checkout.text(WORKFLOW).replace("default: auto", 'default: "auto"'))
    assert "left alone" not in checkout.init().said
    checkout.put(FORM, checkout.text(FORM).replace("required: true", 'required: "true"'))
    assert f"yours, left alone: {FORM}" in checkout.init().said


def test_windows_line_ends_in_what_was_written_are_no_difference(checkout: Checkout) -> None:
    checkout.init("--yes")
    for name in ALL:
        checkout.put(name, checkout.text(name).replace("\n", "\r\n"))
    assert "Nothing to write." in checkout.init().said


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_file_of_the_users_is_left_alone_and_shown_with_the_difference(checkout: Checkout, name: str) -> None:
    own = {WORKFLOW: "on: push\njobs: {}\n", CONFIG: "window: 12w\n", FORM: "name: Mine\n"}[name]
    checkout.put(name, own)
    ran = checkout.init("--yes")
    assert ran.code == 0
    assert checkout.text(name) == own
    assert f"── {name} (yours; left alone) " in ran.said
    assert f"\n-{own.splitlines()[0]}\n" in ran.said
    assert f"yours, left alone: {name}" in ran.said
    assert set(checkout.files()) >= ALL


def test_where_another_workflow_records_already_only_the_rest_is_proposed(checkout: Checkout) -> None:
    checkout.put(".github/workflows/numbers.yml", workflow("N", go={"steps": [{"uses": "acme/dora-metrics@v1"}]}))
    ran = checkout.init("--yes")
    assert WORKFLOW not in checkout.files()
    assert "numbers.yml:4 uses dora-metrics already" in ran.said


def test_from_a_folder_below_the_root_is_looked_at(checkout: Checkout) -> None:
    ran = Checkout(checkout.folder / ".github").init("--yes")
    assert ran.code == 0
    assert set(checkout.files()) >= ALL


def test_a_name_cannot_steer_the_terminal(checkout: Checkout) -> None:
    checkout.put(DEPLOYING, 'name: "Deploy\\e[2J\\u202E\\r"\n' + DEPLOY.partition("\n")[2])
    ran = checkout.init("--dry-run")
    assert "a run of Deploy\\x1b[2J\\x202e ends" in ran.said
    assert not set("\x1b\r\u202e") & set(ran.said)


def test_the_place_of_the_action_is_put_where_it_belongs(checkout: Checkout) -> None:
    sha = "a" * 40
    ran = checkout.init("--yes", "--action", f"acme/dora-metrics@{sha}")
    assert f"uses: acme/dora-metrics/.github/workflows/dora.yml@{sha}\n" in checkout.text(WORKFLOW)
    assert "OWNER" not in ran.said + checkout.text(WORKFLOW)


# --- What cannot be ---


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--repository", "shop"], "--repository 'shop': expected OWNER/NAME"),
        (["--repository", "../x"], "--repository '../x': expected OWNER/NAME"),
        (["--action", "acme/dora-metrics"], "--action 'acme/dora-metrics': expected OWNER/NAME@REF"),
        (["--action", "acme/x@a b"], "--action 'acme/x@a b': expected OWNER/NAME@REF"),
    ],
)
def test_a_wrong_option_is_told_and_nothing_is_written(checkout: Checkout, options: list[str], told: str) -> None:
    before = checkout.files()
    ran = checkout.init("--yes", *options)
    assert (ran.code, ran.said, checkout.files()) == (2, "", before)
    assert f"dora-metrics: {told}" in ran.complained


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    ran = Checkout(tmp_path / "gone").init()
    assert (ran.code, ran.complained) == (
        2,
        f"dora-metrics: --directory {tmp_path / 'gone'}: there is no such folder\n",
    )


@pytest.mark.parametrize("place", [".git", "bare.git"])
def test_a_folder_of_gits_own_is_no_checkout(tmp_path: Path, place: str) -> None:
    checkout = Checkout.of(tmp_path)
    checkout.git("clone", "--quiet", "--bare", ".", "bare.git")
    ran = Checkout(checkout.folder / place).init("--yes")
    assert ran.code == 2
    assert "holds git's own data and no files; name a checkout" in ran.complained


def test_a_link_in_the_place_of_a_file_or_folder_is_never_written_through(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (checkout.folder / ".github" / "ISSUE_TEMPLATE").symlink_to(tmp_path / "outside")
    (checkout.folder / CONFIG).symlink_to(tmp_path / "outside" / "dora.yml")
    ran = checkout.init("--yes")
    assert list((tmp_path / "outside").iterdir()) == []
    assert f"{FORM}: is there and could not be read, so it is left alone" in ran.said
    assert f"{CONFIG}: is there and could not be read, so it is left alone" in ran.said
    assert WORKFLOW in checkout.files()


def test_a_folder_that_cannot_be_made_is_told_with_exit_code_1(tmp_path: Path) -> None:
    checkout = Checkout.of(tmp_path, {".github": "a file"})
    ran = checkout.init("--yes")
    assert ran.code == 1
    assert f"{WORKFLOW}: was not written (" in ran.said


# --- With a token ---


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub() as fake:
        yield fake


def asking(github: FakeGitHub, token: str | None = None) -> dict[str, str]:
    return {"GITHUB_TOKEN": token or github.token, "GITHUB_API_URL": github.api_url}


def test_with_a_token_github_is_asked_once_what_the_repository_has(tmp_path: Path, github: FakeGitHub) -> None:
    shop = github.repository("acme/shop")
    shop.labels = ["bug", "outage"]
    shop.deployment("production", at=at(1), creator="vercel[bot]")
    shop.deployment("preview", at=at(2))
    shop.deployment("production", at=at(3), task="rollout")
    ran = Checkout.of(tmp_path).init("--yes", environment=asking(github))
    assert ran.said.startswith("acme/shop: a deployment is a GitHub deployment to production.\n")
    assert "GitHub has 1 deployment to production" in ran.said
    assert "issues with the label outage (GitHub has these labels)" in ran.said
    assert "Worth knowing" not in ran.said
    assert len(github.requests) == 1


def test_releases_on_github_are_the_deployments_where_there_are_none(tmp_path: Path, github: FakeGitHub) -> None:
    shop = github.repository("acme/shop")
    shop.release("v1.0.0", draft=True)
    checkout = Checkout.of(tmp_path, tags=["v0.9.0"])
    assert "a deployment is a merge to main" in checkout.init("--dry-run", environment=asking(github)).said
    shop.release("v1.0.0")
    assert "a deployment is a published release" in checkout.init("--dry-run", environment=asking(github)).said


def test_a_second_run_with_a_token_writes_nothing_either(tmp_path: Path, github: FakeGitHub) -> None:
    shop = github.repository("acme/shop")
    shop.labels = ["sev1", "outage", "type/hotfix"]
    shop.deployment("eu-production", at=at(1))
    checkout = Checkout.of(tmp_path, {DEPLOYING: DEPLOY})
    checkout.init("--yes", environment=asking(github))
    assert "incident-labels: [outage, sev1]" in checkout.text(CONFIG)
    shop.deployment("eu-production", at=at(30))
    checkout.put(DEPLOYING, "# A line more, so that all lines below have other numbers.\n" + DEPLOY)
    assert "Nothing to write." in (said := checkout.init(environment=asking(github)).said)
    assert "left alone" not in said


@pytest.mark.parametrize("labels", [[], ["hotfix"]])
def test_a_label_that_is_missing_is_said(tmp_path: Path, github: FakeGitHub, labels: list[str]) -> None:
    github.repository("acme/shop").labels = labels
    ran = Checkout.of(tmp_path).init("--yes", environment=asking(github))
    assert "make the label, without which GitHub gives the form's issues none: incident" in ran.said


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "GH_TOKEN"])
def test_the_token_is_in_nothing_that_is_said_or_written(tmp_path: Path, github: FakeGitHub, name: str) -> None:
    github.repository("acme/shop")
    checkout = Checkout.of(tmp_path)
    ran = checkout.init("--yes", environment={name: github.token, "GITHUB_API_URL": github.api_url})
    assert len(github.requests) == 1
    assert github.token not in ran.said + ran.complained + "".join(checkout.text(path) for path in ALL)


def test_a_token_never_goes_to_a_place_that_only_the_checkout_names(tmp_path: Path, github: FakeGitHub) -> None:
    checkout = Checkout.of(tmp_path, origin="https://github.evil.example/acme/shop.git")
    ran = checkout.init("--dry-run", environment=asking(github))
    assert github.requests == []
    assert "the repository is on https://github.evil.example, and the token is for https://github.com" in ran.said


def test_a_namesake_on_github_of_a_repository_elsewhere_is_not_asked(tmp_path: Path, github: FakeGitHub) -> None:
    checkout = Checkout.of(tmp_path, origin="https://gitlab.example/acme/shop.git")
    ran = checkout.init("--dry-run", environment=asking(github))
    assert github.requests == []
    assert "origin is on gitlab.example, and this is for GitHub" in ran.said
    assert "name it with --repository OWNER/NAME" in ran.said
    github.repository("acme/shop")
    checkout.init("--dry-run", "--repository", "acme/shop", environment=asking(github))
    assert len(github.requests) == 1


@pytest.mark.parametrize("how", ["refused", "gone", "down"])
def test_what_github_does_not_say_is_told_and_the_files_decide(tmp_path: Path, github: FakeGitHub, how: str) -> None:
    token = "wrong" if how == "refused" else github.token
    if how == "down":
        github.repository("acme/shop")
        github.fail(unavailable(502), times=None)
    ran = Checkout.of(tmp_path, {DEPLOYING: DEPLOY}).init("--dry-run", environment=asking(github, token))
    assert ran.code == 0
    assert "a deployment is a GitHub deployment to production" in ran.said
    assert "GitHub did not say what acme/shop has: " in ran.said


def test_the_program_runs_as_a_process_of_its_own(checkout: Checkout) -> None:
    command = [sys.executable, "-m", "dora_metrics", "init", "--dry-run"]
    result = subprocess.run(
        command, cwd=checkout.folder, env=CLEAN, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("acme/shop: a deployment is")

"""Unusual checkouts: nothing stops `init`, and it reports what it could not read."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from support.checkouts import CONFIG_PATH, DEPLOY_WORKFLOW, Checkout, workflow

ODD_WORKFLOW = ".github/workflows/odd.yml"
NESTING_DEPTH = 3000
YAML_BOMB = (
    "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefghi", "bcdefghij", strict=True)
    )
    + "merged: &m {<<: [{k: v}, {k: v}]}\nname: Bomb\non: push\njobs: *j\n"
)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("jobs: [\n", "init cannot read this workflow: line 2: expected the node content"),
        ("name: 'x\njobs: {}\n", "line 3: found unexpected end of stream"),
        ("jobs: {a: *nowhere}\n", "line 1: found undefined alias 'nowhere'"),
        ("jobs: {}\n---\njobs: {}\n", "line 2: but found another document"),
        ("\tjobs: {}\n", "found character '\\t' that cannot start any token"),
        ("name: \x01\n", "special characters are not allowed"),
        ("", "it is empty"),
        ("# only a comment\n", "it is empty"),
        ("name: x\n", "it has no `jobs:`"),
        ("- a\n- b\n", "it has no `jobs:`"),
        ("jobs: " + "[" * NESTING_DEPTH, "nested more than 40 levels deep"),
        (b"name: \xff\xfe\njobs: {}\n", "not UTF-8, so init did not read it"),
        (b"jobs: {}\n" + b"#" * 300_000, "292 kB is too large to read"),
    ],
)
def test_a_file_that_is_no_workflow_is_named_and_the_others_are_read(
    tmp_path: Path, content: str | bytes, told: str
) -> None:
    checkout = Checkout.create(tmp_path, {ODD_WORKFLOW: content, ".github/workflows/deploy.yml": DEPLOY_WORKFLOW})
    found = checkout.proposal()
    assert any(note.startswith(f"{ODD_WORKFLOW}: ") and told in note for note in found.notes), found.notes
    assert found.sources == ("deployments",)


@pytest.mark.parametrize(
    "content",
    [
        "on: push\njobs:\n",
        "on: push\njobs: nothing\n",
        "on: [push, {a: b}]\njobs: {1: {environment: [a]}, ? [x] : y, z: null}\n",
        "on: null\nname: [a]\njobs: {a: {steps: {uses: x}, strategy: [x], with: [y], uses: {z: 1}}}\n",
        "on: push\njobs: {a: {environment: {name: {deep: 1}}, steps: [x, null, {uses: [1]}, {run: }]}}\n",
        "on: push\njobs: {a: {environment: '', uses: ''}, b: {environment: ~}}\n",
        "on: push\njobs: {a: {environment: '${{ }}'}, b: {environment: '${{ '}}\n",
        YAML_BOMB,
    ],
)
def test_a_workflow_of_another_shape_than_githubs_is_read_as_far_as_it_goes(tmp_path: Path, content: str) -> None:
    assert Checkout.create(tmp_path, {ODD_WORKFLOW: content}).run_init("--dry-run").code == 0


def test_an_anchor_is_followed(tmp_path: Path) -> None:
    anchored = "name: Go\non: push\njobs:\n  a: &job {environment: production, runs-on: x}\n  b: *job\n"
    assert Checkout.create(tmp_path, {ODD_WORKFLOW: anchored}).proposal().sources == ("deployments",)


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    windows = b"\xef\xbb\xbf" + DEPLOY_WORKFLOW.replace("\n", "\r\n").encode()
    assert Checkout.create(tmp_path, {ODD_WORKFLOW: windows}).proposal().source_reasons == (
        f"{ODD_WORKFLOW}:10: job deploy has `environment: production`",
    )


@pytest.mark.parametrize("expression", ["vars.WHERE", "needs.plan.outputs.to", "fromJSON('[1]')[0]", "inputs.missing"])
def test_an_environment_that_only_a_run_knows_is_told(tmp_path: Path, expression: str) -> None:
    job = {"environment": f"${{{{ {expression} }}}}"}
    found = Checkout.create(tmp_path, {ODD_WORKFLOW: workflow("Go", go=job)}).proposal()
    assert (
        f"{ODD_WORKFLOW}:3: job go has `environment: ${{{{ {expression} }}}}`, known only when it runs" in found.notes
    )


def test_workflows_that_call_each_other_in_a_circle_end(tmp_path: Path) -> None:
    on = "on: {push: , workflow_call: }\n"
    files = {
        ".github/workflows/a.yml": on + "jobs: {x: {uses: ./.github/workflows/b.yml}, y: {environment: production}}\n",
        ".github/workflows/b.yml": on + "jobs: {x: {uses: ./.github/workflows/a.yml}}\n",
    }
    assert Checkout.create(tmp_path, files).proposal().sources == ("deployments",)


def test_a_called_workflow_of_another_repository_is_known_by_what_it_is_given(tmp_path: Path) -> None:
    job = {"uses": "acme/ci/.github/workflows/deploy.yml@v1", "with": {"environment": "production"}}
    found = Checkout.create(tmp_path, {".github/workflows/deploy.yml": workflow("Deploy", go=job)}).proposal()
    assert found.source_reasons == (".github/workflows/deploy.yml:3: job go may have `environment: production`",)
    assert any("which is not in this checkout" in note for note in found.notes)


def test_a_called_workflow_that_is_missing_stops_nothing(tmp_path: Path) -> None:
    files = {
        ODD_WORKFLOW: workflow("Go", go={"uses": "./.github/workflows/gone.yml"}, up={"uses": "./../../../etc/x.yml"})
    }
    assert Checkout.create(tmp_path, files).run_init("--dry-run").code == 0


def test_symbolic_links_are_not_followed(tmp_path: Path) -> None:
    checkout = Checkout.create(tmp_path, {"elsewhere.yml": DEPLOY_WORKFLOW})
    (checkout.folder / ".github" / "workflows").mkdir(parents=True)
    (checkout.folder / ODD_WORKFLOW).symlink_to(checkout.folder / "elsewhere.yml")
    found = checkout.proposal()
    assert found.sources == ("pushes",)
    assert f"{ODD_WORKFLOW}: init does not follow symbolic links" in found.notes


@pytest.mark.parametrize("setting", ["core.worktree", "core.worktree of this worktree"])
@pytest.mark.parametrize("place", ["beside it", "around it"])
def test_git_settings_do_not_lead_into_another_folder(tmp_path: Path, setting: str, place: str) -> None:
    other = tmp_path if place == "around it" else tmp_path / "other"
    other.mkdir(exist_ok=True)
    (tmp_path / ".git").mkdir()
    checkout = Checkout.create(tmp_path)
    if setting != "core.worktree":
        checkout.git("config", "extensions.worktreeConfig", "true")
    file = "config" if setting == "core.worktree" else "config.worktree"
    checkout.git("config", "--file", str(checkout.folder / ".git" / file), "core.worktree", str(other))
    ran = checkout.run_init("--yes")
    assert ran.code == 2
    assert ran.stdout == ""
    assert len(ran.stderr.splitlines()) == 2
    assert f"name another folder for its files: {other}\n" in ran.stderr
    assert not list(tmp_path.rglob("dora.yml"))


def test_a_submodule_and_a_worktree_are_checkouts_of_their_own(tmp_path: Path) -> None:
    checkout = Checkout.create(tmp_path)
    checkout.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(checkout.folder), "within")
    checkout.git("worktree", "add", "--quiet", "../beside")
    for folder in (checkout.folder / "within", tmp_path / "beside"):
        ran = Checkout(folder).run_init("--yes")
        assert f"  Folder          {folder}\n" in ran.stdout
        assert (folder / ".github" / "dora.yml").is_file()
    assert not (checkout.folder / ".github").exists()


def test_the_folder_that_is_written_to_is_shown_whatever_name_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = Checkout.create(tmp_path, {"docs/x": ""})
    monkeypatch.chdir(checkout.folder / "docs")
    assert f"  Folder          {checkout.folder}\n" in Checkout(Path()).run_init("--dry-run").stdout


def test_a_folder_whose_files_no_system_call_reaches_is_told(tmp_path: Path) -> None:
    longest = 4_090  # of 4,095 bytes that a path may have
    while len(str(tmp_path)) < longest - 1:
        tmp_path /= "x" * min(200, longest - 1 - len(str(tmp_path)))
    tmp_path.mkdir(parents=True)
    ran = Checkout(tmp_path).run_init("--yes")
    assert ran.code == 0
    assert f"{CONFIG_PATH}: cannot be read (File name too long)" in ran.stdout
    assert ran.stdout.endswith("Nothing to write.\n")


@contextmanager
def pipes(folder: Path, *names: str) -> Iterator[set[str]]:
    """Make pipes, and yield the names of those that someone opens to read; each reads nothing and need not wait."""
    opened: set[str] = set()
    is_over = Event()

    def watch() -> None:
        while not is_over.wait(0.01):
            for name in names:
                with suppress(OSError):  # nobody reads it
                    os.close(os.open(folder / name, os.O_WRONLY | os.O_NONBLOCK))
                    opened.add(name)

    for name in names:
        os.mkfifo(folder / name)
    watcher = Thread(target=watch)
    watcher.start()
    try:
        yield opened
    finally:
        is_over.set()
        watcher.join()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes with a name")
def test_git_opens_no_file_of_the_checkout_that_may_be_a_pipe(tmp_path: Path) -> None:
    checkout = Checkout.create(tmp_path, {"shop.yaml": f"apiVersion: argoproj.io/v1{'x' * 1_000}\n"}, tags=["v1.0.0"])
    checkout.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},submodule")
    checkout.git("config", "submodule.recurse", "true")
    with pipes(checkout.folder, ".gitattributes", ".mailmap", ".gitignore", ".gitmodules") as opened:
        findings = checkout.findings().checkout
    assert opened == set()
    assert findings.version_tags is not None
    assert findings.version_tags.days_behind == 0
    assert findings.gitops_evidence == (f"shop.yaml:1: `apiVersion: argoproj.io/v1{'x' * 74}`",)


@pytest.mark.parametrize(
    "setting",
    ["color.ui always", "color.grep always", "grep.column true", "grep.lineNumber false", "grep.fullName true"],
)
def test_git_settings_change_nothing_in_what_git_finds(tmp_path: Path, setting: str) -> None:
    checkout = Checkout.create(tmp_path, {"shop.yaml": "apiVersion: argoproj.io/v1alpha1\n"})
    checkout.git("config", *setting.split())
    assert checkout.findings().checkout.gitops_evidence == ("shop.yaml:1: `apiVersion: argoproj.io/v1alpha1`",)


def test_an_action_outside_the_checkout_is_not_read(tmp_path: Path) -> None:
    publishing = "runs: {using: composite, steps: [{uses: softprops/action-gh-release@v2}]}\n"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "action.yml").write_text(publishing, "utf-8")

    def publishes(action: str) -> bool:
        content = workflow("W", go={"steps": [{"uses": action}]})
        files = {ODD_WORKFLOW: content, "inside/action.yml": publishing}
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        return bool(Checkout.create(folder, files).findings().checkout.publications)

    assert publishes("./inside")
    assert not publishes(f"./{outside}")
    assert not publishes("./../../outside")


def test_a_folder_named_like_a_workflow_is_none(tmp_path: Path) -> None:
    checkout = Checkout.create(tmp_path)
    (checkout.folder / ODD_WORKFLOW).mkdir(parents=True)
    assert checkout.proposal().sources == ("pushes",)


def test_a_workflow_without_a_name_is_watched_by_its_path_and_the_doubt_is_told(tmp_path: Path) -> None:
    found = Checkout.create(tmp_path, {ODD_WORKFLOW: DEPLOY_WORKFLOW.removeprefix("name: Ship it\n")}).proposal()
    assert found.triggers.workflows == (ODD_WORKFLOW,)
    assert any(note.startswith(f"{ODD_WORKFLOW}: it has no `name:`") for note in found.notes)


def test_a_config_file_that_is_wrong_is_told_with_every_problem(tmp_path: Path) -> None:
    wrong = "deployment-sources: pushes\nwindow: never\n"
    found = Checkout.create(tmp_path, {".github/dora.yml": wrong}).proposal()
    assert len([note for note in found.notes if note.startswith(".github/dora.yml")]) == 2


def test_a_config_file_with_the_other_ending_is_told(tmp_path: Path) -> None:
    found = Checkout.create(tmp_path, {".github/dora.yaml": "window: 30d\n"}).proposal()
    assert ".github/dora.yaml: the action does not read this name; it reads .github/dora.yml" in found.notes


def test_a_folder_that_is_no_git_repository_is_looked_at_as_well(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.write_file(ODD_WORKFLOW, DEPLOY_WORKFLOW)
    found = checkout.proposal()
    assert found.sources == ("deployments",)
    assert any("not a git repository" in note for note in found.notes)


def test_a_repository_without_a_commit_and_without_a_remote_is_looked_at_as_well(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.git("init", "--quiet", "--initial-branch=trunk")
    ran = checkout.run_init("--dry-run")
    assert ran.code == 0
    assert ran.stdout.startswith(f"{tmp_path.name}: a deployment is a push to trunk.")


@pytest.mark.parametrize("separator", ["\u2028", "\u0085"])
def test_a_tag_with_a_line_separator_in_its_name_is_one_tag(tmp_path: Path, separator: str) -> None:
    checkout = Checkout.create(tmp_path, tags=["v1.0.0", f"v2.0.0{separator}x"])
    tags = checkout.findings().checkout.version_tags
    assert tags is not None
    assert tags.newest == "v1.0.0"

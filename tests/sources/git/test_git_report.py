"""`report --git`, from commits and tags to numbers worked out by hand (docs/definitions.md)."""

import json
from pathlib import Path

import pytest

from support.facts import at
from support.git_repository import GitRepository, ReportCommand
from support.openmetrics_text import assert_valid_order, lines_of


def shop(repository: GitRepository) -> dict[str, str]:
    """Four releases: a first one, a merged and a squashed pull request, a revert of the squashed one, a hotfix.

    v1.0.0 03-01 12:00   start
    v1.1.0 03-04 12:00   #1 merged (its commits of 03-02 06:00 and 03-03), #2 squashed (authored 03-03 12:00)
    v1.2.0 03-08 12:00   a revert of #2, authored 03-08 06:00; and a direct commit of 03-07 12:00
    v1.2.1 03-08 18:00   #3 squashed, authored 03-08 15:00, a hotfix by its title
    """
    made = {"start": repository.release("v1.0.0", "Start", at="03-01T10:00", tagged="03-01T12:00")}
    made["one"] = repository.commit("Basket", made["start"], at="03-02T06:00")
    made["two"] = repository.commit("Basket again", made["one"], at="03-03")
    made["merge"] = repository.commit(
        "Merge pull request #1 from acme/basket\n\nAdd the basket", made["start"], made["two"], at="03-03T18:00"
    )
    made["squash"] = repository.commit("Add the till (#2)", made["merge"], at="03-04", authored="03-03T12:00")
    repository.tag("v1.1.0", made["squash"], "03-04T12:00")
    made["direct"] = repository.commit("Tidy up", made["squash"], at="03-07T12:00")
    made["revert"] = repository.commit(
        f'Revert "Add the till (#2)"\n\nThis reverts commit {made["squash"]}.', made["direct"], at="03-08T06:00"
    )
    repository.tag("v1.2.0", made["revert"], "03-08T12:00")
    made["patch"] = repository.commit(
        "hotfix: mend the till (#3)", made["revert"], at="03-08T16:00", authored="03-08T15:00"
    )
    repository.tag("v1.2.1", made["patch"], "03-08T18:00")
    return made


def test_each_tag_is_a_deployment_with_what_it_was_the_first_to_reach(
    repository: GitRepository, report: ReportCommand
) -> None:
    made = shop(repository)
    found = report(repository.folder)
    assert found.changes == {
        "v1.0.0": [made["start"]],
        "v1.1.0": ["#1", "#2"],
        "v1.2.0": [made["direct"], made["revert"]],
        "v1.2.1": ["#3"],
    }
    assert [one["commit_count"] for one in found.deployments.values()] == [1, 4, 2, 1]
    assert [one["sha"] for one in found.deployments.values()] == [
        made[n] for n in ("start", "squash", "revert", "patch")
    ]
    assert found.deployments["v1.1.0"]["finished_at"] == "2024-03-04T12:00:00Z"
    assert found.metrics["deployment_frequency"]["deployments"] == 4


def test_lead_time_starts_with_the_first_commit_behind_a_merge_or_with_the_one_that_was_squashed(
    repository: GitRepository, report: ReportCommand
) -> None:
    made = shop(repository)
    found = report(repository.folder)
    assert found.lead_time_hours == {"#1": 54, "#2": 24, made["direct"]: 24, made["revert"]: 6, "#3": 3}
    lead = found.metrics["lead_time"]
    assert (lead["changes"], lead["p50_seconds"], lead["excluded"]["first_deployment"]) == (5, 24 * 3600, 1)
    assert lead["stages"]["delivery"]["p50_seconds"] == 12 * 3600  # 18, 12, 24, 6 and 2 hours after the merges
    assert (
        "In the whole history, 2 pull requests were squash-merged, so their branches are not in the history. "
        "Their lead times start when the squashed commit was authored, so a median that includes them may be too low."
        in found.notes
    )


def squashes(repository: GitRepository, count: int, direct_count: int = 0) -> None:
    """A release with that many squash merges and commits without a pull request."""
    newest = repository.release("v1.0.0", "Start", at="03-01")
    titles = [f"Squashed (#{number})" for number in range(1, count + 1)] + ["Direct"] * direct_count
    for title in titles:
        newest = repository.commit(title, newest, at="03-02")
    repository.tag("v1.1.0", newest, "03-04")


def test_lead_time_is_a_lower_bound_where_half_of_the_changes_are_squash_merges(
    repository: GitRepository, report: ReportCommand
) -> None:
    squashes(repository, 2, direct_count=2)
    lead_time = report(repository.folder).metrics["lead_time"]
    assert (lead_time["p50_seconds"], lead_time["at_least"]) == (48 * 3600, True)
    assert (lead_time["level"], lead_time["level_span"], lead_time["interval95"]) == (None, None, None)
    out = report(repository.folder, "--format", "markdown").out
    assert "| Lead time for changes | **at least 2 d** (p90 2 d) | – |" in out
    assert "It may be higher, because a git history lacks the branches of squash-merged pull requests." in out


def test_a_lead_time_that_cannot_be_measured_has_no_p90_either(
    repository: GitRepository, report: ReportCommand
) -> None:
    squashes(repository, 2)
    repository.tag("v1.0.1", repository.git("rev-parse", "v1.1.0^{commit}"), "03-02")
    repository.git("tag", "-d", "v1.1.0")
    found = report(repository.folder, "--format", "markdown")
    assert "| Lead time for changes | **not measurable** | – |" in found.out
    weekly = report(repository.folder, "--format", "monthly", "--now", "2024-04-02T00:00:00Z").out
    assert "| Lead time, median (p90) | **not measurable** |" in weekly


def test_lead_time_has_a_level_where_fewer_are_or_where_it_starts_at_the_merge(
    repository: GitRepository, report: ReportCommand
) -> None:
    squashes(repository, 2, direct_count=3)
    assert report(repository.folder).metrics["lead_time"]["level"] == "high"
    squashed_only = report(repository.folder, "--lead-time-start", "merged").metrics["lead_time"]
    assert ("at_least" in squashed_only, squashed_only["level"]) == (False, "high")


def test_a_week_without_known_failures_has_no_failure_rate(repository: GitRepository, report: ReportCommand) -> None:
    shop(repository)
    weeks = report(repository.folder, "--window", "all").scope["weeks"]
    assert [week["change_failure_ratio"] for week in weeks if week["deployments"]] == [None, 2 / 3]


NEXT_MONTH = ("--format", "monthly", "--now", "2024-04-02T00:00:00Z")


def test_a_week_of_a_report_says_that_more_deployments_may_have_failed(
    repository: GitRepository, report: ReportCommand
) -> None:
    shop(repository)
    out = report(repository.folder, *NEXT_MONTH).out
    assert "| 2024-W10 | 3 | 1 d | ≥ 66.7 % | 2 d 3 h | ≥ 66.7 % | – |" in out
    assert "\n≥: at least. A git history has no incidents and records no rollbacks.\n" in out


def test_a_week_of_a_report_says_that_its_lead_time_may_be_longer(
    repository: GitRepository, report: ReportCommand
) -> None:
    squashes(repository, 2)
    out = report(repository.folder, *NEXT_MONTH).out
    assert "| 2024-W10 | 1 | ≥ 2 d | – | – | – | – |" in out
    assert "\n≥: at least. A git history lacks the branches of squash-merged pull requests.\n" in out


def test_without_a_known_failure_a_history_does_not_say_that_there_was_none(
    repository: GitRepository, report: ReportCommand
) -> None:
    squashes(repository, 2)
    assert report(repository.folder).metrics["recovery_time"]["reason"] == "no known failed deployment in the window"
    out = report(repository.folder, "--explain", "v1.1.0").out
    assert "- `rollback`: not known. Git records no rollbacks." in out
    assert out.splitlines()[0].endswith(": no known failure")
    assert "Why it does not count as failed, as far as git shows" in out


def test_a_revert_and_a_hotfix_mark_the_deployment_that_they_repaired(
    repository: GitRepository, report: ReportCommand
) -> None:
    shop(repository)
    found = report(repository.folder)
    assert found.failure_rules == {"v1.1.0": "revert", "v1.2.0": "hotfix"}
    assert (found.metrics["change_failure_rate"]["failed"], found.metrics["change_failure_rate"]["ratio"]) == (2, 0.5)
    assert found.metrics["recovery_time"]["mean_seconds"] == (96 + 6) / 2 * 3600
    assert found.metrics["rework_rate"]["rework"] == 2


def test_a_history_knows_no_incidents_so_its_failure_rate_is_a_lower_bound_without_a_level(
    repository: GitRepository, report: ReportCommand
) -> None:
    shop(repository)
    scope = report(repository.folder).scope
    rate = scope["metrics"]["change_failure_rate"]
    assert (rate["failed"], rate["deployments"], rate["ratio"], rate["at_least"]) == (2, 4, 0.5, True)
    assert (rate["level"], rate["level_span"], rate["interval95"]) == (None, None, None)
    assert scope["metrics"]["overall_level"]["rests_on"] == ["deployment_frequency", "lead_time"]
    recovery = scope["metrics"]["recovery_time"]
    assert recovery["recovered"] == 2
    assert (recovery["level"], recovery["level_span"], recovery["interval95"]) == (None, None, None)
    assert scope["metrics"]["incident_restore"]["incidents"] is None
    assert {week["incidents"] for week in scope["weeks"]} == {None}


def test_reports_say_at_least_and_leave_incidents_out(repository: GitRepository, report: ReportCommand) -> None:
    shop(repository)
    out = report(repository.folder, "--format", "markdown").out
    assert out.splitlines()[0].endswith(", at least 2 of 4 failed")
    assert "| Change failure rate | **at least 50 %** | – | 2 of 4 |" in out
    assert (
        "2 failures in 4 deployments that reached users. It may be higher, because a git history has no incidents."
        in out
    )
    assert "0 incidents" not in out
    monthly = report(repository.folder, "--format", "monthly", now="2024-04-01T00:00:00Z").out
    assert "at least 2 of 4 failed" in monthly


def test_a_rework_rate_is_at_least_what_is_known_since_a_history_records_no_rollbacks(
    repository: GitRepository, report: ReportCommand
) -> None:
    shop(repository)
    found = report(repository.folder)
    rework = found.metrics["rework_rate"]
    assert (rework["rework"], rework["deployments"], rework["ratio"], rework["at_least"]) == (2, 4, 0.5, True)
    out = report(repository.folder, "--format", "markdown").out
    assert "| Rework rate | **at least 50 %** | – | 2 of 4 |" in out
    assert "2 repairs in 4 deployments that reached users. It may be higher, because a git history records no " in out


def test_a_history_without_known_failures_claims_no_rate(repository: GitRepository, report: ReportCommand) -> None:
    repository.release("v1.0.0", "Start", at="03-01")
    out = report(repository.folder, "--format", "markdown").out
    assert "failed" not in out.splitlines()[0]
    assert "| Change failure rate | **none known** | – | 0 of 1 |" in out
    assert "| Rework rate | **none known** | – | 0 of 1 |" in out


def test_the_first_line_under_the_headline_says_what_was_taken(
    repository: GitRepository, report: ReportCommand
) -> None:
    shop(repository)
    repository.tag("latest", repository.git("rev-parse", "HEAD"))
    out = report(repository.folder, "--format", "markdown").out
    assert out.splitlines()[2] == (
        "The repository has 5 tags, 4 of them versions. Each of these is a deployment. "
        "Not counted, because they are not versions or move with each release: 1 (latest)."
    )


def test_the_settings_are_those_of_compute(repository: GitRepository, report: ReportCommand) -> None:
    shop(repository)
    place = repository.folder
    assert report(place, "--failure-rules", "revert").failure_rules == {"v1.1.0": "revert"}
    assert report(place, "--hotfix-window", "5h").failure_rules == {"v1.1.0": "revert"}
    assert report(place, "--hotfix-window", "6h").failure_rules == {"v1.1.0": "revert", "v1.2.0": "hotfix"}
    assert report(place, "--hotfix-labels", "urgent").failure_rules == {"v1.1.0": "revert"}
    assert report(place, "--service", "till").scope["service"] == "till"
    assert report(place, "--lead-time-start", "merged").lead_time_hours["#1"] == 18
    assert report(place, "--lead-time-start", "commit").metrics["lead_time"]["changes"] == 6
    opened = report(place, "--lead-time-start", "opened")
    assert opened.metrics["lead_time"]["excluded"]["no_start"] == 3
    assert "does not record when a pull request was opened" in opened.notes
    windowed = report(place, window="2024-03-02..2024-03-08")
    assert list(windowed.deployments) == ["v1.1.0"]


def test_the_config_file_counts_as_it_does_for_compute(
    repository: GitRepository, report: ReportCommand, tmp_path: Path
) -> None:
    shop(repository)
    (tmp_path / "dora.yml").write_text("failure-rules: [revert]\n", "utf-8")
    found = report(repository.folder, "--config", str(tmp_path / "dora.yml"))
    assert found.failure_rules == {"v1.1.0": "revert"}
    assert report(repository.folder, "--benchmark", "2020").problem.startswith("--benchmark: ")


def test_json_is_all_there_is_on_standard_output(repository: GitRepository, report: ReportCommand) -> None:
    shop(repository)
    found = report(repository.folder)
    assert json.loads(found.out)["schema"] == "dora-metrics/1"
    assert found.err == ""


def test_markdown_is_the_report_that_compute_prints(repository: GitRepository, report: ReportCommand) -> None:
    shop(repository)
    out = report(repository.folder, "--format", "markdown").out
    assert out.startswith("### 📊 acme/shop: ")
    assert "The repository has 4 tags, all of them versions. Each of these is a deployment." in out
    assert "[`v1.2.0`](https://github.com/acme/shop/releases/tag/v1.2.0) (rule `hotfix`)" in out


def test_prometheus_text_has_the_source_git(repository: GitRepository, report: ReportCommand) -> None:
    shop(repository)
    out = report(repository.folder, "--format", "prometheus").out
    labels = 'environment="production",repository="acme/shop",service="shop",source="git"'
    assert f"dora_deployments_total{{{labels}}} 4.0" in out


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ("https://github.com/acme/shop.git", "acme/shop"),
        ("https://token:x@github.com/acme/shop", "acme/shop"),
        ("git@github.com:acme/shop.git", "acme/shop"),
        ("ssh://git@ghe.example.org:2222/acme/shop.git/", "acme/shop"),
        ("git://example.org/mirrors/acme/shop.js.git", "acme/shop.js"),
        ("https://example.org/shop.git", "local/shop"),
        ("../elsewhere/shop.git", "local/shop"),
        ("file:///srv/git/acme/shop.git", "local/shop"),
        ("C:/git/acme/shop.git", "local/shop"),
        ("https://github.com:port/acme/shop.git", "local/shop"),
        ("https://github.com/acme//shop.git", "local/shop"),
        ("git@evil@github.com:acme/shop.git", "local/shop"),
        pytest.param(f"https://github.com{'/' * 1_900}acme/shop.git", "acme/shop", id="1,900 slashes"),
        pytest.param(f"https://github.com{'/' * 2_000}acme/shop.git", "local/shop", id="2,000 slashes"),
        pytest.param(f"https://h{'/' * 100_000}!", "local/shop", id="100,000 slashes"),
        (None, "local/shop"),
    ],
)
def test_the_name_is_that_of_the_origin_else_the_folders(
    tmp_path: Path, report: ReportCommand, origin: str | None, name: str
) -> None:
    repository = GitRepository.create(tmp_path / "made" / "shop", origin=origin)
    repository.release("v1", "Add the till (#2)", at="03-01")
    found = report(repository.folder)
    assert found.scope["repository"] == name
    assert found.deployments["v1"]["changes"] == [f"github:pull:{name}#2"]
    assert ("is called local/shop" in found.notes) == (name == "local/shop")
    assert "token" not in report(repository.folder, "--format", "markdown").out


def test_a_tag_has_its_taggers_time_else_its_commits(repository: GitRepository, report: ReportCommand) -> None:
    first = repository.release("light", "Start", at="03-01T10:00")
    repository.tag("annotated", repository.commit("More", first, at="03-02"), "03-03T07:00")
    found = report(repository.folder, "--tags", "*").deployments
    assert found["light"]["finished_at"] == "2024-03-01T10:00:00Z"
    assert found["annotated"]["finished_at"] == "2024-03-03T07:00:00Z"


def test_a_time_zone_of_a_commit_is_not_mistaken(repository: GitRepository, report: ReportCommand) -> None:
    raw = f"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor A <a@b> {int(at('03-01').timestamp())} +0930\n"
    sha = repository.write_commit(
        (raw + f"committer A <a@b> {int(at('03-01T01:00').timestamp())} -1200\n\nStart\n").encode()
    )
    repository.tag("v1", sha)
    assert report(repository.folder).deployments["v1"]["finished_at"] == "2024-03-01T01:00:00Z"


def test_a_pattern_says_which_tags_are_deployments(repository: GitRepository, report: ReportCommand) -> None:
    first = repository.release("api/v1.0.0", "Start", at="03-01")
    second = repository.release("web/v1.0.0", "Web", first, at="03-02")
    repository.release("api/v1.1.0", "More", second, at="03-03")
    found = report(repository.folder, "--tags", "api/*")
    assert list(found.deployments) == ["api/v1.0.0", "api/v1.1.0"]
    assert found.deployments["api/v1.1.0"]["commit_count"] == 2
    assert "The repository has 3 tags, 2 of which match `api/*`. Each of these is a deployment." in found.notes
    assert list(report(repository.folder, "--tags", "*v1.0.0").deployments) == ["api/v1.0.0", "web/v1.0.0"]


def test_the_age_of_a_clone_is_told_if_it_is_more_than_a_week(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    text = "The newest commit of this clone is 31 days old (2024-03-01)."
    assert text in report(repository.folder).notes
    assert "--now 2024-03-01T00:00:01Z" in report(repository.folder).notes
    repository.commit("Not released yet", start, at="03-25")
    assert "newest commit" not in report(repository.folder).notes


def test_deployments_with_the_time_of_their_commit_are_counted_in_the_notes(
    repository: GitRepository, report: ReportCommand, start: str
) -> None:
    repository.release("v1.1.0", "More", start, at="03-02", tagged="03-03")
    assert (
        "1 of 2 deployments in the history uses the commit's time, because lightweight tags have no date."
        in report(repository.folder).notes
    )
    repository.tag("1.0.0", start, "03-01")
    assert "lightweight" not in report(repository.folder).notes


def test_numbers_from_a_thousand_on_are_written_alike(repository: GitRepository, report: ReportCommand) -> None:
    stream = ["feature done"]
    for number in range(1100):
        who = f"dependabot[bot] <a@b> {1704067200 + number * 60} +0000"
        stream.append(f"commit refs/heads/main\nauthor {who}\ncommitter {who}\ndata 4\nStep\n")
        stream.append(f"reset refs/tags/v1.{number}\nfrom refs/heads/main\n")
    repository.git("fast-import", "--quiet", stdin="\n".join([*stream, "done\n"]))
    text = report(repository.folder, "--format", "markdown").out
    assert "1,099 by bots" in text
    assert "1,100 deployments that reached users" in text
    assert "0 of 1,100" in text


def test_a_commit_that_no_tag_contains_is_said_to_be_in_no_deployment_yet(
    repository: GitRepository, report: ReportCommand
) -> None:
    made = shop(repository)
    newest = repository.commit("Not released", made["patch"], at="03-09")
    ran = report(repository.folder, "--explain", newest[:7])
    assert (ran.code, ran.problem) == (2, f"--explain: {newest[:7]} is in no deployment yet")
    for other in (made["patch"], "0000000", "HEAD", "main"):
        assert "is in no deployment yet" not in report(repository.folder, "--explain", other).err


def test_an_explanation_does_not_deny_incidents_that_git_cannot_record(
    repository: GitRepository, report: ReportCommand
) -> None:
    shop(repository)
    text = report(repository.folder, "--explain", "v1.1.0").out
    for rule in ("explicit", "incident"):
        assert f"- `{rule}`: not known. Git records no incidents.\n" in text
    assert "No incident" not in text


def test_the_metrics_at_past_times(repository: GitRepository, report: ReportCommand) -> None:
    shop(repository)
    text = report(repository.folder, "--format", "openmetrics", "--since", "60d", "--step", "12h").out
    assert_valid_order(text)
    lines = [line for line in lines_of(text) if line.series.startswith("dora_deployments_total{")]
    counts = {line.timestamp: line.value for line in lines if line.value or line.timestamp == at("03-01").timestamp()}
    times = ("03-01", "03-01T12:00", "03-04T12:00", "03-08T12:00", "03-09")
    assert [counts[at(time).timestamp()] for time in times] == [0, 1, 2, 3, 4]


def test_what_was_known_is_what_had_a_tag(repository: GitRepository, report: ReportCommand) -> None:
    shop(repository)
    flags = ("--format", "openmetrics", "--since", "60d", "--step", "12h")
    happened, known = report(repository.folder, *flags), report(repository.folder, *flags, "--as-of", "known")
    counters = [[line for line in lines_of(ran.out) if "_total{" in line.series] for ran in (happened, known)]
    assert counters[0] == counters[1]

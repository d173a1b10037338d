"""Security alerts in `sync`: in the summary, unknown where GitHub returns none, and no secret anywhere."""

import json
from datetime import timedelta
from typing import Any

import pytest

from fakes.faults import primary_limit
from fakes.rest_alerts import SECRET
from support.github_history import NOW, at
from support.runs import deployment_status
from support.sync_shop import SyncShop

ALL_KINDS = "dependabot, code-scanning, secret-scanning"
HOURS_UNTIL_NOW = (NOW - at(0)) / timedelta(hours=1)


@pytest.fixture
def shop(sync_shop: SyncShop) -> SyncShop:
    sync_shop.merge_and_deploy(70)
    return sync_shop


def refused_token(shop: SyncShop) -> dict[str, Any]:
    """A token with the permissions that most jobs have."""
    return {"github-token": shop.github.grant(vulnerability_alerts="none", security_events="none")}


def test_alerts_come_into_the_ledger_and_the_summary_tells_of_them(shop: SyncShop) -> None:
    alert = shop.repository.alert(severity="critical", at=at(HOURS_UNTIL_NOW - 400))
    shop.repository.fix(alert, at=at(24 * 70))
    shop.repository.alert("code-scanning", "js/xss", at=at(HOURS_UNTIL_NOW - 100))
    ran = shop.run(security=ALL_KINDS)
    assert "2 vulnerabilities added or updated" in ran.summary
    assert "Security: 2 alerts detected, 1 still open (high); 1 fixed (median" in ran.summary
    (scope,) = json.loads(ran.outputs["metrics"])["scopes"]
    assert scope["metrics"]["security"].keys() == {"critical", "high"}
    (fix,) = scope["evidence"]["fixed_vulnerabilities"]
    assert fix["vulnerability"] == "github:dependabot:acme/shop#1"
    assert fix["deployment"] in shop.facts()


def test_a_second_sync_writes_nothing_and_is_four_requests(shop: SyncShop) -> None:
    shop.repository.alert(at=at(1))
    shop.run()
    head = shop.repository.head("dora-metrics")
    ran = shop.run()
    assert len(shop.requested_operations) <= 4
    assert "nothing new" in ran.summary
    assert shop.repository.head("dora-metrics") == head


def test_a_token_that_may_not_read_them_is_no_failure_and_costs_nothing_more(shop: SyncShop) -> None:
    token = {**refused_token(shop), "strict": True}
    first = shop.run(**token)
    assert first.code == 0
    assert "::warning" not in first.log
    assert "Dependabot alerts of acme/shop are unknown, which does not mean zero" in first.summary
    assert "Security:" not in first.summary
    assert json.loads(first.outputs["metrics"])["scopes"][0]["metrics"]["security"] == {}
    head = shop.repository.head("dora-metrics")
    second = shop.run(**token)
    assert not any("alerts" in str(asked) for asked in shop.requested_operations)
    assert "Dependabot alerts of acme/shop are unknown" in second.summary
    assert shop.repository.head("dora-metrics") == head


@pytest.mark.parametrize("event", ["workflow_run", "push", "schedule"])
def test_what_auto_was_refused_is_asked_for_again_once_a_week_or_by_a_person(shop: SyncShop, event: str) -> None:
    token = refused_token(shop)

    def asks(event: str, **given: Any) -> bool:  # noqa: ANN401 - as `run`
        shop.run(event, {"action": "completed", "workflow_run": {}}, mode="sync", **token, **given)
        return any("alerts" in str(asked) for asked in shop.requested_operations)

    assert asks(event)
    assert not asks(event)
    days = [day for day in range(1, 15) if asks(event, delay=timedelta(days=day))]
    assert days == [days[0], days[0] + 7]
    assert asks("workflow_dispatch", delay=timedelta(days=14))


def test_what_was_known_stays_dated_by_the_last_reading_however_often_it_is_refused(shop: SyncShop) -> None:
    shop.repository.alert(at=at(HOURS_UNTIL_NOW - 100))
    shop.run()
    shop.run(delay=timedelta(days=1))
    token = refused_token(shop)
    for days in (2, 9, 20, 40):
        ran = shop.run(delay=timedelta(days=days), since="all" if days == 40 else "90d", **token)
        assert f"The alerts shown are as of {NOW + timedelta(days=1):%Y-%m-%d}." in ran.summary, days


def test_the_run_of_an_event_says_too_that_they_are_unknown(shop: SyncShop) -> None:
    shop.run(**refused_token(shop))
    ran = shop.run("deployment_status", deployment_status(9_000))
    assert any("Dependabot alerts" in note for note in json.loads(ran.outputs["metrics"])["notes"])
    ran = shop.run("deployment_status", deployment_status(9_001), security="none")
    assert "Dependabot alerts" not in ran.summary


def test_with_none_what_was_read_before_stays_and_says_as_of_when(shop: SyncShop) -> None:
    alert = shop.repository.alert(severity="critical", at=at(HOURS_UNTIL_NOW - 100))
    shop.run()
    shop.repository.fix(alert, at=at(HOURS_UNTIL_NOW - 1))
    for event, payload in (("schedule", None), ("deployment_status", deployment_status(9_000))):
        ran = shop.run(event, payload, security="none", delay=timedelta(days=3))
        assert "1 still open (critical)" in ran.summary
        assert f"acme/shop are as of {NOW:%Y-%m-%d}, because `security` is `none`" in ran.summary
        assert any("are as of" in note for note in json.loads(ran.outputs["metrics"])["notes"])


def test_those_that_cannot_be_read_are_in_the_notes_of_every_run(shop: SyncShop) -> None:
    shop.repository.alert(at=at(HOURS_UNTIL_NOW - 100), created_at="yesterday")
    runs = [shop.run(), shop.run("deployment_status", deployment_status(9_000)), shop.run()]
    for ran in runs:
        assert ran.summary.count("1 of the Dependabot alerts of acme/shop cannot be read") == 1
        assert any("cannot be read" in note for note in json.loads(ran.outputs["metrics"])["notes"])


def test_those_that_were_asked_for_by_name_are_a_failure(shop: SyncShop) -> None:
    shop.repository.disabled_alerts = {"code-scanning": (404, "no analysis found")}
    ran = shop.run(security="code-scanning", strict=True)
    assert ran.code == 1
    assert "acme/shop: code scanning alerts are unknown: GitHub answered 404" in ran.log
    head = shop.repository.head("dora-metrics")
    shop.run(security="code-scanning")
    assert shop.repository.head("dora-metrics") == head


def test_once_the_permission_is_there_they_come_and_the_note_goes(shop: SyncShop) -> None:
    shop.repository.alert(at=at(HOURS_UNTIL_NOW - 100))
    shop.run(**refused_token(shop))
    ran = shop.run("workflow_dispatch")
    assert "1 vulnerability added" in ran.summary
    assert "unknown, which does not mean zero" not in ran.summary


def test_a_limit_in_the_middle_of_them_goes_on_with_the_next_sync(shop: SyncShop) -> None:
    for number in range(150):
        shop.repository.alert(at=at(number))
    shop.github.fail(primary_limit(), to="GET *dependabot/alerts", times=None, skip=1)
    assert "GitHub did not return Dependabot alerts" in shop.run(since="all").log
    assert sum(fact["kind"] == "vulnerability" for fact in shop.facts().values()) == 100
    shop.github.heal()
    shop.run(since="all")
    assert sum(fact["kind"] == "vulnerability" for fact in shop.facts().values()) == 150


def test_a_number_that_is_used_again_in_another_month_is_one_fact(shop: SyncShop) -> None:
    old = shop.repository.alert(subject="old", at=at(1))
    shop.run(since="all")
    shop.repository.records.remove(old)
    shop.repository.alert(subject="new", at=at(HOURS_UNTIL_NOW - 100))
    shop.run(since="all")
    assert shop.facts()["github:dependabot:acme/shop#1"]["package"] == "new"


def test_a_leaked_secret_is_nowhere(shop: SyncShop) -> None:
    shop.repository.alert("secret-scanning", "GitHub Personal Access Token", at=at(HOURS_UNTIL_NOW - 100))
    broken = shop.repository.alert("secret-scanning", "Slack API Token", at=at(HOURS_UNTIL_NOW - 90))
    broken.extra["created_at"] = SECRET
    ran = shop.run(security=ALL_KINDS)
    branch = "dora-metrics"
    paths = ("facts/2026/11.jsonl", "cursors.json", "metrics.json", "metrics.prom")
    files = [shop.repository.read(path, branch) or b"" for path in paths]
    assert all(files)
    assert b"GitHub Personal Access Token" in files[0]
    told = "".join([ran.log, ran.summary, *ran.outputs.values(), *(file.decode() for file in files)])
    assert "1 of the secret scanning alerts of acme/shop cannot be read" in told
    assert SECRET not in told
    assert "raw_type_of_secret" not in told
    assert shop.github.state.revealed_secrets == 0


def test_hostile_names_of_packages_stay_text(shop: SyncShop) -> None:
    hostile = "</details><script>x</script>\n::error::gotcha @acme/all [x](http://evil)"
    shop.repository.fix(shop.repository.alert(subject=hostile, at=at(24 * 69)), at=at(24 * 70))
    ran = shop.run()
    assert "<script>" not in ran.summary
    assert not any(line.startswith("::error") for line in ran.log.splitlines())

"""The alerts of quiet repositories come from the list of their organisation, if it says all that they would say."""

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dora_metrics.github.history import news, organisation_alerts
from fakes.faults import Fault, RequestInFlight, custom_answer, unavailable
from fakes.records import Alert
from fakes.routing import Answer
from support.organisation import HOUR, Organisation

NIGHT = 24 * HOUR
LIST = "GET /orgs/acme/dependabot/alerts"
OWN = "GET /repos/acme/*/dependabot/alerts"


@pytest.fixture
def _own_days() -> None:
    """Let repositories show their own lists on their own days; other tests count requests without that."""


@pytest.fixture(autouse=True)
def _with_enough_repositories(
    acme: Organisation, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if "_own_days" not in request.fixturenames:
        monkeypatch.setattr(news, "_OWN_ALERTS_DAYS", 10_000)
    for name in ("pay", "mail", "search"):
        acme.add(name)
    acme.sync()


def paths(acme: Organisation, pattern: str) -> list[str]:
    return [request.path for request in acme.github.requests_matching(pattern)]


def vulnerabilities(acme: Organisation, branch: str = "dora-metrics") -> dict[str, Mapping[str, object]]:
    return {identity: fact for identity, fact in acme.facts(branch).items() if fact["kind"] == "vulnerability"}


def requests_of_night(acme: Organisation, *, nights: int = 1, **inputs: Any) -> tuple[int, int]:  # noqa: ANN401
    """Sync after some nights; return the requests for the organisation's list and for those of repositories."""
    acme.sync(after=nights * NIGHT, **inputs)
    return len(paths(acme, LIST)), len(paths(acme, OWN))


def test_the_alerts_of_all_quiet_repositories_take_one_request(acme: Organisation) -> None:
    acme.api.alert()
    acme.web.alert()
    assert requests_of_night(acme) == (1, 0)
    assert set(vulnerabilities(acme)) == {"github:dependabot:acme/api#1", "github:dependabot:acme/web#1"}


def test_an_alert_that_changes_later_is_brought_up_to_date(acme: Organisation) -> None:
    alert = acme.api.alert()
    requests_of_night(acme)
    acme.now += HOUR
    acme.api.fix(alert)
    assert requests_of_night(acme) == (1, 0)
    (fact,) = vulnerabilities(acme).values()
    assert fact["fixed_at"]


def test_pages_are_read_as_far_back_as_the_last_reading(acme: Organisation) -> None:
    for _ in range(250):
        acme.api.alert()
    assert requests_of_night(acme) == (3, 0)
    acme.api.alert()
    assert requests_of_night(acme, nights=2) == (1, 0)
    assert len(vulnerabilities(acme)) == 251


def test_a_repository_that_is_not_read_adds_nothing(acme: Organisation) -> None:
    acme.add("secret-project").alert()
    some: dict[str, Any] = {"repositories": "acme/*, !acme/secret-project"}
    acme.sync(after=2 * HOUR, **some)
    assert requests_of_night(acme, **some) == (1, 0)
    assert vulnerabilities(acme) == {}


@pytest.mark.parametrize(
    "fault",
    [
        custom_answer(403, {"message": "Resource not accessible by integration"}),
        custom_answer(404, {"message": "Not Found"}),
        custom_answer(200, [{"number": 1}]),
        unavailable(502),
    ],
    ids=["forbidden", "not there", "another shape", "away"],
)
def test_without_the_list_each_repository_shows_its_own(acme: Organisation, fault: Fault) -> None:
    acme.api.alert()
    acme.github.fail(fault, to=LIST, times=None)
    assert requests_of_night(acme)[1] == 6
    assert set(vulnerabilities(acme)) == {"github:dependabot:acme/api#1"}


def test_a_refusal_is_remembered_in_the_run(acme: Organisation) -> None:
    acme.github.fail(custom_answer(404, {"message": "Not Found"}), to=LIST, times=None)
    assert requests_of_night(acme) == (1, 6)


def test_the_list_of_a_person_is_not_asked_for(acme: Organisation) -> None:
    acme.github.state.people.add("acme")
    acme.sync(after=HOUR)
    assert requests_of_night(acme) == (0, 6)


def test_few_repositories_show_their_own(acme: Organisation) -> None:
    some: dict[str, Any] = {"repositories": "acme/api, acme/web, acme/shop, acme/pay"}
    acme.sync(after=2 * HOUR, **some)
    assert requests_of_night(acme, **some) == (0, 4)


@pytest.mark.parametrize("kind", ["dependabot", "secret-scanning"])
@pytest.mark.usefixtures("_own_days")
def test_alerts_that_are_switched_off_are_noticed_within_four_weeks(acme: Organisation, kind: str) -> None:
    """The list does not show this, and neither does a field of GitHub's that every token may read."""
    security: dict[str, Any] = {"security": kind}
    acme.sync(after=2 * HOUR, **security)
    acme.api.disabled_alerts[kind] = (404, "Alerts are disabled on this repository.")
    logs = [acme.sync(after=NIGHT, **security).log for _ in range(28)]
    assert "alerts are unknown" not in logs[0]
    assert "alerts are unknown" in logs[-1]


def test_alerts_that_are_switched_off_are_noticed_when_anything_else_changes(acme: Organisation) -> None:
    acme.api.disabled_alerts["dependabot"] = (403, "Dependabot alerts are disabled for this repository.")
    acme.api.issue("Slow")
    assert "Dependabot alerts of acme/api are unknown" in acme.sync(after=NIGHT).summary


class _WithoutFirstAlert(Fault):
    """Leaves an alert out of a list."""

    def after(self, _: RequestInFlight, answer: Answer) -> Answer:
        return replace(answer, body=[alert for alert in answer.body if alert["number"] != 1])


@pytest.mark.usefixtures("_own_days")
def test_an_alert_that_the_list_leaves_out_is_late_and_not_lost(acme: Organisation) -> None:
    acme.api.alert()
    acme.github.fail(_WithoutFirstAlert(), to=LIST, times=None)
    requests_of_night(acme)
    acme.now += HOUR
    acme.api.alert()
    requests_of_night(acme)
    assert set(vulnerabilities(acme)) == {"github:dependabot:acme/api#2"}
    for _ in range(28):
        requests_of_night(acme)
    assert set(vulnerabilities(acme)) == {"github:dependabot:acme/api#1", "github:dependabot:acme/api#2"}


@pytest.mark.usefixtures("_own_days")
def test_repositories_do_not_all_show_their_own_in_the_same_night(acme: Organisation) -> None:
    own = [requests_of_night(acme)[1] for _ in range(28)]
    assert sum(own) == 6
    assert max(own) <= 2


def test_a_list_that_is_longer_than_what_it_saves_is_left(acme: Organisation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(organisation_alerts, "_MAX_PAGES", 2)
    for _ in range(250):
        acme.web.alert()
    listed, own = requests_of_night(acme)
    assert (listed, own) == (2, 6 + 2)
    assert len(vulnerabilities(acme)) == 250


def test_secrets_are_asked_for_without_the_secret(acme: Organisation) -> None:
    acme.sync(security="secret-scanning, code-scanning")
    acme.api.alert("secret-scanning", "Token")
    acme.api.alert("code-scanning", "js/xss")
    acme.api.alert("code-scanning", "js/xss", branch="feature")
    acme.sync(after=NIGHT, security="secret-scanning, code-scanning")
    assert set(vulnerabilities(acme)) == {"github:secret-scanning:acme/api#1", "github:code-scanning:acme/api#1"}
    assert acme.github.state.revealed_secrets == 0
    assert not paths(acme, "GET /repos/*/alerts")


def test_an_alert_that_cannot_be_read_is_counted_as_such_until_it_can(acme: Organisation) -> None:
    alert = acme.api.alert(created_at="soon", updated_at=acme.now.isoformat())
    acme.github.fail(custom_answer(404, {"message": "Not Found"}), to=LIST)
    assert "cannot be read" in acme.sync(after=NIGHT).summary
    assert "cannot be read" in acme.sync(after=NIGHT).summary
    alert.extra.clear()
    acme.api.fix(alert)
    assert "cannot be read" not in acme.sync(after=NIGHT).summary
    assert len(vulnerabilities(acme)) == 1


@pytest.mark.parametrize("seed", range(3))
def test_the_list_gives_the_same_facts_as_asking_each_repository(acme: Organisation, seed: int) -> None:
    chance = random.Random(seed)
    repositories = [each for each in acme.github.state.repositories.values() if each.owner_login == "acme"]
    for _ in range(4):
        for repository in chance.sample(repositories, 3):
            acme.now += timedelta(minutes=chance.randrange(200))
            _change_an_alert(repository.records_of(Alert), chance) if chance.random() < 0.5 else repository.alert()
        assert requests_of_night(acme)[1] == 0
        acme.sync_everything("everything")
        assert vulnerabilities(acme) == vulnerabilities(acme, "everything")


def _change_an_alert(alerts: list[Alert], chance: random.Random) -> None:
    if alerts:
        alert = chance.choice(alerts)
        change = chance.choice([alert.repository.fix, alert.repository.dismiss, alert.repository.reopen_alert])
        change(alert)


@pytest.mark.parametrize("answered", range(0, 12, 2))
def test_a_night_that_is_cut_off_after_any_request_is_made_up_for(acme: Organisation, answered: int) -> None:
    acme.now += HOUR
    acme.api.alert()
    acme.web.issue("Down", labels=["incident"])
    acme.github.fail(unavailable(502), times=None, skip=answered)
    acme.sync(after=NIGHT)
    acme.github.heal()
    acme.sync(after=HOUR)
    assert set(vulnerabilities(acme)) == {"github:dependabot:acme/api#1"}
    assert any(fact["kind"] == "incident" for fact in acme.facts().values())

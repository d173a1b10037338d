"""What a name in `also` means: ids, numbers, keys and addresses as people paste them."""

import pytest

from dora_metrics.core.failures.incident_names import IncidentIndex
from support.facts import incident

HOSTS = frozenset({"github.com"})
PAGE = "https://acme.pagerduty.com/incidents/Q1ABC"
TICKET = "https://acme.atlassian.net/browse/OPS-12"
OWN = "https://pager.example/show"

RECORDED = [
    incident(12, url="https://github.com/acme/shop/issues/12"),
    incident(1, id="github:issue:Acme/Pay#3", repository="Acme/Pay"),
    incident(2, id="pagerduty:Q1ABC"),
    incident(3, id="jira:OPS-12"),
    incident(4, id="pager:4", url=f"{OWN}?id=4"),
    incident(5, id="pager:5", url="https://pager.example/#/incidents/5"),
    incident(6, id="alertmanager:c59d274570a8a903:2024-03-05T12:00:00Z", url="https://prometheus.example/graph"),
    incident(7, id="alertmanager:c59d274570a8a903:2024-03-06T12:00:00Z", url="https://prometheus.example/graph"),
    incident(8, id="statuspage:8", url="http://STATUS.example/i/8/"),
    incident(9, id="pager:9", url="https://incidents/9"),
]


def meant(name: str, repository: str = "acme/shop") -> list[str]:
    """The ids of the incidents that a name means."""
    asking = incident(99, repository=repository, also=(name,))
    (named,) = IncidentIndex([*RECORDED, asking], HOSTS).names_of(asking)
    return [other.id for other in named.meant]


@pytest.mark.parametrize(
    ("name", "incident_id"),
    [
        ("pagerduty:Q1ABC", "pagerduty:Q1ABC"),
        ("#12", "github:issue:acme/shop#12"),
        ("acme/shop#12", "github:issue:acme/shop#12"),
        ("github:issue:ACME/shop#12", "github:issue:acme/shop#12"),
        ("acme/pay#3", "github:issue:Acme/Pay#3"),
        ("https://github.com/acme/shop/issues/12", "github:issue:acme/shop#12"),
        ("https://github.com/acme/shop/issues/12/#issuecomment-4", "github:issue:acme/shop#12"),
        ("github.com/acme/pay/issues/3?notification=1", "github:issue:Acme/Pay#3"),
        ("<https://api.github.com/repos/acme/pay/issues/3>", "github:issue:Acme/Pay#3"),
        (PAGE, "pagerduty:Q1ABC"),
        (f"{PAGE}/timeline?utm_source=slack#top", "pagerduty:Q1ABC"),
        ("https://acme.eu.pagerduty.com/incidents/Q1ABC", "pagerduty:Q1ABC"),
        (TICKET, "jira:OPS-12"),
        ("http://jira/browse/ops-12", "jira:OPS-12"),
        ("https://acme.example/jira/browse/OPS-12?focusedCommentId=7", "jira:OPS-12"),
        ("OPS-12", "jira:OPS-12"),
        (f"{OWN}?id=4", "pager:4"),
        (f"{OWN}/?id=4#comments", "pager:4"),
        ("https://pager.example/#/incidents/5", "pager:5"),
        ("https://www.status.example/i/8?x=1", "statuspage:8"),
        ("https://incidents/9", "pager:9"),
    ],
)
def test_a_name_means_one_incident(name: str, incident_id: str) -> None:
    assert meant(name) == [incident_id]


@pytest.mark.parametrize(
    "name",
    [
        "#13",
        "12",
        "ops-12",
        "Q1ABC",
        "pagerduty:q1abc",
        "acme/other#12",
        "https://github.com/acme/shop/pull/12",
        "https://gitlab.example/acme/pay/issues/3",
        "https://pagerduty.com.example/incidents/Q1ABC",
        "https://notpagerduty.com/incidents/Q1ABC",
        "https://acme.atlassian.net/browse/OPS-123",
        f"{OWN}?id=5",
        OWN,
        "https://pager.example/#/incidents/6",
        "https://pager.example",
        "https://user@status.example/i/8",
        "https://",
        "::",
        "\u202e",
    ],
)
def test_a_name_means_no_incident(name: str) -> None:
    assert meant(name) == []


def test_a_number_is_one_of_the_repository_that_uses_it() -> None:
    assert meant("#3") == []
    assert meant("#3", repository="acme/pay") == ["github:issue:Acme/Pay#3"]


def test_an_address_of_several_incidents_means_more_than_one() -> None:
    assert len(meant("https://prometheus.example/graph")) == 2


def test_no_incident_means_itself() -> None:
    asking = incident(1, url=PAGE, also=(PAGE, "#1"))
    assert [named.meant for named in IncidentIndex([asking], HOSTS).names_of(asking)] == [(), ()]
    same_address = incident(2, id="jira:OPS-1", url=PAGE)
    assert IncidentIndex([asking, same_address], HOSTS).names_of(asking)[0].meant == (same_address,)


def test_a_name_that_is_stated_twice_is_one_name() -> None:
    asking = incident(1, also=("#12", "#12"))
    assert len(IncidentIndex([*RECORDED, asking], HOSTS).names_of(asking)) == 1

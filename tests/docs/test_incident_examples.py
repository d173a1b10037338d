"""The systems of docs/incidents.md and examples/incidents/ can be pasted, and read what their vendors describe."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from dora_metrics.settings.config_file import config_layer
from dora_metrics.settings.incidents.parsing import parse_systems
from dora_metrics.settings.loading import load_settings
from fakes.github import FakeGitHub
from fakes.incident_systems import TOKEN, FakeSystem, Incident, Query, answer_json, instant
from support.incident_shop import DAY, HOUR, IncidentShop, text
from support.paths import ROOT
from support.runs import NOW
from support.servers import Answer, listening

EXAMPLES = sorted((ROOT / "examples" / "incidents").glob("*.yml"))
PAGE = (ROOT / "docs" / "incidents.md").read_text("utf-8")


class FakeSentry(FakeSystem):
    """`/api/0/organizations/{org}/issues/`: a cursor in the header `Link`, also after the last page."""

    def answer(self, path: str, query: Query) -> Answer:
        assert path.startswith("/api/0/organizations/acme/issues/")
        begin = int(query.get("cursor", ["0:0:0"])[0].split(":")[1])
        page, end = self.incidents[begin : begin + 2], begin + 2
        has_more = str(end < len(self.incidents)).lower()
        link = f'<{self.url}{path}?cursor=0:{end}:0>; rel="next"; results="{has_more}"; cursor="0:{end}:0"'
        return answer_json([self._item(each) for each in page], {"Link": link})

    def _item(self, incident: Incident) -> dict[str, Any]:
        return {
            "id": incident.key,
            "title": incident.title,
            "permalink": "https://acme.sentry.io/issues/1/",
            "project": {"slug": "checkout"},
            "level": "fatal",
            "status": "resolved" if incident.ended else "unresolved",
            "statusDetails": {},
            "firstSeen": instant(incident.began),
            "lastSeen": instant(incident.updated),
        }


class FakeServiceNow(FakeSystem):
    """`/api/now/table/incident`: times in UTC without a zone, empty texts for what is missing."""

    @property
    def authorization(self) -> str:
        return "Basic dXNlcjpwYXNz"

    def answer(self, path: str, query: Query) -> Answer:
        assert path == "/api/now/table/incident"
        since = re.fullmatch(r"sys_updated_on>=(\S+ \S+)\^ORDERBYsys_updated_on", query["sysparm_query"][0])
        assert since
        matching = sorted(
            (each for each in self.incidents if plain(each.updated) >= since[1]), key=lambda one: one.updated
        )
        begin = int(query["sysparm_offset"][0])
        return answer_json({"result": [self._item(each) for each in matching[begin : begin + 500]]})

    def _item(self, incident: Incident) -> dict[str, Any]:
        return {
            "number": incident.key,
            "short_description": incident.title,
            "cmdb_ci": {"link": "https://acme.service-now.com/x", "value": "abc"},
            "priority": "1",
            "state": "6" if incident.ended else "2",
            "opened_at": plain(incident.began),
            "resolved_at": plain(incident.ended),
            "closed_at": "",
            "sys_updated_on": plain(incident.updated),
        }


def plain(time: Any) -> str:  # noqa: ANN401 - a time or None
    return (instant(time) or "").replace("T", " ").removesuffix("Z")


class FakeServiceManagement(FakeSystem):
    """`/jsm/ops/api/{cloudId}/v1/alerts`: the last change first."""

    @property
    def authorization(self) -> str:
        return "Basic dXNlcjpwYXNz"

    def answer(self, path: str, query: Query) -> Answer:
        assert path == "/jsm/ops/api/CLOUD-ID/v1/alerts"
        offset, size = int(query["offset"][0]), int(query["size"][0])
        newest_first = sorted(self.incidents, key=lambda each: each.updated, reverse=True)
        page = [self._item(each) for each in newest_first[offset : offset + size]]
        return answer_json({"values": page, "links": {}})

    def _item(self, incident: Incident) -> dict[str, Any]:
        return {
            "id": incident.key,
            "message": incident.title,
            "status": "closed" if incident.ended else "open",
            "priority": "P1",
            "tags": ["eu", "service:checkout"],
            "createdAt": instant(incident.began),
            "updatedAt": instant(incident.updated),
        }


FAKES: Mapping[str, type[FakeSystem]] = {
    "sentry": FakeSentry,
    "servicenow": FakeServiceNow,
    "jira-service-management": FakeServiceManagement,
}


@contextmanager
def shop_in(folder: Path) -> Iterator[IncidentShop]:
    with FakeGitHub(now=lambda: NOW) as github:
        github.repository("acme/shop").commit({"README.md": "shop"}, message="Begin")
        yield IncidentShop(github, folder)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_reads_what_its_vendor_describes(path: Path, tmp_path: Path) -> None:
    (system,) = yaml.safe_load(path.read_text("utf-8"))["incidents"]
    with listening(FAKES[path.stem]()) as fake, shop_in(tmp_path) as shop:
        fake.add("A1", NOW - 30 * DAY, NOW - 30 * DAY + HOUR)
        fake.add("A2", NOW - 5 * DAY, NOW - 4 * DAY)
        fake.add("A3", NOW - 2 * HOUR, None)
        system["url"] = re.sub("https://[^/]+", fake.url, system["url"])
        token = "user:pass" if "Basic" in str(system.get("headers")) else TOKEN
        ran = shop.sync(system, tokens=f"{system['name']}: {token}", strict="true")
        assert ran.code == 0, ran.log
        assert [(begin, end) for _, begin, end in shop.times()] == [
            (text(NOW - 30 * DAY), text(NOW - 30 * DAY + HOUR)),
            (text(NOW - 5 * DAY), text(NOW - 4 * DAY)),
            (text(NOW - 2 * HOUR), None),
        ]
        assert {each["severity"] for each in shop.incidents().values()} == {"critical"}
        before = len(fake.requests)
        shop.sync(system, tokens=f"{system['name']}: {token}", now=NOW + HOUR)
        assert len(fake.requests) - before <= 2


def test_every_example_has_a_fake() -> None:
    assert sorted(path.stem for path in EXAMPLES) == sorted(FAKES)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_names_the_host_and_the_token_that_it_needs(path: Path) -> None:
    content = path.read_text("utf-8")
    (system,) = load_settings([config_layer(path.name, content.encode())]).incidents
    (parsed,) = parse_systems([system])
    assert f"incident-hosts: {parsed.origin.host}" in content
    assert f'incident-tokens: "{parsed.name}: ' in content


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(incidents:.*?)```", PAGE, flags=re.DOTALL))
def test_a_block_of_the_page_can_be_pasted(block: str) -> None:
    settings = load_settings([config_layer(".github/dora.yml", block.encode())])
    assert parse_systems(settings.incidents)


def test_the_first_incident_takes_five_lines() -> None:
    section = PAGE.partition("## The first incident")[2].partition("\n## ")[0]
    blocks = re.findall(r"```yaml\n(.*?)```", section, flags=re.DOTALL)
    assert sum(len(block.splitlines()) for block in blocks) == 5
    assert json.dumps(yaml.safe_load(blocks[0]))

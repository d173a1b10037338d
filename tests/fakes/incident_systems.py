"""Incident systems that answer as the vendors' references say: one for each way of paging.

PagerDuty pages by offset, Jira and incident.io by token, Statuspage by number, `FakeLinked` by a header `Link`, and
`FakeSingle` not at all.
"""

import base64
import json
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from support.runs import NOW
from support.servers import Answer, ListeningFake, Request

TOKEN = "s3cret-t0ken"
USER = "ada@example.com"

Query = dict[str, list[str]]


@dataclass(frozen=True)
class Incident:
    """An incident as a system has it."""

    key: str
    began: datetime
    ended: datetime | None = None
    changed: datetime | None = None
    title: str = "The shop is down"
    service: str = "Checkout"
    severity: str | None = "P1"
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def updated(self) -> datetime:
        return self.changed or self.ended or self.began


@dataclass
class FakeSystem(ListeningFake):
    """What a system has, and what it was asked.

    Attributes:
        incidents: in any order.
        answers: instead of its own answers, those to the requests with these numbers, counted from 1.
        token: what it accepts; None for any, also none.
        now: its clock.
    """

    incidents: list[Incident] = field(default_factory=list)
    answers: dict[int, Answer] = field(default_factory=dict)
    token: str | None = TOKEN
    now: datetime = NOW

    @property
    def paths(self) -> list[str]:
        return [urlsplit(request.path).path for request in self.requests]

    def queries(self) -> list[Query]:
        return [parse_qs(urlsplit(request.path).query) for request in self.requests]

    def add(self, key: str, began: datetime, ended: datetime | None = None, **fields: Any) -> None:  # noqa: ANN401 - of the incident
        self.incidents.append(Incident(key, began, ended, **fields))

    def change(self, key: str, **fields: Any) -> None:  # noqa: ANN401 - of the incident
        self.incidents = [replace(each, **fields) if each.key == key else each for each in self.incidents]

    def answer_to(self, request: Request) -> Answer:
        if prepared := self.answers.get(len(self.requests)):
            return prepared
        if self.token is not None and self.authorization != request.headers.get("Authorization"):
            return Answer(401, b'{"error": "unauthorized"}')
        parts = urlsplit(request.path)
        return self.answer(unquote(parts.path), parse_qs(parts.query, keep_blank_values=True))

    @property
    def authorization(self) -> str:
        return f"Bearer {self.token}"

    @abstractmethod
    def answer(self, path: str, query: Query) -> Answer:
        """Answer a request that may see the incidents."""

    def single(self, key: str) -> Incident | None:
        return next((each for each in self.incidents if each.key == key), None)


def answer_json(body: object, headers: dict[str, str] | None = None) -> Answer:
    return Answer(200, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})


def instant(time: datetime | None) -> str | None:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ") if time else None


class FakePagerDuty(FakeSystem):
    """`GET /incidents` and `/incidents/{id}`, as in PagerDuty's OpenAPI description of 2026-08-14."""

    largest_page = 100
    single_answers: Mapping[str, Answer] = MappingProxyType({})

    @property
    def authorization(self) -> str:
        return f"Token token={self.token}"

    def answer(self, path: str, query: Query) -> Answer:
        if path.startswith("/incidents/"):
            key = path.removeprefix("/incidents/")
            if key in self.single_answers:
                return self.single_answers[key]
            incident = self.single(key)
            return (
                answer_json({"incident": self._item(incident)})
                if incident
                else Answer(404, b'{"error": {"code": 2100}}')
            )
        offset, limit = int(query["offset"][0]), min(100, int(query["limit"][0]))
        if offset + limit > 10_000:
            return Answer(400, b'{"error": {"message": "Invalid Input Provided"}}')
        matching = sorted(self._matching(query), key=lambda each: each.began)
        limit = min(limit, self.largest_page)
        page = matching[offset : offset + limit]
        body = {"incidents": [self._item(each) for each in page], "limit": limit, "offset": offset, "total": None}
        return answer_json({**body, "more": offset + limit < len(matching)})

    def _matching(self, query: Query) -> Iterator[Incident]:
        assert query["sort_by"] == ["created_at:asc"]
        statuses = query.get("statuses[]", ["triggered", "acknowledged", "resolved"])
        since, until = (
            datetime.fromisoformat(query[name][0]) if name in query else None for name in ("since", "until")
        )
        if query.get("date_range") != ["all"]:
            assert since
            assert until
            assert until - since <= timedelta(days=180), "the API refuses more than six months"
            assert query["time_zone"] == ["UTC"], "without it, the account's zone counts"
        for each in self.incidents:
            if ("resolved" if each.ended else "triggered") not in statuses:
                continue
            if query.get("date_range") == ["all"] or (since and until and since <= each.began < until):
                yield each

    def _item(self, incident: Incident) -> dict[str, Any]:
        priority = {"summary": incident.severity, "type": "priority_reference"} if incident.severity else None
        return {
            "id": incident.key,
            "type": "incident",
            "title": incident.title,
            "html_url": f"https://acme.pagerduty.com/incidents/{incident.key}",
            "created_at": instant(incident.began),
            "updated_at": instant(incident.updated),
            "resolved_at": instant(incident.ended),
            "status": "resolved" if incident.ended else "triggered",
            "service": {"id": f"P{incident.service.upper()}", "summary": incident.service},
            "priority": priority,
            "urgency": "high",
            "resolve_reason": None,
            **incident.extra,
        }


class FakeJira(FakeSystem):
    """`/rest/api/3/search/jql`: only the fields that are named; no `nextPageToken` on the last page."""

    page_size = 50

    @property
    def authorization(self) -> str:
        return f"Basic {base64.b64encode(f'{USER}:{self.token}'.encode()).decode()}"

    def answer(self, path: str, query: Query) -> Answer:
        fields = query.get("fields", ["id"])[0].split(",")
        if path.startswith("/rest/api/3/issue/"):
            incident = self.single(path.removeprefix("/rest/api/3/issue/"))
            return answer_json(self._item(incident, fields)) if incident else Answer(404)
        if path != "/rest/api/3/search/jql":
            return Answer(410, b'{"errorMessages": ["The requested API has been removed."]}')
        matching = self._matching(query["jql"][0])
        if matching is None:
            return Answer(400, b'{"errorMessages": ["An issue with this key does not exist for field \'key\'."]}')
        return answer_json(self._page(matching, query, fields))

    def _page(self, matching: Sequence[Incident], query: Query, fields: Sequence[str]) -> dict[str, Any]:
        begin = int(base64.b64decode(query["nextPageToken"][0])) if "nextPageToken" in query else 0
        end = begin + min(self.page_size, int(query["maxResults"][0]))
        page: dict[str, Any] = {"issues": [self._item(each, fields) for each in matching[begin:end]]}
        if end < len(matching):
            page["nextPageToken"] = base64.b64encode(str(end).encode()).decode()
        return page | {"isLast": end >= len(matching)}

    def _matching(self, jql: str) -> list[Incident] | None:
        if keys := re.fullmatch(r"key in \((.*)\)", jql):
            chosen = [self.single(key) for key in keys[1].split(",")]
            return None if None in chosen else [each for each in chosen if each]
        minutes = re.fullmatch(r'\((.+)\) AND updated >= "-(\d+)m" ORDER BY updated ASC', jql)
        assert minutes, jql
        since = self.now - timedelta(minutes=int(minutes[2]))
        return sorted((each for each in self.incidents if each.updated >= since), key=lambda each: each.updated)

    def _item(self, incident: Incident, fields: Sequence[str]) -> dict[str, Any]:
        values = {
            "summary": incident.title,
            "created": jira_time(incident.began),
            "updated": jira_time(incident.updated),
            "resolutiondate": jira_time(incident.ended),
            "resolution": {"name": "Done"} if incident.ended else None,
            "priority": {"name": incident.severity},
            "components": [{"name": incident.service}] if incident.service else [],
            **incident.extra,
        }
        return {"id": "10000", "key": incident.key, "fields": {name: values[name] for name in fields if name in values}}


def jira_time(time: datetime | None) -> str | None:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000+0000") if time else None


class FakeIncidentIo(FakeSystem):
    """`/v2/incidents`: pages of 250 at most, `after` is null on the last page; dates filter by day."""

    def answer(self, path: str, query: Query) -> Answer:
        assert path == "/v2/incidents"
        day = datetime.fromisoformat(query["updated_at[gte]"][0]).date()
        matching = sorted((each for each in self.incidents if each.updated.date() >= day), key=lambda each: each.key)
        remaining = [each for each in matching if each.key > query.get("after", [""])[0]]
        size = int(query["page_size"][0])
        assert size <= 250
        page = remaining[:size]
        after = page[-1].key if len(remaining) > size else None
        return answer_json(
            {"incidents": [self._item(each) for each in page], "pagination_meta": {"after": after, "page_size": size}}
        )

    def _item(self, incident: Incident) -> dict[str, Any]:
        named = {"Reported at": incident.began, "Impact started": incident.began, "Fixed at": incident.ended}
        values = [
            {
                "incident_timestamp": {"id": name, "name": name, "rank": 1},
                "value": {"value": instant(time)} if time else None,
            }
            for name, time in named.items()
        ]
        return {
            "id": incident.key,
            "name": incident.title,
            "mode": "standard",
            "permalink": f"https://app.incident.io/incidents/{incident.key}",
            "severity": {"name": incident.severity, "rank": 1},
            "incident_status": {"category": "closed" if incident.ended else "live", "name": "x"},
            "created_at": instant(incident.began + timedelta(minutes=7)),
            "updated_at": instant(incident.updated),
            "incident_timestamp_values": values,
            **incident.extra,
        }


class FakeStatuspage(FakeSystem):
    """`/v1/pages/{page_id}/incidents`: a list, the newest first, by page number."""

    @property
    def authorization(self) -> str:
        return f"OAuth {self.token}"

    def answer(self, path: str, query: Query) -> Answer:
        assert path.startswith("/v1/pages/abc123/incidents")
        key = path.removeprefix("/v1/pages/abc123/incidents").removeprefix("/")
        newest_first = sorted(self.incidents, key=lambda each: each.began, reverse=True)
        if key and key != "unresolved":
            incident = self.single(key)
            return answer_json(self._item(incident)) if incident else Answer(404)
        matching = [each for each in newest_first if not (key and each.ended)]
        size, number = int((query.get("limit") or query["per_page"])[0]), int(query["page"][0])
        return answer_json([self._item(each) for each in matching[(number - 1) * size : number * size]])

    def _item(self, incident: Incident) -> dict[str, Any]:
        return {
            "id": incident.key,
            "name": incident.title,
            "impact": incident.severity,
            "shortlink": f"https://stspg.io/{incident.key}",
            "created_at": instant(incident.began),
            "started_at": instant(incident.began),
            "resolved_at": instant(incident.ended),
            "updated_at": instant(incident.updated),
            "scheduled_for": None,
            **incident.extra,
        }


class FakeLinked(FakeSystem):
    """Pages that name the next one in a header `Link`, as Sentry does: also after the last page, without items."""

    page_size = 2
    next_host: str | None = None

    def answer(self, path: str, query: Query) -> Answer:
        assert path == "/api/incidents"
        begin = int(query.get("cursor", ["0"])[0])
        page, end = self.incidents[begin : begin + self.page_size], begin + self.page_size
        has_more = str(end < len(self.incidents)).lower()
        address = f"{self.next_host or self.url}/api/incidents?cursor={end}"
        previous = f'<{self.url}/api/incidents?cursor=0>; rel="previous"; results="false"; cursor="0"'
        link = f'{previous}, <{address}>; rel="next"; results="{has_more}"; cursor="{end}"'
        return answer_json({"data": [plain_item(each) for each in page]}, {"Link": link})


class FakeSingle(FakeSystem):
    """A list on one page, at `/api/incidents`."""

    def answer(self, path: str, query: Query) -> Answer:  # noqa: ARG002 - as of the others
        assert path == "/api/incidents"
        return answer_json({"data": [plain_item(each) for each in self.incidents]})


class FakeCapped(FakeSystem):
    """A list by offset or page number, of which it shows ten a page, however many it is asked for."""

    page_size = 10

    def answer(self, path: str, query: Query) -> Answer:
        assert path == "/api/incidents"
        begin = int(query["offset"][0]) if "offset" in query else (int(query["page"][0]) - 1) * self.page_size
        return answer_json({"data": [plain_item(each) for each in self.incidents[begin : begin + self.page_size]]})


def plain_item(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.key,
        "title": incident.title,
        "started": instant(incident.began),
        "ended": instant(incident.ended),
        "changed": instant(incident.updated),
        "level": incident.severity,
        "team": incident.service,
        **incident.extra,
    }


PLAIN_FIELDS = {
    "id": "id",
    "title": "title",
    "detected_at": "started",
    "resolved_at": "ended",
    "observed_at": "changed",
    "severity": "level",
    "service": "team",
}

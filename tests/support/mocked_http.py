"""Answers without a server, for tests that look at one request or at one status."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import responses
from requests import PreparedRequest

from support.servers import OK, Answer, Request


@dataclass
class MockedHost:
    """A host in this process that gives its answers in order, repeats the last one, and keeps its requests."""

    answers: tuple[Answer, ...]
    requests: list[Request] = field(default_factory=list)
    host: str = "mocked.example"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def answer_to(self, request: PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        body = request.body or b""
        content = body.encode() if isinstance(body, str) else body
        self.requests.append(Request(str(request.method), request.path_url, dict(request.headers), content))
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        return answer.status, answer.headers, answer.body


@contextmanager
def mocked(*answers: Answer) -> Iterator[MockedHost]:
    """Mock a host with these answers; the default is 200. It replaces `support.servers.listen`."""
    host = MockedHost(answers or (OK,))
    address = re.compile(rf"http://([^/@]*@)?{re.escape(host.host)}(/.*)?")
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for method in ("GET", "PATCH", "POST", "PUT"):
            mock.add_callback(method, address, callback=host.answer_to)
        yield host

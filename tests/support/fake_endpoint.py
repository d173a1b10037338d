"""An endpoint that keeps what it accepts, and answers as a test says."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from support.servers import OK, Answer, ListeningFake, Request

Rule = Callable[[Request], Answer]


def accept(_: Request) -> Answer:
    return OK


@dataclass
class FakeEndpoint(ListeningFake):
    """An endpoint that gets facts as JSON, all in one body or one in each.

    Attributes:
        rule: how it answers a request.
        accepted: the requests that it has answered with a success, oldest first.
    """

    rule: Rule = accept
    accepted: list[Request] = field(default_factory=list)

    def answer_to(self, request: Request) -> Answer:
        answer = self.rule(request)
        is_accepted = answer.status < 300 and not answer.hang and b"error" not in answer.body
        if is_accepted:  # also if the answer is lost on its way
            self.accepted.append(request)
        return answer

    @property
    def accepted_ids(self) -> list[str]:
        """The ids of the facts in accepted requests."""
        return [fact_id for request in self.accepted for fact_id in ids_in(request)]


def ids_in(request: Request) -> list[str]:
    """The ids of the facts in a request of the shape `dora`, or of `ONE_EACH`."""
    body = json.loads(request.body)
    return [fact["id"] for fact in body.get("facts", [body])]

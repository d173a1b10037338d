"""An HTTP endpoint of the user's: the requests of a shape, authorised and signed, each sent at least once."""

import hashlib
import hmac
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit, urlunsplit

from dora_metrics.core.shapes.dora import DORA
from dora_metrics.core.shapes.shape import Shape, ShapedRequest, no_refusal
from dora_metrics.http_session import HeaderAuth, HttpRequest, HttpResponse
from dora_metrics.runtime import Deadline, HttpLimits
from dora_metrics.sinks.http import AnswerReader, FinalAnswer, SendError, is_success, may_hold_secret, send_with_retries

_REFUSED_STATUSES = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY)
_REFUSED_BELOW_ADDRESS = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.GONE)
"""Where a shape appends a path, these are about what the path names, and not about the endpoint."""


class RefusedSuccessError(SendError):
    """The status was that of a success, and the body said that the request was refused."""


@dataclass(frozen=True)
class SendFailure:
    """Why an endpoint did not accept a request.

    Attributes:
        text: what happened, the likely cause and what to do.
        is_of_request: whether the endpoint refused this request, and may accept others.
        is_too_large: whether it may accept the same content in smaller requests.
    """

    text: str
    is_of_request: bool
    is_too_large: bool

    @classmethod
    def of(cls, error: SendError, shaped: ShapedRequest) -> "SendFailure":
        refused_statuses = (*_REFUSED_STATUSES, *(_REFUSED_BELOW_ADDRESS if shaped.path else ()))
        is_of_request = isinstance(error, RefusedSuccessError) or error.status in refused_statuses
        return cls(str(error), is_of_request, error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


@dataclass(frozen=True)
class Endpoint:
    """An address that takes the requests of a shape, with an optional token and an optional signing key."""

    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    limits: HttpLimits = HttpLimits()
    deadline: Deadline = field(default_factory=lambda: Deadline(HttpLimits().total_seconds))
    shape: Shape = DORA

    def send(self, shaped: ShapedRequest) -> SendFailure | None:
        """Send one request; None if it was accepted. It has the same Idempotency-Key each time, so a repeat is safe."""
        request = self.request_of(shaped)
        holds_secret = bool(self.token or self.secret) or may_hold_secret(request.url)
        reader = None if self.shape.refusal is no_refusal else AnswerReader(self._interpret, reads_success=True)
        try:
            send_with_retries(request, self.limits, self.deadline, holds_secret=holds_secret, reader=reader)
        except SendError as error:
            return SendFailure.of(error, shaped)
        return None

    def request_of(self, shaped: ShapedRequest) -> HttpRequest:
        """Return a request with address and credentials."""
        url = _address_with_path(self.url, shaped.path)
        auth = HeaderAuth(self.shape.token_headers.of(self.token.strip())) if self.token else None
        return HttpRequest(shaped.method, url, shaped.body, self._headers(shaped), auth)

    def _headers(self, shaped: ShapedRequest) -> dict[str, str]:
        headers = {
            "Content-Type": shaped.content_type,
            "User-Agent": "dora-metrics",
            "Idempotency-Key": shaped.key,
        }
        if self.secret:
            digest = hmac.new(self.secret.encode(), shaped.body, hashlib.sha256).hexdigest()
            headers["X-Dora-Signature-256"] = f"sha256={digest}"
        return headers

    def _interpret(self, response: HttpResponse) -> FinalAnswer | None:
        """Return why a request with the status of a success was refused; other statuses need no shape to read them."""
        refusal = self.shape.refusal(response.status, response.body) if is_success(response.status) else ""
        return FinalAnswer(refusal, RefusedSuccessError) if refusal else None


def _address_with_path(address: str, path: str) -> str:
    """Return an address with a path after its own, before its query. One that is not valid fails when it is used."""
    if not path:
        return address
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}{path}"))

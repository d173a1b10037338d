"""The endpoints of a run: those of the setting `endpoints`, and the one of the single inputs, named `default`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dora_metrics.core.ledger.outbox import DEFAULT_ENDPOINT
from dora_metrics.core.shapes.events import EndpointEvent
from dora_metrics.settings.tokens import NamedToken

TOKEN_PLACEHOLDER = "${token}"  # noqa: S105 - not a token
"""In the address of an endpoint: its token. An endpoint with it gets no header with the token."""


@dataclass(frozen=True)
class EndpointSettings:
    """Where one endpoint is, and what it gets.

    Attributes:
        name: `default` for the endpoint of the single inputs.
        url: the address, with the token filled in where it has a placeholder.
        template: the name of a shipped shape, or the path of a template in the repository.
        events: what it is sent about; None for what its shape is sent about.
        token: sent in the header that the shape names; None without one, and if the address has it.
        secret: the key that signs the body; None without one.
        missing_token: the name of a token that `endpoint-tokens` lacks; nothing can be sent then. Empty if none is
            missing.
    """

    name: str
    url: str = field(repr=False)
    template: str = "dora"
    events: frozenset[EndpointEvent] | None = None
    token: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    missing_token: str = ""

    @property
    def sink_name(self) -> str:
        """The endpoint as the summary names it."""
        return "endpoint" if self.name == DEFAULT_ENDPOINT else f"endpoint {self.name}"

    def with_token(self, tokens: Mapping[str, NamedToken]) -> "EndpointSettings":
        """Return the endpoint with its missing token, in the address or for the header; as it is if there is none."""
        token = tokens.get(self.missing_token)
        if token is None:
            return self
        if TOKEN_PLACEHOLDER in self.url:
            return replace(self, url=self.url.replace(TOKEN_PLACEHOLDER, token.text), missing_token="")
        return replace(self, token=token.text, missing_token="")

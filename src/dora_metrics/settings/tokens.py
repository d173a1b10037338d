"""Tokens by name, as `incident-tokens` and `endpoint-tokens` hold them: a line each, `name: TOKEN`."""

import base64
import re

from msgspec import Struct

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
"""The name of a token, and of what gets it."""


class NamedToken(Struct, frozen=True):
    """The token of a system or an endpoint. It may begin with a user: `user:TOKEN`."""

    text: str

    def __repr__(self) -> str:
        return "NamedToken(…)"

    def fill(self, text: str) -> str:
        """Return a header or an address with the token in place of its placeholders."""
        basic = base64.b64encode(self.text.encode()).decode()
        return text.replace("${token}", self.text).replace("${basic}", basic)


def parse_tokens(text: str) -> dict[str, NamedToken]:
    """Parse a line for each token, `name: TOKEN`. No problem quotes a line.

    A name without a token is left out: a secret that does not exist, or that a fork's run does not get, is empty.

    Raises:
        ValueError: with a problem for each line that is something else.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    tokens: dict[str, NamedToken] = {}
    problems = []
    for number, line in lines:
        name, colon, token = (part.strip() for part in line.partition(":"))
        if not (colon and NAME.fullmatch(name)):
            problems.append(f"line {number} is not `name: TOKEN`, with a name in lower case")
        elif name in tokens:
            problems.append(f"line {number} has a name that an earlier line has")
        elif not (token.isascii() and token.isprintable()):
            problems.append(f"line {number} has a token with characters that no token has")
        elif token:
            tokens[name] = NamedToken(token)
    if problems:
        raise ValueError(*problems)
    return tokens

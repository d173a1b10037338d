"""The setting `endpoints`, and all endpoints of a run.

What is wrong with an endpoint is found before anything is sent, and all of it at once. No problem quotes an address or
the name of a token: somebody may have written a secret there.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

from dora_metrics.core.ledger.outbox import DEFAULT_ENDPOINT
from dora_metrics.core.shapes.events import ENDPOINT_EVENTS, EndpointEvent
from dora_metrics.core.windows import parse_list
from dora_metrics.settings.endpoints import TOKEN_PLACEHOLDER, EndpointSettings
from dora_metrics.settings.hosts import is_host
from dora_metrics.settings.templates import parse_endpoint_template
from dora_metrics.settings.tokens import NAME, parse_tokens

MAX_ENDPOINTS = 20

_KEYS = ("name", "url", "template", "events", "token")
_DEFAULT_TEMPLATE = EndpointSettings.template
_NUMBERS_ONLY = "otlp"
"""The shape without events: each run sends it all numbers."""
_SEVERAL_PATHS = "datadog"
"""The shape whose requests go to several paths of one host."""

_ADDRESS = re.compile(r"https?://(?P<host>[^/?#\\\s\x00-\x1f\x7f]+)(?P<rest>[^#\\\s\x00-\x1f\x7f]*)")
_ADDRESS_RULE = "write http:// or https://, a host, and a path or query if there is one; no user, no fragment"
_PLACEHOLDER = re.compile(r"\$\{[^}]*\}?")

Value = TypeVar("Value")


def default_endpoint(url: str, template: str, token: str | None, secret: str | None) -> EndpointSettings:
    """Return the endpoint of the single inputs."""
    return EndpointSettings(DEFAULT_ENDPOINT, _usable_url(url, template), template, token=token, secret=secret)


def listed_endpoints(entries: Sequence[object], tokens: str) -> tuple[EndpointSettings, ...]:
    """Return the endpoints of the setting `endpoints`, with their tokens from the input `endpoint-tokens`."""
    token_by_name = parse_tokens(tokens)
    return tuple(endpoint.with_token(token_by_name) for endpoint in parse_endpoints(entries))


def parse_endpoints(entries: object) -> tuple[EndpointSettings, ...]:
    """Parse the setting `endpoints`. Each endpoint with a token lacks it: `EndpointSettings.with_token` adds it.

    Raises:
        ValueError: with all problems, each with the endpoint and the place in it.
    """
    if not isinstance(entries, list | tuple):
        raise ValueError("expected a list of endpoints, each with `name` and `url`")  # noqa: TRY004 - pydantic expects ValueError
    if len(entries) > MAX_ENDPOINTS:
        raise ValueError(f"{len(entries)} endpoints are too many; at most {MAX_ENDPOINTS} are possible")
    problems: list[str] = []
    endpoints = [_read_entry(entry, number, problems) for number, entry in enumerate(entries, 1)]
    problems += _repetition_problems([endpoint for endpoint in endpoints if endpoint.name])
    if problems:
        raise ValueError(*problems)
    return tuple(endpoints)


def default_endpoint_problems(url: str, template: object, endpoints: object) -> list[str]:
    """Return what is wrong with `endpoint-url`, apart from its form, which its type checks.

    Args:
        url: the value of `endpoint-url`.
        template: that of `endpoint-template`; None if it is not set.
        endpoints: that of `endpoints`, which may be wrong; None if it is not set.
    """
    problems = []
    name = str(template or _DEFAULT_TEMPLATE).strip()
    if TOKEN_PLACEHOLDER in url:
        problems.append(f"{TOKEN_PLACEHOLDER} is only for addresses in `endpoints`; pass the whole address as a secret")
    if problem := _path_problem(url, name):
        problems.append(problem)
    default = EndpointSettings(DEFAULT_ENDPOINT, url, name)
    try:
        listed = parse_endpoints(endpoints or [])
    except ValueError:  # problems of their own
        return problems
    twins = (each.name for each in listed if _target(each)[:2] == _target(default)[:2])
    return problems + [f"{twin} in `endpoints` has the same url and template; remove one of them" for twin in twins]


def _repetition_problems(endpoints: Sequence[EndpointSettings]) -> Iterator[str]:
    """Yield names that are used twice, and endpoints that would get each event twice."""
    names: set[str] = set()
    name_by_target: dict[tuple[str, ...], str] = {}
    for endpoint in endpoints:
        if endpoint.name in names:
            yield f"{endpoint.name}: this name is there twice"
        elif endpoint.url and (twin := name_by_target.setdefault(_target(endpoint), endpoint.name)) != endpoint.name:
            yield f"{endpoint.name}: it has the same url and template as {twin}; keep one, with the events of both"
        names.add(endpoint.name)


def _target(endpoint: EndpointSettings) -> tuple[str, ...]:
    """What makes two endpoints one. Of two tokens, each may be for a channel or an account of its own."""
    return _comparable(endpoint.url), endpoint.template, endpoint.missing_token


def _comparable(url: str) -> str:
    """Return an address in the one form of its many: with a host in lower case, without the usual port."""
    try:
        parts = urlsplit(url)
        usual_port = {"https": ":443", "http": ":80"}.get(parts.scheme.lower(), ":")
        user, at, host = parts.netloc.rpartition("@")
        netloc = user + at + host.lower().removesuffix(usual_port)
        return urlunsplit(parts._replace(scheme=parts.scheme.lower(), netloc=netloc)).rstrip("/")
    except ValueError:
        return url


def _path_problem(url: str, template: str) -> str:
    match = _ADDRESS.fullmatch(url)
    if template != _SEVERAL_PATHS or match is None or match["rest"] in ("", "/"):
        return ""
    return f"{template} appends paths of its own, so write only the host, such as https://api.datadoghq.eu"


def _usable_url(url: str, template: str) -> str:
    """Return the address to which a shape can append its paths."""
    return url.rstrip("/") if template == _SEVERAL_PATHS else url


def _read_entry(entry: object, number: int, problems: list[str]) -> EndpointSettings:
    """Read one entry of the setting. What is wrong is left empty, and added to the problems."""
    if not isinstance(entry, Mapping):
        problems.append(f"number {number}: expected an endpoint, with `name` and `url`")
        return EndpointSettings("", "")
    values = {str(key): value for key, value in entry.items() if value not in (None, "")}
    label = str(values["name"]) if NAME.fullmatch(str(values.get("name"))) else f"number {number}"
    own_problems = [*_key_problems(values)]

    def read(key: str, parse: Callable[[object], Value], otherwise: Value) -> Value:
        try:
            return parse(values.get(key))
        except ValueError as error:
            own_problems.extend(f"{key}: {problem}" for problem in error.args)
            return otherwise

    shape = str(values.get("template", _DEFAULT_TEMPLATE)).strip()
    endpoint = EndpointSettings(
        name=read("name", _parse_name, ""),
        url=read("url", partial(_parse_url, shape=shape, has_token="token" in values), ""),
        template=read("template", lambda _: parse_endpoint_template(shape), ""),
        events=read("events", partial(_parse_events, shape=shape), None),
        missing_token=read("token", _parse_token_name, ""),
    )
    problems.extend(f"{label}: {problem}" for problem in own_problems)
    return endpoint


def _key_problems(keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        if key not in _KEYS:
            close_keys = difflib.get_close_matches(key, _KEYS, 1)
            hint = f"did you mean {close_keys[0]}?" if close_keys else f"known are {', '.join(_KEYS)}"
            yield f"unknown key {key[:40]!r}; {hint}"


def _parse_name(value: object) -> str:
    text = _text(value, "write a name for it, such as team-chat")
    if not NAME.fullmatch(text):
        raise ValueError("write lower-case letters, digits, `-`, `_` and `.`, such as team-chat")
    if text == DEFAULT_ENDPOINT:
        raise ValueError(f"{text} is the name of the endpoint of `endpoint-url`; choose another one")
    return text


def _parse_url(value: object, shape: str, *, has_token: bool) -> str:
    text = _text(value, "write the address, such as https://metrics.example.com/dora")
    match = _ADDRESS.fullmatch(text)
    if match and "${" in match["host"]:
        raise ValueError(f"{TOKEN_PLACEHOLDER} is only for path and query, so that no token decides where data goes")
    if match is None or not is_host(match["host"]):
        raise ValueError(f"not a valid address; {_ADDRESS_RULE}")
    placeholders = _PLACEHOLDER.findall(match["rest"])
    if placeholders not in ([], [TOKEN_PLACEHOLDER]):
        raise ValueError(f"only {TOKEN_PLACEHOLDER} is allowed there, once")
    if placeholders and not has_token:
        raise ValueError(f"it has {TOKEN_PLACEHOLDER}, so it needs `token`, the name of a line in `endpoint-tokens`")
    if problem := _path_problem(text, shape):
        raise ValueError(problem)
    return _usable_url(text, shape)


def _parse_events(value: object, shape: str) -> frozenset[EndpointEvent] | None:
    if value in (None, ""):
        return None
    if shape == _NUMBERS_ONLY:
        raise ValueError(f"{shape} sends the numbers in each run, and has no events; remove this line")
    names = parse_list(value)
    if not names:
        raise ValueError("it is empty; remove the line for the default of the template")
    choices = ", ".join(ENDPOINT_EVENTS)
    if unknown := [name for name in names if name not in ENDPOINT_EVENTS]:
        raise ValueError(*(f"{name[:40]!r} is not one of {choices}" for name in unknown))
    return frozenset(event for event in ENDPOINT_EVENTS if event in names)


def _parse_token_name(value: object) -> str:
    if value in (None, ""):
        return ""
    if not NAME.fullmatch(str(value)):
        raise ValueError("write the name of a line in `endpoint-tokens`, such as team-chat, never the token itself")
    return str(value)


def _text(value: object, advice: str) -> str:
    if not isinstance(value, str | int) or not str(value).strip():
        problem = "it is not a text" if value else "it is missing"
        raise ValueError(f"{problem}; {advice}")
    return str(value).strip()

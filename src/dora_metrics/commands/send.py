"""`send`: what an endpoint gets about recorded facts, printed or sent. No ledger and no outbox changes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from requests import PreparedRequest

from dora_metrics.commands.repository_name import repository_of_folder, stated_repository
from dora_metrics.core import formatting
from dora_metrics.core.facts.model import Fact, Incident
from dora_metrics.core.ledger.outbox import DEFAULT_ENDPOINT, MAX_BATCH_FACTS, report_entry
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.periods import PeriodKind, due_period
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.periodic.page_address import PageAddress
from dora_metrics.core.reports.sandbox import TemplateError
from dora_metrics.core.shapes.shape import FactChange, OwedReport, Shape, ShapedRequest, ShapeInput
from dora_metrics.core.shapes.shipped import SHIPPED_SHAPES, shipped_shape
from dora_metrics.core.windows import is_supported
from dora_metrics.errors import DoraError, SettingsError
from dora_metrics.github import console
from dora_metrics.pipeline.endpoint_template import template_shape
from dora_metrics.pipeline.evaluate import cumulative_totals, evaluate, prometheus_families
from dora_metrics.pipeline.owed import Interest
from dora_metrics.pipeline.reports import report_inputs
from dora_metrics.pipeline.user_templates import read_template
from dora_metrics.runtime import Deadline, Runtime
from dora_metrics.settings import addresses
from dora_metrics.settings.config_file import read_chosen_config
from dora_metrics.settings.endpoints import EndpointSettings
from dora_metrics.settings.loading import Layer, load_settings
from dora_metrics.settings.model import EVERY_REPOSITORY, Settings
from dora_metrics.sinks.endpoint import Endpoint
from dora_metrics.sources import FactSource

PLACEHOLDER_URL = "https://endpoint.example"
"""Printed where no address is known. There is no host of this name."""

_MASK = "***"
_TOKEN_VARIABLES = {"endpoint-token": "ENDPOINT_TOKEN", "endpoint-secret": "ENDPOINT_SECRET"}
_MAX_QUOTED_CHARACTERS = 100

_WITH_SECRET_PATHS = frozenset({"slack", "teams"})
"""Shapes whose webhooks have their secret in the path. An endpoint of a file has `${token}` there instead."""

_SIGNATURE = "X-Dora-Signature-256"


@dataclass(frozen=True)
class SendRequest:
    """What to send, and to which endpoint.

    Attributes:
        template: the name of a shipped shape or the path of a template; None for that of `endpoint`.
        endpoint: the name of an endpoint in the settings; None for one of `template`.
        report: the kind of a periodic report that is sent instead of facts; None for facts.
        event: the name of the event that started the run.
        repository: of the run; None for that of GITHUB_REPOSITORY or of the newest fact.
        is_dry: whether requests are printed and not sent.
        config: a config file that was named.
        flags: settings of the command line.
        now: the time of the run; None for the second after the newest fact that is sent.
    """

    template: str | None
    endpoint: str | None
    report: PeriodKind | None
    event: str
    repository: str | None
    is_dry: bool
    config: Path | None
    flags: Layer
    now: datetime | None


@dataclass(frozen=True)
class _Outgoing:
    """What an endpoint is owed, as requests.

    Attributes:
        endpoint: where they go, with credentials; masked ones in a dry run.
        requests: in the order in which they are sent.
        contents: what they are about, such as `2 facts`.
        has_secret_path: whether the path of the address is a secret.
    """

    endpoint: Endpoint
    requests: Sequence[ShapedRequest]
    contents: str
    has_secret_path: bool

    @property
    def text(self) -> str:
        return f"{formatting.count(len(self.requests), 'request')} about {self.contents}"


def run(request: SendRequest, source: FactSource, runtime: Runtime) -> int:
    """Print the requests, or send them and print how each went.

    Returns:
        0, or 1 if a request was not accepted.

    Raises:
        DoraError: if a setting, an option, the facts or the template is wrong.
    """
    settings = _settings(request, runtime.environment)
    target = _target(request, settings)
    shape = _shape(request, target)
    recorded = _read(request, source, settings, Interest.of_shape(shape, target), runtime)
    for note in (*recorded.notes, *_unused_settings(request), *_notes(request, target, recorded)):
        console.write_line(runtime.stderr, f"dora-metrics: {note}")
    contents, inputs = recorded.report(request.report) if request.report else recorded.owed(shape)
    requests = [each for shape_input in inputs for each in _requests(shape, shape_input)]
    if not requests:
        console.write_line(runtime.stderr, f"dora-metrics: {_why_nothing(shape, recorded, inputs)}")
    endpoint = Endpoint(target.url, target.token, target.secret, runtime.http_limits, shape=shape)
    has_secret_path = target.name == DEFAULT_ENDPOINT and shape.name in _WITH_SECRET_PATHS
    outgoing = _Outgoing(endpoint, requests, contents, has_secret_path)
    return _print(outgoing, runtime) if request.is_dry else _send(outgoing, runtime)


class _ToSend(NamedTuple):
    """What a shape gets, batch by batch as in a run, and what that is in words, such as `2 of 40 facts`."""

    contents: str
    inputs: Sequence[ShapeInput]


@dataclass(frozen=True)
class _EvaluatedFacts:
    """Facts and their numbers, as a run has them, and what the endpoint is sent about."""

    facts: Sequence[Fact]
    notes: Sequence[str]
    interest: Interest
    results: Results
    settings: Settings
    repository: str
    event: str

    def owed(self, shape: Shape) -> _ToSend:
        """Return the facts that the endpoint would be owed if all were new, oldest first; without any, the numbers."""
        changes = (FactChange(None, fact, self.results.now, self.results.policy) for fact in self.facts)
        included = (each for each in changes if self.interest.includes(each.after))
        owed = sorted((each.after for each in included if self.interest.is_owed(each)), key=_place_in_time)
        batches = [owed[start : start + MAX_BATCH_FACTS] for start in range(0, len(owed), MAX_BATCH_FACTS)]
        without_facts: list[list[Fact]] = [[]] if shape.sends_numbers else []
        contents = f"{len(owed):,} of {formatting.count(len(self.facts), 'fact')}"
        return _ToSend(contents, [self._input(batch) for batch in batches or without_facts])

    def report(self, kind: PeriodKind) -> _ToSend:
        """Return the report of a kind that is due.

        Raises:
            DoraError: if no scope has anything to report.
        """
        period = due_period(kind, self.results.now, self.settings.zone, self.settings.report_day)
        scopes = report_inputs(self.results, EVERY_REPOSITORY, period, self._page)
        if not scopes:
            nothing = f"no production deployment and no incident is recorded up to {period.name}"
            raise DoraError(f"--report {kind}: {nothing}; set --now to another time")
        report = OwedReport(report_entry(kind, period.name).id, scopes)
        return _ToSend(f"the {kind} report of {period.name}", [self._input([], [report])])

    def _input(self, facts: Sequence[Fact], reports: Sequence[OwedReport] = ()) -> ShapeInput:
        families = prometheus_families(self.results, cumulative_totals(self.results, self.facts), None)
        labelled = families.with_labels(self.settings.labels)
        return ShapeInput(self.repository, self.event, facts, reports, self.results, labelled, self._page)

    @property
    def _page(self) -> PageAddress:
        return PageAddress(self.settings.page_url or "")


def _read(
    request: SendRequest, source: FactSource, settings: Settings, interest: Interest, runtime: Runtime
) -> _EvaluatedFacts:
    """Read the facts, and compute as of the time of the run."""
    read = source(settings, runtime.now)
    now = request.now or _second_after_news(read.facts, interest, settings.policy) or runtime.now
    results = evaluate(read.facts, settings, now)
    repository = _repository(request, read.facts, runtime)
    return _EvaluatedFacts(read.facts, read.notes, interest, results, settings, repository, request.event)


def _second_after_news(facts: Sequence[Fact], interest: Interest, policy: Policy) -> datetime | None:
    """Return the second after the newest fact that the endpoint would be sent; without one, after the newest fact.

    Windows are half-open, so one that ended with the fact would not count it. A fact of a year that `--now` cannot have
    is passed over. None if there is no other.
    """
    moments = {fact.id: _next_second(_last_time(fact)) for fact in facts if is_supported(_last_time(fact))}
    changes = (FactChange(None, fact, moments[fact.id], policy) for fact in facts if fact.id in moments)
    owed = (each.now for each in changes if interest.includes(each.after) and interest.is_owed(each))
    return max(owed, default=max(moments.values(), default=None))


def _next_second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0) + timedelta(seconds=1)


def _place_in_time(fact: Fact) -> tuple[datetime, str]:
    return fact.defining_time, fact.id


def _settings(request: SendRequest, environment: Mapping[str, str]) -> Settings:
    """Load the settings, with the secrets of the environment; a dry run has masks in their place.

    Raises:
        SettingsError: with every problem of the settings.
    """
    config = read_chosen_config(request.config)
    secrets = {name: environment.get(variable) for name, variable in _TOKEN_VARIABLES.items()}
    secrets["endpoint-tokens"] = environment.get("ENDPOINT_TOKENS")
    secrets = {name: value for name, value in secrets.items() if value}
    settings = load_settings(_layers(config, request, secrets))
    if not (request.is_dry and secrets):
        return settings
    return load_settings(_layers(config, request, {name: _masked(name, value) for name, value in secrets.items()}))


def _layers(config: Layer | None, request: SendRequest, secrets: Mapping[str, str | None]) -> tuple[Layer, ...]:
    """Return the settings to use. A file that no option names may be in a stranger's clone, so not all of it counts."""
    flags = Layer(request.flags.origin, {**request.flags.values, **secrets})
    if config and request.config is None:
        config = addresses.without_report_settings(config)
    return (*([config] if config else ()), flags)


def _masked(name: str, value: str | None) -> str:
    """Return a secret of the same form that says nothing. A token of several parts has colons between them."""
    secret = value or ""
    if name != "endpoint-tokens":
        return ":".join(_MASK for _ in secret.split(":"))
    parts = (line.partition(":") for line in secret.splitlines() if line.strip())
    return "\n".join(f"{each}: {_masked('endpoint-token', token)}" for each, _, token in parts)


def _target(request: SendRequest, settings: Settings) -> EndpointSettings:
    """Return the endpoint that was named, or the one of a template and the single settings.

    Raises:
        SettingsError: if there is none of that name, or nothing can be sent to it.
    """
    target = (
        _single_target(request, settings) if request.endpoint is None else _named_target(request.endpoint, settings)
    )
    problems = [] if request.is_dry else _problems_of_sending(request, target)
    if problems:
        raise SettingsError(problems)
    return target


def _single_target(request: SendRequest, settings: Settings) -> EndpointSettings:
    url = settings.endpoint_url.get_secret_value() if settings.endpoint_url else PLACEHOLDER_URL
    token, secret = settings.endpoint_token, settings.endpoint_secret
    return EndpointSettings(
        DEFAULT_ENDPOINT,
        url,
        request.template or "",
        token=token.get_secret_value() if token else None,
        secret=secret.get_secret_value() if secret else None,
    )


def _named_target(name: str, settings: Settings) -> EndpointSettings:
    endpoints = {endpoint.name: endpoint for endpoint in settings.all_endpoints}
    if name not in endpoints:
        available = f"they have {', '.join(endpoints)}" if endpoints else "they have none"
        raise SettingsError(f"--endpoint {name!r} is not in the settings; {available}")
    return endpoints[name]


def _problems_of_sending(request: SendRequest, target: EndpointSettings) -> Sequence[str]:
    """Return why nothing can be sent to an endpoint, and what to do; empty if something can.

    A config file that nobody named may be that of a stranger's clone, so no token goes to its addresses.
    """
    if target.url == PLACEHOLDER_URL:
        return _NO_ADDRESS
    is_of_option = target.name == DEFAULT_ENDPOINT and "endpoint-url" in request.flags.values
    if request.config is None and not is_of_option:
        return (f"send: the address of {target.name!r} is in a config file that nobody named", _NAME_THE_FILE)
    if target.missing_token:
        return (f"send: ENDPOINT_TOKENS has no line '{target.missing_token}: TOKEN'", "add the line, or use --dry-run")
    return ()


_NO_ADDRESS = (
    "send: --endpoint-url or --endpoint is missing",
    "name where the requests go, or print them with --dry-run",
)
_NAME_THE_FILE = "the file may be that of a stranger's clone; name it with --config, or use --dry-run"


def _shape(request: SendRequest, target: EndpointSettings) -> Shape:
    """Return the shape of a target; a file that an option names may be anywhere.

    Raises:
        SettingsError: if an option names neither a shape nor a file.
    """
    if target.template in SHIPPED_SHAPES:
        return shipped_shape(target.template)
    if request.template is None:
        return template_shape(target.template, partial(read_template, Path()))
    file = _existing_file(request.template)
    if file is None:
        choices, name = ", ".join(SHIPPED_SHAPES), request.template[:_MAX_QUOTED_CHARACTERS]
        raise SettingsError(f"--template {name!r} is not one of {choices}, and there is no such file")
    return template_shape(request.template, lambda _: read_template(file.parent, Path(file.name)))


def _existing_file(path: str) -> Path | None:
    """Return the whole path of a file; None if there is none, also if no file can have such a name."""
    try:
        file = Path(path).resolve()
        return file if path and file.exists() else None
    except OSError:
        return None


def _last_time(fact: Fact) -> datetime:
    """Return the newest time that a fact states."""
    resolved_at = fact.resolved_at if isinstance(fact, Incident) else None
    return max(fact.defining_time, resolved_at) if resolved_at else fact.defining_time


def _repository(request: SendRequest, facts: Sequence[Fact], runtime: Runtime) -> str:
    stated = stated_repository(request.repository, runtime)
    return stated or (max(facts, key=_last_time).repository if facts else repository_of_folder(runtime))


def _requests(shape: Shape, shape_input: ShapeInput) -> Sequence[ShapedRequest]:
    """Make the requests of a shape.

    Raises:
        DoraError: if the template cannot be used.
    """
    try:
        return shape.requests(shape_input)
    except TemplateError as error:
        raise DoraError(f"the template {shape.name} cannot be used: {error}") from None


def _unused_settings(request: SendRequest) -> Iterator[str]:
    """Yield a note on settings of reports that are not used, because only a file that no option names has them."""
    config = read_chosen_config(None) if request.config is None else None
    if config and (names := addresses.unnamed_report_settings(config, request.flags)):
        yield addresses.unnamed_report_text(names, config.origin)


def _notes(request: SendRequest, target: EndpointSettings, recorded: _EvaluatedFacts) -> Iterator[str]:
    if request.now is None and recorded.facts:
        moment = f"{recorded.results.now:%Y-%m-%dT%H:%M:%SZ}"
        is_after_fact = any(is_supported(_last_time(fact)) for fact in recorded.facts)
        basis = "just after the newest fact for this endpoint" if is_after_fact else "the current time"
        yield f"as of {moment}, {basis}; --now sets another"
    if target.url == PLACEHOLDER_URL:
        yield f"no --endpoint-url: {PLACEHOLDER_URL} is printed in its place"
    if target.missing_token:
        yield f"ENDPOINT_TOKENS has no line '{target.missing_token}: TOKEN', so nothing could be sent"


def _why_nothing(shape: Shape, recorded: _EvaluatedFacts, inputs: Sequence[ShapeInput]) -> str:
    """Return why there is no request, and what to do."""
    events = ", ".join(sorted(recorded.interest.events or ()))
    if inputs:
        return f"the template {shape.name} makes no request of what it is sent about; docs/endpoint.md has its rules"
    if not recorded.facts:
        return "no request, as there are no facts; --facts names files or a ledger with some"
    if not any(map(recorded.interest.includes, recorded.facts)):
        return f"no request, as no fact is of the endpoint's events ({events}); `events` of an endpoint sets others"
    moment = f"{recorded.results.now:%Y-%m-%dT%H:%M:%SZ}"
    return f"no request, as the template {shape.name} sends none of these facts as of {moment}; --now sets another time"


def _print(outgoing: _Outgoing, runtime: Runtime) -> int:
    """Print each request as it would be sent: a line with method and address, headers, an empty line, the body."""
    for number, shaped in enumerate(outgoing.requests):
        if number:
            console.write_line(runtime.stdout, "")
        for line in _head(outgoing, shaped):
            console.write_line(runtime.stdout, line)
        console.write_line(runtime.stdout, "")
        _print_body(shaped, runtime)
    console.write_line(runtime.stderr, f"dora-metrics: {outgoing.text}; nothing was sent (--dry-run)")
    return 0


def _head(outgoing: _Outgoing, shaped: ShapedRequest) -> Iterator[str]:
    """Yield the lines before a body. Tokens are masks already; a signature says something about its key."""
    message = outgoing.endpoint.request_of(shaped)
    yield f"{message.method} {_printed_address(message.url, has_secret_path=outgoing.has_secret_path)}"
    prepared = PreparedRequest()
    prepared.prepare_headers(message.headers)
    if message.auth:
        message.auth(prepared)
    yield from (f"{name}: {_MASK if name == _SIGNATURE else value}" for name, value in prepared.headers.items())


def _printed_address(address: str, *, has_secret_path: bool) -> str:
    """Return an address whose user and password, query and, if it is a secret, path are masked."""
    parts = urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    netloc = f"{_MASK}@{host}" if at and user else parts.netloc
    path = f"/{_MASK}" if has_secret_path and parts.path.strip("/") else parts.path
    return urlunsplit((parts.scheme, netloc, path, parts.query and _MASK, parts.fragment and _MASK))


def _print_body(shaped: ShapedRequest, runtime: Runtime) -> None:
    text = shaped.body.decode()
    if "json" in shaped.content_type.lower():
        console.write_json(runtime.stdout, text)
    else:
        console.write_text(runtime.stdout, text if text.endswith("\n") else f"{text}\n")


def _send(outgoing: _Outgoing, runtime: Runtime) -> int:
    """Send the requests in order, and print how each went; after a failure that concerns the endpoint, no more.

    Each request has the time that all sinks of a run share, since there may be hundreds, and a person waits.
    """
    exit_code = 0
    for number, shaped in enumerate(outgoing.requests, 1):
        deadline = Deadline(runtime.http_limits.total_seconds, runtime.monotonic)
        failure = replace(outgoing.endpoint, deadline=deadline).send(shaped)
        exit_code |= failure is not None
        facts = formatting.count(len(shaped.delivers), "fact")
        text = f"failed: {failure.text}" if failure else f"accepted ({facts})"
        console.write_line(runtime.stdout, f"request {number} of {len(outgoing.requests)}: {text}")
        if failure and not failure.is_of_request:
            break
    console.write_line(runtime.stderr, f"dora-metrics: {outgoing.text}")
    return exit_code

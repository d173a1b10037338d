"""The settings of endpoints: the list in the config file, the single inputs, and the tokens."""

from urllib.parse import urlsplit

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from urllib3.util import parse_url

from dora_metrics.core.shapes.events import ENDPOINT_EVENTS
from dora_metrics.core.shapes.shipped import SHIPPED_SHAPES
from dora_metrics.errors import SettingsError
from dora_metrics.settings.config_file import config_layer
from dora_metrics.settings.endpoint_list import MAX_ENDPOINTS, default_endpoint
from dora_metrics.settings.endpoint_schema import ENDPOINTS_SCHEMA
from dora_metrics.settings.endpoints import EndpointSettings
from dora_metrics.settings.loading import INPUT, Layer, load_settings
from dora_metrics.settings.model import INPUTS, Settings
from support.paths import ROOT
from support.property_cases import cases

FILE = ".github/dora.yml"
CHAT = {"name": "chat", "url": "https://hooks.example/services/${token}", "token": "chat"}
STORE = {"name": "store", "url": "https://metrics.example/dora"}


def settings(*entries: object, **inputs: str) -> Settings:
    layer = Layer(INPUT, {name.replace("_", "-"): value for name, value in inputs.items()})
    return load_settings([Layer(FILE, {"endpoints": list(entries)}), layer])


def problems(*entries: object, **inputs: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as error:
        settings(*entries, **inputs)
    return error.value.problems


def _host(url: str) -> str:
    """Return where urllib3, which sends the request, takes an address to lead."""
    parsed = parse_url(url)
    return f"{parsed.scheme} {parsed.auth} {parsed.host} {parsed.port}"


class TestList:
    def test_a_file_lists_endpoints(self) -> None:
        layer = config_layer(
            FILE,
            b"""
            endpoints:
              - name: store
                url: https://metrics.example/dora?team=a
                events: [deployment, incident]
                token: store
              - {name: own, url: "http://127.0.0.1:8080", template: .github/own.json.j2, events: "change, report"}
            """,
        )
        assert load_settings([layer, Layer(INPUT, {"endpoint-tokens": "store: abc:d"})]).all_endpoints == (
            EndpointSettings(
                "store",
                "https://metrics.example/dora?team=a",
                events=frozenset({"deployment", "incident"}),
                token="abc:d",
            ),
            EndpointSettings(
                "own", "http://127.0.0.1:8080", ".github/own.json.j2", events=frozenset({"change", "report"})
            ),
        )

    def test_only_a_file_can_have_them(self) -> None:
        assert "endpoints" not in INPUTS
        assert {"endpoint-template", "endpoint-tokens"} < set(INPUTS)

    @pytest.mark.parametrize("shape", SHIPPED_SHAPES)
    def test_every_shipped_shape_is_a_template(self, shape: str) -> None:
        (endpoint,) = settings({**STORE, "url": "https://api.example", "template": shape}).all_endpoints
        assert endpoint.template == shape
        assert settings(endpoint_template=shape).endpoint_template == shape
        assert shape in (Settings.model_fields["endpoint_template"].description or "")

    def test_without_any_there_is_none(self) -> None:
        assert settings().all_endpoints == ()
        assert Settings().all_endpoints == ()

    def test_the_schema_for_editors_has_the_events(self) -> None:
        events = ENDPOINTS_SCHEMA["items"]["properties"]["events"]["anyOf"][0]["items"]["enum"]
        assert tuple(events) == ENDPOINT_EVENTS
        assert ENDPOINTS_SCHEMA["maxItems"] == MAX_ENDPOINTS


class TestSingleInputs:
    def test_they_are_the_endpoint_default_which_comes_first(self) -> None:
        loaded = settings(
            STORE,
            endpoint_url="https://other.example",
            endpoint_token="t0ken",
            endpoint_secret="k3y",
            endpoint_template=".github/other.json.j2",
        )
        assert loaded.all_endpoints == (
            EndpointSettings("default", "https://other.example", ".github/other.json.j2", token="t0ken", secret="k3y"),
            EndpointSettings("store", "https://metrics.example/dora"),
        )

    def test_only_the_default_endpoint_is_signed(self) -> None:
        assert settings(STORE, endpoint_secret="k3y").all_endpoints[0].secret is None

    def test_a_placeholder_belongs_into_the_list(self) -> None:
        assert problems(endpoint_url="https://hooks.example/${token}", endpoint_token="x") == (
            "input endpoint-url: ${token} is only for addresses in `endpoints`; pass the whole address as a secret",
        )

    @pytest.mark.parametrize("template", ["", "dora"])
    def test_one_in_the_list_with_its_address_and_template_is_a_problem(self, template: str) -> None:
        for url in ("https://metrics.example/dora", "https://metrics.example/dora/"):
            assert problems(STORE, endpoint_url=url, endpoint_template=template) == (
                "input endpoint-url: store in `endpoints` has the same url and template; remove one of them",
            )

    def test_the_same_address_with_another_template_is_fine(self) -> None:
        loaded = settings(STORE, endpoint_url=STORE["url"], endpoint_template=".github/x.json.j2")
        assert [endpoint.name for endpoint in loaded.all_endpoints] == ["default", "store"]


class TestTokens:
    def test_a_token_is_in_the_address_or_beside_it(self) -> None:
        loaded = settings(CHAT, {**STORE, "token": "store"}, endpoint_tokens="chat: T0/B0/s3cret\nstore: s3cret")
        assert loaded.all_endpoints == (
            EndpointSettings("chat", "https://hooks.example/services/T0/B0/s3cret"),
            EndpointSettings("store", "https://metrics.example/dora", token="s3cret"),
        )

    @pytest.mark.parametrize("tokens", ["", "other: x", "chat:\nother: ", "chat: \n"])
    def test_a_run_without_the_token_has_no_problem_and_says_which_is_missing(self, tokens: str) -> None:
        """A fork's run has no secrets: `chat: ${{ secrets.CHAT }}` is a name without a token there."""
        (endpoint,) = settings(CHAT, endpoint_tokens=tokens).all_endpoints
        assert (endpoint.missing_token, endpoint.token) == ("chat", None)
        assert endpoint.url == CHAT["url"]

    def test_a_placeholder_may_be_in_the_query(self) -> None:
        entry = {**CHAT, "url": "https://flow.example:443/invoke?sp=%2Frun&sig=${token}"}
        assert settings(entry, endpoint_tokens="chat: a-b").all_endpoints[0].url.endswith("&sig=a-b")

    @pytest.mark.parametrize("token", ["evil.example", "@evil.example", ":1@evil.example/", "/../..//evil.example"])
    def test_no_token_decides_on_the_host(self, token: str) -> None:
        (endpoint,) = settings(CHAT, endpoint_tokens=f"chat: {token}").all_endpoints
        assert urlsplit(endpoint.url).hostname == "hooks.example"

    @given(
        st.lists(
            st.sampled_from(["/", "?", "#", "@", ":", "\\", "%2f", ".", "a", "evil.example", "${token}"]), max_size=9
        ),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12),
    )
    @hypothesis_settings(max_examples=cases(300), deadline=None)
    def test_no_address_lets_a_token_decide_on_the_host(self, parts: list[str], token: str) -> None:
        entry = {**CHAT, "url": "https://hooks.example" + "".join(parts)}
        try:
            (endpoint,) = settings(entry, endpoint_tokens=f"chat: {token}").all_endpoints
        except SettingsError:
            return
        assert _host(endpoint.url) == _host(entry["url"].replace("${token}", ""))

    def test_no_text_shows_one(self) -> None:
        loaded = settings(
            CHAT,
            {**STORE, "url": "https://metrics.example/s3cret", "token": "store"},
            endpoint_tokens="chat: s3cret\nstore: s3cret",
            endpoint_url="https://x.example/s3cret",
            endpoint_token="s3cret",
            endpoint_secret="s3cret",
        )
        assert len(loaded.all_endpoints) == 3
        assert "s3cret" not in repr(loaded) + repr(loaded.all_endpoints) + str(loaded)

    def test_a_line_that_is_something_else_is_named_and_not_quoted(self) -> None:
        assert problems(endpoint_tokens="s3cret\nchat: s3cret\nchat: s3cret\nb: s3cr\u00e4t\nChat: x") == (
            "input endpoint-tokens: line 1 is not `name: TOKEN`, with a name in lower case",
            "input endpoint-tokens: line 3 has a name that an earlier line has",
            "input endpoint-tokens: line 4 has a token with characters that no token has",
            "input endpoint-tokens: line 5 is not `name: TOKEN`, with a name in lower case",
        )

    def test_a_file_cannot_have_them(self) -> None:
        layer = config_layer(FILE, b"endpoint-tokens: 'chat: x'")
        assert layer.values == {}
        assert layer.problems == (f"{FILE}: endpoint-tokens: a secret does not belong in a file; set it as an input",)


ENDING = "a file is written with its ending, as in chat.json.j2"

UNUSABLE: dict[str, tuple[object, str]] = {
    "not a mapping": ("https://s3cret.example", "number 1: expected an endpoint, with `name` and `url`"),
    "no name": ({"url": "https://a.example"}, "number 1: name: it is missing; write a name for it, such as team-chat"),
    "a name with spaces": (
        {**STORE, "name": "Team chat"},
        "number 1: name: write lower-case letters, digits, `-`, `_` and `.`, such as team-chat",
    ),
    "a name of a list": (
        {**STORE, "name": ["a"]},
        "number 1: name: it is not a text; write a name for it, such as team-chat",
    ),
    "the name of the inputs": (
        {**STORE, "name": "default"},
        "default: name: default is the name of the endpoint of `endpoint-url`; choose another one",
    ),
    "no address": (
        {"name": "a"},
        "a: url: it is missing; write the address, such as https://metrics.example.com/dora",
    ),
    "another key": ({**STORE, "templat": "dora"}, "store: unknown key 'templat'; did you mean template?"),
    "a key of something else": (
        {**STORE, "secret": "x"},
        "store: unknown key 'secret'; known are name, url, template, events, token",
    ),
    "a shape that does not exist": (
        {**STORE, "template": "slakc"},
        f"store: template: 'slakc' is not one of {', '.join(SHIPPED_SHAPES)}; {ENDING}",
    ),
    "a template elsewhere": (
        {**STORE, "template": "../x.json.j2"},
        "store: template: '../x.json.j2' is not a path in the repository",
    ),
    "an event that does not exist": (
        {**STORE, "events": ["deploy", "incident"]},
        "store: events: 'deploy' is not one of deployment, incident, change, report",
    ),
    "no event": (
        {**STORE, "events": []},
        "store: events: it is empty; remove the line for the default of the template",
    ),
    "events of another form": (
        {**STORE, "events": {"deployment": True}},
        "store: events: expected a list: separate items with commas or line breaks, or use a YAML list",
    ),
    "events of numbers": (
        {**STORE, "template": "otlp", "events": ["deployment"]},
        "store: events: otlp sends the numbers in each run, and has no events; remove this line",
    ),
    "a path for a shape with paths": (
        {**STORE, "template": "datadog"},
        "store: url: datadog appends paths of its own, so write only the host, such as https://api.datadoghq.eu",
    ),
    "the token itself": (
        {**STORE, "token": "xoxb-S3cret"},
        "store: token: write the name of a line in `endpoint-tokens`, such as team-chat, never the token itself",
    ),
}

UNUSABLE_ADDRESSES = {
    "no scheme": ("metrics.example/s3cret", "not a valid address"),
    "another scheme": ("ftp://metrics.example/s3cret", "not a valid address"),
    "no host": ("https:///s3cret", "not a valid address"),
    "a fragment": ("https://metrics.example/s3cret#${token}", "not a valid address"),
    "a backslash": ("https://evil.example\\@metrics.example/s3cret", "not a valid address"),
    "a user": ("https://ada:s3cret@metrics.example", "not a valid address"),
    "two hosts": ("https://evil.example@metrics.example/s3cret", "not a valid address"),
    "an impossible port": ("https://metrics.example:99999/s3cret", "not a valid address"),
    "a space": ("https://metrics.example/s3cret x", "not a valid address"),
    "a line break": ("https://metrics.example/\ns3cret", "not a valid address"),
    "a host of the token": ("https://${token}.example/s3cret", "${token} is only for path and query"),
    "a user of the token": ("https://${token}@metrics.example/s3cret", "${token} is only for path and query"),
    "a port of the token": ("https://metrics.example:${token}/s3cret", "${token} is only for path and query"),
    "only the token": ("${token}", "not a valid address"),
    "two tokens": ("https://metrics.example/s3cret/${token}/${token}", "only ${token} is allowed there, once"),
    "another placeholder": ("https://metrics.example/s3cret/${basic}", "only ${token} is allowed there, once"),
    "half a placeholder": ("https://metrics.example/s3cret/${token", "only ${token} is allowed there, once"),
}


class TestProblems:
    @pytest.mark.parametrize(("entry", "problem"), UNUSABLE.values(), ids=UNUSABLE)
    def test_an_entry_that_cannot_be_used_is_named(self, entry: object, problem: str) -> None:
        assert f"{FILE}: endpoints: {problem}" in problems(entry)

    @pytest.mark.parametrize(("url", "problem"), UNUSABLE_ADDRESSES.values(), ids=UNUSABLE_ADDRESSES)
    def test_an_address_that_cannot_be_used_is_not_quoted(self, url: str, problem: str) -> None:
        (text,) = problems({"name": "a", "url": url, "token": "a"}, endpoint_tokens="a: s3cret")
        assert text.startswith(f"{FILE}: endpoints: a: url: {problem}")
        assert "s3cret" not in text

    def test_an_address_with_a_placeholder_needs_a_token(self) -> None:
        (text,) = problems({"name": "a", "url": CHAT["url"]})
        assert text.endswith("it has ${token}, so it needs `token`, the name of a line in `endpoint-tokens`")

    def test_all_are_named_at_once(self) -> None:
        entries = ({"name": "a"}, {**STORE, "template": "slakc", "events": "x", "colour": 1}, STORE, STORE, "b")
        texts = problems(*entries, window="7 years", endpoint_tokens="x")
        for part in (
            *("a: url", "store: template", "store: events", "store: unknown key 'colour'", "this name is there twice"),
            *("number 5: expected", "window", "line 1 is not"),
        ):
            assert [text for text in texts if part in text], part

    @pytest.mark.parametrize("value", ["https://s3cret.example", {"name": "s3cret"}, 5])
    def test_what_is_no_list_is_not_quoted(self, value: object) -> None:
        with pytest.raises(SettingsError) as error:
            load_settings([Layer(FILE, {"endpoints": value})])
        assert error.value.problems == (f"{FILE}: endpoints: expected a list of endpoints, each with `name` and `url`",)

    def test_twenty_are_possible(self) -> None:
        entries = [{"name": f"e{number}", "url": f"https://e{number}.example"} for number in range(MAX_ENDPOINTS + 1)]
        assert len(settings(*entries[:-1]).all_endpoints) == MAX_ENDPOINTS == 20
        assert problems(*entries) == (f"{FILE}: endpoints: 21 endpoints are too many; at most 20 are possible",)

    def test_two_that_would_get_each_event_twice_are_a_problem(self) -> None:
        assert problems(STORE, {**STORE, "name": "other", "url": f"{STORE['url']}/", "events": "incident"}) == (
            f"{FILE}: endpoints: other: it has the same url and template as store; keep one, with the events of both",
        )

    @pytest.mark.parametrize("url", ["https://METRICS.example/dora", "https://metrics.example:443/dora"])
    def test_one_address_may_be_written_in_several_ways(self, url: str) -> None:
        (problem,) = problems(STORE, {**STORE, "name": "other", "url": url})
        assert "the same url and template" in problem

    def test_two_channels_or_accounts_behind_one_address_are_fine(self) -> None:
        other = {**CHAT, "name": "other", "token": "other"}
        endpoints = settings(CHAT, other, endpoint_tokens="chat: a\nother: b").all_endpoints
        assert [endpoint.url[-1] for endpoint in endpoints] == ["a", "b"]

    def test_a_shape_with_paths_has_an_address_to_which_they_can_be_appended(self) -> None:
        assert default_endpoint("https://api.example/", "datadog", None, None).url == "https://api.example"
        assert default_endpoint("https://api.example/", "dora", None, None).url == "https://api.example/"
        texts = problems(endpoint_url="https://api.example/v2", endpoint_template="datadog")
        assert [text for text in texts if text.startswith("input endpoint-url: datadog appends paths")]

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), st.lists, max_leaves=5))
    @hypothesis_settings(max_examples=cases(50), deadline=None)
    def test_no_value_of_a_field_causes_a_traceback(self, value: object) -> None:
        for key in ("name", "url", "template", "events", "token"):
            layer = Layer(FILE, {"endpoints": [{**STORE, key: value}, value]})
            with pytest.raises(SettingsError):
                load_settings([layer])


def test_the_lines_that_the_settings_file_shows_can_be_used() -> None:
    """They are commented out, since the file as pasted changes nothing."""
    _, _, rest = (ROOT / "examples" / "dora.yml").read_text("utf-8").partition("endpoints: []")
    lines = [line.removeprefix("#") for line in rest.splitlines()[1:5]]
    (entry,) = yaml.safe_load("\n".join(lines))
    assert settings(entry, endpoint_tokens=f"{entry['token']}: a").all_endpoints[0].url == entry["url"].replace(
        "${token}", "a"
    )

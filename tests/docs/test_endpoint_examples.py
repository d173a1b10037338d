"""The settings of docs/endpoint.md and examples/endpoints.yml can be pasted, and belong together."""

import re
from typing import Any

import yaml

from dora_metrics.core.shapes.shipped import shipped_shape
from dora_metrics.settings.endpoints import EndpointSettings
from dora_metrics.settings.loading import INPUT, Layer, load_settings
from support.paths import ROOT

PAGE = (ROOT / "docs" / "endpoint.md").read_text("utf-8")
EXAMPLE = (ROOT / "examples" / "endpoints.yml").read_text("utf-8")


def settings_of_the_example() -> dict[str, Any]:
    """The lines for `.github/dora.yml`, which are a comment in the workflow."""
    lines = re.findall(r"^#   (.*\n)", EXAMPLE.partition("name: DORA metrics")[0], flags=re.MULTILINE)
    values: dict[str, Any] = yaml.safe_load("".join(lines))
    return values


def tokens_of_the_example() -> str:
    (step,) = yaml.safe_load(EXAMPLE)["jobs"]["record"]["steps"]
    return re.sub(r"\$\{\{ secrets\.(\w+) \}\}", r"\1", step["with"]["endpoint-tokens"])


def endpoints_of_the_example() -> tuple[EndpointSettings, ...]:
    inputs = Layer(INPUT, {"endpoint-tokens": tokens_of_the_example()})
    return load_settings([Layer("file", settings_of_the_example()), inputs]).all_endpoints


def test_the_page_shows_the_lines_of_the_example() -> None:
    (shown,) = re.findall(r"^```yaml\n(endpoints:\n.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert yaml.safe_load(shown) == settings_of_the_example()
    tokens = re.search(r"^          endpoint-tokens: \|\n(?:            .*\n)+", PAGE, flags=re.MULTILINE)
    assert tokens
    assert tokens[0] in EXAMPLE


def test_each_endpoint_of_the_example_has_its_token() -> None:
    chat, datadog, events = endpoints_of_the_example()
    assert (chat.url, chat.token) == ("https://hooks.slack.com/services/SLACK_WEBHOOK_PATH", None)
    assert (datadog.url, datadog.token) == ("https://api.datadoghq.eu", "DATADOG_API_KEY:DATADOG_APPLICATION_KEY")
    headers = shipped_shape("datadog").token_headers.of(datadog.token or "")
    assert set(headers) == {"DD-API-KEY", "DD-APPLICATION-KEY"}, "verdicts need both"
    assert (events.events, events.token) == (frozenset({"deployment", "incident"}), "EVENTS_TOKEN")


def _section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_page_has_every_key_of_an_endpoint() -> None:
    (entry, *_) = settings_of_the_example()["endpoints"]
    rows = re.findall(r"^\| `(\w+)` \|", _section("Several endpoints"), flags=re.MULTILINE)
    assert rows == ["name", "url", "template", "events", "token"]
    assert set(entry) < set(rows)

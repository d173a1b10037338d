"""The lines to paste for remote write are inputs that the action takes, and their addresses are those that it names."""

import re

import pytest
import yaml

from dora_metrics.errors import SettingsError
from dora_metrics.settings.loading import INPUT, Layer, load_settings
from dora_metrics.settings.model import INPUTS
from support.paths import ROOT

PAGE = (ROOT / "docs" / "prometheus.md").read_text("utf-8")
LINES = re.findall(r"^```yaml\n(# [^\n]*\nwith:\n.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)


def test_there_are_lines_for_each_product() -> None:
    assert [lines.split()[1].strip(",") for lines in LINES] == ["Grafana", "Mimir", "VictoriaMetrics", "Prometheus"]


@pytest.mark.parametrize("lines", LINES)
def test_the_lines_are_inputs(lines: str) -> None:
    inputs = yaml.safe_load(lines)["with"]
    assert inputs.keys() <= set(INPUTS)
    settings = load_settings([Layer(INPUT, inputs)])
    assert settings.remote_write_url is not None
    assert settings.remote_write_username == inputs.get("remote-write-username")
    assert re.search("/(write|push)$", settings.remote_write_url.get_secret_value())


def test_a_user_without_a_token_is_refused() -> None:
    with pytest.raises(SettingsError, match="input remote-write-username: needs remote-write-token as well"):
        load_settings([Layer(INPUT, {"remote-write-username": "123"})])

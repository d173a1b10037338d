"""The environment of an action run, read once: settings, the run, the event."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dora_metrics import config
from dora_metrics.errors import EventError, SettingsError
from dora_metrics.github.events import Run
from dora_metrics.layers import Layer, load, without_effect
from dora_metrics.settings import INPUTS, LATER, Settings, default_text


@dataclass(frozen=True)
class Inputs:
    """Everything that the environment says."""

    settings: Settings
    run: Run
    workspace: Path
    api_url: str
    contained: bool
    without_effect: tuple[str, ...]


def gather(environment: Mapping[str, str], now: datetime) -> Inputs:
    """Settings from `DORA_INPUTS`, `INPUT_*` and the config file; the run from `GITHUB_*`.

    Raises:
        SettingsError: with every problem.
    """
    workspace = Path(environment.get("GITHUB_WORKSPACE") or ".")
    given = (_direct(environment), _json(environment))
    named = next((str(layer.values["config"]) for layer in reversed(given) if layer.values.get("config")), None)
    path = workspace / (named or default_text("config"))
    layers = (config.read(path, required=named is not None), *given)
    settings = load(layers)
    api_url = environment.get("GITHUB_API_URL") or "https://api.github.com"
    contained = environment.get("DORA_IN_CONTAINER") == "true"
    return Inputs(settings, _run(environment, now), workspace, api_url, contained, without_effect(layers))


def _json(environment: Mapping[str, str]) -> Layer:
    """`DORA_INPUTS` holds all inputs as one object, so that none can be forgotten on the way."""
    text = environment.get("DORA_INPUTS") or "{}"
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise SettingsError("DORA_INPUTS: not JSON; it is `${{ toJSON(inputs) }}`") from None
    if not isinstance(found, dict):
        raise SettingsError("DORA_INPUTS: not a JSON object; it is `${{ toJSON(inputs) }}`")
    return Layer("input", {name: value for name, value in found.items() if not _is_default(name, value)})


def _is_default(name: str, value: object) -> bool:
    """An input that nobody set arrives with its default, which must not win over the config file."""
    return name in INPUTS and str(value).strip() == default_text(name)


def _direct(environment: Mapping[str, str]) -> Layer:
    """`INPUT_*`, for those who run the image directly; other steps' variables of that kind are none of ours."""
    found = {}
    for name in (*INPUTS, *LATER):
        upper = name.upper()
        value = environment.get(f"INPUT_{upper}") or environment.get(f"INPUT_{upper.replace('-', '_')}")
        if value and not _is_default(name, value):
            found[name] = value
    return Layer("input", found)


def _run(environment: Mapping[str, str], now: datetime) -> Run:
    needed = ("GITHUB_EVENT_NAME", "GITHUB_REPOSITORY")
    if missing := [name for name in needed if not environment.get(name)]:
        raise SettingsError(
            [f"{name}: not set; GitHub's runner sets it, outside of one set it by hand" for name in missing]
        )
    return Run(
        event=environment["GITHUB_EVENT_NAME"],
        repository=environment["GITHUB_REPOSITORY"],
        sha=environment.get("GITHUB_SHA", ""),
        ref=environment.get("GITHUB_REF", ""),
        run_id=environment.get("GITHUB_RUN_ID", ""),
        server_url=environment.get("GITHUB_SERVER_URL") or "https://github.com",
        workflow=environment.get("GITHUB_WORKFLOW", ""),
        now=now,
    )


def payload(environment: Mapping[str, str]) -> dict[str, object]:
    """The event that started the run.

    Raises:
        EventError: if the event file cannot be read as a JSON object.
    """
    place = environment.get("GITHUB_EVENT_PATH")
    if not place:
        raise EventError("GITHUB_EVENT_PATH: not set; GitHub's runner sets it to the file with the event")
    try:
        found = json.loads(Path(place).read_text("utf-8-sig"))
    except OSError as problem:
        raise EventError(f"{place}: the event file cannot be read ({problem.strerror})") from None
    except UnicodeDecodeError:
        raise EventError(f"{place}: the event file is not UTF-8") from None
    except (ValueError, RecursionError) as problem:
        raise EventError(f"{place}: the event file is not JSON ({problem}); expected the event's payload") from None
    if not isinstance(found, dict):
        raise EventError(f"{place}: the event file holds no JSON object; expected the event's payload")
    return found

"""The environment of an action run, read once: settings, the run, the event."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from dora_metrics.errors import EventError, SettingsError
from dora_metrics.github.events.observe import Run
from dora_metrics.settings import loading as settings_config
from dora_metrics.settings.loading import Layer, load_settings, names_without_effect
from dora_metrics.settings.model import INPUTS, NOT_YET_SUPPORTED, Settings, default_text

_ACCESS = ("github-token", "ledger", "max-rate-limit-wait")
"""What is needed to ask GitHub for the config file."""


@dataclass(frozen=True)
class Inputs:
    """Everything that the environment says: `layers` as they were given, `settings` as far as they are known.

    `temporary`: the runner's folder for what later steps of a job are to find.
    """

    layers: tuple[Layer, ...]
    settings: Settings
    run: Run
    workspace: Path
    api_url: str
    contained: bool
    temporary: Path | None = None

    @property
    def config(self) -> str:
        """The path of the config file in the repository."""
        return self._named or default_text("config")

    @property
    def work(self) -> Literal["record", "sync", "rebuild"]:
        """What this run is for. A job that says what it deployed is an event, whatever started it."""
        quiet = self.run.event in ("schedule", "workflow_dispatch") and self.settings.environment is None
        match self.settings.mode:
            case "auto":
                return "sync" if quiet else "record"
            case "sync":
                return "sync"
            case _:
                return "rebuild"

    @property
    def without_effect(self) -> tuple[str, ...]:
        return names_without_effect(self.layers)

    @property
    def _named(self) -> str | None:
        return next(
            (str(layer.values["config"]) for layer in reversed(self.layers) if layer.values.get("config")), None
        )

    @property
    def has_checkout(self) -> bool:
        return (self.workspace / ".git").exists()

    def local_config(self) -> Layer | None:
        """The config file of the workspace, None where it has none.

        Raises:
            SettingsError: if it cannot be read.
        """
        return settings_config.read_config_file(self.workspace / self.config)

    def settled(self, file: Layer | None) -> "Inputs":
        """The settings with those of the config file, None if there is no such file.

        Raises:
            SettingsError: with every problem.
        """
        if file is None and self._named:
            raise SettingsError(f"config {self._named}: there is no such file")
        layers = (*([file] if file else ()), *self.layers)
        return replace(self, layers=layers, settings=load_settings(layers))


def gather(environment: Mapping[str, str], now: datetime, flags: Layer | None = None) -> Inputs:
    """What `DORA_INPUTS` and `INPUT_*` say, and the run from `GITHUB_*`; of the settings only what gives access.

    Args:
        environment: that of the process.
        now: when the run began.
        flags: settings that win over those.

    Raises:
        SettingsError: with every problem.
    """
    layers = (_direct(environment), _json(environment), *([flags] if flags else ()))
    return Inputs(
        layers=layers,
        settings=_access(layers),
        run=_run(environment, now),
        workspace=Path(environment.get("GITHUB_WORKSPACE") or "."),
        api_url=environment.get("GITHUB_API_URL") or "https://api.github.com",
        contained=environment.get("DORA_IN_CONTAINER") == "true",
        temporary=Path(temporary) if (temporary := environment.get("RUNNER_TEMP")) else None,
    )


def _access(layers: Iterable[Layer]) -> Settings:
    """Nothing where it is wrong: that is told with all other problems, once they are known."""
    known = (Layer(one.origin, {name: one.values[name] for name in _ACCESS if name in one.values}) for one in layers)
    try:
        return load_settings(known)
    except SettingsError:
        return Settings(ledger="none")


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
    for name in (*INPUTS, *NOT_YET_SUPPORTED):
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

"""What one run is asked to do: inputs, flags, the workflow run and its event, read once from the environment."""

import errno
import json
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from dora_metrics.core.markdown import storable
from dora_metrics.errors import EventError, SettingsError
from dora_metrics.github.observation import Run
from dora_metrics.pipeline.checkout import checkout_folder, has_checkout_of_job
from dora_metrics.runtime import Runtime
from dora_metrics.settings.config_file import read_config_file
from dora_metrics.settings.loading import INPUT, Layer, load_settings
from dora_metrics.settings.model import EVERY_REPOSITORY, INPUTS, Settings, default_text

SummaryFormat = Literal["markdown", "text", "json"]
"""How a run shows its numbers: the job summary, a summary for a terminal, or the document alone."""

_ACCESS = ("github-token", "ledger", "max-rate-limit-wait")
"""The settings that are needed to read the config file from GitHub."""

_REACTION = ("strict", "summary")
"""The settings that say what to do if it cannot be read."""

NO_REPOSITORY = "sync: the repository is not set. Pass --repository OWNER/NAME, or --repositories for several."
"""The problem of a command line that reads GitHub's history, and names nothing to read."""

_MAX_SHOWN_PATH = 500

_DEFAULT_API_URL = "https://api.github.com"


@dataclass(frozen=True)
class RunRequest:
    """One run as it was asked for, before its config file is known.

    Attributes:
        layers: inputs and flags, later ones winning.
        run: the workflow run.
        workspace: the folder that may hold a checkout.
        api_url: GitHub's API.
        event_path: the file with the event's payload; empty if there is none.
        is_in_container: whether only the workspace outlives the run.
        is_by_hand: whether a person started it, in a folder that need not be a checkout.
        is_on_runner: whether a runner of GitHub's kind runs the workflow, which writes the event before a checkout.
        is_run_by_act: whether https://github.com/nektos/act runs the workflow.
        temporary_folder: where a runner keeps files for later steps of the job.
        has_fixed_time: whether a person said for which time to compute, so that no clock counts.
        summary_format: how the numbers are shown.
        is_read_only: whether it writes nothing to the ledger.
    """

    layers: tuple[Layer, ...]
    run: Run
    workspace: Path
    api_url: str = _DEFAULT_API_URL
    event_path: str = ""
    is_in_container: bool = False
    is_by_hand: bool = False
    is_on_runner: bool = False
    is_run_by_act: bool = False
    temporary_folder: Path | None = None
    has_fixed_time: bool = False
    summary_format: SummaryFormat = "markdown"
    is_read_only: bool = False

    @classmethod
    def from_runner(cls, runtime: Runtime) -> Self:
        """Read what GitHub's runner, or a person who sets the same variables, asks for.

        Raises:
            SettingsError: with every variable that is missing or broken.
        """
        environment = runtime.environment
        layers = (_inputs(environment),)
        needed = ("GITHUB_EVENT_NAME", "GITHUB_REPOSITORY")
        if missing := [name for name in needed if not environment.get(name)]:
            raise SettingsError(
                [f"{name}: not set. GitHub's runner sets it; outside a workflow, set it yourself." for name in missing]
            )
        run = _run(environment, environment["GITHUB_EVENT_NAME"], environment["GITHUB_REPOSITORY"], runtime.now)
        return cls._of(environment, layers, run)

    @classmethod
    def from_command_line(
        cls,
        runtime: Runtime,
        repository: str,
        flags: Layer,
        *,
        has_fixed_time: bool = False,
        summary_format: SummaryFormat = "markdown",
    ) -> Self:
        """Ask for a run that a person starts, as `dora-metrics sync` does.

        Args:
            runtime: its environment may hold inputs, which count below the flags.
            repository: whose ledger it is.
            flags: settings that win over all others.
            has_fixed_time: whether the runtime's time is one that a person named.
            summary_format: how the numbers are shown.

        Raises:
            SettingsError: if inputs in the environment are broken.
        """
        environment = runtime.environment
        layers = (_inputs(environment), flags)
        run = _run(environment, "workflow_dispatch", repository, runtime.now)
        request = cls._of(environment, layers, run)
        return replace(
            request,
            run=replace(run, has_job=request.is_on_runner),
            is_by_hand=True,
            has_fixed_time=has_fixed_time,
            summary_format=summary_format,
        )

    @classmethod
    def _of(cls, environment: Mapping[str, str], layers: tuple[Layer, ...], run: Run) -> Self:
        temporary = environment.get("RUNNER_TEMP")
        return cls(
            layers=layers,
            run=run,
            workspace=Path(environment.get("GITHUB_WORKSPACE") or "."),
            api_url=environment.get("GITHUB_API_URL") or _DEFAULT_API_URL,
            event_path=environment.get("GITHUB_EVENT_PATH", ""),
            is_in_container=environment.get("DORA_IN_CONTAINER") == "true",
            is_on_runner=environment.get("GITHUB_ACTIONS") == "true",
            is_run_by_act=environment.get("ACT") == "true",
            temporary_folder=Path(temporary) if temporary else None,
        )

    @cached_property
    def access_settings(self) -> Settings:
        """The settings that give access to GitHub; without access if they are wrong.

        What is wrong is reported with all other problems, once the config file is known.
        """
        return _settings_of(_ACCESS, self.layers) or Settings(ledger="none")

    @property
    def names_token(self) -> bool:
        """Whether an input or flag has a token, even if other settings are wrong."""
        return any(layer.values.get("github-token") for layer in self.layers)

    @property
    def names_repository(self) -> bool:
        """Whether the command line, the environment or the workspace's config file names a repository to read."""
        return self.run.repository != EVERY_REPOSITORY or self._names("repositories")

    @property
    def names_shard_ledgers(self) -> bool:
        """Whether the command line or the workspace's config file names ledgers to read besides the run's own."""
        return self._names("shard-ledgers")

    def _names(self, setting: str) -> bool:
        config = self.local_config()
        layers = (*([config] if config else ()), *self.layers)
        return any(layer.values.get(setting) for layer in layers)

    @property
    def reaction_settings(self) -> Settings:
        """The settings that say how to end without the default branch's file; the defaults if they are wrong.

        Raises:
            SettingsError: if the workspace's file cannot be read.
        """
        local = self.local_config()
        return _settings_of(_REACTION, (*([local] if local else ()), *self.layers)) or Settings()

    @property
    def settings_without_config(self) -> Settings | None:
        """The settings of inputs and flags alone; None if one is wrong.

        A Prometheus is left out: what it needs may be in the config file, and without that nothing is read from it.
        """
        names = [name for name in INPUTS if name != "prometheus-url"]
        return _settings_of(names, self.layers)

    @cached_property
    def config_path(self) -> str:
        """The path of the config file: from the workspace, or absolute if it is outside of it.

        A path outside that leads into the workspace by a link is one of the workspace's.
        """
        workspace = Path(os.path.abspath(self.workspace))  # noqa: PTH100 - `resolve` would follow links
        path = Path(os.path.abspath(workspace / (self._configured_path or default_text("config"))))  # noqa: PTH100
        for root, place in ((workspace, path), (Path(os.path.realpath(workspace)), Path(os.path.realpath(path)))):
            if place.is_relative_to(root):
                return place.relative_to(root).as_posix()
        return str(path)

    @property
    def has_config_outside(self) -> bool:
        """Whether an input or flag names a config file outside of the workspace, where no checkout puts one."""
        return Path(self.config_path).is_absolute()

    @property
    def is_config_trusted(self) -> bool:
        """Whether all of the config file counts: it is outside of the workspace, or a person named it by a flag."""
        return self.has_config_outside or (self.is_by_hand and self._configured_path is not None)

    @property
    def _configured_path(self) -> str | None:
        paths = (layer.values.get("config") for layer in reversed(self.layers))
        return next((str(path) for path in paths if path), None)

    @property
    def config_path_on_default_branch(self) -> str:
        """The path of the config file from the repository's root: a checkout may be in a folder of the workspace."""
        return (self.workspace / self.config_path).relative_to(self._checkout).as_posix()

    @cached_property
    def _checkout(self) -> Path:
        return self.workspace if self.has_config_outside else checkout_folder(self.workspace, self.config_path)

    @cached_property
    def has_checkout(self) -> bool:
        """Whether this job checked out the config file's folder; act only pretends to, in a person's folder.

        Other systems may write the event's file after their checkout, so there any checkout counts.
        """
        is_start_known = self.is_on_runner and not self.is_run_by_act
        return has_checkout_of_job(self._checkout, self.event_path if is_start_known else "")

    @property
    def is_folder_of_person(self) -> bool:
        """Whether the workspace is the folder in which somebody tries a workflow; its files are all that counts."""
        return self.is_run_by_act and self.has_checkout

    @property
    def is_workspace_read(self) -> bool:
        """Whether files of the workspace count. Without a checkout they are what an earlier job left there."""
        return self.is_by_hand or self.has_checkout

    @property
    def has_unread_config(self) -> bool:
        """Whether the workspace has a config file that does not count."""
        is_inside = not self.has_config_outside
        return is_inside and not self.is_workspace_read and os.path.lexists(self.workspace / self.config_path)

    def local_config(self) -> Layer | None:
        """Read the config file of the workspace, or one outside that was named; None if there is none.

        Raises:
            SettingsError: if it cannot be read.
        """
        if self.has_config_outside:
            return read_config_file(Path(self.config_path))
        return read_config_file(self.workspace / self.config_path, self._checkout) if self.is_workspace_read else None

    def is_outside_workspace(self, folder: Path) -> bool:
        """Whether a folder is outside of the workspace, wherever links lead."""
        return not folder.resolve().is_relative_to(self.workspace.resolve())

    def with_config(self, config: Layer | None) -> tuple[Layer, ...]:
        """All layers, the config file first; None means that there is no such file.

        Raises:
            SettingsError: if a file was named and there is none.
        """
        if config is None and self._configured_path:
            raise SettingsError(f"config {self._configured_path}: there is no such file")
        return (*([config] if config else ()), *self.layers)

    def payload(self) -> dict[str, object]:
        """Read the event that started the run.

        Raises:
            EventError: if the event file cannot be read as a JSON object.
        """
        if not self.event_path:
            raise EventError(
                "GITHUB_EVENT_PATH: not set. GitHub's runner sets it to the file with the event; outside a workflow, "
                "set it yourself."
            )
        path = self.event_path[:_MAX_SHOWN_PATH]
        try:
            payload = json.loads(_read_file(Path(self.event_path)))
        except OSError as error:
            raise EventError(f"{path}: the event file cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            raise EventError(f"{path}: the event file is not UTF-8") from None
        except (ValueError, RecursionError) as error:
            raise EventError(f"{path}: the event file is not JSON ({error}); expected the event's payload") from None
        if not isinstance(payload, dict):
            raise EventError(f"{path}: the event file holds no JSON object; expected the event's payload")
        return payload

    @property
    def is_of_fork(self) -> bool:
        """Whether a pull request from a fork started the run, which has a token that can only read, and no secrets.

        `pull_request_target` runs the default branch's workflow, with its token and secrets.
        """
        if not self.run.event.startswith("pull_request") or self.run.event == "pull_request_target":
            return False
        try:
            match self.payload():
                case {"pull_request": {"head": {"repo": {"full_name": str(head)}}}}:
                    return head.lower() != self.run.repository.lower()
                case {"pull_request": {"head": _}}:
                    return True  # the fork was deleted
        except EventError:  # reported when the event is observed
            pass
        return False


def _read_file(path: Path) -> str:
    """Return the text of a regular file.

    Raises:
        OSError: if it cannot be read, or is something else: a pipe would be waited for, and a device may never end.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    return path.read_text("utf-8-sig")


def _settings_of(names: Iterable[str], layers: Iterable[Layer]) -> Settings | None:
    """Return the settings of these names; None if one is wrong."""
    try:
        return load_settings(Layer(layer.origin, _only(names, layer.values)) for layer in layers)
    except SettingsError:
        return None


def _only(names: Iterable[str], values: Mapping[str, object]) -> dict[str, object]:
    return {name: values[name] for name in names if name in values}


def _inputs(environment: Mapping[str, str]) -> Layer:
    """The inputs of the action, or those of people who run the image directly.

    Beside the action's own, `INPUT_*` are variables of the job: many set `INPUT_ENVIRONMENT` and the like for steps of
    their own, as GitHub advises against text of others in scripts.
    """
    inputs = environment.get("DORA_INPUTS")
    return _json_inputs(inputs) if inputs else _separate_inputs(environment)


def _json_inputs(text: str) -> Layer:
    """`DORA_INPUTS`: all inputs as one JSON object, so that none can be forgotten on the way."""
    try:
        inputs = json.loads(text)
    except (ValueError, RecursionError):
        raise SettingsError("DORA_INPUTS is not valid JSON; set it to `${{ toJSON(inputs) }}`") from None
    if not isinstance(inputs, dict):
        raise SettingsError("DORA_INPUTS is not a JSON object; set it to `${{ toJSON(inputs) }}`")
    return Layer(INPUT, {name: value for name, value in inputs.items() if not _is_default(name, value)})


def _separate_inputs(environment: Mapping[str, str]) -> Layer:
    """`INPUT_*`: an input each; those of other names are ignored."""
    values = {}
    for name in INPUTS:
        upper = name.upper()
        value = environment.get(f"INPUT_{upper}") or environment.get(f"INPUT_{upper.replace('-', '_')}")
        if value and not _is_default(name, value):
            values[name] = value
    return Layer(INPUT, values)


def _server_url(api_url: str) -> str:
    """Return the address of the GitHub with this API, for a command line where only that is set."""
    if match := re.fullmatch(r"(https://[^/]+)/api/v3/?", api_url):
        return match[1]
    match = re.fullmatch(r"https://api\.([\w-]+\.ghe\.com)/?", api_url)
    return f"https://{match[1]}" if match else "https://github.com"


def _is_default(name: str, value: object) -> bool:
    """Whether an input has its default, as one that nobody set does; that must not win over the config file."""
    return name in INPUTS and str(value).strip() == default_text(name)


def _run(environment: Mapping[str, str], event: str, repository: str, now: datetime) -> Run:
    environment = {name: storable(environment[name]) for name in environment if name.startswith(("GITHUB_", "DORA_"))}
    repository = storable(repository)
    is_own_repository = repository == environment.get("GITHUB_REPOSITORY")
    number = environment.get("GITHUB_REPOSITORY_ID", "") if is_own_repository else ""
    return Run(
        event=storable(event),
        repository=repository,
        sha=environment.get("GITHUB_SHA", ""),
        ref=environment.get("GITHUB_REF", ""),
        run_id=environment.get("GITHUB_RUN_ID", ""),
        run_attempt=_number(environment, "GITHUB_RUN_ATTEMPT", 1),
        server_url=environment.get("GITHUB_SERVER_URL") or _server_url(environment.get("GITHUB_API_URL", "")),
        workflow=environment.get("GITHUB_WORKFLOW", ""),
        job=environment.get("GITHUB_JOB", ""),
        check_run_id=_digits(environment, "DORA_CHECK_RUN_ID"),
        matrix_index=_number(environment, "DORA_JOB_INDEX", 0),
        matrix_size=_number(environment, "DORA_JOB_TOTAL", 1),
        now=now,
        repository_number=int(number) if re.fullmatch(r"\d{1,18}", number, re.ASCII) else None,
    )


def _digits(environment: Mapping[str, str], name: str) -> str:
    """A number as text, since those of jobs may be longer than what fits into 64 bits; empty if it is none."""
    value = environment.get(name, "").strip()
    return value if re.fullmatch(r"\d{1,20}", value, re.ASCII) else ""


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    return int(_digits(environment, name) or default)

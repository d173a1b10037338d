"""Which addresses of a checkout's config file count only where the workflow or the default branch says the same.

A checkout may be a stranger's pull request, or what an earlier job left on the runner. Its file must not decide where
secrets go, whom a health check asks, which other repositories are read, or which branch, repository or folder outside
of the workspace is written.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from dora_metrics.core.outcome import Outcome
from dora_metrics.settings.loading import Layer
from dora_metrics.settings.model import Settings

SECRETS_BY_ADDRESS = {
    "endpoint-url": ("endpoint-token", "endpoint-secret"),
    "pushgateway-url": ("pushgateway-username", "pushgateway-password"),
}
"""What a request to an address carries besides facts and numbers."""

HEALTH_CHECK, LEDGER, REPOSITORIES = "health-check-url", "ledger", "repositories"
_ADDRESSES = (*SECRETS_BY_ADDRESS, HEALTH_CHECK, LEDGER, REPOSITORIES)


def unconfirmed_addresses(
    checkout: Layer, overrides: Iterable[Layer], default_branch: Mapping[str, object]
) -> frozenset[str]:
    """Return the settings with an address that only a checkout's file has.

    Args:
        checkout: its config file.
        overrides: inputs and flags.
        default_branch: the settings in the default branch's file; empty if there is none, or if it was not read.
    """
    overridden = {name for layer in overrides for name, value in layer.values.items() if value not in ("", None)}
    return frozenset(
        name
        for name in _ADDRESSES
        if checkout.values.get(name) not in ("", None)
        and name not in overridden
        and checkout.values[name] != default_branch.get(name)
    )


def withheld_settings(
    settings: Settings, unconfirmed: AbstractSet[str], *, is_ledger_elsewhere: bool
) -> dict[str, tuple[str, ...]]:
    """Return the settings that must not be used, by the unconfirmed address that they would be used with.

    Args:
        settings: all settings of the run.
        unconfirmed: the result of `unconfirmed_addresses`.
        is_ledger_elsewhere: whether the ledger is neither in the workspace nor on the usual branch of this repository.
    """
    names_by_address = {
        **SECRETS_BY_ADDRESS,
        HEALTH_CHECK: (HEALTH_CHECK,),
        LEDGER: (LEDGER,) if is_ledger_elsewhere else (),
        REPOSITORIES: (REPOSITORIES,),
    }
    set_names = {
        address: tuple(name for name in names if getattr(settings, _attribute(name)))
        for address, names in names_by_address.items()
        if address in unconfirmed
    }
    return {address: names for address, names in set_names.items() if names}


def without(settings: Settings, names: Iterable[str]) -> Settings:
    """Return the settings as if those of these names were not set."""
    attributes = [_attribute(name) for name in names]
    return settings.model_copy(update={each: Settings.model_fields[each].default for each in attributes})


def withheld_outcome(address: str, names: Iterable[str], config_path: str, *, is_compared: bool) -> Outcome:
    """Return what a summary says about settings that are withheld from an address.

    Args:
        address: the setting with the address.
        names: the settings that are not used.
        config_path: the config file.
        is_compared: whether the default branch's file is known.
    """
    reason = unconfirmed_reason(address, config_path, is_compared=is_compared)
    if address == HEALTH_CHECK:
        return Outcome("health check", "skipped", f"not checked: {reason}")
    if address == REPOSITORIES:
        return Outcome(REPOSITORIES, "skipped", f"not read: {reason}")
    return Outcome(", ".join(names), "skipped", f"not sent: {reason}")


def unconfirmed_reason(address: str, config_path: str, *, is_compared: bool) -> str:
    """Return why an address of a checkout's file does not count, and what to do."""
    comparison = (
        "not with this value on the default branch" if is_compared else "there is no `github-token` to compare it with"
    )
    return (
        f"`{address}` is in the checkout's {config_path}, but {comparison}. "
        "Set it as an input, or add the same line to the default branch's file"
    )


def _attribute(name: str) -> str:
    return name.replace("-", "_")

"""Which addresses of a checkout's config file count only where the workflow or the default branch says the same.

A checkout may be a stranger's pull request or clone, or what an earlier job left on the runner. Its file must not
decide where secrets go, whom a health check asks, where reports link to, which other repositories are read, or which
branch, repository or folder outside of the workspace is written.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from dora_metrics.core.outcome import Outcome
from dora_metrics.settings.loading import Layer
from dora_metrics.settings.model import Settings

SECRETS_BY_ADDRESS = {
    "endpoint-url": ("endpoint-token", "endpoint-secret"),
    "pushgateway-url": ("pushgateway-username", "pushgateway-password"),
}
"""What a request to an address carries besides facts and numbers."""

HEALTH_CHECK, LEDGER, PAGE, REPOSITORIES = "health-check-url", "ledger", "page-url", "repositories"
_ADDRESSES = (*SECRETS_BY_ADDRESS, HEALTH_CHECK, LEDGER, PAGE, REPOSITORIES)


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
    settings: Settings, unconfirmed: AbstractSet[str], *, is_ledger_elsewhere: bool, is_by_hand: bool
) -> dict[str, tuple[str, ...]]:
    """Return the settings that must not be used, by the unconfirmed address that they would be used with.

    Args:
        settings: all settings of the run.
        unconfirmed: the result of `unconfirmed_addresses`.
        is_ledger_elsewhere: whether the ledger is neither in the workspace nor on the usual branch of this repository.
        is_by_hand: whether a person started the run. The author of the file may then be unable to read the person's
            repositories, so not even facts are sent to an address in it.
    """
    names_by_address = {
        **{sink: ((sink, *secrets) if is_by_hand else secrets) for sink, secrets in SECRETS_BY_ADDRESS.items()},
        HEALTH_CHECK: (HEALTH_CHECK,),
        LEDGER: (LEDGER,) if is_ledger_elsewhere else (),
        PAGE: (PAGE,) if settings.report and settings.github_token else (),
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


@dataclass(frozen=True)
class AddressComparison:
    """How a checkout's config file was compared with the default branch's.

    Attributes:
        config_path: the config file.
        is_done: whether the default branch's file is known.
        is_by_hand: whether a person started the run.
    """

    config_path: str
    is_done: bool
    is_by_hand: bool

    def reason(self, address: str) -> str:
        """Return why an address of the checkout's file does not count, and what to do."""
        if self.is_done:
            result = "not with this value on the default branch"
        elif self.is_by_hand:
            result = "comparing it with the default branch needs --repository and GITHUB_TOKEN"
        else:
            result = "there is no `github-token` to compare it with"
        remedy = "Set it as an option, name the file with --config" if self.is_by_hand else "Set it as an input"
        return (
            f"`{address}` is in the checkout's {self.config_path}, but {result}. "
            f"{remedy}, or add the same line to the default branch's file"
        )

    def outcome(self, address: str, names: Sequence[str]) -> Outcome:
        """Return what a summary says about settings that are withheld from an address."""
        reason = self.reason(address)
        if address == HEALTH_CHECK:
            return Outcome("health check", "skipped", f"not checked: {reason}")
        if address == PAGE:
            return Outcome(PAGE, "skipped", f"not linked: {reason}")
        if address == REPOSITORIES:
            return Outcome(REPOSITORIES, "skipped", f"not read: {reason}")
        if address in names:
            return Outcome(address, "skipped", f"nothing is sent there: {reason}")
        return Outcome(", ".join(names), "skipped", f"not sent: {reason}")


def _attribute(name: str) -> str:
    return name.replace("-", "_")

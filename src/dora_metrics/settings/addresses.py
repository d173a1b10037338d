"""Which addresses of a config file count only where somebody who is trusted says the same.

A checkout may be a pull request of somebody who is not trusted. Its file must not decide where facts and secrets go,
which address a health check requests, which Prometheus and incident systems are read, where reports link to, which
other repositories are read, or which branch, repository or folder outside of the workspace is written or read. In a
workflow, its inputs and the default branch are trusted.

For a person at a terminal, the whole repository may be untrusted: its numbers may be all that the person wants to
see, with a token that can read much more. So only options, and a file that the person names, are trusted.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from dora_metrics.core.outcome import Outcome
from dora_metrics.settings.loading import Layer, is_set
from dora_metrics.settings.model import Settings, default_text

HEALTH_CHECK, LEDGER, PAGE, REPOSITORIES = "health-check-url", "ledger", "page-url", "repositories"
INCIDENTS, PROMETHEUS, SHARD_LEDGERS = "incidents", "prometheus-url", "shard-ledgers"
_ENDPOINTS, _ENDPOINT_TEMPLATE = "endpoints", "endpoint-template"
_SINKS = ("bigquery-dataset", "endpoint-url", _ENDPOINTS, "pushgateway-url", "remote-write-url")
_OTHERS = (HEALTH_CHECK, INCIDENTS, LEDGER, PAGE, PROMETHEUS, REPOSITORIES, SHARD_LEDGERS)
_ADDRESSES = (*_SINKS, _ENDPOINT_TEMPLATE, *_OTHERS)
"""The settings that count only if somebody who is trusted says the same. `endpoint-template` is no address, but an
endpoint may accept a body that it does not understand, and so miss its facts for good."""

_UNSET = {_ENDPOINT_TEMPLATE: default_text(_ENDPOINT_TEMPLATE)}
"""What a file without the setting means, so that the same value in a checkout's file changes nothing."""

_INCIDENT_ALERTS = "incident-alerts"
_REPORT_SETTINGS = (PAGE, "report-template")


def unconfirmed_addresses(
    config: Layer, overrides: Iterable[Layer], default_branch: Mapping[str, object]
) -> frozenset[str]:
    """Return the settings with an address that only a config file has.

    Args:
        config: the file.
        overrides: inputs and flags.
        default_branch: the settings in the default branch's file; empty if there is none, or if it was not read or is
            not trusted.
    """
    overridden = {name for layer in overrides for name, value in layer.values.items() if is_set(value)}
    return frozenset(
        name
        for name in _ADDRESSES
        if is_set(config.values.get(name))
        and name not in overridden
        and config.values[name] != default_branch.get(name, _UNSET.get(name))
    )


def withheld_addresses(settings: Settings, unconfirmed: AbstractSet[str], *, is_ledger_used: bool) -> Sequence[str]:
    """Return the settings whose address must not be used, in a fixed order.

    Args:
        settings: all settings of the run.
        unconfirmed: the result of `unconfirmed_addresses`.
        is_ledger_used: whether the ledger counts as an address: it is neither in the workspace nor on the usual branch
            of this repository, or the default branch names one.
    """
    is_used = {
        INCIDENTS: INCIDENTS in unconfirmed and _names_unknown_host(settings),
        LEDGER: is_ledger_used,
        PAGE: bool(settings.report and settings.github_token),
    }
    return [
        address
        for address in _ADDRESSES
        if address in unconfirmed and is_used.get(address, True) and getattr(settings, _attribute(address))
    ]


def _names_unknown_host(settings: Settings) -> bool:
    """Whether a `url` in `incidents` is on a host that `incident-hosts` does not name."""
    from dora_metrics.settings.incident_access import unnamed_urls  # noqa: PLC0415 - most runs have none

    return bool(unnamed_urls(settings.incidents, settings.incident_hosts))


def named_addresses(config: Layer) -> Layer:
    """Return the addresses in a config file, without its other settings and what is wrong with them."""
    return Layer(config.origin, {name: value for name in _ADDRESSES if is_set(value := config.values.get(name))})


def usable_addresses(default_branch: Layer, others: Iterable[Layer]) -> Layer:
    """Return the default branch's addresses that count for a checkout that lacks them, or whose own are withheld.

    A Prometheus is of no use unless the other layers say which of its alerts are incidents. A sync that reads none
    misses nothing for good: the next one reads what came since.
    """
    names_alerts = any(is_set(layer.values.get(_INCIDENT_ALERTS)) for layer in others)
    return without_addresses(default_branch, () if names_alerts else (PROMETHEUS,))


def without_addresses(config: Layer, withheld: Iterable[str]) -> Layer:
    """Return a config file without the addresses in `withheld`, the result of `withheld_addresses`.

    An empty list of endpoints is left out too, as an empty `endpoint-url` is: no checkout makes those of the default
    branch miss a fact.
    """
    left_out = {*withheld, *([_ENDPOINTS] if config.values.get(_ENDPOINTS) == [] else [])}
    return replace(config, values={name: value for name, value in config.values.items() if name not in left_out})


def without_report_settings(config: Layer) -> Layer:
    """Return a config file that nobody named without what it would write into a report as it is: a link and a text."""
    values = {name: value for name, value in config.values.items() if name not in _REPORT_SETTINGS}
    return replace(config, values=values)


def unnamed_report_settings(config: Layer, flags: Layer) -> Sequence[str]:
    """Return the settings that `without_report_settings` leaves out and no option sets."""
    return [name for name in _REPORT_SETTINGS if is_set(config.values.get(name)) and not is_set(flags.values.get(name))]


def unnamed_report_text(names: Sequence[str], config_path: str) -> str:
    """Return what a command line says about these settings of a report."""
    listed = " and ".join(f"`{name}`" for name in names)
    return (
        f"{listed} of {config_path} {'is' if len(names) == 1 else 'are'} not used, because the settings in this "
        "checkout are not trusted. Set an option, or name the file with --config"
    )


_WITHHELD_TEXTS = {
    _ENDPOINT_TEMPLATE: (_ENDPOINT_TEMPLATE, "not used:"),
    LEDGER: (LEDGER, "not used:"),
    HEALTH_CHECK: ("health check", "not checked:"),
    INCIDENTS: (INCIDENTS, "not read:"),
    PAGE: (PAGE, "not linked:"),
    PROMETHEUS: ("Prometheus", "its alerts are not read:"),
    REPOSITORIES: (REPOSITORIES, "not read:"),
}


def withheld_outcome(address: str, reason: str) -> Outcome:
    """Return what a summary says about a setting with an address that is not used.

    Args:
        address: the setting.
        reason: the result of `unconfirmed_reason`.
    """
    title, text = _WITHHELD_TEXTS.get(address, (address, "nothing is sent there:"))
    return Outcome(title, "skipped", f"{text} {reason}")


def unconfirmed_reason(address: str, config_path: str, *, is_compared: bool, is_by_hand: bool) -> str:
    """Return why an address in a config file does not count, and what to do.

    Args:
        address: the setting with the address.
        config_path: the config file.
        is_compared: whether the default branch's file is known.
        is_by_hand: whether a person started the run.
    """
    if address == INCIDENTS:
        return _unconfirmed_incidents_reason(config_path, is_by_hand=is_by_hand)
    if is_by_hand:
        return (
            f"`{address}` is only in {config_path}, and the settings in this checkout are not trusted. "
            "Set it as an option, or name the file with --config"
        )
    comparison = (
        "not with this value on the default branch" if is_compared else "there is no `github-token` to compare it with"
    )
    return (
        f"`{address}` is in the checkout's {config_path}, but {comparison}. "
        "Set it as an input, or add the same line to the default branch's file"
    )


def _unconfirmed_incidents_reason(config_path: str, *, is_by_hand: bool) -> str:
    place, option = (
        ("this checkout", "--incident-hosts") if is_by_hand else ("the checkout", "the input `incident-hosts`")
    )
    return (
        f"`{INCIDENTS}` in {place}'s {config_path} has a `url` on a host that {option} does not name, and the settings "
        "in a checkout are not trusted. Name the host there"
    )


def _attribute(name: str) -> str:
    return name.replace("-", "_")

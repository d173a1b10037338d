"""Access to incident systems: which addresses `incident-hosts` does not name, and which headers hold a token."""

from collections.abc import Collection, Mapping, Sequence

from dora_metrics.settings.hosts import Origin

TOKEN_PLACEHOLDERS = ("token", "basic")
"""In a header: the token, and `user:TOKEN` in Base64."""


def unnamed_urls(systems: Sequence[Mapping[str, object]], hosts: Collection[str]) -> list[str]:
    """Return each `url` in the setting `incidents` whose host `incident-hosts` does not name."""
    urls = [str(system["url"]) for system in systems if "url" in system]
    return [url for url in urls if not Origin.of(url).is_named_by(hosts)]


def names_token(header: str) -> bool:
    """Whether a header holds a placeholder for the token."""
    return any(f"${{{name}}}" in header for name in TOKEN_PLACEHOLDERS)

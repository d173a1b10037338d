"""Syncs of an organisation where GitHub hides repositories, or shows who may read the ledger."""

import pytest

from fakes.faults import partial_errors
from support.organisation import Organisation


@pytest.mark.parametrize("strict", [False, True])
def test_repositories_that_github_hides_are_counted(acme: Organisation, *, strict: bool) -> None:
    """As for a token that the organisation's single sign-on has not authorised: without a name, null in the list."""
    acme.github.fail(partial_errors("repositoryOwner.repositories.nodes.0", "FORBIDDEN"), to="OwnedRepositories")
    ran = acme.sync(strict=strict, ledger="branch:a")
    assert ran.code == (1 if strict else 0)
    assert "GitHub hides 1 repository of acme: its list has them without their names." in ran.summary
    assert {fact["repository"] for fact in acme.facts("a").values()} == {"acme/shop", "acme/web"}


IN_PUBLIC = "acme/shop, which holds the ledger, is public, and this run reads"


@pytest.mark.parametrize(
    ("private_names", "ledger", "count"),
    [
        (("api",), "branch:dora-metrics", "1 private or internal repository"),
        (("api", "web"), "branch:other@ACME/Shop", "2 private or internal repositories"),
        ((), "branch:dora-metrics", None),
        (("api", "web", "shop"), "branch:dora-metrics", None),
        (("api", "web"), "dir:ledger", None),
        (("api",), "branch:dora-metrics@acme/api", None),
    ],
)
def test_private_repositories_in_a_public_ledger_are_a_warning_without_their_names(
    acme: Organisation, private_names: tuple[str, ...], ledger: str, count: str | None
) -> None:
    for name in private_names:
        getattr(acme, name).is_private = True
    ran = acme.sync(ledger=ledger)
    assert ran.code == 0
    warnings = [line for line in ran.log.splitlines() if line.startswith("::warning") and "is public" in line]
    assert [f"{IN_PUBLIC} {count} into it" in line.replace("ACME/Shop", "acme/shop") for line in warnings] == (
        [True] if count else []
    )
    assert not any("acme/api" in line or "acme/web" in line for line in warnings)


def test_private_repositories_that_are_not_read_are_no_warning(acme: Organisation) -> None:
    acme.api.is_private = True
    assert "is public" not in acme.sync(repositories="acme/*, !acme/api").log

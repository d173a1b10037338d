"""`deployment-source: auto`: which of GitHub's things count as deployments, and the sentence that says why."""

import pytest

from dora_metrics.core.selection import BEST_FIRST, Sources

AUTO = ("auto",)


@pytest.mark.parametrize("best", BEST_FIRST)
def test_auto_takes_the_best_that_there_is(best: str) -> None:
    found = set(BEST_FIRST[BEST_FIRST.index(best) :])
    assert Sources(AUTO, found=found).taken == (best,)


def test_nothing_worse_is_looked_at_once_something_is_found() -> None:
    sources = Sources(AUTO)
    assert sources.wants("releases")
    sources.found.add("deployments")
    assert not sources.wants("releases")
    assert sources.wants("deployments")


def test_what_the_ledger_has_is_as_good_as_what_is_found() -> None:
    sources = Sources(AUTO, frozenset({"releases"}))
    assert not sources.wants("workflow-runs")
    assert sources.taken == ("releases",)
    assert "published releases in the ledger" in sources.why("acme/shop")


def test_a_list_is_taken_as_it_is() -> None:
    sources = Sources(("pushes", "deployments"), found={"releases"})
    assert sources.taken == ("deployments", "pushes")
    assert not sources.wants("releases")
    assert (
        sources.why("acme/shop") == "Deployments are taken from `deployments`, `pushes`, as `deployment-source` says."
    )


def test_none_is_none() -> None:
    sources = Sources(("none",), found={"releases"})
    assert sources.taken == ()
    assert not any(map(sources.wants, BEST_FIRST))
    assert sources.why("acme/shop") == "`deployment-source` is none, so there are no deployments from GitHub."


def test_the_sentence_says_what_was_taken_and_what_is_not_there() -> None:
    assert Sources(AUTO, found={"workflow-runs"}).why("acme/shop") == (
        "Deployments are taken from `workflow-runs` (`deployment-source: auto`): "
        "acme/shop has successful runs of a workflow that deploys, no production deployment, no published release."
    )


def test_it_does_not_say_that_something_is_not_there_which_could_not_be_read() -> None:
    why = Sources(AUTO, found={"releases"}, unread=["deployments"]).why("acme/shop")
    assert why.endswith("acme/shop has published releases; `deployments` could not be read.")


def test_nothing_lesser_is_taken_where_something_better_could_not_be_read() -> None:
    unsure = Sources(AUTO, unread=["deployments"])
    assert [source for source in BEST_FIRST if unsure.wants(source)] == ["deployments"]
    assert Sources(("pushes",), unread=["deployments"]).wants("pushes")


def test_a_repository_with_nothing_has_no_deployments() -> None:
    assert Sources(AUTO).why("acme/shop") == (
        "acme/shop has no production deployment, no published release, no successful run of a workflow that deploys, "
        "no merge to the default branch, so there are no deployments from GitHub."
    )

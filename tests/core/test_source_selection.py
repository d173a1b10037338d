"""`deployment-source: auto`: which records of GitHub count as deployments, and the sentence that explains it."""

import pytest

from dora_metrics.core.selection import (
    GITOPS_SOURCES,
    SOURCES_BEST_FIRST,
    SourceSelection,
    better_source,
    lesser_sources,
)

AUTO = ("auto",)


@pytest.mark.parametrize("best", SOURCES_BEST_FIRST)
def test_auto_takes_the_best_that_there_is(best: str) -> None:
    found = set(SOURCES_BEST_FIRST[SOURCES_BEST_FIRST.index(best) :])
    assert SourceSelection(AUTO, on_github=found).selected == (best,)


def test_nothing_worse_is_looked_at_once_something_is_found() -> None:
    sources = SourceSelection(AUTO)
    assert sources.is_selected("releases")
    sources.on_github.add("deployments")
    assert not sources.is_selected("releases")
    assert sources.is_selected("deployments")


def test_what_the_ledger_has_is_as_good_as_what_is_found() -> None:
    sources = SourceSelection(AUTO, frozenset({"releases"}))
    assert not sources.is_selected("workflow-runs")
    assert sources.selected == ("releases",)
    assert "published releases in the ledger" in sources.explanation("acme/shop")


def test_a_list_is_taken_as_it_is() -> None:
    sources = SourceSelection(("pushes", "deployments"), on_github={"releases"})
    assert sources.selected == ("deployments", "pushes")
    assert not sources.is_selected("releases")
    assert (
        sources.explanation("acme/shop")
        == "Deployments come from `deployments`, `pushes`, as set in `deployment-source`."
    )


def test_none_is_none() -> None:
    sources = SourceSelection(("none",), on_github={"releases"})
    assert sources.selected == ()
    assert not any(map(sources.is_selected, SOURCES_BEST_FIRST))
    assert sources.explanation("acme/shop") == "`deployment-source` is none, so there are no deployments from GitHub."


def test_the_sentence_says_what_was_taken_and_what_is_not_there() -> None:
    assert SourceSelection(AUTO, on_github={"workflow-runs"}).explanation("acme/shop") == (
        "Deployments come from `workflow-runs` (`deployment-source: auto`): "
        "acme/shop has successful runs of a workflow that deploys, but no production deployment, no published release."
    )


def test_it_does_not_say_that_something_is_not_there_which_could_not_be_read() -> None:
    why = SourceSelection(AUTO, on_github={"releases"}, unreadable=["deployments"]).explanation("acme/shop")
    assert why.endswith("acme/shop has published releases; `deployments` could not be read.")


def test_nothing_lesser_is_taken_where_something_better_could_not_be_read() -> None:
    unsure = SourceSelection(AUTO, unreadable=["deployments"])
    assert [source for source in SOURCES_BEST_FIRST if unsure.is_selected(source)] == ["deployments"]
    assert SourceSelection(("pushes",), unreadable=["deployments"]).is_selected("pushes")


def test_a_repository_with_nothing_has_no_deployments() -> None:
    assert SourceSelection(AUTO).explanation("acme/shop") == (
        "acme/shop has no production deployment, no published release, no successful run of a workflow that deploys, "
        "no known push to the default branch, so there are no deployments from GitHub."
    )


class TestGitOps:
    """The tools deploy what is released, built or pushed. A GitHub deployment states one of its own."""

    @pytest.mark.parametrize("tool", GITOPS_SOURCES)
    def test_the_steps_before_a_rollout_do_not_count_as_well(self, tool: str) -> None:
        sources = SourceSelection(AUTO, frozenset({tool, "pushes"}))
        assert [source for source in SOURCES_BEST_FIRST if sources.is_selected(source)] == ["deployments"]
        assert sources.selected == ()
        assert sources.explanation("acme/shop") == (
            f"Deployments come from `{tool}` (`deployment-source: auto`): the ledger has deployments of acme/shop by "
            f"`{tool}`, so releases, workflow runs and pushes do not count."
        )

    def test_github_deployments_count_as_well(self) -> None:
        sources = SourceSelection(AUTO, frozenset({"flux"}), on_github={"deployments"})
        assert sources.selected == ("deployments",)
        assert sources.explanation("acme/shop") == (
            "Deployments come from `deployments` (`deployment-source: auto`): acme/shop has production deployments."
        )

    def test_a_source_that_is_named_counts_as_well(self) -> None:
        sources = SourceSelection(("auto", "pushes"), frozenset({"argocd"}))
        assert sources.selected == ("pushes",)
        assert sources.explanation("acme/shop") == (
            "Deployments come from `argocd`, `pushes` (`deployment-source: auto`): the ledger has deployments of "
            "acme/shop by `argocd`, so releases and workflow runs do not count."
        )

    def test_a_list_without_auto_is_taken_as_it_is(self) -> None:
        sources = SourceSelection(("pushes",), frozenset({"flux"}))
        assert sources.is_selected("pushes")
        assert sources.explanation("acme/shop") == "Deployments come from `pushes`, as set in `deployment-source`."

    @pytest.mark.parametrize(
        ("source", "known", "better"),
        [
            ("pushes", {"flux"}, "flux"),
            ("releases", {"flagger", "pushes"}, "flagger"),
            ("deployments", {"flux"}, None),
            ("pushes", {"deployments", "flux"}, "deployments"),
            ("pushes", {"releases"}, "releases"),
        ],
    )
    def test_what_auto_prefers(self, source: str, known: set[str], better: str | None) -> None:
        assert better_source(source, known) == better


def test_lesser_sources_are_those_that_auto_does_not_use() -> None:
    assert lesser_sources(["auto"], {"deployments"}) == ["releases", "workflow-runs", "pushes"]
    assert lesser_sources(["auto"], {"workflow-runs"}) == ["pushes"]
    assert lesser_sources(["auto"], {"flux"}) == ["releases", "workflow-runs", "pushes"]
    assert not lesser_sources(["auto"], {"dispatch"})
    assert lesser_sources(["auto", "pushes"], {"deployments"}) == ["releases", "workflow-runs"]
    assert not lesser_sources(["deployments"], {"deployments"})

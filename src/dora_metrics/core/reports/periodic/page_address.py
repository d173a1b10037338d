"""Where readers of a report find the page."""

from dataclasses import dataclass
from urllib.parse import urlencode

from dora_metrics.core.ledger.layout import PAGE_FILE
from dora_metrics.core.markdown import Md, link, md
from dora_metrics.core.scope import Scope, scope_path


@dataclass(frozen=True)
class PageAddress:
    """Where readers find the page.

    Attributes:
        published: the address that the user set; empty without one.
        in_ledger: the address of the file on the ledger's branch; empty if there is none.
    """

    published: str = ""
    in_ledger: str = ""

    @classmethod
    def of(cls, published: str | None, ledger: str, repository: str, server_url: str) -> "PageAddress":
        """Return the address of a run's page.

        Args:
            published: the setting `page-url`.
            ledger: the setting `ledger`; empty if it has no page.
            repository: of the run.
            server_url: of GitHub's web pages.
        """
        kind, _, place = ledger.partition(":")
        branch, _, other = place.partition("@")
        file = f"{server_url.rstrip('/')}/{other or repository}/blob/{branch}/{PAGE_FILE}"
        return cls(published or "", file if kind == "branch" else "")

    def of_scope(self, scope: Scope) -> str | None:
        """Return the address that opens the page at a scope; None if the page is not published."""
        return f"{self.published}#{urlencode({'scope': scope_path(scope)})}" if self.published else None

    def sentence(self, scope: Scope | None = None) -> Md:
        """Return where the page is, opened at a scope if one is named; empty if nothing is known of it."""
        if self.published:
            url = self.of_scope(scope) if scope else self.published
            return md("Each number with its evidence is on the {}.", link("page", url))
        if not self.in_ledger:
            return Md("")
        file_link = link("index.html", self.in_ledger)
        return md(
            "Each number with its evidence is on the page, {} in the ledger. Publish it and set `page-url`.",
            file_link,
        )


NO_PAGE = PageAddress()
"""Nothing is known of a page."""

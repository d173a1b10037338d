"""Make the site of a ledger: the page, badges and the weekly history, by runs that read everything.

The page is one file. It holds its data, our style and script, and Chart.js; a browser runs these by their hashes and
loads nothing else.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import msgspec
import rjsmin  # type: ignore[import-untyped]
from markupsafe import Markup

from dora_metrics import __version__
from dora_metrics.core.ledger.layout import (
    EVIDENCE_FILE,
    HISTORY_FILE,
    NO_JEKYLL_FILE,
    PAGE_FILE,
    SITE_PATHS,
    site_changes,
)
from dora_metrics.core.ledger.snapshot import Snapshot
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.reports import render
from dora_metrics.core.reports.numbers import evidence_of
from dora_metrics.core.reports.site.cards import metric_definitions
from dora_metrics.core.reports.site.evidence import script_safe_json
from dora_metrics.core.reports.site.feeds import (
    WeeksByScope,
    build_badges,
    build_weekly_history,
    is_badge_path,
    weeks_of_all_scopes,
)
from dora_metrics.core.reports.site.page import build_page
from dora_metrics.pipeline.record import Publish
from dora_metrics.storage.base import Storage
from dora_metrics.templates import load_template

_SCRIPTS = (
    "data",
    "formatting",
    "elements",
    "selection",
    "weeks",
    "axes",
    "images",
    "charts",
    "tables",
    "numbers",
    "evidence",
    "overview",
    "page",
)
"""Our scripts, each after those that it uses."""

_LICENCES = ("chart.js", "kurkle-color", "chartjs-adapter-date-fns", "date-fns")
"""The libraries in the bundle of Chart.js."""


class Inlined(NamedTuple):
    """A style or script within the page, and the hash by which a browser accepts it."""

    text: Markup
    sha256: str


def page_html(results: Results, weeks: WeeksByScope | None = None) -> str:
    """Return the whole page; the weeks are computed unless they are given."""
    page = build_page(results, weeks_of_all_scopes(results) if weeks is None else weeks)
    style, library, script = _inlined(load_template("page/page.css")), _library(), _script()
    return render.html(
        load_template("page.html.j2"),
        page=page,
        is_of_clone=results.is_of_clone,
        is_of_shards=results.is_of_shards,
        unread_ledgers=results.unread_ledgers,
        definitions=metric_definitions(results.policy),
        style=style,
        library=library,
        script=script,
        policy=_content_security_policy(style, (library, script)),
        data=Markup(script_safe_json(msgspec.json.encode(page))),  # noqa: S704 - escaped for a script element
        licences=_licences(),
        version=__version__,
    )


def _content_security_policy(style: Inlined, scripts: Iterable[Inlined]) -> str:
    """Nothing is loaded from anywhere, and only the scripts of this page run."""
    hashes = " ".join(f"'sha256-{script.sha256}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'sha256-{style.sha256}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _inlined(text: str) -> Inlined:
    digest = hashlib.sha256(text.encode()).digest()
    return Inlined(Markup(text), base64.b64encode(digest).decode())  # noqa: S704 - our own, or a pinned library


def _script() -> Inlined:
    """Our scripts in one function, so that none of their names is global."""
    parts = "\n".join(load_template(f"page/{name}.js") for name in _SCRIPTS)
    return _inlined(f'(() => {{\n"use strict";\n\n{parts}}})();\n')


@cache
def _library() -> Inlined:
    """Chart.js with what it depends on; the copyright comments stay."""
    source = files("chartkick") / "django" / "static" / "chartkick" / "Chart.bundle.js"
    return _inlined(str(rjsmin.jsmin(source.read_text("utf-8"), keep_bang_comments=True)))


def _licences() -> list[str]:
    folder = files("chartkick") / "licenses"
    return [(folder / f"LICENSE-{name}.txt").read_text("utf-8").strip() for name in _LICENCES]


def site_publisher(*, with_page: bool) -> Publish:
    """Return what makes the site's changed files; none for storage that keeps nothing."""

    def publish(results: Results, storage: Storage, snapshot: Snapshot) -> Mapping[str, bytes]:
        if not storage.is_persistent:
            return {}
        return site_changes(site_files(results, with_page=with_page), _present_site(storage, snapshot))

    return publish


def _present_site(storage: Storage, snapshot: Snapshot) -> dict[str, str]:
    """Return the ids of the present files that runs write for the site. Whatever else is in its folder is a user's."""
    blob_ids = storage.blob_ids(snapshot, SITE_PATHS)
    return {path: blob_id for path, blob_id in blob_ids.items() if path in SITE_PATHS or is_badge_path(path)}


def site_files(results: Results, *, with_page: bool = True) -> dict[str, bytes]:
    """Return all files of the site by path."""
    weeks = weeks_of_all_scopes(results)
    site = {path: msgspec.json.encode(badge) + b"\n" for path, badge in build_badges(results).items()}
    site[NO_JEKYLL_FILE] = b"GitHub Pages serves this branch as it is.\n"
    site[HISTORY_FILE] = msgspec.json.encode(build_weekly_history(results, weeks)) + b"\n"
    site[EVIDENCE_FILE] = msgspec.json.encode(evidence_of(results.document)) + b"\n"
    if with_page:
        site[PAGE_FILE] = page_html(results, weeks).encode()
    return site

"""The page as one file: data, our style and script, and Chart.js, each allowed by its hash and nothing else.

What a ledger shows to people and other programs: made by the runs that read all of it.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import msgspec
import rjsmin  # type: ignore[import-untyped]
from markupsafe import Markup

from dora_metrics import __version__
from dora_metrics.core.ledger.layout import HISTORY_FILE, NO_JEKYLL_FILE, PAGE_FILE, SITE_PATHS, site_changes
from dora_metrics.core.metrics.comparison import Results
from dora_metrics.core.reports import render
from dora_metrics.core.reports.site.cards import metric_definitions
from dora_metrics.core.reports.site.evidence import script_safe_json
from dora_metrics.core.reports.site.feeds import WeeksByScope, build_badges, build_weekly_history, weeks_of_all_scopes
from dora_metrics.core.reports.site.page import build_page
from dora_metrics.pipeline.inputs import Inputs
from dora_metrics.pipeline.record import Publish
from dora_metrics.settings.model import Settings
from dora_metrics.storage.base import Snapshot, Storage
from dora_metrics.templates import load_template

_SCRIPTS = ("data", "words", "elements", "choice", "weeks", "axes", "tables", "charts", "numbers", "evidence", "page")
"""Ours, in the order in which they build on each other."""

_LICENCES = ("chart.js", "kurkle-color", "chartjs-adapter-date-fns", "date-fns")
"""What the bundle is made of."""


class Inlined(NamedTuple):
    """A style or script within the page. `sha256` is what lets a browser run it."""

    text: Markup
    sha256: str


def page_html(subject: Results, weeks: WeeksByScope | None = None) -> str:
    """The whole page; `weeks` where they are known already."""
    found = build_page(subject, weeks_of_all_scopes(subject) if weeks is None else weeks)
    style, library, script = _inlined(load_template("page/page.css")), _library(), _script()
    return render.html(
        load_template("page.html.j2"),
        page=found,
        definitions=metric_definitions(subject.policy),
        style=style,
        library=library,
        script=script,
        policy=_policy(style, (library, script)),
        data=Markup(script_safe_json(msgspec.json.encode(found))),  # noqa: S704 - `embedded` escapes for where it stands
        licences=_licences(),
        version=__version__,
    )


def _policy(style: Inlined, scripts: Iterable[Inlined]) -> str:
    """Nothing is loaded from anywhere, and nothing runs but what was put in here."""
    run = " ".join(f"'sha256-{one.sha256}'" for one in scripts)
    return (
        f"default-src 'none'; script-src {run}; style-src 'sha256-{style.sha256}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _inlined(text: str) -> Inlined:
    digest = hashlib.sha256(text.encode()).digest()
    return Inlined(Markup(text), base64.b64encode(digest).decode())  # noqa: S704 - ours, or a pinned library's


def _script() -> Inlined:
    """All of ours, which leave no names behind for others."""
    parts = "\n".join(load_template(f"page/{name}.js") for name in _SCRIPTS)
    return _inlined(f'(() => {{\n"use strict";\n\n{parts}}})();\n')


@cache
def _library() -> Inlined:
    """Chart.js with all that it needs; its copyright stays in it."""
    source = files("chartkick") / "django" / "static" / "chartkick" / "Chart.bundle.js"
    return _inlined(str(rjsmin.jsmin(source.read_text("utf-8"), keep_bang_comments=True)))


def _licences() -> list[str]:
    folder = files("chartkick") / "licenses"
    return [(folder / f"LICENSE-{name}.txt").read_text("utf-8").strip() for name in _LICENCES]


def site_publisher(settings: Settings) -> Publish:
    """What a run publishes that has read everything."""

    def publish(subject: Results, ledger: Storage, seen: Snapshot) -> Mapping[str, bytes]:
        """As far as it differs from what is there; nothing where nothing is kept."""
        if not ledger.is_persistent:
            return {}
        return site_changes(site_files(subject, with_page=settings.page), ledger.blob_ids(seen, SITE_PATHS))

    return publish


def site_files(subject: Results, *, with_page: bool = True) -> dict[str, bytes]:
    """All files by path."""
    weeks = weeks_of_all_scopes(subject)
    found = {path: msgspec.json.encode(badge) + b"\n" for path, badge in build_badges(subject).items()}
    found[NO_JEKYLL_FILE] = b"GitHub Pages serves this branch as it is.\n"
    found[HISTORY_FILE] = msgspec.json.encode(build_weekly_history(subject, weeks)) + b"\n"
    if with_page:
        found[PAGE_FILE] = page_html(subject, weeks).encode()
    return found


def page_path(saved: Snapshot, given: Inputs) -> str:
    """Where later steps find the page that was written: in the ledger's folder, else a copy of it for them.

    Empty where none was written, or where a runner has no place for a copy.
    """
    content = saved.files.get(PAGE_FILE)
    kind, _, place = given.settings.ledger.partition(":")
    if content is None:
        return ""
    if kind == "dir":
        return str((given.workspace / place / PAGE_FILE).resolve())
    return _copied(content, given.temporary) if given.temporary else ""


def _copied(content: bytes, temporary: Path) -> str:
    path = temporary / "dora-metrics" / PAGE_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError:
        return ""
    return str(path)

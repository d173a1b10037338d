"""Which security alerts are read, and the notes about alerts that GitHub does not return."""

from datetime import UTC, datetime, timedelta

import pytest

from dora_metrics.core.cursors import Cursor, decode_cursors, encode_cursors
from dora_metrics.core.selection import alert_notes, selected_alert_kinds

DAY = datetime(2026, 11, 14, tzinfo=UTC)
FORBIDDEN = Cursor(refused="403, Resource not accessible by integration", refused_at=DAY)


@pytest.mark.parametrize(
    ("asked", "kinds"),
    [
        (("auto",), ("dependabot",)),
        (("secret-scanning", "auto"), ("dependabot", "secret-scanning")),
        (("secret-scanning",), ("secret-scanning",)),
        (("none",), ()),
        (("none", "dependabot"), ("dependabot",)),
        ((), ()),
    ],
)
def test_auto_is_the_kind_that_needs_nothing_to_be_set_up(asked: tuple[str, ...], kinds: tuple[str, ...]) -> None:
    assert selected_alert_kinds(asked) == kinds


def test_what_was_refused_is_unknown_and_the_note_says_why_and_what_it_needs() -> None:
    (note,) = alert_notes({"acme/shop": {"dependabot": FORBIDDEN, "code-scanning": Cursor()}}, ("auto",))
    assert note == (
        "Dependabot alerts of acme/shop are unknown, which does not mean zero: GitHub answered 403, Resource not "
        "accessible by integration. They may be switched off there; otherwise the job needs `permissions: "
        "vulnerability-alerts: read`, or an app `Dependabot alerts: read`."
    )


def test_what_was_known_before_a_refusal_is_dated() -> None:
    known = Cursor(newest=DAY, read_at=DAY, refused="404, not found", refused_at=DAY + timedelta(days=40))
    (note,) = alert_notes({"acme/shop": {"code-scanning": known}}, ("code-scanning",))
    assert note.startswith("Code scanning alerts of acme/shop are unknown")
    assert note.endswith("The alerts shown are as of 2026-11-14.")


def test_what_was_never_read_to_the_end_is_no_date_but_not_all() -> None:
    begun = Cursor(newest=DAY, after="place", refused="404, not found", refused_at=DAY)
    (note,) = alert_notes({"acme/shop": {"dependabot": begun}}, ("auto",))
    assert note.endswith("The alerts shown are incomplete: they were never read to the end.")


def test_repositories_with_the_same_answer_share_a_note() -> None:
    many = {f"a/{number}": {"secret-scanning": FORBIDDEN} for number in range(8)}
    (note,) = alert_notes(many, ("secret-scanning",))
    assert note.startswith("Secret scanning alerts of a/0, a/1, a/2, a/3, a/4 and 3 more repositories are")


def test_what_is_not_wanted_or_was_told_has_no_note() -> None:
    assert alert_notes({"acme/shop": {"dependabot": FORBIDDEN}}, ("none",)) == []
    assert alert_notes({"acme/shop": {"dependabot": Cursor(unread=("1",), unread_because="x")}}, ("none",)) == []
    assert alert_notes({"acme/shop": {"dependabot": Cursor(newest=DAY)}}, ("auto",)) == []
    assert alert_notes({}, ("auto",)) == []


def test_those_that_cannot_be_read_are_counted_for_each_repository_and_kind() -> None:
    odd = Cursor(newest=DAY, unread=("1", "12"), unread_because="created_at: expected a time")
    assert alert_notes({"acme/web": {"dependabot": odd}, "acme/shop": {"dependabot": odd}}, ("auto",)) == [
        f"2 of the Dependabot alerts of {name} cannot be read (created_at: expected a time) and are not counted."
        for name in ("acme/shop", "acme/web")
    ]


def test_those_that_the_setting_no_longer_reads_are_dated() -> None:
    cursors = {
        "acme/shop": {"dependabot": Cursor(newest=DAY, read_at=DAY), "code-scanning": Cursor()},
        "acme/web": {"dependabot": Cursor(newest=DAY, read_at=DAY + timedelta(days=2))},
    }
    assert alert_notes(cursors, ("none",)) == [
        "Dependabot alerts of acme/shop, acme/web are as of 2026-11-14, because `security` is `none`."
    ]
    (note,) = alert_notes(cursors, ("code-scanning", "secret-scanning"))
    assert note.endswith("because `security` is `code-scanning, secret-scanning`.")
    assert alert_notes(cursors, ("auto",)) == []


def test_a_refusal_is_kept_with_how_far_was_read() -> None:
    cursors = {"acme/shop": {"dependabot": FORBIDDEN}}
    assert decode_cursors(encode_cursors(cursors), DAY) == cursors
    assert decode_cursors(b"{", DAY) == decode_cursors(b'{"acme/shop": {"dependabot": {"refused": 5}}}', DAY) == {}

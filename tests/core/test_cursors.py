"""Sync cursors as the ledger keeps them."""

from dora_metrics.core.cursors import NEWS, Cursor, decode_cursors, differs_only_in_newest, encode_cursors
from support.github_history import NOW

PULLS = Cursor(newest=NOW, reached=NOW)


def test_what_the_next_sync_can_find_again_is_no_reason_to_write() -> None:
    before = encode_cursors({"acme/shop": {"pulls": PULLS}})
    with_news = encode_cursors({"acme/shop": {"pulls": PULLS, NEWS: Cursor(reached=NOW, open=("digest",))}})
    assert differs_only_in_newest(before, with_news)
    assert not differs_only_in_newest(before, encode_cursors({"acme/shop": {"pulls": Cursor(newest=NOW)}}))


def test_a_kind_of_another_version_is_kept() -> None:
    cursors = {"acme/shop": {"pulls": PULLS, "kind of the future": Cursor(open=("something",))}}
    assert decode_cursors(encode_cursors(cursors), NOW) == cursors

"""How the effects of a run read in its summary."""

from dora_metrics.core.outcome import Outcome


def test_what_was_done_or_failed_has_a_symbol_and_what_was_not_tried_has_none() -> None:
    assert Outcome("ledger", "done", "+7 facts").text == "ledger ✓ +7 facts"
    assert Outcome("Pushgateway", "done").text == "Pushgateway ✓"
    assert Outcome("endpoint", "failed", "timed out").text == "endpoint ✗ timed out"
    assert Outcome("sync", "skipped", "it needs a token").text == "sync: it needs a token"
    assert Outcome("report", "skipped").text == "report: skipped"

"""The command that records a fact again: for which GitHub it is, and what it may hold."""

import json
import shlex

from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core.reports.unrecorded import UnrecordedFacts, dispatch_command

URL = "https://github.com/acme/shop"


@given(st.text())
def test_any_text_in_it_stays_one_quoted_word_on_one_line(text: str) -> None:
    command = dispatch_command(URL, {"client_payload": {"title": text}})
    assert command is not None
    assert command.isascii()
    assert command.isprintable()
    assert not set("`<>&") & set(command)
    printf, form, word, *others = shlex.split(command)
    assert (printf, form, others) == ("printf", "%s", ["|", "gh", "api", "repos/acme/shop/dispatches", "--input", "-"])
    assert json.loads(word) == {"client_payload": {"title": text}}


def test_it_names_an_enterprise_server_and_no_repository_that_a_shell_could_misread() -> None:
    assert "gh api --hostname git.acme.example repos/acme/shop/" in str(
        dispatch_command("https://git.acme.example/acme/shop", {})
    )
    assert "| GH_HOST=git.acme.example:8443 gh api repos/acme/shop/" in str(
        dispatch_command("https://git.acme.example:8443/acme/shop", {})
    )
    for url in (
        "https://github.com/acme/$(id)",
        "https://ghe:$(id)/acme/shop",
        "https://ghe:1;id/acme/shop",
        "https://github.com/acme/shop;id",
        "",
        "acme/shop",
    ):
        assert "gh api repos/OWNER/NAME/dispatches" in str(dispatch_command(url, {}))


def test_what_would_be_too_long_to_paste_is_only_in_the_file() -> None:
    assert dispatch_command(URL, {"client_payload": "x" * 20_000}) is None


def test_it_is_said_how_many_facts_are_where() -> None:
    assert UnrecordedFacts(1).text == "1 fact of this run is not in the ledger"
    kept = UnrecordedFacts(2, "/tmp/facts.jsonl")
    assert kept.text == "2 facts of this run are not in the ledger; /tmp/facts.jsonl has them"

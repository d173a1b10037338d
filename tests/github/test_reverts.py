"""DEFINITIONS §3, rule `revert`: only a statement counts, a whole line outside quotations, code and comments."""

import pytest

from dora_metrics.github.reverts import reverts_field, stated_reverts

PULL = "github:pull:acme/shop#{}".format
ONE, TWO = "1f" * 20, "2e" * 20
OWN_URL = "https://git.acme.example/acme/shop/pull/99"


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("Reverts #12", (PULL(12),)),
        ("reverts #12.", (PULL(12),)),
        ("  Reverts acme/shop#12  ", (PULL(12),)),
        ("Reverts ACME/Shop#12", (PULL(12),)),
        ("Reverts acme/till#12", ("github:pull:acme/till#12",)),
        ("- Reverts #12", (PULL(12),)),
        ("This reverts pull request #12.", (PULL(12),)),
        ("Reverts https://github.com/acme/shop/pull/12", (PULL(12),)),
        ("Reverts <https://github.com/Acme/Shop/pull/12#issuecomment-5>", (PULL(12),)),
        ("Reverts #12 <!-- written by a button -->", (PULL(12),)),
        ("Reverts #12, #13 and acme/till#14", (PULL(12), PULL(13), "github:pull:acme/till#14")),
        ("Reverts #12 & #12", (PULL(12),)),
        (f"This reverts commit {ONE}.", (ONE,)),
        (f"This reverts commit {ONE}, reversing", (ONE,)),
        (f"This reverts commit {ONE}, reversing changes made to {TWO}.", (ONE,)),
        (f"This reverts commits {ONE} and {TWO}.", (ONE, TWO)),
        (f"This reverts commit {ONE[:9]} (Add a cart (#8), 2026-11-20).", (ONE[:9],)),
    ],
)
def test_a_line_that_is_a_statement(line: str, names: tuple[str, ...]) -> None:
    assert stated_reverts("acme/shop", line) == names
    assert stated_reverts("acme/shop", f"It broke the till.\r\n\r\n{line}\r\n\r\nSorry!") == names


@pytest.mark.parametrize(
    "text",
    [
        "> Reverts #12",
        "  >Reverts #12",
        "> > Reverts #12",
        "    Reverts #12",
        "\tReverts #12",
        "`Reverts #12`",
        "```\nReverts #12\n```",
        "~~~text\nReverts #12\n```\nReverts #13\n~~~",
        "```\nReverts #12",
        "<!-- Reverts #12 -->",
        "<!--\nReverts #12\n-->",
        "<!--\n```\nReverts #12\n```\n-->",
        "<!-- Reverts #12",
        "<pre>\nReverts #12\n</pre>",
        "<blockquote>\n\nReverts #12\n\n</blockquote>",
        '"Reverts #12"',
        "The bot wrote: Reverts #12",
        "Partly reverts #12",
        "Reverts #12 because it broke the till",
        "Reverts #12 and",
        "Reverts the cart",
        "Reverts",
        "Reverts #",
        "Reverts # 12",
        "Reverts 12",
        "Reverts acme/shop",
        "Reverts https://gitlab.com/acme/shop/pull/12",
        "Reverts https://github.com/acme/shop/issues/12",
        "Reverts #" + "1" * 19,
        "Reverts" + " #12" * 5000,
        "Reverts " + "(" * 60_000,
        "Reverts " + "<!---->" * 200_000,
        f"This commit reverts nothing of {ONE}",
        "This reverts commit abc.",
        "",
        None,
    ],
)
def test_a_text_that_states_no_revert(text: str | None) -> None:
    assert stated_reverts("acme/shop", text) == ()


def test_what_follows_a_quotation_code_or_a_comment_counts() -> None:
    for before in ("> Reverts #1", "```\nReverts #1\n```", "<!--\n```\nReverts #1\n-->", "<pre>Reverts #1\n</pre>"):
        assert stated_reverts("acme/shop", f"{before}\nReverts #2") == (PULL(2),)


def test_several_lines_are_kept_in_their_order() -> None:
    assert stated_reverts("acme/shop", f"Reverts #13\nReverts #12\n\nThis reverts commit {ONE}.\nReverts #13") == (
        PULL(13),
        PULL(12),
        ONE,
    )


def test_an_address_counts_on_the_host_of_the_change_itself() -> None:
    own, other = "https://git.acme.example/acme/shop/pull/12", "https://github.com/acme/shop/pull/12"
    assert stated_reverts("acme/shop", f"Reverts {own}", OWN_URL) == (PULL(12),)
    assert stated_reverts("acme/shop", f"Reverts {other}", OWN_URL) == ()


def test_a_fact_has_a_text_for_one_and_a_list_for_several_and_no_short_sha() -> None:
    assert reverts_field("acme/shop", "Reverts #12") == PULL(12)
    assert reverts_field("acme/shop", "Reverts #12\nReverts #13") == (PULL(12), PULL(13))
    assert reverts_field("acme/shop", f"This reverts commit {ONE[:9]}.\nReverts #12") == PULL(12)
    assert reverts_field("acme/shop", "Adds a cart") is None


def test_of_very_many_names_a_hundred_are_kept() -> None:
    body = "\n".join(f"Reverts #{number}" for number in range(1, 500))
    assert len(stated_reverts("acme/shop", body)) == 100

"""Each claim of SECURITY.md has a test that exists."""

import re

import pytest

from support.paths import ROOT

CLAIMS = re.findall(r"^\| (.+?) \| `(tests/[^`]+)` \|$", (ROOT / "SECURITY.md").read_text("utf-8"), re.MULTILINE)


def test_there_are_claims() -> None:
    assert len(CLAIMS) > 30


@pytest.mark.parametrize(("claim", "test"), CLAIMS)
def test_a_claim_has_a_test(claim: str, test: str) -> None:
    path, *names = test.split("::")
    text = (ROOT / path).read_text("utf-8")
    assert all(re.search(rf"^ *(?:def|class) {name}\b", text, re.MULTILINE) for name in names or ["test_\\w+"]), claim

"""The next page in a header `Link`, as RFC 8288 allows it to be written."""

import pytest

from dora_metrics.sources.incidents.api import IncidentSystemError
from dora_metrics.sources.incidents.links import address_of_relation

ADDRESS = "https://pager.example.com/api?page=2"


@pytest.mark.parametrize(
    "header",
    [
        f'<{ADDRESS}>; rel="next"',
        f"<{ADDRESS}>; rel=next",
        f"<{ADDRESS}>; rel='next'",
        f'<{ADDRESS}>; REL="NEXT"',
        f'<{ADDRESS}>; rel="prev next"',
        f'<{ADDRESS}>;title="a, b; c";rel="next"',
        f'<{ADDRESS}>; title="{"x" * 900}"; rel="next"',
        f'<https://pager.example.com/api?page=1>; rel="prev", <{ADDRESS}>; rel="next"',
        f'<a b>; rel="help", <{ADDRESS}>; rel="next"',
    ],
)
def test_the_next_page_is_there_however_it_is_written(header: str) -> None:
    assert address_of_relation(header, "next") == ADDRESS


def test_a_long_address_is_one() -> None:
    address = f"{ADDRESS}&cursor={'x' * 3_000}"
    assert address_of_relation(f'<{address}>; rel="next"', "next") == address


@pytest.mark.parametrize(
    "header", ["", f'<{ADDRESS}>; rel="prev"', f'<{ADDRESS}>; rel="next"; results="false"', f"<{ADDRESS}>", "next"]
)
def test_without_the_relation_there_is_no_next_page(header: str) -> None:
    assert address_of_relation(header, "next") is None


@pytest.mark.parametrize(
    "header",
    ['<a b>; rel="next"', '<>; rel="next"', f'<{"x" * 9_000}>; rel="next"', f'<{ADDRESS}>; title="{"x" * 30_000}"'],
)
def test_an_address_that_cannot_be_asked_for_is_unread_and_not_the_end(header: str) -> None:
    with pytest.raises(IncidentSystemError):
        address_of_relation(header, "next")

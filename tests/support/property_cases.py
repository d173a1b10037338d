"""How many cases a property tries: few in each run, many in the nightly one (`make deep`)."""

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import settings

T = TypeVar("T")

QUICK, MUTANTS, DEEP = "quick", "mutants", "deep"
FACTORS = {QUICK: 1, MUTANTS: 4, DEEP: 20}
_QUICK_EXAMPLES = 40


def register_profiles() -> None:
    """Without a deadline, since a busy machine is no failure. In CI, all but `deep` try the same cases in each run."""
    current = settings.get_profile(settings.get_current_profile_name())
    for name, factor in FACTORS.items():
        settings.register_profile(name, current, max_examples=_QUICK_EXAMPLES * factor, deadline=None)
    settings.register_profile(DEEP, settings.get_profile(DEEP), derandomize=False, print_blob=True)
    settings.load_profile(QUICK)


def cases(quick: int) -> int:
    """Cases of a property that needs another number than most, or of a history that is made from a seed."""
    return quick * FACTORS.get(settings.get_current_profile_name(), 1)


def some(items: Sequence[T], of_each: int, first: int = 0) -> Sequence[T]:
    """One item of each so many, beginning with the `first`; all in the nightly run."""
    return items[first % of_each :: of_each] if cases(1) == 1 else items

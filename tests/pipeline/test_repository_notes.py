"""Notes on many repositories: each text once."""

from dora_metrics.pipeline.repository_notes import joined_notes
from fakes.faults import custom_answer
from support.organisation import Organisation


def test_the_same_note_on_many_repositories_is_shown_once_and_names_some() -> None:
    notes = [(f"acme/{number}", f"acme/{number} has no commits.") for number in range(2_490)]
    (note,) = joined_notes(notes)
    others = "acme/1, acme/2, acme/3, acme/4, acme/5 and 2,484 more"
    assert note == f"acme/0 has no commits. The same applies to {others}."


def test_few_repositories_have_a_note_each_in_the_order_of_their_texts() -> None:
    notes = [("a/1", "a/1 is empty."), ("a/1", "Runs of a/1 are unread."), ("a/2", "a/2 is empty."), ("a/3", "Odd.")]
    assert joined_notes(notes) == ("a/1 is empty.", "a/2 is empty.", "Runs of a/1 are unread.", "Odd.")


def test_a_note_that_names_no_repository_is_shown_once() -> None:
    assert joined_notes([(f"a/{number}", "The token sees no runs.") for number in range(9)]) == (
        "The token sees no runs.",
    )


def test_the_summary_of_a_sync_does_not_grow_with_empty_repositories(acme: Organisation) -> None:
    acme.github.fail(custom_answer(403, {"message": "Resource not accessible"}), to="News", times=None)
    lengths = []
    for first in (0, 10):
        for number in range(first, first + 10):
            acme.github.repository(f"acme/empty-{number}", empty=True)
        lengths.append(len(acme.sync().summary))
    assert lengths[1] - lengths[0] < 100

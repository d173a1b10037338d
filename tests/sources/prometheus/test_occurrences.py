"""From samples to the times that an alert fired: where one ends and the next one begins."""

from collections.abc import Callable, Iterable

from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.sources.prometheus.occurrences import AlertSamples, Firing, FiringHistory, Pause

MINUTE = 60_000
INTERVAL = 15_000
LABELS = {"alertname": "ShopDown"}
NAME = "c59d274570a8a903"

Answer = Callable[[str, int], bool | None]


def says(*, is_firing: bool | None) -> Answer:
    return lambda _fingerprint, _time_ms: is_firing


def history(
    *, is_firing: bool | None = None, recorded: bool | None = None, interval_ms: int | None = INTERVAL
) -> FiringHistory:
    """A history whose pauses are answered like this, by Prometheus and by the ledger."""
    return FiringHistory(says(is_firing=is_firing), lambda _pause: recorded, lambda _name: interval_ms)


def samples(*times_ms: int, name: str = NAME) -> AlertSamples:
    return AlertSamples(name, LABELS, times_ms)


def every(first_ms: int, last_ms: int, interval_ms: int = INTERVAL) -> range:
    return range(first_ms, last_ms + 1, interval_ms)


def spans(firings: Iterable[Firing]) -> list[tuple[int, int | None]]:
    return sorted((firing.first_ms, firing.end_ms) for firing in firings)


def test_consecutive_samples_are_one_occurrence_that_ends_at_the_next_evaluation() -> None:
    read = history()
    read.add([samples(*every(MINUTE, 5 * MINUTE))])
    assert spans(read.firings(60 * MINUTE, says(is_firing=False))) == [(MINUTE, 5 * MINUTE + INTERVAL)]


def test_one_that_still_fires_has_no_end() -> None:
    read = history()
    read.add([samples(*every(MINUTE, 5 * MINUTE))])
    assert spans(read.firings(5 * MINUTE + INTERVAL, says(is_firing=True))) == [(MINUTE, None)]


def test_one_that_has_just_ended_has_its_end_at_once() -> None:
    read = history()
    read.add([samples(*every(MINUTE, 5 * MINUTE))])
    assert spans(read.firings(5 * MINUTE + INTERVAL, says(is_firing=False))) == [(MINUTE, 5 * MINUTE + INTERVAL)]


def test_without_an_answer_it_has_ended_only_after_the_longest_outage() -> None:
    read = history()
    read.add([samples(*every(MINUTE, 5 * MINUTE))])
    longest = 5 * MINUTE + 2 * INTERVAL
    assert spans(read.firings(5 * MINUTE + longest, says(is_firing=None))) == [(MINUTE, None)]
    assert spans(read.firings(5 * MINUTE + longest + 1, says(is_firing=None))) == [(MINUTE, 5 * MINUTE + INTERVAL)]


def test_samples_of_the_next_day_continue_an_occurrence() -> None:
    read = history()
    for day in range(40):
        read.add([samples(*every(day * 1_440 * MINUTE, (day + 1) * 1_440 * MINUTE - INTERVAL))])
    assert spans(read.firings(40 * 1_440 * MINUTE, says(is_firing=True))) == [(0, None)]


def test_a_sample_at_the_border_of_two_ranges_counts_once() -> None:
    read = history()
    read.add([samples(0, INTERVAL)])
    read.add([samples(INTERVAL, 2 * INTERVAL)])
    assert spans(read.firings(60 * MINUTE, says(is_firing=False))) == [(0, 3 * INTERVAL)]


def test_samples_are_missing_during_a_restart() -> None:
    """Nothing was evaluated for five minutes, so nothing says that the alert had ended."""
    read = history(is_firing=True)
    read.add([samples(*every(0, MINUTE), *every(6 * MINUTE + INTERVAL, 8 * MINUTE))])
    assert spans(read.firings(60 * MINUTE, says(is_firing=False))) == [(0, 8 * MINUTE + INTERVAL)]


def test_an_alert_that_ended_and_fires_again_occurs_twice() -> None:
    read = history(is_firing=False)
    read.add([samples(*every(0, MINUTE), *every(MINUTE + 2 * INTERVAL, 3 * MINUTE))])
    found = spans(read.firings(60 * MINUTE, says(is_firing=False)))
    assert found == [(0, MINUTE + INTERVAL), (MINUTE + 2 * INTERVAL, 3 * MINUTE + INTERVAL)]


def test_prometheus_is_asked_about_a_time_at_which_it_knows() -> None:
    asked: list[int] = []

    def is_firing(_fingerprint: str, time_ms: int) -> bool:
        asked.append(time_ms)
        return True

    read = FiringHistory(is_firing, lambda _pause: None, lambda _name: INTERVAL)
    read.add([samples(0, INTERVAL, 3 * INTERVAL, 10 * INTERVAL)])
    assert asked == [3 * INTERVAL - 1, 5 * INTERVAL + 1_000]


def test_without_an_answer_missing_samples_are_an_outage_if_they_are_few() -> None:
    read = history(is_firing=None)
    longest = 5 * MINUTE + 2 * INTERVAL
    read.add([samples(0, INTERVAL, INTERVAL + longest, 2 * (INTERVAL + longest) + 1)])
    assert [begin for begin, _ in spans(read.firings(600 * MINUTE, says(is_firing=False)))] == [
        0,
        2 * (INTERVAL + longest) + 1,
    ]


def test_after_the_longest_outage_prometheus_is_not_asked() -> None:
    read = history(is_firing=True)
    read.add([samples(0, INTERVAL, 20 * MINUTE)])
    assert len(list(read.firings(60 * MINUTE, says(is_firing=False)))) == 2


def test_what_is_recorded_decides_before_prometheus_is_asked() -> None:
    pauses: list[Pause] = []

    def continues(pause: Pause) -> bool:
        pauses.append(pause)
        return False

    read = FiringHistory(says(is_firing=True), continues, lambda _name: INTERVAL)
    read.add([samples(0, INTERVAL, 4 * INTERVAL)])
    assert pauses == [Pause(NAME, INTERVAL, 4 * INTERVAL)]
    assert len(list(read.firings(60 * MINUTE, says(is_firing=False)))) == 2


def test_a_recorded_occurrence_that_has_both_sides_goes_on() -> None:
    read = history(is_firing=False, recorded=True)
    read.add([samples(0, INTERVAL, 20 * MINUTE)])
    assert len(list(read.firings(60 * MINUTE, says(is_firing=False)))) == 1


def test_without_the_rule_the_interval_is_the_shortest_that_is_seen_twice() -> None:
    read = history(interval_ms=None)
    read.add([samples(0, 30_000, 60_000, 95_000, 125_000)])
    assert spans(read.firings(60 * MINUTE, says(is_firing=False))) == [(0, 155_000)]


def test_without_the_rule_a_single_sample_lasts_for_prometheus_own_interval() -> None:
    read = history(interval_ms=None)
    read.add([samples(0)])
    assert spans(read.firings(60 * MINUTE, says(is_firing=False))) == [(0, MINUTE)]


def test_alerts_of_one_rule_share_their_interval() -> None:
    read = history(interval_ms=None)
    read.add([samples(*every(0, 5 * MINUTE)), samples(MINUTE, name="00000000000000ff")])
    assert (MINUTE, MINUTE + INTERVAL) in spans(read.firings(60 * MINUTE, says(is_firing=False)))


def test_a_rule_that_is_evaluated_more_often_than_it_was_is_read_by_its_samples() -> None:
    read = history(is_firing=True, interval_ms=5 * MINUTE)
    read.add([samples(*every(0, 5 * MINUTE))])
    assert spans(read.firings(60 * MINUTE, says(is_firing=False))) == [(0, 5 * MINUTE + INTERVAL)]


RUNS = st.lists(st.tuples(st.integers(1, 30), st.integers(2, 40)), min_size=1, max_size=8)
"""Occurrences: how many samples each has, and how many evaluations later the next one begins."""


@given(RUNS, st.integers(1, 50))
def test_any_occurrences_are_found_however_the_time_is_cut(runs: list[tuple[int, int]], cut: int) -> None:
    """Prometheus knows all ends, as it does unless it was restarted."""
    expected, times, position = [], [], 0
    for count, pause in runs:
        times += [(position + index) * INTERVAL for index in range(count)]
        expected.append((position * INTERVAL, (position + count) * INTERVAL))
        position += count - 1 + pause
    present = set(times)

    def is_firing(_fingerprint: str, time_ms: int) -> bool:
        return time_ms // INTERVAL * INTERVAL in present

    read = FiringHistory(is_firing, lambda _pause: None, lambda _name: INTERVAL)
    for start in range(0, len(times), cut):
        read.add([samples(*times[start : start + cut])])
    assert spans(read.firings(position * INTERVAL + 60 * MINUTE, is_firing)) == expected

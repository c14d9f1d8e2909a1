"""Windows lose detail in steps, the oldest first, and only among their own kind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.retention import LEVELS_S, Held, to_merge

QUARTER_S = 900.0


def day_of_windows(group: str = "a") -> list[Held]:
    return [Held(key, group, key * QUARTER_S) for key in range(96)]


def test_the_oldest_hour_goes_first():
    assert to_merge(reversed(day_of_windows())) == (0, 1, 2, 3)


def test_hours_become_quarters_of_a_day_and_those_a_day():
    hours = [Held(key, "a", key * LEVELS_S[0]) for key in range(24)]
    assert to_merge(hours) == (0, 1, 2, 3, 4, 5)
    quarters = [Held(key, "a", key * LEVELS_S[1]) for key in range(4)]
    assert to_merge(quarters) == (0, 1, 2, 3)


def test_days_and_windows_of_different_models_are_kept_apart():
    assert to_merge([Held(0, "a", 0.0), Held(1, "a", LEVELS_S[2]), Held(2, "b", 0.0)]) == ()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1e6)), max_size=40))
def test_merging_ends_with_one_window_for_each_group_and_day(windows):
    held = [Held(key, group, start) for key, (group, start) in enumerate(windows)]
    while keys := to_merge(held):
        merged = [window for window in held if window.key in keys]
        assert len({window.group for window in merged}) == 1
        held = [window for window in held if window.key not in keys]
        held.append(min(merged, key=lambda window: window.start))

    places = [(window.group, window.start // LEVELS_S[2]) for window in held]
    assert len(places) == len(set(places)) == len({(g, s // LEVELS_S[2]) for g, s in windows})

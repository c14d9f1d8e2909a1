"""The table of a deployment's life, walked whole."""

from __future__ import annotations

import itertools

import pytest

from edge_contracts.errors import IllegalTransition
from edge_contracts.lifecycle import ABORTABLE, AFTER_SWITCH, ENDED, TRANSITIONS, Event, State, diagram, next_state


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_pair_moves_as_the_table_says_or_is_refused(state, event):
    if (state, event) in TRANSITIONS:
        assert next_state(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(IllegalTransition, match=state.value):
            next_state(state, event)


def test_from_every_state_there_is_a_way_to_the_end():
    home = set(ENDED)
    while grown := {a for (a, _), b in TRANSITIONS.items() if b in home} - home:
        home |= grown
    assert home == set(State)


def test_every_state_is_reached_from_idle():
    seen = {State.IDLE}
    while grown := {b for (a, _), b in TRANSITIONS.items() if a in seen} - seen:
        seen |= grown
    assert seen == set(State)


def test_abort_after_the_switch_rolls_back_and_is_refused_once_committing():
    for state in AFTER_SWITCH & ABORTABLE:
        assert next_state(state, Event.ABORT) is State.ROLLING_BACK
    assert State.COMMITTING not in ABORTABLE


def test_the_diagram_shows_every_transition():
    text = diagram()
    for (before, event), after in TRANSITIONS.items():
        assert f"{before.name} --> {after.name}: {event.value}" in text

"""What the updater does first when its process starts: journal, slots and workers agree again, and a model answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from edge_agent.core import slots as slot
from edge_agent.core.ledger import Ledger
from edge_agent.core.loading import Loader, Unloadable
from edge_agent.core.storage import StorageFailed
from edge_agent.core.switching import Switch
from edge_agent.core.updating import Move, UpdateSettings
from edge_contracts.lifecycle import AFTER_SWITCH, Event, State
from edge_contracts.reasons import Reason

log = logging.getLogger(__name__)


def recover(
    ledger: Ledger, loader: Loader, switch: Switch, settings: UpdateSettings, act: Callable[[], object]
) -> None:
    """Go on from any state that a killed process left. `act` does the action of the state.

    Raises:
        StorageFailed: the disk cannot be read or written; call again.
    """
    ledger.load()
    _reconcile(ledger)
    ledger.report()
    if ledger.standing.state in _GIVEN_UP:
        _resume(ledger, switch, settings)
    while ledger.standing.state in {State.ACTIVATING, State.COMMITTING, State.ROLLING_BACK}:
        act()
    if loader.serving.active() is None:
        _load(ledger, loader, settings)


_GIVEN_UP: Final[dict[State, tuple[Event, Reason]]] = {
    State.VERIFYING: (Event.FAIL, Reason.MODEL_UNLOADABLE),
    State.STAGED: (Event.FAIL, Reason.MODEL_UNLOADABLE),
    State.ACTIVATING: (Event.UNDO, Reason.PROBATION_CRASHES),
    State.PROBATION: (Event.UNDO, Reason.PROBATION_CRASHES),
}
"""States in which the candidate may take down the process or the whole device, and how they end when it has too often:
otherwise a device would start, try it and go down for ever."""


def _reconcile(ledger: Ledger) -> None:
    """Where the journal was lost and the slots were not, what was committed wins."""
    slots = ledger.slots
    if ledger.standing.state not in AFTER_SWITCH and slots.good is not None and slots.active != slots.good:
        ledger.write(slot.rolled_back(slots))


def _resume(ledger: Ledger, switch: Switch, settings: UpdateSettings) -> None:
    """The process ended while the candidate was at work, perhaps because of it: count it before it starts."""
    ledger.note(tries=ledger.standing.tries + 1)
    tries = ledger.standing.tries
    if tries > settings.max_tries:
        event, reason = _GIVEN_UP[ledger.standing.state]
        ledger.move(Move(event, reason, f"the agent was started {tries} times on it"))
    elif ledger.standing.state is State.PROBATION and (undo := switch.resume()):
        ledger.move(undo)


def _load(ledger: Ledger, loader: Loader, settings: UpdateSettings) -> None:
    """Serve the first slot that loads. The count of starts is raised before and cleared after, so that a model which
    takes the whole process down is passed over in the end."""
    if ledger.slots.active is None:
        return
    _count_starts(ledger, ledger.slots.starts + 1)
    ledger.lost = True
    for digest in slot.loading_order(ledger.slots, settings.max_starts):
        try:
            loader.restore(digest)
        except Unloadable as error:
            log.error("release %s cannot be loaded: %s", digest, error)
            continue
        ledger.lost = False
        if digest != ledger.slots.active:
            ledger.write(slot.fallen_back(ledger.slots, digest))
        break
    # Cleared when none loads, too: in safe mode the process lives, and the next start may try them all again.
    _count_starts(ledger, 0)


def _count_starts(ledger: Ledger, starts: int) -> None:
    """A full disk must not keep a good model from answering: then the start goes uncounted."""
    try:
        ledger.write(ledger.slots.model_copy(update={"starts": starts}))
    except StorageFailed as error:
        log.error("%s; %s", error, error.hint)

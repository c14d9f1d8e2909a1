"""What the updater knows for certain: standing and slots. A change counts once it is durable, and is then reported."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from edge_agent.core.slots import Slots
from edge_agent.core.storage import Journal, SlotStore
from edge_agent.core.updating import Move, Standing, Transition, advance, end_of
from edge_agent.ports import Reports
from edge_contracts.lifecycle import OUTCOMES, Event, Outcome, State
from edge_contracts.reasons import REASONS

log = logging.getLogger(__name__)


class Ledger:
    """The standing and the slots in memory, equal to those on disk at every moment. Used by one thread."""

    def __init__(self, journal: Journal, slots: SlotStore, reports: Reports, clock: Callable[[], datetime]) -> None:
        self._journal = journal
        self._slot_store = slots
        self._reports = reports
        self._clock = clock
        self.standing = Standing()
        self.slots = Slots()
        self.lost = False
        """There was a model and none could be loaded."""

    def load(self) -> None:
        """Read both from disk. Raises StorageFailed."""
        self.slots = self._slot_store.read()
        self.standing = self._journal.standing()

    def now(self) -> datetime:
        """The time, never before what signed metadata has proved: a clock set back makes nothing expired valid."""
        return max(self._clock(), self.slots.time_floor)

    def move(self, *moves: Move, of: Standing | None = None) -> None:
        """Take `moves` in one write; `of` is the standing of a deployment that begins with them.

        The report that ends a deployment goes out before the standing is forgotten: killed in between, it is sent
        again rather than never.

        Raises:
            StorageFailed: nothing has changed.
        """
        before = after = of.model_copy(update={"state": self.standing.state}) if of else self.standing
        rows: list[Transition] = []
        for move in moves:
            after, row = advance(after, move, self._clock().timestamp())
            rows.append(row)
        ended = end_of(before, after, self._clock().timestamp())
        if ended and moves[-1].event is not Event.CLOSE:
            last = State.SAFE_MODE if after.state is State.SAFE_MODE else before.state
            self._send(before, last, ended.outcome, moves[-1].detail)
        self._journal.record(after, rows, ended)
        self.standing = after
        _log(rows[-1])
        self.report(moves[-1].detail)

    def note(self, **changes: object) -> None:
        """Change the standing within its state. Raises StorageFailed."""
        standing = self.standing.model_copy(update=changes)
        self._journal.note(standing)
        self.standing = standing

    def write(self, slots: Slots) -> None:
        """Replace the slots, if they differ. Raises StorageFailed."""
        if slots != self.slots:
            self._slot_store.write(slots)
            self.slots = slots

    def report(self, detail: str = "", progress: float | None = None) -> None:
        """Report the standing, if a deployment is under way. COMMITTING is a success only when it is done."""
        state = self.standing.state
        outcome = None if state is State.COMMITTING else OUTCOMES.get(state)
        self._send(self.standing, state, outcome, detail, progress)

    def _send(
        self, of: Standing, state: State, outcome: Outcome | None, detail: str = "", progress: float | None = None
    ) -> None:
        if of.deployment is None or of.model is None or of.version is None:
            return
        self._reports.deployment(
            of.deployment,
            of.model,
            of.version,
            state,
            outcome=outcome,
            reason=of.reason,
            detail=detail or of.detail,
            progress=progress,
        )


def _log(row: Transition) -> None:
    step = f"deployment {row.deployment or '-'}: {row.before.value} -> {row.after.value}"
    if row.reason is None or row.event is Event.CLOSE:
        log.info("%s", step)
    else:
        log.warning("%s: %s (%s)", step, REASONS[row.reason].sentence, row.detail)

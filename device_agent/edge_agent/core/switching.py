"""From a tested candidate to a committed release, or back: ACTIVATING, PROBATION, COMMITTING, ROLLING_BACK, the ends.

The pointer on disk is switched before the worker, in both directions.
"""

from __future__ import annotations

import time
from typing import Final

from edge_agent.core import slots as slot
from edge_agent.core.installing import Installer
from edge_agent.core.ledger import Ledger
from edge_agent.core.loading import Loader, Unloadable
from edge_agent.core.lookout import Lookout
from edge_agent.core.storage import ReleaseStore
from edge_agent.core.updating import Earlier, Move, UpdateSettings, Wait, condemned, probation
from edge_agent.ports import Serving, ServingHealth
from edge_contracts.assignments import Kind
from edge_contracts.ids import Digest
from edge_contracts.lifecycle import Event
from edge_contracts.reasons import Reason
from edge_contracts.verification import Plan

NOTED_SHARE: Final = 0.05
"""The share of a probation that may have to be watched again after a power cut."""
LEAST_NOTED_S: Final = 1.0


class Switch:
    """Moves the active pointer and watches what it names."""

    def __init__(
        self,
        ledger: Ledger,
        lookout: Lookout,
        installer: Installer,
        loader: Loader,
        releases: ReleaseStore,
        serving: Serving,
        settings: UpdateSettings,
    ) -> None:
        self._ledger = ledger
        self._lookout = lookout
        self._installer = installer
        self._loader = loader
        self._releases = releases
        self._serving = serving
        self._settings = settings
        self._since = time.monotonic()
        self._earlier = Earlier()
        self._watched: Plan | None = None

    @property
    def _release(self) -> Digest:
        assert self._ledger.standing.release is not None, "a deployment under way has a release"
        return self._ledger.standing.release

    def activate(self) -> Move:
        """ACTIVATING: pointer, then worker. After a restart the candidate is loaded and tested again first."""
        try:
            if self._installer.tested != self._release:
                self._loader.test(self._loader.open(self._release))
            self._ledger.write(slot.switched(self._ledger.slots, self._release))
            self._enter()
        except Unloadable as error:
            return Move(Event.UNDO, error.reason, error.detail)
        self._installer.tested = None
        return Move(Event.PASS)

    def resume(self) -> Move | None:
        """The process was restarted in PROBATION: the candidate answers again and its probation goes on."""
        try:
            self._loader.test(self._loader.open(self._release))
            self._enter()
        except Unloadable as error:
            return Move(Event.UNDO, error.reason, error.detail)
        return None

    def watch(self) -> Move | Wait:
        """PROBATION: live traffic and the clock decide; a signed order to go back does so at once."""
        newer = self._lookout.newer()
        ours = self._ledger.standing.deployment
        if newer is not None and newer.kind is Kind.REVERT and newer.deployment != ours:
            return Move(Event.ABORT, Reason.SUPERSEDED, f"by {newer.deployment}")
        assert self._watched is not None, "probation begins with an activation in this process"
        health, elapsed = self._serving.health(), time.monotonic() - self._since
        self._note_progress(health, elapsed, self._watched.assignment.probation_seconds)
        return probation(self._watched, health, elapsed, self._settings, self._earlier)

    def commit(self) -> Move:
        """COMMITTING: the candidate is the last-known-good, then the floor rises. One write; may be repeated."""
        standing = self._ledger.standing
        assert standing.model is not None, "a deployment under way names its model"
        assert standing.version is not None, "a deployment under way names its version"
        self._ledger.write(slot.committed(self._ledger.slots, self._release, standing.model, standing.version))
        self._ledger.lost = False
        self._serving.settle()
        self._releases.keep(self._ledger.slots.held)
        self._lookout.soon()
        return Move(Event.FINISH)

    def roll_back(self) -> Move:
        """ROLLING_BACK: the pointer first, then the worker that is still warm, else a cold start of what was good."""
        self._ledger.write(slot.rolled_back(self._ledger.slots))
        good = self._ledger.slots.good
        if good is None:
            self._serving.stop_serving()
            return Move(Event.FINISH)
        if not self._loader.is_active(good) and not self._swapped_back(good):
            self._ledger.lost = not self._restore()
        self._serving.discard_candidate()
        if self._ledger.lost:
            self._wrap_up()
            return Move(Event.LOST, Reason.NO_LOADABLE_MODEL, self._ledger.standing.detail)
        self._serving.settle()
        return Move(Event.FINISH)

    def close(self) -> Move:
        """FAILED, ROLLED_BACK, ABORTED: bar what failed, free what it took."""
        self._wrap_up()
        self._lookout.soon()
        return Move(Event.CLOSE)

    def _enter(self) -> None:
        standing = self._ledger.standing
        self._watched = self._loader.plan(self._release)
        self._loader.activate()
        self._since = time.monotonic()
        self._earlier = Earlier(standing.watched, standing.answered, standing.crashes)

    def _note_progress(self, health: ServingHealth, elapsed: float, whole: float) -> None:
        """Keep what a next process needs to go on: a crash at once, the time now and then, for flash wears out."""
        standing, earlier = self._ledger.standing, self._earlier
        crashes, watched = earlier.crashes + health.crashes, earlier.seconds + elapsed
        if crashes == standing.crashes and watched < standing.watched + max(whole * NOTED_SHARE, LEAST_NOTED_S):
            return
        tries = 0 if elapsed >= self._settings.healthy_seconds else standing.tries
        answered = earlier.answered + health.requests
        self._ledger.note(crashes=crashes, watched=watched, answered=answered, tries=tries)

    def _swapped_back(self, good: Digest) -> bool:
        return self._serving.swap_back() and self._loader.is_active(good)

    def _restore(self) -> bool:
        for digest in (self._ledger.slots.good, self._ledger.slots.previous):
            if digest is None:
                continue
            try:
                self._loader.restore(digest)
            except Unloadable:
                continue
            self._ledger.write(slot.fallen_back(self._ledger.slots, digest))
            return True
        self._serving.stop_serving()
        return False

    def _wrap_up(self) -> None:
        standing, slots = self._ledger.standing, self._ledger.slots
        plan = self._releases.plan(standing.release) if standing.release else None
        barred = condemned(standing.reason, plan) if plan else ()
        self._ledger.write(slot.quarantined(slots.model_copy(update={"candidate": None}), barred))
        self._serving.discard_candidate()
        self._installer.tested = None
        self._releases.keep(self._ledger.slots.held)

"""When the device looks for an assignment and what it makes of one: follow it, refuse it, or leave it."""

from __future__ import annotations

import logging
import random
import threading
import time
from datetime import timedelta
from typing import Final

from edge_agent.core.budgets import backoff
from edge_agent.core.checking import Checker, Offer, claim
from edge_agent.core.ledger import Ledger
from edge_agent.core.storage import Journal, ReleaseStore, StorageFailed
from edge_agent.core.updating import Ended, Move, UpdateSettings, Wait, claimed, may_try_again, offered
from edge_agent.ports import Reports, Unreachable
from edge_contracts.assignments import Assignment
from edge_contracts.errors import Refused
from edge_contracts.ids import Digest
from edge_contracts.lifecycle import Event, Outcome, State
from edge_contracts.reasons import Reason

log = logging.getLogger(__name__)

_FLOOR_STEP: Final = timedelta(hours=1)
"""The time floor is written when it rises by this much: flash wears out."""


class Lookout:
    """Looks by itself now and then, and at once when woken."""

    def __init__(
        self,
        ledger: Ledger,
        checker: Checker,
        journal: Journal,
        releases: ReleaseStore,
        reports: Reports,
        settings: UpdateSettings,
        woken: threading.Event,
    ) -> None:
        self._ledger = ledger
        self._checker = checker
        self._journal = journal
        self._releases = releases
        self._reports = reports
        self._settings = settings
        self._woken = woken
        self._next = 0.0
        self._failures = 0

    def idle(self) -> Move | Wait:
        """The action of IDLE and SAFE_MODE."""
        if self._ledger.lost and self._ledger.standing.state is State.IDLE:
            return Move(Event.LOST, Reason.NO_LOADABLE_MODEL)
        if (wait := self._until_next()) > 0:
            return Wait(wait)
        self._check()
        return Wait(0.0 if self._ledger.standing.deployment else self._until_next())

    def soon(self) -> None:
        """A deployment has ended: there may be a next one. Not after one that was refused before it had a release: a
        server that offers nonsense would be asked without a pause."""
        if self._ledger.standing.release is not None:
            self._next = 0.0

    def newer(self) -> Assignment | None:
        """The valid assignment there is, when it is time to look and it is not older than the one followed. Trouble in
        looking stops nothing."""
        if self._until_next() > 0:
            return None
        self._plan_next(failed=False)
        try:
            envelope = self._fetch()
            found = self._checker.assignment(envelope, self._ledger.slots, self._ledger.now()) if envelope else None
        except (Unreachable, Refused) as error:
            log.warning("no look for a newer assignment: %s", error)
            return None
        return found if found and found.counter >= self._ledger.standing.counter else None

    def renew(self, newer: Assignment) -> None:
        """The deployment under way was assigned again, to a later expiry: that takes the place of what was offered."""
        try:
            offer = self._checker.offer(newer, self._ledger.slots)
        except (Unreachable, Refused) as error:
            log.warning("the renewed assignment is not taken: %s", error)
            return
        if offer.plan.artifact.digest == self._ledger.standing.release:
            self._releases.offer(offer.plan, offer.manifest)
            self._ledger.write(self._ledger.slots.model_copy(update={"counter": newer.counter}))
            self._ledger.note(counter=newer.counter)

    def _until_next(self) -> float:
        if self._woken.is_set():
            self._woken.clear()
            return 0.0
        return max(0.0, self._next - time.monotonic())

    def _plan_next(self, *, failed: bool) -> None:
        self._failures = self._failures + 1 if failed else 0
        wait = self._settings.poll_seconds * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, hides nothing
        if failed:
            wait = min(wait, self._settings.backoff_seconds + backoff(self._failures, self._settings, random.random))
        self._next = time.monotonic() + wait

    def _check(self) -> None:
        """CHECKING. A check that finds nothing leaves no trace on disk."""
        self._plan_next(failed=False)
        envelope: bytes | None = None
        try:
            envelope = self._fetch()
            if envelope is None:
                return
            assignment = self._checker.assignment(envelope, self._ledger.slots, self._ledger.now())
            if not self._is_done(assignment):
                self._accept(self._checker.offer(assignment, self._ledger.slots))
        except Unreachable as error:
            log.warning("no look for an assignment: %s", error)
            self._plan_next(failed=True)
        except Refused as refused:
            self._refuse(refused, envelope)

    def _fetch(self) -> bytes | None:
        envelope = self._checker.envelope(self._ledger.now())
        # Metadata valid at `now` is a proof of time: a clock far ahead would have found it expired.
        now = self._ledger.now()
        if now - self._ledger.slots.time_floor >= _FLOOR_STEP:
            self._ledger.write(self._ledger.slots.model_copy(update={"time_floor": now}))
        return envelope

    def _is_done(self, assignment: Assignment) -> bool:
        """Whether this assignment was followed to its end. A newer one for the same deployment is a new try, unless
        its release serves: then the server has missed the report, and gets it again."""
        ended = self._journal.ended(assignment.deployment)
        if ended is None:
            return False
        if ended.counter == assignment.counter:
            return not may_try_again(ended, self._ledger.now().timestamp(), self._settings)
        if ended.outcome is not Outcome.SUCCEEDED or not self._serves(assignment):
            return False
        self._confirm(assignment, ended)
        return True

    def _serves(self, assignment: Assignment) -> bool:
        good = self._ledger.slots.good
        plan = self._releases.plan(good) if good else None
        if plan is None:
            return False
        return (plan.manifest.model, plan.manifest.version) == (assignment.model, assignment.version)

    def _confirm(self, assignment: Assignment, ended: Ended) -> None:
        self._ledger.write(self._ledger.slots.model_copy(update={"counter": assignment.counter}))
        renewed = ended.model_copy(update={"counter": assignment.counter})
        self._reports.deployment(
            assignment.deployment,
            assignment.model,
            assignment.version,
            State.COMMITTING,
            outcome=Outcome.SUCCEEDED,
            detail="it serves already",
        )
        self._journal.record(self._ledger.standing, (), renewed)

    def _accept(self, offer: Offer) -> None:
        assignment = offer.plan.assignment
        ended = self._journal.ended(assignment.deployment)
        try:
            self._releases.offer(offer.plan, offer.manifest)
        except StorageFailed as error:
            self._releases.keep(self._ledger.slots.held)
            raise Refused(Reason.NO_SPACE, str(error)) from error
        self._ledger.write(self._ledger.slots.model_copy(update={"counter": assignment.counter}))
        self._ledger.move(Move(Event.POLL), Move(Event.OFFER), of=offered(offer.plan, ended))

    def _refuse(self, refused: Refused, envelope: bytes | None) -> None:
        """Record and report a refusal, once for the same bytes and reason. An old or forged envelope that names a
        deployment which has ended here must not change what was reported of it: then it is only recorded."""
        log.warning("refused: %s; %s", refused, refused.hint)
        if not self._journal.first_refusal(Digest.of(envelope or b""), refused.reason, self._ledger.now()):
            return
        asked = claim(envelope) if envelope else None
        standing, detail = claimed(asked), refused.detail
        if asked is not None and self._journal.ended(asked.deployment):
            standing, detail = claimed(None), f"{detail}, for {asked.deployment}, which has ended"
        self._ledger.move(Move(Event.POLL), Move(Event.FAIL, refused.reason, detail), of=standing)

"""From an offer to a tested candidate: the actions of OFFERED, DOWNLOADING, VERIFYING and STAGED.

Nothing here touches the release that answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from edge_agent.core import slots as slot
from edge_agent.core.budgets import after_attempt, counted
from edge_agent.core.ledger import Ledger
from edge_agent.core.loading import Loader, Unloadable
from edge_agent.core.lookout import Lookout
from edge_agent.core.storage import Downloads, ReleaseStore
from edge_agent.core.updating import Move, UpdateSettings, Wait
from edge_contracts.errors import Refused
from edge_contracts.ids import Digest
from edge_contracts.lifecycle import Event
from edge_contracts.manifest import FileRef
from edge_contracts.reasons import Reason

_PROGRESS_STEP = 0.1


class Installer:
    """Fetches and proves a release. `held` says why the application wants no release to begin; None if it does not."""

    def __init__(
        self,
        ledger: Ledger,
        lookout: Lookout,
        loader: Loader,
        releases: ReleaseStore,
        downloads: Downloads,
        settings: UpdateSettings,
        held: Callable[[], str | None],
        interrupted: Callable[[], bool],
    ) -> None:
        self._ledger = ledger
        self._lookout = lookout
        self._loader = loader
        self._releases = releases
        self._downloads = downloads
        self._settings = settings
        self._held = held
        self._interrupted = interrupted
        self._told = ""
        self.tested: Digest | None = None
        """The release whose self-test passed in this process and which is the candidate of serving."""

    @property
    def _release(self) -> Digest:
        assert self._ledger.standing.release is not None, "a deployment under way has a release"
        return self._ledger.standing.release

    def begin(self) -> Move | Wait:
        """OFFERED: wait for the application, then see that the assignment still holds and the artifact fits."""
        if superseded := self._superseded():
            return superseded
        held = self._held()
        if held is not None:
            return self._defer(held)
        self._told = ""
        try:
            plan = self._loader.plan(self._release)
        except Unloadable as error:
            return Move(Event.FAIL, error.reason, error.detail)
        if self._ledger.now() >= plan.assignment.expires:
            return Move(Event.FAIL, Reason.ASSIGNMENT_EXPIRED, f"at {plan.assignment.expires:%Y-%m-%d %H:%M} UTC")
        return self._fits(plan.artifact) or Move(Event.BEGIN)

    def download(self) -> Move | Wait:
        """DOWNLOADING: one attempt, from where the last one ended."""
        if superseded := self._superseded():
            return superseded
        try:
            plan = self._loader.plan(self._release)
            if self._releases.has_artifact(self._release):
                return Move(Event.FINISH)
            attempt = self._downloads.attempt(plan.artifact, self._interrupted, self._progress(plan.artifact.length))
        except (Unloadable, Refused) as error:
            return Move(Event.FAIL, error.reason, error.detail)
        after = counted(self._ledger.standing, attempt)
        if not attempt.complete:
            self._ledger.note(attempts=after.attempts, fruitless=after.fruitless, received=after.received)
        return after_attempt(after, attempt, plan.artifact.length, self._settings, random.random)

    def verify(self) -> Move:
        """VERIFYING: every signed digest and length, then the ciphertext is a slot's."""
        try:
            self._loader.open(self._release)
        except Unloadable as error:
            return Move(Event.FAIL, error.reason, error.detail)
        self._releases.complete(self._release)
        self._ledger.write(slot.staged(self._ledger.slots, self._release))
        return Move(Event.PASS)

    def selftest(self) -> Move:
        """STAGED: load it beside the active release and compare its answers with the golden ones."""
        try:
            figures = self._loader.test(self._loader.open(self._release))
        except Unloadable as error:
            return Move(Event.FAIL, error.reason, error.detail)
        self.tested = self._release
        return Move(Event.PASS, detail=figures)

    def _superseded(self) -> Move | None:
        newer = self._lookout.newer()
        if newer is None:
            return None
        if newer.deployment == self._ledger.standing.deployment:
            self._lookout.renew(newer)
            return None
        return Move(Event.ABORT, Reason.SUPERSEDED, f"by {newer.deployment}")

    def _defer(self, why: str) -> Wait:
        if why != self._told:
            self._told = why
            self._ledger.report(f"held by the application: {why}")
        return Wait(self._settings.hold_seconds)

    def _fits(self, artifact: FileRef) -> Move | None:
        missing = artifact.length - self._releases.fetched(self._release)
        free, reserve = self._releases.free_bytes(), self._settings.reserve_bytes
        if missing <= 0 or free >= missing + reserve:
            return None
        return Move(Event.FAIL, Reason.NO_SPACE, f"{missing} bytes to fetch, {reserve} to leave, {free} free")

    def _progress(self, length: int) -> Callable[[int], None]:
        told = 0.0

        def tell(fetched: int) -> None:
            nonlocal told
            share = min(1.0, fetched / max(length, 1))
            if share >= told + _PROGRESS_STEP:
                told = share
                self._ledger.report(progress=share)

        return tell

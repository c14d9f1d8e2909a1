"""The updater: takes one deployment after another through the table of states, and always back to a loadable model.

Each state has one action, which answers with a move or a wait. Entering a state is journalled before its action runs,
and every action may be repeated, so that a process killed anywhere goes on from where it was.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from edge_agent.core.checking import Checker, Owner
from edge_agent.core.installing import Installer
from edge_agent.core.ledger import Ledger
from edge_agent.core.loading import Loader
from edge_agent.core.lookout import Lookout
from edge_agent.core.recovery import recover
from edge_agent.core.storage import Downloads, Journal, ReleaseStore, SlotStore, StorageFailed
from edge_agent.core.switching import Switch
from edge_agent.core.updating import Move, UpdateSettings, Wait
from edge_agent.ports import EngineCensus, Reports, Repository, Serving
from edge_contracts.ids import DeploymentId
from edge_contracts.lifecycle import ABORTABLE, Event, State
from edge_contracts.reasons import Reason

log = logging.getLogger(__name__)

_STORAGE_SECONDS: Final = 5.0
_FAULT_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Ports:
    """Everything the updater acts through."""

    repository: Repository
    downloads: Downloads
    releases: ReleaseStore
    slots: SlotStore
    journal: Journal
    serving: Serving
    reports: Reports
    census: EngineCensus
    held: Callable[[], str | None] = lambda: None
    """Why the application wants no new release to begin now; None if it does not mind."""


def _system_clock() -> datetime:
    return datetime.now(UTC)


class Updater:
    """Keeps the device on the release it is assigned.

    One thread calls `run` (or `step`); `wake`, `abort` and `state` may be used from any thread.
    """

    def __init__(
        self,
        owner: Owner,
        ports: Ports,
        settings: UpdateSettings | None = None,
        clock: Callable[[], datetime] = _system_clock,
    ) -> None:
        settings = settings or UpdateSettings()
        self._settings = settings
        self._releases = ports.releases
        self._woken = threading.Event()
        self._stop = threading.Event()
        self._abort: DeploymentId | None = None
        self._recovered = False
        self._ledger = Ledger(ports.journal, ports.slots, ports.reports, clock)
        self._loader = Loader(owner, ports.releases, ports.serving)
        checker = Checker(owner, ports.repository, ports.releases, ports.census)
        lookout = Lookout(self._ledger, checker, ports.journal, ports.releases, ports.reports, settings, self._woken)
        installer = Installer(
            self._ledger,
            lookout,
            self._loader,
            ports.releases,
            ports.downloads,
            settings,
            ports.held,
            lambda: self._woken.is_set() or self._stop.is_set(),
        )
        self._switch = Switch(self._ledger, lookout, installer, self._loader, ports.releases, ports.serving, settings)
        self._actions: dict[State, Callable[[], Move | Wait]] = {
            State.IDLE: lookout.idle,
            State.SAFE_MODE: lookout.idle,
            State.OFFERED: installer.begin,
            State.DOWNLOADING: installer.download,
            State.VERIFYING: installer.verify,
            State.STAGED: installer.selftest,
            State.ACTIVATING: self._switch.activate,
            State.PROBATION: self._switch.watch,
            State.COMMITTING: self._switch.commit,
            State.ROLLING_BACK: self._switch.roll_back,
            State.ROLLED_BACK: self._switch.close,
            State.FAILED: self._switch.close,
            State.ABORTED: self._switch.close,
        }

    @property
    def state(self) -> State:
        """Where the device stands."""
        return self._ledger.standing.state

    def now(self) -> datetime:
        """The time, never before what signed metadata has proved."""
        return self._ledger.now()

    def wake(self) -> None:
        """Look for an assignment now."""
        self._woken.set()

    def abort(self, deployment: DeploymentId) -> None:
        """End `deployment` if it is under way; once it is being committed this is refused, and reported so."""
        self._abort = deployment
        self._woken.set()

    def recover(self) -> None:
        """Put a model into service again and go on with the deployment that was under way. Done once.

        Raises:
            StorageFailed: the state on disk cannot be read or written; the next `step` tries again.
        """
        if not self._recovered:
            recover(self._ledger, self._loader, self._switch, self._settings, self._act)
            self._recovered = True

    def run(self, stop: threading.Event) -> None:
        """Step until `stop` is set; `wake` makes it notice at once."""
        self._stop = stop
        while not stop.is_set():
            try:
                wait = self.step()
            except Exception:
                # The loop must outlive any fault: a device without an updater can never be repaired from afar.
                log.exception("the updater failed in state %s; it tries again", self.state.value)
                wait = _FAULT_SECONDS
            deadline = time.monotonic() + wait
            while not stop.is_set() and not self._woken.is_set() and (left := deadline - time.monotonic()) > 0:
                self._woken.wait(min(left, 1.0))

    def step(self) -> float:
        """Do the next thing; the seconds until there may be another."""
        try:
            self.recover()
            return self._act()
        except StorageFailed as error:
            return self._out_of_storage(error)

    def _act(self) -> float:
        todo = self._asked_to_abort() or self._actions[self.state]()
        if isinstance(todo, Wait):
            return todo.seconds
        self._ledger.move(todo)
        return 0.0

    def _asked_to_abort(self) -> Move | None:
        asked, self._abort = self._abort, None
        if asked is None or asked != self._ledger.standing.deployment:
            return None
        if self.state in ABORTABLE:
            return Move(Event.ABORT, Reason.ABORTED_BY_SERVER)
        self._ledger.report(f"not aborted: it is {self.state.value} already")
        return None

    def _out_of_storage(self, error: StorageFailed) -> float:
        """Before the switch the deployment ends and gives its space back; after it, the step is taken again."""
        log.error("%s; %s", error, error.hint)
        release = self._ledger.standing.release
        if self.state not in {State.OFFERED, State.DOWNLOADING, State.VERIFYING} or not self._recovered:
            return _STORAGE_SECONDS
        if release is not None and release not in self._ledger.slots.held:
            self._releases.discard(release)
        try:
            self._ledger.move(Move(Event.FAIL, Reason.NO_SPACE, str(error)))
        except StorageFailed:
            return _STORAGE_SECONDS
        return 0.0

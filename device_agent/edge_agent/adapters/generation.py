"""A release in service: its worker, restarted when it dies, and the requests that hold on to it while they run."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from edge_agent.adapters.worker_process import WorkerGone, WorkerHung, WorkerProcess, WorkerSettings
from edge_agent.core.tally import Tally
from edge_agent.core.tensors import Array
from edge_agent.ports import ModelFailed, NotReady, Release, SelfTest
from edge_contracts.reasons import Reason

LOG: Final = logging.getLogger(__name__)

RESTART_PAUSES_S: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Pause before each restart in a row; the last one repeats."""
STEADY_S: Final = 60.0
"""A worker that lived so long was well: the pauses begin anew."""


@dataclass(frozen=True)
class QueueLimits:
    """How many requests may wait for a model, and for how many seconds."""

    depth: int = 16
    wait_s: float = 2.0


class Generation:
    """One loaded release. Requests run one after the other: an accelerator has one token.

    Made with a worker that is loaded. It is restarted only while in service (`enter_service`).
    """

    def __init__(
        self, release: Release, selftest: SelfTest, worker: WorkerProcess, workers: WorkerSettings, queue: QueueLimits
    ) -> None:
        self.release = release
        self.selftest = selftest
        self.tally = Tally(release)
        self._workers = workers
        self._queue = queue
        self._turn = threading.Lock()
        self._state = threading.Condition()
        self._worker: WorkerProcess | None = worker
        self._starting: WorkerProcess | None = None
        self._watcher: threading.Thread | None = None
        self._closed = False
        self._in_service = False
        self._leases = 0
        self._waiting = 0

    @property
    def usable(self) -> bool:
        """Whether its worker is alive."""
        with self._state:
            return self._worker is not None and self._worker.alive and not self._closed

    @property
    def rss_bytes(self) -> int:
        """Memory of its worker now."""
        worker = self._worker
        return worker.rss_bytes() if worker is not None else 0

    def enter_service(self) -> None:
        """From now on its traffic is counted anew and a dead worker is replaced."""
        with self._state:
            self.tally = Tally(self.release)
            self._in_service = True
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="watch-worker", daemon=True)
                self._watcher.start()

    def leave_service(self) -> None:
        """Stay warm; a worker that dies now is not replaced."""
        with self._state:
            self._in_service = False

    @contextmanager
    def lease(self) -> Iterator[bool]:
        """Hold on to this generation; False if it is closed and another must be asked."""
        with self._state:
            held = not self._closed
            self._leases += held
        try:
            yield held
        finally:
            with self._state:
                self._leases -= held
                self._state.notify_all()

    def run(self, inputs: list[Array]) -> tuple[list[Array], int]:
        """Outputs for inputs and the engine's nanoseconds.

        Raises:
            NotReady: the queue is full, or the wait was too long.
            ModelFailed: this request failed; model-unloadable if the engine refused it, probation-crashes or
                probation-hang if the worker did not survive it.
        """
        deadline = time.monotonic() + self._queue.wait_s
        with self._place_in_queue():
            if not self._turn.acquire(timeout=self._queue.wait_s):
                raise NotReady(f"no answer within {self._queue.wait_s:g} s: too many requests", "Ask again later.")
            try:
                return self._run_now(inputs, deadline)
            finally:
                self._turn.release()

    def close(self) -> None:
        """Let the requests under way finish, then stop the worker. Idempotent."""
        with self._state:
            self._closed = True
            self._state.notify_all()
            self._state.wait_for(lambda: self._leases == 0, self._workers.request_timeout_s + self._queue.wait_s)
            workers = (self._worker, self._starting)
            self._worker = None
            self._state.notify_all()
        for worker in workers:
            if worker is not None:
                worker.stop()
        if self._watcher is not None:
            self._watcher.join()

    @contextmanager
    def _place_in_queue(self) -> Iterator[None]:
        with self._state:
            if self._waiting > self._queue.depth:
                raise NotReady(f"{self._queue.depth} requests are waiting already", "Ask again later.")
            self._waiting += 1
        try:
            yield
        finally:
            with self._state:
                self._waiting -= 1

    def _run_now(self, inputs: list[Array], deadline: float) -> tuple[list[Array], int]:
        worker = self._live_worker(deadline)
        try:
            return worker.run(inputs)
        except WorkerHung as error:
            if self._lose(worker):
                self.tally.hung()
            worker.stop()
            raise ModelFailed(Reason.PROBATION_HANG, str(error)) from error
        except WorkerGone as error:
            if self._lose(worker):
                self.tally.crashed()
            raise ModelFailed(Reason.PROBATION_CRASHES, str(error)) from error

    def _live_worker(self, deadline: float) -> WorkerProcess:
        """The worker, once a dead one has been replaced."""
        with self._state:
            worker = self._worker
            if worker is not None and worker.alive:
                return worker
        if worker is not None and self._lose(worker):
            self.tally.crashed()
        with self._state:
            self._state.wait_for(lambda: self._worker is not None or self._closed, deadline - time.monotonic())
            if self._worker is None:
                raise NotReady("the model's worker is being started again", "Ask again in a second.")
            return self._worker

    def _lose(self, worker: WorkerProcess) -> bool:
        """Take a dead worker out of service; False if another thread has done so."""
        with self._state:
            if self._worker is not worker:
                return False
            self._worker = None
            self._state.notify_all()
            return True

    def _watch(self) -> None:
        """Notice the end of each worker and put another in its place, until closed."""
        in_a_row = 0
        while (worker := self._next_to_watch()) is not None:
            started = time.monotonic()
            worker.wait()
            if self._lose(worker) and not self._closed:
                self.tally.crashed()
            in_a_row = 0 if time.monotonic() - started > STEADY_S else in_a_row
            self._say_ended(worker)
            while self._may_restart():
                pause = RESTART_PAUSES_S[min(in_a_row, len(RESTART_PAUSES_S) - 1)]
                in_a_row += 1
                if self._restart(pause):
                    break

    def _next_to_watch(self) -> WorkerProcess | None:
        with self._state:
            return None if self._closed else self._worker

    def _may_restart(self) -> bool:
        with self._state:
            return self._in_service and not self._closed

    def _restart(self, pause: float) -> bool:
        with self._state:
            if self._state.wait_for(lambda: self._closed, pause):
                return False
            worker = self._starting = WorkerProcess(self.release, self._workers, gentle=False)
        try:
            worker.load()
        except ModelFailed as error:
            if not self._closed:
                LOG.warning("%s does not load again: %s", _name(self.release), error)
                self.tally.crashed()
            return False
        with self._state:
            self._starting = None
            if not self._closed:
                self._worker = worker
                self._state.notify_all()
                return True
        worker.stop()
        return False

    def _say_ended(self, worker: WorkerProcess) -> None:
        if not self._closed:
            LOG.warning("the worker of %s ended: %s", _name(self.release), worker.last_words())
        worker.stop()


def _name(release: Release) -> str:
    return f"{release.manifest.model} version {release.manifest.version}"

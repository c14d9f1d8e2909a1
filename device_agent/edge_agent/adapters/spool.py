"""Reports kept until the server has confirmed them: on disk, and in memory while the disk fails. Never raises."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from edge_agent.adapters.records import Record, RecordKind, RecordTable, window_record
from edge_agent.ports import Reports
from edge_contracts import codec
from edge_contracts.ids import DeploymentId, ModelName
from edge_contracts.lifecycle import Outcome, State
from edge_contracts.messages import Ack, DeploymentReport
from edge_contracts.reasons import Reason
from edge_contracts.window import TelemetryWindow

LOG: Final = logging.getLogger(__name__)

MEMORY_CAP_BYTES: Final = 1024 * 1024
DISK_RETRY_S: Final = 30.0
DETAIL_CHARACTERS: Final = 2048
_CORRUPT: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

Result = TypeVar("Result")


@dataclass(frozen=True)
class SpoolStatus:
    """What waits. `trouble` says why reports are in memory only, None if they are on disk."""

    bytes: int
    events: int
    windows: int
    in_memory: int
    merged: int
    dropped: int
    trouble: str | None


class Spool(Reports):
    """Durable, at least once: a report goes out until the server's Ack names its (boot, sequence). Thread-safe.

    Events are kept whatever comes. Windows that were never sent are merged when space is short (1 h, 6 h, 24 h);
    `boot` and a sequence that only grows name a report for ever. While the disk is full or broken, reports wait in
    memory (1 MiB, oldest given up first) and move to the disk as soon as it works.
    """

    def __init__(
        self,
        path: Path,
        boot: str,
        cap_bytes: int,
        now: Callable[[], float] = time.time,
        retry_s: float = DISK_RETRY_S,
    ) -> None:
        self.boot = boot
        self._path = path
        self._cap_bytes = cap_bytes
        self._now = now
        self._retry_s = retry_s
        self._lock = threading.RLock()
        self._sequence = 0
        self._trouble: str | None = None
        self._retry_at = 0.0
        self._on_change: Callable[[], None] = lambda: None
        self._memory = RecordTable(None, MEMORY_CAP_BYTES)
        self._disk: RecordTable | None = None
        self._try_disk(RecordTable.count)

    def when_changed(self, call: Callable[[], None]) -> None:
        """`call` is called, quickly and from any thread, after each new report."""
        self._on_change = call

    def deployment(
        self,
        deployment: DeploymentId,
        model: ModelName,
        version: int,
        state: State,
        *,
        outcome: Outcome | None = None,
        reason: Reason | None = None,
        detail: str = "",
        progress: float | None = None,
    ) -> None:
        """Queue a report of a deployment (see `ports.Reports`)."""
        with self._lock:
            report = DeploymentReport(
                boot=self.boot,
                sequence=self._next_sequence(),
                at=self._now(),
                deployment=deployment,
                model=model,
                version=version,
                state=state,
                outcome=outcome,
                reason=reason,
                detail=detail[:DETAIL_CHARACTERS],
                progress=progress,
            )
            self._add(Record(self.boot, report.sequence, RecordKind.EVENT, codec.encode(report)))
        self._on_change()

    def add_window(self, make: Callable[[str, int], TelemetryWindow]) -> None:
        """Queue the window that `make(boot, sequence)` returns."""
        with self._lock:
            self._add(window_record(make(self.boot, self._next_sequence())))
        self._on_change()

    def outstanding(self, kind: RecordKind, limit: int) -> list[Record]:
        """The oldest unconfirmed reports of a kind, at most `limit`; tries the disk again if it was out of order."""
        with self._lock:
            self._recover()
            held = self._try_disk(lambda disk: disk.outstanding(kind, limit)) or []
            return held + self._memory.outstanding(kind, limit - len(held)) if len(held) < limit else held

    def mark_sent(self, records: list[Record]) -> None:
        """To be called before sending: from now on windows among these are not merged, so that none counts twice."""
        keys = [record.key for record in records if record.kind is RecordKind.WINDOW]
        if not keys:
            return
        with self._lock:
            self._try_disk(lambda disk: disk.mark_sent(keys))
            self._memory.mark_sent(keys)

    def acknowledge(self, ack: Ack) -> int:
        """Free what the server has committed; returns how many reports that were. Idempotent."""
        keys = [(ack.boot, sequence) for sequence in ack.sequences]
        with self._lock:
            on_disk = self._try_disk(lambda disk: disk.remove(keys)) or 0
            return on_disk + self._memory.remove(keys)

    def status(self) -> SpoolStatus:
        """Figures for a person."""
        with self._lock:
            disk = self._try_disk(lambda disk: (disk.count(), disk.used_bytes(), disk.merged, disk.dropped))
            memory = self._memory.count()
            count, size, merged, dropped = disk or ({}, 0, 0, 0)
            return SpoolStatus(
                bytes=size,
                events=count.get(RecordKind.EVENT, 0) + memory[RecordKind.EVENT],
                windows=count.get(RecordKind.WINDOW, 0) + memory[RecordKind.WINDOW],
                in_memory=sum(memory.values()),
                merged=merged + self._memory.merged,
                dropped=dropped + self._memory.dropped,
                trouble=self._trouble,
            )

    def close(self) -> None:
        """Bring what is in memory to the disk if possible, and close the file."""
        with self._lock:
            self._retry_at = 0.0
            self._recover()
            if self._disk is not None:
                self._disk.close()
                self._disk = None
            self._trouble, self._retry_at = "closed", float("inf")

    def _next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    def _add(self, record: Record) -> None:
        self._recover()
        if self._to_disk(record):
            return
        while True:
            try:
                self._memory.add(record)
            except sqlite3.Error:
                if not self._memory.drop_oldest_event():
                    LOG.error("a report is lost: neither disk nor memory takes it")
                    return
            else:
                return

    def _recover(self) -> None:
        """Once the pause after a failure is over, move what waits in memory to the disk."""
        if self._trouble is None or time.monotonic() < self._retry_at:
            return
        self._trouble = None
        for kind in RecordKind:
            for record in self._memory.outstanding(kind, -1):
                if not self._to_disk(record):
                    return
                self._memory.remove([record.key])

    def _to_disk(self, record: Record) -> bool:
        def add(disk: RecordTable) -> bool:
            disk.add(record)
            return True

        return self._try_disk(add) is True

    def _try_disk(self, action: Callable[[RecordTable], Result]) -> Result | None:
        """What `action` returns, or None if the disk does not work now."""
        if self._trouble is not None:
            return None
        try:
            if self._disk is None:
                self._disk = RecordTable(self._path, self._cap_bytes)
            return action(self._disk)
        except sqlite3.Error as error:
            self._trouble = str(error)
            self._retry_at = time.monotonic() + self._retry_s
            LOG.warning("reports are held in memory: %s: %s", self._path, error)
            if getattr(error, "sqlite_errorcode", None) in _CORRUPT:
                self._set_aside()
            return None

    def _set_aside(self) -> None:
        """Keep a damaged file for a person to look at, and begin with an empty one."""
        if self._disk is not None:
            self._disk.close()
            self._disk = None
        aside = self._path.with_suffix(f".damaged-{int(self._now())}")
        try:
            self._path.replace(aside)
        except OSError as error:
            LOG.warning("%s is damaged and cannot be moved: %s", self._path, error)
            return
        self._retry_at = 0.0
        LOG.warning("%s was damaged and is now %s; reports go to a new file", self._path, aside.name)

"""Reports in a table of bounded size, in a SQLite file or in memory. Lets every error of SQLite through."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from edge_agent.core.retention import Held, to_merge
from edge_contracts import codec
from edge_contracts.errors import ContractError
from edge_contracts.window import TelemetryWindow, merge

PAGE_BYTES: Final = 4096
WAL_PAGES: Final = 64
"""Checkpoint after so many pages, so that the log beside the file stays small."""
EVENT_RESERVE: Final = 0.25
"""Share of the space that windows leave to events."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS record (
    id INTEGER PRIMARY KEY, boot TEXT NOT NULL, sequence INTEGER NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL,
    window_group TEXT NOT NULL DEFAULT '', start REAL NOT NULL DEFAULT 0, sent INTEGER NOT NULL DEFAULT 0,
    UNIQUE (boot, sequence));
CREATE INDEX IF NOT EXISTS record_kind ON record (kind, id);
"""


class RecordKind(StrEnum):
    """What a report is: events are never dropped, windows are merged."""

    EVENT = "event"
    WINDOW = "window"


@dataclass(frozen=True)
class Record:
    """One encoded report and its key; for a window also what it may be merged with, and its start (Unix seconds)."""

    boot: str
    sequence: int
    kind: RecordKind
    body: bytes
    group: str = ""
    start: float = 0.0

    @property
    def key(self) -> tuple[str, int]:
        """Unique on this device for ever."""
        return self.boot, self.sequence


def window_record(window: TelemetryWindow) -> Record:
    """The window as it is stored."""
    group = f"{window.boot}/{window.model}/{window.version}/{window.variant}/{window.model_digest}/{window.slot}"
    return Record(window.boot, window.sequence, RecordKind.WINDOW, codec.encode(window), group, window.start)


class RecordTable:
    """Reports in `path`, or in memory for None, using at most `cap_bytes`. Not thread-safe.

    Every method may raise sqlite3.Error, and then nothing has changed.
    """

    def __init__(self, path: Path | None, cap_bytes: int) -> None:
        self._cap_bytes = cap_bytes
        self.merged = 0
        self.dropped = 0
        self._connection = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        try:
            for pragma in (
                f"page_size = {PAGE_BYTES}",
                "journal_mode = WAL",
                "synchronous = FULL",
                f"wal_autocheckpoint = {WAL_PAGES}",
                f"journal_size_limit = {WAL_PAGES * PAGE_BYTES}",
                f"max_page_count = {max(cap_bytes // PAGE_BYTES, 16)}",
            ):
                self._connection.execute(f"PRAGMA {pragma}")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error:
            self._connection.close()
            raise

    def close(self) -> None:
        """Idempotent."""
        self._connection.close()

    def add(self, record: Record) -> None:
        """Store a report; before a window, make room by merging older ones that were not sent."""
        with self._transaction():
            if record.kind is RecordKind.WINDOW:
                self._make_room(len(record.body))
            self._insert(record)

    def outstanding(self, kind: RecordKind, limit: int) -> list[Record]:
        """The oldest reports of a kind that the server has not confirmed."""
        rows = self._connection.execute(
            "SELECT boot, sequence, kind, body, window_group, start FROM record WHERE kind = ? ORDER BY id LIMIT ?",
            (kind.value, limit),
        )
        return [Record(row[0], row[1], RecordKind(row[2]), *row[3:]) for row in rows]

    def mark_sent(self, keys: list[tuple[str, int]]) -> None:
        """These may have reached the server: they are never merged from now on."""
        with self._transaction():
            self._connection.executemany("UPDATE record SET sent = 1 WHERE boot = ? AND sequence = ?", keys)

    def remove(self, keys: list[tuple[str, int]]) -> int:
        """Forget these; returns how many there were."""
        with self._transaction():
            return self._connection.executemany("DELETE FROM record WHERE boot = ? AND sequence = ?", keys).rowcount

    def drop_oldest_event(self) -> bool:
        """Give up the oldest event. Only for a store in memory, when the disk is out of order for long."""
        with self._transaction():
            done = self._connection.execute(
                "DELETE FROM record WHERE id = (SELECT min(id) FROM record WHERE kind = ?)", (RecordKind.EVENT.value,)
            )
            self.dropped += done.rowcount
            return done.rowcount > 0

    def count(self) -> dict[RecordKind, int]:
        """How many reports of each kind."""
        found = dict(self._connection.execute("SELECT kind, count(*) FROM record GROUP BY kind").fetchall())
        return {kind: found.get(kind.value, 0) for kind in RecordKind}

    def used_bytes(self) -> int:
        """Bytes of the pages in use."""
        pages, free = (self._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in _PAGE_COUNTS)
        return int(pages - free) * PAGE_BYTES

    def _transaction(self) -> _Transaction:
        return _Transaction(self._connection)

    def _insert(self, record: Record) -> None:
        self._connection.execute(
            "INSERT INTO record (boot, sequence, kind, body, window_group, start) VALUES (?, ?, ?, ?, ?, ?)",
            (record.boot, record.sequence, record.kind.value, record.body, record.group, record.start),
        )

    def _make_room(self, size: int) -> None:
        room = int(self._cap_bytes * (1 - EVENT_RESERVE)) - size - PAGE_BYTES
        while self.used_bytes() > room and (self._merge_some() or self._drop_oldest_window()):
            pass

    def _merge_some(self) -> bool:
        held = self._connection.execute("SELECT id, window_group, start FROM record WHERE kind = 'window' AND NOT sent")
        ids = to_merge(Held(*row) for row in held)
        if not ids:
            return False
        marks = ", ".join("?" * len(ids))
        bodies = self._connection.execute(f"SELECT body FROM record WHERE id IN ({marks})", ids).fetchall()  # noqa: S608 - only question marks
        self._connection.execute(f"DELETE FROM record WHERE id IN ({marks})", ids)  # noqa: S608 - only question marks
        whole = _merge_bodies([body for (body,) in bodies])
        if whole is None:
            self.dropped += len(ids)
        else:
            self._insert(window_record(whole))
            self.merged += len(ids) - 1
        return True

    def _drop_oldest_window(self) -> bool:
        """The last resort: thousands of windows of different releases or restarts, none of which can be merged."""
        done = self._connection.execute(
            "DELETE FROM record WHERE id = (SELECT min(id) FROM record WHERE kind = 'window' AND NOT sent)"
        )
        self.dropped += done.rowcount
        return done.rowcount > 0


_PAGE_COUNTS: Final = ("page_count", "freelist_count")


def _merge_bodies(bodies: list[bytes]) -> TelemetryWindow | None:
    try:
        whole, *others = (codec.decode(TelemetryWindow, body) for body in bodies)
        for other in others:
            whole = merge(whole, other)
    except ContractError:
        return None
    return whole


class _Transaction:
    """All or nothing, also when the end itself fails."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error:
                self._roll_back()
                raise
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

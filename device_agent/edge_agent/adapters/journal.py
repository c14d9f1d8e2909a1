"""The journal: every transition of every deployment, and where the present one stands, in SQLite with full syncs."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from edge_agent.adapters.storage import storage
from edge_agent.core.updating import Ended, Standing, Transition
from edge_contracts.ids import DeploymentId, Digest
from edge_contracts.reasons import Reason

log = logging.getLogger(__name__)

JOURNAL_FILE: Final = "journal.db"
MAX_ROWS: Final = 10_000
"""Transitions kept; at a dozen for a deployment, some hundreds of deployments."""
MAX_REFUSALS: Final = 256

_TABLES: Final = """
create table if not exists standing (one integer primary key check (one = 1), body text not null);
create table if not exists transitions (id integer primary key, body text not null);
create table if not exists ended (deployment text primary key, at real not null, body text not null);
create table if not exists refused (id integer primary key, envelope text not null, reason text not null,
    at text not null, unique (envelope, reason));
"""


class SqliteJournal:
    """The updater's `Journal` in one file. Opening a damaged one sets it aside and begins a new one: what was
    committed is in the slots, and a device without a journal must still take updates. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Open or make the file at `path`.

        Raises:
            StorageFailed: it can be neither opened nor made.
        """
        self._path = path
        self._lock = threading.Lock()
        with storage(path, "opened"):
            try:
                self._connection = _open(path)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                log.error("the journal %s is damaged and set aside: %s", path, error)
                _set_aside(path)
                self._connection = _open(path)

    def standing(self) -> Standing:
        """See `Journal`."""
        with self._transaction("read") as connection:
            row = connection.execute("select body from standing").fetchone()
        try:
            return Standing.model_validate_json(row[0]) if row else Standing()
        except ValidationError as error:
            log.error("the standing in %s is not readable, the deployment is given up: %s", self._path, error)
            return Standing()

    def record(self, standing: Standing, rows: Sequence[Transition], ended: Ended | None = None) -> None:
        """See `Journal`."""
        with self._transaction("written") as connection:
            _put_standing(connection, standing)
            connection.executemany(
                "insert into transitions (body) values (?)", [(row.model_dump_json(),) for row in rows]
            )
            connection.execute("delete from transitions where id <= (select max(id) from transitions) - ?", (MAX_ROWS,))
            if ended is not None:
                connection.execute(
                    "insert or replace into ended (deployment, at, body) values (?, ?, ?)",
                    (ended.deployment, ended.at, ended.model_dump_json()),
                )
                connection.execute(
                    "delete from ended where deployment not in (select deployment from ended order by at desc limit ?)",
                    (MAX_ROWS // 10,),
                )

    def note(self, standing: Standing) -> None:
        """See `Journal`."""
        with self._transaction("written") as connection:
            _put_standing(connection, standing)

    def ended(self, deployment: DeploymentId) -> Ended | None:
        """See `Journal`."""
        with self._transaction("read") as connection:
            row = connection.execute("select body from ended where deployment = ?", (deployment,)).fetchone()
        return Ended.model_validate_json(row[0]) if row else None

    def first_refusal(self, envelope: Digest, reason: Reason, at: datetime) -> bool:
        """See `Journal`."""
        with self._transaction("written") as connection:
            done = connection.execute(
                "insert or ignore into refused (envelope, reason, at) values (?, ?, ?)",
                (envelope, reason.value, at.isoformat()),
            )
            connection.execute("delete from refused where id <= (select max(id) from refused) - ?", (MAX_REFUSALS,))
            return done.rowcount == 1

    def history(self, limit: int) -> tuple[Transition, ...]:
        """See `Journal`."""
        with self._transaction("read") as connection:
            rows = connection.execute("select body from transitions order by id desc limit ?", (limit,)).fetchall()
        return tuple(Transition.model_validate_json(body) for (body,) in reversed(rows))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def _transaction(self, doing: str) -> Iterator[sqlite3.Connection]:
        with self._lock, storage(self._path, doing), self._connection:
            yield self._connection


def _put_standing(connection: sqlite3.Connection, standing: Standing) -> None:
    connection.execute("insert or replace into standing (one, body) values (1, ?)", (standing.model_dump_json(),))


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, timeout=10.0)
    try:
        path.chmod(0o600)
        # PERSIST, not WAL: a full disk must not stop the journal from being opened, and rows can go where rows were.
        connection.execute("pragma journal_mode = persist")
        # FULL: a transition that was reported has reached the disk, also when the power is cut right after.
        connection.execute("pragma synchronous = full")
        if connection.execute("pragma quick_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("its quick check fails")
        connection.executescript(_TABLES)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _set_aside(path: Path) -> None:
    for suffix in ("", "-journal"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(path.with_name(f"{path.name}.damaged{suffix}"))

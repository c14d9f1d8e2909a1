"""The database: SQLite in WAL mode by default, any SQLAlchemy URL by configuration. Sessions, nothing about tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

import edge_fleet
from edge_fleet.errors import CannotStart, NoSpace, Unavailable

LOCK_TIMEOUT_SECONDS: Final = 15.0


class Database:
    """Transactions. `write` holds SQLite's one write lock from its first statement, so that a writer never has to
    repeat its reads; `read` sees one consistent snapshot."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self._write = sessionmaker(self.engine.execution_options(write=True), expire_on_commit=False)
        self._read = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction: committed when the block ends, rolled back when it raises.

        Raises:
            NoSpace: the disk is full; nothing was written.
            Unavailable: the lock was not free in time; repeat.
        """
        with _translated(), self._write.begin() as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One snapshot; rows read stay usable after the block."""
        with _translated(), self._read() as session:
            yield session

    def migrate(self) -> None:
        """Bring the tables up to this version; nothing to do when they are.

        Raises:
            NoSpace: the disk is full.
            CannotStart: the database does not answer, is damaged, or was made by a later version.
        """
        place = self.engine.url.render_as_string(hide_password=True)
        try:
            with _translated(), self.engine.execution_options(write=True).connect() as connection:
                command.upgrade(alembic_config(connection), "head")
                connection.commit()
        except CommandError as error:
            message = f"The database {place} was made by another version of the server: {error}"
            raise CannotStart("database-version", message, "Install that version or a later one.") from error
        except DatabaseError as error:
            message = f"The database {place} cannot be used: {' '.join(str(error.orig).split())}"
            hint = "Check that it is there and answers; restore a damaged one from a backup."
            raise CannotStart("database-unusable", message, hint) from error

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()


def sqlite_url(path: Path) -> str:
    """The URL of a database file."""
    return f"sqlite:///{path}"


def alembic_config(connection: Connection) -> Config:
    """Alembic's settings for the migrations that ship with this package, on an open connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(edge_fleet.__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url)
    engine = create_engine(url, connect_args={"timeout": LOCK_TIMEOUT_SECONDS}, pool_size=20, max_overflow=40)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver must not open transactions by itself: `_begin_sqlite` does. FULL, because a device frees a record
    # once the server has acknowledged it, so a commit must survive a power cut.
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("write") else "BEGIN")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        text = str(error.orig)
        if "disk is full" in text:
            raise NoSpace("disk-full", "The disk of the server is full", "Free space, then repeat.") from error
        if "locked" in text:
            raise Unavailable("database-busy", "The database was busy for too long", "Repeat the request.") from error
        raise

"""The record of deeds shows when somebody has changed it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from edge_fleet.adapters.database import Database, sqlite_url
from edge_fleet.records.identities import AuditRow
from edge_fleet.services import audit

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    one = Database(sqlite_url(tmp_path / "fleet.sqlite"))
    one.migrate()
    with one.write() as session:
        for minute in range(5):
            audit.record(session, NOON + timedelta(minutes=minute), "ada", "device.revoke", f"cam-{minute}", "why")
    yield one
    one.close()


def test_an_untouched_record_is_whole(database: Database) -> None:
    with database.read() as session:
        assert audit.first_broken_row(session) is None


@pytest.mark.parametrize(
    "change", [{"actor": "eve"}, {"subject": "cam-9"}, {"detail": ""}, {"at": NOON}, {"digest": "0" * 64}]
)
def test_a_changed_row_is_found(database: Database, change: dict[str, object]) -> None:
    with database.write() as session:
        session.execute(update(AuditRow).where(AuditRow.id == 3).values(**change))
    with database.read() as session:
        assert audit.first_broken_row(session) == 3


def test_a_missing_row_is_found_at_the_next_one(database: Database) -> None:
    with database.write() as session:
        session.execute(delete(AuditRow).where(AuditRow.id == 2))
    with database.read() as session:
        assert audit.first_broken_row(session) == 3


def test_a_deed_that_fails_leaves_no_record(database: Database) -> None:
    def deed() -> None:
        with database.write() as session:
            audit.record(session, NOON, "ada", "x", "y")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        deed()
    with database.read() as session:
        assert session.query(AuditRow).count() == 5

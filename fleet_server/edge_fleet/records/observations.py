"""Tables of what was observed: telemetry windows as they came, and the alerts drawn from them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from edge_contracts.ids import DeviceId, ModelName, VariantName
from edge_fleet.records.columns import Row


class WindowRow(Row):
    """A telemetry window: the encoded message, with the columns that are asked for beside it."""

    __tablename__ = "windows"
    __table_args__ = (
        UniqueConstraint("device", "boot", "sequence"),
        Index("ix_windows_release_start", "model", "version", "start"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    device: Mapped[DeviceId] = mapped_column(ForeignKey("devices.id"), index=True)
    boot: Mapped[str] = mapped_column(String(36))
    sequence: Mapped[int]
    model: Mapped[ModelName]
    version: Mapped[int]
    variant: Mapped[VariantName]
    slot: Mapped[str] = mapped_column(String(16))
    start: Mapped[datetime]
    end: Mapped[datetime]
    n: Mapped[int]
    errors: Mapped[int]
    received: Mapped[datetime]
    body: Mapped[bytes] = mapped_column(LargeBinary)


class AlertRow(Row):
    """Something a person should look at. `topic` names the one condition; at most one open alert has it."""

    __tablename__ = "alerts"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    topic: Mapped[str] = mapped_column(String(512), index=True)
    kind: Mapped[str] = mapped_column(String(256))
    severity: Mapped[str] = mapped_column(String(256))
    model: Mapped[ModelName | None]
    version: Mapped[int | None]
    devices: Mapped[tuple[str, ...]] = mapped_column(default=())
    group: Mapped[str | None] = mapped_column(String(256))
    features: Mapped[tuple[str, ...]] = mapped_column(default=())
    effect_name: Mapped[str | None] = mapped_column(String(256))
    effect: Mapped[float | None]
    evidence: Mapped[float | None]
    since: Mapped[datetime]
    raised: Mapped[datetime]
    message: Mapped[str]
    hint: Mapped[str] = mapped_column(default="")
    acknowledged: Mapped[bool] = mapped_column(default=False)
    acknowledged_by: Mapped[str | None] = mapped_column(String(256))

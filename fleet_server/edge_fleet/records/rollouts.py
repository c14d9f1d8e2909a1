"""Tables of rollouts: the plan and where it stands, each device's deployment, and what the devices reported."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from edge_contracts.assignments import Kind
from edge_contracts.ids import DeploymentId, DeviceId, ModelName
from edge_contracts.lifecycle import Outcome, State
from edge_contracts.operations import NewRollout, RolloutState
from edge_contracts.reasons import Reason
from edge_fleet.records.columns import ModelColumn, Row


class RolloutRow(Row):
    """A rollout. `revision` grows with every change: the scheduler acts by compare-and-set on it."""

    __tablename__ = "rollouts"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[ModelName]
    version: Mapped[int]
    plan: Mapped[NewRollout] = mapped_column(ModelColumn(NewRollout))
    state: Mapped[RolloutState] = mapped_column(index=True)
    wave: Mapped[int] = mapped_column(default=0)
    wave_started: Mapped[datetime | None]
    wave_settled: Mapped[datetime | None]
    """When the present wave had reported enough to be judged; its bake time runs from here."""
    changed: Mapped[datetime]
    """When it came into its state."""
    reason: Mapped[str] = mapped_column(default="")
    created: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(256))
    updated: Mapped[datetime]
    revision: Mapped[int] = mapped_column(default=0)


class DeploymentRow(Row):
    """A device's share of a rollout. `open` is true from its assignment to its outcome: at most one per device.

    A rollout that is rolled back adds a second row of kind `revert` for each device that had committed.
    """

    __tablename__ = "deployments"
    __table_args__ = (
        UniqueConstraint("rollout", "device", "kind"),
        Index(
            "uq_deployments_one_open_per_device",
            "device",
            unique=True,
            sqlite_where=text("open"),
            postgresql_where=text("open"),
        ),
    )

    id: Mapped[DeploymentId] = mapped_column(primary_key=True)
    rollout: Mapped[str] = mapped_column(ForeignKey("rollouts.id"), index=True)
    device: Mapped[DeviceId] = mapped_column(ForeignKey("devices.id"), index=True)
    kind: Mapped[Kind]
    wave: Mapped[int]
    open: Mapped[bool] = mapped_column(default=False)
    assigned: Mapped[datetime | None]
    state: Mapped[State | None]
    outcome: Mapped[Outcome | None]
    reason: Mapped[Reason | None]
    detail: Mapped[str] = mapped_column(default="")
    progress: Mapped[float | None]
    forgiven: Mapped[bool] = mapped_column(default=False)
    """An operator resumed the rollout knowing of this failure: it is not judged again."""
    updated: Mapped[datetime]


class DeploymentReportRow(Row):
    """A transition as a device reported it; (device, boot, sequence) makes it count once."""

    __tablename__ = "deployment_reports"
    __table_args__ = (UniqueConstraint("device", "boot", "sequence"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    device: Mapped[DeviceId]
    boot: Mapped[str] = mapped_column(String(36))
    sequence: Mapped[int]
    deployment: Mapped[DeploymentId] = mapped_column(index=True)
    at: Mapped[datetime]
    received: Mapped[datetime]
    state: Mapped[State]
    outcome: Mapped[Outcome | None]
    reason: Mapped[Reason | None]
    detail: Mapped[str] = mapped_column(default="")

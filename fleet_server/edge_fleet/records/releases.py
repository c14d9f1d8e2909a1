"""Tables of what may run and what shall run: releases, their artifacts, and the assignment each device holds."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from edge_contracts.assignments import Assignment
from edge_contracts.ids import DeploymentId, DeviceId, Digest, ModelName, VariantName
from edge_fleet.records.columns import ModelColumn, Row
from edge_fleet.records.identities import DeviceRow


class MetadataRow(Row):
    """A file of the signed repository as it must be: every root, and the current targets, snapshot and timestamp.

    The database is the truth; the files are written from it, and again at every start.
    """

    __tablename__ = "metadata"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    role: Mapped[str] = mapped_column(String(16), index=True)
    version: Mapped[int]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    expires: Mapped[datetime]


class TargetRow(Row):
    """A small target (the director's key) by its path; manifests are in their releases."""

    __tablename__ = "targets"

    path: Mapped[str] = mapped_column(String(256), primary_key=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class ReleaseRow(Row):
    """A published release with the exact manifest bytes the publisher signed."""

    __tablename__ = "releases"

    model: Mapped[ModelName] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    manifest: Mapped[bytes] = mapped_column(LargeBinary)
    published: Mapped[datetime]
    published_by: Mapped[str] = mapped_column(String(256))
    targets_version: Mapped[int]


class ArtifactRow(Row):
    """One variant's ciphertext. `sealed_key` opens it and is itself sealed under the key-encryption key."""

    __tablename__ = "artifacts"
    __table_args__ = (ForeignKeyConstraint(["model", "version"], ["releases.model", "releases.version"]),)

    model: Mapped[ModelName] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    variant: Mapped[VariantName] = mapped_column(primary_key=True)
    digest: Mapped[Digest] = mapped_column(index=True)
    length: Mapped[int] = mapped_column(BigInteger)
    sealed_key: Mapped[bytes] = mapped_column(LargeBinary(128))


class AssignmentRow(Row):
    """What a device shall run now: one row per device, replaced by the next assignment.

    `announced` turns true once the broker holds the hint for this counter (an outbox).
    """

    __tablename__ = "assignments"

    device: Mapped[DeviceId] = mapped_column(ForeignKey(DeviceRow.id), primary_key=True)
    deployment: Mapped[DeploymentId]
    counter: Mapped[int]
    statement: Mapped[Assignment] = mapped_column(ModelColumn(Assignment))
    announced: Mapped[bool] = mapped_column(default=False, index=True)

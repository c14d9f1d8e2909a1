"""Tables of who is who: operator tokens, enrolment tokens, devices, their certificates, and the record of deeds."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from edge_contracts.ids import DeviceId, ProfileName
from edge_contracts.lifecycle import State
from edge_contracts.messages import RunningRelease
from edge_fleet.records.columns import ModelColumn, Row


class OperatorTokenRow(Row):
    """A person's or job's right to call. Only the SHA-256 of the secret is kept; it has 256 random bits."""

    __tablename__ = "operator_tokens"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(256))
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[tuple[str, ...]]
    created: Mapped[datetime]
    expires: Mapped[datetime]


class EnrolmentTokenRow(Row):
    """The right of `uses_left` devices to become members of the fleet."""

    __tablename__ = "enrolment_tokens"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    uses_left: Mapped[int]
    profile: Mapped[ProfileName | None]
    labels: Mapped[dict[str, str]]
    allow_reenrolment: Mapped[bool]
    created_by: Mapped[str] = mapped_column(String(256))
    created: Mapped[datetime]
    expires: Mapped[datetime]


class DeviceRow(Row):
    """A device: who it is, and where it stood when last heard of. `counter` is that of its latest assignment."""

    __tablename__ = "devices"

    id: Mapped[DeviceId] = mapped_column(primary_key=True)
    profile: Mapped[ProfileName] = mapped_column(index=True)
    labels: Mapped[dict[str, str]]
    hpke_public_key: Mapped[bytes] = mapped_column(LargeBinary(32))
    enrolled: Mapped[datetime]
    revoked: Mapped[datetime | None]
    counter: Mapped[int] = mapped_column(default=0)

    connected: Mapped[bool] = mapped_column(default=False)
    last_seen: Mapped[datetime | None]
    boot: Mapped[str | None] = mapped_column(String(36))
    state: Mapped[State | None]
    running: Mapped[RunningRelease | None] = mapped_column(ModelColumn(RunningRelease))
    agent_version: Mapped[str | None] = mapped_column(String(256))
    engines: Mapped[tuple[str, ...]] = mapped_column(default=())
    rss_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    inferences: Mapped[int] = mapped_column(BigInteger, default=0)
    spool_bytes: Mapped[int] = mapped_column(BigInteger, default=0)


class CertificateRow(Row):
    """A certificate issued to a device. The same token with the same key gets the same certificate again."""

    __tablename__ = "certificates"
    __table_args__ = (UniqueConstraint("token", "key_digest"),)

    serial: Mapped[str] = mapped_column(String(40), primary_key=True)
    device: Mapped[DeviceId] = mapped_column(ForeignKey("devices.id"), index=True)
    token: Mapped[str] = mapped_column(ForeignKey("enrolment_tokens.id"))
    key_digest: Mapped[str] = mapped_column(String(64))
    pem: Mapped[str]
    issued: Mapped[datetime]
    expires: Mapped[datetime]
    revoked: Mapped[datetime | None]


class AuditRow(Row):
    """Who did what, when. `digest` covers the row and the digest before it, so that a changed row shows."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(256))
    action: Mapped[str] = mapped_column(String(256))
    subject: Mapped[str] = mapped_column(String(256))
    detail: Mapped[str]
    digest: Mapped[str] = mapped_column(String(64), unique=True)

"""The fleet in numbers: devices by status, hardware profile and running release."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from edge_contracts.ids import ProfileName
from edge_contracts.operations import DeviceStatus
from edge_fleet.records.identities import DeviceRow
from edge_fleet.records.observations import AlertRow


@dataclass(frozen=True)
class Overview:
    """Counts of devices; a running release is named `model version`."""

    statuses: Mapping[DeviceStatus, int]
    by_profile: Mapping[ProfileName, Mapping[DeviceStatus, int]]
    by_release: Mapping[str, int]
    fallbacks: int
    open_alerts: int

    @property
    def devices(self) -> int:
        """All that are enrolled and not revoked."""
        return sum(count for status, count in self.statuses.items() if status is not DeviceStatus.REVOKED)


def overview(session: Session, silent_before: datetime) -> Overview:
    """The fleet at this moment. Not heard of since `silent_before`: silent."""
    status = status_column(silent_before)
    statuses: Counter[DeviceStatus] = Counter()
    by_profile: defaultdict[ProfileName, Counter[DeviceStatus]] = defaultdict(Counter)
    grouped = select(DeviceRow.profile, status, func.count()).group_by(DeviceRow.profile, status)
    for profile, word, count in session.execute(grouped):
        statuses[DeviceStatus(word)] += count
        by_profile[profile][DeviceStatus(word)] += count
    by_release, fallbacks = _running(session)
    return Overview(
        statuses=statuses,
        by_profile=dict(sorted(by_profile.items())),
        by_release=dict(by_release.most_common()),
        fallbacks=fallbacks,
        open_alerts=session.scalar(select(func.count()).select_from(AlertRow).where(~AlertRow.acknowledged)) or 0,
    )


def status_column(silent_before: datetime) -> ColumnElement[str]:
    """`devices.status` inside the database, as its word."""
    return case(
        (DeviceRow.revoked.is_not(None), DeviceStatus.REVOKED.value),
        (DeviceRow.last_seen.is_(None), DeviceStatus.NEVER_SEEN.value),
        (DeviceRow.connected & (DeviceRow.last_seen >= silent_before), DeviceStatus.ONLINE.value),
        else_=DeviceStatus.SILENT.value,
    )


def _running(session: Session) -> tuple[Counter[str], int]:
    by_release: Counter[str] = Counter()
    fallbacks = 0
    for running in session.scalars(select(DeviceRow.running).where(DeviceRow.revoked.is_(None))):
        by_release[f"{running.model} {running.version}" if running else "none"] += 1
        fallbacks += bool(running and running.fallback)
    return by_release, fallbacks

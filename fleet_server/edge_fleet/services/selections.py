"""Which devices a rollout takes: those its selector matches, that can run it, and that no other rollout holds."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from edge_contracts.ids import DeviceId, ProfileName
from edge_contracts.manifest import Manifest
from edge_contracts.operations import Selector
from edge_fleet.domain.rollouts import ACTIVE
from edge_fleet.errors import Conflict, Rejected
from edge_fleet.records.identities import DeviceRow
from edge_fleet.records.rollouts import DeploymentRow, RolloutRow


@dataclass(frozen=True)
class Selection:
    """The devices with their profiles, and how many matched but have no variant in the release, by profile."""

    devices: dict[DeviceId, ProfileName]
    left_out: dict[ProfileName, int]


def select_devices(session: Session, selector: Selector, manifest: Manifest) -> Selection:
    """The devices that match now.

    Raises:
        Rejected: none is left, or one that was named is unknown or has no variant in the release.
        Conflict: another rollout that has not ended holds one of them.
    """
    rows = [row for row in _matching(session, selector) if selector.labels.items() <= row.labels.items()]
    _check_named(selector, rows, manifest)
    devices = {row.id: row.profile for row in rows if manifest.for_profile(row.profile)}
    left_out: dict[ProfileName, int] = {}
    for row in rows:
        if row.id not in devices:
            left_out[row.profile] = left_out.get(row.profile, 0) + 1
    if not devices:
        profiles = ", ".join(sorted({variant.profile for variant in manifest.variants}))
        raise Rejected(
            "selection-empty",
            f"No device matches that could run {manifest.model} {manifest.version} (it is made for: {profiles})",
            "Widen the selector, or enrol devices of these profiles.",
        )
    _check_free(session, devices)
    return Selection(devices, left_out)


def _matching(session: Session, selector: Selector) -> list[DeviceRow]:
    query = select(DeviceRow).where(DeviceRow.revoked.is_(None))
    if selector.profiles:
        query = query.where(DeviceRow.profile.in_(selector.profiles))
    if selector.devices:
        query = query.where(DeviceRow.id.in_(selector.devices))
    return list(session.scalars(query))


def _check_named(selector: Selector, rows: list[DeviceRow], manifest: Manifest) -> None:
    found = {row.id: row.profile for row in rows}
    for device in selector.devices:
        if device not in found:
            raise Rejected(
                "device-not-selectable",
                f"{device} is not enrolled, is revoked, or does not match the other conditions",
                "See `edge-sdk devices list`.",
            )
        if not manifest.for_profile(found[device]):
            raise Rejected(
                "release-incompatible",
                f"{manifest.model} {manifest.version} has no variant for {device} ({found[device]})",
                "Convert the model for this profile and publish a new release.",
            )


def _check_free(session: Session, devices: dict[DeviceId, ProfileName]) -> None:
    held = session.execute(
        select(DeploymentRow.device, DeploymentRow.rollout)
        .join(RolloutRow, RolloutRow.id == DeploymentRow.rollout)
        .where(RolloutRow.state.in_(ACTIVE))
    )
    for device, rollout in held:
        if device in devices:
            raise Conflict(
                "device-in-rollout",
                f"{device} is in rollout {rollout}, which has not ended",
                f"Wait for {rollout}, abort it, or select other devices.",
            )

"""Assignments: makes the director's statement for a device, keeps it, and hands it out fresh.

The statement is stored; it is signed whenever it is handed out, so that it never lies about expired on a shelf.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from securesystemslib.signer import Signer
from sqlalchemy.orm import Session

from edge_contracts.assignments import Assignment, Kind, WrappedKey, sign_assignment
from edge_contracts.ids import DeploymentId, DeviceId, Digest, ModelName, TenantId, VariantName
from edge_contracts.keywrap import wrap_key
from edge_contracts.manifest import Variant, read_manifest
from edge_fleet.domain.variants import choose_variant
from edge_fleet.errors import Conflict, NotFound, Rejected
from edge_fleet.records.identities import DeviceRow
from edge_fleet.records.releases import ArtifactRow, AssignmentRow, ReleaseRow


class Vault(Protocol):
    """Opens and closes stored artifact keys (a file here, a key management service elsewhere)."""

    def seal(self, key: bytes, artifact: Digest) -> bytes:
        """The key as it may be stored."""

    def open(self, sealed: bytes, artifact: Digest) -> bytes:
        """The key again. Raises FleetError when it was sealed otherwise."""


class Assignments:
    """What each device shall run. Every method works in the caller's transaction."""

    def __init__(self, tenant: TenantId, director: Signer, vault: Vault, lifetime: timedelta) -> None:
        self._tenant = tenant
        self._director = director
        self._vault = vault
        self._lifetime = lifetime

    def assign(
        self,
        session: Session,
        *,
        device: DeviceId,
        deployment: DeploymentId,
        model: ModelName,
        version: int,
        now: datetime,
        kind: Kind = Kind.INSTALL,
        probation_seconds: float = 600.0,
        probation_inferences: int = 0,
    ) -> Assignment:
        """From the commit on, `device` shall run this release; replaces its earlier assignment. The hint over MQTT
        follows by itself.

        Raises:
            NotFound: no such device or release.
            Conflict: the device is revoked.
            Rejected: release-incompatible, when no variant fits its profile and engines.
        """
        row = _device(session, device)
        release = session.get(ReleaseRow, (model, version))
        if release is None:
            raise NotFound("release-unknown", f"There is no release {model} {version}", "Publish it first.")
        variant = _variant(release, row)
        row.counter += 1
        assignment = Assignment(
            tenant=self._tenant,
            device=device,
            deployment=deployment,
            kind=kind,
            model=model,
            version=version,
            variant=variant.name,
            counter=row.counter,
            nonce=secrets.token_hex(16),
            issued=now,
            expires=now + self._lifetime,
            wrapped_key=self._wrap(session, row, release, variant.name) if kind is Kind.INSTALL else None,
            probation_seconds=probation_seconds,
            probation_inferences=probation_inferences,
        )
        session.merge(_as_row(assignment))
        session.flush()
        return assignment

    def withdraw(self, session: Session, device: DeviceId, deployment: DeploymentId) -> bool:
        """The device is no longer assigned this deployment; False if it was not (any more)."""
        row = session.get(AssignmentRow, device)
        if row is None or row.deployment != deployment:
            return False
        session.delete(row)
        session.flush()
        return True

    def current(self, session: Session, device: DeviceId) -> AssignmentRow | None:
        """The device's assignment as stored."""
        return session.get(AssignmentRow, device)

    def is_stale(self, row: AssignmentRow, now: datetime) -> bool:
        """Whether it must be renewed before it is handed out: over half of its time has passed."""
        return now >= row.statement.expires - self._lifetime / 2

    def renew(self, session: Session, device: DeviceId, now: datetime) -> AssignmentRow | None:
        """The same statement with the same counter and a later expiry; needs a write transaction."""
        row = session.get(AssignmentRow, device)
        if row is not None and self.is_stale(row, now):
            fresh = {"issued": now, "expires": now + self._lifetime, "nonce": secrets.token_hex(16)}
            row.statement = row.statement.model_copy(update=fresh)
            session.flush()
        return row

    def sign(self, row: AssignmentRow) -> bytes:
        """The envelope for the device."""
        return sign_assignment(row.statement, self._director)

    def _wrap(self, session: Session, device: DeviceRow, release: ReleaseRow, variant: VariantName) -> WrappedKey:
        artifact = session.get(ArtifactRow, (release.model, release.version, variant))
        assert artifact is not None, "a release is published with an artifact for each of its variants"
        key = self._vault.open(artifact.sealed_key, artifact.digest)
        public = X25519PublicKey.from_public_bytes(device.hpke_public_key)
        return WrappedKey(ciphertext=wrap_key(key, public, device.id, artifact.digest))


def _device(session: Session, device: DeviceId) -> DeviceRow:
    # Locked where the database locks rows: two assignments at once must not share a counter.
    row = session.get(DeviceRow, device, with_for_update=True)
    if row is None:
        raise NotFound("device-unknown", f"There is no device {device}", "See `edge-sdk devices list`.")
    if row.revoked is not None:
        raise Conflict("device-revoked", f"{device} is revoked", "Enrol it anew to give it a release.")
    return row


def _variant(release: ReleaseRow, device: DeviceRow) -> Variant:
    variant = choose_variant(read_manifest(release.manifest), device.profile, device.engines)
    if variant is None:
        engines = ", ".join(device.engines) or "not reported"
        raise Rejected(
            "release-incompatible",
            f"{release.model} {release.version} has no variant for {device.id} ({device.profile}; engines: {engines})",
            "Convert the model for this profile and publish a new release.",
        )
    return variant


def _as_row(assignment: Assignment) -> AssignmentRow:
    return AssignmentRow(
        device=assignment.device,
        deployment=assignment.deployment,
        counter=assignment.counter,
        statement=assignment,
        announced=False,
    )

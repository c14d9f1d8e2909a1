"""Enrolment: who becomes a device of this fleet, under which name, and who no longer is one."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from edge_contracts.api import EnrolmentRequest, EnrolmentResponse
from edge_contracts.ids import DeviceId, Digest, ProfileName, TenantId
from edge_contracts.keywrap import wrap_key
from edge_contracts.operations import EnrolmentOffer, NewEnrolmentToken
from edge_fleet.addresses import Addresses
from edge_fleet.domain.signing_requests import key_digest, read_public_key
from edge_fleet.errors import Conflict, Forbidden, NotFound, Rejected, Unauthenticated
from edge_fleet.ports import Clock, Transactions
from edge_fleet.records.identities import CertificateRow, DeviceRow, EnrolmentTokenRow
from edge_fleet.records.releases import AssignmentRow
from edge_fleet.services import audit
from edge_fleet.services.changes import Changes
from edge_fleet.services.tokens import hash_secret

_HINT_TOKEN: Final = "Ask the operator for a new one: `edge-sdk devices token`."  # noqa: S105 - a sentence
MAX_LABEL: Final = 256


class Issuer(Protocol):
    """The certificate authority."""

    @property
    def pem(self) -> str:
        """Its certificate."""

    def issue_device(
        self, tenant: TenantId, device: DeviceId, key: ec.EllipticCurvePublicKey, now: datetime, lifetime: timedelta
    ) -> x509.Certificate:
        """A client certificate with the device as common name."""


class Gatekeeper(Protocol):
    """What keeps revoked devices out of the broker."""

    def shut_out(self, devices: tuple[DeviceId, ...], certificates: tuple[tuple[int, datetime], ...]) -> None:
        """From now on exactly these may not come in; those inside are silenced."""


class Enrolment:
    """Tokens, identities and their end."""

    def __init__(
        self,
        database: Transactions,
        clock: Clock,
        changes: Changes,
        issuer: Issuer,
        gatekeeper: Gatekeeper,
        tenant: TenantId,
        addresses: Addresses,
        lifetime: timedelta,
    ) -> None:
        self._database = database
        self._clock = clock
        self._changes = changes
        self._issuer = issuer
        self._gatekeeper = gatekeeper
        self._tenant = tenant
        self._addresses = addresses
        self._lifetime = lifetime

    def offer(self, request: NewEnrolmentToken, actor: str) -> EnrolmentOffer:
        """A new token with all a device needs but the owner's root. The token is in the answer and nowhere else."""
        now = self._clock()
        secret = "en_" + secrets.token_urlsafe(32)
        expires = now + timedelta(seconds=request.valid_seconds)
        row = EnrolmentTokenRow(
            id=secrets.token_hex(16),
            secret_hash=hash_secret(secret),
            uses_left=request.uses,
            profile=request.profile,
            labels=request.labels,
            allow_reenrolment=request.allow_reenrolment,
            created_by=actor,
            created=now,
            expires=expires,
        )
        with self._database.write() as session:
            session.add(row)
            detail = f"{request.uses} uses, profile {request.profile or 'any'}, until {expires:%Y-%m-%d %H:%M} UTC"
            audit.record(session, now, actor, "enrolment-token.create", row.id, detail)
        return EnrolmentOffer(
            server=self._addresses.device_url,
            tenant=self._tenant,
            token=secret,
            ca=self._issuer.pem,
            expires=expires,
        )

    def enrol(self, request: EnrolmentRequest) -> EnrolmentResponse:
        """The identity of a new device. The same token with the same key gets the same answer again.

        Raises:
            Unauthenticated: the token is unknown, expired or used up.
            Rejected: the request or its keys are not acceptable.
            Conflict: the name belongs to a device, and the token does not allow to replace it.
        """
        # 1. keys that can be used
        key = read_public_key(request.csr)
        _check_hpke_key(request.hpke_public_key)
        now = self._clock()
        with self._database.write() as session:
            # 2. a token of ours
            token = _find_token(session, request.token)
            # 3. a repeated request is answered as before, so that a lost answer costs no device its identity
            issued = _already_issued(session, token, key_digest(key))
            if issued is None:
                _spend(session, token, request.profile, now)
                issued = self._admit(session, token, request, key, now)
        if token.allow_reenrolment:
            self.enforce()
        self._changes.notify("devices", "audit")
        return self._response(issued)

    def revoke(self, device: DeviceId, actor: str) -> DeviceRow:
        """The device is out: no request, no message, no key is taken from or given to it any more. Idempotent.

        Raises:
            NotFound: no such device.
        """
        now = self._clock()
        with self._database.write() as session:
            row = session.get(DeviceRow, device)
            if row is None:
                raise NotFound("device-unknown", f"There is no device {device}", "See `edge-sdk devices list`.")
            if row.revoked is None:
                row.revoked = now
                row.connected = False
                _end_identity(session, device, now)
                audit.record(session, now, actor, "device.revoke", device)
        self.enforce()
        self._changes.notify("devices", "audit")
        return row

    def enforce(self) -> None:
        """Tell the gatekeeper who is out, from the database. Called after every change and at start."""
        with self._database.read() as session:
            devices = session.scalars(select(DeviceRow.id).where(DeviceRow.revoked.is_not(None))).all()
            revoked = CertificateRow.revoked.is_not(None)
            certificates = session.execute(select(CertificateRow.serial, CertificateRow.revoked).where(revoked)).all()
        serials = tuple((int(serial, 16), at) for serial, at in certificates if at is not None)
        self._gatekeeper.shut_out(tuple(devices), serials)

    def _admit(
        self,
        session: Session,
        token: EnrolmentTokenRow,
        request: EnrolmentRequest,
        key: ec.EllipticCurvePublicKey,
        now: datetime,
    ) -> CertificateRow:
        device = request.name or _new_name(request.profile)
        labels = _labels(request.labels, token.labels)
        row = session.get(DeviceRow, device)
        if row is None:
            row = DeviceRow(id=device, enrolled=now)
            session.add(row)
        else:
            _must_be_replaceable(row, token)
            _end_identity(session, device, now)
        row.profile, row.labels, row.hpke_public_key = request.profile, labels, request.hpke_public_key
        row.enrolled, row.revoked = now, None
        session.flush()
        certificate = self._issuer.issue_device(self._tenant, device, key, now, self._lifetime)
        issued = CertificateRow(
            serial=f"{certificate.serial_number:x}",
            device=device,
            token=token.id,
            key_digest=key_digest(key),
            pem=certificate.public_bytes(Encoding.PEM).decode(),
            issued=now,
            expires=certificate.not_valid_after_utc,
        )
        session.add(issued)
        audit.record(session, now, f"token {token.id}", "device.enrol", device, f"profile {request.profile}")
        return issued

    def _response(self, issued: CertificateRow) -> EnrolmentResponse:
        return EnrolmentResponse(
            tenant=self._tenant,
            device=issued.device,
            certificate=issued.pem,
            ca=self._issuer.pem,
            mqtt_host=self._addresses.mqtt_host,
            mqtt_port=self._addresses.mqtt_port,
        )


def identify(session: Session, serial: int, device: str, now: datetime) -> DeviceRow:
    """The device whose certificate this is; TLS has verified that our authority issued it, when the connection began.

    Raises:
        Unauthenticated: not a device's certificate, expired, or replaced by a newer one.
        Forbidden: the device is revoked.
    """
    certificate = session.get(CertificateRow, f"{serial:x}")
    if certificate is None or certificate.device != device:
        message = "The certificate shown is not one of a device of this fleet"
        raise Unauthenticated("certificate-unknown", message, "Enrol the device.")
    row = session.get(DeviceRow, certificate.device)
    assert row is not None, "a certificate refers to its device"
    if row.revoked is not None:
        raise Forbidden("device-revoked", f"The device {device} is revoked", "Ask the operator.")
    if certificate.revoked is not None:
        message = f"A newer identity has taken the place of this certificate of {device}"
        raise Unauthenticated("certificate-replaced", message, "Enrol the device anew.")
    if now >= certificate.expires:
        message = f"The certificate of {device} expired at {certificate.expires:%Y-%m-%d %H:%M} UTC"
        raise Unauthenticated("certificate-expired", message, "Enrol the device anew.")
    return row


def _find_token(session: Session, secret: str) -> EnrolmentTokenRow:
    row = session.scalar(select(EnrolmentTokenRow).where(EnrolmentTokenRow.secret_hash == hash_secret(secret)))
    if row is None:
        raise Unauthenticated("enrolment-token-unknown", "The enrolment token is not known here", _HINT_TOKEN)
    return row


def _already_issued(session: Session, token: EnrolmentTokenRow, key: str) -> CertificateRow | None:
    same = (CertificateRow.token == token.id) & (CertificateRow.key_digest == key)
    issued = session.scalar(select(CertificateRow).where(same))
    if issued is not None and issued.revoked is not None:
        raise Forbidden("certificate-revoked", f"The identity {issued.device} of this key has ended", _HINT_TOKEN)
    return issued


def _spend(session: Session, token: EnrolmentTokenRow, profile: ProfileName, now: datetime) -> None:
    if now >= token.expires:
        message = f"The enrolment token expired at {token.expires:%Y-%m-%d %H:%M} UTC"
        raise Unauthenticated("enrolment-token-expired", message, _HINT_TOKEN)
    if token.profile is not None and token.profile != profile:
        message = f"The enrolment token is for the profile {token.profile}, not {profile}"
        raise Forbidden("enrolment-token-profile", message, _HINT_TOKEN)
    # One statement decides, so that two devices never share the last use, whatever the database.
    left = (EnrolmentTokenRow.id == token.id) & (EnrolmentTokenRow.uses_left > 0)
    one_less = update(EnrolmentTokenRow).where(left).values(uses_left=EnrolmentTokenRow.uses_left - 1)
    if session.scalar(one_less.returning(EnrolmentTokenRow.id)) is None:
        raise Unauthenticated("enrolment-token-used", "The enrolment token is used up", _HINT_TOKEN)


def _must_be_replaceable(row: DeviceRow, token: EnrolmentTokenRow) -> None:
    if token.allow_reenrolment:
        return
    state = "live" if row.revoked is None else "revoked"
    message = f"The name {row.id} belongs to a {state} device"
    raise Conflict("identity-exists", message, "Choose another name, or ask for a token that allows re-enrolment.")


def _end_identity(session: Session, device: DeviceId, now: datetime) -> None:
    """Its certificates end, and the assignment whose key was wrapped to it."""
    live = (CertificateRow.device == device) & CertificateRow.revoked.is_(None)
    session.execute(update(CertificateRow).where(live).values(revoked=now))
    session.execute(delete(AssignmentRow).where(AssignmentRow.device == device))


def _labels(asked: dict[str, str], given: dict[str, str]) -> dict[str, str]:
    """What the operator put into the token wins over what the device says of itself."""
    labels = {**asked, **given}
    if any(len(key) > MAX_LABEL or len(value) > MAX_LABEL for key, value in labels.items()):
        raise Rejected("label-too-long", f"A label has more than {MAX_LABEL} characters", "Shorten it.")
    return labels


def _new_name(profile: ProfileName) -> DeviceId:
    return DeviceId(f"{profile[:48]}-{secrets.token_hex(4)}")


def _check_hpke_key(public: bytes) -> None:
    try:
        wrap_key(bytes(32), X25519PublicKey.from_public_bytes(public), DeviceId("probe"), Digest.of(b""))
    except ValueError as error:
        message = "Nothing can be encrypted to the HPKE public key"
        raise Rejected("hpke-key-invalid", message, "Send a fresh X25519 public key, 32 raw bytes.") from error

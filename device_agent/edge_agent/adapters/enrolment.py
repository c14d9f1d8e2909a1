"""Enrolment: a ticket becomes an identity. It may be interrupted and repeated at any point.

The keys are on disk before the request is sent, and `identity.json` is written last. A repeated request carries the
same key and token, and the server answers it with the same certificate.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from edge_agent.adapters.durable import private_folder, write_durably
from edge_agent.adapters.identity import (
    CA_FILE,
    CERTIFICATE_FILE,
    FOLDER,
    HPKE_FILE,
    KEY_FILE,
    RECORD_FILE,
    ROOT_FILE,
    Identity,
    IdentityRecord,
    load_identity,
)
from edge_agent.ports import AgentError
from edge_contracts.api import ENROL_PATH, EnrolmentRequest, EnrolmentResponse, EnrolmentTicket, Problem
from edge_contracts.ids import DeviceId, ProfileName

MAX_TICKET_BYTES: Final = 1024 * 1024
MAX_ANSWER_BYTES: Final = 1024 * 1024
_TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)


class EnrolmentFailed(AgentError):
    """The device has no identity yet. Reaction: show the sentence and the hint; the same call may be repeated."""


def enrol(
    ticket_path: Path,
    state_dir: Path,
    *,
    profile: ProfileName,
    name: DeviceId | None = None,
    labels: Mapping[str, str] | None = None,
) -> Identity:
    """The device's identity, asked of the server that the ticket names. An enrolled device keeps the one it has.

    `name` is the id the device would like; the server may choose another. Idempotent and resumable.

    Raises:
        EnrolmentFailed: the ticket is unreadable or expired, the server is unreachable or refuses, the disk is full.
        IdentityBroken: an identity is there and not readable.
    """
    identity = load_identity(state_dir)
    if identity is not None:
        return identity
    ticket = read_ticket(ticket_path)
    try:
        return _enrol(ticket, state_dir / FOLDER, profile, name, dict(labels or {}))
    except OSError as error:
        raise EnrolmentFailed(
            f"the identity cannot be written to {state_dir}: {error.strerror}",
            "Free space or change the folder's owner, then enrol again with the same ticket.",
        ) from error


def _enrol(
    ticket: EnrolmentTicket, folder: Path, profile: ProfileName, name: DeviceId | None, labels: dict[str, str]
) -> Identity:
    private_folder(folder)
    key, hpke = _identity_key(folder / KEY_FILE), _hpke_key(folder / HPKE_FILE)
    request = EnrolmentRequest(
        token=ticket.token,
        csr=_signing_request(key),
        hpke_public_key=hpke.public_key().public_bytes_raw(),
        profile=profile,
        name=name,
        labels=labels,
    )
    response = _ask(ticket, request)
    certificate = _checked_certificate(response, ticket, key)
    record = IdentityRecord(
        tenant=response.tenant,
        device=response.device,
        profile=profile,
        server=ticket.server,
        mqtt_host=response.mqtt_host,
        mqtt_port=response.mqtt_port,
        enrolled=certificate.not_valid_before_utc,
    )
    _store(folder, response, ticket, record)
    return Identity(record, folder, ticket.root.encode(), hpke)


def read_ticket(path: Path) -> EnrolmentTicket:
    """The ticket in the file at `path`.

    Raises:
        EnrolmentFailed: missing, unreadable or expired.
    """
    try:
        with path.open("rb") as file:
            ticket = EnrolmentTicket.model_validate_json(file.read(MAX_TICKET_BYTES))
    except OSError as error:
        raise EnrolmentFailed(f"the ticket {path} cannot be read: {error.strerror}", "Check the path.") from error
    except ValidationError as error:
        raise EnrolmentFailed(
            f"{path} is not an enrolment ticket: {error.errors()[0]['msg']}",
            "Make one with `edge-sdk devices token` and copy the whole file.",
        ) from error
    if ticket.expires <= datetime.now(UTC):
        raise EnrolmentFailed(
            f"the ticket {path} expired at {ticket.expires:%Y-%m-%d %H:%M} UTC",
            "Make a new one with `edge-sdk devices token`; if it should be valid, set this device's clock.",
        )
    return ticket


def _identity_key(path: Path) -> ec.EllipticCurvePrivateKey:
    if path.exists():
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), None)
        except ValueError as error:
            raise _unreadable(path) from error
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key
        raise _unreadable(path)
    made = ec.generate_private_key(ec.SECP256R1())
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_durably(path, pem)
    return made


def _hpke_key(path: Path) -> X25519PrivateKey:
    if path.exists():
        try:
            return X25519PrivateKey.from_private_bytes(path.read_bytes())
        except ValueError as error:
            raise _unreadable(path) from error
    made = X25519PrivateKey.generate()
    write_durably(path, made.private_bytes_raw())
    return made


def _unreadable(path: Path) -> EnrolmentFailed:
    return EnrolmentFailed(f"{path} does not hold the device's key", "Remove the file and enrol with a new ticket.")


def _signing_request(key: ec.EllipticCurvePrivateKey) -> str:
    """A request without a wish for a subject: the server decides who the device is."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _ask(ticket: EnrolmentTicket, request: EnrolmentRequest) -> EnrolmentResponse:
    try:
        pinned = ssl.create_default_context(cadata=ticket.ca)
        with (
            httpx.Client(verify=pinned, timeout=_TIMEOUT, trust_env=False) as client,
            client.stream(
                "POST",
                ticket.server.rstrip("/") + ENROL_PATH,
                content=request.model_dump_json(),
                headers={"content-type": "application/json"},
            ) as answer,
        ):
            body = _capped(answer)
            if not answer.is_success:
                raise _refusal(answer.status_code, body)
            return EnrolmentResponse.model_validate_json(body)
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
        raise EnrolmentFailed(
            f"{ticket.server} did not answer: {error}", "Check the address in the ticket, the network and the clock."
        ) from error
    except ValidationError as error:
        raise EnrolmentFailed(
            f"{ticket.server} answered something else than an identity: {error.errors()[0]['msg']}",
            "Compare the versions of server and agent; update the older one.",
        ) from error


def _capped(answer: httpx.Response) -> bytes:
    body = bytearray()
    for piece in answer.iter_bytes():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise EnrolmentFailed("the server's answer has no end", "Check the address in the ticket.")
    return bytes(body)


def _refusal(status: int, body: bytes) -> EnrolmentFailed:
    try:
        problem = Problem.model_validate_json(body)
    except ValidationError:
        return EnrolmentFailed(f"the server refused with status {status}", "See the server's log.")
    return EnrolmentFailed(
        f"the server refused: {problem.detail or problem.title} ({problem.code})",
        problem.hint or "Make a new ticket with `edge-sdk devices token`.",
    )


def _checked_certificate(
    response: EnrolmentResponse, ticket: EnrolmentTicket, key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    """The certificate, if it is for our key and our name, of the tenant and by the authority of the ticket."""
    try:
        certificate = x509.load_pem_x509_certificate(response.certificate.encode())
        authorities = x509.load_pem_x509_certificates(ticket.ca.encode())
    except ValueError as error:
        raise EnrolmentFailed("the server's certificates are not readable", "See the server's log.") from error
    names = [name.value for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    fits = (
        certificate.public_key() == key.public_key()
        and response.tenant == ticket.tenant
        and names == [str(response.device)]
        and any(_issued_by(certificate, authority) for authority in authorities)
    )
    if not fits:
        raise EnrolmentFailed(
            "the certificate is not for this device's key and name, or not of the ticket's tenant and authority",
            "See the server's log; make a new ticket with `edge-sdk devices token`.",
        )
    return certificate


def _issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _store(folder: Path, response: EnrolmentResponse, ticket: EnrolmentTicket, record: IdentityRecord) -> None:
    write_durably(folder / CERTIFICATE_FILE, response.certificate.encode())
    write_durably(folder / CA_FILE, ticket.ca.encode())
    write_durably(folder / ROOT_FILE, ticket.root.encode())
    write_durably(folder / RECORD_FILE, record.model_dump_json(indent=1).encode())

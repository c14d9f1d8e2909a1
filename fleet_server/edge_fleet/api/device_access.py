"""How an endpoint of the device door gets the device that calls: the subject of its certificate, still valid here."""

from __future__ import annotations

from typing import Annotated

from cryptography import x509
from cryptography.x509.oid import NameOID
from fastapi import Depends, Request

from edge_fleet.api.access import TheFleet
from edge_fleet.api.peer import PEER_CERTIFICATE
from edge_fleet.errors import Unauthenticated
from edge_fleet.records.identities import DeviceRow
from edge_fleet.services.enrolment import identify


def calling_device(request: Request, parts: TheFleet) -> DeviceRow:
    """The device.

    Raises:
        Unauthenticated: no certificate, or none of this fleet's devices. Forbidden: the device is revoked.
    """
    shown: bytes | None = request.scope.get(PEER_CERTIFICATE)
    if shown is None:
        message = "This needs the device's certificate"
        raise Unauthenticated("certificate-missing", message, "Enrol the device, then connect with its certificate.")
    certificate = x509.load_der_x509_certificate(shown)
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(names[0].value) if len(names) == 1 else ""
    with parts.database.read() as session:
        return identify(session, certificate.serial_number, name, parts.clock())


CallingDevice = Annotated[DeviceRow, Depends(calling_device)]

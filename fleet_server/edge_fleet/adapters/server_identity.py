"""The server's own key and certificate: TLS at the device door and the broker, and its user at the broker."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from edge_fleet.adapters.authority import Authority, certificate_pem, private_pem
from edge_fleet.adapters.files import PRIVATE, write_whole


@dataclass(frozen=True)
class ServerIdentity:
    """Paths of PEM files."""

    certificate: Path
    key: Path
    authority: Path

    def door_context(self) -> ssl.SSLContext:
        """TLS of the device door: a client certificate of our authority is asked for and may be absent (enrolment)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        context.load_verify_locations(self.authority)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def broker_context(self) -> ssl.SSLContext:
        """TLS of the server as a client of its broker."""
        context = ssl.create_default_context(cafile=str(self.authority))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        return context


def renew_server_identity(
    authority: Authority, keys: Path, certificates: Path, common_name: str, hosts: Iterable[str], now: datetime
) -> ServerIdentity:
    """The server's identity with a certificate made just now, so that it is never old and has the names of today."""
    key_path = keys / "server.pem"
    if not key_path.exists():
        write_whole(key_path, private_pem(ec.generate_private_key(ec.SECP256R1())), PRIVATE)
    key = load_pem_private_key(key_path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    certificate = authority.issue_server(common_name, key.public_key(), hosts, now)
    path = certificates / "server.pem"
    write_whole(path, certificate_pem(certificate).encode())
    return ServerIdentity(path, key_path, certificates / "authority.pem")

"""The server's certificate authority: certificates for devices and the server itself, and the list of revoked ones."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_contracts.ids import DeviceId, TenantId
from edge_fleet.adapters.files import PRIVATE, write_whole
from edge_fleet.errors import CannotStart

AUTHORITY_TIME: Final = timedelta(days=20 * 365)
SERVER_TIME: Final = timedelta(days=825)
REVOKED_TIME: Final = timedelta(days=10 * 365)
"""The list is written anew at every revocation and every start; its own expiry must never shut the fleet out."""
CLOCK_TOLERANCE: Final = timedelta(days=1)
"""Certificates begin this much in the past: devices' clocks are behind more often than ahead."""
_USES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


class Authority:
    """The authority of one data folder."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @property
    def pem(self) -> str:
        """The authority's certificate: what devices pin."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue_device(
        self, tenant: TenantId, device: DeviceId, key: ec.EllipticCurvePublicKey, now: datetime, lifetime: timedelta
    ) -> x509.Certificate:
        """A client certificate; its common name is the device's id."""
        names = [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, tenant),
            x509.NameAttribute(NameOID.COMMON_NAME, device),
        ]
        builder = self._leaf(x509.Name(names), key, now, lifetime)
        uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        return builder.add_extension(uses, critical=False).sign(self._key, hashes.SHA256())

    def issue_server(
        self, common_name: str, key: ec.EllipticCurvePublicKey, hosts: Iterable[str], now: datetime
    ) -> x509.Certificate:
        """A certificate for this server: TLS server under any of `hosts`, client of the broker as `common_name`."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = self._leaf(subject, key, now, SERVER_TIME)
        uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        return (
            builder.add_extension(uses, critical=False)
            .add_extension(names, critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def revocation_list(self, revoked: Iterable[tuple[int, datetime]], now: datetime) -> bytes:
        """The signed list (PEM) of (serial number, when)."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now - CLOCK_TOLERANCE)
            .next_update(now + REVOKED_TIME)
        )
        for serial, at in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _leaf(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lifetime: timedelta
    ) -> x509.CertificateBuilder:
        authority_key = self._key.public_key()
        return (
            _builder(subject, self._certificate.subject, key, now, lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage("digital_signature"), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )


def make_authority(keys: Path, certificates: Path, tenant: TenantId, now: datetime) -> None:
    """A fresh authority, `keys/authority.pem` and `certificates/authority.pem`; one that is there is kept."""
    if (certificates / "authority.pem").exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Fleet authority of {tenant}")])
    certificate = (
        _builder(name, name, key.public_key(), now, AUTHORITY_TIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_whole(keys / "authority.pem", private_pem(key), PRIVATE)
    write_whole(certificates / "authority.pem", certificate_pem(certificate).encode())


def load_authority(keys: Path, certificates: Path) -> Authority:
    """The authority of a data folder.

    Raises:
        CannotStart: a file is missing or damaged.
    """
    try:
        certificate = x509.load_pem_x509_certificate((certificates / "authority.pem").read_bytes())
        key = load_pem_private_key((keys / "authority.pem").read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        message = f"The certificate authority in {keys} is not usable: {error}"
        raise CannotStart("key-unreadable", message, "Restore it from a backup.") from error
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return Authority(certificate, key)


def certificate_pem(certificate: x509.Certificate) -> str:
    """The certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PKCS#8, unencrypted: its file's mode protects it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - CLOCK_TOLERANCE)
        .not_valid_after(now.astimezone(UTC) + lifetime)
    )


def _key_usage(*allowed: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use in allowed for use in _USES})


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)

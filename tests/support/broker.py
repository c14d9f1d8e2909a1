"""A real Mosquitto with TLS and client certificates, for tests that need a broker: start, kill, start again.

`Authority` issues certificates, `Broker` runs the process. A user of the broker is the common name of its certificate;
a device may use only its own topics, the user `server` all of them.
"""

from __future__ import annotations

import getpass
import ipaddress
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.tools import missing

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin")
SERVER_USER = "server"
LOOPBACK = "127.0.0.1"

CONFIG = """\
per_listener_settings false
user {user}
listener {port} {host}
cafile {authority}
certfile {certificate}
keyfile {key}
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file {acl}
persistence true
persistence_location {store}/
max_inflight_messages 100
max_queued_messages 100000
log_dest file {log}
log_type all
"""

ACL = f"""\
user {SERVER_USER}
topic readwrite ef/v1/#

pattern readwrite ef/v1/+/%u/#
"""


@dataclass(frozen=True)
class Credentials:
    """Paths of PEM files: a certificate, its private key, and the authority that both sides trust."""

    certificate: Path
    key: Path
    authority: Path

    def client_context(self) -> ssl.SSLContext:
        """TLS for a client that shows this certificate."""
        context = ssl.create_default_context(cafile=str(self.authority))
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """A certificate authority that issues into a folder: its own, or the one whose key and certificate are given."""

    def __init__(
        self, folder: Path, key: ec.EllipticCurvePrivateKey | None = None, certificate: x509.Certificate | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.path = folder / "authority.pem"
        self._key = key or ec.generate_private_key(ec.SECP256R1())
        own = certificate or _self_signed(self._key)
        self._name = own.subject
        self.path.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def issue(self, common_name: str) -> Credentials:
        """A certificate for clients and for servers on the loopback address, with its private key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
        certificate = (
            _builder(subject, self._name, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), False
            )
            .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        paths = Credentials(self.folder / f"{common_name}.pem", self.folder / f"{common_name}.key", self.path)
        paths.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths.key.touch(0o600)
        paths.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    return (
        _builder(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
    )


def _key_usage(**allowed: bool) -> x509.KeyUsage:
    uses = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**{**uses, **allowed})


def free_port() -> int:
    """A TCP port on the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@dataclass
class Broker:
    """A Mosquitto process of our own, in a folder; the port stays the same over restarts."""

    folder: Path
    authority: Authority
    host: str = LOOPBACK
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[Any] | None = None

    def start(self) -> None:
        """Run it; returns when it takes connections. What it held for others before is there again."""
        assert MOSQUITTO is not None
        self._write_config()
        self._process = subprocess.Popen([MOSQUITTO, "-c", str(self.folder / "broker.conf")])
        deadline = time.monotonic() + 10
        while True:
            assert self._process.poll() is None, f"mosquitto ended at once:\n{self.log()}"
            assert time.monotonic() < deadline, f"mosquitto does not listen on {self.port}:\n{self.log()}"
            try:
                socket.create_connection((self.host, self.port), timeout=1).close()
            except ConnectionRefusedError:
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """End it in good order; idempotent."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def kill(self) -> None:
        """End it as a power failure does: nothing is saved, no connection is closed politely."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)
        self._process = None

    def log(self) -> str:
        """What the broker has written so far."""
        path = self.folder / "broker.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def server(self) -> Credentials:
        """Credentials of the user who may use every topic."""
        return self.authority.issue(SERVER_USER)

    def _write_config(self) -> None:
        own = self.authority.issue("broker")
        store = self.folder / "store"
        store.mkdir(parents=True, exist_ok=True)
        acl = self.folder / "acl"
        acl.write_text(ACL, encoding="utf-8")
        acl.chmod(0o600)
        (self.folder / "broker.conf").write_text(
            CONFIG.format(
                user=getpass.getuser(),
                host=self.host,
                port=self.port,
                authority=own.authority,
                certificate=own.certificate,
                key=own.key,
                acl=acl,
                store=store,
                log=self.folder / "broker.log",
            ),
            encoding="utf-8",
        )


@contextmanager
def running_broker(folder: Path) -> Iterator[Broker]:
    """A broker for the length of a block."""
    broker = Broker(folder, Authority(folder / "authority"))
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker for one test. Use it in another module by `from tests.support.broker import broker`."""
    if MOSQUITTO is None:
        missing("mosquitto is not installed: apt-get install mosquitto")
    with running_broker(tmp_path / "broker") as running:
        yield running

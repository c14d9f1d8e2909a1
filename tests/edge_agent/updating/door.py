"""A fleet server's device door over real HTTPS, with a real TUF repository, CA and director, and faults on demand."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.x509.oid import NameOID
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from edge_contracts.api import (
    ARTIFACTS_PATH,
    ASSIGNMENT_PATH,
    ENROL_PATH,
    METADATA_PATH,
    TARGETS_PATH,
    EnrolmentRequest,
    EnrolmentResponse,
    EnrolmentTicket,
    Problem,
)
from edge_contracts.assignments import Assignment, Kind, WrappedKey, director_key_bytes, sign_assignment
from edge_contracts.ids import DeploymentId, DeviceId, Digest, ModelName, TenantId
from edge_contracts.keywrap import wrap_key
from edge_contracts.manifest import Manifest, Variant, write_manifest
from edge_contracts.payload import pack_payload
from edge_contracts.segments import encrypt, new_key
from edge_contracts.targets import DIRECTOR_TARGET, artifact_target, manifest_target
from tests.support.releases import manifest, variant

TENANT = TenantId("acme")
DEVICE = DeviceId("gate-7")
TOKEN = "one-time-token-of-gate-7"  # a made-up secret
_PEM = serialization.Encoding.PEM


@dataclass
class Faults:
    """What goes wrong with downloads, changed by tests while the door is open."""

    cut_after: int | None = None
    """Bytes of a body after which the connection breaks."""
    cuts: int = 0
    """How many more times it does."""
    ignore_ranges: bool = False
    status: int | None = None
    endless: bool = False
    trickle: bool = False
    swap: Callable[[bytes], bytes] | None = None
    """What becomes of an artifact on its way."""
    lost_answers: int = 0
    """Enrolments that are done and whose answer does not arrive."""


@dataclass
class Published:
    """A release as the server has it."""

    manifest: Manifest
    variant: Variant
    artifact: bytes
    key: bytes = field(repr=False)


class Door:
    """One tenant, one device, as many releases and assignments as a test likes."""

    def __init__(self, folder: Path) -> None:
        self.faults = Faults()
        self.requests: list[tuple[str, str]] = []
        self.envelope: bytes | None = None
        self.hpke: X25519PublicKey | None = None
        self.certificates: dict[bytes, str] = {}
        self.counter = 0
        self._folder = folder
        self._ca_key, self.ca = _authority("acme fleet CA")
        self._make_repository()
        self._open()

    # ---- the repository --------------------------------------------------------------------------------

    def _make_repository(self) -> None:
        roles = ("root", "targets", "snapshot", "timestamp")
        self.signers = {role: CryptoSigner.generate_ed25519() for role in roles}
        self.director = CryptoSigner.generate_ed25519()
        self.files: dict[str, bytes] = {}
        self.metadata: dict[str, bytes] = {}
        expires = datetime.now(UTC) + timedelta(days=30)
        self.root = Metadata(Root(expires=expires, consistent_snapshot=True))
        for role, signer in self.signers.items():
            self.root.signed.add_key(signer.public_key, role)
        self.root.sign(self.signers["root"])
        self.root_bytes = self.root.to_bytes()
        self.targets = Metadata(Targets(expires=expires))
        self.snapshot = Metadata(Snapshot(expires=expires))
        self.timestamp = Metadata(Timestamp(expires=expires))
        self.add_target(DIRECTOR_TARGET, director_key_bytes(self.director.public_key))
        self.refresh()

    def add_target(self, path: str, data: bytes) -> None:
        """Sign `data` as the target `path`."""
        info = TargetFile.from_data(path, data, ["sha256"])
        self.targets.signed.targets[path] = info
        parent, _, name = path.rpartition("/")
        self.files[f"{parent}/{info.hashes['sha256']}.{name}"] = data

    def refresh(self, expires: datetime | None = None) -> None:
        """New targets, snapshot and timestamp; `expires` is of the timestamp."""
        self.targets.signed.version += 1
        self.targets.sign(self.signers["targets"])
        self.snapshot.signed.version += 1
        self.snapshot.signed.meta["targets.json"] = MetaFile(self.targets.signed.version)
        self.snapshot.sign(self.signers["snapshot"])
        self.timestamp.signed.version += 1
        self.timestamp.signed.snapshot_meta = MetaFile(self.snapshot.signed.version)
        self.timestamp.signed.expires = expires or datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
        self.timestamp.sign(self.signers["timestamp"])
        self.metadata = {
            "1.root.json": self.root_bytes,
            f"{self.targets.signed.version}.targets.json": self.targets.to_bytes(),
            f"{self.snapshot.signed.version}.snapshot.json": self.snapshot.to_bytes(),
            "timestamp.json": self.timestamp.to_bytes(),
        }

    def publish(self, version: int, kind: str = "cpu-ort", **changes: Any) -> Published:
        """Sign a release of the small model `kind` for the device's profile."""
        made, payload = variant(kind, profile="gateway", **changes)
        described = manifest(made, version=version)
        key = new_key()
        artifact = encrypt(pack_payload(payload), key, 1024)
        self.add_target(manifest_target(described.model, version), write_manifest(described))
        self.add_target(artifact_target(described.model, version, made.name), artifact)
        self.refresh()
        return Published(described, made, artifact, key)

    def assign(
        self, release: Published, deployment: str, *, director: CryptoSigner | None = None, **changes: Any
    ) -> Assignment:
        """Sign and hand out "this device shall run this release"."""
        self.counter += 1
        now = datetime.now(UTC)
        artifact = Digest.of(release.artifact)
        assert self.hpke is not None, "the device is enrolled before it is assigned anything"
        fields: dict[str, Any] = {
            "tenant": TENANT,
            "device": DEVICE,
            "deployment": DeploymentId(deployment),
            "kind": Kind.INSTALL,
            "model": ModelName(release.manifest.model),
            "version": release.manifest.version,
            "variant": release.variant.name,
            "counter": self.counter,
            "nonce": "0123456789abcdef",
            "issued": now,
            "expires": now + timedelta(hours=1),
            "wrapped_key": WrappedKey(ciphertext=wrap_key(release.key, self.hpke, DEVICE, artifact)),
            "probation_seconds": 0.2,
        }
        if changes.get("kind") is Kind.REVERT:
            fields["wrapped_key"] = None
        assignment = Assignment.model_validate(fields | changes)
        self.envelope = sign_assignment(assignment, director or self.director)
        return assignment

    # ---- enrolment -------------------------------------------------------------------------------------

    def ticket(self, folder: Path, **changes: Any) -> Path:
        """The file an operator hands to the device."""
        fields = {
            "server": self.url,
            "tenant": TENANT,
            "token": TOKEN,
            "ca": _pem(self.ca),
            "root": self.root_bytes.decode(),
            "expires": datetime.now(UTC) + timedelta(hours=1),
        }
        path = folder / "ticket.json"
        path.write_text(EnrolmentTicket.model_validate(fields | changes).model_dump_json())
        return path

    def enrol(self, body: bytes) -> tuple[int, bytes]:
        """The answer to an enrolment: one identity for the token, the same one for the same key."""
        request = EnrolmentRequest.model_validate_json(body)
        csr = x509.load_pem_x509_csr(request.csr.encode())
        key = csr.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        known = self.certificates.get(key)
        if request.token != TOKEN or (self.certificates and known is None):
            problem = Problem(title="Refused", status=401, code="enrolment-token-used", detail="The token is used up")
            return 401, problem.model_dump_json().encode()
        self.hpke = X25519PublicKey.from_public_bytes(request.hpke_public_key)
        self.certificates[key] = known or _pem(_issue(self._ca_key, self.ca, csr.public_key(), str(DEVICE)))
        response = EnrolmentResponse(
            tenant=TENANT,
            device=DEVICE,
            certificate=self.certificates[key],
            ca=_pem(self.ca),
            mqtt_host="127.0.0.1",
            mqtt_port=8883,
        )
        return 200, response.model_dump_json().encode()

    # ---- the network -----------------------------------------------------------------------------------

    def _open(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _issue(self._ca_key, self.ca, key.public_key(), "localhost", server=True)
        (self._folder / "server.crt").write_text(_pem(certificate))
        private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (self._folder / "server.key").write_bytes(private)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._folder / "server.crt", self._folder / "server.key")
        context.load_verify_locations(cadata=_pem(self.ca))
        context.verify_mode = ssl.CERT_OPTIONAL
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.door = self
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://localhost:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        """No more answers."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    door: Door
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Broken connections are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""

    def finish(self) -> None:
        """A connection that broke has nothing to flush."""
        with contextlib.suppress(OSError):
            super().finish()

    def do_POST(self) -> None:
        door = self.server.door
        body = self.rfile.read(int(self.headers["content-length"]))
        status, answer = door.enrol(body) if self.path == ENROL_PATH else (404, b"")
        if door.faults.lost_answers:
            door.faults.lost_answers -= 1
            self._break()
            return
        self._send(status, answer)

    def do_GET(self) -> None:
        door = self.server.door
        door.requests.append((self.path, self.headers.get("range", "")))
        if not self._is_the_device():
            self._send(401, b"")
        elif self.path == ASSIGNMENT_PATH:
            self._send(204 if door.envelope is None else 200, door.envelope or b"")
        elif self.path.startswith(METADATA_PATH):
            self._found(door.metadata.get(self.path.removeprefix(METADATA_PATH)))
        elif self.path.startswith(TARGETS_PATH):
            self._found(door.files.get(self.path.removeprefix(TARGETS_PATH)))
        elif self.path.startswith(ARTIFACTS_PATH):
            self._artifact(self.path.removeprefix(ARTIFACTS_PATH))
        else:
            self._send(404, b"")

    def _is_the_device(self) -> bool:
        shown = self.connection.getpeercert()
        names = [value for part in (shown or {}).get("subject", ()) for name, value in part if name == "commonName"]
        return names == [str(DEVICE)]

    def _found(self, data: bytes | None) -> None:
        self._send(404 if data is None else 200, data or b"")

    def _artifact(self, digest: str) -> None:
        faults = self.server.door.faults
        data = next((data for name, data in self.server.door.files.items() if f"{digest}." in name), None)
        if data is None or faults.status is not None:
            self._send(faults.status or 404, b"")
            return
        data = faults.swap(data) if faults.swap else data
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        start = int(asked[1]) if asked and not faults.ignore_ranges else 0
        if start and start >= len(data):
            self._send(416, b"")
            return
        headers = {"content-range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        if faults.endless:
            self._endless(data)
        elif faults.trickle:
            self._trickle(data)
        elif faults.cuts and faults.cut_after is not None:
            faults.cuts -= 1
            self._head(206 if start else 200, len(data) - start, headers)
            self.wfile.write(data[start : start + faults.cut_after])
            self._break()
        else:
            self._send(206 if start else 200, data[start:], headers)

    def _endless(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _trickle(self, data: bytes) -> None:
        self._head(200, len(data), {})
        with contextlib.suppress(OSError):
            for byte in data:
                self.wfile.write(bytes([byte]))
                time.sleep(0.02)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, len(body), headers or {})
        self.wfile.write(body)

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(length))
        self.end_headers()

    def _break(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.close()


@contextlib.contextmanager
def open_door(folder: Path) -> Iterator[Door]:
    """A door for as long as the block lasts."""
    door = Door(folder)
    try:
        yield door
    finally:
        door.close()


def with_signature_of(envelope: bytes | None, other: bytes | None) -> bytes:
    """The envelope with a signature that the director made over other bytes."""
    assert envelope is not None
    assert other is not None
    return json.dumps({**json.loads(envelope), "signatures": json.loads(other)["signatures"]}).encode()


def _authority(name: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = _builder(subject, subject, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return key, builder.add_extension(usage, critical=True).sign(key, hashes.SHA256())


def _issue(
    authority_key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    key: Any,
    name: str,
    *,
    server: bool = False,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(subject, authority.subject, key)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
    )
    if server:
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(authority_key, hashes.SHA256())


def _builder(subject: x509.Name, issuer: x509.Name, key: Any) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(_PEM).decode()

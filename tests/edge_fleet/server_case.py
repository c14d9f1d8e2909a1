"""A whole fleet server as a process, its owner with the offline keys, and devices with identities of their own."""

from __future__ import annotations

import base64
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from securesystemslib.signer import CryptoSigner, Key
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp

from edge_contracts.api import ENROL_PATH, EnrolmentResponse
from edge_contracts.assignments import director_key_bytes
from edge_contracts.ids import DeviceId, Digest, ModelName, ProfileName, TenantId, VariantName
from edge_contracts.manifest import (
    Baseline,
    DataType,
    Engine,
    EngineNeeds,
    FileRef,
    Lineage,
    Manifest,
    ProfileClass,
    TensorSpec,
    Tolerance,
    Variant,
    write_manifest,
)
from edge_contracts.operations import NewArtifact, NewRelease, OnlineKeys, Trust
from edge_contracts.payload import Payload, pack_payload
from edge_contracts.segments import encrypt, new_key
from edge_contracts.targets import DIRECTOR_TARGET, artifact_target, manifest_target
from edge_contracts.wire import Wire

TENANT = TenantId("default")
MODEL = ModelName("digits")
PROFILES = (ProfileName("rpi4-litert"), ProfileName("hexagon-qnn"))
ANY_PORTS = ("--operator-port", "0", "--device-port", "0", "--broker-port", "0")


def edge_fleet(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    """`python -m edge_fleet ...` as a process."""
    command = [sys.executable, "-m", "edge_fleet", *(str(argument) for argument in arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


@dataclass
class Server:
    """A running server and how to talk to it."""

    folder: Path
    process: subprocess.Popen[str]
    ready: dict[str, Any]
    admin: str

    @property
    def authority(self) -> Path:
        return self.folder / "certificates" / "authority.pem"

    def operator(self, token: str | None = None) -> httpx.Client:
        """A client of the operator door; the first admin's by default."""
        headers = {"Authorization": f"Bearer {token or self.admin}"}
        return httpx.Client(base_url=self.ready["operator_url"], headers=headers, timeout=20, trust_env=False)

    def stranger(self) -> httpx.Client:
        """A client of the device door without a certificate."""
        context = ssl.create_default_context(cafile=str(self.authority))
        return httpx.Client(base_url=self.ready["device_url"], verify=context, timeout=20, trust_env=False)

    def enrolment_token(self, **wish: Any) -> str:
        with self.operator() as client:
            answer = client.post("/v1/enrolment-tokens", json=wish)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    def broker_pids(self) -> list[int]:
        """Processes whose command line names this server's broker configuration."""
        configuration = str(self.folder / "broker" / "mosquitto.conf").encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if configuration in words:
                    found.append(int(entry.name))
        return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        try:
            self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        return self.process.returncode


def initialise(folder: Path) -> str:
    """A data folder; returns the first admin's token."""
    process = edge_fleet("init", "--data", folder)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    return str(json.loads(out)["admin_token"])


@contextmanager
def serving(folder: Path, admin: str) -> Iterator[Server]:
    """The server of a data folder, running inside the block."""
    environment = {**os.environ, "PYTHONWARNINGS": "error::ResourceWarning"}
    process = edge_fleet("up", "--data", folder, *ANY_PORTS, env=environment)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise AssertionError(process.communicate()[1])
    server = Server(folder, process, json.loads(line), admin)
    try:
        yield server
    finally:
        if process.poll() is None:
            assert server.stop() == 0


@dataclass
class Device:
    """A device with its keys; `enrol` gives it an identity."""

    profile: ProfileName = PROFILES[0]
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    hpke: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    identity: EnrolmentResponse | None = None

    def csr(self, key: Any = None) -> str:
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        return builder.sign(key or self.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    def request(self, token: str, **changes: Any) -> dict[str, Any]:
        public = base64.b64encode(self.hpke.public_key().public_bytes_raw()).decode()
        return {
            "token": token,
            "csr": self.csr(),
            "hpke_public_key": public,
            "profile": self.profile,
        } | changes

    def enrol(self, server: Server, token: str | None = None, **changes: Any) -> EnrolmentResponse:
        with server.stranger() as client:
            answer = client.post(ENROL_PATH, json=self.request(token or server.enrolment_token(), **changes))
        assert answer.status_code == 200, answer.text
        self.identity = EnrolmentResponse.model_validate_json(answer.content)
        return self.identity

    @property
    def id(self) -> DeviceId:
        assert self.identity is not None
        return self.identity.device

    def tls(self, server: Server) -> ssl.SSLContext:
        """TLS with this device's certificate, trusting the server's authority."""
        assert self.identity is not None
        context = ssl.create_default_context(cafile=str(server.authority))
        pem = server.folder.parent / f"{self.id}-{id(self)}.pem"
        private = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        pem.write_bytes(self.identity.certificate.encode() + private)
        context.load_cert_chain(pem)
        return context

    def client(self, server: Server) -> httpx.Client:
        """A client of the device door with this device's certificate."""
        return httpx.Client(base_url=server.ready["device_url"], verify=self.tls(server), timeout=20, trust_env=False)


@dataclass
class Bundle:
    """A release as its publisher has it before signing."""

    manifest: Manifest
    ciphertexts: dict[VariantName, bytes]
    keys: dict[VariantName, bytes]

    @property
    def manifest_bytes(self) -> bytes:
        return write_manifest(self.manifest)

    def artifacts(self) -> tuple[NewArtifact, ...]:
        return tuple(
            NewArtifact(variant=name, digest=Digest.of(data), length=len(data), key=self.keys[name])
            for name, data in self.ciphertexts.items()
        )

    def targets(self) -> dict[str, TargetFile]:
        model, version = self.manifest.model, self.manifest.version
        files = {manifest_target(model, version): self.manifest_bytes}
        files |= {artifact_target(model, version, name): data for name, data in self.ciphertexts.items()}
        return {path: TargetFile.from_data(path, data, ["sha256"]) for path, data in files.items()}


def make_bundle(version: int, size: int = 70_000, model: ModelName = MODEL) -> Bundle:
    """A release with a variant for each of the two profiles."""
    tensor = TensorSpec(name="x", datatype=DataType.FP32, shape=(-1, 4))
    variants, ciphertexts, keys = [], {}, {}
    for profile in PROFILES:
        payload = Payload(model=os.urandom(size), golden=os.urandom(500))
        name = VariantName(f"{profile}-int8")
        packed, keys[name] = pack_payload(payload), new_key()
        ciphertexts[name] = encrypt(packed, keys[name])
        model_file, golden, whole = (
            FileRef(digest=Digest.of(data), length=len(data)) for data in (payload.model, payload.golden, packed)
        )
        variants.append(
            Variant(
                name=name,
                profile=profile,
                profile_class=ProfileClass.CPU,
                format="onnx",
                scheme="int8",
                needs=EngineNeeds(engine=Engine.ONNXRUNTIME),
                model=model_file,
                golden=golden,
                payload=whole,
                inputs=(tensor,),
                outputs=(tensor,),
                tolerance=Tolerance(absolute=1e-3),
                recipe_digest=Digest.of(b"recipe"),
            )
        )
    manifest = Manifest(
        model=model,
        version=version,
        created=datetime(2026, 11, 1, tzinfo=UTC),
        variants=tuple(variants),
        baseline=Baseline(n=0),
        lineage=Lineage(source_digest=Digest.of(b"source"), source_name="digits.keras", tool_version="0.1.0"),
    )
    return Bundle(manifest, ciphertexts, keys)


@dataclass
class Owner:
    """Holds root and publisher keys, and what was signed last."""

    root_key: CryptoSigner = field(default_factory=CryptoSigner.generate_ed25519)
    publisher: CryptoSigner = field(default_factory=CryptoSigner.generate_ed25519)
    root: bytes = b""
    targets: bytes = b""

    def make_root(self, online: OnlineKeys, version: int = 1, **changes: Any) -> Metadata[Root]:
        root = Root(version=version, expires=later(365), **({"consistent_snapshot": True} | changes))
        root.add_key(self.root_key.public_key, Root.type)
        root.add_key(self.publisher.public_key, Targets.type)
        root.add_key(public_key(online.snapshot), Snapshot.type)
        root.add_key(public_key(online.timestamp), Timestamp.type)
        return Metadata(root)

    def make_targets(self, version: int, files: dict[str, TargetFile]) -> Metadata[Targets]:
        return Metadata(Targets(version=version, expires=later(90), targets=files))

    def trust(self, online: OnlineKeys) -> Trust:
        """The first root and targets for a server's keys."""
        director = director_key_bytes(public_key(online.director))
        files = {DIRECTOR_TARGET: TargetFile.from_data(DIRECTOR_TARGET, director, ["sha256"])}
        self.root = signed(self.make_root(online), self.root_key)
        self.targets = signed(self.make_targets(1, files), self.publisher)
        return Trust(root=self.root.decode(), targets=self.targets.decode(), director_key=director.decode())

    def release(self, bundle: Bundle, **changes: TargetFile) -> NewRelease:
        """The request that publishes `bundle` after everything before it."""
        current: Metadata[Targets] = Metadata.from_bytes(self.targets)
        files = {**current.signed.targets, **bundle.targets(), **changes}
        return self.request(bundle, self.make_targets(current.signed.version + 1, files))

    def request(self, bundle: Bundle, targets: Metadata[Targets]) -> NewRelease:
        body = signed(targets, self.publisher)
        return NewRelease(manifest=bundle.manifest_bytes, targets=body.decode(), artifacts=bundle.artifacts())


def signed(metadata: Metadata[Any], *signers: CryptoSigner) -> bytes:
    """The metadata signed by all of them."""
    metadata.signatures.clear()
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


def public_key(fields: dict[str, Any]) -> Key:
    """A key from its dictionary with `keyid`."""
    rest = {name: value for name, value in fields.items() if name != "keyid"}
    return Key.from_dict(fields["keyid"], rest)


def later(days: float) -> datetime:
    """Whole seconds, as TUF has them."""
    return (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)


def must(answer: httpx.Response, status: int = 200) -> httpx.Response:
    """The answer, if it has this status."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    return answer


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body of an error answer of this status and code, with a sentence for a person."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    body: dict[str, Any] = answer.json()
    assert body["code"] == code, body
    assert body["status"] == status
    assert body["detail"]
    assert body["hint"]
    return body


def send(client: httpx.Client, method: str, path: str, body: Wire) -> httpx.Response:
    """A request with a message of the contracts as its body."""
    content = body.model_dump_json()
    return client.request(method, path, content=content, headers={"Content-Type": "application/json"})


def put_trust(client: httpx.Client, owner: Owner) -> None:
    """Make the server the owner's."""
    online = OnlineKeys.model_validate_json(must(client.get("/v1/trust/keys")).content)
    must(send(client, "PUT", "/v1/trust", owner.trust(online)), 204)


def upload(client: httpx.Client, bundle: Bundle) -> None:
    """Send every artifact."""
    for data in bundle.ciphertexts.values():
        must(client.put(f"/v1/artifacts/{Digest.of(data).hex}", content=data), 201)


def publish(client: httpx.Client, owner: Owner, bundle: Bundle) -> NewRelease:
    """Upload and publish; the owner remembers the targets."""
    upload(client, bundle)
    request = owner.release(bundle)
    must(send(client, "POST", "/v1/releases", request), 201)
    owner.targets = request.targets.encode()
    return request

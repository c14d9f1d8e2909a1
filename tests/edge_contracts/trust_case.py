"""A small signed release for one device, so that each check can be broken on its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from securesystemslib.signer import CryptoSigner

from edge_contracts.assignments import Assignment, Kind, WrappedKey
from edge_contracts.ids import DeploymentId, DeviceId, Digest, ModelName, ProfileName, TenantId, VariantName
from edge_contracts.keywrap import wrap_key
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
from edge_contracts.payload import Payload, pack_payload
from edge_contracts.segments import encrypt, new_key
from edge_contracts.verification import Device

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
MODEL = ModelName("digits")


def ref(data: bytes) -> FileRef:
    return FileRef(digest=Digest.of(data), length=len(data))


def a_variant(payload: Payload) -> Variant:
    tensor = TensorSpec(name="x", datatype=DataType.FP32, shape=(-1, 4))
    return Variant(
        name=VariantName("cpu-fp32"),
        profile=ProfileName("gateway"),
        profile_class=ProfileClass.CPU,
        format="onnx",
        scheme="fp32",
        needs=EngineNeeds(engine=Engine.ONNXRUNTIME),
        model=ref(payload.model),
        golden=ref(payload.golden),
        payload=ref(pack_payload(payload)),
        inputs=(tensor,),
        outputs=(tensor,),
        tolerance=Tolerance(absolute=1e-3),
        recipe_digest=Digest.of(b"recipe"),
    )


@dataclass
class TrustCase:
    """Everything a device checks, valid until a test changes a part of it."""

    director: CryptoSigner = field(default_factory=CryptoSigner.generate_ed25519)
    hpke: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    key: bytes = field(default_factory=new_key)
    payload: Payload = field(default_factory=lambda: Payload(model=b"m" * 70_000, golden=b"g" * 500))

    def __post_init__(self) -> None:
        self.manifest = Manifest(
            model=MODEL,
            version=5,
            created=NOW,
            variants=(a_variant(self.payload),),
            baseline=Baseline(n=0),
            lineage=Lineage(source_digest=Digest.of(b"source"), source_name="digits.keras", tool_version="0.1.0"),
        )
        self.manifest_bytes = write_manifest(self.manifest)
        self.artifact = encrypt(pack_payload(self.payload), self.key)
        self.device = Device(
            tenant=TenantId("acme"),
            id=DeviceId("gate-7"),
            profile=ProfileName("gateway"),
            last_counter=3,
            floors={MODEL: 4},
            previous={MODEL: 3},
            quarantine=frozenset(),
            runs=lambda needs: needs.engine is Engine.ONNXRUNTIME,
        )

    def assignment(self, **changes: object) -> Assignment:
        wrapped = wrap_key(self.key, self.hpke.public_key(), self.device.id, Digest.of(self.artifact))
        fields: dict[str, object] = {
            "tenant": TenantId("acme"),
            "device": self.device.id,
            "deployment": DeploymentId("d-1"),
            "kind": Kind.INSTALL,
            "model": MODEL,
            "version": 5,
            "variant": VariantName("cpu-fp32"),
            "counter": 4,
            "nonce": "0123456789abcdef",
            "issued": NOW,
            "expires": NOW + timedelta(days=1),
            "wrapped_key": WrappedKey(ciphertext=wrapped),
        }
        return Assignment.model_validate(fields | changes)

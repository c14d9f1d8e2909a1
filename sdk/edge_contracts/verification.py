"""The checks before a device runs anything, in fixed order, on values alone: no disk, no network, no clock.

A device installs only what both say: the publisher's signed targets list the release, and the director's signed
assignment names this device and this release. The steps, in order:

 1. the assignment is signed by the director whose key is a target of the publisher
 2. it names this tenant and this device
 3. it has not expired
 4. its counter is not below the last one followed
 5. the release is not below the floor of committed ones (install), or is the previous slot's (revert)
 6. the publisher's targets list the manifest, and its bytes match
 7. the manifest is readable and is of this model and version
 8. it has the assigned variant, for this device's profile and one of its engines
 9. the publisher's targets list the variant's artifact
10. neither the artifact nor the payload is quarantined
11. the artifact's length and digest match              (after the download)
12. its key was wrapped to this device for this artifact
13. it decrypts, every segment in its place
14. the plaintext's length and digest match the manifest
15. model and golden data inside match the manifest
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from securesystemslib.signer import Key

from edge_contracts.assignments import Assignment, Kind, open_assignment
from edge_contracts.errors import Malformed, Refused
from edge_contracts.ids import DeviceId, Digest, ModelName, ProfileName, TenantId
from edge_contracts.keywrap import unwrap_key
from edge_contracts.manifest import EngineNeeds, FileRef, Manifest, Variant, read_manifest
from edge_contracts.payload import Payload, unpack_payload
from edge_contracts.reasons import Reason
from edge_contracts.segments import decrypt


@dataclass(frozen=True)
class Device:
    """What the device knows of itself.

    `floors` and `previous` are per model: the highest committed version, and the version in the previous slot.
    `runs` says whether the device has an engine for these needs (fallback included).
    """

    tenant: TenantId
    id: DeviceId
    profile: ProfileName
    last_counter: int
    floors: dict[ModelName, int]
    previous: dict[ModelName, int]
    quarantine: Collection[Digest]
    runs: Callable[[EngineNeeds], bool]


@dataclass(frozen=True)
class Plan:
    """What may be installed: steps 1 to 10 hold."""

    assignment: Assignment
    manifest: Manifest
    variant: Variant
    artifact: FileRef


def verify_assignment(envelope: bytes, director: Key, device: Device, now: datetime) -> Assignment:
    """Steps 1 to 5.

    Raises:
        Refused: with the reason of the first step that fails.
    """
    # 1. signed by the director
    assignment = open_assignment(envelope, director)
    # 2. for this device
    if (assignment.tenant, assignment.device) != (device.tenant, device.id):
        raise Refused(Reason.ASSIGNMENT_OTHER_DEVICE, f"{assignment.tenant}/{assignment.device}", 2)
    # 3. fresh
    if now >= assignment.expires:
        raise Refused(Reason.ASSIGNMENT_EXPIRED, f"at {assignment.expires:%Y-%m-%d %H:%M} UTC", 3)
    # 4. not replayed
    if assignment.counter < device.last_counter:
        detail = f"counter {assignment.counter} after {device.last_counter}"
        raise Refused(Reason.ASSIGNMENT_REPLAYED, detail, 4)
    # 5. not a downgrade
    floor = device.floors.get(assignment.model, 0)
    allowed = (
        assignment.version == device.previous.get(assignment.model)
        if assignment.kind is Kind.REVERT
        else assignment.version >= floor
    )
    if not allowed:
        detail = f"{assignment.model} version {assignment.version}, committed {floor}"
        raise Refused(Reason.RELEASE_TOO_OLD, detail, 5)
    return assignment


def verify_release(
    assignment: Assignment,
    manifest_bytes: bytes,
    manifest_target: FileRef | None,
    artifact_target: FileRef | None,
    device: Device,
) -> Plan:
    """Steps 6 to 10. The targets come from the publisher's verified metadata; None where they are not listed.

    Raises:
        Refused: with the reason of the first step that fails.
    """
    # 6. the publisher signed this manifest
    if manifest_target is None:
        raise Refused(Reason.RELEASE_UNKNOWN, f"{assignment.model} version {assignment.version}", 6)
    if len(manifest_bytes) != manifest_target.length or Digest.of(manifest_bytes) != manifest_target.digest:
        raise Refused(Reason.MANIFEST_DIGEST, f"{assignment.model} version {assignment.version}", 6)
    # 7. it describes this release
    try:
        manifest = read_manifest(manifest_bytes)
    except Malformed as error:
        raise Refused(Reason.MANIFEST_MALFORMED, str(error), 7) from error
    if (manifest.model, manifest.version) != (assignment.model, assignment.version):
        raise Refused(Reason.MANIFEST_MALFORMED, f"it is {manifest.model} version {manifest.version}", 7)
    # 8. this device can run the variant
    variant = manifest.variant(assignment.variant)
    if variant is None or variant.profile != device.profile:
        raise Refused(Reason.RELEASE_INCOMPATIBLE, f"profile {device.profile}", 8)
    if not device.runs(variant.needs):
        detail = f"{variant.needs.engine} on {variant.needs.accelerator}"
        raise Refused(Reason.ENGINE_MISSING, detail, 8)
    # 9. the publisher signed the artifact
    if artifact_target is None:
        raise Refused(Reason.RELEASE_UNKNOWN, f"no artifact for {variant.name}", 9)
    # 10. not tried in vain before
    for digest in (artifact_target.digest, variant.payload.digest, variant.model.digest):
        if digest in device.quarantine:
            raise Refused(Reason.QUARANTINED, digest, 10)
    return Plan(assignment, manifest, variant, artifact_target)


def verify_artifact(plan: Plan, artifact: bytes | memoryview, device: DeviceId, private: X25519PrivateKey) -> Payload:
    """Steps 11 to 15: the model and golden data inside the downloaded ciphertext.

    Raises:
        Refused: with the reason of the first step that fails.
    """
    # 11. the bytes the publisher signed
    if len(artifact) != plan.artifact.length:
        raise Refused(Reason.ARTIFACT_LENGTH, f"{len(artifact)} bytes, {plan.artifact.length} signed", 11)
    if Digest.of(bytes(artifact)) != plan.artifact.digest:
        raise Refused(Reason.ARTIFACT_DIGEST, plan.artifact.digest, 11)
    # 12. a key for this device
    if plan.assignment.wrapped_key is None:
        raise Refused(Reason.ARTIFACT_KEY, "the assignment holds no key", 12)
    key = unwrap_key(plan.assignment.wrapped_key.ciphertext, private, device, plan.artifact.digest)
    # 13. every segment in its place
    payload = b"".join(decrypt(artifact, key))
    # 14. the plaintext the manifest names
    if len(payload) != plan.variant.payload.length or Digest.of(payload) != plan.variant.payload.digest:
        raise Refused(Reason.PAYLOAD_DIGEST, plan.variant.payload.digest, 14)
    # 15. model and golden data
    return unpack_payload(payload, plan.variant.model, plan.variant.golden)

"""The assignment: "this device shall run this release", signed by the director in a DSSE envelope.

DSSE: Dead Simple Signing Envelope, https://github.com/secure-systems-lab/dsse, by securesystemslib.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints, ValidationError
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import Key, Signer

from edge_contracts.errors import Malformed, Refused
from edge_contracts.ids import DeploymentId, DeviceId, ModelName, TenantId, VariantName
from edge_contracts.reasons import Reason
from edge_contracts.wire import Utc, Wire

PAYLOAD_TYPE: Final = "application/vnd.edge-sdk.assignment.v1+json"
MAX_ENVELOPE_BYTES: Final = 64 * 1024


class Kind(StrEnum):
    """What the device shall do with the release."""

    INSTALL = "install"
    REVERT = "revert"
    """Go back to the release in the device's own previous slot, which it has verified and committed before."""


class WrappedKey(Wire):
    """An artifact key under HPKE (RFC 9180): `ciphertext` is enc || sealed key, see `keywrap.py`."""

    ciphertext: Annotated[bytes, Field(max_length=512)]


class Assignment(Wire):
    """The director's statement. `counter` only ever grows for a device; an older one is a replay."""

    tenant: TenantId
    device: DeviceId
    deployment: DeploymentId
    kind: Kind
    model: ModelName
    version: Annotated[int, Field(ge=1)]
    variant: VariantName
    counter: Annotated[int, Field(ge=1)]
    nonce: Annotated[str, StringConstraints(min_length=16, max_length=64)]
    issued: Utc
    expires: Utc
    wrapped_key: WrappedKey | None = None
    """Present for an install."""
    probation_seconds: Annotated[float, Field(gt=0, le=30 * 86400)] = 600.0
    probation_inferences: Annotated[int, Field(ge=0)] = 0
    """Probation ends when both have passed."""


def sign_assignment(assignment: Assignment, director: Signer) -> bytes:
    """The assignment in a signed envelope, as bytes."""
    envelope = Envelope(assignment.model_dump_json().encode(), PAYLOAD_TYPE, {})
    envelope.sign(director)
    return json.dumps(envelope.to_dict()).encode()


def open_assignment(data: bytes, director: Key) -> Assignment:
    """The assignment inside `data`, once its signature by `director` holds.

    Raises:
        Refused: assignment-malformed or assignment-signature.
    """
    envelope = _envelope(data)
    try:
        envelope.verify([director], threshold=1)
    except (VerificationError, ValueError) as error:
        raise Refused(Reason.ASSIGNMENT_SIGNATURE, str(error)) from error
    try:
        return Assignment.model_validate_json(envelope.payload)
    except ValidationError as error:
        raise Refused(Reason.ASSIGNMENT_MALFORMED, str(error.errors()[0]["msg"])) from error


def _envelope(data: bytes) -> Envelope:
    if len(data) > MAX_ENVELOPE_BYTES:
        raise Refused(Reason.ASSIGNMENT_MALFORMED, f"{len(data)} bytes, at most {MAX_ENVELOPE_BYTES}")
    try:
        envelope: Envelope = Envelope.from_dict(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Refused(Reason.ASSIGNMENT_MALFORMED, "not a DSSE envelope") from error
    if envelope.payload_type != PAYLOAD_TYPE:
        raise Refused(Reason.ASSIGNMENT_MALFORMED, f"payload type {str(envelope.payload_type)[:80]!r}")
    return envelope


def director_key_bytes(key: Key) -> bytes:
    """The content of the director's target: the public key with its id."""
    return json.dumps({"keyid": key.keyid, **key.to_dict()}, sort_keys=True).encode()


def read_director_key(data: bytes) -> Key:
    """The director's public key from its (already verified) target.

    Raises:
        Malformed: not a key.
    """
    try:
        fields: dict[str, Any] = json.loads(data)
        key: Key = Key.from_dict(fields.pop("keyid"), fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Malformed("the director's key is not readable") from error
    return key

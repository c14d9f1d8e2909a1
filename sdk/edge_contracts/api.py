"""What a device and the fleet server say to each other over HTTP: paths and bodies. TLS with client certificates.

Enrolment is the one request made without a certificate; it carries the one-time token of an enrolment ticket.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from edge_contracts.ids import DeviceId, ProfileName, TenantId
from edge_contracts.wire import Utc, Wire

ENROL_PATH: Final = "/v1/device/enrolment"
"""POST EnrolmentRequest -> EnrolmentResponse."""
ASSIGNMENT_PATH: Final = "/v1/device/assignment"
"""GET -> the signed envelope (application/json), or 204 when there is none."""
METADATA_PATH: Final = "/v1/device/metadata/"
"""TUF metadata: `1.root.json`, `timestamp.json`, `7.snapshot.json`, `4.targets.json`."""
TARGETS_PATH: Final = "/v1/device/targets/"
"""TUF targets other than artifacts (manifests, the director's key): `<dir>/<sha256>.<file>` (consistent snapshot)."""
ARTIFACTS_PATH: Final = "/v1/device/artifacts/"
"""GET `<sha256 hex>`: ciphertext, with byte ranges (RFC 9110, section 14)."""

Pem = Annotated[str, StringConstraints(max_length=64 * 1024)]


class EnrolmentTicket(Wire):
    """The file an operator hands to a device: where to go, whom to trust, and the token to enrol with."""

    server: Annotated[str, StringConstraints(max_length=512)]
    """Base URL of the device door, `https://host:port`."""
    tenant: TenantId
    token: Annotated[str, StringConstraints(min_length=16, max_length=256)]
    ca: Pem
    """The server's certificate authority: pins TLS to server and broker."""
    root: Annotated[str, StringConstraints(max_length=512 * 1024)]
    """The owner's TUF root metadata (JSON): the anchor of every signature."""
    expires: Utc


class EnrolmentRequest(Wire):
    """Asks for an identity. The certificate's subject is decided by the server."""

    token: Annotated[str, StringConstraints(max_length=256)]
    csr: Pem
    """PKCS#10, PEM; its key is the device's identity key (ECDSA P-256)."""
    hpke_public_key: Annotated[bytes, Field(min_length=32, max_length=32)]
    """X25519 public key, raw; artifact keys are wrapped to it."""
    profile: ProfileName
    name: DeviceId | None = None
    """The id the device would like; the server chooses one otherwise."""
    labels: Annotated[dict[str, str], Field(max_length=16)] = {}


class EnrolmentResponse(Wire):
    """The identity and where the broker is."""

    tenant: TenantId
    device: DeviceId
    certificate: Pem
    ca: Pem
    mqtt_host: Annotated[str, StringConstraints(max_length=255)]
    mqtt_port: Annotated[int, Field(ge=1, le=65535)]


class Problem(Wire):
    """An error answer, `application/problem+json` (RFC 9457). `code` is stable; `hint` says what to do."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    code: str
    hint: str = ""

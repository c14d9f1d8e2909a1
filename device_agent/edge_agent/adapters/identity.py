"""Who the device is: its keys, its certificate, whom it trusts. Read from disk; enrolment writes it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import Field, ValidationError

from edge_agent.ports import AgentError
from edge_contracts.ids import DeviceId, ProfileName, TenantId
from edge_contracts.wire import Utc, Wire

FOLDER: Final = "identity"
KEY_FILE: Final = "device.key"
HPKE_FILE: Final = "hpke.key"
CERTIFICATE_FILE: Final = "device.crt"
CA_FILE: Final = "ca.crt"
ROOT_FILE: Final = "root.json"
RECORD_FILE: Final = "identity.json"
"""Written last: an identity without it is not one yet."""


class IdentityBroken(AgentError):
    """The identity on disk is not readable. Reaction: stop and say so; enrolling anew needs an operator."""


class IdentityRecord(Wire):
    """What `identity.json` holds: names and addresses, no secret."""

    tenant: TenantId
    device: DeviceId
    profile: ProfileName
    server: str
    mqtt_host: str
    mqtt_port: Annotated[int, Field(ge=1, le=65535)]
    enrolled: Utc
    """The start of the certificate's validity: the device's clock is never believed to be before it."""


@dataclass(frozen=True)
class Identity:
    """An enrolled device. `root` is the owner's TUF root metadata that came with the enrolment ticket."""

    record: IdentityRecord
    folder: Path
    root: bytes = field(repr=False)
    hpke: X25519PrivateKey = field(repr=False)

    @property
    def tenant(self) -> TenantId:
        """The owner of the device."""
        return self.record.tenant

    @property
    def device(self) -> DeviceId:
        """The device's id: common name of its certificate, MQTT user, part of its topics."""
        return self.record.device

    @property
    def profile(self) -> ProfileName:
        """The hardware profile it was enrolled with."""
        return self.record.profile

    @property
    def server(self) -> str:
        """Base URL of the server's device door."""
        return self.record.server

    @property
    def mqtt_host(self) -> str:
        """Where the broker is."""
        return self.record.mqtt_host

    @property
    def mqtt_port(self) -> int:
        """The broker's TLS port."""
        return self.record.mqtt_port

    @property
    def certificate_path(self) -> Path:
        """The client certificate, PEM."""
        return self.folder / CERTIFICATE_FILE

    @property
    def key_path(self) -> Path:
        """The identity key (ECDSA P-256), PEM, mode 0600."""
        return self.folder / KEY_FILE

    @property
    def ca_path(self) -> Path:
        """The certificate authority that server and broker must show, PEM."""
        return self.folder / CA_FILE

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """A client context that shows the device's certificate and trusts the server's authority alone."""
        context = ssl.create_default_context(cafile=str(self.ca_path))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate_path, self.key_path)
        return context


def load_identity(state_dir: Path) -> Identity | None:
    """The identity in `state_dir`; None if the device is not enrolled yet.

    Raises:
        IdentityBroken: it is there and not readable.
    """
    folder = state_dir / FOLDER
    if not (folder / RECORD_FILE).exists():
        return None
    try:
        record = IdentityRecord.model_validate_json((folder / RECORD_FILE).read_bytes())
        hpke = X25519PrivateKey.from_private_bytes((folder / HPKE_FILE).read_bytes())
        return Identity(record, folder, (folder / ROOT_FILE).read_bytes(), hpke)
    except (OSError, ValueError, ValidationError) as error:
        raise IdentityBroken(
            f"the identity in {folder} is not readable: {error}",
            "Restore the folder, or remove it and enrol again with a new ticket.",
        ) from error

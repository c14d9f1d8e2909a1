"""The server's settings: one frozen value, read once from TOML and the command line. Every field has a default."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_contracts.ids import TenantId
from edge_fleet.errors import CannotStart

SETTINGS_FILE: Final = "server.toml"

Port = Annotated[int, Field(ge=0, le=65535)]
"""0 lets the system choose a free one."""
Seconds = Annotated[float, Field(gt=0)]
HostName = Annotated[str, Field(pattern=r"^[0-9A-Za-z]([0-9A-Za-z.-]{0,251}[0-9A-Za-z])?$|^[0-9A-Fa-f:]{2,39}$")]
"""A name of the DNS or an address, without scheme and port."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Listener(_Section):
    host: str = "127.0.0.1"
    port: Port


class OperatorDoor(_Listener):
    """Where operators and the dashboard come in: plain HTTP, so on this machine only unless a proxy adds TLS."""

    port: Port = 8080


class DeviceDoor(_Listener):
    """Where devices come in: HTTPS with client certificates."""

    port: Port = 8443


class Broker(_Listener):
    """The Mosquitto that this server starts for itself."""

    port: Port = 8883
    program: str = "mosquitto"


class Trust(_Section):
    """How long the online signatures hold. The timestamp is renewed when half of its time has passed."""

    timestamp_seconds: Seconds = 86400.0
    snapshot_seconds: Seconds = 7 * 86400.0
    assignment_seconds: Seconds = 7 * 86400.0
    certificate_seconds: Seconds = 365 * 86400.0


class Rhythm(_Section):
    """How often the background services look, and when a device counts as silent."""

    scheduler_seconds: Seconds = 2.0
    drift_seconds: Seconds = 10.0
    silent_after_seconds: Seconds = 180.0


class Settings(_Section):
    """Everything the composition root needs to know. `names` are what devices and browsers may call this server;
    the first is told to devices."""

    data: Path
    tenant: TenantId = TenantId("default")
    names: Annotated[tuple[HostName, ...], Field(min_length=1, max_length=32)] = ("localhost", "127.0.0.1")
    database: str | None = None
    """An SQLAlchemy URL; absent means SQLite in the data folder."""
    operator_door: OperatorDoor = OperatorDoor()
    device_door: DeviceDoor = DeviceDoor()
    broker: Broker = Broker()
    trust: Trust = Trust()
    rhythm: Rhythm = Rhythm()

    def as_toml(self) -> str:
        """What differs from the defaults in a way that must not be lost, as a settings file for the data folder."""
        listeners: dict[str, _Listener] = {
            "operator_door": self.operator_door,
            "device_door": self.device_door,
            "broker": self.broker,
        }
        lines = [f"tenant = {json.dumps(self.tenant)}", f"names = {json.dumps(self.names)}"]
        if self.database is not None:
            lines.append(f"database = {json.dumps(self.database)}")
        for section, listener in listeners.items():
            lines += ["", f"[{section}]", f"host = {json.dumps(listener.host)}", f"port = {listener.port}"]
        return "\n".join(lines) + "\n"


def read_settings(data: Path | None, config: Path | None, overrides: dict[str, Any]) -> Settings:
    """The settings from `config` (or `server.toml` in the data folder, if there), then `overrides`, sections merged.

    Raises:
        CannotStart: no data folder named, or the file is missing, not TOML, or has a wrong or unknown setting.
    """
    path = config or (data / SETTINGS_FILE if data else None)
    if path is None:
        raise CannotStart("no-data-folder", "Neither a data folder nor a settings file is named", "Add --data DIR.")
    fields = _read_toml(path) if config or path.exists() else {}
    for name, value in overrides.items():
        fields[name] = {**fields.get(name, {}), **value} if isinstance(value, dict) else value
    if data is not None:
        fields["data"] = data
    fields["data"] = (path.parent / Path(fields.get("data", "."))).resolve()
    try:
        return Settings.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CannotStart("settings-invalid", f"{path}: {place}: {first['msg']}", "Correct this setting.") from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CannotStart("settings-unreadable", f"{path}: {error.strerror}", "Name an existing file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CannotStart("settings-invalid", f"{path} is not TOML: {error}", "Correct the file.") from error

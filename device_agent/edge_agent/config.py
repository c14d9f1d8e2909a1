"""The agent's settings: one frozen value, read once from a TOML file. Refuses what it does not know."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from edge_agent.ports import AgentError
from edge_contracts.ids import DeviceId, ProfileName

Seconds = Annotated[float, Field(gt=0, le=30 * 86400)]
Share = Annotated[float, Field(ge=0, le=1)]


class ConfigError(AgentError):
    """The settings cannot be used. Reaction: say the sentence and end."""


class _Table(BaseModel):
    """A table of the file: frozen, closed; `title` is the comment above it in the example."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Inference(_Table):
    """The local inference API."""

    host: str = Field("127.0.0.1", description="Address to listen on. Keep it local: the API has no passwords.")
    port: int = Field(8500, ge=0, le=65535, description="0 takes a free port; the ready line says which.")
    unix_socket: Path | None = Field(None, description="Also listen on this Unix socket.")


class Update(_Table):
    """Looking for new releases."""

    poll_s: Seconds = Field(900.0, description="Seconds between polls; a message of the server makes it sooner.")


class Telemetry(_Table):
    """What is reported, and how it is kept until the server has it."""

    window_s: Seconds = Field(900.0, description="Length of a telemetry window in seconds.")
    heartbeat_s: Seconds = Field(60.0, description="Seconds between heartbeats.")
    spool_mib: float = Field(16.0, ge=0.25, le=4096, description="Largest size of the store of unsent reports, in MiB.")


class Link(_Table):
    """The connection to the broker. Where it is and the certificate come from the enrolment."""

    keepalive_s: int = Field(60, ge=5, le=3600, description="Seconds of silence before the broker is asked for a sign.")
    reconnect_cap_s: Seconds = Field(300.0, description="Longest pause before a new attempt; the pause is random.")
    ack_timeout_s: Seconds = Field(60.0, description="Seconds after which an unconfirmed report is sent again.")
    will_delay_s: int = Field(30, ge=0, le=86400, description="Seconds offline before the broker says so to others.")


class Limits(_Table):
    """What the agent may use of the device."""

    memory_mib: float | None = Field(None, gt=0, description="Memory of a model's process in MiB; none: no limit.")


class Log(_Table):
    """The log, on standard error, one JSON object a line."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning or error.")


class Faults(_Table):
    """FOR EMULATION ONLY: trouble made on purpose (a model's process: EDGE_AGENT_FAULT_...). Leave it out otherwise."""

    crash_after_s: Seconds | None = Field(None, description="The agent kills itself after so many seconds.")
    link_down_s: float = Field(0.0, ge=0, le=86400, description="The broker is out of reach for so many seconds ...")
    link_every_s: float = Field(60.0, gt=0, le=86400, description="... out of every so many.")
    http_latency_ms: float = Field(0.0, ge=0, le=60_000, description="Milliseconds added to each HTTP request.")
    http_loss: Share = Field(0.0, description="Share of HTTP requests that fail, 0 to 1.")

    @property
    def active(self) -> bool:
        """Whether any trouble is switched on."""
        return self != Faults()


class Config(_Table):
    """Everything the agent is told from outside, apart from the enrolment ticket."""

    state_dir: Path = Field(description="Folder of identity, models and reports; made if missing, kept private.")
    profile: ProfileName = Field(description="The hardware profile of this device.")
    name: DeviceId | None = Field(None, description="The id to ask for at enrolment; the server chooses one otherwise.")
    labels: dict[str, str] = Field({}, description="Labels for selecting devices, told at enrolment.")
    inference: Inference = Inference()
    update: Update = Update()
    telemetry: Telemetry = Telemetry()
    link: Link = Link()
    limits: Limits = Limits()
    log: Log = Log()
    faults: Faults = Faults()

    @field_validator("labels")
    @classmethod
    def _few(cls, value: dict[str, str]) -> dict[str, str]:
        if len(value) > 16:
            raise ValueError("at most 16 labels")
        return value


def read_config(path: Path) -> Config:
    """The settings in `path`; relative paths in it start at its folder.

    Raises:
        ConfigError: the file is missing, is not TOML, or has an unknown key or a wrong value.
    """
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", "Write one with `edge-agent config > edge-agent.toml`."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} is not TOML: {error}", 'Text needs quotes, as in profile = "rpi4-litert".'
        ) from error
    try:
        config = Config.model_validate_json(json.dumps(fields, default=str), strict=True)
    except ValidationError as error:
        raise _explain(path, error) from error
    return _anchored(config, path.resolve().parent)


def _explain(path: Path, error: ValidationError) -> ConfigError:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "extra_forbidden":
            known = ", ".join(_keys_beside(first["loc"]))
            return ConfigError(f"{path}: unknown key {key!r}", f"Known here: {known}.")
        case "missing":
            return ConfigError(f"{path}: {key!r} is missing", "`edge-agent config` prints every key with its meaning.")
        case "string_pattern_mismatch":
            return ConfigError(f"{path}: {key} = {first['input']!r} is not a name", "Use a-z, 0-9, - and _ only.")
        case _:
            return ConfigError(f"{path}: {key} = {first['input']!r}: {first['msg']}", "Correct this value.")


def _keys_beside(place: tuple[int | str, ...]) -> list[str]:
    table: type[BaseModel] = Config
    for part in place[:-1]:
        table = _table_of(table, str(part))
    return sorted(table.model_fields)


def _table_of(owner: type[BaseModel], name: str) -> type[BaseModel]:
    default = owner.model_fields[name].default
    assert isinstance(default, BaseModel)
    return type(default)


def _anchored(config: Config, folder: Path) -> Config:
    socket = config.inference.unix_socket
    inference = config.inference.model_copy(update={"unix_socket": folder / socket if socket else None})
    return config.model_copy(update={"state_dir": folder / config.state_dir, "inference": inference})


def example(state_dir: str = "/var/lib/edge-agent", profile: str = "rpi4-litert") -> str:
    """A commented file with every key; the two required ones are set, the others stand there with their defaults."""
    lines = ["# Settings of edge-agent. Every key that is commented out has the value shown.", ""]
    required = {"state_dir": state_dir, "profile": profile}
    tables = []
    for name, field in Config.model_fields.items():
        if isinstance(field.default, BaseModel):
            tables.append((name, type(field.default)))
            continue
        lines += _entry(name, str(field.description), required.get(name, field.default), given=name in required)
    for name, table in tables:
        lines += ["", f"# {table.__doc__}", f"[{name}]"]
        for key, field in table.model_fields.items():
            lines += _entry(key, str(field.description), field.default, given=False)
    return "\n".join(lines) + "\n"


def _entry(key: str, meaning: str, value: Any, *, given: bool) -> list[str]:
    shown = '"..."' if value is None else "{}" if value == {} else json.dumps(value)
    return [f"# {meaning}", f"{key} = {shown}" if given else f"#{key} = {shown}"]

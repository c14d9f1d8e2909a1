"""The messages between device and server other than windows; (boot, sequence) marks those that count once."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from edge_contracts.ids import DeploymentId, ModelName, ProfileName, VariantName
from edge_contracts.lifecycle import Outcome, State
from edge_contracts.manifest import Count
from edge_contracts.reasons import Reason
from edge_contracts.wire import Wire

Short = Annotated[str, StringConstraints(max_length=256)]
Boot = Annotated[str, StringConstraints(max_length=36)]


class RunningRelease(Wire):
    """What serves now. `accelerator` is what truly runs it, `fallback` says it is not what was asked."""

    model: ModelName
    version: Annotated[int, Field(ge=1)]
    variant: VariantName
    engine: Short
    accelerator: Short
    fallback: bool = False
    coverage: Annotated[float, Field(ge=0, le=1)] | None = None


class Birth(Wire):
    """Sent (retained) on every connect."""

    kind: Literal["birth"] = "birth"
    boot: Boot
    at: float
    profile: ProfileName
    agent_version: Short
    engines: Annotated[tuple[Short, ...], Field(max_length=64)] = ()
    """Engine/accelerator pairs found at start, as `onnxruntime/cpu`."""
    state: State
    running: RunningRelease | None = None


class Death(Wire):
    """The will: the broker sends it when the connection is lost."""

    kind: Literal["death"] = "death"
    boot: Boot


class Heartbeat(Wire):
    """Where the device stands; only the latest counts."""

    kind: Literal["heartbeat"] = "heartbeat"
    boot: Boot
    at: float
    state: State
    running: RunningRelease | None = None
    rss_bytes: Count = 0
    inferences: Count = 0
    spool_bytes: Count = 0


class DeploymentReport(Wire):
    """A transition of a deployment; never dropped. `outcome` is set on the one that ends it."""

    kind: Literal["deployment"] = "deployment"
    boot: Boot
    sequence: Count
    at: float
    deployment: DeploymentId
    model: ModelName
    version: Annotated[int, Field(ge=1)]
    state: State
    outcome: Outcome | None = None
    reason: Reason | None = None
    detail: Annotated[str, StringConstraints(max_length=2048)] = ""
    progress: Annotated[float, Field(ge=0, le=1)] | None = None


class Desired(Wire):
    """A hint (retained): the server holds an assignment with this counter. Authority is the signed assignment."""

    kind: Literal["desired"] = "desired"
    counter: Count


class CommandName(StrEnum):
    """What the server may ask of a device."""

    CHECK = "check"
    """Look for an assignment now."""
    ABORT = "abort"
    """End the named deployment."""


class Command(Wire):
    """A request; forged, it can only delay or repeat what signed metadata allows."""

    kind: Literal["command"] = "command"
    name: CommandName
    deployment: DeploymentId | None = None
    expires: float


class Ack(Wire):
    """The server has committed these records of this boot; the device may free them."""

    kind: Literal["ack"] = "ack"
    boot: Boot
    sequences: Annotated[tuple[Count, ...], Field(max_length=1024)]

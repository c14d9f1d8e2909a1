"""What the agent and a starting worker tell each other: variant and trouble on purpose; report or failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from edge_agent.ports import AgentError
from edge_contracts.manifest import Accelerator, Variant
from edge_contracts.reasons import Reason

PREFIX: Final = "EDGE_AGENT_FAULT_"


class WorkerFaults(BaseModel):
    """FOR EMULATED DEVICES ONLY: trouble made on purpose in a worker. All off by default.

    Read from the environment by `faults_from`: `EDGE_AGENT_FAULT_CRASH_AFTER`, `_HANG_AFTER`, `_SLOW_MS`,
    `_FROM_VERSION`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    crash_after: Annotated[int, Field(ge=0)] | None = None
    """The worker aborts at this live request, counted from its start; 0: already in the self-test."""
    hang_after: Annotated[int, Field(ge=0)] | None = None
    """The worker stops answering at this live request; 0: already in the self-test."""
    slow_ms: Annotated[float, Field(ge=0, le=60_000)] = 0.0
    """Milliseconds added to each request; they count as the engine's."""
    from_version: Annotated[int, Field(ge=0)] = 0
    """Only releases of at least this version are troubled: the one before stays well."""

    def for_version(self, version: int) -> WorkerFaults:
        """The trouble a release of this version is in."""
        return self if version >= self.from_version else WorkerFaults()


class BadFault(AgentError):
    """A fault's value in the environment cannot be used. Reaction: say the sentence and end."""


def faults_from(environment: Mapping[str, str]) -> WorkerFaults:
    """The faults that the environment asks for.

    Raises:
        BadFault: an unknown name or a wrong value.
    """
    fields = {
        name.removeprefix(PREFIX).lower(): value for name, value in environment.items() if name.startswith(PREFIX)
    }
    try:
        return WorkerFaults.model_validate(fields)
    except ValueError as error:
        known = ", ".join(PREFIX + name.upper() for name in WorkerFaults.model_fields)
        raise BadFault(f"the faults in the environment are not usable: {error}", f"Known: {known}.") from error


class Order(BaseModel):
    """The first message to a worker; the model's bytes come by a file descriptor."""

    model_config = ConfigDict(frozen=True)

    variant: Variant
    gentle: bool
    """Load at low priority: another model is answering."""
    faults: WorkerFaults = WorkerFaults()


class Report(BaseModel):
    """The worker's answer: on what the model runs."""

    model_config = ConfigDict(frozen=True)

    accelerator: Accelerator
    fallback: bool
    device: str
    coverage: float | None
    partitions: int
    load_ms: float
    memory_bytes: int | None = None
    """What the engine itself accounts for; None: the process is the measure."""
    note: str = ""
    """Why the fallback was taken."""


class Failure(BaseModel):
    """Why the worker could not load the model or answer a request."""

    model_config = ConfigDict(frozen=True)

    reason: Reason
    message: str

"""The hardware profile: what one kind of target is, runs and holds. Frozen; every figure names its source."""

from __future__ import annotations

from typing import Annotated, Final, Generic, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from edge_contracts.ids import ProfileName
from edge_contracts.manifest import Accelerator, Engine, ProfileClass
from edge_profiles.fitting import misfits
from edge_profiles.schemes import FORMATS, Format, Scheme
from edge_profiles.vela import VelaAccelerator, VelaMemoryMode, VelaSystem

MISFITS: Final = "misfits"
"""The type of the error that carries all that does not fit together."""
SAYS_NOTHING: Final = frozenset(
    {"?", "-", "todo", "tbd", "unknown", "none", "n/a", "datasheet", "data sheet", "internet", "assumed", "a choice"}
)


def _says_something(source: str) -> str:
    if source.strip(" .:").lower() in SAYS_NOTHING:
        raise ValueError("names no document and gives no reason")
    return source


Text = Annotated[str, StringConstraints(min_length=1, max_length=400, strip_whitespace=True)]
Source = Annotated[Text, AfterValidator(_says_something)]
Unit = TypeVar("Unit", bound=str)


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Figure(_Table, Generic[Unit]):
    """A number with its unit and what it comes from: a datasheet or the like, a choice, or an assumption."""

    value: Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]
    """Above zero; bytes are whole."""
    unit: Unit
    """Written out, so that nobody reads kilobytes for bytes."""
    source: Source
    """The document with its place in it, or `a choice: why`, or `assumed: why`."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.unit == "byte" and not self.value.is_integer():
            raise PydanticCustomError("part_of_a_byte", "is a number of bytes and must be whole")
        return self


Bytes = Figure[Literal["byte"]]
Milliseconds = Figure[Literal["ms"]]


class Memory(_Table):
    """What the target has."""

    ram: Bytes
    """What the processor that runs the model can write to; of a board sold with several sizes the smallest."""
    flash: Bytes | None = None
    """Where the firmware and the model lie; absent where they lie on a disk or card."""
    arena: Bytes | None = None
    """The part of a microcontroller's RAM that the model may use, in one piece. For TFLite Micro, which needs it."""


class Budgets(_Table):
    """What a variant may cost. Absent means not limited. They become the manifest's limits."""

    latency: Milliseconds | None = None
    """99th percentile of one inference on the target."""
    size: Bytes | None = None
    """The model file."""
    memory: Bytes | None = None
    """The process that runs the model."""


class Operators(_Table):
    """The operators that the target has kernels for. A model with any other is refused, with the operator's name."""

    allow: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Their TFLite names; custom ones by their own."""
    source: Source
    """Which firmware or documentation says so."""


class Vela(_Table):
    """What the Ethos-U compiler is told of the system; without it its estimates mean nothing."""

    accelerator_config: VelaAccelerator
    """The NPU and its multiply-accumulate units."""
    system_config: VelaSystem
    """Clock and bandwidths, by its name in Arm's vela.ini."""
    memory_mode: VelaMemoryMode
    """Where weights and arena lie, by its name in Arm's vela.ini."""
    source: Source
    """Which document says that the board is so, or what is assumed."""


class Profile(_Table):
    """A kind of target, as in its TOML file."""

    name: ProfileName
    """What commands, devices and bundles call it: a-z, 0-9, - and _."""
    title: Text
    """What a person calls it: the board, its processor, the engine."""
    profile_class: Annotated[ProfileClass, Field(alias="class")]
    """The class of hardware."""
    architecture: Text
    """The processor's, in the words of its vendor; of a microcontroller its core, as `cortex-m4`."""
    engine: Engine
    """What runs the model."""
    accelerator: Accelerator
    """What the engine is asked to run the operators on."""
    fallback: Accelerator | None = None
    """The accelerator to use when the first is missing; absent means the device refuses."""
    coverage_floor: Annotated[float, Field(ge=0, le=1, strict=True, allow_inf_nan=False)] = 0.0
    """The least share of operators that must run on the accelerator, 0 to 1."""
    threads: Annotated[int, Field(ge=1, le=64, strict=True)] = 1
    """Threads of one inference."""
    schemes: Annotated[tuple[Scheme, ...], Field(min_length=1)]
    """Numeric schemes, best first: the first that passes the guard is shipped."""
    memory: Memory
    budgets: Budgets = Budgets()
    operators: Operators | None = None
    vela: Vela | None = None

    @property
    def format(self) -> Format:
        """The model format its engine reads."""
        return FORMATS[self.engine]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        found = misfits(self)
        if found:
            raise PydanticCustomError(MISFITS, "does not fit together", {MISFITS: found})
        return self

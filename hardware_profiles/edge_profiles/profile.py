"""The hardware profile: what one kind of target is, runs and holds. Frozen; every figure names its source."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from edge_contracts.ids import ProfileName
from edge_contracts.manifest import Accelerator, Engine, ProfileClass
from edge_profiles.schemes import FORMATS, SCHEMES, Format, Scheme

Text = Annotated[str, StringConstraints(min_length=1, max_length=400)]
Unit = TypeVar("Unit", bound=str)


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Figure(_Table, Generic[Unit]):
    """A number with its unit and what it comes from: a datasheet or the like, a choice, or an assumption."""

    value: Annotated[float, Field(gt=0)]
    unit: Unit
    source: Text


Bytes = Figure[Literal["byte"]]
Milliseconds = Figure[Literal["ms"]]


class Memory(_Table):
    """What the target has. `arena` is the part of a microcontroller's RAM that the model may use."""

    ram: Bytes
    flash: Bytes | None = None
    arena: Bytes | None = None


class Budgets(_Table):
    """What a variant may cost. Absent means not limited. They become the manifest's limits."""

    latency: Milliseconds | None = None
    """99th percentile of one inference on the target."""
    size: Bytes | None = None
    """The model file."""
    memory: Bytes | None = None
    """The process that runs the model."""


class Operators(_Table):
    """The operators the target's firmware has kernels for, by their TFLite names."""

    allow: Annotated[tuple[Text, ...], Field(min_length=1)]
    source: Text


class Vela(_Table):
    """What the Ethos-U compiler is told of the system; without it its estimates mean nothing."""

    accelerator_config: Text
    system_config: Text
    memory_mode: Text
    source: Text


class Profile(_Table):
    """A kind of target, as in its TOML file."""

    name: ProfileName
    title: Text
    profile_class: Annotated[ProfileClass, Field(alias="class")]
    architecture: Text
    engine: Engine
    accelerator: Accelerator
    fallback: Accelerator | None = None
    """The accelerator to use when the first is missing; absent means the device refuses."""
    coverage_floor: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The least share of operators that must run on the accelerator."""
    threads: Annotated[int, Field(ge=1, le=64)] = 1
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
        runs = SCHEMES.get((self.engine, self.accelerator))
        if runs is None:
            pairs = ", ".join(f"{engine} with {accelerator}" for engine, accelerator in SCHEMES)
            raise ValueError(f"engine {self.engine} has no accelerator {self.accelerator}; there are: {pairs}")
        if self.fallback is not None and (self.engine, self.fallback) not in SCHEMES:
            raise ValueError(f"fallback {self.fallback} is not an accelerator of {self.engine}")
        wrong = [scheme for scheme in self.schemes if scheme not in runs]
        if wrong:
            raise ValueError(f"scheme {wrong[0]} does not run here; allowed: {', '.join(runs)}")
        if self.engine is Engine.TFLITE_MICRO and self.memory.arena is None:
            raise ValueError("memory.arena is missing: TFLite Micro needs the bytes it may plan with")
        if self.engine is Engine.VELA and self.vela is None:
            raise ValueError("the table [vela] is missing: Vela's estimates need an explicit system configuration")
        return self

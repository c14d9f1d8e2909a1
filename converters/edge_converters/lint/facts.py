"""What a reading of a model file brings home for the rules: operators, weights, quantisers. Plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from pydantic import TypeAdapter

Form = Literal["onnx", "keras", "saved-model", "tflite"]


@dataclass(frozen=True)
class Node:
    """An operator or layer. `known`: the format's standard has it; `kernel`: the engine that answers for it does."""

    name: str
    operator: str
    domain: str = ""
    known: bool = True
    kernel: bool = True
    constant: bool = False
    """It depends on no input of the model, so that it can be computed ahead."""
    detail: str = ""
    """What of it a person should see, such as a mode."""

    @property
    def title(self) -> str:
        """As it is named in sentences."""
        return f"{self.operator} {self.name!r}"


@dataclass(frozen=True)
class Weight:
    """A constant. `reader` is the operator that takes it; `computes`: as a factor, not as a bound or a mask."""

    name: str
    datatype: str
    elements: int
    nan: int = 0
    infinite: int = 0
    largest: float = 0.0
    """Of the finite magnitudes."""
    reader: str = ""
    computes: bool = True


@dataclass(frozen=True)
class Quantiser:
    """Scales and zero points of an operator or tensor; a zero point lies from `low` to `high`."""

    title: str
    parameter: str
    scales: tuple[float, ...]
    zeros: tuple[int, ...]
    low: int
    high: int


@dataclass(frozen=True)
class Trouble:
    """A fault of the file itself, by its code, told by whoever read it."""

    code: str
    sentence: str


@dataclass(frozen=True)
class Facts:
    """Of one model file."""

    form: Form
    nodes: tuple[Node, ...] = ()
    weights: tuple[Weight, ...] = ()
    quantisers: tuple[Quantiser, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    unused: tuple[str, ...] = ()
    """Weights that nothing reads."""


_FACTS: Final = TypeAdapter(Facts)


def to_json(facts: Facts) -> dict[str, Any]:
    """Plain values, for the way between processes."""
    return asdict(facts)


def from_json(plain: Mapping[str, Any]) -> Facts:
    """Back again."""
    return _FACTS.validate_python({key: value for key, value in plain.items() if key in Facts.__dataclass_fields__})

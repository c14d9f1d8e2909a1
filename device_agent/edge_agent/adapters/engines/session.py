"""What every engine offers: a loaded model that can be run. Imports no engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edge_agent.core.tensors import DATATYPES, Array
from edge_agent.ports import AgentError
from edge_contracts.manifest import Accelerator, TensorSpec, Variant


class EngineMissing(AgentError):
    """The library, driver or device is not here. Reaction: the allowed fallback, else engine-missing."""


class WrongSignature(AgentError):
    """The model file's own inputs or outputs are not those of the signed manifest. Reaction: model-unloadable."""


@dataclass(frozen=True)
class Loaded:
    """What loading showed: on what the model really runs.

    `coverage` is the share of its operators on the accelerator, 0..1 (conversions between real and stored values do
    not count), in `partitions` pieces.
    """

    accelerator: Accelerator
    device: str = ""
    coverage: float | None = 1.0
    partitions: int = 1


class Session(Protocol):
    """A loaded model. Used by one thread at a time; may crash or hang, which is why it lives in a worker process."""

    loaded: Loaded

    def run(self, inputs: list[Array]) -> list[Array]:
        """Outputs for inputs, both in the order of the variant; complete when it returns. May raise anything."""

    def memory_bytes(self) -> int | None:
        """Memory the engine itself accounts for (a microcontroller's arena); None: the process is the measure."""


class EngineModule(Protocol):
    """What the modules beside this one export."""

    def load(self, model: bytes, variant: Variant) -> Session:
        """Raises EngineMissing, MemoryError, WrongSignature; anything else means that the model does not load."""

    def probe(self) -> None:
        """Return if this engine works here. Raises EngineMissing."""


@dataclass(frozen=True)
class Found:
    """A tensor as the model file has it."""

    name: str
    dtype: object
    shape: tuple[int, ...]


def order(specs: tuple[TensorSpec, ...], found: list[Found], side: str) -> list[int]:
    """For each spec the index of the model's tensor: by name, or by place where the file has no such names.

    Raises:
        WrongSignature: other tensors than the manifest says.
    """
    if len(specs) != len(found):
        raise WrongSignature(f"the model has {len(found)} {side}s, the manifest {len(specs)}")
    names = [tensor.name for tensor in found]
    by_name = all(spec.name in names for spec in specs)
    indices = [names.index(spec.name) if by_name else place for place, spec in enumerate(specs)]
    for spec, index in zip(specs, indices, strict=True):
        _check(spec, found[index], side)
    return indices


def _check(spec: TensorSpec, found: Found, side: str) -> None:
    same_shape = len(spec.shape) == len(found.shape) and all(
        n == m or -1 in (n, m) or place == 0 for place, (n, m) in enumerate(zip(spec.shape, found.shape, strict=True))
    )
    datatype = DATATYPES.get(found.dtype)  # type: ignore[call-overload]
    if datatype is not spec.datatype or not same_shape:
        raise WrongSignature(
            f"{side} {spec.name!r} is {datatype or found.dtype} {list(found.shape)} in the model, "
            f"{spec.datatype} {list(spec.shape)} in the manifest"
        )

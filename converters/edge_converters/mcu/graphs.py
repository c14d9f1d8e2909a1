"""A TFLite file's graph as plain values: what is computed from what, and how long each tensor is needed. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge_converters.mcu.arena import Buffer

BITS: Final = {
    **dict.fromkeys(("INT4",), 4),
    **dict.fromkeys(("BOOL", "INT8", "UINT8"), 8),
    **dict.fromkeys(("INT16", "UINT16", "FLOAT16"), 16),
    **dict.fromkeys(("INT32", "UINT32", "FLOAT32", "RESOURCE"), 32),
    **dict.fromkeys(("INT64", "UINT64", "FLOAT64", "COMPLEX64"), 64),
}
"""Width of an element by TFLite's name of its type."""


@dataclass(frozen=True)
class Tensor:
    """`constant` ones lie in the file, `variable` ones live as long as the interpreter: neither is planned."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    constant: bool
    variable: bool

    @property
    def size(self) -> int:
        """In bytes."""
        return -(-math.prod(self.shape) * BITS[self.datatype] // 8)


@dataclass(frozen=True)
class Operator:
    """`inputs` and `outputs` are places in the graph's tensors; -1 is an optional one that is left out."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, float]


@dataclass(frozen=True)
class Graph:
    """Operators in the order they run in."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    subgraphs: int = 1
    """More than one where the model has control flow."""
    planned_offline: bool = False
    """The file brings a plan of its own, which TFLite Micro follows."""

    def tensor(self, operator: Operator, place: int) -> Tensor:
        """The operator's input at `place`."""
        return self.tensors[operator.inputs[place]]

    def result(self, operator: Operator) -> Tensor:
        """The operator's first output."""
        return self.tensors[operator.outputs[0]]


def from_json(found: Mapping[str, Any]) -> Graph:
    """The graph as the task that reads it says it."""
    return Graph(
        tensors=tuple(Tensor(**{**each, "shape": tuple(each["shape"])}) for each in found["tensors"]),
        operators=tuple(
            Operator(each["name"], tuple(each["inputs"]), tuple(each["outputs"]), each["options"])
            for each in found["operators"]
        ),
        inputs=tuple(found["inputs"]),
        outputs=tuple(found["outputs"]),
        subgraphs=found["subgraphs"],
        planned_offline=found["planned_offline"],
    )


def activations(graph: Graph) -> tuple[Buffer, ...]:
    """The tensors that are planned, in the file's order; step 0 fills the inputs, step i + 1 is operator i.

    As TFLite Micro's AllocationInfoBuilder has it (tensorflow/lite/micro/micro_allocation_info.cc): inputs live from
    the start, the graph's outputs to the end, and what nobody touches is given room all the same.
    """
    first, last = _lifetimes(graph)
    writers = {index: f"{each.name} {place}" for place, each in enumerate(graph.operators) for index in each.outputs}
    return tuple(
        Buffer(
            tensor.name or f"output of {writers.get(index, 'nothing')}",
            tensor.size,
            first.get(index, -1),
            last.get(index, -1),
        )
        for index, tensor in enumerate(graph.tensors)
        if tensor.size and not tensor.constant and not tensor.variable
    )


def scratch_buffers(operators: Sequence[Operator], sizes: Sequence[Sequence[int]]) -> tuple[Buffer, ...]:
    """What kernels ask for beside tensors: `sizes` in bytes by operator, needed only while it runs."""
    return tuple(
        Buffer(f"scratch of {operator.name} {index}", size, index + 1, index + 1)
        for index, (operator, asked) in enumerate(zip(operators, sizes, strict=True))
        for size in asked
        if size
    )


def _lifetimes(graph: Graph) -> tuple[dict[int, int], dict[int, int]]:
    first = dict.fromkeys((*graph.inputs, *graph.outputs), 0)
    last = dict(first)
    for step, operator in enumerate(graph.operators, start=1):
        first.update(dict.fromkeys(operator.outputs, step))
        last.update(dict.fromkeys((*operator.inputs, *operator.outputs), step))
    last.update(dict.fromkeys(graph.outputs, len(graph.operators)))
    return first, last

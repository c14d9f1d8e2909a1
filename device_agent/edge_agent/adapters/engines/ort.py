"""What ONNX Runtime's providers share: session options, the signature, coverage. Loads no model by itself."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnxruntime as ort

from edge_agent.adapters.engines.session import Found, Loaded, order
from edge_agent.core.tensors import Array
from edge_contracts.manifest import Accelerator, Variant

CONVERSIONS: Final = frozenset({"QuantizeLinear", "DequantizeLinear"})
"""Operators that only convert between real and stored values; an accelerator fuses them into its own."""
_QUIET: Final = 3
"""Log errors only."""
_TYPES: Final = {
    "float": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "int8": np.dtype("i1"),
    "uint8": np.dtype("u1"),
    "int16": np.dtype("<i2"),
    "uint16": np.dtype("<u2"),
    "int32": np.dtype("<i4"),
    "int64": np.dtype("<i8"),
    "bool": np.dtype("?"),
}


def options(variant: Variant) -> Any:
    """Session options: the signed number of threads, which sleep when there is nothing to do."""
    chosen = ort.SessionOptions()
    chosen.log_severity_level = _QUIET
    chosen.intra_op_num_threads = variant.needs.threads
    chosen.inter_op_num_threads = 1
    chosen.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return chosen


class OrtSession:
    """A model in ONNX Runtime."""

    def __init__(self, session: Any, variant: Variant, loaded: Loaded) -> None:
        self.loaded = loaded
        self._session = session
        inputs, outputs = session.get_inputs(), session.get_outputs()
        self._inputs = [inputs[i].name for i in order(variant.inputs, _found(inputs), "input")]
        self._outputs = [outputs[i].name for i in order(variant.outputs, _found(outputs), "output")]

    def run(self, inputs: list[Array]) -> list[Array]:
        """Outputs for inputs, both in the order of the variant."""
        answers: list[Array] = self._session.run(self._outputs, dict(zip(self._inputs, inputs, strict=True)))
        return answers

    def memory_bytes(self) -> None:
        """The process is the measure."""


def measure(session: Any, provider: str, accelerator: Accelerator, device: str) -> Loaded:
    """How much of the graph `provider` took, from ONNX Runtime's own record of the assignment."""
    taken = total = partitions = 0
    for part in session.get_provider_graph_assignment_info():
        operators = sum(node.op_type not in CONVERSIONS for node in part.get_nodes())
        total += operators
        if part.ep_name == provider:
            taken += operators
            partitions += 1
    return Loaded(accelerator, device, taken / total if total else 0.0, partitions)


def _found(tensors: Any) -> list[Found]:
    return [
        Found(
            str(tensor.name),
            _TYPES.get(tensor.type.removeprefix("tensor(").removesuffix(")"), tensor.type),
            tuple(n if isinstance(n, int) else -1 for n in tensor.shape),
        )
        for tensor in tensors
    ]

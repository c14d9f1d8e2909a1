"""What ONNX Runtime's providers share: session options, providers that are built in, the signature, coverage."""

from __future__ import annotations

from importlib import resources
from typing import Any, Final

import numpy as np
import onnxruntime as ort

from edge_agent.adapters.engines.session import EngineMissing, Found, Loaded, order
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


def recording_options(variant: Variant) -> Any:
    """Session options that keep ONNX Runtime's record of which provider took what, for `measure`."""
    chosen = options(variant)
    chosen.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return chosen


def open_on(model: bytes, chosen: Any, *providers: str | tuple[str, dict[str, str]]) -> Any:
    """A session on the first of these built-in providers; what it leaves goes to the next, and last to the CPU.

    Raises:
        EngineMissing: this build of the library lacks it, or its libraries or device are not here.
    """
    first = providers[0] if isinstance(providers[0], str) else providers[0][0]
    if first not in ort.get_available_providers():
        raise EngineMissing(f"this onnxruntime has no {first}", "Install its GPU build (on Jetson: NVIDIA's) instead.")
    session = ort.InferenceSession(model, chosen, providers=list(providers))
    if first not in session.get_providers():
        raise EngineMissing(f"{first} does not start: its libraries or its device are not here")
    return session


def try_on(provider: str) -> None:
    """Load a model of one addition: only that shows whether the provider finds its libraries and its device.

    Raises:
        EngineMissing: it does not.
    """
    chosen = ort.SessionOptions()
    chosen.log_severity_level = _QUIET
    open_on(resources.files(__package__).joinpath("addition.onnx").read_bytes(), chosen, provider)


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

"""Scales of a 16-bit QDQ graph that the Hexagon tensor processor computes nearly as the CPU does.

Found by comparing single layers on the QNN provider's simulator with the CPU (docs/decisions/0009). With 16-bit
activations it multiplies their high and low bytes apart, and of the sums of low bytes, of the bias, and of zero point
times weights it drops what is below 256; the factor between accumulator and output has about 11 significant bits.
Numbers that are round in this sense lose nothing there. What is left is the low bytes' part, which is cut by
equalisation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

Array = npt.NDArray[Any]
Constants = dict[str, Array]

BYTE: Final = 256
FACTOR_BITS: Final = 10
"""One less than the simulator keeps."""
OUTPUT_AXES: Final = {"Conv": 0, "Gemm": 1}
"""Where a weight's scales per channel lie; of a Gemm with transB also at 0."""
_QUANTISED: Final = "_quantized"


@dataclass(frozen=True)
class _Layer:
    """Names of the constants of one Conv or Gemm with stored weights."""

    weight: str
    weight_scale: str
    axis: int
    bias: str | None
    bias_scale: str | None
    input_scale: str
    output_scale: str


def align(model: onnx.ModelProto, floats: onnx.ModelProto) -> onnx.ModelProto:
    """The same quantised graph with rounder numbers. `floats` is the graph it was quantised from, for its weights."""
    real = {weight.name: numpy_helper.to_array(weight) for weight in floats.graph.initializer}
    constants = {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}
    for scale, zero in _activations(model.graph, constants):
        constants[scale], constants[zero] = whole_byte(constants[scale], constants[zero])
    for layer in _layers(model.graph, constants):
        constants |= _aligned(layer, constants, real)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for weight in result.graph.initializer:
        weight.CopyFrom(numpy_helper.from_array(constants[weight.name], weight.name))
    return result


def whole_byte(scale: Array, zero: Array) -> tuple[Array, Array]:
    """A uint16 range that holds the given one and whose zero point is a multiple of 256."""
    top = np.iinfo(np.uint16).max
    old = float(zero)
    new = min(np.ceil(old / BYTE) * BYTE, top + 1 - BYTE)
    wider = max(old / new if new else 0.0, (top - old) / (top - new))
    return (scale * wider).astype(scale.dtype), np.array(new, np.uint16)


def round_up(values: Array, bits: int = FACTOR_BITS) -> Array:
    """The nearest numbers not below `values` with this many significant bits."""
    fraction, exponent = np.frexp(np.asarray(values, np.float64))
    return np.asarray(np.ldexp(np.ceil(fraction * 2**bits), exponent - bits))


def _aligned(layer: _Layer, constants: Constants, real: Constants) -> Constants:
    entry, end = (np.float64(constants[name]) for name in (layer.input_scale, layer.output_scale))
    factor = entry * constants[layer.weight_scale] / end
    scale = (round_up(factor) * end / entry).astype(np.float32)
    weight = real[layer.weight.removesuffix(_QUANTISED)]
    along = scale.reshape([-1 if axis == layer.axis else 1 for axis in range(weight.ndim)]) if scale.ndim else scale
    changed: Constants = {
        layer.weight_scale: scale,
        layer.weight: np.clip(np.rint(weight / along), -127, 127).astype(np.int8),
    }
    if layer.bias is None or layer.bias_scale is None:
        return changed
    step = (np.float32(entry) * scale).astype(np.float32)
    bias = np.rint(real[layer.bias.removesuffix(_QUANTISED)] / (step * np.float64(BYTE))) * BYTE
    shape = constants[layer.bias_scale].shape
    return changed | {layer.bias: bias.astype(np.int32), layer.bias_scale: step.reshape(shape)}


def _activations(graph: onnx.GraphProto, constants: Constants) -> Iterator[tuple[str, str]]:
    """Scale and zero point of every uint16 tensor that is computed, each pair once; stored constants keep theirs."""
    borders = [node for node in graph.node if node.op_type in {"QuantizeLinear", "DequantizeLinear"}]
    kept = {node.input[1] for node in borders if node.input[0] in constants}
    for scale, zero in dict.fromkeys((node.input[1], node.input[2]) for node in borders):
        if scale not in kept and constants[zero].dtype == np.uint16 and constants[zero].ndim == 0:
            yield scale, zero


def _layers(graph: onnx.GraphProto, constants: Constants) -> Iterator[_Layer]:
    written = {name: node for node in graph.node for name in node.output}
    readers = {name: node for node in graph.node for name in node.input}
    for node in graph.node:
        if node.op_type not in OUTPUT_AXES:
            continue
        end = readers.get(node.output[0])
        sources = [written.get(name) for name in node.input]
        if end is None or end.op_type != "QuantizeLinear" or any(each is None for each in sources):
            continue
        entry, weight, *bias = (each for each in sources if each is not None)
        if weight.input[0] not in constants or constants[weight.input[0]].dtype != np.int8:
            continue
        yield _Layer(
            weight=weight.input[0],
            weight_scale=weight.input[1],
            axis=next((each.i for each in weight.attribute if each.name == "axis"), OUTPUT_AXES[node.op_type]),
            bias=bias[0].input[0] if bias else None,
            bias_scale=bias[0].input[1] if bias else None,
            input_scale=entry.input[1],
            output_scale=end.input[1],
        )

"""Cross-layer equalisation of an ONNX graph: its channels share one range, so that one scale suits them all.

Between two layers with a ReLU in between, channel c is divided by k[c] in the first and multiplied by it in the second:
max(0, y / k) * k = max(0, y) for k > 0 (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
Correction", ICCV 2019). Here k follows the ranges seen in calibration. The graph's answers stay the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]

POOLS: Final = frozenset({"AveragePool", "GlobalAveragePool", "MaxPool"})
"""They treat each channel alone, and commute with a positive factor."""
FLATTENS: Final = frozenset({"Flatten", "Reshape"})
SMALLEST: Final = 1 / 64
"""Of the widest channel's range: a channel that calibration hardly woke is not blown up further."""


@dataclass(frozen=True)
class Pair:
    """Two layers whose channels can be scaled against each other; `active` is the tensor behind the ReLU."""

    first: onnx.NodeProto
    active: str
    second: onnx.NodeProto


def equalise(model: onnx.ModelProto, samples: Array) -> onnx.ModelProto:
    """The same function with equalised channels. `samples` are float inputs [n, ...]."""
    found = list(pairs(model.graph))
    result = onnx.ModelProto()
    result.CopyFrom(model)
    weights = {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}
    for pair, peaks in zip(found, _peaks(model, [pair.active for pair in found], samples), strict=True):
        k = factors(peaks)
        for name in pair.first.input[1:]:
            weights[name] = weights[name] / _along(0, k, weights[name].ndim)
        weights[pair.second.input[1]] = _times(pair.second, weights[pair.second.input[1]], k)
    for weight in result.graph.initializer:
        weight.CopyFrom(numpy_helper.from_array(weights[weight.name], weight.name))
    return result


def factors(peaks: Array) -> Array:
    """k for channels with these largest values; 1 for a channel that was never active."""
    widest = peaks.max()
    if widest <= 0:
        return np.ones(len(peaks), np.float32)
    k = np.where(peaks > 0, np.maximum(peaks / widest, SMALLEST), 1)
    return k.astype(np.float32)


def pairs(graph: onnx.GraphProto) -> Iterator[Pair]:
    """Conv, ReLU, any pools, then one Conv or a flattened Gemm, where nothing else reads what lies between."""
    constants = {weight.name: list(weight.dims) for weight in graph.initializer}
    shapes = {info.name: [side.dim_value for side in info.type.tensor_type.shape.dim] for info in graph.value_info}
    for first in graph.node:
        relu = _reader(graph, first.output[0])
        if first.op_type != "Conv" or relu is None or relu.op_type != "Relu":
            continue
        second, flat = _next_layer(graph, relu)
        if second is None or not _own(graph, [*first.input[1:], second.input[1]], constants):
            continue
        channels, shape = constants[first.input[1]][0], constants[second.input[1]]
        into = shape[1 if _attribute(second, "transB", 0) else 0]
        if (second.op_type == "Conv" and flat is None) or (
            second.op_type == "Gemm" and flat is not None and shapes.get(flat) == [1, into] and into % channels == 0
        ):
            yield Pair(first, relu.output[0], second)


def _next_layer(graph: onnx.GraphProto, relu: onnx.NodeProto) -> tuple[onnx.NodeProto | None, str | None]:
    """The node behind pools and flattening, and the flattened tensor if there is one."""
    node, flat = _reader(graph, relu.output[0]), None
    while node is not None and node.op_type in POOLS | FLATTENS:
        flat = node.output[0] if node.op_type in FLATTENS else flat
        node = _reader(graph, node.output[0])
    return (node if node is not None and node.op_type in {"Conv", "Gemm"} else None), flat


def _reader(graph: onnx.GraphProto, name: str) -> onnx.NodeProto | None:
    """The only node that reads a tensor; None if several do, or if it leaves the graph."""
    readers = [node for node in graph.node if name in node.input]
    leaves = any(end.name == name for end in graph.output)
    return readers[0] if len(readers) == 1 and not leaves and readers[0].input[0] == name else None


def _own(graph: onnx.GraphProto, names: list[str], constants: dict[str, list[int]]) -> bool:
    """Whether these are constants that one node alone reads."""
    return all(name in constants and sum(name in node.input for node in graph.node) == 1 for name in names)


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((each.i for each in node.attribute if each.name == name), default)


def _times(second: onnx.NodeProto, weight: Array, k: Array) -> Array:
    if second.op_type == "Gemm":
        axis = 1 if _attribute(second, "transB", 0) else 0
        return np.asarray(weight * _along(axis, np.repeat(k, weight.shape[axis] // len(k)), 2))
    out, into = weight.shape[:2]
    groups = _attribute(second, "group", 1)
    channel = (np.arange(out) // (out // groups))[:, None] * into + np.arange(into)
    return np.asarray(weight * k[channel].reshape(out, into, *[1] * (weight.ndim - 2)))


def _along(axis: int, k: Array, dimensions: int) -> Array:
    return k.reshape([-1 if each == axis else 1 for each in range(dimensions)])


def _peaks(model: onnx.ModelProto, names: list[str], samples: Array) -> list[Array]:
    """The largest value of each channel of these tensors over all samples."""
    if not names:
        return []
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    probed.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(probed.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (entry,) = (node.name for node in session.get_inputs())
    rows = [[_by_channel(part) for part in session.run(names, {entry: sample[None]})] for sample in samples]
    return [np.max(column, axis=0) for column in zip(*rows, strict=True)]


def _by_channel(values: Array) -> Array:
    """[1, channels, ...] to the largest of each channel."""
    return np.asarray(values[0].reshape(values.shape[1], -1).max(axis=1))

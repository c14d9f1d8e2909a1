"""Smaller weights in a float TFLite file, activations left as they are: half precision, or int8 by channel.

Both are what TensorFlow's converter makes of the same model, without its way through a SavedModel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from edge_converters.backends import tflite_files

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class _Mixed:
    """An operator that takes float activations and int8 weights with a scale for each output channel."""

    axis: int
    """Of its weight's output channels."""
    version: int
    """The first of the operator that has this, and the runtime that brought it: tflite/tools/versioning."""
    runtime: str


MIXED: Final = {
    "CONV_2D": _Mixed(0, 5, "2.4.0"),
    "DEPTHWISE_CONV_2D": _Mixed(3, 6, "2.3.0"),
    "FULLY_CONNECTED": _Mixed(0, 12, "2.17.0"),
}
HALF_RUNTIME: Final = "1.15.0"
HALF_LARGEST: Final = float(np.finfo(np.float16).max)
WEIGHT: Final = 1
SMALLEST: Final = 1024
"""Elements below which weights stay float: kMinNumElementsForWeightsQuantization of the converter."""
SMALLEST_RANGE: Final = 5e-7
"""Of a channel that is next to nothing, as the converter has it."""
LARGEST: Final = 127
"""int8 weights are symmetric, so that zero is zero: TFLite's 8-bit quantisation specification."""


def to_half(content: tflite_files.Content) -> bytes:
    """Constants that are float32 as float16, each behind an operator that widens it again."""
    model = tflite_files.unpack(content)
    (graph,) = model.subgraphs[:1]
    code = tflite_files.code_index(model, "DEQUANTIZE", version=3)  # the first version that takes float16
    widening = []
    for place in range(len(graph.tensors)):
        value = tflite_files.constant(model, graph.tensors[place])
        if value is None or value.dtype != np.float32:
            continue
        half = np.clip(value, -HALF_LARGEST, HALF_LARGEST)
        name = (graph.tensors[place].name or b"").decode()
        stored = tflite_files.add_tensor(model, graph, f"{name}/half", value.shape, half.astype(np.float16))
        graph.tensors[place].buffer = 0
        options = {"builtinOptionsType": schema.BuiltinOptions.DequantizeOptions}
        ends = {"inputs": np.array([stored], np.int32), "outputs": np.array([place], np.int32)}
        widening.append(schema.OperatorT(code, **ends, **options, builtinOptions=schema.DequantizeOptionsT()))
    graph.operators = [*widening, *graph.operators]
    tflite_files.require_runtime(model, HALF_RUNTIME)
    tflite_files.drop_unused(model)
    return tflite_files.pack(model)


def to_dynamic(content: tflite_files.Content) -> bytes:
    """Weights of `SMALLEST` elements or more as int8 with a scale for each output channel; activations float.

    The kernels quantise what comes in as they run, sample by sample.
    """
    model = tflite_files.unpack(content)
    (graph,) = model.subgraphs[:1]
    for operator in graph.operators:
        word = tflite_files.word(model, operator)
        if word not in MIXED:
            continue
        tensor = graph.tensors[int(operator.inputs[WEIGHT])]
        value = tflite_files.constant(model, tensor)
        if value is None or value.dtype != np.float32 or value.size < SMALLEST:
            continue
        kind = MIXED[word]
        stored, scales = by_channel(value, kind.axis)
        place = tflite_files.add_tensor(model, graph, f"{(tensor.name or b'').decode()}/int8", value.shape, stored)
        graph.tensors[place].quantization = schema.QuantizationParametersT(
            scale=scales, zeroPoint=np.zeros(len(scales), np.int64), quantizedDimension=kind.axis
        )
        operator.inputs = np.array([*operator.inputs[:WEIGHT], place, *operator.inputs[WEIGHT + 1 :]], np.int32)
        operator.opcodeIndex = tflite_files.code_index(model, word, kind.version)
        if word == "FULLY_CONNECTED":
            operator.builtinOptions.asymmetricQuantizeInputs = True  # as the converter has it: one step less is lost
        tflite_files.require_runtime(model, kind.runtime)
    tflite_files.drop_unused(model)
    return tflite_files.pack(model)


def by_channel(weight: Array, axis: int) -> tuple[Array, Array]:
    """int8 in [-127, 127] with float32 scales [channels]: weight = stored * scale along `axis`, to half a step."""
    others = tuple(each for each in range(weight.ndim) if each != axis)
    scales = np.maximum(np.abs(weight).max(axis=others).astype(np.float64), SMALLEST_RANGE) / LARGEST
    steps = weight / scales.reshape([-1 if each == axis else 1 for each in range(weight.ndim)])
    rounded = np.trunc(steps + np.copysign(0.5, steps))
    return np.clip(rounded, -LARGEST, LARGEST).astype(np.int8), scales.astype(np.float32)

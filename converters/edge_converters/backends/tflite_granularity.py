"""Dense layers of an int8 file given one scale for all their weights: it saves 16 bytes an output channel.

A dense layer of few inputs has nearly as many bytes of scales and zero points as of weights; where its channels are
alike, one scale does as well. Weights and biases are rounded anew from the float file's.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from edge_converters.backends import tflite_files, tflite_network
from edge_converters.backends.tflite_compaction import pairs
from edge_converters.backends.tflite_layers import BIAS, WEIGHT
from edge_converters.errors import NotConvertible
from edge_converters.networks import Kind

Array = npt.NDArray[Any]

DENSE: Final = "FULLY_CONNECTED"
LARGEST: Final = 127
ALIKE: Final = 10.0
"""The noise that one scale may bring, as a multiple of what a scale for each channel leaves."""
MANY: Final = 64
"""Output channels whose scales are worth saving: fewer take less than a kilobyte, and a narrow layer hands its noise on
to all behind it."""


def with_one_scale(quantised: tflite_files.Content, base: tflite_files.Content, layers: Collection[str]) -> bytes:
    """The int8 file with one scale for the weights of each of `layers`, dense ones, by their first outputs' names.

    Raises:
        NotConvertible: one of them is no dense layer of the float file `base`, or is not int8 in the file.
    """
    source, model = tflite_files.unpack(base), tflite_files.unpack(quantised)
    missing = set(layers)
    for ours, theirs in pairs(source, model):
        name = (source.subgraphs[0].tensors[int(ours.outputs[0])].name or b"").decode()
        if name in missing and tflite_files.word(source, ours) == DENSE:
            missing -= {name} if _coarsen(source, ours, model, theirs) else set()
    if missing:
        raise NotConvertible(
            f"{', '.join(sorted(missing))}: no dense layer with int8 weights",
            "Only those can have one scale for all channels; leave the others as they are.",
        )
    return tflite_files.pack(model)


def alike_layers(base: tflite_files.Content) -> tuple[str, ...]:
    """The dense layers of a float file that have many channels, which one scale suits nearly as well."""
    layers = [layer for layer in tflite_network.read(base).weighted_layers if layer.kind is Kind.DENSE]
    return tuple(layer.name for layer in layers if len(layer.weight) >= MANY and noise_ratio(layer.weight) < ALIKE)


def noise_ratio(weight: Array) -> float:
    """Mean square of rounding errors with one scale over that with a scale for each row of [out, in]; at least 1."""
    peaks = np.abs(weight).max(axis=1).astype(np.float64)
    return float(peaks.max() ** 2 / np.mean(peaks**2)) if peaks.any() else 1.0


def _coarsen(source: Any, ours: Any, model: Any, theirs: Any) -> bool:
    """Whether the operator `theirs` of `model` has int8 weights; if so they have one scale now, and its bias too."""
    tensors = model.subgraphs[0].tensors
    stored = tensors[int(theirs.inputs[WEIGHT])]
    weight = tflite_files.constant(source, source.subgraphs[0].tensors[int(ours.inputs[WEIGHT])])
    if weight is None or stored.type != schema.TensorType.INT8:
        return False
    scale = float(np.abs(weight).max()) / LARGEST or 1.0
    _store(model, theirs, WEIGHT, weight, scale, np.dtype(np.int8))
    if len(ours.inputs) > BIAS and ours.inputs[BIAS] != tflite_files.NONE:
        bias = tflite_files.constant(source, source.subgraphs[0].tensors[int(ours.inputs[BIAS])])
        assert bias is not None, "a dense layer's bias lies in the file"
        step = float(tensors[int(theirs.inputs[0])].quantization.scale[0]) * float(np.float32(scale))
        _store(model, theirs, BIAS, bias, step, np.dtype(np.int32))
    return True


def _store(model: Any, operator: Any, position: int, value: Array, scale: float, kind: np.dtype[Any]) -> None:
    """A tensor of its own for this operator, for another may share the old one."""
    limits = np.iinfo(kind)
    steps = np.clip(np.rint(value / scale), limits.min + 1, limits.max).astype(kind)
    graph = model.subgraphs[0]
    place = tflite_files.add_tensor(model, graph, "", value.shape, steps)
    graph.tensors[place].quantization = schema.QuantizationParametersT(
        scale=np.array([scale], np.float32), zeroPoint=np.zeros(1, np.int64)
    )
    operator.inputs = np.array([*operator.inputs[:position], place, *operator.inputs[position + 1 :]], np.int32)

"""What a kernel asks for in the arena beside its tensors, by operator and by library of kernels. Pure.

TFLite Micro's reference kernels: the calls of RequestScratchBufferInArena in tensorflow/lite/micro/kernels
(reduce_common.cc, transpose_conv.cc). CMSIS-NN: Source/*/arm_*_get_buffer_sizes_*.c of
github.com/ARM-software/CMSIS-NN; where a size depends on the compiler, the padding or the version, the larger one is
taken. An operator that no table names is not known, and is said to be so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from edge_converters.mcu.graphs import Graph, Operator, Tensor

Sizes = tuple[int, ...]
"""Bytes of each buffer that an operator asks for."""


class Kernels(StrEnum):
    """Libraries of kernels for TFLite Micro."""

    REFERENCE = "TFLite Micro's reference kernels"
    CMSIS_NN_DSP = "CMSIS-NN for cores with the DSP extension"
    CMSIS_NN_MVE = "CMSIS-NN for cores with Helium (MVE)"


def scratch_of(operator: Operator, graph: Graph, kernels: Kernels) -> Sizes | None:
    """Bytes of its scratch buffers; None where they are not known."""
    asked = _TABLES[kernels].get(operator.name) or _REFERENCE.get(operator.name)
    return None if asked is None else asked(operator, graph)


_Asked = Callable[[Operator, Graph], Sizes | None]

WITHOUT: Final = (
    *("ABS", "ADD", "ARG_MAX", "ARG_MIN", "AVERAGE_POOL_2D", "CEIL", "CONCATENATION", "COS", "DEQUANTIZE", "EXP"),
    *("EXPAND_DIMS", "FLOOR", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "LOG", "MAXIMUM", "MAX_POOL_2D", "MINIMUM"),
    *("MUL", "NEG", "PACK", "PAD", "PADV2", "PRELU", "QUANTIZE", "RELU", "RELU6", "RESHAPE", "RESIZE_BILINEAR"),
    *("RESIZE_NEAREST_NEIGHBOR", "ROUND", "RSQRT", "SHAPE", "SIN", "SLICE", "SOFTMAX", "SPLIT", "SPLIT_V", "SQRT"),
    *("SQUARE", "SQUEEZE", "STRIDED_SLICE", "SUB", "TANH", "TRANSPOSE", "UNPACK"),
)
"""Operators whose reference kernels compute in place of their output."""


def _none(operator: Operator, graph: Graph) -> Sizes | None:
    del operator, graph
    return ()


def _unless_packed(operator: Operator, graph: Graph) -> Sizes | None:
    """Weights of 4 bits are unpacked into the arena by rules of their own."""
    return None if graph.tensor(operator, 1).datatype == "INT4" else ()


def _reduction(operator: Operator, graph: Graph) -> Sizes:
    """The position in the input, and the resolved axes."""
    return 4 * len(graph.tensor(operator, 0).shape), 4 * _elements(graph.tensor(operator, 1))


def _sums(operator: Operator, graph: Graph) -> Sizes:
    """What every reduction asks for, and a sum of 32 bits for each element of a quantised output."""
    quantised = graph.tensor(operator, 0).datatype in {"INT8", "INT16"}
    sums = (4 * _elements(graph.result(operator)),) if quantised else ()
    return (*sums, *_reduction(operator, graph))


def _transposed(operator: Operator, graph: Graph) -> Sizes | None:
    """An accumulator for each element of the output."""
    wide = {"INT8": 4, "INT16": 8}.get(graph.tensor(operator, 2).datatype)
    return (wide * _elements(graph.result(operator)),) if wide else ()


def _columns(tensor: Tensor, weights: Tensor) -> int:
    return weights.shape[1] * weights.shape[2] * tensor.shape[-1]


def _pixelwise(weights: Tensor) -> bool:
    return weights.shape[1:3] == (1, 1)


def _convolved_dsp(tensor: Tensor, weights: Tensor) -> int:
    """Two columns of 16 bits; over single pixels two of their channels, and that not with every compiler."""
    if tensor.datatype == "INT8" and not _pixelwise(weights):
        return 2 * _up(_columns(tensor, weights), 4) * 2
    return 2 * _columns(tensor, weights) * 2


def _convolved_mve(tensor: Tensor, weights: Tensor) -> int:
    """Four columns, each in whole registers of 16 bytes."""
    if tensor.datatype == "INT8":
        return 0 if _pixelwise(weights) else 4 * _up(_columns(tensor, weights), 16)
    return 4 * _up(_columns(tensor, weights), 8) * 2


def _depthwise_dsp(tensor: Tensor, weights: Tensor) -> int:
    """The kernels in 16 bits, but that 3 x 3 of 8 bits have code of their own."""
    return 0 if tensor.datatype == "INT8" and weights.shape[1:3] == (3, 3) else 2 * _columns(tensor, weights)


def _depthwise_mve(tensor: Tensor, weights: Tensor) -> int:
    """Four columns: of a block of channels at 8 bits, of all of them at 16."""
    if tensor.datatype == "INT8":
        return 4 * _BLOCK_OF_CHANNELS * weights.shape[1] * weights.shape[2]
    return 4 * _columns(tensor, weights) * 2 + 8


def _quantised(size: Callable[[Tensor, Tensor], int]) -> _Asked:
    """One buffer of `size` for activations of 8 or 16 bits and weights of 8; floats go to the reference kernels."""

    def asked(operator: Operator, graph: Graph) -> Sizes | None:
        tensor, weights = graph.tensor(operator, 0), graph.tensor(operator, 1)
        if tensor.datatype == "FLOAT32":
            return ()
        known = tensor.datatype in {"INT8", "INT16"} and weights.datatype == "INT8"
        return (size(tensor, weights),) if known else None

    return asked


def _depthwise(size: Callable[[Tensor, Tensor], int]) -> _Asked:
    """Only for as many channels as before, one sample, and no dilation."""

    def asked(operator: Operator, graph: Graph) -> Sizes | None:
        tensor = graph.tensor(operator, 0)
        dilated = operator.options["dilationWFactor"] != 1 or operator.options["dilationHFactor"] != 1
        fast = tensor.shape[-1] == graph.result(operator).shape[-1] and tensor.shape[0] == 1 and not dilated
        return _quantised(size)(operator, graph) if fast else ()

    return asked


def _kernel_sums(tensor: Tensor, weights: Tensor) -> int:
    """A sum of 32 bits for each row of the weights; newer versions keep it in the persistent part instead."""
    return 4 * weights.shape[0] if tensor.datatype == "INT8" else 0


def _averages(operator: Operator, graph: Graph) -> Sizes:
    """A sum of 32 bits for each channel."""
    tensor = graph.tensor(operator, 0)
    return (4 * tensor.shape[-1],) if tensor.datatype in {"INT8", "INT16"} else ()


def _transposed_cmsis(convolved: Callable[[Tensor, Tensor], int]) -> _Asked:
    """The larger of its two ways: a convolution over a spread input, or rows that are added up."""

    def asked(operator: Operator, graph: Graph) -> Sizes | None:
        weights, tensor = graph.tensor(operator, 1), graph.tensor(operator, 2)
        if (tensor.datatype, weights.datatype) != ("INT8", "INT8"):
            return _transposed(operator, graph)
        high, wide = (int(operator.options[name]) for name in ("strideH", "strideW"))
        rows = max(weights.shape[1], high) * ((tensor.shape[2] - 1) * wide + max(weights.shape[2], high))
        return max(convolved(tensor, weights), 4 * rows * graph.result(operator).shape[-1]), _elements(weights)

    return asked


def _up(size: int, step: int) -> int:
    return -(-size // step) * step


def _elements(tensor: Tensor) -> int:
    return math.prod(tensor.shape)


_BLOCK_OF_CHANNELS: Final = 124
"""CMSIS-NN's CH_IN_BLOCK_MVE."""

_REFERENCE: Final[dict[str, _Asked]] = {
    **dict.fromkeys(WITHOUT, _none),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"), _unless_packed),
    **dict.fromkeys(("MEAN", "SUM"), _sums),
    **dict.fromkeys(("REDUCE_MAX", "REDUCE_MIN"), _reduction),
    "TRANSPOSE_CONV": _transposed,
}
_TABLES: Final[dict[Kernels, dict[str, _Asked]]] = {
    Kernels.REFERENCE: _REFERENCE,
    Kernels.CMSIS_NN_DSP: {
        "CONV_2D": _quantised(_convolved_dsp),
        "DEPTHWISE_CONV_2D": _depthwise(_depthwise_dsp),
        "AVERAGE_POOL_2D": _averages,
        "TRANSPOSE_CONV": _transposed_cmsis(_convolved_dsp),
    },
    Kernels.CMSIS_NN_MVE: {
        "CONV_2D": _quantised(_convolved_mve),
        "DEPTHWISE_CONV_2D": _depthwise(_depthwise_mve),
        "FULLY_CONNECTED": _quantised(_kernel_sums),
        "TRANSPOSE_CONV": _transposed_cmsis(_convolved_mve),
    },
}

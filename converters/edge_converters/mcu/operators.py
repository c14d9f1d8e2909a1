"""How TFLite's operators are registered with TFLite Micro: its name for each.

The methods of MicroMutableOpResolver in tensorflow/lite/micro/micro_mutable_op_resolver.h of
github.com/tensorflow/tflite-micro, each without arguments.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from edge_converters.errors import CheckFailed

_OTHERWISE: Final = {
    "AVERAGE_POOL_2D": "AveragePool2D",
    "BATCH_MATMUL": "BatchMatMul",
    "CONV_2D": "Conv2D",
    "CUMSUM": "CumSum",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
    "L2_POOL_2D": "L2Pool2D",
    "MAX_POOL_2D": "MaxPool2D",
    "PADV2": "PadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
}
_BY_WORDS: Final = (
    *("ABS", "ADD", "ADD_N", "ARG_MAX", "ARG_MIN", "ASSIGN_VARIABLE", "BATCH_TO_SPACE_ND", "BROADCAST_ARGS"),
    *("BROADCAST_TO", "CALL_ONCE", "CAST", "CEIL", "CONCATENATION", "COS", "DEPTH_TO_SPACE", "DEQUANTIZE", "DIV"),
    *("ELU", "EMBEDDING_LOOKUP", "EQUAL", "EXP", "EXPAND_DIMS", "FILL", "FLOOR", "FLOOR_DIV", "FLOOR_MOD"),
    *("FULLY_CONNECTED", "GATHER", "GATHER_ND", "GREATER", "GREATER_EQUAL", "HARD_SWISH", "IF", "L2_NORMALIZATION"),
    *("LEAKY_RELU", "LESS", "LESS_EQUAL", "LOG", "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR", "LOGISTIC"),
    *("LOG_SOFTMAX", "MAXIMUM", "MEAN", "MINIMUM", "MIRROR_PAD", "MUL", "NEG", "NOT_EQUAL", "PACK", "PAD", "PRELU"),
    *("QUANTIZE", "READ_VARIABLE", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6", "RESHAPE", "RESIZE_BILINEAR"),
    *("RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "ROUND", "RSQRT", "SELECT_V2", "SHAPE", "SIN", "SLICE", "SOFTMAX"),
    *("SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQRT", "SQUARE", "SQUARED_DIFFERENCE", "SQUEEZE"),
    *("STRIDED_SLICE", "SUB", "SUM", "SVDF", "TANH", "TRANSPOSE", "TRANSPOSE_CONV", "UNPACK", "VAR_HANDLE", "WHILE"),
    "ZEROS_LIKE",
)

METHODS: Final[dict[str, str]] = {
    name: f"Add{_OTHERWISE.get(name) or ''.join(word.capitalize() for word in name.split('_'))}"
    for name in sorted((*_BY_WORDS, *_OTHERWISE))
}
"""TFLite's name of an operator -> the method that registers its kernel."""


def methods(operators: Collection[str]) -> tuple[str, ...]:
    """The calls that register exactly these operators, in order of their names.

    Raises:
        CheckFailed: TFLite Micro has no method for one of them.
    """
    missing = sorted(set(operators) - set(METHODS))
    if missing:
        raise CheckFailed(
            f"TFLite Micro's resolver has no method for {', '.join(missing)}", "Replace these operators in the model."
        )
    return tuple(METHODS[name] for name in sorted(set(operators)))

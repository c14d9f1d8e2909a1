"""Values of an ONNX graph that cannot be: weights missing or damaged, parameters out of range, training mode."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from edge_converters.backends import onnx_files
from edge_converters.backends.onnx_nodes import constants_of, tensors_of, title, walk
from edge_converters.lint.facts import Trouble
from edge_converters.lint.findings import Code

Fetch = Callable[[onnx.TensorProto], onnx_files.Array]
"""The values of a weight, which may have been left in its file."""


def missing_weights(model: onnx.ModelProto, source: Path) -> Iterator[Trouble]:
    """Weights in other files that are not there, or not whole."""
    for weight in tensors_of(model):
        if not uses_external_data(weight):
            continue
        info = ExternalDataInfo(weight)
        place = (source.parent / info.location).resolve()
        if not place.is_relative_to(source.parent.resolve()):
            yield Trouble(Code.EXTERNAL_DATA, f"the weight {weight.name!r} is kept in {info.location}, elsewhere")
        elif not place.is_file():
            yield Trouble(
                Code.EXTERNAL_DATA, f"the weight {weight.name!r} is kept in {info.location}, which is missing"
            )
        elif _number(info.offset, 0) + _number(info.length, _wanted(weight)) > place.stat().st_size:
            yield Trouble(Code.EXTERNAL_DATA, f"{info.location} ends before the weight {weight.name!r} does")


def damaged_weights(model: onnx.ModelProto, fetch: Fetch) -> Iterator[Trouble]:
    """Weights that do not fill their shapes."""
    for weight in tensors_of(model):
        try:
            fetch(weight)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError) as error:
            words = " ".join(str(error).split())[:120]
            shape = list(weight.dims)
            yield Trouble(Code.WEIGHT_SHAPE, f"the weight {weight.name!r} does not fill its shape {shape}: {words}")


def bad_parameters(model: onnx.ModelProto, fetch: Fetch) -> Iterator[Trouble]:
    """Parameters that no operator can work with."""
    constants = {weight.name: weight for weight in model.graph.initializer}
    for node, _ in walk(model.graph.node):
        given = {each.name: each for each in node.attribute}
        if node.op_type == "BatchNormalization" and len(node.input) == 5 and node.input[4] in constants:
            epsilon = given["epsilon"].f if "epsilon" in given else 1e-5
            least = float(fetch(constants[node.input[4]]).min(initial=np.inf))
            if least + epsilon <= 0:
                yield Trouble(Code.BAD_PARAMETER, f"{title(node)}: the variance {node.input[4]!r} holds {least:g}")
        for name, value in given.items():
            numbers = [value.f, *value.floats]
            if not all(math.isfinite(number) for number in numbers):
                yield Trouble(Code.BAD_PARAMETER, f"{title(node)}: {name} is not a finite number")
            if name in {"strides", "dilations", "kernel_shape"} and any(side <= 0 for side in value.ints):
                yield Trouble(Code.BAD_PARAMETER, f"{title(node)}: {name} is {list(value.ints)}")


def training_modes(model: onnx.ModelProto, fetch: Fetch) -> Iterator[Trouble]:
    """Operators that are still in training mode."""
    constants = constants_of(model)
    for node, _ in walk(model.graph.node):
        training = any(each.name == "training_mode" and each.i for each in node.attribute)
        if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
            flag = constants.get(node.input[2])
            training = flag is None or bool(np.any(fetch(flag)))
        if training:
            yield Trouble(Code.TRAINING_MODE, f"{title(node)} is in training mode")


def _number(given: Any, otherwise: int) -> int:
    """The library says that an entry which may be absent is a number."""
    return int(given) if given else otherwise


def _wanted(weight: onnx.TensorProto) -> int:
    size: Any = helper.tensor_dtype_to_np_dtype(weight.data_type).itemsize
    count: int = math.prod(weight.dims)
    return count * int(size)

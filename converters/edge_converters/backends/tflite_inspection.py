"""What a TFLite file truly holds: tensors, quantisation, operators. Reads the file, without running it."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

TYPES = {"float32": "FP32", "float16": "FP16", "int8": "INT8", "uint8": "UINT8", "int16": "INT16", "int32": "INT32"}
WITH_CHANNELS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}
"""Operators whose weights have a scale for each channel, and the axis of the channels."""
STRUCTURAL = {"DELEGATE"}
WITH_WEIGHTS = {*WITH_CHANNELS, "FULLY_CONNECTED", "TRANSPOSE_CONV"}
"""Operators whose second input holds the weights."""
ACTIVATIONS = {"TRANSPOSE_CONV": 2}
"""Where such an operator has its activations, if not first."""


def inspect(model: str) -> dict[str, Any]:
    """Inputs and outputs as `TensorSpec` fields (names of the signature), operators, and what is quantised how.

    `float_operators` are those that compute on floats; `per_axis` the share of convolutions with stored weights that
    have a scale for each channel; `weights` the numbers of elements of constant weights, by type, the largest first;
    `zeros` how many of them are zero; `activations` the types of stored values that operators with weights read;
    `nodes` the number of operators.
    """
    interpreter = Interpreter(
        model_path=model, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    operators = [op for op in interpreter._get_ops_details() if op["op_name"] not in STRUCTURAL]
    runner = interpreter.get_signature_runner()
    channels = [op for op in operators if op["op_name"] in WITH_CHANNELS]
    flags = [_has_axis(op, tensors) for op in channels if tensors[op["inputs"][1]]["dtype"] is not np.float32]
    weights = [weight for op in operators if (weight := _weight(op, operators, interpreter, tensors)) is not None]
    return {
        "inputs": _specs(interpreter.get_input_details(), runner.get_input_details()),
        "outputs": _specs(interpreter.get_output_details(), runner.get_output_details()),
        "operators": sorted({op["op_name"] for op in operators}),
        "float_operators": sorted({op["op_name"] for op in operators if _computes_on_floats(op)}),
        "per_axis": sum(flags) / len(flags) if flags else 1.0,
        "weights": _by_type(weights),
        "zeros": sum(int((interpreter.get_tensor(weight["index"]) == 0).sum()) for weight in weights),
        "activations": sorted({kind for op in operators if (kind := _read_in(op, tensors)) is not None}),
        "nodes": len(operators),
    }


def _specs(details: list[dict[str, Any]], signature: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    names = {detail["index"]: name for name, detail in signature.items()}
    return [_spec(detail, names.get(detail["index"], detail["name"])) for detail in details]


def _spec(detail: dict[str, Any], name: str) -> dict[str, Any]:
    spec = {"name": name, "datatype": TYPES[np.dtype(detail["dtype"]).name], "shape": detail["shape"].tolist()}
    scale, zero = detail["quantization"]
    return spec if scale == 0 else {**spec, "quantization": {"scale": float(scale), "zero_point": int(zero)}}


def _computes_on_floats(operator: dict[str, Any]) -> bool:
    return any(kind is np.float32 for kind in (*operator["operand_types"], *operator["result_types"]))


def _read_in(operator: dict[str, Any], tensors: dict[int, dict[str, Any]]) -> str | None:
    """The type in which the activations of an operator with weights are stored; None if they are floats."""
    if operator["op_name"] not in WITH_WEIGHTS:
        return None
    kind = TYPES[np.dtype(tensors[operator["inputs"][ACTIVATIONS.get(operator["op_name"], 0)]]["dtype"]).name]
    return None if kind in {"FP32", "FP16"} else kind


def _has_axis(operator: dict[str, Any], tensors: dict[int, dict[str, Any]]) -> bool:
    weight = tensors[operator["inputs"][1]]
    scales = weight["quantization_parameters"]["scales"]
    return len(scales) == int(weight["shape"][WITH_CHANNELS[operator["op_name"]]])


def _weight(
    operator: dict[str, Any], operators: list[dict[str, Any]], interpreter: Any, tensors: dict[int, dict[str, Any]]
) -> dict[str, Any] | None:
    """The constant that holds the operator's weights; half-precision ones come by way of a DEQUANTIZE."""
    if operator["op_name"] not in WITH_WEIGHTS:
        return None
    place = operator["inputs"][1]
    writer = next((op for op in operators if place in op["outputs"]), None)
    if writer is not None and writer["op_name"] == "DEQUANTIZE":
        place, writer = writer["inputs"][0], None
    given = {entry["index"] for entry in interpreter.get_input_details()}
    return None if writer is not None or place in given else tensors[place]


def _by_type(weights: list[dict[str, Any]]) -> dict[str, list[int]]:
    sizes: dict[str, list[int]] = {}
    for weight in weights:
        sizes.setdefault(TYPES[np.dtype(weight["dtype"]).name], []).append(int(np.prod(weight["shape"])))
    return {kind: sorted(each, reverse=True) for kind, each in sorted(sizes.items())}

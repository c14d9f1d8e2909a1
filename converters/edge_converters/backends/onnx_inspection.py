"""What an ONNX file truly holds: tensors, quantisation, operators. Reads the graph, without running it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper

from edge_converters.backends import onnx_files

TYPES = {1: "FP32", 10: "FP16", 2: "UINT8", 3: "INT8", 4: "UINT16", 5: "INT16", 6: "INT32", 7: "INT64", 9: "BOOL"}
BORDERS = {"QuantizeLinear", "DequantizeLinear"}
WITH_WEIGHTS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
WITH_CHANNELS = {"Conv"}


def inspect(model: str) -> dict[str, Any]:
    """Inputs and outputs as `TensorSpec` fields, operators without Q/DQ, and what is quantised how.

    `float_operators` are those with weights that compute on floats; `per_axis` the share of convolutions with stored
    weights that have a scale for each channel; `weights` the numbers of elements of constant weights, by type, the
    largest first; `zeros` how many of them are zero; `activations` the types of stored values that operators with
    weights read; `nodes` the number of operators without Q/DQ.
    """
    graph, folder = onnx_files.read(model).graph, Path(model).parent
    constants = {weight.name: weight for weight in graph.initializer}
    written = {name: node for node in graph.node for name in node.output}
    work = [node for node in graph.node if node.op_type not in BORDERS]
    weighted = [node for node in work if node.op_type in WITH_WEIGHTS]
    weights = [weight for node in weighted if (weight := _weight(node, written, constants)) is not None]
    channels = [node for node in weighted if node.op_type in WITH_CHANNELS and _weight_is_stored(node, written)]
    return {
        "inputs": [_spec(graph, constants, entry) for entry in graph.input],
        "outputs": [_spec(graph, constants, end) for end in graph.output],
        "operators": sorted({node.op_type for node in work}),
        "float_operators": sorted({node.op_type for node in weighted if not _from_stored(node, written)}),
        "per_axis": _share([_has_axis(node, written, constants) for node in channels]),
        "weights": _by_type(weights),
        "zeros": sum(int((onnx_files.array(weight, folder) == 0).sum()) for weight in weights),
        "activations": sorted({kind for node in weighted if (kind := _read_in(node, written, constants)) is not None}),
        "nodes": len(work),
    }


def _spec(graph: onnx.GraphProto, constants: dict[str, Any], info: onnx.ValueInfoProto) -> dict[str, Any]:
    tensor = info.type.tensor_type
    spec = {
        "name": info.name,
        "datatype": TYPES[tensor.elem_type],
        "shape": [side.dim_value or -1 for side in tensor.shape.dim],
    }
    border = next((node for node in graph.node if node.op_type in BORDERS and _touches(node, info.name)), None)
    if spec["datatype"] in {"FP32", "FP16"} or border is None:
        return spec
    scale, zero = (numpy_helper.to_array(constants[name]) for name in border.input[1:3])
    return {**spec, "quantization": {"scale": float(scale), "zero_point": int(zero)}}


def _touches(node: onnx.NodeProto, name: str) -> bool:
    return bool(name == (node.input[0] if node.op_type == "DequantizeLinear" else node.output[0]))


def _from_stored(node: onnx.NodeProto, written: dict[str, onnx.NodeProto]) -> bool:
    return all(name in written and written[name].op_type == "DequantizeLinear" for name in list(node.input)[:2] if name)


def _read_in(node: onnx.NodeProto, written: dict[str, onnx.NodeProto], constants: dict[str, Any]) -> str | None:
    """The type in which the operator's activations are stored before it; None if they are floats."""
    source = written.get(node.input[0])
    if source is None or source.op_type != "DequantizeLinear":
        return None
    zero = constants.get(source.input[2]) if len(source.input) > 2 else None
    return TYPES[zero.data_type] if zero is not None else "UINT8"  # what ONNX takes where no zero point is given


def _weight_is_stored(node: onnx.NodeProto, written: dict[str, onnx.NodeProto]) -> bool:
    return node.input[1] in written and written[node.input[1]].op_type == "DequantizeLinear"


def _has_axis(node: onnx.NodeProto, written: dict[str, onnx.NodeProto], constants: dict[str, onnx.TensorProto]) -> bool:
    source = written.get(node.input[1])
    if source is None or source.op_type != "DequantizeLinear":
        return False
    weight, scale = (constants.get(name) for name in source.input[:2])
    if weight is None or scale is None:
        return False
    channels: int = weight.dims[0]
    scales: list[int] = list(scale.dims)
    return channels == 1 or scales == [channels]


def _share(flags: list[bool]) -> float:
    return sum(flags) / len(flags) if flags else 1.0


def _weight(
    node: onnx.NodeProto, written: dict[str, onnx.NodeProto], constants: dict[str, onnx.TensorProto]
) -> onnx.TensorProto | None:
    """The constant that holds the operator's weights, directly or behind a DequantizeLinear or a Cast."""
    name = node.input[1]
    while name in written and written[name].op_type in {"DequantizeLinear", "Cast"}:
        name = written[name].input[0]
    return constants.get(name)


def _by_type(weights: list[onnx.TensorProto]) -> dict[str, list[int]]:
    sizes: dict[str, list[int]] = {}
    for weight in weights:
        sizes.setdefault(TYPES[weight.data_type], []).append(math.prod(weight.dims))
    return {kind: sorted(each, reverse=True) for kind, each in sorted(sizes.items())}

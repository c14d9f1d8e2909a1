"""TFLite files of one quantised operator, written by hand: for operators that no shared model has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema


@dataclass(frozen=True)
class Operand:
    """A tensor; a `constant` one lies in the file."""

    shape: Sequence[int]
    constant: npt.NDArray[np.generic] | None = None
    datatype: str = "INT8"


def write_operator(
    path: Path, operator: str, inputs: Sequence[Operand], output: Sequence[int], options: object = None
) -> Path:
    """A file whose only operator is `operator`: all of its inputs that are not constant are the model's."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    operands = [*inputs, Operand(output)]
    graph.name = "main"
    graph.tensors = [_tensor(model, index, each) for index, each in enumerate(operands)]
    graph.inputs = [index for index, each in enumerate(inputs) if each.constant is None]
    graph.outputs = [len(inputs)]
    graph.operators = [schema.OperatorT()]
    graph.operators[0].inputs, graph.operators[0].outputs = list(range(len(inputs))), [len(inputs)]
    if options is not None:
        graph.operators[0].builtinOptions = options
        name = type(options).__name__.removesuffix("T")
        graph.operators[0].builtinOptionsType = getattr(schema.BuiltinOptions, name)
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, operator)
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
    model.operatorCodes = [code]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def _tensor(model: schema.ModelT, index: int, operand: Operand) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.shape = f"tensor_{index}", list(operand.shape)
    tensor.type = getattr(schema.TensorType, operand.datatype)
    if operand.datatype == "INT8":
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [0.5], [0]
    if operand.constant is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(operand.constant.tobytes(), np.uint8)
        model.buffers.append(buffer)
        tensor.buffer = len(model.buffers) - 1
    return tensor

"""A TFLite file's graph: its tensors and operators with their options. Reads the file, without any interpreter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

OFFLINE_PLAN = b"OfflineMemoryAllocation"


def read(model: str) -> dict[str, Any]:
    """The main subgraph as `mcu.graphs.Graph` fields: shapes, types, and which tensors lie in the file."""
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(Path(model).read_bytes(), 0))
    graph = file.subgraphs[0]
    codes = [_name(code) for code in file.operatorCodes]
    return {
        "tensors": [_tensor(each, file.buffers) for each in graph.tensors],
        "operators": [
            {
                "name": codes[each.opcodeIndex],
                "inputs": _numbers(each.inputs),
                "outputs": _numbers(each.outputs),
                "options": _options(each.builtinOptions),
            }
            for each in graph.operators
        ],
        "inputs": _numbers(graph.inputs),
        "outputs": _numbers(graph.outputs),
        "subgraphs": len(file.subgraphs),
        "planned_offline": any(entry.name == OFFLINE_PLAN for entry in file.metadata or ()),
    }


def _tensor(tensor: Any, buffers: list[Any]) -> dict[str, Any]:
    data = buffers[tensor.buffer].data
    return {
        "name": (tensor.name or b"").decode(errors="replace"),
        "datatype": _TYPES[tensor.type],
        "shape": _numbers(tensor.shape),
        "constant": data is not None and len(data) > 0,
        "variable": bool(tensor.isVariable),
    }


def _name(code: Any) -> str:
    builtin = max(code.builtinCode, code.deprecatedBuiltinCode)  # codes over 127 do not fit the old field
    return code.customCode.decode(errors="replace") if _OPERATORS[builtin] == "CUSTOM" else _OPERATORS[builtin]


def _options(options: Any) -> dict[str, float]:
    return {name: value for name, value in vars(options).items() if isinstance(value, int | float)} if options else {}


def _numbers(values: Any) -> list[int]:
    return [int(value) for value in values] if values is not None else []


def _constants(table: Any) -> dict[int, str]:
    return {value: name for name, value in vars(table).items() if isinstance(value, int)}


_OPERATORS = _constants(schema.BuiltinOperator)
_TYPES = _constants(schema.TensorType)

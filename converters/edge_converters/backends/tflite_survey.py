"""What is in a .tflite file, read without running it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edge_converters.backends import tflite_files
from edge_converters.errors import BadInput
from edge_converters.lint.facts import Facts, Node, Quantiser, Trouble, Weight, to_json
from edge_converters.lint.findings import EXPORT_AGAIN, Code

INTEGERS = (np.int8, np.uint8, np.int16)
"""Types of stored activations; constants of them are weights of a quantised or a weight-only file."""


def survey(source: str) -> dict[str, Any]:
    """The facts of a file.

    Raises:
        BadInput: it is damaged, or no model.
    """
    try:
        model = tflite_files.unpack(Path(source).read_bytes())
        facts = Facts(
            "tflite",
            nodes=tuple(_nodes(model)),
            weights=tuple(_weights(model)),
            quantisers=tuple(_quantisers(model)),
            troubles=tuple(_troubles(model)),
        )
    except (struct.error, IndexError, TypeError, ValueError, AttributeError, KeyError, OverflowError) as error:
        words = " ".join(str(error).split())[:120] or type(error).__name__
        raise BadInput(f"{source} is not a readable model: its tables are damaged ({words})", EXPORT_AGAIN) from error
    return to_json(facts)


def _nodes(model: Any) -> Iterator[Node]:
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            name = _text(graph.tensors[int(operator.outputs[0])].name) if len(operator.outputs) else ""
            word = tflite_files.word(model, operator)
            if word == "CUSTOM":
                yield Node(name, _text(code.customCode), "a library of its own", known=False)
            else:
                yield Node(name, word)


def _weights(model: Any) -> Iterator[Weight]:
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            values = tflite_files.constant(model, tensor)
            if values is None or values.dtype.kind != "f":
                continue
            finite = values[np.isfinite(values)]
            nan, infinite = int(np.isnan(values).sum()), int(np.isinf(values).sum())
            largest = float(np.abs(finite).max(initial=0))
            yield Weight(_text(tensor.name), str(values.dtype), int(values.size), nan, infinite, largest)


def _quantisers(model: Any) -> Iterator[Quantiser]:
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            kind, given = tflite_files.TYPES.get(tensor.type), tensor.quantization
            if kind not in INTEGERS or given is None or given.scale is None or not len(given.scale):
                continue
            limits, name = np.iinfo(kind), _text(tensor.name)
            zeros = () if given.zeroPoint is None else tuple(int(zero) for zero in given.zeroPoint)
            scales = tuple(float(scale) for scale in given.scale)
            yield Quantiser(f"tensor {name!r}", name, scales, zeros, int(limits.min), int(limits.max))


def _troubles(model: Any) -> Iterator[Trouble]:
    if not model.subgraphs or not model.subgraphs[0].operators:
        yield Trouble(Code.EMPTY, "the file holds no operator")
        return
    if len(model.subgraphs) > 1:
        yield Trouble(Code.CONTROL_FLOW, f"the file holds {len(model.subgraphs)} graphs: one calls the others")
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            free = tensor.shapeSignature is not None and any(int(side) < 0 for side in tensor.shapeSignature[1:])
            if free and any(tensor is graph.tensors[int(place)] for place in graph.inputs):
                shape = [int(side) for side in tensor.shapeSignature]
                yield Trouble(Code.INPUT, f"the input {_text(tensor.name)!r} has the shape {shape}")


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

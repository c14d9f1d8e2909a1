"""Float .tflite sources: what they take and give, their float answers, and their canonical file.

Canonical: batch 1, one signature with the names of the source, constants in single precision,
tensors with names of their own. A quantised file is refused by the lint, not here.
"""

from __future__ import annotations

from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge_converters.backends import tflite_files
from edge_converters.backends.arrays import Array, save_arrays
from edge_converters.errors import BadInput, NotConvertible
from edge_converters.lint.findings import EXPORT_AGAIN

SIGNATURE = "serving_default"


def describe(source: str, kind: str) -> dict[str, Any]:
    """The input's name and shape (batch first)."""
    del kind
    interpreter = _open(source)
    details = interpreter.get_input_details()
    if len(details) != 1:
        names = ", ".join(str(detail["name"]) for detail in details)
        raise NotConvertible(
            f"the model has {len(details)} inputs ({names})",
            "Models with one input are converted; concatenate them into one in front of the model.",
        )
    (detail,) = details
    shape = [int(side) for side in detail["shape"]]
    if detail["dtype"] is not np.float32:
        given = np.dtype(detail["dtype"]).name
        raise NotConvertible(
            f"the input {detail['name']!r} is {given}, not float32", "Export the model with a float32 input."
        )
    if shape[0] != 1:
        raise NotConvertible(
            f"the input {detail['name']!r} has a fixed batch of {shape[0]}",
            "Export it with a batch of 1 or a free one.",
        )
    return {"input": end_names(source)[0][0], "shape": shape}


def prepare(source: str, output: str) -> dict[str, Any]:
    """Write the canonical file."""
    model = tflite_files.unpack(Path(source).read_bytes())
    graph = model.subgraphs[0]
    for tensor in graph.tensors:
        tensor.shapeSignature = None
    graph.operators = [each for each in graph.operators if not _widened(model, graph, each)]
    entries, ends = end_names(source)
    made = schema.SignatureDefT(signatureKey=SIGNATURE, subgraphIndex=0)
    made.inputs = [schema.TensorMapT(name, int(place)) for name, place in zip(entries, graph.inputs, strict=True)]
    made.outputs = [schema.TensorMapT(name, int(place)) for name, place in zip(ends, graph.outputs, strict=True)]
    model.signatureDefs = [made]
    tflite_files.drop_unused(model)
    _name_tensors(graph)
    Path(output).write_bytes(tflite_files.pack(model))
    return {}


def _name_tensors(graph: Any) -> None:
    """Every tensor by a name of its own: compact files have none, and some readers know tensors by nothing else."""
    taken = {_text(tensor.name) for tensor in graph.tensors if tensor.name}
    seen: set[str] = set()
    for place, tensor in enumerate(graph.tensors):
        name = _text(tensor.name or b"")
        if not name or name in seen:
            name = next(each for number in count(place) if (each := f"tensor_{number}") not in taken)
            tensor.name = name
            taken.add(name)
        seen.add(name)


def _widened(model: Any, graph: Any, operator: Any) -> bool:
    """Whether the operator only widened a constant of half precision, which is now stored as wide."""
    if tflite_files.word(model, operator) != "DEQUANTIZE":
        return False
    half = graph.tensors[int(operator.inputs[0])]
    value = tflite_files.constant(model, half)
    if half.type != schema.TensorType.FLOAT16 or value is None:
        return False
    graph.tensors[int(operator.outputs[0])].buffer = tflite_files.add_buffer(model, value.astype(np.float32))
    return True


def run_source(source: str, kind: str, inputs: dict[str, str], answers: str) -> dict[str, Any]:
    """The source's own answers to each array of `inputs` (name -> .npy), as an .npz with `<array>/<output>`."""
    del kind
    interpreter, names = _open(source), end_names(source)[1]
    entry, ends = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()
    got: dict[str, Array] = {}
    for array, path in inputs.items():
        rows: list[list[Array]] = [[] for _ in ends]
        for sample in np.load(path):
            interpreter.set_tensor(entry, sample[None])
            interpreter.invoke()
            for row, end in zip(rows, ends, strict=True):
                row.append(interpreter.get_tensor(end["index"]))
        got |= {f"{array}/{name}": np.concatenate(row) for name, row in zip(names, rows, strict=True)}
    save_arrays(answers, got)
    return {"outputs": names}


@cache
def _open(source: str) -> Any:
    try:
        interpreter = Interpreter(
            model_path=source, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        words = " ".join(str(error).split())[:200]
        raise BadInput(f"{source} is not a readable model: {words}", EXPORT_AGAIN) from error
    return interpreter


@cache
def end_names(source: str) -> tuple[list[str], list[str]]:
    """Of the inputs and outputs: the signature's if there is one, else the tensors'."""
    model = tflite_files.unpack(Path(source).read_bytes())
    graph = model.subgraphs[0]
    signature = next((each for each in model.signatureDefs or [] if each.subgraphIndex == 0), None)
    given = (
        {}
        if signature is None
        else {entry.tensorIndex: entry.name for entry in (*signature.inputs, *signature.outputs)}
    )
    sides = (graph.inputs, graph.outputs)
    entries, ends = ([_text(given.get(int(i), graph.tensors[int(i)].name)) for i in side] for side in sides)
    return entries, ends


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

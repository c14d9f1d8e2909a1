"""What is in an ONNX file, read without running it: every fault of the graph is named before a library trips over it.

Structure first, in plain code on the parsed file: ONNX's own checker and ONNX Runtime loop or crash on some of what is
refused here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from edge_converters.backends import onnx_files
from edge_converters.backends.onnx_facts import nodes_of, quantisers_of, unused_weights, weights_of
from edge_converters.backends.onnx_source import OPSET, opset_of, take_one_sample, upgraded
from edge_converters.backends.onnx_structure import structural_troubles
from edge_converters.backends.onnx_values import bad_parameters, damaged_weights, missing_weights, training_modes
from edge_converters.errors import BadInput, NotConvertible
from edge_converters.lint.facts import Facts, Trouble, to_json
from edge_converters.lint.findings import EXPORT_AGAIN, Code

REAL = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}


def survey(source: str) -> dict[str, Any]:
    """The facts of a file.

    Raises:
        BadInput: it is no ONNX model.
    """
    model, fetch = _parsed(source), partial(onnx_files.array, folder=Path(source).parent)
    troubles = list(structural_troubles(model)) or list(missing_weights(model, Path(source)))
    if not troubles:
        onnx_files.take_in_constants(model, Path(source).parent)
        troubles = list(damaged_weights(model, fetch)) or [*bad_parameters(model, fetch), *training_modes(model, fetch)]
    readable = not troubles or troubles[0].code not in {Code.EXTERNAL_DATA, Code.WEIGHT_SHAPE, Code.DUPLICATE_NAME}
    nodes, unused = tuple(nodes_of(model)), tuple(unused_weights(model))
    weights = tuple(weights_of(model, fetch)) if readable else ()
    quantisers = tuple(quantisers_of(model, fetch)) if readable else ()
    if not troubles and all(node.known and node.kernel for node in nodes):
        troubles = list(_standard(model)) or [*_ends(model), *_upgrade(model)] or list(_engine(source))
    return to_json(Facts("onnx", nodes, weights, quantisers, tuple(troubles), unused))


def _parsed(source: str) -> onnx.ModelProto:
    try:
        model = onnx_files.read(source)
    except (OSError, ValueError, DecodeError) as error:
        words = " ".join(str(error).split())[:200]
        raise BadInput(f"{source} is not a readable ONNX model: {words}", EXPORT_AGAIN) from error
    if not model.HasField("graph") or not (model.graph.node or model.graph.input or model.graph.output):
        raise BadInput(f"{source} is not a readable ONNX model: it holds no graph", EXPORT_AGAIN)
    return model


def _standard(model: onnx.ModelProto) -> Iterator[Trouble]:
    """What ONNX's own checker and shape inference say."""
    try:
        bare = onnx_files.without_weights(model)
        onnx.checker.check_model(bare)
        onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True, data_prop=True)
    except onnx.checker.ValidationError as error:
        yield Trouble(Code.INVALID, _words(error))
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        yield Trouble(Code.SHAPE_MISMATCH, _words(error))


def _ends(model: onnx.ModelProto) -> Iterator[Trouble]:
    """Outputs that are no real numbers: the place of the largest score, a label, a count."""
    for end in model.graph.output:
        kind = end.type.tensor_type.elem_type
        if kind not in REAL:
            word = onnx.TensorProto.DataType.Name(kind) if end.type.HasField("tensor_type") else "no tensor"
            yield Trouble(Code.OUTPUT, f"the output {end.name!r} is {word}, not FLOAT")


def _upgrade(model: onnx.ModelProto) -> Iterator[Trouble]:
    """What stands against the canonical form; the model is changed."""
    try:
        take_one_sample(model)
    except NotConvertible as error:
        yield Trouble(Code.INPUT, str(error))
        return
    try:
        if opset_of(model) < OPSET:
            upgraded(model)
    except NotConvertible as error:
        yield Trouble(Code.OPSET, str(error))


def _engine(source: str) -> Iterator[Trouble]:
    """What ONNX Runtime says."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        onnx_files.open_session(onnx_files.read(source), Path(source).parent, options)
    except Exception as error:  # noqa: BLE001 - its classes are made at run time and have no common base
        code = Code.NO_KERNEL if "NOT_IMPLEMENTED" in str(error) else Code.INVALID
        yield Trouble(code, f"ONNX Runtime refuses the model: {_words(error)}")


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:300]

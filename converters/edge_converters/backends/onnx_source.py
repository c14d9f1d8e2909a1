"""ONNX sources: what they take and give, and their canonical graph.

Canonical: batch 1, opset 13 or newer, constants folded, batch normalisation folded into convolutions, weights that
are no longer inputs, shapes inferred, nodes with names of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import version_converter

from edge_converters.backends import onnx_files
from edge_converters.backends.onnx_names import name_nodes, rename_added, tensors_of
from edge_converters.errors import BadInput, NotConvertible
from edge_converters.processes import map_large_blocks

OPSET = 17
"""Per-channel quantisation needs 13; older sources are brought to this one."""
IR_VERSION = 8


def describe(source: str, kind: str) -> dict[str, Any]:
    """The input's name and shape (batch first, None where free)."""
    del kind
    entry = _entry(_load(source))
    return {"input": entry.name, "shape": _shape(entry)}


def prepare(source: str, canonical: str) -> dict[str, Any]:
    """Write the canonical graph; returns its operators."""
    map_large_blocks()
    model = _load(source)
    take_one_sample(model)
    if opset_of(model) < OPSET:
        model = upgraded(model)
    folder, known = Path(source).parent, tensors_of(model.graph)
    folded = _folded(model, folder, canonical)
    rename_added(folded.graph, known)
    onnx_files.infer_shapes(folded)
    _drop_unused_domains(folded)
    name_nodes(folded.graph)
    onnx_files.save(folded, folder, canonical)
    return {"operators": sorted({node.op_type for node in folded.graph.node})}


def take_one_sample(model: onnx.ModelProto) -> None:
    """Give the model batch 1, and the sample as its only input.

    Raises:
        NotConvertible: it has other inputs, or no such batch.
    """
    entry = _entry(model)
    _fix_batch(entry)
    _drop_weights_from_inputs(model, entry.name)  # leaves a copy of the entry behind: it comes last
    model.ir_version = max(model.ir_version, IR_VERSION)


def _load(source: str) -> onnx.ModelProto:
    try:
        model = onnx_files.read(source)
        onnx_files.take_in_constants(model, Path(source).parent)
        onnx.checker.check_model(onnx_files.without_weights(model))
    except (onnx.checker.ValidationError, OSError, ValueError, DecodeError) as error:
        words = " ".join(str(error).split())[:200]
        raise BadInput(
            f"{source} is not a readable ONNX model: {words}", "Check that the file is whole; export it again."
        ) from error
    return model


def _entry(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    weights = {weight.name for weight in model.graph.initializer}
    entries = [entry for entry in model.graph.input if entry.name not in weights]
    if len(entries) != 1:
        names = ", ".join(entry.name for entry in entries)
        raise NotConvertible(
            f"the model has {len(entries)} inputs ({names})",
            "Models with one input are converted; concatenate them into one in front of the model.",
        )
    entry: onnx.ValueInfoProto = entries[0]
    if entry.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        kind = onnx.TensorProto.DataType.Name(entry.type.tensor_type.elem_type)
        raise NotConvertible(f"the input {entry.name!r} is {kind}, not FLOAT", "Export the model with a float32 input.")
    if any(side is None for side in _shape(entry)[1:]):
        raise NotConvertible(
            f"the input {entry.name!r} has the shape {_shape(entry)}, which is free beyond the batch",
            "Fix height, width and length when you export the model: the targets plan memory ahead.",
        )
    return entry


def _shape(entry: onnx.ValueInfoProto) -> list[int | None]:
    sides = entry.type.tensor_type.shape.dim
    return [side.dim_value if side.HasField("dim_value") and side.dim_value > 0 else None for side in sides]


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operators that the model is written in."""
    return next((each.version for each in model.opset_import if each.domain in {"", "ai.onnx"}), 1)


def _drop_weights_from_inputs(model: onnx.ModelProto, entry: str) -> None:
    """Before IR 4 weights were listed as inputs; while they are, nothing that reads them can be folded."""
    kept = [each for each in model.graph.input if each.name == entry]
    del model.graph.input[:]
    model.graph.input.extend(kept)


def _fix_batch(entry: onnx.ValueInfoProto) -> None:
    side = entry.type.tensor_type.shape.dim[0]
    if side.HasField("dim_value") and side.dim_value > 1:
        raise NotConvertible(
            f"the input {entry.name!r} has a fixed batch of {side.dim_value}",
            "Export it with a batch of 1 or a free one.",
        )
    side.dim_value = 1


def upgraded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model in `OPSET`.

    Raises:
        NotConvertible: an operator of it has no way there.
    """
    try:
        converted = version_converter.convert_version(onnx_files.without_weights(model), OPSET)
    except (RuntimeError, version_converter.ConvertError, onnx.shape_inference.InferenceError) as error:
        words = " ".join(str(error).split())[:200]
        suspects = ", ".join(_suspects(model))
        raise NotConvertible(
            f"opset {opset_of(model)} cannot be brought to {OPSET} because of {suspects}: {words}",
            f"Export the model with opset {OPSET}.",
        ) from error
    return onnx_files.with_weights_of(model, converted)


def _suspects(model: onnx.ModelProto) -> list[str]:
    """Operators that newer opsets do not have; where there are none, those that mean something else there."""
    names = sorted({node.op_type for node in model.graph.node if node.domain in {"", "ai.onnx"}})
    there = {name: onnx.defs.get_schema(name, OPSET) for name in names if onnx.defs.has(name, OPSET)}
    gone = [name for name in names if name not in there or there[name].deprecated]
    return gone or [name for name in names if there[name].since_version > opset_of(model)] or names


def _folded(model: onnx.ModelProto, folder: Path, canonical: str) -> onnx.ModelProto:
    """By ONNX Runtime, which writes the file `canonical`; weights that it did not change are where they were."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = canonical
    options.log_severity_level = 3
    onnx_files.open_session(model, folder, options)
    return onnx.load(canonical, load_external_data=False)


def _drop_unused_domains(model: onnx.ModelProto) -> None:
    used = {node.domain for node in model.graph.node} | {""}
    kept = [each for each in model.opset_import if each.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)

"""ONNX files read without their large weights: those stay where they lie, and are fetched when they are looked at.

Whoever parses a whole model holds all of it, and every library that is handed one copies it a few times more. A weight
that was left behind is ONNX's own external data, kept in the file it comes from; ONNX Runtime maps it from there.
"""

from __future__ import annotations

import math
import mmap
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper
from onnx.external_data_helper import ExternalDataInfo, load_external_data_for_tensor, uses_external_data

from edge_converters.protobuf_fields import BYTES, Field, fields, number

Array = npt.NDArray[Any]

LARGE: Final = 64 * 1024
"""Bytes from which a weight is left behind; what shapes are computed from is smaller."""
GRAPH, INITIALIZER, DATA_TYPE, RAW_DATA = 7, 5, 2, 9
"""Numbers of fields in ModelProto, GraphProto and TensorProto: onnx/onnx.proto."""
PLAIN: Final = frozenset({1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13})
"""Types of TensorProto whose values are stored as numpy holds them, each in whole bytes."""
REFERENCE: Final = frozenset({13, 14})
"""Those of TensorProto that say where else its values lie."""
FOLDER: Final = "session.model_external_initializers_file_folder_path"


def read(path: str | Path) -> onnx.ModelProto:
    """The model, each weight of `LARGE` bytes or more left in the file; all of it where the path is a link.

    Raises:
        DecodeError: it is no protobuf.
    """
    place = Path(path)
    if place.is_symlink() or not place.stat().st_size:  # ONNX Runtime follows no link out of the model's folder
        return _parsed(place.read_bytes())
    with place.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            return _lightened(content, place.name)
        except (ValueError, IndexError):  # not as writers write it: the parser says what is wrong
            return _parsed(content[:])


def take_in_constants(model: onnx.ModelProto, folder: Path) -> None:
    """Constants that are nodes, and lie in another file, become part of the model: nothing looks for them there."""
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t") and uses_external_data(attribute.t):
                load_external_data_for_tensor(attribute.t, str(folder))
                attribute.t.ClearField("data_location")
                del attribute.t.external_data[:]


def array(weight: onnx.TensorProto, folder: Path) -> Array:
    """The values of a weight, wherever it lies; not to be written into.

    Raises:
        ValueError: it does not fill its shape.
    """
    if not uses_external_data(weight):
        return numpy_helper.to_array(weight)
    content = _stored(weight, folder)
    if weight.data_type in PLAIN:
        return content.view(helper.tensor_dtype_to_np_dtype(weight.data_type)).reshape(tuple(weight.dims))
    within = onnx.TensorProto(data_type=weight.data_type, dims=weight.dims, raw_data=content.tobytes())
    return numpy_helper.to_array(within)


def _stored(weight: onnx.TensorProto, folder: Path) -> npt.NDArray[np.uint8]:
    """The bytes of a weight that lies in a file."""
    info: Any = ExternalDataInfo(weight)  # the library says that an entry which may be absent is a number
    return np.fromfile(folder / info.location, np.uint8, _stored_size(weight), offset=int(info.offset or 0))


def whole(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """The same model with every weight in it; the given one is changed."""
    for weight in model.graph.initializer:
        if uses_external_data(weight):
            weight.raw_data = _stored(weight, folder).tobytes()
            del weight.external_data[:]
            weight.ClearField("data_location")
    return model


def save(model: onnx.ModelProto, folder: Path, path: str) -> None:
    """Write the model with every weight in it, one after the other; the bytes are those of `onnx.save(whole(...))`."""
    content = model.SerializeToString()
    (graph,) = (field for field in fields(memoryview(content), 0, len(content)) if field.number == GRAPH)
    weights = iter(model.graph.initializer)
    parts: list[bytes | onnx.TensorProto] = []
    """In the place of a weight's values the weight itself."""
    for field in fields(memoryview(content), graph.value, graph.end):
        weight = next(weights) if field.number == INITIALIZER else None
        if weight is None or not uses_external_data(weight):
            parts.append(content[field.start : field.end])
        else:
            parts += _around(content, field, weight)
    size = sum(len(each) if isinstance(each, bytes) else _stored_size(each) for each in parts)
    with Path(path).open("wb") as file:
        file.write(content[: graph.start] + number(GRAPH << 3 | BYTES) + number(size))
        for each in parts:
            file.write(each if isinstance(each, bytes) else _stored(each, folder).data)
        file.write(content[graph.end :])


def _around(content: bytes, field: Field, weight: onnx.TensorProto) -> list[bytes | onnx.TensorProto]:
    """A weight as it is written when its values are in it."""
    inner = [each for each in fields(memoryview(content), field.value, field.end) if each.number not in REFERENCE]
    before, after = (
        b"".join(content[each.start : each.end] for each in inner if (each.number < RAW_DATA) is first)
        for first in (True, False)
    )
    count = _stored_size(weight)
    before += number(RAW_DATA << 3 | BYTES) + number(count)
    return [number(INITIALIZER << 3 | BYTES) + number(len(before) + count + len(after)) + before, weight, after]


def _stored_size(weight: onnx.TensorProto) -> int:
    info: Any = ExternalDataInfo(weight)
    size: int = math.prod(weight.dims) * helper.tensor_dtype_to_np_dtype(weight.data_type).itemsize
    return int(info.length) if info.length else size


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A model of the same structure whose large weights are inputs: for what only looks at the graph."""
    entries = {entry.name for entry in model.graph.input}
    bare = onnx.ModelProto()
    _copy(model, bare, "graph")
    _copy(model.graph, bare.graph, "initializer")
    for weight in model.graph.initializer:
        if not _is_large(weight):
            bare.graph.initializer.append(weight)
        elif weight.name not in entries:
            bare.graph.input.append(helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims))
    return bare


def infer_shapes(model: onnx.ModelProto) -> None:
    """Note the shapes of all tensors in the model."""
    inferred = onnx.shape_inference.infer_shapes(without_weights(model)).graph
    for old, new in ((model.graph.value_info, inferred.value_info), (model.graph.output, inferred.output)):
        del old[:]
        old.extend(new)


def _is_large(weight: onnx.TensorProto) -> bool:
    return uses_external_data(weight) or weight.ByteSize() >= LARGE


def _copy(source: Any, target: Any, omitted: str) -> None:
    """All fields of a message but one."""
    for field, value in source.ListFields():
        if field.name == omitted:
            continue
        if isinstance(value, str | int):
            setattr(target, field.name, value)
        else:
            getattr(target, field.name).MergeFrom(value)


def with_weights_of(model: onnx.ModelProto, bare: onnx.ModelProto) -> onnx.ModelProto:
    """An edited model `without_weights`, with them again; `bare` is changed."""
    entries = {entry.name for entry in model.graph.input}
    left = {weight.name for weight in model.graph.initializer if _is_large(weight)}
    found = {weight.name: weight for weight in bare.graph.initializer}
    known = [found.pop(weight.name, weight) for weight in model.graph.initializer]
    kept = [each for each in bare.graph.input if each.name in entries or each.name not in left]
    for old, new in ((bare.graph.initializer, [*known, *found.values()]), (bare.graph.input, kept)):
        del old[:]
        old.extend(new)
    return bare


def open_session(model: onnx.ModelProto, folder: Path, options: ort.SessionOptions) -> ort.InferenceSession:
    """On the CPU."""
    options.add_session_config_entry(FOLDER, str(folder.resolve()))
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _parsed(content: bytes) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.ParseFromString(content)
    return model


def _lightened(content: mmap.mmap, name: str) -> onnx.ModelProto:
    """Raises ValueError or IndexError where the file is not what its lengths say."""
    graphs = [field for field in fields(content, 0, len(content)) if field.number == GRAPH]
    if len(graphs) != 1 or graphs[0].kind != BYTES:
        raise ValueError("not one graph")
    (graph,) = graphs
    kept: list[bytes] = []
    left: list[Field | None] = []
    """Of each weight: its values, if they are left behind."""
    for field in fields(content, graph.value, graph.end):
        values = _large_values(content, field) if field.number == INITIALIZER else None
        kept.append(content[field.start : field.end] if values is None else _without(content, field, values))
        left += [values] if field.number == INITIALIZER else []
    model = _parsed(content[: graph.start] + content[graph.end :])
    model.graph.MergeFromString(b"".join(kept))
    for weight, values in zip(model.graph.initializer, left, strict=True):
        if values is not None:
            refer(weight, name, values.value, values.end - values.value)
    return model


def refer(weight: onnx.TensorProto, file: str, start: int, size: int) -> None:
    """Let a weight's values be `size` bytes from `start` of a file in the model's folder."""
    weight.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", file), ("offset", str(start)), ("length", str(size))):
        weight.external_data.add(key=key, value=value)


def _large_values(content: mmap.mmap, weight: Field) -> Field | None:
    found = {each.number: each for each in fields(content, weight.value, weight.end)}
    values, kind = found.get(RAW_DATA), found.get(DATA_TYPE)
    plain = kind is not None and content[kind.value] in PLAIN
    return values if values is not None and plain and values.end - values.value >= LARGE else None


def _without(content: mmap.mmap, weight: Field, values: Field) -> bytes:
    rest = content[weight.value : values.start] + content[values.end : weight.end]
    return number(INITIALIZER << 3 | BYTES) + number(len(rest)) + rest

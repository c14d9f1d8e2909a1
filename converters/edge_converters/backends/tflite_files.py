"""TFLite flatbuffers as objects: unpacked, cleared of what nothing refers to, and packed with equal vectors shared.

Constants are never held twice: unpacked they are views of the file, and what compares them compares digests.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

Array = npt.NDArray[Any]
Content = bytes | mmap.mmap

IDENTIFIER: Final = b"TFL3"
BUFFER_ALIGNMENT: Final = 16
"""`force_align` of Buffer.data in the schema; kernels on microcontrollers read int32 and int64 in place."""
RUNTIME_NOTE: Final = b"min_runtime_version"
BEHIND_NOTE: Final = "buffer_location"
BEHIND_WORDS: Final = b"outside flatbuffers"
"""What TensorFlow's converter notes in a file whose constants lie behind the flatbuffer: flatbuffer_export.cc."""
LARGE: Final = 4096
"""Bytes from which a constant goes behind the flatbuffer."""
NONE: Final = -1
"""The place of an input that is left out."""

TYPES: Final[dict[int, type[np.generic]]] = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.UINT8: np.uint8,
    schema.TensorType.INT16: np.int16,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
    schema.TensorType.BOOL: np.bool_,
}
OPERATORS: Final = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}


def read(path: str | Path) -> Content:
    """A file's content; its pages come in as they are looked at."""
    with Path(path).open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if Path(path).stat().st_size else b""


def unpack(content: Content) -> Any:
    """The schema's ModelT. Its arrays are views of `content`: put others in their place, do not write into them."""
    model = schema.ModelT.InitFromPackedBuf(content)
    for buffer in model.buffers or []:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    model.metadata = [note for note in model.metadata or [] if _text(note.name) != BEHIND_NOTE] or None
    return model


def pack(model: Any) -> bytes:
    """The flatbuffer. The same objects give the same bytes."""
    return bytes(_packed(model))


def write(model: Any, path: str | Path) -> None:
    """The same bytes into a file, without another copy of them."""
    with Path(path).open("wb") as file:
        file.write(_packed(model))


def pack_apart(model: Any) -> bytes:
    """The flatbuffer, and behind it the large constants: TensorFlow's quantisers then do not copy them to and fro."""
    large = {i: each.data for i, each in enumerate(model.buffers) if each.data is not None and len(each.data) > LARGE}
    apart = copy(model)
    apart.metadata = [*(model.metadata or []), schema.MetadataT(BEHIND_NOTE, len(model.buffers))]
    apart.buffers = [*model.buffers, schema.BufferT(np.frombuffer(BEHIND_WORDS, np.uint8))]
    _place(apart, large, 2)  # 0 and 1 mean that nothing lies behind; any other number takes as many bytes
    _place(apart, large, _aligned(len(pack(apart))))
    parts = [pack(apart), *large.values()]
    return b"".join(each for part in parts for each in (part, bytes(_aligned(len(part)) - len(part))))


def _place(model: Any, large: Mapping[int, Array], start: int) -> None:
    for index, data in large.items():
        model.buffers[index] = schema.BufferT(None, start, len(data))
        start += _aligned(len(data))


def _aligned(size: int) -> int:
    return size + -size % BUFFER_ALIGNMENT


def _packed(model: Any) -> memoryview:
    stored = sum(len(each.data) for each in model.buffers or [] if each.data is not None)
    writer = _Writer(stored + (1 << 16))  # a writer that has to grow holds everything twice for a moment
    writer.Finish(model.Pack(writer), IDENTIFIER)
    return memoryview(writer.Bytes)[writer.Head() :]


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def word(model: Any, operator: Any) -> str:
    """The operator's name in the schema, such as CONV_2D."""
    code = model.operatorCodes[operator.opcodeIndex]
    return str(OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)])


def code_index(model: Any, name: str, version: int = 1) -> int:
    """Where the file lists this operator; it is added if need be."""
    value = getattr(schema.BuiltinOperator, name)
    for index, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == value and code.version >= version:
            return index
    # codes from 127 on have a field of their own, with 127 in the old one
    model.operatorCodes.append(schema.OperatorCodeT(min(value, 127), None, version, value))
    return len(model.operatorCodes) - 1


def constant(model: Any, tensor: Any) -> Array | None:
    """What the file stores for a tensor, in its shape; None if it is computed or of a type that has no array."""
    data, kind = model.buffers[tensor.buffer].data, TYPES.get(tensor.type)
    if data is None or not len(data) or kind is None:
        return None
    shape = () if tensor.shape is None else tuple(int(side) for side in tensor.shape)
    return np.asarray(data).view(np.uint8).view(kind).reshape(shape)


def add_tensor(model: Any, graph: Any, name: str, shape: Sequence[int], value: Array | None = None) -> int:
    """The place of a new tensor, with its constant if it is one; float32 if not."""
    types = {kind: number for number, kind in TYPES.items()}
    number = schema.TensorType.FLOAT32 if value is None else types[value.dtype.type]
    graph.tensors.append(schema.TensorT(np.array(shape, np.int32), number, 0, name, hasRank=True))
    if value is not None:
        graph.tensors[-1].buffer = add_buffer(model, value)
    return len(graph.tensors) - 1


def add_buffer(model: Any, value: Array) -> int:
    """The place of a new buffer with these bytes."""
    model.buffers.append(schema.BufferT(np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)))
    return len(model.buffers) - 1


def require_runtime(model: Any, version: str) -> None:
    """Raise the file's note of the oldest runtime that has all its operators, such as 2.4.0; a file may have none."""
    for note in model.metadata or []:
        if note.name == RUNTIME_NOTE:
            given = np.asarray(model.buffers[note.buffer].data).tobytes().rstrip(b"\0").decode()
            newest = max(given, version, key=lambda each: [int(part) for part in each.split(".")])
            note.buffer = add_buffer(model, np.frombuffer(newest.encode().ljust(16, b"\0"), np.uint8))


def drop_unused(model: Any) -> None:
    """Tensors, operator codes and buffers that nothing refers to are taken out; equal buffers become one."""
    for index, graph in enumerate(model.subgraphs):
        _drop_tensors(graph, [each for each in model.signatureDefs or [] if each.subgraphIndex == index])
    operators = [operator for graph in model.subgraphs for operator in graph.operators]
    codes = _numbered(operator.opcodeIndex for operator in operators)
    model.operatorCodes = [model.operatorCodes[old] for old in codes]
    for operator in operators:
        operator.opcodeIndex = codes[operator.opcodeIndex]
    _share_buffers(model)


def _drop_tensors(graph: Any, signatures: list[Any]) -> None:
    lists = [(graph, "inputs"), (graph, "outputs")]
    lists += [(operator, part) for operator in graph.operators for part in ("inputs", "outputs", "intermediates")]
    present = [(owner, part) for owner, part in lists if getattr(owner, part) is not None]
    used = {int(old) for owner, part in present for old in getattr(owner, part)} - {NONE}
    places = {old: new for new, old in enumerate(sorted(used))} | {NONE: NONE}
    for owner, part in present:
        setattr(owner, part, np.array([places[int(old)] for old in getattr(owner, part)], np.int32))
    for signature in signatures:
        for entry in (*(signature.inputs or []), *(signature.outputs or [])):
            entry.tensorIndex = places[entry.tensorIndex]
    graph.tensors = [graph.tensors[old] for old in sorted(used)]


def _share_buffers(model: Any) -> None:
    """Buffer 0 is empty by convention, and stands for every tensor that stores nothing."""
    holders = [tensor for graph in model.subgraphs for tensor in graph.tensors] + list(model.metadata or [])
    kept: dict[tuple[int, bytes], int] = {_key(b""): 0}
    buffers = [schema.BufferT()]
    for holder in holders:
        data = model.buffers[holder.buffer].data
        key = _key(b"" if data is None or not len(data) else np.ascontiguousarray(data))
        if key not in kept:
            kept[key] = len(buffers)
            buffers.append(model.buffers[holder.buffer])
        holder.buffer = kept[key]
    model.buffers, model.metadataBuffer = buffers, None


def _key(content: Any) -> tuple[int, bytes]:
    """Two contents with the same key are the same."""
    view = memoryview(content).cast("B")
    return len(view), view.tobytes() if len(view) <= LARGE else sha256(view).digest()


def _numbered(values: Iterable[int]) -> dict[int, int]:
    return {value: place for place, value in enumerate(dict.fromkeys(values))}


class _Writer(flatbuffers.Builder):  # type: ignore[misc] # the library has no types
    """Writes a vector of numbers or a string that it has written before by reference, as flatbuffers allow."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._vectors: dict[tuple[int, tuple[int, bytes]], int] = {}
        self._strings: dict[Any, int] = {}
        self._start = 0
        self._size: int | None = None
        """Bytes of the vector being written, if it may be shared: one of offsets depends on where it lies."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:  # noqa: N802, N803
        self._start, self._size = self.Offset(), elemSize * numElems
        return super().StartVector(elemSize, numElems, BUFFER_ALIGNMENT if elemSize == 1 else alignment)

    def PrependUOffsetTRelative(self, off: int) -> None:  # noqa: N802
        self._size = None
        super().PrependUOffsetTRelative(off)

    def EndVector(self, numElems: int | None = None) -> Any:  # noqa: N802, N803
        offset, size = super().EndVector(numElems), self._size
        self._size = None
        if size is None:
            return offset
        end = self.Head() + 4 + size  # behind the count
        key = (size, _key(memoryview(self.Bytes)[self.Head() : end]))
        known = self._vectors.setdefault(key, offset)
        if known != offset:
            self.head = len(self.Bytes) - self._start
        return known

    def CreateString(self, s: Any, encoding: str = "utf-8", errors: str = "strict") -> Any:  # noqa: N802
        if s not in self._strings:
            self._strings[s] = super().CreateString(s, encoding, errors)
        return self._strings[s]

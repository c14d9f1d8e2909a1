"""Reads an inference request of the Open Inference Protocol V2 (REST): JSON, or with binary tensor data. Strict.

Source: https://github.com/kserve/open-inference-protocol, and Triton's "binary tensor data" extension.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edge_agent.adapters.frames import MAX_RANK, MAX_TENSORS
from edge_agent.core.tensors import DTYPES, Array
from edge_agent.ports import InvalidRequest, Tensors
from edge_contracts.manifest import DataType

MAX_ELEMENTS: Final = 2**26
MAX_ID_LENGTH: Final = 256


@dataclass(frozen=True)
class OutputWish:
    """How an output is wanted; None: as the request says, or as the model has it."""

    name: str
    binary: bool | None
    datatype: DataType | None


@dataclass(frozen=True)
class InferRequest:
    """A readable request; whether it fits the model is not known yet. No wishes: every output."""

    id: str | None
    inputs: Tensors
    wishes: tuple[OutputWish, ...]
    binary: bool
    datatype: DataType | None


def read_request(body: bytes, header_length: str | None) -> InferRequest:
    """The request in `body`; `header_length` is the value of Inference-Header-Content-Length if it was sent.

    Raises:
        InvalidRequest: with a sentence that says what is wrong where.
    """
    text, binary = _split(body, header_length)
    fields = _json_object(text)
    parameters = _object(fields, "parameters", "the request")
    inputs = _inputs(fields, binary if header_length is not None else None)
    return InferRequest(
        id=_identity(fields),
        inputs=inputs,
        wishes=tuple(_wish(wish) for wish in _list(fields, "outputs")),
        binary=_flag(parameters, "binary_data_output") or False,
        datatype=_wanted_type(parameters),
    )


def _split(body: bytes, header_length: str | None) -> tuple[bytes, memoryview]:
    if header_length is None:
        return body, memoryview(b"")
    if not (header_length.isascii() and header_length.isdigit() and 0 < int(header_length[:12]) <= len(body)):
        raise InvalidRequest(
            f"Inference-Header-Content-Length is {header_length[:32]!r}; it must be the length of the JSON part, "
            f"1 to {len(body)} here"
        )
    length = int(header_length)
    return body[:length], memoryview(body)[length:]


def _json_object(text: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the request is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise InvalidRequest("the request is not a JSON object")
    return fields


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _inputs(fields: dict[str, Any], binary: memoryview | None) -> Tensors:
    tensors: Tensors = {}
    place = 0
    for item in _list(fields, "inputs"):
        name = item.get("name")
        if not isinstance(name, str) or name in tensors:
            raise InvalidRequest(f"an input's name is {str(name)[:64]!r}; each needs one of its own")
        datatype, shape = _datatype(item.get("datatype"), name), _shape(item.get("shape"), name)
        size = _object(item, "parameters", name).get("binary_data_size")
        if size is None:
            tensors[name] = _from_json(item.get("data"), datatype, shape, name)
        else:
            tensors[name] = _from_bytes(binary, place, size, datatype, shape, name)
            place += size
    if not tensors:
        raise InvalidRequest("the request has no inputs")
    if binary is not None and place != len(binary):
        raise InvalidRequest(f"{len(binary)} bytes follow the JSON part, the inputs account for {place}")
    return tensors


def _from_bytes(
    binary: memoryview | None, place: int, size: object, datatype: DataType, shape: tuple[int, ...], name: str
) -> Array:
    if binary is None:
        raise InvalidRequest(f"input {name!r} has binary_data_size, but Inference-Header-Content-Length was not sent")
    dtype, items = DTYPES[datatype], math.prod(shape)
    if size != items * dtype.itemsize or isinstance(size, bool):
        needed = f"input {name!r} of {list(shape)} {datatype} takes {items * dtype.itemsize} bytes"
        raise InvalidRequest(f"{needed}; binary_data_size is {size}")
    if place + items * dtype.itemsize > len(binary):
        raise InvalidRequest(f"the request ends before the bytes of input {name!r}")
    # Copied: the bytes may lie at any offset, engines want aligned arrays.
    return np.frombuffer(binary, dtype, items, place).reshape(shape).copy()


def _from_json(data: object, datatype: DataType, shape: tuple[int, ...], name: str) -> Array:
    if not isinstance(data, list):
        raise InvalidRequest(f"input {name!r} has no `data` list and no binary_data_size")
    try:
        values = np.asarray(data)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(f"input {name!r}: `data` is not an even list of numbers") from error
    if values.ndim > 1 and values.shape != shape:
        raise InvalidRequest(f"input {name!r} has shape {list(shape)}, its `data` {list(values.shape)}")
    if values.size != math.prod(shape):
        raise InvalidRequest(f"input {name!r} of {list(shape)} needs {math.prod(shape)} values, got {values.size}")
    return _cast(values, datatype, name).reshape(shape)


_KINDS: Final[dict[str, str]] = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}
"""Kinds of JSON values that may fill a tensor of each kind."""


def _cast(values: Array, datatype: DataType, name: str) -> Array:
    dtype = DTYPES[datatype]
    if values.size and values.dtype.kind not in _KINDS[dtype.kind]:
        raise InvalidRequest(f"input {name!r}: `data` does not hold {datatype} values")
    with np.errstate(over="ignore"):
        cast: Array = values.astype(dtype)
    kept = np.isfinite(cast).all() if dtype.kind == "f" else (cast == values).all()
    if not kept:
        raise InvalidRequest(f"input {name!r}: `data` holds values outside the range of {datatype}")
    return cast


def _wish(item: dict[str, Any]) -> OutputWish:
    name = item.get("name")
    if not isinstance(name, str):
        raise InvalidRequest("an output needs a name")
    parameters = _object(item, "parameters", name)
    if "classification" in parameters:
        raise InvalidRequest("the classification extension is not offered; the answer's parameters name the label")
    return OutputWish(name, _flag(parameters, "binary_data"), _wanted_type(parameters))


def _wanted_type(parameters: dict[str, Any]) -> DataType | None:
    wanted = parameters.get("datatype")
    return None if wanted is None else _datatype(wanted, "parameters")


def _datatype(value: object, place: str) -> DataType:
    try:
        return DataType(str(value))
    except ValueError:
        raise InvalidRequest(f"{place}: datatype {str(value)[:32]!r} is not one of {', '.join(DataType)}") from None


def _shape(value: object, name: str) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > MAX_RANK or not all(type(n) is int and n >= 0 for n in value):
        raise InvalidRequest(f"input {name!r}: `shape` must be a list of at most {MAX_RANK} sizes")
    if math.prod(value) > MAX_ELEMENTS:
        raise InvalidRequest(f"input {name!r}: shape {value} is over the limit of {MAX_ELEMENTS} values")
    return tuple(value)


def _identity(fields: dict[str, Any]) -> str | None:
    identity = fields.get("id")
    if identity is not None and (not isinstance(identity, str) or len(identity) > MAX_ID_LENGTH):
        raise InvalidRequest(f"`id` must be a text of at most {MAX_ID_LENGTH} characters")
    return identity


def _flag(parameters: dict[str, Any], name: str) -> bool | None:
    value = parameters.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidRequest(f"parameter {name!r} must be true or false")
    return value


def _object(fields: dict[str, Any], key: str, place: str) -> dict[str, Any]:
    value = fields.get(key, {})
    if not isinstance(value, dict):
        raise InvalidRequest(f"`{key}` of {place} must be an object")
    return value


def _list(fields: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = fields.get(key, [])
    if not isinstance(value, list) or len(value) > MAX_TENSORS or not all(isinstance(item, dict) for item in value):
        raise InvalidRequest(f"`{key}` must be a list of at most {MAX_TENSORS} tensors")
    return value

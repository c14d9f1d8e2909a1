"""Messages between the agent and a worker: binary, their lengths checked, tensors as raw bytes. Knows no engine.

A frame is kind (1 byte), 3 bytes of padding and the length of its body. The tensors of a body are described in turn by
datatype, rank and dimensions, then follow their bytes, each beginning at a multiple of 16.
"""

from __future__ import annotations

import json
import math
import socket
import struct
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_agent.core.tensors import DATATYPES, DTYPES, Array
from edge_agent.ports import AgentError

Bytes = bytes | bytearray | memoryview

MAX_BODY_BYTES: Final = 256 * 1024 * 1024
MAX_TENSORS: Final = 64
MAX_RANK: Final = 8
_HEAD: Final = struct.Struct("<B3xI")
_TIME: Final = struct.Struct("<Q")
_TENSOR: Final = struct.Struct("<BB")
_ALIGN: Final = 16
_CODES: Final = list(DTYPES)
_CODE_OF: Final = {dtype: _CODES.index(datatype) for dtype, datatype in DATATYPES.items()}


class BadFrame(AgentError):
    """The other side does not follow the protocol. Reaction: end the worker."""


class Closed(AgentError):
    """The other side is gone. Reaction: the worker has died, or the agent has."""


class Kind(IntEnum):
    """What a frame says."""

    LOAD = 1
    LOADED = 2
    RUN = 3
    RAN = 4
    FAILED = 5
    REHEARSE = 6
    """As RUN, in the self-test: live requests begin after it."""


@dataclass(frozen=True)
class Frame:
    """A message as it came."""

    kind: Kind
    body: memoryview

    def fields(self) -> dict[str, Any]:
        """The body of a message in JSON.

        Raises:
            BadFrame: it is not a JSON object.
        """
        try:
            fields = json.loads(bytes(self.body))
        except (ValueError, RecursionError) as error:
            raise BadFrame("a message is not JSON") from error
        if not isinstance(fields, dict):
            raise BadFrame("a message is not a JSON object")
        return fields


def send_fields(channel: socket.socket, kind: Kind, fields: dict[str, Any]) -> None:
    """Send a message in JSON. Raises Closed."""
    body = json.dumps(fields).encode()
    _send(channel, [_HEAD.pack(kind, len(body)), body], None)


def send_tensors(
    channel: socket.socket, kind: Kind, tensors: list[Array], engine_ns: int = 0, deadline: float | None = None
) -> None:
    """Send tensors and, with an answer, the engine's time in nanoseconds.

    Raises:
        Closed, BadFrame; TimeoutError at the deadline, if the other side does not read.
    """
    about = bytearray(_TIME.pack(engine_ns) + bytes([len(tensors)]))
    for array in tensors:
        about += _TENSOR.pack(_code(array), array.ndim) + struct.pack(f"<{array.ndim}I", *array.shape)
    blocks: list[Bytes] = [about, *(_flat(array).data for array in tensors)]
    parts: list[Bytes] = [part for block in blocks for part in (block, bytes(-len(block) % _ALIGN))]
    length = sum(len(part) for part in parts)
    if length > MAX_BODY_BYTES:
        raise BadFrame(f"a message of {length} bytes is over the limit of {MAX_BODY_BYTES}")
    _send(channel, [_HEAD.pack(kind, length), *parts], deadline)


def receive(channel: socket.socket, deadline: float | None = None) -> Frame:
    """The next message; waits until `deadline` on the monotonic clock, or for ever.

    Raises:
        Closed, BadFrame; TimeoutError at the deadline.
    """
    kind, length = _HEAD.unpack(_read(channel, _HEAD.size, deadline))
    if kind not in Kind.__members__.values() or length > MAX_BODY_BYTES:
        raise BadFrame(f"a frame of kind {kind} with {length} bytes")
    return Frame(Kind(kind), memoryview(_read(channel, length, deadline)))


def tensors_of(frame: Frame) -> tuple[list[Array], int]:
    """The tensors in a message and the engine's time; the arrays share the message's memory.

    Raises:
        BadFrame: lengths and shapes do not agree.
    """
    try:
        return _tensors_of(frame.body)
    except (struct.error, IndexError, ValueError) as error:
        raise BadFrame(f"the tensors of a message are not readable: {error}") from error


def _tensors_of(body: memoryview) -> tuple[list[Array], int]:
    (engine_ns,), count, place = _TIME.unpack_from(body), body[_TIME.size], _TIME.size + 1
    abouts = []
    for _ in range(count):
        code, rank = _TENSOR.unpack_from(body, place)
        if count > MAX_TENSORS or rank > MAX_RANK:
            raise BadFrame(f"{count} tensors of rank {rank}")
        shape = struct.unpack_from(f"<{rank}I", body, place + _TENSOR.size)
        abouts.append((DTYPES[_CODES[code]], shape))
        place += _TENSOR.size + 4 * rank
    tensors: list[Array] = []
    for dtype, shape in abouts:
        place += -place % _ALIGN
        items = math.prod(shape)
        tensors.append(np.frombuffer(body, dtype, items, place).reshape(shape))
        place += items * dtype.itemsize
    return tensors, engine_ns


def _code(array: Array) -> int:
    try:
        return _CODE_OF[array.dtype]
    except KeyError:
        raise BadFrame(f"a tensor of {array.dtype} cannot be sent") from None


def _flat(array: Array) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _send(channel: socket.socket, parts: list[Bytes], deadline: float | None) -> None:
    _wait_until(channel, deadline)
    try:
        sent = channel.sendmsg(parts)
        if sent < sum(len(part) for part in parts):
            channel.sendall(memoryview(b"".join(parts))[sent:])
    except TimeoutError:
        raise
    except OSError as error:
        raise Closed("the channel is closed") from error


def _wait_until(channel: socket.socket, deadline: float | None) -> None:
    channel.settimeout(None if deadline is None else max(deadline - time.monotonic(), 1e-3))


def _read(channel: socket.socket, length: int, deadline: float | None) -> bytearray:
    buffer = bytearray(length)
    view, got = memoryview(buffer), 0
    while got < length:
        _wait_until(channel, deadline)
        try:
            n = channel.recv_into(view[got:])
        except TimeoutError:
            raise
        except OSError as error:
            raise Closed("the channel is closed") from error
        if n == 0:
            raise Closed("the channel is closed")
        got += n
    return buffer

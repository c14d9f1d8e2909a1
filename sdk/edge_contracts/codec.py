"""Messages as bytes: canonical CBOR (RFC 8949, section 4.2) with a schema version, deflated when that is shorter.

Layout: one byte, 0 for plain or 1 for zlib, then a CBOR map {"v": schema version, ...the message's fields}.
Unknown fields survive; an unknown schema version is refused.
"""

from __future__ import annotations

import io
import zlib
from typing import Any, Final, TypeVar

import cbor2
from pydantic import ValidationError

from edge_contracts.errors import Malformed
from edge_contracts.wire import Wire

SCHEMA: Final = 1
MAX_MESSAGE_BYTES: Final = 256 * 1024
MAX_PLAIN_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 16
"""Maps and lists inside each other; the deepest message of today has four."""
_PLAIN: Final = b"\x00"
_ZLIB: Final = b"\x01"

Message = TypeVar("Message", bound=Wire)


def encode(message: Wire) -> bytes:
    """The message as bytes; equal messages give equal bytes."""
    fields = {"v": SCHEMA, **message.model_dump(mode="python", exclude_none=True)}
    plain = cbor2.dumps(_plain(fields), canonical=True)
    packed = zlib.compress(plain, 9)
    return _ZLIB + packed if len(packed) < len(plain) else _PLAIN + plain


def decode(kind: type[Message], data: bytes) -> Message:
    """A message of type `kind` from outside.

    Raises:
        Malformed: too large, not CBOR, of another schema version, or with fields that are not valid.
    """
    if not 0 < len(data) <= MAX_MESSAGE_BYTES:
        raise Malformed(f"a message of {len(data)} bytes; 1 to {MAX_MESSAGE_BYTES} are taken")
    fields = _map(_inflate(data))
    version = fields.pop("v", None)
    if version != SCHEMA:
        named = version if isinstance(version, int) else f"of type {type(version).__name__}"
        raise Malformed(f"schema version {named}; this side speaks {SCHEMA}")
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        # The place may hold the sender's own words: escaped and cut, so that they cannot forge a line of a log.
        place = ".".join(map(str, first["loc"])).encode("unicode_escape").decode()[:120]
        raise Malformed(f"{kind.__name__}.{place}: {first['msg']}") from error


def _inflate(data: bytes) -> bytes:
    if data[:1] == _PLAIN:
        return data[1:]
    if data[:1] != _ZLIB:
        raise Malformed(f"unknown encoding {data[0]}")
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(data[1:], MAX_PLAIN_BYTES)
    except zlib.error as error:
        raise Malformed("not zlib") from error
    if not inflater.eof or inflater.unused_data:
        raise Malformed(f"inflates beyond {MAX_PLAIN_BYTES} bytes, is cut short or has a tail")
    return plain


def _map(plain: bytes) -> dict[str, Any]:
    stream = io.BytesIO(plain)
    try:
        fields = cbor2.CBORDecoder(stream).decode()
    except (cbor2.CBORDecodeError, ValueError, RecursionError, OverflowError, MemoryError, TypeError) as error:
        raise Malformed("not CBOR") from error
    if not isinstance(fields, dict) or not all(isinstance(key, str) for key in fields) or stream.tell() != len(plain):
        raise Malformed("not one CBOR map with text keys")
    if not _is_simple(fields, len(plain)):
        raise Malformed("more than maps, lists, texts, bytes, plain numbers, true, false and null inside")
    return fields


def _is_simple(fields: dict[str, Any], most: int) -> bool:
    """Whether nothing is inside that cannot be written as JSON again, and at most `most` values.

    A message has no more values than bytes: one that refers to itself, or many times to the same part, has.
    """
    level: list[Any] = [fields]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for value in level:
            match value:
                case dict() if all(isinstance(key, str) for key in value):
                    inside = list(value.values())
                case list():
                    inside = value
                case float() | str() | bytes() | None:
                    continue
                case int() if -(2**63) <= value < 2**64:
                    continue
                case _:
                    return False
            most -= len(inside)
            if most < 0:
                return False
            inner += inside
        level = inner
    return not level


def _plain(value: Any) -> Any:
    """Ids and enums are subclasses of str: CBOR wants the plain types."""
    match value:
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case str():
            return str.__str__(value)
        case _:
            return value

"""What kind of model a path holds, told from its bytes, and its digest. Loads no ML library."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from edge_contracts.ids import Digest
from edge_converters.errors import BadInput
from edge_converters.onnx_externals import external_files


class SourceKind(StrEnum):
    """The forms a source model comes in."""

    KERAS = "keras"
    SAVED_MODEL = "saved-model"
    ONNX = "onnx"
    TFLITE = "tflite"


@dataclass(frozen=True)
class Source:
    """A model to convert."""

    path: Path
    kind: SourceKind
    digest: Digest


SUFFIXES: Final = {
    ".keras": SourceKind.KERAS,
    ".h5": SourceKind.KERAS,
    ".onnx": SourceKind.ONNX,
    ".tflite": SourceKind.TFLITE,
}
MAGIC: Final = {".keras": (0, b"PK\x03\x04"), ".h5": (0, b"\x89HDF\r\n\x1a\n"), ".tflite": (4, b"TFL3")}
"""Where in the file which bytes stand; ONNX has none."""
MOST_BYTES: Final = 2 * 1024**3
"""No protobuf or flatbuffer is larger, and neither is what comes out of a larger source."""
_CHUNK: Final = 1024**2
_TAKEN: Final = "Give a Keras file (.keras, .h5), a SavedModel folder, an .onnx file or a float .tflite file."
_AGAIN: Final = "Copy or export it again."


def recognise(path: Path) -> Source:
    """The source at `path`.

    Raises:
        BadInput: nothing there, or nothing that is converted.
    """
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise BadInput(f"{path} is a folder without saved_model.pb", _TAKEN)
        _check_size(path, sum(each.stat().st_size for each in path.rglob("*") if each.is_file()))
        return Source(path, SourceKind.SAVED_MODEL, _folder_digest(path))
    kind = SUFFIXES.get(path.suffix)
    try:
        with path.open("rb") as file:
            head, size = file.read(16), path.stat().st_size
    except OSError as error:
        raise BadInput(f"{path} is not readable: {error.strerror}", "Check the path.") from error
    if kind is None:
        raise BadInput(f"{path}: {path.suffix or 'no suffix'} is not a kind of model that is converted", _TAKEN)
    place, magic = MAGIC.get(path.suffix, (0, b""))
    if not head or head[place : place + len(magic)] != magic:
        raise BadInput(f"{path} is not a {path.suffix} file: it begins with other bytes", _AGAIN)
    _check_size(path, size)
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise BadInput(f"{path} was cut short: its end is missing", _AGAIN)
    return Source(path, kind, _digest(path, kind))


def _check_size(path: Path, size: int) -> None:
    if size >= MOST_BYTES:
        raise BadInput(
            f"{path} has {size / 1024**3:.1f} GiB; models of 2 GiB and more are not converted",
            "Such a model fits none of the targets: make a smaller one.",
        )


def _digest(path: Path, kind: SourceKind) -> Digest:
    """Over the file, and over those that an ONNX file keeps its weights in."""
    digest = _file_digest(path)
    others = external_files(path) if kind is SourceKind.ONNX else ()
    if not others:
        return Digest(f"sha256:{digest}")
    total = hashlib.sha256(digest.encode())
    for name in others:
        other = path.parent / name
        content = _file_digest(other) if other.is_file() else "missing"
        total.update(name.encode() + b"\0" + content.encode())
    return Digest(f"sha256:{total.hexdigest()}")


def _file_digest(path: Path) -> str:
    total = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            total.update(chunk)
    return total.hexdigest()


def _folder_digest(path: Path) -> Digest:
    """Over names and contents, in order."""
    total = hashlib.sha256()
    for file in sorted(each for each in path.rglob("*") if each.is_file()):
        total.update(str(file.relative_to(path)).encode() + b"\0" + bytes.fromhex(_file_digest(file)))
    return Digest(f"sha256:{total.hexdigest()}")

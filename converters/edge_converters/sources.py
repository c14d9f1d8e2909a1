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


class SourceKind(StrEnum):
    """The forms a source model comes in."""

    KERAS = "keras"
    SAVED_MODEL = "saved-model"
    ONNX = "onnx"


@dataclass(frozen=True)
class Source:
    """A model to convert."""

    path: Path
    kind: SourceKind
    digest: Digest


SUFFIXES: Final = {".keras": SourceKind.KERAS, ".h5": SourceKind.KERAS, ".onnx": SourceKind.ONNX}
MAGIC: Final = {".keras": b"PK\x03\x04", ".h5": b"\x89HDF\r\n\x1a\n"}
_TAKEN: Final = "Give a Keras file (.keras, .h5), a SavedModel folder or an .onnx file."


def recognise(path: Path) -> Source:
    """The source at `path`.

    Raises:
        BadInput: nothing there, or nothing that is converted.
    """
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise BadInput(f"{path} is a folder without saved_model.pb", _TAKEN)
        return Source(path, SourceKind.SAVED_MODEL, _folder_digest(path))
    kind = SUFFIXES.get(path.suffix)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} is not readable: {error.strerror}", "Check the path.") from error
    if kind is None:
        raise BadInput(f"{path}: {path.suffix or 'no suffix'} is not a kind of model that is converted", _TAKEN)
    if not data.startswith(MAGIC.get(path.suffix, b"")) or not data:
        raise BadInput(f"{path} is not a {path.suffix} file: it begins with other bytes", "Copy or export it again.")
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise BadInput(f"{path} was cut short: its end is missing", "Copy or export it again.")
    return Source(path, kind, Digest.of(data))


def _folder_digest(path: Path) -> Digest:
    """Over names and contents, in order."""
    total = hashlib.sha256()
    for file in sorted(each for each in path.rglob("*") if each.is_file()):
        total.update(str(file.relative_to(path)).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return Digest(f"sha256:{total.hexdigest()}")

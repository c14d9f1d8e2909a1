"""The payload of a variant: one stored zip with the model file and its golden data, read only from memory.

Only the two known member names are ever read and nothing is extracted to a path, so a hostile archive has no path to
traverse; members are stored, never compressed, so there is nothing to inflate.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import Final

from edge_contracts.errors import Refused
from edge_contracts.ids import Digest
from edge_contracts.manifest import FileRef
from edge_contracts.reasons import Reason

MODEL_MEMBER: Final = "model"
GOLDEN_MEMBER: Final = "golden.npz"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_UNREADABLE: Final = (zipfile.BadZipFile, KeyError, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)
"""What zipfile raises for a hostile archive: places before its beginning and names that are no text among them."""


@dataclass(frozen=True)
class Payload:
    """A model file and its golden data: an `.npz` with arrays `input_<i>` and `output_<i>`, samples first.

    They hold stored values, as the model file takes and gives them (int8 where its tensors are int8): inputs are fed
    as they are, outputs are turned into real values by the `Quantization` of their `TensorSpec` before comparing.
    A file with a fixed batch of 1 is fed sample by sample.
    """

    model: bytes
    golden: bytes


def pack_payload(payload: Payload) -> bytes:
    """The payload as bytes; the same payload always gives the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in ((MODEL_MEMBER, payload.model), (GOLDEN_MEMBER, payload.golden)):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return buffer.getvalue()


def unpack_payload(data: bytes, model: FileRef, golden: FileRef) -> Payload:
    """Read a decrypted payload against the signed lengths and digests of its members.

    Raises:
        Refused: payload-malformed or payload-digest.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return Payload(_member(archive, MODEL_MEMBER, model), _member(archive, GOLDEN_MEMBER, golden))
    except _UNREADABLE as error:
        raise Refused(Reason.PAYLOAD_MALFORMED, str(error)) from error


def _member(archive: zipfile.ZipFile, name: str, expected: FileRef) -> bytes:
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != expected.length:
        raise Refused(Reason.PAYLOAD_MALFORMED, f"{name}: {info.file_size} bytes, {expected.length} signed")
    content = archive.read(info)
    if Digest.of(content) != expected.digest:
        raise Refused(Reason.PAYLOAD_DIGEST, name)
    return content

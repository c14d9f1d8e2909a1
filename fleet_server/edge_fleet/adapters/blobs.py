"""Artifacts in a folder, named by the SHA-256 of their bytes: streamed in under a limit, whole or absent."""

from __future__ import annotations

import hashlib
import mmap
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from edge_contracts.ids import Digest
from edge_fleet.adapters.files import disk_errors, put_in_place, sync_folder
from edge_fleet.errors import NotFound, Rejected, TooLarge

PIECE_BYTES: Final = 256 * 1024


class Upload:
    """An artifact on its way in. Give it every piece, then `finish`; `abandon` is safe at any time."""

    def __init__(self, digest: Digest, place: Path, incoming: Path, limit: int) -> None:
        self._digest = digest
        self._place = place
        self._limit = limit
        self._hash = hashlib.sha256()
        self._length = 0
        self._temporary = incoming / f"{digest.hex}.{secrets.token_hex(4)}"
        with disk_errors(self._temporary):
            self._file = self._temporary.open("xb")

    def write(self, piece: bytes) -> None:
        """Raises TooLarge, NoSpace."""
        self._length += len(piece)
        if self._length > self._limit:
            raise TooLarge("artifact-too-large", f"At most {self._limit} bytes are taken", "Send a smaller artifact.")
        self._hash.update(piece)
        with disk_errors(self._temporary):
            self._file.write(piece)

    def finish(self) -> None:
        """The artifact is there, durably, if its bytes are those of its name.

        Raises:
            Rejected: they are not; nothing is kept.
        """
        if self._hash.hexdigest() != self._digest.hex:
            message = f"The {self._length} bytes sent have the digest sha256:{self._hash.hexdigest()}"
            raise Rejected("artifact-digest", message, "Send the artifact under the digest of its own bytes.")
        with disk_errors(self._temporary):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._place.parent.mkdir(exist_ok=True)
            sync_folder(self._place.parent.parent)
            put_in_place(self._temporary, self._place)

    def abandon(self) -> None:
        """Leave nothing behind that was not finished."""
        self._file.close()
        with suppress(FileNotFoundError):
            self._temporary.unlink()


class FolderBlobs:
    """The store. What an interrupted upload left behind is swept when it is opened."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        self._incoming.mkdir(exist_ok=True)
        for leftover in self._incoming.iterdir():
            leftover.unlink()

    def size(self, digest: Digest) -> int | None:
        """Bytes of the artifact; None if it is not here."""
        try:
            return self._path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def upload(self, digest: Digest, limit: int) -> Upload:
        """Begin to take an artifact of at most `limit` bytes."""
        return Upload(digest, self._path(digest), self._incoming, limit)

    def read(self, digest: Digest, start: int, stop: int) -> Iterator[bytes]:
        """Bytes `start` to `stop` in pieces. Raises NotFound at once, not while iterating."""
        try:
            file = self._path(digest).open("rb")
        except FileNotFoundError as error:
            raise _missing(digest) from error
        return _pieces(file, start, stop)

    def mapped(self, digest: Digest) -> memoryview:
        """All bytes without reading them into memory; unmapped when nobody holds the view. Raises NotFound."""
        try:
            with self._path(digest).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                # An empty file cannot be mapped.
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b"")
        except FileNotFoundError as error:
            raise _missing(digest) from error

    def _path(self, digest: Digest) -> Path:
        return self._folder / digest.hex[:2] / digest.hex


def _pieces(file: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        while start < stop:
            piece = file.read(min(PIECE_BYTES, stop - start))
            if not piece:
                return
            start += len(piece)
            yield piece


def _missing(digest: Digest) -> NotFound:
    return NotFound("artifact-unknown", f"There is no artifact {digest}", "Upload it with PUT /v1/artifacts/{sha256}.")

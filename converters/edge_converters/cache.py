"""Finished work kept on disk under the digest of everything it depends on: whole entries, or none.

Safe for several processes at once: an entry appears by one rename, and one that is damaged counts as absent and is
removed. What was used longest ago goes first when the folder grows over its bound.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_contracts.ids import Digest

CACHE_VARIABLE: Final = "EDGE_SDK_CACHE"
MOST_BYTES: Final = 2 * 1024**3
_MAGIC: Final = b"edge-sdk cache 1\n"
_log = logging.getLogger(__name__)

Files = dict[str, bytes]


def default_folder() -> Path:
    """`EDGE_SDK_CACHE`, else `edge-sdk/conversions` in the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edge-sdk" / "conversions"


UNFINISHED: Final = ".new-"
DEAD_SECONDS: Final = 3600.0
"""An unfinished file that is older was left by a process that died."""


@dataclass(frozen=True)
class Cache:
    """Entries by key. What goes wrong with the folder costs the entry, never the conversion."""

    folder: Path
    most_bytes: int = MOST_BYTES

    def get(self, key: Digest) -> Files | None:
        """The files kept under `key`, exactly as they were put; None if there are none, or no longer whole."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        files = _unpack(key, content)
        with suppress(OSError):
            if files is None:
                _log.warning("the cache entry %s is damaged and was removed", path)
                path.unlink()
            else:
                os.utime(path)  # used last
        return files

    def put(self, key: Digest, files: Mapping[str, bytes]) -> bool:
        """Keep `files` under `key`, whatever was there; False where the folder takes none."""
        path = self._path(key)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=UNFINISHED, delete=False) as file:
                unfinished = Path(file.name)
                try:
                    file.write(_pack(key, files))
                    file.flush()
                    os.fsync(file.fileno())
                    unfinished.replace(path)
                except BaseException:
                    unfinished.unlink(missing_ok=True)
                    raise
        except OSError as error:
            _log.warning("nothing is kept in the cache %s: %s", self.folder, error.strerror or error)
            return False
        self._make_room(path)
        return True

    def _path(self, key: Digest) -> Path:
        name = key.partition(":")[2]
        return self.folder / name[:2] / name

    def _make_room(self, newest: Path) -> None:
        """Remove what was used longest ago, unfinished files of dead processes with it; never the newest."""
        found: list[tuple[float, int, Path]] = []
        for path in self.folder.glob("*/*"):
            with suppress(OSError):  # another process removed it
                status = path.stat()
                if path.name.startswith(UNFINISHED) and time.time() - status.st_mtime < DEAD_SECONDS:
                    continue  # another process is writing it
                found.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self.most_bytes:
                return
            if path != newest:
                with suppress(OSError):
                    path.unlink()
                    total -= size


def _pack(key: Digest, files: Mapping[str, bytes]) -> bytes:
    index = json.dumps({"key": key, "files": {name: len(content) for name, content in files.items()}}).encode()
    body = b"".join((index, b"\n", *files.values()))
    return _MAGIC + hashlib.sha256(body).digest() + body


def _unpack(key: Digest, content: bytes) -> Files | None:
    start = len(_MAGIC) + 32
    body = memoryview(content)[start:]
    if not content.startswith(_MAGIC) or hashlib.sha256(body).digest() != content[len(_MAGIC) : start]:
        return None
    line, _, _ = content[start:].partition(b"\n")
    index = json.loads(line)
    if index["key"] != key:
        return None
    files, place = {}, start + len(line) + 1
    for name, length in index["files"].items():
        files[name] = content[place : place + length]
        place += length
    return files

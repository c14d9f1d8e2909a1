"""The TUF repository as files, ready to be served or copied to any web server. Written, never decided about, here."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge_contracts.ids import Digest
from edge_fleet.adapters.files import write_whole
from edge_fleet.errors import NotFound

METADATA_NAME: Final = re.compile(r"timestamp\.json|[1-9][0-9]{0,9}\.(?:root|snapshot|targets)\.json")
TARGET_NAME: Final = re.compile(r"(?:[a-z0-9][a-z0-9_-]{0,63}/){1,3}[0-9a-f]{64}\.[a-z0-9][a-z0-9._-]{0,127}")
KEPT_VERSIONS: Final = 10
"""Superseded snapshot and targets files that stay for devices in the middle of a refresh."""


class RepositoryFiles:
    """`metadata/` and `targets/` of one folder."""

    def __init__(self, folder: Path) -> None:
        self._metadata = folder / "metadata"
        self._targets = folder / "targets"

    def write_metadata(self, name: str, body: bytes) -> None:
        """The file holds `body` afterwards, or is as before."""
        self._metadata.mkdir(parents=True, exist_ok=True)
        write_whole(self._metadata / name, body)

    def write_target(self, path: str, body: bytes) -> None:
        """A target under its consistent-snapshot name; one that is there already has these bytes."""
        place = self._targets / consistent_name(path, Digest.of(body))
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            write_whole(place, body)

    def drop_old(self, role: str, newest: int) -> None:
        """Remove superseded versions of a role that no device can still be reading."""
        for path in self._metadata.glob(f"*.{role}.json"):
            if int(path.name.partition(".")[0]) <= newest - KEPT_VERSIONS:
                with suppress(FileNotFoundError):
                    path.unlink()

    def read_metadata(self, name: str) -> bytes:
        """Raises NotFound."""
        return _read(self._metadata, name, METADATA_NAME)

    def read_target(self, name: str) -> bytes:
        """A target by its consistent-snapshot name. Raises NotFound."""
        return _read(self._targets, name, TARGET_NAME)


def consistent_name(path: str, digest: Digest) -> str:
    """`<dir>/<sha256>.<file>` (TUF specification, section 6.2)."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/{digest.hex}.{name}"


def _read(folder: Path, name: str, allowed: re.Pattern[str]) -> bytes:
    if allowed.fullmatch(name):
        with suppress(FileNotFoundError, NotADirectoryError):
            return (folder / name).read_bytes()
    raise NotFound("file-unknown", f"The repository has no {name[:200]!r}", "Begin with timestamp.json.")

"""Releases on disk: a folder each, named by its artifact's digest, with ciphertext, signed manifest and wrapped key.

    releases/<64 hex>/manifest.json   the publisher's bytes
                      record.json     the assignment with the wrapped key, the signed digests and lengths
                      artifact.part   ciphertext so far
                      artifact        ciphertext, verified and fsynced

No plaintext is ever written.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from pydantic import ValidationError

from edge_agent.adapters.durable import private_folder, sync_folder, write_durably
from edge_agent.adapters.storage import storage
from edge_contracts.assignments import Assignment
from edge_contracts.errors import Malformed
from edge_contracts.ids import Digest
from edge_contracts.manifest import FileRef, read_manifest
from edge_contracts.verification import Plan
from edge_contracts.wire import Wire

log = logging.getLogger(__name__)

FOLDER: Final = "releases"
_MANIFEST: Final = "manifest.json"
_RECORD: Final = "record.json"
_ARTIFACT: Final = "artifact"
_PART: Final = "artifact.part"


class ReleaseRecord(Wire):
    """What `record.json` holds; written after the manifest, so that a record stands for both."""

    assignment: Assignment
    manifest: FileRef
    artifact: FileRef


class ReleaseFolder:
    """The updater's `ReleaseStore` in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def offer(self, plan: Plan, manifest: bytes) -> None:
        """See `ReleaseStore`."""
        folder = self._at(plan.artifact.digest)
        record = ReleaseRecord(
            assignment=plan.assignment,
            manifest=FileRef(digest=Digest.of(manifest), length=len(manifest)),
            artifact=plan.artifact,
        )
        with storage(folder, "written"):
            private_folder(folder)
            write_durably(folder / _MANIFEST, manifest)
            write_durably(folder / _RECORD, record.model_dump_json().encode())
            sync_folder(self._folder)

    def plan(self, release: Digest) -> Plan | None:
        """See `ReleaseStore`."""
        folder = self._at(release)
        try:
            record = ReleaseRecord.model_validate_json((folder / _RECORD).read_bytes())
            data = (folder / _MANIFEST).read_bytes()
            if Digest.of(data) != record.manifest.digest or record.artifact.digest != release:
                raise ValueError("its digests do not match")
            manifest = read_manifest(data)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, Malformed, ValidationError) as error:
            log.error("the release in %s is damaged: %s", folder, error)
            return None
        variant = manifest.variant(record.assignment.variant)
        return Plan(record.assignment, manifest, variant, record.artifact) if variant else None

    def has_artifact(self, release: Digest) -> bool:
        """See `ReleaseStore`."""
        path = self._at(release) / _ARTIFACT
        with storage(path, "read"):
            if not path.exists():
                return False
            if _digest(path) == release:
                return True
            log.error("%s is damaged and removed", path)
            path.unlink()
            return False

    def fetched(self, release: Digest) -> int:
        """See `ReleaseStore`."""
        path = self._present(release)
        return path.stat().st_size if path.exists() else 0

    def artifact(self, release: Digest) -> bytes:
        """See `ReleaseStore`."""
        path = self._present(release)
        with storage(path, "read"):
            return path.read_bytes() if path.exists() else b""

    def complete(self, release: Digest) -> None:
        """See `ReleaseStore`."""
        folder = self._at(release)
        part = folder / _PART
        with storage(part, "made durable"):
            if part.exists():
                with part.open("rb") as file:
                    os.fsync(file.fileno())
                part.replace(folder / _ARTIFACT)
            sync_folder(folder)

    def discard(self, release: Digest) -> None:
        """See `ReleaseStore`."""
        for name in (_PART, _ARTIFACT):
            (self._at(release) / name).unlink(missing_ok=True)

    def keep(self, releases: Collection[Digest]) -> None:
        """See `ReleaseStore`."""
        wanted = {release.hex for release in releases}
        for entry in self._folder.iterdir() if self._folder.exists() else ():
            if entry.name not in wanted:
                shutil.rmtree(entry, ignore_errors=True)

    def free_bytes(self) -> int:
        """See `ReleaseStore`."""
        with storage(self._folder, "measured"):
            return shutil.disk_usage(private_folder(self._folder)).free

    @contextmanager
    def receiving(self, release: Digest) -> Iterator[BinaryIO]:
        """The partial ciphertext, open for writing at its end.

        Raises:
            StorageFailed: also out of the block, when a write to the file fails.
        """
        path = self._at(release) / _PART
        with storage(path, "written"):
            private_folder(path.parent)
            with path.open("ab") as file:
                yield file

    def _present(self, release: Digest) -> Path:
        folder = self._at(release)
        whole = folder / _ARTIFACT
        return whole if whole.exists() else folder / _PART

    def _at(self, release: Digest) -> Path:
        return self._folder / release.hex


def _digest(path: Path) -> Digest:
    with path.open("rb") as file:
        return Digest("sha256:" + hashlib.file_digest(file, "sha256").hexdigest())

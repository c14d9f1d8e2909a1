"""Bundles on disk: read one with every byte checked against its manifest, write one whole or not at all.

Imports no ML library and no NumPy, so that publishing a bundle stays light.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_contracts.errors import Malformed
from edge_contracts.ids import Digest, VariantName
from edge_contracts.manifest import MANIFEST_FILE, MAX_MANIFEST_BYTES, FileRef, Manifest, Variant, read_manifest
from edge_contracts.payload import Payload, pack_payload
from edge_converters.errors import InvalidBundle, NotWritten

VARIANTS_FOLDER: Final = "variants"
GOLDEN_FILE: Final = "golden.npz"
REPORT_FILE: Final = "report.json"


@dataclass(frozen=True)
class Bundle:
    """A bundle in memory. `manifest_bytes` are what a publisher signs, `payloads` what becomes the artifacts."""

    path: Path
    manifest: Manifest
    manifest_bytes: bytes
    payloads: Mapping[VariantName, bytes]


def model_file(variant: Variant) -> str:
    """The model file's path inside the bundle."""
    return f"{VARIANTS_FOLDER}/{variant.name}/model.{variant.format}"


def golden_file(variant: Variant) -> str:
    """The golden data's path inside the bundle."""
    return f"{VARIANTS_FOLDER}/{variant.name}/{GOLDEN_FILE}"


def read_bundle(path: Path) -> Bundle:
    """The bundle in folder `path`, its files equal to what the manifest says.

    Raises:
        InvalidBundle: not a folder with a manifest, or a file is missing or differs.
    """
    data = _read(path, MANIFEST_FILE, MAX_MANIFEST_BYTES + 1)
    try:
        manifest = read_manifest(data)
    except Malformed as error:
        raise InvalidBundle(f"{path / MANIFEST_FILE}: {error}", _AGAIN) from error
    return Bundle(path, manifest, data, {variant.name: _payload(path, variant) for variant in manifest.variants})


def write_bundle(path: Path, files: Mapping[str, bytes]) -> None:
    """Put `files` (relative path -> content) into the new folder `path`: all of them, or none.

    The folder appears by one rename, after every file and folder has reached the disk. An earlier bundle at `path`
    is replaced; a folder that holds anything else is not touched.

    Raises:
        NotWritten: no space, no permission, or `path` is taken by something that is not a bundle.
    """
    check_place(path)
    path = path.absolute()
    staging: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        _fill(staging, files)
        staging.chmod(0o755)
        _take_place(staging, path)
    except OSError as error:
        reason = error.strerror or str(error)
        hint = f"Make room or get write permission in {path.parent}; nothing was left behind."
        raise NotWritten(f"the bundle could not be written to {path}: {reason}", hint) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


def check_place(path: Path) -> None:
    """That a bundle may be written to `path`, as far as can be told before there is one.

    Raises:
        NotWritten: `path` is taken by something that is not a bundle, or its folder takes no files.
    """
    path = path.absolute()
    if path.exists() and not _replaceable(path):
        raise NotWritten(f"{path} exists and is not a bundle", "Choose another --output, or remove it first.")
    folder = next(parent for parent in path.parents if parent.exists())
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        message = f"the bundle could not be written to {path}: {folder}: {error.strerror}"
        raise NotWritten(message, f"Get write permission in {folder}, or choose another --output.") from error


_AGAIN: Final = "Run `edge-sdk convert` again, or name the folder that it wrote."


def _payload(path: Path, variant: Variant) -> bytes:
    payload = pack_payload(
        Payload(
            _checked(path, model_file(variant), variant.model),
            _checked(path, golden_file(variant), variant.golden),
        )
    )
    if Digest.of(payload) != variant.payload.digest:
        raise InvalidBundle(f"{path}: the payload of {variant.name} differs from the manifest", _AGAIN)
    return payload


def _checked(path: Path, name: str, expected: FileRef) -> bytes:
    data = _read(path, name, expected.length + 1)
    if len(data) != expected.length or Digest.of(data) != expected.digest:
        raise InvalidBundle(f"{path / name} differs from the manifest", _AGAIN)
    return data


def _read(path: Path, name: str, limit: int) -> bytes:
    try:
        with (path / name).open("rb") as file:
            return file.read(limit)
    except OSError as error:
        raise InvalidBundle(f"{path / name} is not readable: {error.strerror}", _AGAIN) from error


def _replaceable(path: Path) -> bool:
    return path.is_dir() and ((path / MANIFEST_FILE).is_file() or not any(path.iterdir()))


def _fill(staging: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        target = staging / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    for folder in [staging, *(entry for entry in staging.rglob("*") if entry.is_dir())]:
        _sync(folder)


def _take_place(staging: Path, path: Path) -> None:
    if path.exists():
        former = Path(tempfile.mkdtemp(prefix=f".{path.name}.former.", dir=path.parent))
        path.rename(former / "bundle")
        try:
            staging.rename(path)
        except OSError:
            (former / "bundle").rename(path)
            raise
        finally:
            shutil.rmtree(former, ignore_errors=True)
    else:
        staging.rename(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Files for the owner alone: written whole or not at all, mode 0600, in folders of mode 0700."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from edge_sdk.errors import BadInput


def make_private_folder(path: Path) -> Path:
    """The folder `path`, made for the owner alone if it is not there.

    Raises:
        BadInput: it cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{path} cannot be made: {error.strerror}", "Choose a folder you may write to.") from error
    return path


def write_private(path: Path, data: bytes) -> None:
    """Put `data` at `path` by a rename, so that a power failure leaves the old file or the new one.

    Raises:
        BadInput: no space or no permission.
    """
    temporary: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise BadInput(f"{path} cannot be written: {error.strerror}", "Make room or choose another folder.") from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

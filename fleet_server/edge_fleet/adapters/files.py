"""Writing files so that they are whole or absent: temporary file, fsync, rename, fsync of the folder."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from edge_fleet.errors import NoSpace

PRIVATE: Final = 0o600
PUBLIC: Final = 0o644
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def write_whole(path: Path, data: bytes, mode: int = PUBLIC) -> None:
    """`path` holds `data` afterwards, also through a power cut; on an error it is as before.

    Raises:
        NoSpace: the disk is full.
    """
    with disk_errors(path):
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            put_in_place(temporary, path)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()


def put_in_place(temporary: Path, path: Path) -> None:
    """Rename a finished, synced file to its name and make the name durable."""
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Translates a full disk; other errors of the operating system are left as they are."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpace("disk-full", f"No space is left for {path}", "Free space, then repeat.") from error
        raise

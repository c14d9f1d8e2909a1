"""Small disks to fill: a real file system in memory, mounted as root or by sudo."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.tools import missing

AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of `size` (as `mount` writes it) in the new folder `folder`, owned by this user."""
    folder.mkdir()
    options = f"size={size},mode=700,uid={os.geteuid()},gid={os.getegid()}"
    mount = [*AS_ROOT, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if shutil.which(mount[0]) is None or subprocess.run(mount, capture_output=True).returncode:
        missing("a small file system can be mounted only by root, or where sudo asks for no password")
    try:
        yield folder
    finally:
        subprocess.run([*AS_ROOT, "umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, room: int = 0) -> Path:
    """Leave only `room` bytes on the disk of `folder`; removing the returned file frees it again."""
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(folder).free - room))
    return ballast

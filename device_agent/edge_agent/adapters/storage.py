"""One place where the errors of the disk become the updater's `StorageFailed`."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edge_agent.core.storage import StorageFailed

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def storage(path: Path, doing: str) -> Iterator[None]:
    """Translate what goes wrong with `path` inside the block; `doing` says what was tried, as `written`."""
    try:
        yield
    except OSError as error:
        hint = "Free space on it." if error.errno in _FULL else "Check the disk and the folder's owner."
        raise StorageFailed(f"{path} could not be {doing}: {error.strerror or error}", hint) from error
    except sqlite3.Error as error:
        raise StorageFailed(f"{path} could not be {doing}: {error}", "Free space; check the disk.") from error

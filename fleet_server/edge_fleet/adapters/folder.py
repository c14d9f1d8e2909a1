"""The data folder: the name of each file in it, and the lock that lets one server at a time use it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_fleet.adapters.files import PRIVATE
from edge_fleet.errors import CannotStart

_OF_A_DISK: Final = {"lost+found"}
"""In the top folder of every ext4 file system: a disk of its own is a good place."""


@dataclass(frozen=True)
class DataFolder:
    """Where things are. `keys` is private (0700); everything secret lies in it."""

    root: Path

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / "fleet.sqlite"

    @property
    def keys(self) -> Path:
        """Private keys: authority, server, online roles, key-encryption key."""
        return self.root / "keys"

    @property
    def certificates(self) -> Path:
        """Certificates of authority and server, and the revocation list."""
        return self.root / "certificates"

    @property
    def broker(self) -> Path:
        """Mosquitto's configuration, access list, log and stored messages."""
        return self.root / "broker"

    @property
    def repository(self) -> Path:
        """The TUF repository: `metadata/` and `targets/`."""
        return self.root / "repository"

    @property
    def blobs(self) -> Path:
        """Artifacts by digest."""
        return self.root / "blobs"

    @property
    def initialised(self) -> bool:
        """Whether `init` has finished here: its last act is to write this file."""
        return (self.root / "initialised").exists()

    @property
    def foreign(self) -> bool:
        """Whether something lies here that is none of ours; a server's files are not mixed into that."""
        if not self.root.is_dir():
            return False
        ours = {folder.name for folder in self._folders} | {"lock", "server.toml", "log", self.database.name}
        names = {path.name for path in self.root.iterdir()}
        return not {name for name in names if not name.startswith((".", self.database.name))} <= ours | _OF_A_DISK

    @property
    def _folders(self) -> tuple[Path, ...]:
        return (self.certificates, self.broker, self.repository, self.blobs, self.keys)

    def create(self) -> None:
        """Make the folders; nothing happens to those that exist. What is not private is never for others to write, and
        the database (SQLite gives its mode to the files beside it) is not for others to read."""
        self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        for folder in self._folders:
            folder.mkdir(mode=0o700 if folder == self.keys else 0o755, exist_ok=True)
        self.database.touch(mode=PRIVATE)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """No other server uses this folder inside the block; the system frees the lock when a process dies.

        Raises:
            CannotStart: another one does.
        """
        with (self.root / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                message = f"Another server is using {self.root}"
                raise CannotStart("data-folder-busy", message, "Stop it, or name another folder.") from error
            yield

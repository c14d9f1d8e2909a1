"""What the services ask of the world. Each port says what may be repeated and which errors come out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from typing import Protocol

from sqlalchemy.orm import Session

from edge_contracts.ids import DeviceId, Digest
from edge_contracts.topics import Topic
from edge_contracts.wire import Wire

Clock = Callable[[], datetime]
"""The time now, with its zone."""


class Transactions(Protocol):
    """The database as a source of transactions."""

    def write(self) -> AbstractContextManager[Session]:
        """One exclusive transaction, committed when the block ends. Raises NoSpace, Unavailable."""

    def read(self) -> AbstractContextManager[Session]:
        """One consistent snapshot."""


@dataclass(frozen=True)
class Incoming:
    """A message from the broker. `receipt` is for `MessageLink.acknowledge`."""

    topic: str
    payload: bytes
    retained: bool
    receipt: tuple[int, int, int]
    """Connection, packet id, quality of service."""


class MessageLink(Protocol):
    """The server's one connection to the broker; it reconnects by itself. Thread-safe."""

    @property
    def connected(self) -> bool:
        """Whether the broker answers now."""

    def send(self, topic: Topic, device: DeviceId, message: Wire) -> None:
        """Publish by the topic's row (quality of service, retain, expiry) and wait until the broker has it.

        May be repeated. Raises Unavailable when the broker does not take it within some seconds.
        """

    def receive(self, limit: int, timeout: float) -> Sequence[Incoming]:
        """Up to `limit` messages of all up-topics, waiting up to `timeout` seconds for the first; may be empty."""

    def acknowledge(self, messages: Sequence[Incoming]) -> None:
        """Tell the broker these are committed. What is not acknowledged comes again after a reconnect."""


class Upload(Protocol):
    """An artifact on its way in. Give it every piece, then `finish`; `abandon` is safe at any time."""

    def write(self, piece: bytes) -> None:
        """The next piece. Raises TooLarge, NoSpace."""

    def finish(self) -> None:
        """The artifact is there, durably. Raises Rejected when its bytes are not those of its name; NoSpace."""

    def abandon(self) -> None:
        """Leave nothing behind that was not finished."""


class ArtifactStore(Protocol):
    """Artifacts by the digest of their bytes; each is whole or absent."""

    def size(self, digest: Digest) -> int | None:
        """Bytes of the artifact; None if it is not here."""

    def upload(self, digest: Digest, limit: int) -> Upload:
        """Begin to take an artifact of at most `limit` bytes."""

    def read(self, digest: Digest, start: int, stop: int) -> Iterator[bytes]:
        """Bytes `start` to `stop` in pieces. Raises NotFound at once, not while iterating."""

    def mapped(self, digest: Digest) -> memoryview:
        """All bytes without reading them into memory. Raises NotFound."""


class PublishedFiles(Protocol):
    """The signed repository as devices see it."""

    def read_metadata(self, name: str) -> bytes:
        """A file of metadata by its name. Raises NotFound."""

    def read_target(self, name: str) -> bytes:
        """A small target by its consistent-snapshot name. Raises NotFound."""


class Background(Protocol):
    """A service with a thread of its own."""

    name: str

    def run(self, stop: Event) -> None:
        """Work until `stop` is set. An error that escapes is logged and `run` is called again after a pause."""

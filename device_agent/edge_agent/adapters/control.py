"""A Unix socket in the state folder by which `edge-agent status` and the like talk to the running daemon.

One word in, one line of JSON out. Who may enter the folder may ask; the folder belongs to the agent alone.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from edge_agent.ports import AgentError

LOG: Final = logging.getLogger(__name__)

SOCKET: Final = "agent.sock"
MAX_WORD_BYTES: Final = 64
TIMEOUT_S: Final = 10.0


class NotRunning(AgentError):
    """No agent answers for this state folder. Reaction: say so."""


class ControlServer:
    """Answers each word of `answers` with what its function returns, until closed."""

    def __init__(self, state_dir: Path, answers: Mapping[str, Callable[[], Any]]) -> None:
        self._path = state_dir / SOCKET
        self._answers = answers
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        with _short_path(state_dir) as folder:
            self._listener.bind(f"{folder}/{SOCKET}")
        self._path.chmod(0o600)
        self._listener.listen(8)
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering. Idempotent."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(TIMEOUT_S)
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(TIMEOUT_S)
                try:
                    connection.sendall(self._answer(connection.recv(MAX_WORD_BYTES)))
                except OSError as error:
                    LOG.debug("control: %s", error)
                except Exception:  # one question that cannot be answered must not end the service
                    LOG.exception("control: a question could not be answered")

    def _answer(self, word: bytes) -> bytes:
        answer = self._answers.get(word.decode("ascii", "replace").strip())
        return json.dumps({"error": "unknown word"} if answer is None else answer()).encode() + b"\n"


def ask(state_dir: Path, word: str) -> Any:
    """What the daemon of `state_dir` answers to `word`, as JSON values.

    Raises:
        NotRunning: there is no daemon, or it does not answer.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_S)
        try:
            with _short_path(state_dir) as folder:
                connection.connect(f"{folder}/{SOCKET}")
            connection.sendall(word.encode())
            with connection.makefile("rb") as lines:
                return json.loads(lines.readline())
        except (OSError, ValueError) as error:
            raise NotRunning(
                f"no agent is running with the state folder {state_dir}", "Start one with `edge-agent run`."
            ) from error


@contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    """A short name of `folder`: the address of a Unix socket holds 107 bytes only (unix(7))."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)

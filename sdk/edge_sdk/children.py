"""Child processes that speak JSON lines: started with a log, awaited until ready, ended with their parent.

A child dies with the thread that started it (Linux binds the death signal to the thread), so start children from the
main thread.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

from edge_sdk.errors import ChildFailed

STOP_SECONDS: Final = 10.0
_LAUNCHER: Final = Path(__file__).with_name("launch.py")
_TAIL_BYTES: Final = 4096
_SILENT_ENDS: Final = frozenset({-signal.SIGKILL, -signal.SIGTERM})
"""Exit codes of a process that could say nothing more."""
_NAME: Final = re.compile(r"^edge-[a-z]+: ")


class Child:
    """A running process of ours. `stop` is idempotent; a context manager would hide which children a failure ends."""

    def __init__(self, name: str, process: subprocess.Popen[str], log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._drain, name=f"{name}-output", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs, negative for a signal."""
        return self._process.poll()

    def ready(self, seconds: float) -> dict[str, Any]:
        """The first JSON object it prints.

        Raises:
            ChildFailed: it ended before, or did not print one in time.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=max(deadline - time.monotonic(), 0.01))
            except queue.Empty:
                raise ChildFailed(f"{self.name} was not ready after {seconds:.0f} s", f"See {self.log}.") from None
            if line is None:
                self._process.wait()
                raise ChildFailed(
                    f"{self.name} ended at once: {self.last_words()}", f"The whole story is in {self.log}."
                )
            return line

    def last_words(self) -> str:
        """What it said last, in a line: its own error sentence, without its name, if it printed one."""
        code = self.exit_code
        if code is not None and code in _SILENT_ENDS:
            return f"ended by {signal.Signals(-code).name}"
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
                lines = file.read().decode(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return _NAME.sub("", lines[-1])[:400] if lines else f"exit code {self.exit_code}"

    def kill(self) -> None:
        """End it as a power failure does."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._reader.join()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ask it to end; after `seconds` end it and whatever it started."""
        if self.running:
            self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._reader.join(STOP_SECONDS)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _drain(self) -> None:
        """Keep what it prints in the log, and hand JSON objects to `ready`."""
        output: IO[str] | None = self._process.stdout
        assert output is not None
        with output, self.log.open("a", encoding="utf-8") as log:
            for line in output:
                log.write(line)
                log.flush()
                if line.startswith("{"):
                    with contextlib.suppress(ValueError):
                        self._lines.put(json.loads(line))
        self._lines.put(None)


def start_child(
    name: str,
    command: Sequence[str],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
) -> Child:
    """Run `command` (an absolute program and its arguments); its output goes to the file `log`.

    Raises:
        ChildFailed: it cannot be started.
    """
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid())]
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("ab") as errors:
            process = subprocess.Popen(
                [*launcher, *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
    except OSError as error:
        raise ChildFailed(f"{name} cannot be started: {error}", f"Check that {command[0]} is there.") from error
    return Child(name, process, log)

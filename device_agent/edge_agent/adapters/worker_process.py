"""One worker process as the agent sees it: started, asked, killed. What happens in it comes out as an error here."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, TypeVar

from pydantic import BaseModel, ValidationError

from edge_agent.adapters.frames import BadFrame, Closed, Frame, Kind, receive, send_fields, send_tensors, tensors_of
from edge_agent.adapters.worker_orders import Failure, Order, Report, WorkerFaults
from edge_agent.core.tensors import Array
from edge_agent.ports import AgentError, ModelFailed, Release
from edge_contracts.manifest import Accelerator
from edge_contracts.reasons import Reason

TAIL_BYTES: Final = 8192
_TAIL_LINES: Final = 4
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
_ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""NumPy's own thread pool would only cost memory: the engine does the work, with the threads the variant says."""
_CHATTER: Final = re.compile(r"^(INFO|WARNING|W0000|I0000|E0000)\b|^\s*$|LIBNATIVE")
LEAVE_S: Final = 2.0
"""How long a worker that has closed its channel may take to end."""
MAX_MESSAGE: Final = 2000
MEMORY_INTERVAL_MS: Final = 200
"""How often a worker with a limit is looked at."""
NO_FAULTS: Final = WorkerFaults()

Message = TypeVar("Message", bound=BaseModel)


class WorkerGone(AgentError):
    """The worker ended by itself, as after a native crash. Reaction: start another one, count it."""


class WorkerHung(AgentError):
    """The worker did not answer in time. Reaction: kill it, start another one, count it."""


@dataclass(frozen=True)
class WorkerSettings:
    """How workers are run. Times in seconds; `environment` is added to the agent's own.

    `memory_limit_bytes` is of resident memory, shared libraries included: what the device has for a model's process.
    A microcontroller's limit is its arena instead.
    """

    load_timeout_s: float = 120.0
    request_timeout_s: float = 10.0
    memory_limit_bytes: int | None = None
    faults: WorkerFaults = NO_FAULTS
    environment: Mapping[str, str] = field(default_factory=dict)


class WorkerProcess:
    """A process with one model loaded. Thread-safe; requests are answered one after the other."""

    def __init__(self, release: Release, settings: WorkerSettings, *, gentle: bool) -> None:
        """Start the process; `load` then waits for the model. `gentle`: another model is answering meanwhile."""
        self._release = release
        self._settings = settings
        self._gentle = gentle
        micro = release.variant.needs.accelerator is Accelerator.MCU
        self._limit = None if micro else settings.memory_limit_bytes
        self._over_memory = False
        self._largest = 0
        self._tail: deque[bytes] = deque()
        self._speaking = threading.Lock()
        self._channel, self._process = _spawn(release.payload.model, settings.environment)
        pipe = self._process.stdout
        assert pipe is not None
        self._guard = threading.Thread(target=self._watch_over, args=(pipe,), name="worker-guard", daemon=True)
        self._guard.start()

    def load(self) -> Report:
        """Wait until the model is loaded.

        Raises:
            ModelFailed: engine-missing, model-unloadable, selftest-memory. The process has ended then.
        """
        faults = self._settings.faults.for_version(self._release.manifest.version)
        order = Order(variant=self._release.variant, gentle=self._gentle, faults=faults)
        try:
            with self._speaking:
                send_fields(self._channel, Kind.LOAD, order.model_dump(mode="json"))
                frame = receive(self._channel, time.monotonic() + self._settings.load_timeout_s)
            if frame.kind is Kind.LOADED:
                return _parsed(Report, frame)
            failed = _failed(frame)
        except TimeoutError:
            self.stop()
            seconds = self._settings.load_timeout_s
            raise ModelFailed(Reason.MODEL_UNLOADABLE, f"the model did not load in {seconds:.0f} s") from None
        except (Closed, BadFrame):
            raise self._died_loading() from None
        self.stop()
        raise failed

    def run(self, inputs: list[Array]) -> tuple[list[Array], int]:
        """Outputs for inputs (both in the order of the variant) and the engine's time in nanoseconds.

        Raises:
            ModelFailed: the engine refused this request; the worker lives on.
            WorkerGone, WorkerHung: the worker is of no use any more.
        """
        return self._ask(Kind.RUN, inputs)

    def rehearse(self, inputs: list[Array]) -> tuple[list[Array], int]:
        """As `run`, for the self-test: it does not count as a live request."""
        return self._ask(Kind.REHEARSE, inputs)

    def _ask(self, kind: Kind, inputs: list[Array]) -> tuple[list[Array], int]:
        deadline = time.monotonic() + self._settings.request_timeout_s
        try:
            with self._speaking:
                send_tensors(self._channel, kind, inputs, deadline=deadline)
                frame = receive(self._channel, deadline)
            if frame.kind is Kind.RAN:
                return tensors_of(frame)
            failed = _failed(frame)
        except TimeoutError:
            raise WorkerHung(f"no answer within {self._settings.request_timeout_s:g} s") from None
        except (Closed, BadFrame):
            self.stop()
            raise WorkerGone(f"the worker ended: {self.last_words()}") from None
        raise failed

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def wait(self) -> None:
        """Return when the process has ended."""
        self._process.wait()

    def rss_bytes(self) -> int:
        """Resident memory; 0 when the process has ended."""
        return self._memory("VmRSS")

    def check_memory(self) -> None:
        """Compare the largest memory so far with the limit.

        Raises:
            ModelFailed: selftest-memory.
        """
        peak = max(self._memory("VmHWM"), self._largest)
        if self._over_memory or (self._limit is not None and peak > self._limit):
            raise ModelFailed(Reason.SELFTEST_MEMORY, self._memory_sentence(peak))

    def last_words(self) -> str:
        """How the process ended and the last lines it wrote, engines' chatter left out."""
        code = self._process.poll()
        if self._over_memory:
            return self._memory_sentence(self._largest)
        how = "still running" if code is None else _ending(code)
        if code is not None:
            self._guard.join(0.5)
        text = b"".join(list(self._tail)).decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if not _CHATTER.search(line)]
        return ": ".join([how, *([" | ".join(lines[-_TAIL_LINES:])] if lines else [])])

    def stop(self) -> None:
        """End the process and let go of everything; who waits for its answer is told that it has gone. Idempotent."""
        if self.alive:
            # With whatever it has started: the model's code may be hostile.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        # Not while another thread reads: a new descriptor could get the channel's number under its hands.
        with self._speaking:
            self._channel.close()
        self._guard.join(1.0)

    def _died_loading(self) -> ModelFailed:
        try:
            self._process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            self.stop()
            return ModelFailed(Reason.MODEL_UNLOADABLE, "the model's process does not follow the protocol")
        words = self.last_words()
        memory = self._over_memory or self._process.returncode == -signal.SIGKILL
        self.stop()
        return ModelFailed(Reason.SELFTEST_MEMORY if memory else Reason.MODEL_UNLOADABLE, words)

    def _watch_over(self, pipe: IO[bytes]) -> None:
        """Keep the last of what the worker writes, and kill it when it takes more memory than it may."""
        kept = 0
        interval_ms = None if self._limit is None else MEMORY_INTERVAL_MS
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        with pipe:
            while True:
                written = poll.poll(interval_ms)
                self._keep_to_limit()
                if not written:
                    continue
                chunk = os.read(pipe.fileno(), 4096)
                if not chunk:
                    return
                self._tail.append(chunk)
                kept += len(chunk)
                while kept - len(self._tail[0]) >= TAIL_BYTES:
                    kept -= len(self._tail.popleft())

    def _keep_to_limit(self) -> None:
        if self._limit is None:
            return
        resident = self._memory("VmRSS")
        if resident > self._limit:
            self._largest = resident
            self._over_memory = True
            self._process.kill()

    def _memory(self, field: str) -> int:
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            return 0
        match = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
        return int(match[1]) * 1024 if match else 0

    def _memory_sentence(self, seen: int) -> str:
        return f"it takes {seen / 2**20:.0f} MiB of memory; its limit here is {(self._limit or 0) / 2**20:.0f} MiB"


def _spawn(model: bytes, environment: Mapping[str, str]) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start a worker; the model reaches it by a sealed memory file, never by the disk."""
    ours, theirs = socket.socketpair()
    memory = os.memfd_create("model", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(memory, "wb", closefd=False) as file:
            file.write(model)
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, _SEALS)
        os.lseek(memory, 0, os.SEEK_SET)
        command = ["-m", "edge_agent.worker", "--channel", str(theirs.fileno()), "--model", str(memory)]
        process = subprocess.Popen(
            [sys.executable, *command],
            pass_fds=(theirs.fileno(), memory),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in a terminal is for the agent, which then stops its workers
            env={**os.environ, **_ONE_THREAD, **environment},
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        os.close(memory)
    return ours, process


def _failed(frame: Frame) -> ModelFailed:
    failure = _parsed(Failure, frame)
    return ModelFailed(failure.reason, failure.message[:MAX_MESSAGE])


def _parsed(kind: type[Message], frame: Frame) -> Message:
    """What a worker says; it may be under the control of a hostile model. Raises BadFrame."""
    try:
        return kind.model_validate(frame.fields())
    except ValidationError as error:
        raise BadFrame(f"a message is no {kind.__name__}") from error


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"

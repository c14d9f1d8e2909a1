"""Child processes that run the backends, so that a native crash, a leak or a chatty library stays in the child.

A worker is `python -m edge_converters.backends`: one JSON line in, one JSON line out, and before it lines that tell how
far a long task is; everything the libraries print goes to a log whose last lines become part of the error.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import TracebackType
from typing import IO, Any, Final, Protocol, Self

from edge_converters import errors
from edge_converters.errors import ConverterError
from edge_converters.tasks import Task

Answer = dict[str, Any]

SETTINGS: Final = {
    "OPENBLAS_NUM_THREADS": "1",  # small matrices are slower with more, and sums shall not depend on a machine's cores
    "ORT_DISABLE_TELEMETRY": "1",  # since 1.29 it sends usage data to its maker, unless told not to
    "PYTHONHASHSEED": "0",  # some libraries write out sets: the same input shall give the same bytes
    "PYTHONWARNINGS": "ignore",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",  # the float reference shall have the same bits on every machine
}


class Observer(Protocol):
    """Is told what children do while they do it. Must not raise."""

    def progressed(self, task: Task, done: int, total: int) -> None:
        """A long task has done so many of so many pieces."""

    def measured(self, pid: int, peak: int, libraries: int) -> None:
        """The most bytes the child has held so far, and what of them its libraries took before they did any work."""

    def ended(self, pid: int) -> None:
        """The child is no more."""


_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Tell `observer` of every child that is started within."""
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


class WorkerDied(ConverterError):
    """The child process ended in the middle of a task. Reaction: the model is at fault, or memory is short."""


class Worker:
    """One child process; a context manager. Calls are answered one after the other."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._observer = _observer.get()
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__ with the child
        # a child that ends at once, or is killed, removes nothing of what its libraries wrote
        self._scratch = tempfile.TemporaryDirectory(prefix="edge-worker-", ignore_cleanup_errors=True)
        self._child = subprocess.Popen(
            [sys.executable, "-m", "edge_converters.backends"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, **SETTINGS, "TMPDIR": self._scratch.name, **(environment or {})},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # a request that a dead child did not take is still in the buffer
                    pipe.close()
        if kind is not None:
            self._child.kill()
        self._child.wait()
        if self._observer is not None:
            self._observer.ended(self.pid)
        self._log.close()
        self._scratch.cleanup()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def call(self, task: Task, **arguments: Any) -> Answer:
        """The answer of `task`. Arguments must be JSON; give models and arrays as paths.

        Raises:
            ConverterError: of the class the backend raised.
            WorkerDied: the child ended, with the last thing it printed.
        """
        self.ask(task, **arguments)
        return self.answer(task)

    def ask(self, task: Task, **arguments: Any) -> None:
        """Begin `task`; `answer` waits for it. In between, other children can be asked."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps({"task": task, "arguments": arguments}).encode() + b"\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            pass  # the child is dead; reading says so

    def answer(self, task: Task) -> Answer:
        """The answer of the `task` that was asked; raises as `call`."""
        assert self._child.stdout is not None
        while line := self._child.stdout.readline():
            answer: Answer = json.loads(line)
            if "progress" in answer:
                self._progressed(task, *answer["progress"])
                continue
            self._measured(**answer.pop("memory"))
            if "error" in answer:
                raise getattr(errors, answer["error"])(answer["message"], answer["hint"])
            return answer
        raise self._death(task)

    def _progressed(self, task: Task, done: int, total: int) -> None:
        if self._observer is not None:
            self._observer.progressed(task, done, total)

    def _measured(self, peak: int, libraries: int) -> None:
        if self._observer is not None:
            self._observer.measured(self.pid, peak, libraries)

    def _death(self, task: Task) -> WorkerDied:
        code = self._child.wait()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return WorkerDied(
            f"the process for {task} ended with {how}: {self._last_words() or 'it printed nothing'}",
            "The model makes this library crash, or memory is short; try it alone with one --profile.",
        )

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = [line.strip() for line in self._log.read().decode(errors="replace").splitlines()]
        return " / ".join(line for line in lines if line)[-400:]

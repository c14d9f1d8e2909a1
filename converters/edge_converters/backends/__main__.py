"""The child process: reads one task a line, runs it, answers with one JSON line. Prints nothing else there."""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, Final

from edge_converters.backends import channel
from edge_converters.errors import BackendMissing, ConverterError, NotConvertible, NotWritten
from edge_converters.processes import peak_bytes, resident_bytes
from edge_converters.tasks import TASKS, Task

_started_with = resident_bytes()
_imports: list[int] = []
"""By how much this process grew with each module of a backend, before it did any work."""
WORTH_GIVING_BACK: Final = 8 * 1024**2
_held = [_started_with]
"""What was resident when memory was last given back."""


def main() -> None:
    """Serve until standard input closes. What libraries print on standard output goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    channel.open_to(answers)
    for line in sys.stdin:
        request = json.loads(line)
        answer = _answer(Task(request["task"]), request["arguments"])
        memory = {"peak": peak_bytes(), "libraries": _started_with + sum(_imports)}
        answers.write(json.dumps({**answer, "memory": memory}) + "\n")
        _give_back()
    os._exit(0)  # every file is written; TensorFlow takes seconds to take itself down, the kernel none


def _answer(task: Task, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        return _function(task)(**arguments)
    except ConverterError as error:
        return {"error": type(error).__name__, "message": str(error), "hint": error.hint}
    except OSError as error:
        words = f"{task} could not write: {error.strerror or error}"
        return {"error": NotWritten.__name__, "message": words, "hint": "Make room, or point TMPDIR to another folder."}
    except MemoryError:
        traceback.print_exc()
        os.abort()  # what a shortage of memory ends is told as that, never as a property of the model
    except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign libraries raise anything; the child must answer
        traceback.print_exc()
        sentence = " ".join(f"{type(error).__name__}: {error}".split())[-600:]
        return {
            "error": NotConvertible.__name__,
            "message": f"{task} failed: {sentence}",
            "hint": "The library's own words are above; simplify that part of the model or choose another profile.",
        }


def _give_back() -> None:
    """Return what a task left to the system: the libraries free models into glibc's own store, task upon task."""
    if resident_bytes() < _held[0] + WORTH_GIVING_BACK:
        return
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
    _held[0] = resident_bytes()


@cache
def _function(task: Task) -> Callable[..., dict[str, Any]]:
    place, before = TASKS[task], resident_bytes()
    try:
        function: Callable[..., dict[str, Any]] = getattr(importlib.import_module(place.module), place.function)
    except ModuleNotFoundError as error:
        message = f"{task} needs the library {error.name}, which is not installed"
        raise BackendMissing(message, f"Install it with: pip install 'edge-sdk[{place.extra}]'") from error
    if not _imports:
        gc.freeze()  # what a library makes on import stays: TensorFlow's takes a quarter of a second to look through
    _imports.append(max(resident_bytes() - before, 0))
    return function


if __name__ == "__main__":
    main()

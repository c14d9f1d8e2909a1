"""Finds the engines of this device at start, each tried in a process of its own: a driver may crash or hang."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from edge_agent.adapters.engines.table import TABLE, Pair
from edge_agent.ports import EngineCensus
from edge_contracts.manifest import EngineNeeds

LOG: Final = logging.getLogger(__name__)

PROBE_TIMEOUT_S: Final = 60.0
_AT_ONCE: Final = 2


class ProbedEngines(EngineCensus):
    """The engines that worked when they were tried."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        self._pairs = frozenset(pairs)

    def runs(self, needs: EngineNeeds) -> bool:
        """Whether an engine for `needs` is here, its allowed fallback included."""
        fallback = needs.fallback is not None and (needs.engine, needs.fallback) in self._pairs
        return (needs.engine, needs.accelerator) in self._pairs or fallback

    def found(self) -> tuple[str, ...]:
        """Engine/accelerator pairs, as `onnxruntime/cpu`."""
        return tuple(sorted("/".join(pair) for pair in self._pairs))


def find_engines(environment: Mapping[str, str] | None = None) -> ProbedEngines:
    """Try every engine once; takes a second or two. `environment` is added to the process's own, as for workers."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="census") as executor:
        works = executor.map(lambda pair: _works(pair, environment or {}), TABLE)
        return ProbedEngines([pair for pair, found in zip(TABLE, works, strict=True) if found])


class EnginesBeingFound(EngineCensus):
    """`find_engines` in a thread of its own, so that a restarted device serves at once; questions wait for its end."""

    def __init__(self, find: Callable[[], EngineCensus] = find_engines) -> None:
        self._found: Future[EngineCensus] = Future()
        threading.Thread(target=self._search, args=(find,), name="census", daemon=True).start()

    def runs(self, needs: EngineNeeds) -> bool:
        """Whether an engine for `needs` is here, its allowed fallback included."""
        return self._found.result().runs(needs)

    def found(self) -> tuple[str, ...]:
        """Engine/accelerator pairs, as `onnxruntime/cpu`."""
        return self._found.result().found()

    def found_so_far(self) -> tuple[str, ...]:
        """The same without waiting: nothing while the search goes on."""
        return self._found.result().found() if self._found.done() else ()

    def _search(self, find: Callable[[], EngineCensus]) -> None:
        try:
            self._found.set_result(find())
        except OSError as error:  # no process can be started: without workers no engine runs either
            LOG.warning("engines cannot be tried: %s", error)
            self._found.set_result(ProbedEngines(()))


def _works(pair: Pair, environment: Mapping[str, str]) -> bool:
    name = "/".join(pair)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "edge_agent.worker", "--probe", name],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        LOG.warning("%s did not answer within %.0f s and is not used", name, PROBE_TIMEOUT_S)
        return False
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        LOG.info("%s is not here: %s", name, last or f"exit code {done.returncode}")
    return done.returncode == 0

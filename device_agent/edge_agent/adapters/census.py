"""Finds the engines of this device at start, each tried in a process of its own: a driver may crash or hang."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
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

"""Trouble on demand: what `--fault NAME=VALUE` switches on in an emulated agent, as one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from edge_sdk.errors import BadInput


@dataclass(frozen=True)
class Trouble:
    """What to write into the agent's `[faults]` table, and into its environment."""

    settings: Mapping[str, float] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """One row: how it is written, what happens, and what it switches on. `make` raises ValueError on a wrong value."""

    example: str
    meaning: str
    make: Callable[[str], Trouble]


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise ValueError(text)
    return value


def _count(text: str) -> str:
    return str(int(_positive(text)))


_BAD_NETWORK: Final = {"http_latency_ms": 300.0, "http_loss": 0.3, "link_down_s": 10.0, "link_every_s": 45.0}
_NETWORKS: Final[Mapping[str, Mapping[str, float]]] = {
    "bad": _BAD_NETWORK,
    "slow": {"http_latency_ms": 1000.0},
    "lossy": {"http_loss": 0.5},
}


def _network(text: str) -> Trouble:
    if text not in _NETWORKS:
        raise ValueError(text)
    return Trouble(settings=_NETWORKS[text])


FAULTS: Final[dict[str, Fault]] = {
    "crash-after": Fault(
        "crash-after=50",
        "the model's process aborts at this request, counted from its start",
        lambda text: Trouble(environment={"EDGE_AGENT_FAULT_CRASH_AFTER": _count(text)}),
    ),
    "hang-after": Fault(
        "hang-after=50",
        "the model's process stops answering at this request",
        lambda text: Trouble(environment={"EDGE_AGENT_FAULT_HANG_AFTER": _count(text)}),
    ),
    "slow": Fault(
        "slow=20",
        "milliseconds added to each inference",
        lambda text: Trouble(environment={"EDGE_AGENT_FAULT_SLOW_MS": str(_positive(text))}),
    ),
    "from-version": Fault(
        "from-version=2",
        "the faults of the model's process begin with this release",
        lambda text: Trouble(environment={"EDGE_AGENT_FAULT_FROM_VERSION": _count(text)}),
    ),
    "power-cut": Fault(
        "power-cut=30",
        "the agent is killed after so many seconds and started again, over and over",
        lambda text: Trouble(settings={"crash_after_s": _positive(text)}),
    ),
    "network": Fault("network=bad", f"the link is {', '.join(_NETWORKS)}", _network),
}


def trouble_from(texts: Iterable[str]) -> Trouble:
    """What all of the `NAME=VALUE` texts switch on together.

    Raises:
        BadInput: an unknown name or a wrong value.
    """
    settings: dict[str, float] = {}
    environment: dict[str, str] = {}
    for text in texts:
        trouble = _one(text)
        settings |= trouble.settings
        environment |= trouble.environment
    return Trouble(settings, environment)


def _one(text: str) -> Trouble:
    name, _, value = text.partition("=")
    fault = FAULTS.get(name)
    if fault is None:
        raise BadInput(f"there is no fault {name!r}", f"Known are: {', '.join(f.example for f in FAULTS.values())}.")
    try:
        return fault.make(value)
    except ValueError:
        raise BadInput(f"--fault {text} is not usable", f"Write it as in {fault.example}: {fault.meaning}.") from None

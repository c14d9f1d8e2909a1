"""Lives of an agent's updater, each in a process of its own, which kills itself (SIGKILL) beside its durable writes.

Usage: python -m tests.edge_agent.updating.child STATE_DIR KILLS

KILLS is a file of the points at which lives died; at each point one does. The first life that is not killed is the
last; it ends when nothing is left to do. Every life has found a model that answers right after its start, if the
device had committed one.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge_agent.adapters.identity import load_identity
from edge_agent.core.slots import Slots
from edge_agent.core.storage import Journal, SlotStore
from edge_agent.core.updating import Ended, Standing, Transition
from edge_agent.ports import AgentError
from edge_contracts.ids import DeploymentId, Digest
from edge_contracts.lifecycle import State
from edge_contracts.reasons import Reason
from tests.edge_agent.updating.device import QUICK, Device, open_device


@dataclass
class Killer:
    """Dies at each point once."""

    file: Path

    def at(self, point: str) -> None:
        done = self.file.read_text().splitlines() if self.file.exists() else []
        if point in done:
            return
        with self.file.open("a") as file:
            file.write(point + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class DeadlyJournal:
    """The journal, and death before and after each transition."""

    journal: Journal
    killer: Killer

    def record(self, standing: Standing, rows: Sequence[Transition], ended: Ended | None = None) -> None:
        point = " ".join(f"{row.before}->{row.after}" for row in rows)
        self.killer.at(f"before {point}")
        self.journal.record(standing, rows, ended)
        self.killer.at(f"after {point}")

    def standing(self) -> Standing:
        return self.journal.standing()

    def note(self, standing: Standing) -> None:
        self.journal.note(standing)

    def ended(self, deployment: DeploymentId) -> Ended | None:
        return self.journal.ended(deployment)

    def first_refusal(self, envelope: Digest, reason: Reason, at: object) -> bool:
        return self.journal.first_refusal(envelope, reason, at)  # type: ignore[arg-type]

    def history(self, limit: int) -> tuple[Transition, ...]:
        return self.journal.history(limit)


@dataclass
class DeadlySlots:
    """The slots, and death after each write of a pointer."""

    slots: SlotStore
    killer: Killer

    def read(self) -> Slots:
        return self.slots.read()

    def write(self, slots: Slots) -> None:
        old = self.slots.read()
        self.slots.write(slots)
        changed = [name for name in ("active", "candidate", "good") if getattr(old, name) != getattr(slots, name)]
        if changed:
            self.killer.at(f"after writing {' and '.join(changed)}")


def live(state_dir: Path, kills: Path) -> None:
    identity = load_identity(state_dir)
    assert identity is not None, "the test has enrolled the device"
    # The same life is ended more often than a real one would be; the guard against that has its own test.
    settings = replace(QUICK, max_tries=20)
    killer = Killer(kills)
    with open_device(
        identity,
        state_dir,
        settings=settings,
        watch_journal=lambda journal: DeadlyJournal(journal, killer),
        watch_slots=lambda slots: DeadlySlots(slots, killer),
    ) as device:
        held = device.slots.good is not None
        device.updater.recover()
        assert device.answers() or not held, "a device with a committed release answers right after its start"
        device.updater.wake()
        while device.updater.step() <= 0 or device.updater.state is State.PROBATION:
            if device.updater.state is State.PROBATION:
                _ask_blank(device)


def _ask_blank(device: Device) -> None:
    """A request as live traffic has it, and as the golden inputs have not."""
    active = device.serving.active()
    if active is None:
        return
    name = active.variant.inputs[0].name
    with suppress(AgentError):
        device.serving.infer(active.manifest.model, None, {name: np.zeros((1, 8, 8, 1), np.float32)})


def main(state_dir: Path, kills: Path) -> int:
    """Fork a life, wait for its end, and again; the exit code of the last. Forking spares the imports."""
    while True:
        child = os.fork()
        if child == 0:
            live(state_dir, kills)
            return 0
        _, status = os.waitpid(child, 0)
        if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
            return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

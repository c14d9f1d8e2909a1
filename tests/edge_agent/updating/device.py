"""A device of the door: really enrolled, with its state on disk, its model in a worker, its reports kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_agent.adapters.device_http import device_client
from edge_agent.adapters.downloads import HttpDownloads
from edge_agent.adapters.enrolment import enrol
from edge_agent.adapters.identity import Identity
from edge_agent.adapters.journal import JOURNAL_FILE, SqliteJournal
from edge_agent.adapters.releases import FOLDER as RELEASES
from edge_agent.adapters.releases import ReleaseFolder
from edge_agent.adapters.repository import FOLDER as METADATA
from edge_agent.adapters.repository import TufRepository
from edge_agent.adapters.serving import ProcessServing
from edge_agent.adapters.slots import SlotFiles
from edge_agent.adapters.updates import HOLD_FILE, hold_file
from edge_agent.core.checking import Owner
from edge_agent.core.slots import Slots
from edge_agent.core.storage import Journal, SlotStore
from edge_agent.core.updater import Ports, Updater
from edge_agent.core.updating import UpdateSettings
from edge_contracts.ids import DeploymentId, ModelName, ProfileName
from edge_contracts.lifecycle import ENDED, Outcome, State
from edge_contracts.manifest import Engine, EngineNeeds
from edge_contracts.reasons import Reason
from tests.edge_agent.updating.door import Door
from tests.support.releases import samples

PROFILE = ProfileName("gateway")
QUICK = UpdateSettings(
    poll_seconds=60.0,
    look_seconds=0.05,
    hold_seconds=0.05,
    reserve_bytes=64 * 1024,
    backoff_seconds=0.01,
    backoff_cap_seconds=0.05,
)


@dataclass
class Kept:
    """Reports as lines of a file, so that they outlast the process."""

    path: Path

    def deployment(
        self,
        deployment: DeploymentId,
        model: ModelName,
        version: int,
        state: State,
        *,
        outcome: Outcome | None = None,
        reason: Reason | None = None,
        detail: str = "",
        progress: float | None = None,
    ) -> None:
        line = {"deployment": deployment, "version": version, "state": state, "outcome": outcome, "reason": reason}
        with self.path.open("a") as file:
            file.write(json.dumps(line | {"detail": detail, "progress": progress}) + "\n")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def ends(self) -> list[tuple[str, str, str | None]]:
        """Deployment, outcome and reason of the reports that end one, in order, repeats left out."""
        ends = [(line["deployment"], line["outcome"], line["reason"]) for line in self.lines() if line["outcome"]]
        return list(dict.fromkeys(ends))


@dataclass
class Census:
    """Engines of this device."""

    engines: frozenset[Engine] = frozenset({Engine.ONNXRUNTIME, Engine.LITERT})

    def runs(self, needs: EngineNeeds) -> bool:
        return needs.engine in self.engines

    def found(self) -> tuple[str, ...]:
        return tuple(f"{engine.value}/cpu" for engine in self.engines)


def system_clock() -> datetime:
    return datetime.now(UTC)


@dataclass
class Device:
    """The parts of one running agent process."""

    identity: Identity
    state_dir: Path
    updater: Updater
    serving: ProcessServing
    reports: Kept
    journal: Journal
    slot_files: SlotStore
    releases: ReleaseFolder = field(repr=False)

    @property
    def slots(self) -> Slots:
        """As they are on disk."""
        return self.slot_files.read()

    @property
    def running(self) -> int | None:
        """The version that answers."""
        active = self.serving.active()
        return active.manifest.version if active else None

    def answers(self) -> bool:
        """Whether the model that is active answers the labelled images well."""
        active = self.serving.active()
        if active is None:
            return False
        x, y = samples()
        right = [self._top(image) == int(label) for image, label in zip(x[:20], y[:20], strict=True)]
        return right.count(True) >= 16

    def _top(self, image: npt.NDArray[np.float32]) -> int:
        active = self.serving.active()
        assert active is not None, "asked only while a model is active"
        name = active.variant.inputs[0].name
        answer = self.serving.infer(active.manifest.model, None, {name: image[None]})
        return int(np.argmax(next(iter(answer.outputs.values()))))

    def settle(self, seconds: float = 30.0) -> None:
        """Step until no deployment is under way and a look found nothing new."""
        deadline = time.monotonic() + seconds
        self.updater.wake()
        while time.monotonic() < deadline:
            wait = self.updater.step()
            if self.updater.state in ENDED and wait > 0:
                return
            time.sleep(min(wait, 0.05))
        raise AssertionError(f"still {self.updater.state} after {seconds} s: {self.reports.lines()[-3:]}")

    def until(self, state: State, seconds: float = 30.0) -> None:
        """Step until the deployment has come to `state`."""
        deadline = time.monotonic() + seconds
        while self.updater.state is not state:
            assert time.monotonic() < deadline, f"still {self.updater.state}: {self.reports.lines()[-3:]}"
            time.sleep(min(self.updater.step(), 0.05))


@contextmanager
def open_device(
    identity: Identity,
    state_dir: Path,
    *,
    settings: UpdateSettings = QUICK,
    clock: Callable[[], datetime] = system_clock,
    watch_journal: Callable[[Journal], Journal] = lambda journal: journal,
    watch_slots: Callable[[SlotStore], SlotStore] = lambda slots: slots,
    engines: Census | None = None,
) -> Iterator[Device]:
    """One life of the agent's process, on the state that earlier ones left."""
    releases = ReleaseFolder(state_dir / RELEASES)
    journal = SqliteJournal(state_dir / JOURNAL_FILE)
    slot_files = SlotFiles(state_dir, Slots(time_floor=identity.record.enrolled))
    reports = Kept(state_dir / "reports.jsonl")
    serving = ProcessServing()
    try:
        with device_client(identity) as client:
            ports = Ports(
                repository=TufRepository(client, state_dir / METADATA, identity.root),
                downloads=HttpDownloads(client, releases),
                releases=releases,
                slots=watch_slots(slot_files),
                journal=watch_journal(journal),
                serving=serving,
                reports=reports,
                census=engines or Census(),
                held=hold_file(state_dir / HOLD_FILE),
            )
            owner = Owner(identity.tenant, identity.device, identity.profile, identity.hpke)
            updater = Updater(owner, ports, settings, clock)
            yield Device(identity, state_dir, updater, serving, reports, journal, SlotFiles(state_dir), releases)
    finally:
        serving.close()
        journal.close()


def enrolled(door: Door, state_dir: Path) -> Identity:
    """The device's identity, asked of the door."""
    return enrol(door.ticket(state_dir), state_dir, profile=PROFILE)

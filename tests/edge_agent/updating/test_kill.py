"""The agent is killed (SIGKILL) before and after every durable step; it always ends with the right model, answering."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.adapters.identity import Identity
from edge_contracts.lifecycle import State
from tests.edge_agent.updating.device import open_device
from tests.edge_agent.updating.door import Door

ROOT = Path(__file__).parents[3]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def live_and_die(state_dir: Path) -> list[str]:
    """Lives of the agent until one is not killed; the points at which the others died."""
    kills = state_dir / "kills"
    kills.unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.edge_agent.updating.child", str(state_dir), str(kills)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return kills.read_text().splitlines()


def points(*states: State) -> set[str]:
    """Before and after each transition of this path, as the child names them."""
    pairs = itertools.pairwise(states)
    first = f"{State.IDLE}->{State.CHECKING} {State.CHECKING}->{states[0]}"
    return {f"{when} {step}" for when in ("before", "after") for step in (first, *(f"{a}->{b}" for a, b in pairs))}


INSTALLED = (State.OFFERED, State.DOWNLOADING, State.VERIFYING, State.STAGED)
SWITCHED = (*INSTALLED, State.ACTIVATING, State.PROBATION)


def test_an_update_survives_a_kill_at_every_transition(door: Door, identity: Identity, state_dir: Path) -> None:
    with open_device(identity, state_dir) as device:
        door.assign(door.publish(1), "d-1")
        device.settle()
    door.assign(door.publish(2, "cpu-litert"), "d-2")
    died = live_and_die(state_dir)
    assert points(*SWITCHED, State.COMMITTING, State.IDLE) < set(died)
    with open_device(identity, state_dir) as device:
        device.settle()
        assert device.answers()
        assert device.running == 2
        assert device.reports.ends() == [("d-1", "succeeded", None), ("d-2", "succeeded", None)]
        assert device.slots.floors == {"digits": 2}


def test_a_rollback_survives_a_kill_at_every_transition(door: Door, identity: Identity, state_dir: Path) -> None:
    with open_device(identity, state_dir) as device:
        door.assign(door.publish(1), "d-1")
        device.settle()
    bad = door.publish(2, "blank-nan")
    door.assign(bad, "d-2", probation_seconds=30.0)
    died = live_and_die(state_dir)
    assert points(*SWITCHED, State.ROLLING_BACK, State.ROLLED_BACK, State.IDLE) < set(died)
    with open_device(identity, state_dir) as device:
        device.settle()
        assert device.answers()
        assert device.running == 1
        assert device.reports.ends()[1:] == [("d-2", "rolled-back", "probation-outputs")]
        assert bad.variant.model.digest in device.slots.quarantine
        assert device.slots.floors == {"digits": 1}


def test_a_failed_first_release_leaves_a_device_as_it_was(door: Door, identity: Identity, state_dir: Path) -> None:
    door.assign(door.publish(1, "broken-ort", answers_of="cpu-ort"), "d-1")
    died = live_and_die(state_dir)
    assert points(*INSTALLED, State.FAILED, State.IDLE) < set(died)
    with open_device(identity, state_dir) as device:
        device.settle()
        assert device.updater.state is State.IDLE
        assert device.running is None
        assert device.reports.ends() == [("d-1", "failed", "selftest-outputs")]

"""A device follows its assignments: it installs, commits, goes back, and waits when it is told to."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from edge_agent.adapters.identity import Identity
from edge_agent.adapters.updates import HOLD_FILE
from edge_contracts.api import ARTIFACTS_PATH
from edge_contracts.assignments import Kind
from edge_contracts.ids import DeploymentId, Digest
from edge_contracts.lifecycle import State
from tests.edge_agent.updating.device import QUICK, Device, open_device
from tests.edge_agent.updating.door import Door


def test_a_device_without_a_model_is_idle(device: Device) -> None:
    device.settle()
    assert device.updater.state is State.IDLE
    assert device.running is None
    assert device.reports.lines() == []


def test_a_release_is_installed_and_committed(door: Door, device: Device) -> None:
    door.assign(door.publish(1), "d-1")
    device.settle()
    assert device.running == 1
    assert device.answers()
    assert device.reports.ends() == [("d-1", "succeeded", None)]
    assert device.slots.good == device.slots.active
    assert device.slots.floors == {"digits": 1}
    states = [line["state"] for line in device.reports.lines()]
    assert list(dict.fromkeys(states)) == [
        "offered",
        "downloading",
        "verifying",
        "staged",
        "activating",
        "probation",
        "committing",
    ]


def test_only_ciphertext_is_on_the_disk(door: Door, device: Device, state_dir: Path) -> None:
    door.assign(door.publish(1), "d-1")
    device.settle()
    active = device.serving.active()
    assert active is not None
    secret = active.payload.model[2000:2100]
    assert all(secret not in path.read_bytes() for path in state_dir.rglob("*") if path.is_file())


def test_a_followed_assignment_is_not_followed_again(door: Door, device: Device) -> None:
    door.assign(door.publish(1), "d-1")
    device.settle()
    reports = len(device.reports.lines())
    device.settle()
    assert len(device.reports.lines()) == reports


def test_a_server_that_missed_the_success_hears_it_again(door: Door, device: Device) -> None:
    release = door.publish(1)
    door.assign(release, "d-1")
    device.settle()
    reports = len(device.reports.lines())
    door.assign(release, "d-1")
    device.settle()
    device.settle()
    again = device.reports.lines()[reports:]
    assert [(line["deployment"], line["outcome"]) for line in again] == [("d-1", "succeeded")]


def test_a_restarted_agent_serves_without_the_server(door: Door, identity: Identity, state_dir: Path) -> None:
    with open_device(identity, state_dir) as device:
        door.assign(door.publish(1), "d-1")
        device.settle()
    door.close()
    with open_device(identity, state_dir) as device:
        device.updater.recover()
        assert device.answers()
        device.settle()
        assert device.updater.state is State.IDLE


def test_a_release_that_fails_on_live_traffic_is_rolled_back(door: Door, device: Device) -> None:
    door.assign(door.publish(1), "d-1")
    device.settle()
    bad = door.publish(2, "blank-nan")
    door.assign(bad, "d-2", probation_seconds=30.0)
    device.updater.wake()
    device.until(State.PROBATION)
    active = device.serving.active()
    assert active is not None
    device.serving.infer(
        active.manifest.model, None, {active.variant.inputs[0].name: np.zeros((1, 8, 8, 1), np.float32)}
    )
    device.settle()
    assert device.running == 1
    assert device.answers()
    assert device.reports.ends()[1:] == [("d-2", "rolled-back", "probation-outputs")]
    barred = {Digest.of(bad.artifact), bad.variant.payload.digest, bad.variant.model.digest}
    assert set(device.slots.quarantine) == barred


def test_a_release_with_wrong_answers_never_serves(door: Door, device: Device) -> None:
    door.assign(door.publish(1), "d-1")
    device.settle()
    door.assign(door.publish(2, "broken-ort", answers_of="cpu-ort"), "d-2")
    device.settle()
    assert device.running == 1
    assert device.reports.ends()[1:] == [("d-2", "failed", "selftest-outputs")]
    assert "golden error" in device.reports.lines()[-1]["detail"]


def test_a_release_that_does_not_load_never_serves(door: Door, device: Device) -> None:
    door.assign(door.publish(1, model=b"not a model at all"), "d-1")
    device.settle()
    assert device.running is None
    assert device.reports.ends() == [("d-1", "failed", "model-unloadable")]


def test_a_revert_goes_back_without_a_download(door: Door, device: Device) -> None:
    old = door.publish(1)
    door.assign(old, "d-1")
    device.settle()
    door.assign(door.publish(2, "cpu-litert"), "d-2")
    device.settle()
    door.requests.clear()
    door.assign(old, "d-3", kind=Kind.REVERT)
    device.settle()
    assert device.running == 1
    assert device.answers()
    assert device.reports.ends()[2:] == [("d-3", "succeeded", None)]
    assert not [path for path, _ in door.requests if path.startswith(ARTIFACTS_PATH)]
    assert device.slots.floors == {"digits": 2}


def test_a_revert_during_probation_undoes_it_and_then_succeeds(door: Door, device: Device) -> None:
    old = door.publish(1)
    door.assign(old, "d-1")
    device.settle()
    door.assign(door.publish(2, "cpu-litert"), "d-2", probation_seconds=600.0)
    device.updater.wake()
    device.until(State.PROBATION)
    door.assign(old, "d-3", kind=Kind.REVERT)
    device.settle()
    assert device.running == 1
    assert device.reports.ends()[1:] == [("d-2", "rolled-back", "superseded"), ("d-3", "succeeded", None)]


def test_an_abort_during_probation_rolls_back(door: Door, device: Device) -> None:
    door.assign(door.publish(1), "d-1")
    device.settle()
    door.assign(door.publish(2, "cpu-litert"), "d-2", probation_seconds=600.0)
    device.updater.wake()
    device.until(State.PROBATION)
    assert device.running == 2
    device.updater.abort(DeploymentId("d-2"))
    device.settle()
    assert device.running == 1
    assert device.reports.ends()[1:] == [("d-2", "rolled-back", "aborted-by-server")]


def test_an_abort_before_the_switch_leaves_the_active_release_alone(door: Door, device: Device) -> None:
    door.assign(door.publish(1), "d-1")
    device.updater.wake()
    device.until(State.DOWNLOADING)
    device.updater.abort(DeploymentId("d-1"))
    device.settle()
    assert device.reports.ends() == [("d-1", "aborted", "aborted-by-server")]
    assert device.slots.held == frozenset()


def test_an_abort_after_the_commit_changes_nothing(door: Door, device: Device) -> None:
    door.assign(door.publish(1), "d-1")
    device.settle()
    device.updater.abort(DeploymentId("d-1"))
    device.settle()
    assert device.running == 1
    assert device.reports.ends() == [("d-1", "succeeded", None)]


def test_an_abort_while_committing_is_refused_and_said_so(door: Door, device: Device) -> None:
    door.assign(door.publish(1), "d-1")
    device.updater.wake()
    device.until(State.COMMITTING)
    device.updater.abort(DeploymentId("d-1"))
    device.settle()
    assert device.running == 1
    assert any("not aborted" in line["detail"] for line in device.reports.lines())


def test_the_application_holds_a_release_back(door: Door, device: Device, state_dir: Path) -> None:
    (state_dir / HOLD_FILE).write_text("the patient is on the table\n")
    door.assign(door.publish(1), "d-1")
    device.updater.wake()
    device.until(State.OFFERED)
    for _ in range(3):
        assert device.updater.step() > 0
    assert device.updater.state is State.OFFERED
    held = [line["detail"] for line in device.reports.lines() if "held" in line["detail"]]
    assert held == ["held by the application: the patient is on the table"]
    (state_dir / HOLD_FILE).unlink()
    device.settle()
    assert device.running == 1


def test_a_newer_assignment_supersedes_a_held_one(door: Door, device: Device, state_dir: Path) -> None:
    (state_dir / HOLD_FILE).touch()
    door.assign(door.publish(1), "d-1")
    device.updater.wake()
    device.until(State.OFFERED)
    door.assign(door.publish(2), "d-2")
    (state_dir / HOLD_FILE).unlink()
    device.settle()
    assert device.running == 2
    assert device.reports.ends() == [("d-1", "aborted", "superseded"), ("d-2", "succeeded", None)]


def test_a_renewed_assignment_keeps_a_held_offer_alive(door: Door, identity: Identity, state_dir: Path) -> None:
    (state_dir / HOLD_FILE).touch()
    later = timedelta()
    with open_device(identity, state_dir, clock=lambda: datetime.now(UTC) + later) as device:
        release = door.publish(1)
        door.assign(release, "d-1", expires=datetime.now(UTC) + timedelta(minutes=1))
        device.updater.wake()
        device.until(State.OFFERED)
        door.counter -= 1
        door.assign(release, "d-1")
        device.updater.wake()
        device.updater.step()
        later = timedelta(minutes=30)
        (state_dir / HOLD_FILE).unlink()
        device.settle()
        assert device.reports.ends() == [("d-1", "succeeded", None)]


def test_an_offer_held_until_it_expires_fails(door: Door, identity: Identity, state_dir: Path) -> None:
    (state_dir / HOLD_FILE).touch()
    later = timedelta()
    with open_device(identity, state_dir, clock=lambda: datetime.now(UTC) + later) as device:
        door.assign(door.publish(1), "d-1")
        device.updater.wake()
        device.until(State.OFFERED)
        later = timedelta(hours=2)
        (state_dir / HOLD_FILE).unlink()
        device.settle()
        assert device.reports.ends() == [("d-1", "failed", "assignment-expired")]


def test_a_candidate_that_takes_the_agent_down_is_given_up(door: Door, identity: Identity, state_dir: Path) -> None:
    with open_device(identity, state_dir) as device:
        door.assign(door.publish(1), "d-1")
        device.settle()
        door.assign(door.publish(2, "cpu-litert"), "d-2", probation_seconds=600.0)
        device.updater.wake()
        device.until(State.PROBATION)
    for _ in range(2):
        with open_device(identity, state_dir, settings=replace(QUICK, max_tries=2)) as device:
            device.updater.recover()
            assert device.running == 2
    with open_device(identity, state_dir, settings=replace(QUICK, max_tries=2)) as device:
        device.updater.recover()
        assert device.running == 1
        assert device.answers()
        device.settle()
        assert device.reports.ends()[1:] == [("d-2", "rolled-back", "probation-crashes")]


def test_a_probation_goes_on_where_a_power_cut_ended_it(door: Door, identity: Identity, state_dir: Path) -> None:
    door.assign(door.publish(1), "d-1", probation_seconds=3.0)
    with open_device(identity, state_dir) as device:
        device.updater.wake()
        device.until(State.PROBATION)
    for _ in range(QUICK.max_tries):
        with open_device(identity, state_dir) as device:
            device.updater.recover()
            end = time.monotonic() + 2.0
            while time.monotonic() < end and device.updater.state is State.PROBATION:
                time.sleep(min(device.updater.step(), 0.05))
            if device.updater.state is not State.PROBATION:
                device.settle()
                break
    assert device.reports.ends() == [("d-1", "succeeded", None)]


def test_a_good_release_that_takes_the_agent_down_is_passed_over(
    door: Door, identity: Identity, state_dir: Path
) -> None:
    with open_device(identity, state_dir) as device:
        door.assign(door.publish(1), "d-1")
        device.settle()
        door.assign(door.publish(2, "cpu-litert"), "d-2")
        device.settle()
        # What three starts that never came to a healthy model leave behind.
        device.slot_files.write(device.slots.model_copy(update={"starts": QUICK.max_starts}))
    with open_device(identity, state_dir) as device:
        device.updater.recover()
        assert device.running == 1
        assert device.answers()
        assert device.slots.starts == 0


def test_the_loop_ends_when_told_and_looks_when_woken(door: Door, device: Device) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=device.updater.run, args=(stop,))
    thread.start()
    try:
        door.assign(door.publish(1), "d-1")
        device.updater.wake()
        deadline = time.monotonic() + 20
        while not device.reports.ends():
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        stop.set()
        device.updater.wake()
        thread.join(timeout=10)
    assert not thread.is_alive()
    assert device.running == 1


@pytest.mark.parametrize("count", [1, 7])
def test_the_journal_tells_the_story(door: Door, device: Device, count: int) -> None:
    door.assign(door.publish(1), "d-1")
    device.settle()
    rows = device.journal.history(count)
    assert len(rows) == count
    assert (rows[-1].before, rows[-1].after) == (State.COMMITTING, State.IDLE)
    assert all(row.deployment == "d-1" for row in rows)

"""Downloads over bad networks: resumed, bounded, and never longer than signed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.adapters import device_http
from edge_agent.adapters.identity import Identity
from edge_contracts.api import ARTIFACTS_PATH
from edge_contracts.lifecycle import State
from tests.edge_agent.updating.device import QUICK, Device, open_device
from tests.edge_agent.updating.door import Door


def ranges(door: Door) -> list[str]:
    return [asked for path, asked in door.requests if path.startswith(ARTIFACTS_PATH)]


def test_a_broken_download_goes_on_where_it_ended(door: Door, device: Device) -> None:
    door.faults.cut_after, door.faults.cuts = 3000, 3
    door.assign(door.publish(1), "d-1")
    device.settle()
    assert device.running == 1
    assert ranges(door) == ["", "bytes=3000-", "bytes=6000-", "bytes=9000-"]


def test_a_server_that_ignores_ranges_still_serves_in_the_end(door: Door, device: Device) -> None:
    door.faults.ignore_ranges = True
    door.faults.cut_after, door.faults.cuts = 3000, 2
    door.assign(door.publish(1), "d-1")
    device.settle()
    assert device.running == 1


def test_a_download_outlasts_the_process(door: Door, identity: Identity, state_dir: Path) -> None:
    door.faults.cut_after, door.faults.cuts = 3000, 1
    door.assign(door.publish(1), "d-1")
    with open_device(identity, state_dir) as device:
        device.updater.wake()
        device.until(State.DOWNLOADING)
        device.updater.step()
    with open_device(identity, state_dir) as device:
        device.settle()
        assert device.running == 1
    assert ranges(door) == ["", "bytes=3000-"]


def test_a_partial_file_from_elsewhere_does_no_harm(door: Door, device: Device) -> None:
    release = door.publish(1)
    door.assign(release, "d-1")
    device.updater.wake()
    device.until(State.DOWNLOADING)
    folder = next((device.state_dir / "releases").iterdir())
    (folder / "artifact.part").write_bytes(b"x" * (len(release.artifact) + 1))
    device.settle()
    assert device.running == 1


def test_attempts_in_vain_are_counted_across_processes(door: Door, identity: Identity, state_dir: Path) -> None:
    door.faults.status = 404
    door.assign(door.publish(1), "d-1")
    for _ in range(QUICK.max_fruitless):
        with open_device(identity, state_dir) as device:
            device.updater.wake()
            device.until(State.DOWNLOADING)
            device.updater.step()
    with open_device(identity, state_dir) as device:
        device.updater.recover()
        assert device.reports.ends() == [("d-1", "failed", "transport")]


def test_a_download_that_costs_too_many_bytes_is_given_up(door: Door, identity: Identity, state_dir: Path) -> None:
    door.faults.ignore_ranges = True
    door.faults.cut_after, door.faults.cuts = 3000, 10_000
    door.assign(door.publish(1), "d-1")
    with open_device(identity, state_dir, settings=replace(QUICK, max_attempts=8)) as device:
        device.settle()
        assert device.reports.ends() == [("d-1", "failed", "download-budget")]


def test_a_server_that_trickles_is_given_up(
    door: Door, identity: Identity, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_http, "SLOW_AFTER_SECONDS", 0.1)
    door.faults.trickle = True
    door.assign(door.publish(1), "d-1")
    with open_device(identity, state_dir, settings=replace(QUICK, max_attempts=3)) as device:
        device.settle()
        assert device.reports.ends() == [("d-1", "failed", "download-budget")]
        assert "bytes in" in device.journal.history(2)[0].detail


def test_a_failure_that_may_pass_is_tried_again_later(door: Door, identity: Identity, state_dir: Path) -> None:
    door.faults.status = 503
    door.assign(door.publish(1), "d-1")
    with open_device(identity, state_dir) as device:
        device.settle()
        assert device.reports.ends() == [("d-1", "failed", "transport")]
        door.faults.status = None
        deadline = 100
        while device.running is None and deadline:
            device.settle()
            deadline -= 1
        assert device.reports.ends() == [("d-1", "failed", "transport"), ("d-1", "succeeded", None)]

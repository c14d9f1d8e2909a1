"""A device follows its assignments: it installs, commits, reverts, and refuses, each for the right reason."""

from __future__ import annotations

from tests.edge_agent.updating.device import Device
from tests.edge_agent.updating.door import Door

from edge_contracts.lifecycle import State


def test_a_device_without_a_model_is_idle(device: Device) -> None:
    device.settle()
    assert device.updater.state is State.IDLE
    assert device.running is None
    assert device.reports.lines() == []


def test_a_release_is_installed_and_committed(door: Door, device: Device) -> None:
    release = door.publish(1)
    door.assign(release, "d-1")
    device.settle()
    assert device.running == 1
    assert device.answers()
    assert device.reports.ends() == [("d-1", "succeeded", None)]
    assert device.slots.good == device.slots.active
    assert device.slots.floors == {"digits": 1}

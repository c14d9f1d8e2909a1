"""What a hostile or unlucky release and a hostile server can make of the agent itself: never a device out of reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.adapters.identity import Identity
from edge_contracts.api import ASSIGNMENT_PATH
from edge_contracts.ids import Digest
from edge_contracts.lifecycle import State
from tests.edge_agent.updating.device import QUICK, Device, open_device
from tests.edge_agent.updating.door import Door


@pytest.mark.parametrize("state", [State.VERIFYING, State.STAGED])
def test_a_release_that_takes_the_device_down_while_it_is_tried_is_given_up(
    door: Door, identity: Identity, state_dir: Path, state: State
) -> None:
    with open_device(identity, state_dir) as device:
        door.assign(door.publish(1), "d-1")
        device.settle()
    bad = door.publish(2, "cpu-litert")
    door.assign(bad, "d-2")
    with open_device(identity, state_dir) as device:
        device.updater.recover()
        device.updater.wake()
        device.until(state)
    for _ in range(QUICK.max_tries):
        with open_device(identity, state_dir) as device:
            device.updater.recover()
            assert device.updater.state is state, "it goes down here, each time"
            assert device.running == 1
    with open_device(identity, state_dir) as device:
        device.settle()
        assert device.reports.ends()[-1] == ("d-2", "failed", "model-unloadable")
        assert Digest.of(bad.artifact) in device.slots.quarantine
        assert device.running == 1
        assert device.answers()


def test_a_refusal_is_no_reason_to_ask_again_at_once(door: Door, device: Device) -> None:
    door.assign(door.publish(1), "d-1", variant="no-such-variant")
    device.settle()
    assert device.reports.ends() == [("d-1", "failed", "release-incompatible")]
    assert [path for path, _ in door.requests].count(ASSIGNMENT_PATH) == 1

"""Stories of devices in trouble: killed at any moment, cut off, without power; each ends on the release it should."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from edge_contracts.lifecycle import Outcome
from edge_contracts.operations import RolloutState
from edge_sdk.emulation.agent import EmulatedAgent
from edge_sdk.emulation.faults import trouble_from
from edge_sdk.emulation.fleet import EmulatedFleet
from edge_sdk.errors import SdkError
from edge_sdk.inference import InferenceClient
from tests.support.bundles import good_bundle
from tests.support.line import Line, eventually
from tests.support.releases import samples

pytestmark = pytest.mark.slow

KILLS = 3
SEED = 20_261_121
"""Moments differ from run to run all the same: the machine is never equally busy."""


def answering(agent: EmulatedAgent) -> int | None:
    """The release that answers a labelled sample rightly; None while none does."""
    x, y = samples()
    try:
        with InferenceClient(agent.address) as client:
            answer = client.infer("digits", x[:1])
    except SdkError:
        return None
    assert int(answer.scores[0].argmax()) == y[0]
    return answer.version


def test_an_agent_killed_at_random_moments_always_answers_again(line: Line, tmp_path: Path) -> None:
    moments = random.Random(SEED)
    gate = line.agent("gate", "x86-64-vnni")
    for version in range(1, KILLS + 1):
        rollout = line.roll_out(line.publish(good_bundle(tmp_path, version)), "gate", probation_seconds=0.5)
        held = eventually(lambda: answering(gate) or None, 30, "an answer") if version > 1 else 0
        time.sleep(moments.uniform(0.0, 2.5))
        gate.kill()
        line.agent("gate", "x86-64-vnni")

        if held:
            assert eventually(lambda: answering(gate), 20, "an answer after the kill") in {held, version}
        assert line.ended(rollout).state is RolloutState.SUCCEEDED
        assert line.outcomes(rollout) == {"gate": Outcome.SUCCEEDED}
        assert answering(gate) == version
    eventually(lambda: line.running_version("gate") == KILLS or None, 10, "the server knows")
    assert line.client.alerts() == []


def test_a_rollout_reaches_devices_with_bad_network_and_power_cuts(line: Line, tmp_path: Path) -> None:
    """The probation is longer than the power ever lasts: it is passed piece by piece."""
    version = line.publish(good_bundle(tmp_path, 50))
    far = line.agent("far", "x86-64-vnni", trouble_from(["network=bad"]))
    weak = line.agent("weak", "rpi4-litert", trouble_from(["power-cut=8"]))
    rollout = line.roll_out(version, "far", "weak", probation_seconds=9.0, wave_deadline_seconds=120.0)
    with EmulatedFleet([]) as fleet:
        fleet.agents = [far, weak]

        def ended() -> RolloutState | None:
            fleet.revive()
            state = line.client.rollout(rollout.id).state
            return None if state is RolloutState.RUNNING else state

        assert eventually(ended, 110, f"the end of {rollout.id}") is RolloutState.SUCCEEDED

    assert weak.starts > 1
    assert line.outcomes(rollout) == {"far": Outcome.SUCCEEDED, "weak": Outcome.SUCCEEDED}
    assert line.client.alerts() == []

"""Stories of the whole line: real server, broker, agents, engines; what an operator and an application would see."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_contracts.lifecycle import Outcome, State
from edge_contracts.operations import DeviceStatus, RolloutState
from edge_contracts.reasons import Reason
from edge_sdk.emulation.agent import EmulatedAgent
from edge_sdk.inference import InferenceClient
from tests.support.bundles import PROFILES, broken_bundle, good_bundle
from tests.support.line import Line, eventually
from tests.support.releases import samples

pytestmark = pytest.mark.slow

DEVICES = {"gate": "x86-64-vnni", "pi": "rpi4-litert", "meter": "cortex-m4-stm32l4r5"}


def right_answers(agent: EmulatedAgent, version: int) -> float:
    """The share of labelled samples that the device's API answers rightly, all of them by `version`."""
    x, y = samples()
    with InferenceClient(agent.address) as client:
        answers = [client.infer("digits", row[None]) for row in x]
    assert {answer.version for answer in answers} == {version}
    return float(
        sum(int(answer.scores[0].argmax()) == label for answer, label in zip(answers, y, strict=True)) / len(y)
    )


@pytest.fixture(scope="module")
def settled(line: Line, tmp_path_factory: pytest.TempPathFactory) -> Line:
    """The line with three devices on release 1."""
    agents = [line.agent(name, profile) for name, profile in DEVICES.items()]
    assert [agent.plan.profile.name for agent in agents] == list(PROFILES)
    line.publish(good_bundle(tmp_path_factory.mktemp("bundles"), 1))
    rollout = line.roll_out(1, *DEVICES, waves=(0.34, 1.0))
    assert line.ended(rollout).state is RolloutState.SUCCEEDED
    return line


def test_a_release_reaches_every_device_and_is_seen_in_telemetry(settled: Line) -> None:
    shares = {name: right_answers(settled.agents[name], 1) for name in DEVICES}

    def all_reported() -> set[str] | None:
        seen = {view.device for view in settled.client.windows(model="digits", version=1) if view.window.n}
        return seen if seen == set(DEVICES) else None

    assert min(shares.values()) > 0.9, shares
    eventually(all_reported, 20, "a window of each device")
    engines = {each.id: each.running.engine for each in settled.client.devices() if each.running}
    assert engines == {"gate": "onnxruntime", "pi": "litert", "meter": "tflite-micro"}


def test_a_bad_release_is_refused_by_devices_and_its_rollout_is_halted(settled: Line, tmp_path: Path) -> None:
    version = settled.publish(broken_bundle(tmp_path, 2))

    rollout = settled.roll_out(version, "gate", "pi", on_breach="pause")
    view = settled.ended(rollout)

    assert view.state is RolloutState.PAUSED
    assert "failed or rolled back" in view.reason

    def both_refused() -> bool | None:
        found = {(each.outcome, each.reason) for each in settled.deployments(rollout).values()}
        return True if found == {(Outcome.FAILED, Reason.SELFTEST_OUTPUTS)} else None

    eventually(both_refused, 20, "both devices refuse")
    settled.client.steer(rollout.id, "abort")
    assert right_answers(settled.agents["gate"], 1) > 0.9
    assert [alert.kind for alert in settled.client.alerts() if alert.version == version] == ["rollout-halted"]


def test_a_device_that_was_away_gets_the_release_when_it_returns(settled: Line, tmp_path: Path) -> None:
    version = settled.publish(good_bundle(tmp_path, 3))
    settled.agents["pi"].kill()
    eventually(
        lambda: True if settled.client.device("pi").status is not DeviceStatus.ONLINE else None, 30, "pi is missed"
    )

    rollout = settled.roll_out(version, *DEVICES, wave_deadline_seconds=4.0)
    view = settled.ended(rollout)

    assert view.state is RolloutState.SUCCEEDED
    assert settled.outcomes(rollout)["gate"] is Outcome.SUCCEEDED
    assert settled.outcomes(rollout).get("pi") is None
    pi = settled.agent("pi", "rpi4-litert")
    eventually(
        lambda: True if settled.outcomes(rollout).get("pi") is Outcome.SUCCEEDED else None, 30, "pi has caught up"
    )
    assert right_answers(pi, version) > 0.9


def test_a_server_killed_in_mid_rollout_goes_on_where_it_was(settled: Line, tmp_path: Path) -> None:
    version = settled.publish(good_bundle(tmp_path, 4))
    rollout = settled.roll_out(version, *DEVICES, probation_seconds=4.0)
    eventually(
        lambda: True if State.PROBATION in {d.state for d in settled.deployments(rollout).values()} else None,
        30,
        "a device on probation",
    )

    settled.server.kill()
    settled.start_server()

    assert settled.ended(rollout).state is RolloutState.SUCCEEDED
    deployments = settled.client.deployments(rollout.id)
    assert sorted((each.device, each.outcome) for each in deployments) == [
        (name, Outcome.SUCCEEDED) for name in sorted(DEVICES)
    ]


@pytest.mark.parametrize(("number", "state"), [(5, None), (6, State.PROBATION)])
def test_an_agent_killed_in_mid_update_ends_with_the_new_model(
    settled: Line, tmp_path: Path, number: int, state: State | None
) -> None:
    version = settled.publish(good_bundle(tmp_path, number))
    rollout = settled.roll_out(version, "gate", probation_seconds=3.0)

    def under_way() -> bool | None:
        now = settled.deployments(rollout).get("gate")
        return True if now is not None and now.state is not None and state in {None, now.state} else None

    eventually(under_way, 30, f"gate is {state or 'under way'}")
    settled.agents["gate"].kill()
    gate = settled.agent("gate", "x86-64-vnni")

    assert settled.ended(rollout).state is RolloutState.SUCCEEDED
    assert right_answers(gate, version) > 0.9
    eventually(lambda: True if settled.running_version("gate") == version else None, 20, "the server knows")

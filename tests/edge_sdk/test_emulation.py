"""Emulated devices on paper: faults as a table, and settings that the real agent takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.adapters.worker_orders import faults_from
from edge_agent.config import read_config
from edge_profiles.boards import load, shipped
from edge_sdk.emulation.agent import Plan
from edge_sdk.emulation.faults import FAULTS, trouble_from
from edge_sdk.errors import BadInput


def plan(tmp_path: Path, profile: str, *faults: str) -> Plan:
    python = Path("/usr/bin/python3")
    trouble = trouble_from(faults)
    return Plan("gate-1", load(profile), tmp_path, python, tmp_path / "t.json", {"site": "berlin"}, trouble=trouble)


@pytest.mark.parametrize("profile", [profile.name for profile in shipped()])
def test_the_agent_takes_the_settings_of_every_profile(tmp_path: Path, profile: str) -> None:
    path = tmp_path / "edge-agent.toml"
    path.write_text(plan(tmp_path, profile).settings())

    config = read_config(path)

    assert (config.name, config.profile) == ("gate-1", profile)
    assert config.labels == {"emulated": "yes", "site": "berlin"}
    assert config.inference.port == 0


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_switches_something_on_in_the_agent(tmp_path: Path, name: str) -> None:
    path = tmp_path / "edge-agent.toml"
    made = plan(tmp_path, "rpi4-litert", FAULTS[name].example)
    path.write_text(made.settings())

    assert read_config(path).faults.active or faults_from(made.trouble.environment) != faults_from({})


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("value", ["", "x", "-1", "0"])
def test_a_wrong_value_is_refused_with_an_example(name: str, value: str) -> None:
    with pytest.raises(BadInput) as caught:
        trouble_from([f"{name}={value}"])

    assert FAULTS[name].example in caught.value.hint


def test_an_unknown_fault_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match="no fault 'meteor'") as caught:
        trouble_from(["meteor=1"])

    assert all(fault.example in caught.value.hint for fault in FAULTS.values())


def test_a_model_gets_the_memory_of_its_board_and_a_microcontroller_its_arena(tmp_path: Path) -> None:
    assert plan(tmp_path, "rpi4-litert").memory_mib() == 512
    assert plan(tmp_path, "cortex-m4-stm32l4r5").memory_mib() is None

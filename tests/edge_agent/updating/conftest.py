"""Fixtures of the updating tests: an open door, an enrolled device, a running agent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.adapters.identity import Identity
from tests.edge_agent.updating.device import Device, enrolled, open_device
from tests.edge_agent.updating.door import Door, open_door


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    folder = tmp_path / "door"
    folder.mkdir()
    with open_door(folder) as opened:
        yield opened


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


@pytest.fixture
def identity(door: Door, state_dir: Path) -> Identity:
    return enrolled(door, state_dir)


@pytest.fixture
def device(identity: Identity, state_dir: Path) -> Iterator[Device]:
    with open_device(identity, state_dir) as opened:
        yield opened

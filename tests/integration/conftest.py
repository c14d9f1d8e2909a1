"""One line for all stories of a module: server, broker, and devices that keep their identity from story to story."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.support.line import DEVICE_PYTHON, Line, running_line
from tests.support.tools import missing


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    if not DEVICE_PYTHON.exists():
        missing(f"{DEVICE_PYTHON} is missing: run `make setup`, or set EDGE_DEVICE_PYTHON")
    if shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin") is None:
        missing("mosquitto is not installed: apt-get install mosquitto")
    with running_line(tmp_path_factory.mktemp("line")) as running:
        yield running

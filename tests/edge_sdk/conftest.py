"""One line (server and broker, no devices) for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.line import Line, running_line


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with running_line(tmp_path_factory.mktemp("line")) as running:
        yield running

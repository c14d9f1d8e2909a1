"""One running server for the tests of this folder that leave it as usable as they found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.edge_fleet.server_case import Server, initialise, serving


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("fleet") / "data"
    with serving(folder, initialise(folder)) as running:
        yield running

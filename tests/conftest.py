"""What holds for every test: what commands keep for their user is kept apart from the user's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A result of an earlier session, made by other code, would hide a fault."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_SDK_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield

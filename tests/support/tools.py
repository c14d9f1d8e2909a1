"""What a test needs and does not find: by hand it skips and says why; in continuous integration that is a failure."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(sentence: str) -> NoReturn:
    """End the test: `sentence` says what is not here and how to get it."""
    if os.environ.get("CI"):
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)

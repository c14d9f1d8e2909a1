"""The reference pages are what the tables in the code say."""

from __future__ import annotations

import pytest

from scripts.reference import FOLDER, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_the_page_equals_the_code(name):
    assert (FOLDER / name).read_text() == PAGES[name](), "run: python scripts/reference.py"

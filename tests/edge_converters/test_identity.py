"""A model that nobody named is called after its file, whatever that is called."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edge_converters.identity import name_of

FILES = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=200)


def test_the_letters_that_a_name_may_have_are_kept():
    assert name_of(Path("models/Key Words_v2.keras")) == "key-words-v2"
    assert name_of(Path("/models/模型.onnx")) == "model"


@given(FILES)
def test_every_file_gives_a_name(file: str):
    assert len(name_of(Path("models") / file)) <= 64

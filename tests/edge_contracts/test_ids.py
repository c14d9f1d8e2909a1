"""Ids check themselves: what could break out of a topic, a path or a URL cannot be written down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from edge_contracts.ids import DeviceId, Digest, InvalidId, ModelName

BAD = ["", "A", "-a", "a-", "a/b", "a+b", "#", "..", "a b", "a\n", "ä", "a" * 65]


@pytest.mark.parametrize("text", BAD)
def test_a_bad_id_is_refused_in_python_and_on_the_wire(text):
    with pytest.raises(InvalidId):
        DeviceId(text)
    with pytest.raises(ValidationError):
        TypeAdapter(ModelName).validate_python(text)


def test_a_digest_is_of_the_bytes():
    assert Digest.of(b"abc").hex == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(InvalidId):
        Digest("sha256:" + "G" * 64)


@given(st.text())
def test_no_text_with_a_separator_is_an_id(text):
    try:
        made = DeviceId(text)
    except InvalidId:
        return
    assert not set(made) & set("/+#$. \n")

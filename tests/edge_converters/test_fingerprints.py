"""Fingerprints: equal values have equal ones, different values do not, and what has no content has none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from edge_contracts.manifest import Preprocessing
from edge_converters.fingerprints import NoFingerprint, fingerprint


class Word(StrEnum):
    A = "a"


@dataclass(frozen=True)
class Nested:
    x: np.ndarray
    name: str
    more: tuple[object, ...] = ()


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    st.lists,
    max_leaves=8,
)


@given(plain, plain)
def test_only_equal_values_have_equal_fingerprints(a, b):
    assert (fingerprint(a) == fingerprint(b)) == (repr(a) == repr(b))


@given(st.dictionaries(st.text(), st.integers()))
def test_the_order_of_a_mapping_does_not_matter(mapping):
    assert fingerprint(mapping) == fingerprint(dict(reversed(mapping.items())))


def test_every_part_of_a_nested_value_counts():
    value = Nested(np.arange(6.0).reshape(2, 3), "a", (Preprocessing(scale=2), Word.A, None))
    others = [
        replace(value, x=value.x.reshape(3, 2)),
        replace(value, x=value.x.astype(np.float32)),
        replace(value, x=value.x + np.eye(2, 3) * 1e-12),
        replace(value, name="b"),
        replace(value, more=(Preprocessing(scale=3), Word.A, None)),
        replace(value, more=(Preprocessing(scale=2), Word.A)),
    ]

    assert fingerprint(value) == fingerprint(replace(value, x=value.x.copy()))
    assert len({fingerprint(each) for each in (value, *others)}) == len(others) + 1


def test_parts_do_not_run_into_each_other():
    assert fingerprint(("ab", "c")) != fingerprint(("a", "bc"))
    assert fingerprint([["a"], "b"]) != fingerprint([["a", "b"]])


@pytest.mark.parametrize("value", [len, object(), np.array([object()]), [lambda: 1]])
def test_what_has_no_content_has_no_fingerprint(value):
    with pytest.raises(NoFingerprint):
        fingerprint(value)

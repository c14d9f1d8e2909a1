"""Requests against the signed signature, and the way between real and stored values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.tensors import accept, classes_of, to_real, to_stored
from edge_agent.ports import InvalidRequest
from edge_contracts.manifest import DataType, Preprocessing, Quantization, TensorSpec
from tests.support.releases import release, samples


def spec(datatype: DataType, scale: float | None = None, zero_point: int = 0) -> TensorSpec:
    quantization = None if scale is None else Quantization(scale=scale, zero_point=zero_point)
    return TensorSpec(name="t", datatype=datatype, shape=(-1,), quantization=quantization)


def test_real_values_are_rounded_half_to_even_and_saturated() -> None:
    stored = to_stored(spec(DataType.INT8, 2.0, -3), np.array([1, 3, 5, -1, 1e9, -1e9], np.float32))

    assert stored.dtype == np.int8
    assert stored.tolist() == [-3, -1, -1, -3, 127, -128]


@given(st.lists(st.integers(0, 255), min_size=1), st.floats(1e-4, 10), st.integers(0, 255))
def test_stored_values_survive_the_way_there_and_back(values: list[int], scale: float, zero_point: int) -> None:
    tensor = spec(DataType.UINT8, scale, zero_point)
    stored = np.array(values, np.uint8)

    assert to_stored(tensor, to_real(tensor, stored)).tolist() == values


def test_preprocessing_comes_before_quantisation() -> None:
    stored = to_stored(spec(DataType.INT8, 0.5), np.array([10, 12], np.float32), Preprocessing(offset=10, scale=0.25))
    assert stored.tolist() == [0, 1]


def test_preprocessing_applies_to_real_values_and_not_to_stored_ones() -> None:
    halved = release("cpu-litert", preprocessing=Preprocessing(scale=1 / 16))
    x = samples()[0][:1]

    (from_pixels,) = accept(halved, {"image": x * 16})
    (as_stored,) = accept(halved, {"image": from_pixels})

    assert from_pixels.tolist() == np.clip(np.rint(x / np.float32(0.003921568859368563)) - 128, -128, 127).tolist()
    assert as_stored is from_pixels


def test_a_float_model_with_a_free_batch_takes_any_batch() -> None:
    (array,) = accept(release("cpu-ort"), {"image": samples()[0][:5]})
    assert array.shape == (5, 8, 8, 1)


IMAGE = np.zeros((1, 8, 8, 1), np.float32)


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({}, "input 'image' is missing; expected 'image' [1, 8, 8, 1] INT8 or FP32 (real values)"),
        ({"image": IMAGE, "extra": IMAGE}, "the model has no input 'extra'"),
        ({"image": IMAGE[0]}, "input 'image' has shape [8, 8, 1]"),
        ({"image": np.zeros((2, 8, 8, 1), np.float32)}, "input 'image' has shape [2, 8, 8, 1]"),
        ({"image": IMAGE.astype(np.uint8)}, "input 'image' is UINT8"),
        ({"image": IMAGE.astype(np.float64)}, "input 'image' is float64"),
        ({"image": IMAGE * np.nan}, "input 'image' holds NaN or infinity, which INT8 cannot store"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_with_a_sentence(inputs: dict[str, np.ndarray], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match="^" + sentence.translate(str.maketrans({c: f"\\{c}" for c in "[]()"}))):
        accept(release("cpu-litert"), inputs)


def test_the_top_class_is_read_from_real_values() -> None:
    made = release("cpu-litert")
    outputs = {"digit": np.full((2, 10), -128, np.int8)}
    outputs["digit"][0, 3] = outputs["digit"][1, 7] = 127

    classes = classes_of(made, outputs)

    assert classes is not None
    assert classes.tolist() == [3, 7]

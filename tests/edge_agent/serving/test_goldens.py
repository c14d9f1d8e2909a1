"""How golden data is read, and how answers are held against it."""

from __future__ import annotations

import dataclasses
import io
import zipfile

import numpy as np
import pytest

from edge_agent.core.goldens import MAX_BYTES, Sample, compare, quantile_ms, read_samples
from edge_agent.core.tensors import Array, to_stored
from edge_agent.ports import ModelFailed
from edge_contracts.manifest import DataType, Quantization, TensorSpec
from edge_contracts.reasons import Reason
from tests.support.releases import release, samples

FLOAT, STORED = release("cpu-ort"), release("cpu-litert")
ROW = np.array([[0.1, 0.7, 0.2, 0, 0, 0, 0, 0, 0, 0]], np.float32)


def packed(**arrays: Array) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def bomb() -> bytes:
    """Some hundred kilobytes that unpack to more than is taken."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, input_0=np.zeros((MAX_BYTES // 4 // 64 + 1, 8, 8, 1), np.float32))
    return buffer.getvalue()


def damaged() -> bytes:
    """A packed archive whose middle is noise, under its own directory."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, input_0=np.random.default_rng(0).normal(size=2000))
    data = bytearray(buffer.getvalue())
    data[60:2000] = b"\xff" * 1940
    return bytes(data)


def claiming(shape: str) -> bytes:
    """An array whose header names a shape it does not have."""
    plain = io.BytesIO()
    np.save(plain, np.zeros((8,), np.float32))
    head = plain.getvalue().replace(b"(8,), }" + b" " * len(shape), f"({shape},), }}".encode() + b" ")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("input_0.npy", head)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "golden",
    [b"", b"no archive", bomb(), damaged(), claiming("9" * 13), claiming("9" * 30), packed()[:-8]],
    ids=["empty", "text", "bomb", "damaged", "huge", "absurd", "cut"],
)
def test_hostile_golden_data_fails_the_release_and_not_the_agent(golden: bytes) -> None:
    with pytest.raises(ModelFailed, match="not readable") as failure:
        read_samples(FLOAT.variant, golden)
    assert failure.value.reason is Reason.SELFTEST_OUTPUTS


def held_against(expected: Array, got: Array) -> tuple[float, float, bool]:
    sample = Sample([samples()[0][:1]], [expected.astype(np.float32)])
    agreement = compare(FLOAT.manifest, FLOAT.variant, [sample], [[got]])
    return agreement.worst_excess, agreement.top1_agreement, agreement.finite


def test_stored_and_real_golden_inputs_are_the_same_to_a_quantised_model() -> None:
    x, (spec,) = samples()[0][:3], STORED.variant.inputs
    answers = np.full((3, 10), -128, np.int8)

    as_real = read_samples(STORED.variant, packed(input_0=x, output_0=answers))
    as_stored = read_samples(STORED.variant, packed(input_0=to_stored(spec, x), output_0=answers))

    assert len(as_real) == len(as_stored) == 3
    assert all(np.array_equal(a.inputs[0], b.inputs[0]) for a, b in zip(as_real, as_stored, strict=True))
    assert as_real[0].outputs[0].tolist() == [[0.0] * 10]


def test_samples_are_cut_to_the_batch_the_model_takes() -> None:
    spec = TensorSpec(name="t", datatype=DataType.FP32, shape=(4, 2))
    variant = FLOAT.variant.model_copy(update={"inputs": (spec,), "outputs": (spec,)})

    read = read_samples(variant, packed(input_0=np.zeros((8, 2)), output_0=np.zeros((8, 2))))

    assert [sample.inputs[0].shape for sample in read] == [(4, 2), (4, 2)]


@pytest.mark.parametrize(
    "arrays",
    [
        {"input_0": samples()[0][:2]},
        {"input_0": samples()[0][:2], "output_0": ROW},
        {"input_0": samples()[0][:0], "output_0": ROW[:0]},
        {"input_0": np.array([{}], object), "output_0": ROW},
    ],
)
def test_golden_data_that_does_not_fit_is_refused(arrays: dict[str, Array]) -> None:
    with pytest.raises(ModelFailed):
        read_samples(FLOAT.variant, packed(**arrays))


def test_the_tolerance_is_the_line() -> None:
    assert held_against(ROW, ROW + np.float32(0.9e-4))[0] < 0
    assert held_against(ROW, ROW + np.float32(1.1e-4))[0] > 0


def test_another_top_class_does_not_agree_and_a_tie_does() -> None:
    assert held_against(ROW, np.roll(ROW, 1))[1] == 0.0
    assert held_against(ROW, np.full_like(ROW, 0.1))[1] == 1.0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_no_number_is_not_finite(value: float) -> None:
    excess, agreement, finite = held_against(ROW, np.full_like(ROW, value))
    assert (excess, agreement, finite) == (np.inf, 0.0, False)


def test_an_answer_of_another_shape_is_infinitely_wrong() -> None:
    assert held_against(ROW, ROW[:, :5])[:2] == (np.inf, 0.0)


def test_what_is_no_classifier_has_no_top_class_to_agree() -> None:
    manifest = FLOAT.manifest.model_copy(update={"task": "regression"})
    sample = Sample([samples()[0][:1]], [ROW])
    assert compare(manifest, FLOAT.variant, [sample], [[np.roll(ROW, 1)]]).top1_agreement == 1.0


def test_errors_are_measured_on_real_values() -> None:
    (spec,) = STORED.variant.outputs
    stored = to_stored(spec.model_copy(update={"quantization": Quantization(scale=1 / 256, zero_point=-128)}), ROW)
    sample = Sample([samples()[0][:1]], [ROW])

    agreement = compare(STORED.manifest, STORED.variant, [sample], [[stored + np.int8(1)]])

    assert agreement.max_abs_error == pytest.approx(1 / 256, abs=1 / 512)
    assert dataclasses.asdict(agreement)["finite"]


def test_one_stall_of_a_busy_machine_is_not_the_models_latency() -> None:
    assert quantile_ms([1_000_000] * 31 + [900_000_000], 0.99) == 1.0
    assert quantile_ms([1_000_000] * 30 + [900_000_000] * 2, 0.99) == 900.0

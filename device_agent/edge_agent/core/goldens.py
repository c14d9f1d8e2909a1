"""Golden data: the samples a release brings along, and how far the answers on this device are from its own."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_agent.core.tensors import Array, RealArray, to_real, to_stored
from edge_agent.ports import ModelFailed
from edge_contracts.manifest import Manifest, TensorSpec, Tolerance, Variant
from edge_contracts.reasons import Reason

MAX_BYTES: Final = 256 * 1024 * 1024
"""Of all arrays, unpacked: they are read by the agent itself, which a release must not be able to bring down."""
_UNREADABLE: Final = (
    KeyError,
    ValueError,
    OSError,
    EOFError,
    MemoryError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What zipfile and NumPy raise for an archive that is damaged, encrypted, packed by other means or not one."""


@dataclass(frozen=True)
class Sample:
    """One run: the model's inputs as stored, the expected outputs as real values."""

    inputs: list[Array]
    outputs: list[RealArray]


@dataclass(frozen=True)
class Agreement:
    """How far answers are from the golden ones, over all outputs of all samples, on real values."""

    worst_excess: float
    max_abs_error: float
    top1_agreement: float
    finite: bool


def read_samples(variant: Variant, golden: bytes) -> list[Sample]:
    """The samples of an `.npz` with arrays `input_<i>` and `output_<i>` (batch first).

    They are what goes into and comes out of the model file, after preprocessing: in the model's own type, or as real
    values where that is quantised.

    Raises:
        ModelFailed: selftest-outputs, when the data is unreadable or does not fit the signature.
    """
    try:
        _check_size(golden)
        with np.load(io.BytesIO(golden), allow_pickle=False) as data:
            inputs = [list(_batches(spec, data[f"input_{i}"])) for i, spec in enumerate(variant.inputs)]
            outputs = [list(_batches(spec, data[f"output_{i}"])) for i, spec in enumerate(variant.outputs)]
    except _UNREADABLE as error:
        raise ModelFailed(Reason.SELFTEST_OUTPUTS, f"the golden data is not readable: {error}") from error
    counts = {len(column) for column in (*inputs, *outputs)}
    if counts in ({0}, set()) or len(counts) != 1:
        raise ModelFailed(Reason.SELFTEST_OUTPUTS, f"the golden data has {sorted(counts)} samples in its arrays")
    return [
        Sample(
            [_stored(spec, array) for spec, array in zip(variant.inputs, row_in, strict=True)],
            [_real(spec, array) for spec, array in zip(variant.outputs, row_out, strict=True)],
        )
        for row_in, row_out in zip(zip(*inputs, strict=True), zip(*outputs, strict=True), strict=True)
    ]


def compare(manifest: Manifest, variant: Variant, samples: list[Sample], answers: list[list[Array]]) -> Agreement:
    """How far `answers` (stored, one list of outputs for each sample) are from the samples' expected outputs."""
    worst, largest, right = -np.inf, 0.0, 0
    for sample, answer in zip(samples, answers, strict=True):
        got = [to_real(spec, array) for spec, array in zip(variant.outputs, answer, strict=True)]
        if not all(np.isfinite(array).all() for array in got):
            return Agreement(np.inf, np.inf, 0.0, finite=False)
        for expected, found in zip(sample.outputs, got, strict=True):
            excess, error = _distance(expected, found, variant.tolerance)
            worst, largest = max(worst, excess), max(largest, error)
        right += manifest.task != "classification" or _same_top(sample.outputs[0], got[0])
    return Agreement(float(worst), float(largest), right / len(samples), finite=True)


def _check_size(golden: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(golden)) as archive:
        size = sum(info.file_size for info in archive.infolist())
    if size > MAX_BYTES:
        raise ValueError(f"it unpacks to {size} bytes, at most {MAX_BYTES} are taken")


def _batches(spec: TensorSpec, array: Array) -> Iterator[Array]:
    if array.ndim == len(spec.shape):
        size = max(spec.shape[0], 1) if spec.shape else 1
        return (array[start : start + size] for start in range(0, len(array), size))
    return iter(array)


def _stored(spec: TensorSpec, array: Array) -> Array:
    real = array.dtype.kind == "f" and spec.quantization is not None
    return np.ascontiguousarray(to_stored(spec, array) if real else array)


def _real(spec: TensorSpec, array: Array) -> RealArray:
    return array.astype(np.float32) if array.dtype.kind == "f" else to_real(spec, array)


def _distance(expected: RealArray, got: RealArray, tolerance: Tolerance) -> tuple[float, float]:
    if expected.shape != got.shape:
        return np.inf, np.inf
    error = np.abs(got.astype(np.float64) - expected)
    excess = error - (tolerance.absolute + tolerance.relative * np.abs(expected))
    return float(excess.max(initial=-np.inf)), float(error.max(initial=0.0))


def _same_top(expected: RealArray, got: RealArray) -> bool:
    """Whether the expected top class is the largest of each row; ties after quantisation are no error."""
    if expected.shape != got.shape or expected.ndim == 0:
        return False
    rows = got.reshape(-1, got.shape[-1])
    top = expected.reshape(-1, expected.shape[-1]).argmax(axis=1)
    return bool((rows[np.arange(len(rows)), top] == rows.max(axis=1)).all())


def quantile_ms(latencies_ns: Sequence[int], q: float) -> float:
    """The q-quantile of durations in nanoseconds, in milliseconds: the one below where it falls between two.

    Of less than 200 durations the 99th percentile is thus never the slowest: one stall of a busy machine is no
    property of the model.
    """
    return float(np.quantile(np.asarray(latencies_ns, np.float64), q, method="lower")) / 1e6

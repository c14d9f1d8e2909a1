"""Tensors against their signed specification: what a request may hold, and the way between real and stored values.

A request's tensor is either stored values (the model's own type, taken as they are) or real values (FP32, or the
model's own floating type): those go through the manifest's preprocessing and, for a quantised model, are rounded half
to even and saturated. Real outputs are made from stored ones by `to_real`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_agent.ports import InvalidRequest, Release, Tensors
from edge_contracts.features import top_classes
from edge_contracts.manifest import DataType, Preprocessing, TensorSpec

Array = npt.NDArray[np.generic]
RealArray = npt.NDArray[np.float32]

DTYPES: Final[dict[DataType, np.dtype[Any]]] = {
    DataType.FP32: np.dtype("<f4"),
    DataType.FP16: np.dtype("<f2"),
    DataType.INT8: np.dtype("i1"),
    DataType.UINT8: np.dtype("u1"),
    DataType.INT16: np.dtype("<i2"),
    DataType.UINT16: np.dtype("<u2"),
    DataType.INT32: np.dtype("<i4"),
    DataType.INT64: np.dtype("<i8"),
    DataType.BOOL: np.dtype("?"),
}
DATATYPES: Final = {dtype: name for name, dtype in DTYPES.items()}
FLOATING: Final = frozenset({DataType.FP32, DataType.FP16})
IDENTITY: Final = Preprocessing()


def accept(release: Release, inputs: Tensors) -> list[Array]:
    """The model's inputs in the order of the variant, stored as the model wants them.

    Raises:
        InvalidRequest: a tensor is missing, unknown, of another type or shape, or cannot be stored.
    """
    specs = release.variant.inputs
    unknown = inputs.keys() - {spec.name for spec in specs}
    if unknown:
        raise InvalidRequest(f"the model has no input {sorted(unknown)[0]!r}; {_expected(specs)}")
    return [_accept_one(spec, inputs.get(spec.name), release.manifest.preprocessing, specs) for spec in specs]


def is_real(spec: TensorSpec, array: Array) -> bool:
    """Whether a request's tensor holds real values rather than stored ones."""
    return DATATYPES.get(array.dtype) in FLOATING and (spec.datatype in FLOATING or spec.quantization is not None)


def to_stored(spec: TensorSpec, values: Array, preprocessing: Preprocessing = IDENTITY) -> Array:
    """Real values as the model stores them: preprocessed, then rounded half to even and saturated, or cast.

    Raises:
        InvalidRequest: NaN or infinity for a quantised tensor, which has no such value.
    """
    real = np.asarray(values, np.float32)
    if preprocessing != IDENTITY:
        real = (real - np.float32(preprocessing.offset)) * np.float32(preprocessing.scale)
    dtype = DTYPES[spec.datatype]
    if spec.quantization is None:
        return real.astype(dtype, copy=False)
    if not np.isfinite(real).all():
        raise InvalidRequest(f"input {spec.name!r} holds NaN or infinity, which {spec.datatype} cannot store")
    steps: Array = np.rint(real / np.float32(spec.quantization.scale)) + np.float32(spec.quantization.zero_point)
    limits = np.iinfo(dtype)
    return np.clip(steps, limits.min, limits.max).astype(dtype)


def to_real(spec: TensorSpec, stored: Array) -> RealArray:
    """Stored values as real ones (float32): scale * (stored - zero_point) where the tensor is quantised."""
    values = stored.astype(np.float32)
    if spec.quantization is None:
        return values
    return (values - np.float32(spec.quantization.zero_point)) * np.float32(spec.quantization.scale)


def classes_of(release: Release, outputs: Tensors) -> npt.NDArray[np.intp] | None:
    """The most likely class of each sample [n] by the first output; None if the model does not classify."""
    if release.manifest.task != "classification":
        return None
    spec = release.variant.outputs[0]
    real = to_real(spec, outputs[spec.name])
    return top_classes(real)[0] if real.ndim > 1 and np.isfinite(real).all() else None


def _accept_one(
    spec: TensorSpec, array: Array | None, preprocessing: Preprocessing, specs: tuple[TensorSpec, ...]
) -> Array:
    if array is None:
        raise InvalidRequest(f"input {spec.name!r} is missing; {_expected(specs)}")
    if not _fits(array.shape, spec.shape):
        raise InvalidRequest(f"input {spec.name!r} has shape {list(array.shape)}; {_expected(specs)}")
    if is_real(spec, array):
        return to_stored(spec, array, preprocessing)
    if array.dtype != DTYPES[spec.datatype]:
        given = DATATYPES.get(array.dtype, array.dtype.name)
        raise InvalidRequest(f"input {spec.name!r} is {given}; {_expected(specs)}")
    return array


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(shape) == len(wanted) and all(n == m or (m == -1 and n > 0) for n, m in zip(shape, wanted, strict=True))


def _expected(specs: tuple[TensorSpec, ...]) -> str:
    each = (
        f"{spec.name!r} {list(spec.shape)} {spec.datatype}{' or FP32 (real values)' if spec.quantization else ''}"
        for spec in specs
    )
    return f"expected {', '.join(each)}"

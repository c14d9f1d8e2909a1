"""Between real values and what a model file stores, by its tensor specification. The same rounding as on the device."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_contracts.manifest import DataType, TensorSpec

Array = npt.NDArray[Any]

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


def to_stored(spec: TensorSpec, real: Array) -> Array:
    """Real values as the file stores them: rounded half to even and saturated, or cast."""
    dtype = DTYPES[spec.datatype]
    if spec.quantization is None:
        return np.asarray(real).astype(dtype)
    steps = np.rint(np.asarray(real, np.float32) / np.float32(spec.quantization.scale))
    limits = np.iinfo(dtype)
    shifted = np.clip(steps + np.float32(spec.quantization.zero_point), limits.min, limits.max)
    return np.asarray(shifted, dtype)


def to_real(spec: TensorSpec, stored: Array) -> npt.NDArray[np.float32]:
    """Stored values as real ones: scale * (stored - zero_point) where the tensor is quantised."""
    values = stored.astype(np.float32)
    if spec.quantization is None:
        return values
    return (values - np.float32(spec.quantization.zero_point)) * np.float32(spec.quantization.scale)

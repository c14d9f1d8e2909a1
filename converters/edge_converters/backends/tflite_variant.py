"""TFLite files from a float one, one function per numeric scheme; each is made compact before it is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge_converters.backends import tflite_quantisation, tflite_weights
from edge_converters.backends.tflite_compaction import compact
from edge_converters.errors import NotConvertible


@dataclass(frozen=True)
class _Wishes:
    """What a scheme may look at beside the model."""

    calibration: str
    """An .npy of float inputs."""
    ranges: Mapping[str, Sequence[float]] = field(default_factory=dict)
    keep: Collection[str] = ()


def make(
    model: str,
    scheme: str,
    calibration: str,
    output: str,
    ranges: dict[str, list[float]] | None = None,
    keep: list[str] | None = None,
) -> dict[str, Any]:
    """Write the variant of a float .tflite to `output`.

    `calibration` is an .npy of float inputs. Of int8 alone: `ranges` are the lowest and highest value of tensors, in
    place of what calibration sees; `keep` are layers that stay float (names of `tflite_network`).

    Raises:
        NotConvertible: the scheme takes no ranges or keeps no layers.
    """
    wishes = _Wishes(calibration, ranges or {}, keep or [])
    Path(output).write_bytes(compact(_SCHEMES[scheme](Path(model).read_bytes(), wishes)))
    return {}


def _fp32(content: bytes, wishes: _Wishes) -> bytes:
    _check_no_wishes("fp32", wishes)
    return content


def _fp16(content: bytes, wishes: _Wishes) -> bytes:
    _check_no_wishes("fp16", wishes)
    return tflite_weights.to_half(content)


def _dynamic(content: bytes, wishes: _Wishes) -> bytes:
    _check_no_wishes("dynamic", wishes)
    return tflite_weights.to_dynamic(content)


def _int8(content: bytes, wishes: _Wishes) -> bytes:
    return tflite_quantisation.to_int8(content, np.load(wishes.calibration), wishes.ranges, wishes.keep)


def _int16x8(content: bytes, wishes: _Wishes) -> bytes:
    _check_no_wishes("int16x8", wishes)
    return tflite_quantisation.to_int16x8(content, np.load(wishes.calibration))


def _check_no_wishes(scheme: str, wishes: _Wishes) -> None:
    if wishes.ranges or wishes.keep:
        raise NotConvertible(
            f"{scheme} has no ranges to set and keeps no layers in float", "Ask for that with the scheme int8."
        )


_SCHEMES: Final[dict[str, Callable[[bytes, _Wishes], bytes]]] = {
    "fp32": _fp32,
    "fp16": _fp16,
    "dynamic": _dynamic,
    "int8": _int8,
    "int16x8": _int16x8,
}

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

    `calibration` is an .npy of float inputs. `ranges` are the lowest and highest value of tensors, in place of what
    calibration sees; `keep` are layers that stay float. Both go by the names that `tflite_network` gives.

    Raises:
        NotConvertible: the scheme cannot take them, or the file has no such tensor.
    """
    wishes = _Wishes(calibration, ranges or {}, keep or [])
    for given, takers, words in ((ranges, _TAKE_RANGES, "ranges to set"), (keep, _KEEP, "layers to keep in float")):
        if given and scheme not in takers:
            raise NotConvertible(f"{scheme} has no {words}", f"That can be asked of {', '.join(sorted(takers))}.")
    Path(output).write_bytes(compact(_SCHEMES[scheme](Path(model).read_bytes(), wishes)))
    return {}


def _int8(content: bytes, wishes: _Wishes) -> bytes:
    return tflite_quantisation.to_int8(content, np.load(wishes.calibration), wishes.ranges, wishes.keep)


def _int16x8(content: bytes, wishes: _Wishes) -> bytes:
    return tflite_quantisation.to_int16x8(content, np.load(wishes.calibration), wishes.ranges)


_SCHEMES: Final[dict[str, Callable[[bytes, _Wishes], bytes]]] = {
    "fp32": lambda content, _: content,
    "fp16": lambda content, _: tflite_weights.to_half(content),
    "dynamic": lambda content, _: tflite_weights.to_dynamic(content),
    "int8": _int8,
    "int16x8": _int16x8,
}
_TAKE_RANGES: Final = frozenset({"int8", "int16x8"})
_KEEP: Final = frozenset({"int8"})

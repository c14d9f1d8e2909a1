"""TFLite files from a float one, one function per numeric scheme; each is made compact before it is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from edge_converters.backends import tflite_files, tflite_granularity, tflite_quantisation, tflite_weights
from edge_converters.backends.tflite_compaction import compacted
from edge_converters.backends.tflite_files import Content, read
from edge_converters.errors import NotConvertible


@dataclass(frozen=True)
class _Wishes:
    """What a scheme may look at beside the model."""

    calibration: str
    """An .npy of float inputs."""
    ranges: Mapping[str, Sequence[float]] = field(default_factory=dict)
    keep: Collection[str] = ()
    coarse: Collection[str] = ()
    alike: bool = False


def make(
    model: str,
    scheme: str,
    calibration: str,
    output: str,
    ranges: dict[str, list[float]] | None = None,
    keep: list[str] | None = None,
    coarse: list[str] | None = None,
    alike: bool = False,
) -> dict[str, Any]:
    """Write the variant of a float .tflite to `output`.

    `calibration` is an .npy of float inputs. `ranges` are the lowest and highest value of tensors, in place of what
    calibration sees; `keep` are layers that stay float; `coarse` are dense layers with one scale for all channels of
    their weights, with `alike` all whose channels are alike. All go by the names that `tflite_network` gives.

    Raises:
        NotConvertible: the scheme cannot take them, or the file has no such tensor.
    """
    asked = {"ranges": bool(ranges), "keep": bool(keep), "coarse": bool(coarse), "alike": alike}
    for wish, given in asked.items():
        if given and scheme not in _TAKERS[wish]:
            takers = ", ".join(sorted(_TAKERS[wish]))
            raise NotConvertible(f"{scheme} cannot take {wish!r}", f"That can be asked of {takers}.")
    wishes = _Wishes(calibration, ranges or {}, keep or [], coarse or [], alike)
    tflite_files.write(compacted(_SCHEMES[scheme](model, wishes)), output)
    return {}


def _int8(model: str, wishes: _Wishes) -> Content:
    made = tflite_quantisation.to_int8(model, np.load(wishes.calibration), wishes.ranges, wishes.keep)
    alike = tflite_granularity.alike_layers(read(model)) if wishes.alike else ()
    coarse = dict.fromkeys([*wishes.coarse, *(name for name in alike if name not in wishes.keep)])
    return tflite_granularity.with_one_scale(made, read(model), coarse) if coarse else made


def _int16x8(model: str, wishes: _Wishes) -> Content:
    return tflite_quantisation.to_int16x8(model, np.load(wishes.calibration), wishes.ranges)


_SCHEMES: Final[dict[str, Callable[[str, _Wishes], Content]]] = {
    "fp32": lambda model, _: read(model),
    "fp16": lambda model, _: tflite_weights.to_half(read(model)),
    "dynamic": lambda model, _: tflite_weights.to_dynamic(read(model)),
    "int8": _int8,
    "int16x8": _int16x8,
}
_TAKERS: Final[dict[str, frozenset[str]]] = {
    "ranges": frozenset({"int8", "int16x8"}),
    "keep": frozenset({"int8"}),
    "coarse": frozenset({"int8"}),
    "alike": frozenset({"int8"}),
}
"""The schemes that can take each wish."""

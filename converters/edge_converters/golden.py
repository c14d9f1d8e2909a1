"""Golden samples: a few inputs with the variant's own answers, and how far a device's may lie from them. Pure."""

from __future__ import annotations

import io
import zipfile
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_contracts.manifest import Tolerance
from edge_converters.metrics import Outputs, classes, spread

Array = npt.NDArray[Any]

GOLDEN_SAMPLES: Final = 8
FLOAT_SHARE: Final = 2e-3
"""Of an output's range: float kernels of other processors sum in another order."""
STORED_SHARE: Final = 2e-2
"""Of an output's range: int8 kernels round differently by a step here and there, and softmax widens it."""
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def choose(reference: Outputs, classifies: bool, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """The places in `rows` of eight samples: of a classifier from as many classes as possible, clear answers first."""
    if not classifies:
        return np.arange(min(GOLDEN_SAMPLES, len(rows)))
    found = classes({name: values[rows] for name, values in reference.items()})
    margins = _margins(next(iter(reference.values()))[rows])
    by_class = {
        label: iter(sorted(np.flatnonzero(found == label), key=lambda i: -margins[i])) for label in np.unique(found)
    }
    chosen: list[int] = []
    while len(chosen) < min(GOLDEN_SAMPLES, len(rows)):
        for members in by_class.values():
            member = next(members, None)
            if member is not None:
                chosen.append(int(member))
    return np.array(chosen[:GOLDEN_SAMPLES], np.intp)


def tolerance(outputs: Outputs, quantised: bool, seen: float) -> Tolerance:
    """At least twice the largest difference `seen` between the target's engine and the CPU here."""
    share = STORED_SHARE if quantised else FLOAT_SHARE
    return Tolerance(absolute=max(share * max(spread(values) for values in outputs.values()), 2 * seen))


def pack(inputs: Array, outputs: list[Array]) -> bytes:
    """The `.npz` of stored values, the same bytes for the same arrays."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in (("input_0", inputs), *((f"output_{i}", each) for i, each in enumerate(outputs))):
            member = io.BytesIO()
            np.save(member, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), member.getvalue())
    return buffer.getvalue()


def _margins(scores: Array) -> Array:
    ordered = np.sort(scores.reshape(len(scores), -1), axis=1)
    return ordered[:, -1] - ordered[:, -2] if ordered.shape[1] > 1 else np.abs(ordered[:, 0] - 0.5)

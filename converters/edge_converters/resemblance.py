"""Whether calibration data resembles evaluation data: ranges from data of another scale make a wrong model. Pure.

Compared are the usual spread of a sample's values (the median over samples, so that a few odd ones do not count) and
how many evaluation values lie beyond what calibration covers. Not compared is what ranges do not depend on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

GROSS_TIMES: Final = 10.0
"""Ranges ten times too wide leave int8 less than 5 of its 8 bits; ten times too narrow, they clip nearly everything."""
DOUBTFUL_TIMES: Final = 3.0
GROSS_SHARE: Final = 0.1
DOUBTFUL_SHARE: Final = 0.01
MARGIN: Final = 0.5
"""Beyond the calibrated range by half its width on either side: few samples do not show their whole range."""
CENTRAL: Final = (0.005, 0.995)


@dataclass(frozen=True)
class Mismatch:
    """How the two differ, in one sentence. Gross: one of the two files is wrong; else it may be a cause of a loss."""

    gross: bool
    sentence: str


def compare(calibration: Array, evaluation: Array) -> Mismatch | None:
    """None if they resemble each other; both [n, ...] in the same unit."""
    known, new = (np.asarray(each).reshape(len(each), -1) for each in (calibration, evaluation))
    times = _spread(known) / _spread(new)
    low, high = float(known.min()), float(known.max())
    margin = MARGIN * (high - low)
    beyond = float(((new < low - margin) | (new > high + margin)).mean())
    stretch = max(times, 1 / times)
    if stretch <= DOUBTFUL_TIMES and beyond <= DOUBTFUL_SHARE:
        return None
    said = [f"calibration inputs range over {_range(known)} while evaluation inputs range over {_range(new)} (99 %)"]
    if stretch > DOUBTFUL_TIMES:
        said.append(f"a calibration sample spreads {_times(times)} an evaluation sample")
    if beyond > DOUBTFUL_SHARE:
        said.append(f"{beyond:.0%} of the evaluation values lie far beyond what calibration covers")
    return Mismatch(stretch > GROSS_TIMES or beyond > GROSS_SHARE, "; ".join(said))


def _spread(rows: Array) -> float:
    """Of one sample's values; of samples with one value, over the samples."""
    widths = rows.max(axis=1).astype(np.float64) - rows.min(axis=1).astype(np.float64)
    within = float(np.median(widths)) if rows.shape[1] > 1 else 0.0
    return max(within or float(np.ptp(np.quantile(rows, CENTRAL))), float(np.finfo(np.float32).tiny))


def _range(rows: Array) -> str:
    low, high = np.quantile(rows, CENTRAL)
    return f"{low:.4g} to {high:.4g}"


def _times(times: float) -> str:
    return f"{times:.3g} times as wide as" if times > 1 else f"{1 / times:.3g} times less wide than"

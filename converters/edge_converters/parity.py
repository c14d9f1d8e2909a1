"""Whether a float conversion computes what its source computes, with a control that the comparison can fail. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np

from edge_converters.errors import CheckFailed
from edge_converters.metrics import Array, Outputs, spread

TOLERANCE: Final = 1e-3
"""Largest difference, as a share of the output's range: float32 in another order of summation stays far below."""


def check_parity(reference: Outputs, got: Outputs, what: str) -> float:
    """The largest difference as a share of the range.

    Raises:
        CheckFailed: it is too large; or the answers to other inputs would have passed too, so that it shows nothing.
    """
    worst = float(np.max([_difference(reference[name], got[name]) for name in reference]))
    if not worst <= TOLERANCE:
        raise CheckFailed(
            f"{what} differs from the source by {worst:.2%} of the output's range, at most {TOLERANCE:.1%} is rounding",
            "A conversion step changed the model; export the source with another opset or layout.",
        )
    control = float(np.max([_difference(reference[name], np.roll(got[name], 1, axis=0)) for name in reference]))
    if control <= TOLERANCE:
        raise CheckFailed(
            f"{what} cannot be compared: the source answers the same to every input",
            "Check that the source is trained, and that the calibration data is prepared as it was for training.",
        )
    return worst


def _difference(reference: Array, got: Array) -> float:
    scale = spread(reference)
    return float(np.abs(reference - got).max() / scale) if scale else float(np.abs(reference - got).max())

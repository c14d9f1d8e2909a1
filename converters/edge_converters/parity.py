"""Whether a float conversion computes what its source computes, with a control that the comparison can fail. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np

from edge_converters.errors import CheckFailed
from edge_converters.metrics import Array, Outputs, spread

TOLERANCE: Final = 1e-3
"""Largest difference, as a share of the output's range: float32 in another order of summation stays far below."""
_OTHER_LAYOUT: Final = "A conversion step changed the model; export the source with another opset or layout."


def check_parity(reference: Outputs, got: Outputs, what: str) -> float:
    """The largest difference as a share of the range.

    Raises:
        CheckFailed: an output has another shape or is NaN on one side, or differs by too much; the source itself
            answers NaN; or the answers to other inputs would have passed too, so that it shows nothing.
    """
    for name, values in reference.items():
        _check_finite(name, values)
        _check_kind(name, values, got[name], what)
    differences = {name: _difference(values, got[name]) for name, values in reference.items()}
    worst = max(differences, key=differences.__getitem__)
    if not differences[worst] <= TOLERANCE:
        raise CheckFailed(
            f"{what} differs from the source by {differences[worst]:.2%} of the output's range in {worst!r}, at most"
            f" {TOLERANCE:.1%} is rounding",
            _OTHER_LAYOUT,
        )
    control = float(np.max([_difference(reference[name], np.roll(got[name], 1, axis=0)) for name in reference]))
    if control <= TOLERANCE:
        raise CheckFailed(
            f"{what} cannot be compared: the source answers the same to every input",
            "Check that the source is trained, and that the calibration data is prepared as it was for training.",
        )
    return differences[worst]


def _check_finite(name: str, values: Array) -> None:
    bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if bad.any():
        raise CheckFailed(
            f"the source itself answers NaN or infinity in {name!r} to {bad.sum()} of {len(values)} inputs",
            "Check its weights, and that the calibration data is prepared as it was for training.",
        )


def _check_kind(name: str, values: Array, got: Array, what: str) -> None:
    if values.shape != got.shape:
        raise CheckFailed(
            f"{what} gives {name!r} in the shape {got.shape[1:]}, the source in {values.shape[1:]}", _OTHER_LAYOUT
        )
    bad = ~np.isfinite(got.reshape(len(got), -1)).all(axis=1)
    if bad.any():
        raise CheckFailed(
            f"{what} answers NaN or infinity in {name!r} to {bad.sum()} of {len(got)} inputs, the source does not; it"
            " differs from the source",
            _OTHER_LAYOUT,
        )


def _difference(reference: Array, got: Array) -> float:
    scale = spread(reference)
    with np.errstate(over="ignore"):  # numbers near the largest there is: too large a difference, and told as that
        worst = float(np.abs(reference.astype(np.float64) - got.astype(np.float64)).max())
    return worst / scale if scale else worst

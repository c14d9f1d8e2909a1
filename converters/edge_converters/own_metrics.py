"""A user's own metric: a function in a Python file, `path/to/file.py:function`. It runs with the user's rights.

    def score(outputs: dict[str, numpy.ndarray], labels: numpy.ndarray | None) -> numpy.ndarray | float

`outputs` are the model's real-valued answers by output name, [n, ...] each; `labels` is y of the evaluation data for
the same n samples, None if there is none. It returns one score for each sample, [n], or one number for all of them:
from 0 to 1, more is better. A number for all is also asked for of samples drawn with repetitions (2,000 times).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_converters.errors import BadInput

Array = npt.NDArray[Any]
OwnMetric = Callable[[Mapping[str, Array], Array | None], Array]
"""Scores of samples [n], or of all of them []."""

_FORM: Final = (
    "Write a function that takes (outputs, labels) and returns one score from 0 to 1 for each sample, or one number "
    "from 0 to 1 for all."
)


def load(place: str) -> OwnMetric:
    """The function at `path/to/file.py:function`, its answers checked.

    Raises:
        BadInput: no such file or function, or the file fails; from the function: it fails, or returns something else.
    """
    path, _, name = place.rpartition(":")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None or not Path(path).is_file():
        raise BadInput(f"{path} is no Python file", "Give --metric path/to/file.py:function.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the user's own code can fail in any way
        raise BadInput(f"{path} fails: {type(error).__name__}: {error}", "Repair it.") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise BadInput(f"{path} has no function {name}", _FORM)
    return lambda outputs, labels: _called(function, place, outputs, labels)


def _called(function: Callable[..., Any], place: str, outputs: Mapping[str, Array], labels: Array | None) -> Array:
    n = len(next(iter(outputs.values())))
    try:
        scores = np.asarray(function(dict(outputs), labels), np.float64)
    except (Exception, SystemExit) as error:  # the user's own code can fail in any way
        raise BadInput(f"{place} fails: {type(error).__name__}: {error}", _FORM) from error
    if scores.shape not in {(), (n,)}:
        raise BadInput(f"{place} returns the shape {scores.shape} for {n} samples", _FORM)
    if not (np.isfinite(scores).all() and scores.min() >= 0 and scores.max() <= 1):
        raise BadInput(f"{place} returns scores from {scores.min():g} to {scores.max():g}", _FORM)
    return scores

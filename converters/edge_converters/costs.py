"""Costs per kind of error, from a file: what it costs to tell one class where another is true."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_converters.errors import BadInput

Costs = npt.NDArray[np.float64]
"""[classes, classes]: rows are the true classes, columns the told ones; 0 on the diagonal, the largest is over 0."""

_FORM: Final = (
    "Write matrix = [[0, 1], [5, 0]] in a .toml, or the same rows in a .csv: a row for each true class, "
    "a column for each class that is told; here a false negative costs five times a false positive."
)


def read_costs(path: Path) -> Costs:
    """The matrix in a `.toml` (key `matrix`) or a `.csv` (numbers only).

    Raises:
        BadInput: not readable, or no square of numbers of at least 0 with zeros on its diagonal.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not a readable text file", "Check the path.") from error
    try:
        rows: Any = tomllib.loads(text)["matrix"] if path.suffix == ".toml" else [*csv.reader(text.splitlines())]
        costs = np.array(rows, np.float64)
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path} holds no matrix of numbers ({error})", _FORM) from error
    return check_costs(costs, str(path))


def check_costs(costs: Costs, name: str) -> Costs:
    """The same matrix.

    Raises:
        BadInput: as `read_costs`.
    """
    if costs.ndim != 2 or costs.shape[0] != costs.shape[1]:
        raise BadInput(f"{name} is no square of costs: its shape is {costs.shape}", _FORM)
    if not np.isfinite(costs).all() or costs.min() < 0:
        raise BadInput(f"{name} holds a cost below 0, or none at all", _FORM)
    if costs.diagonal().any() or not costs.any():
        raise BadInput(f"{name}: a right answer costs nothing, and some error costs more", _FORM)
    return costs

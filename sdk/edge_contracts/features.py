"""Features of one request, the same code for the baseline (converter) and the live count (device). Needs NumPy.

The only module of the contracts that computes on arrays: a feature must mean the same on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_contracts.manifest import BINS, CONFIDENCE_BINS, FeatureBaseline, FeatureStatistic

Array = npt.NDArray[np.float64]
MAX_ELEMENT_FEATURES: Final = 64
"""Tensors of rank 1 with at most this many elements get one feature for each element."""
ELEMENTS_AT_ONCE: Final = 2**18

GROUPS: Final[dict[FeatureStatistic, str]] = {
    FeatureStatistic.MEAN: "level",
    FeatureStatistic.STD: "spread",
    FeatureStatistic.MIN: "range",
    FeatureStatistic.MAX: "range",
    FeatureStatistic.ZERO_SHARE: "sparsity",
    FeatureStatistic.ROUGHNESS: "texture",
}
"""The group under which an alert names a feature."""


def _roughness(rows: Array) -> Array:
    return np.abs(np.diff(rows, axis=1)).mean(axis=1) if rows.shape[1] > 1 else np.zeros(len(rows))


STATISTICS: Final[dict[FeatureStatistic, Callable[[Array], Array]]] = {
    FeatureStatistic.MEAN: lambda rows: rows.mean(axis=1),
    FeatureStatistic.STD: lambda rows: rows.std(axis=1),
    FeatureStatistic.MIN: lambda rows: rows.min(axis=1),
    FeatureStatistic.MAX: lambda rows: rows.max(axis=1),
    FeatureStatistic.ZERO_SHARE: lambda rows: (rows == 0).mean(axis=1),
    FeatureStatistic.ROUGHNESS: _roughness,
}


def compute(feature: FeatureBaseline, batch: npt.NDArray[np.generic]) -> Array:
    """The feature's value for each sample of a batch of real-valued inputs, shape [n, ...] -> [n]."""
    rows = np.asarray(batch, np.float64).reshape(len(batch), -1)
    if feature.statistic is FeatureStatistic.ELEMENT:
        return rows[:, feature.index or 0]
    return STATISTICS[feature.statistic](rows)


def bin_indices(feature: FeatureBaseline, values: Array) -> npt.NDArray[np.intp]:
    """The bin of each finite value: bin i holds edges[i-1] < value <= edges[i]."""
    return np.searchsorted(np.asarray(feature.edges), values, side="left")


def top_classes(outputs: npt.NDArray[np.generic]) -> tuple[npt.NDArray[np.intp], Array]:
    """The class given to each sample and its probability, from a classifier's real-valued output [n, ...] -> [n], [n].

    A single value is the probability of class 1 of two. A row that cannot be probabilities (values outside 0..1, or a
    sum more than a tenth away from 1, which no quantised softmax shows) is taken for logits: softmax, or sigmoid.
    Non-finite rows must be left out before.
    """
    rows = np.asarray(outputs, np.float64).reshape(len(outputs), -1)
    if rows.shape[1] == 1:
        rows = np.where((rows < 0) | (rows > 1), 1 / (1 + np.exp(-np.clip(rows, -500, 500))), rows)
        rows = np.concatenate([1 - rows, rows], axis=1)
    likely = (rows.min(axis=1) >= -0.01) & (rows.max(axis=1) <= 1.01) & (np.abs(rows.sum(axis=1) - 1) <= 0.1)
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    probabilities = np.where(likely[:, None], rows, powers / powers.sum(axis=1, keepdims=True))
    return probabilities.argmax(axis=1), probabilities.max(axis=1)


def confidence_counts(probabilities: Array) -> tuple[int, ...]:
    """How many top-class probabilities fall into each of the 64 bins of equal width."""
    bins = np.clip((probabilities * CONFIDENCE_BINS).astype(np.intp), 0, CONFIDENCE_BINS - 1)
    return tuple(int(count) for count in np.bincount(bins, minlength=CONFIDENCE_BINS))


def make_baselines(tensor: str, batch: npt.NDArray[np.generic]) -> tuple[FeatureBaseline, ...]:
    """Reference histograms of every feature of one input tensor, from real-valued samples [n, ...]."""
    rows = np.asarray(batch).reshape(len(batch), -1)
    if batch.ndim == 2 and rows.shape[1] <= MAX_ELEMENT_FEATURES:
        return tuple(
            _baseline(f"{tensor}[{i}]", f"{tensor}[{i}]", tensor, FeatureStatistic.ELEMENT, column, i)
            for i, column in enumerate(np.asarray(rows.T, np.float64))
        )
    found = [[calculate(part) for calculate in STATISTICS.values()] for part in _few_at_a_time(rows)]
    return tuple(
        _baseline(f"{tensor}.{statistic}", GROUPS[statistic], tensor, statistic, np.concatenate(values))
        for statistic, values in zip(STATISTICS, zip(*found, strict=True), strict=True)
    )


def _few_at_a_time(rows: npt.NDArray[np.generic]) -> Iterator[Array]:
    """As 64-bit floats a set of photographs takes eight times the memory of its bytes."""
    few = max(1, ELEMENTS_AT_ONCE // rows.shape[1])
    for start in range(0, len(rows), few):
        yield np.asarray(rows[start : start + few], np.float64)


def _baseline(
    name: str, group: str, tensor: str, statistic: FeatureStatistic, values: Array, index: int | None = None
) -> FeatureBaseline:
    edges = np.quantile(values, np.arange(1, BINS) / BINS)
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=BINS)
    return FeatureBaseline(
        name=name,
        group=group,
        tensor=tensor,
        statistic=statistic,
        index=index,
        edges=_floats(edges),
        counts=tuple(int(count) for count in counts),
        low=float(values.min()),
        high=float(values.max()),
    )


def _floats(values: Sequence[float] | Array) -> tuple[float, ...]:
    return tuple(float(value) for value in values)

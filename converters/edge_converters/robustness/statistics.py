"""What paired answers to clean, worse and random inputs say of a variant beside its float model. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_converters.guard import DOUBT
from edge_converters.paired import Means
from edge_converters.robustness.findings import (
    MARGIN,
    QUANTILES,
    Bin,
    Calibration,
    Excess,
    Features,
    Level,
    RandomInputs,
    Residuals,
    Sweep,
)
from edge_converters.slices import holm

Array = npt.NDArray[Any]
Pair = tuple[Array, Array]
"""Of the float model and of the variant."""

BINS: Final = 15
RESIDUAL_BINS: Final = 41
RESAMPLES: Final = 400
SURE: Final = 0.9
HEARD: Final = 0.2
"""Of the largest effect: what moves the float model's answers by less is not missed."""
UNHEARD: Final = 0.5
"""Of the float model's effect: what moves the variant's answers by less is hardly heard."""


@dataclass(frozen=True)
class SweepScores:
    """One score for each sample, [n], of both models: as they are, and at each strength."""

    name: str
    unit: str
    levels: tuple[float, ...]
    clean: Pair
    worse: tuple[Pair, ...]
    how: str = ""

    @property
    def losses(self) -> Pair:
        """What each sample lost on average over the strengths, [n] each."""
        first, second = (self.clean[side] - np.mean([pair[side] for pair in self.worse], axis=0) for side in (0, 1))
        return first, second


@dataclass(frozen=True)
class Confidences:
    """The top class's probability for each random input, [n]."""

    name: str
    both: Pair


def judge(
    sweeps: Sequence[SweepScores], random: Sequence[Confidences]
) -> tuple[tuple[Sweep, ...], tuple[RandomInputs, ...]]:
    """Each with by how much the variant is worse; what is looked at together is doubted together."""
    evidence = [_excess_loss(each) for each in sweeps] + [_excess_confidence(each) for each in random]
    doubts = holm([each.doubt(MARGIN, each.n) for each in evidence])
    excesses = [
        Excess(each.drop, each.upper(each.n), doubt, doubt < DOUBT)
        for each, doubt in zip(evidence, doubts, strict=True)
    ]
    judged = [_sweep(each, excess) for each, excess in zip(sweeps, excesses, strict=False)]
    told = [_random(each, excess) for each, excess in zip(random, excesses[len(sweeps) :], strict=True)]
    return tuple(judged), tuple(told)


def _excess_loss(scores: SweepScores) -> Means:
    source, variant = scores.losses
    return _paired(source, variant, variant - source)


def _excess_confidence(confidences: Confidences) -> Means:
    source, variant = confidences.both
    return _paired(source, variant, variant - source)


def _paired(source: Array, variant: Array, more: Array) -> Means:
    n = len(more)
    spread = float(more.std(ddof=1)) if n > 1 else 0.0
    return Means(
        float(source.mean()), float(variant.mean()), float(more.mean()), spread, n, n, bool((more == 0).mean() > 0.5)
    )


def _sweep(scores: SweepScores, excess: Excess) -> Sweep:
    source, variant = (float(loss.mean()) for loss in scores.losses)
    levels = [
        Level(level, float(pair[0].mean()), float(pair[1].mean()))
        for level, pair in zip(scores.levels, scores.worse, strict=True)
    ]
    relative = variant / source if source > 0 else None
    return Sweep(scores.name, scores.unit, tuple(levels), excess, source, relative, scores.how)


def _random(confidences: Confidences, excess: Excess) -> RandomInputs:
    source, variant = confidences.both
    return RandomInputs(
        confidences.name,
        float(source.mean()),
        float(variant.mean()),
        float((source > SURE).mean()),
        float((variant > SURE).mean()),
        excess,
    )


def features(names: Sequence[str], source: Array, variant: Array) -> Features:
    """From each part's effect on the answers of both models, [parts] each."""
    varies = len(names) > 1 and source.std() > 0 and variant.std() > 0
    heard = source > HEARD * source.max(initial=0.0)
    lost = heard & (variant < UNHEARD * source)
    return Features(
        tuple(names),
        tuple(float(value) for value in source),
        tuple(float(value) for value in variant),
        float(np.corrcoef(source, variant)[0, 1]) if varies else None,
        tuple(name for name, gone in zip(names, lost, strict=True) if gone),
    )


def residuals(source: Mapping[str, Array], variant: Mapping[str, Array]) -> tuple[Residuals, ...]:
    """Of each output, over all samples and elements."""
    return tuple(
        _residuals(name, (values - variant[name]).astype(np.float64).ravel()) for name, values in source.items()
    )


def _residuals(name: str, difference: Array) -> Residuals:
    largest = float(np.abs(difference).max())
    edges = np.linspace(-largest, largest, RESIDUAL_BINS + 1) if largest else np.linspace(-1, 1, RESIDUAL_BINS + 1)
    counts, _ = np.histogram(difference, edges)
    return Residuals(
        name,
        float(difference.mean()),
        float(difference.std()),
        largest,
        tuple(float(value) for value in np.quantile(difference, QUANTILES)),
        tuple(float(edge) for edge in edges),
        tuple(int(count) for count in counts),
    )


def calibration(confidences: Pair, right: Pair, seed: int = 0) -> Calibration:
    """From the top class's probability and whether it was right, [n] each, of both models on the same samples."""
    source, variant = (expected_error(*each) for each in zip(confidences, right, strict=True))
    n, rng = len(confidences[0]), np.random.default_rng(seed)
    rises = []
    for _ in range(RESAMPLES):
        rows = rng.integers(0, n, n)
        first, second = (expected_error(told[rows], hit[rows]) for told, hit in zip(confidences, right, strict=True))
        rises.append(second - first)
    own, theirs = (equal_mass(*each) for each in zip(confidences, right, strict=True))
    return Calibration(source, variant, float(np.quantile(rises, 0.95)), own, theirs)


def expected_error(confidence: Array, right: Array) -> float:
    """The expected calibration error: how far confidence lies from the share that is right, [n] each, in 0..1."""
    bins = equal_mass(confidence, right)
    return sum(each.n * abs(each.confidence - each.right) for each in bins) / max(len(confidence), 1)


def equal_mass(confidence: Array, right: Array) -> tuple[Bin, ...]:
    """At most 15 bins of as many answers each, from the least sure to the surest; like answers stay together."""
    order = np.argsort(confidence, kind="stable")
    told, hit = confidence[order], right[order]
    cuts = np.unique(np.linspace(0, len(order), min(BINS, len(order)) + 1).round().astype(int))
    # an answer's bin must not hang on the order of equal confidences
    places = np.unique(np.append(np.searchsorted(told, told[cuts[:-1]], side="left"), len(told)))
    return tuple(
        Bin(int(high - low), float(told[low:high].mean()), float(hit[low:high].mean()))
        for low, high in pairwise(places)
    )

"""What robustness checks found, in frozen values for report and page; which of it makes a variant brittle is here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MARGIN: Final = 0.05
"""What a variant may lose more than its float model: 0.05 is five points."""


@dataclass(frozen=True)
class Excess:
    """By how much the variant lost more than its float model, of the same samples.

    `drop`: on average; `upper_bound`: 95 %, one-sided; `doubt`: the p-value of `it is at most MARGIN`, by Holm's
    procedure among all that was looked at for this variant.
    """

    drop: float
    upper_bound: float
    doubt: float
    brittle: bool


@dataclass(frozen=True)
class Level:
    """One strength, with both models' mean score there."""

    level: float
    source: float
    variant: float


@dataclass(frozen=True)
class Sweep:
    """The same samples, ever worse. Its excess is over all strengths, beside the scores on clean samples.

    `relative` is the variant's loss over the float model's (relative corruption error; Hendrycks & Dietterich 2019);
    None where the float model lost nothing.
    """

    name: str
    unit: str
    levels: tuple[Level, ...]
    excess: Excess
    source_loss: float
    """Of the float model."""
    relative: float | None
    how: str = ""


@dataclass(frozen=True)
class RandomInputs:
    """The mean probability of the top class on inputs that show nothing; `sure`: the share of answers over 90 %."""

    name: str
    source: float
    variant: float
    source_sure: float
    variant_sure: float
    excess: Excess


@dataclass(frozen=True)
class Features:
    """By how much answers move, as a mean absolute change, if one part of the input moves by a standard deviation."""

    names: tuple[str, ...]
    source: tuple[float, ...]
    variant: tuple[float, ...]
    correlation: float | None
    """Of the two rows; None where one of them does not vary."""
    unheard: tuple[str, ...]
    """Parts that moved the float model's answers and hardly move the variant's."""


@dataclass(frozen=True)
class Residuals:
    """The float model's answers less the variant's, over all elements of an output; `quantiles` at `QUANTILES`."""

    output: str
    mean: float
    deviation: float
    largest: float
    quantiles: tuple[float, ...]
    edges: tuple[float, ...]
    counts: tuple[int, ...]


QUANTILES: Final = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Bin:
    """Answers of like confidence: their mean confidence, and how many were right."""

    n: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Calibration:
    """Expected calibration error of both models (C. Guo et al., "On calibration of modern neural networks", ICML 2017).

    Bins of equal mass; `upper_bound` of the rise: 95 %, one-sided, by a bootstrap over samples.
    """

    source: float
    variant: float
    upper_bound: float
    source_bins: tuple[Bin, ...]
    variant_bins: tuple[Bin, ...]

    @property
    def rise(self) -> float:
        """What the variant has more."""
        return self.variant - self.source


@dataclass(frozen=True)
class Robustness:
    """Everything that was checked. `left_out` says what was not, and why. `n`: samples of the sweeps."""

    kind: str
    n: int
    source: float
    """The float model's score on the samples as they are; `variant`: the variant's."""
    variant: float
    sweeps: tuple[Sweep, ...] = ()
    random: tuple[RandomInputs, ...] = ()
    features: Features | None = None
    residuals: tuple[Residuals, ...] = ()
    calibration: Calibration | None = None
    left_out: tuple[str, ...] = ()

    @property
    def brittle(self) -> tuple[str, ...]:
        """What the variant stands much worse than its float model."""
        found: list[Sweep | RandomInputs] = [*self.sweeps, *self.random]
        return tuple(each.name for each in found if each.excess.brittle)

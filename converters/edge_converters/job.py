"""What is asked of a conversion: what shall be proven and how it is gone about; with source and data, the job to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_converters.costs import Costs
from edge_converters.datasets import Data
from edge_converters.guard import Guard
from edge_converters.ladder import Climb
from edge_converters.measures import Asked
from edge_converters.sources import Source
from edge_converters.training import Training

if TYPE_CHECKING:
    from edge_converters.robustness.checkup import Extent


@dataclass(frozen=True)
class Proof:
    """What shall be proven of each variant: that it loses no more than `guard` allows, by this metric.

    `metric` is a name in `measures.METRICS`, `top-2` and so on, or `file.py:function`; None: what fits the model.
    `costs` weigh errors, [true class, told class].
    """

    guard: Guard = field(default_factory=Guard)
    metric: str | None = None
    costs: Costs | None = None


@dataclass(frozen=True)
class Method:
    """How a conversion is gone about, and what is looked at beside the proof."""

    climb: Climb = field(default_factory=Climb)
    """Passes to do first, and what the way to a good recipe may cost; or a search in its place."""
    training: Training | None = None
    """A Keras source is trained first; what variants are compared with stays the source as it was given."""
    latency: bool = True
    """Variants are timed beside their float model: some seconds each."""
    robustness: Extent | None = None
    """Each judged variant is tried on worse inputs beside its float model: up to minutes each."""
    seed: int = 0
    """Of training, search, and the random inputs of the parity check."""


@dataclass(frozen=True)
class Job:
    """What every profile's outcome depends on, beside the profile itself."""

    source: Source
    data: Data
    guard: Guard
    asked: Asked
    method: Method = field(default_factory=Method)

    @property
    def counts(self) -> dict[str, int]:
        """Samples in each split, those to learn from among them."""
        training = self.method.training
        return self.data.counts | ({} if training is None else {"training": len(training.samples)})

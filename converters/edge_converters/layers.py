"""How far a variant's inner tensors lie from the float model's, layer by layer: which layer takes the accuracy. Pure.

The measure is the ratio of signal to error in decibels. What is only scaled is no error: passes such as equalisation
move a factor of a channel from one layer to the next, so each channel is compared after the factor that fits it best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Tensors = Mapping[str, Array]
Trace = Callable[[Array], Tensors]
"""One sample [1, ...] in; real values of the inner tensors by the float model's names out."""


@dataclass(frozen=True)
class LayerError:
    """One layer's output. `decibels`: signal over error; None where there is no error at all."""

    name: str
    operator: str
    decibels: float | None


@dataclass
class Energies:
    """Sums over samples and positions, by channel."""

    axis: int
    """Of the channels."""
    sums: list[Array] = field(default_factory=list)

    def add(self, source: Array, variant: Array) -> None:
        """One sample's tensor of both models."""
        first, second = (np.moveaxis(np.asarray(each, np.float64), self.axis, 0) for each in (source, variant))
        first, second = (each.reshape(len(each), -1) for each in (first, second))
        parts = [(first * first).sum(axis=1), (second * second).sum(axis=1), (first * second).sum(axis=1)]
        self.sums = [old + new for old, new in zip(self.sums, parts, strict=True)] if self.sums else parts

    def decibels(self) -> float | None:
        """Signal over what is left after each channel's best factor; at least 0."""
        own, other, common = self.sums
        fitted = np.divide(common**2, other, out=np.zeros_like(common), where=other > 0)
        signal, error = float(own.sum()), float(np.maximum(own - fitted, 0.0).sum())
        # sums of squares lose what lies 15 digits below them
        return 10 * math.log10(signal / error) if error > signal * 1e-13 else None


def compare(
    layers: Iterable[tuple[str, str]], axis: int, traces: tuple[Trace, Trace], inputs: tuple[Array, Array]
) -> list[LayerError]:
    """The layers (output's name, operator) whose tensors both models have in the same shape, in that order.

    `axis`: where tensors with a batch have their channels; `inputs`: of each model, as it stores them, [n, ...].
    """
    known, energies = dict(layers), dict[str, Energies]()
    for samples in zip(*inputs, strict=True):
        source, variant = (trace(sample[None]) for trace, sample in zip(traces, samples, strict=True))
        for name in _in_both(known, source, variant):
            rank = source[name].ndim
            energies.setdefault(name, Energies(min(axis, rank - 1))).add(source[name], variant[name])
    return [
        LayerError(name, operator, energies[name].decibels()) for name, operator in known.items() if name in energies
    ]


def _in_both(names: Iterable[str], source: Tensors, variant: Tensors) -> list[str]:
    found = [name for name in names if name in source and name in variant]
    return [name for name in found if source[name].shape == variant[name].shape and source[name].ndim]

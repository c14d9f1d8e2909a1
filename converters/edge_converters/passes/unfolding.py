"""The rows a weighted layer sees, and their second moments: all that the least-squares passes know of the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edge_converters.networks import Array, Evidence, Kind, Layer, Network, Shape

ROWS: Final = 20_000
"""Rows that are looked at, at most: positions are drawn from every sample alike."""
BATCH: Final = 64
"""Samples whose tensors are in memory at once."""


@dataclass(frozen=True)
class Moments:
    """Sums over rows, by group. A row ends with a 1, for the bias; `width` counts it. All float64."""

    inputs: Array
    """[groups, width, width]: of row by row."""
    targets: Array
    """[groups, width, outputs / groups]: of row by what the layer should answer."""
    energy: Array
    """[groups, outputs / groups]: of the squares of what it should answer."""
    rows: int

    def __add__(self, other: Moments) -> Moments:
        """Of the rows of both."""
        return Moments(
            self.inputs + other.inputs,
            self.targets + other.targets,
            self.energy + other.energy,
            self.rows + other.rows,
        )

    @property
    def mean_input(self) -> Array:
        """[groups, width]."""
        return np.asarray(self.inputs[:, -1] / self.rows)

    @property
    def mean_target(self) -> Array:
        """[groups, outputs / groups]."""
        return np.asarray(self.targets[:, -1] / self.rows)

    def errors(self, weights: Array) -> Array:
        """[groups, outputs / groups]: sums of squared differences that these weights (see `matrix`) leave."""
        bent = np.einsum("gow,gwv,gov->go", weights, self.inputs, weights, optimize=True)
        return np.asarray(bent - 2 * np.einsum("gow,gwo->go", weights, self.targets) + self.energy)


def moments(
    target: Network,
    now: Network,
    name: str,
    evidence: Evidence,
    *,
    channels: Array | None = None,
    rows: int = ROWS,
    known: Sequence[Array] | None = None,
) -> Moments:
    """What layer `name` sees in `now`, and what the layer of that name answers in `target` to the same samples.

    `channels`: which of the target's output channels `now` still has; all of them if not given. `known`: what
    `answers_of` gave for the target and as many rows, if that was asked before.
    """
    teacher, layer = target.layer(name), now.layer(name)
    kept = np.arange(len(teacher.weight)) if channels is None else channels
    most = _most(evidence, rows)
    sums: list[Array] | None = None
    count = 0
    for number, (start, samples) in enumerate(batches(evidence.samples)):
        seed = (evidence.seed, start)
        seen = taught = unfold(now, layer, _entry(now, layer, evidence, samples), most, seed)
        if known is None and target is not now:
            taught = unfold(target, teacher, _entry(target, teacher, evidence, samples), most, seed)
        answers = (_answered(teacher, taught) if known is None else known[number])[:, kept]
        wanted = answers.reshape(len(answers), layer.groups, -1).transpose(1, 0, 2)
        part = [np.matmul(seen.transpose(0, 2, 1), each) for each in (seen, wanted)] + [(wanted**2).sum(1)]
        sums = part if sums is None else [old + new for old, new in zip(sums, part, strict=True)]
        count += seen.shape[1]
    assert sums is not None, "evidence holds at least one sample"
    return Moments(sums[0], sums[1], sums[2], count)


def answers_of(network: Network, name: str, evidence: Evidence, *, rows: int = ROWS) -> tuple[Array, ...]:
    """For each batch [rows, outputs]: what layer `name` answers, in front of a fused activation."""
    layer, most = network.layer(name), _most(evidence, rows)
    found = []
    for start, samples in batches(evidence.samples):
        seen = unfold(network, layer, _entry(network, layer, evidence, samples), most, (evidence.seed, start))
        found.append(_answered(layer, seen))
    return tuple(found)


def matrix(layer: Layer) -> Array:
    """[groups, outputs / groups, width] float64: the weights as they meet a row.

    In the order of kernel place, then input channel; the bias last.
    """
    channels_last = np.moveaxis(layer.weight, 1, -1)
    flat = np.concatenate([channels_last.reshape(len(layer.weight), -1), layer.bias[:, None]], axis=1)
    return flat.astype(np.float64).reshape(layer.groups, -1, flat.shape[1])


def with_matrix(layer: Layer, weights: Array) -> Layer:
    """The layer with these weights and biases; the inverse of `matrix`."""
    flat = weights.reshape(len(layer.weight), -1)
    channels_last = np.moveaxis(layer.weight, 1, -1).shape
    return layer.with_constants(weight=np.moveaxis(flat[:, :-1].reshape(channels_last), -1, 1), bias=flat[:, -1])


def unfold(network: Network, layer: Layer, values: Array, most: int, seed: tuple[int, ...]) -> Array:
    """[groups, n * positions, width] float64 rows of the layer's input `values` [n, ...], a 1 at the end of each.

    At most `most` positions of each sample, drawn by `seed`: the same for two calls of equal n and layer.
    """
    if layer.kind is Kind.DENSE:
        rows = values.reshape(len(values), -1, values.shape[-1])
        chosen = rows[np.arange(len(rows))[:, None], _positions(len(rows), rows.shape[1], most, seed)]
    else:
        view = windows(layer, np.moveaxis(values, network.channel_axes[layer.inputs[0]], 1))
        places = view.shape[2 : 2 + (view.ndim - 2) // 2]
        drawn = _positions(len(view), int(np.prod(places)), most, seed)
        at: tuple[Any, ...] = (np.arange(len(view))[:, None], slice(None), *np.unravel_index(drawn, places))
        chosen = view[at]
    each = chosen.reshape(chosen.shape[0] * chosen.shape[1], layer.groups, layer.weight.shape[1], -1)
    grouped = each.transpose(1, 0, 3, 2).reshape(layer.groups, len(each), -1)
    ones = np.ones((*grouped.shape[:2], 1))
    return np.concatenate([grouped.astype(np.float64), ones], axis=2)


def windows(layer: Layer, values: Array) -> Array:
    """A view [n, channels, *positions, *kernel] of what a convolution sees of [n, channels, *plane]."""
    assert layer.window is not None, f"{layer.name} is a convolution"
    window, kernel = layer.window, layer.weight.shape[2:]
    padded = np.pad(values, [(0, 0), (0, 0), *zip(window.before, window.after, strict=True)])
    reach = tuple((size - 1) * step + 1 for size, step in zip(kernel, window.dilations, strict=True))
    plane = tuple(range(2, 2 + len(kernel)))
    every = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=plane)
    thinned = (*_every(window.strides), *_every(window.dilations))
    return np.asarray(every[(slice(None), slice(None), *thinned)])


def batches(samples: Array) -> Iterator[tuple[int, Array]]:
    """Samples a bounded number at a time, each with the index of its first."""
    for start in range(0, len(samples), BATCH):
        yield start, samples[start : start + BATCH]


def _most(evidence: Evidence, rows: int) -> int:
    """Positions of each sample."""
    return max(1, -(-rows // len(evidence.samples)))


def _answered(layer: Layer, seen: Array) -> Array:
    """[rows, outputs] for what it sees, [groups, rows, width]."""
    answers = np.einsum("grw,gow->rgo", seen, matrix(layer), optimize=True)
    return np.asarray(answers.reshape(seen.shape[1], -1))


def _entry(network: Network, layer: Layer, evidence: Evidence, samples: Array) -> Array:
    (name,) = layer.inputs
    return samples if name in network.inputs else evidence.run(network, [name], samples)[name]


def _positions(samples: int, places: int, most: int, seed: tuple[int, ...]) -> Array:
    """[samples, at most `most`] of the places of each sample, in order."""
    if places <= most:
        return np.tile(np.arange(places), (samples, 1))
    rng = np.random.default_rng(seed)
    return np.sort(np.stack([rng.choice(places, most, replace=False) for _ in range(samples)]), axis=1)


def _every(steps: Shape) -> tuple[slice, ...]:
    return tuple(slice(None, None, step) for step in steps)

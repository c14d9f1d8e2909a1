"""Weights put on their integer grid, each row's rounding errors made up for by the weights that are rounded later.

Frantar, Ashkboos, Hoefler & Alistarh, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
Transformers", ICLR 2023: a sweep over the columns with error feedback by the inverse Hessian, here towards the answers
of the original network, with each layer seeing what the rounded layers before it give.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from edge_converters.networks import Array, Evidence, Network
from edge_converters.passes.surgeon import DAMPING, MEMORY, Problem, problems, refit
from edge_converters.passes.unfolding import matrix, moments, with_matrix

BITS: Final = 8


def round_weights(network: Network, evidence: Evidence, *, bits: int = BITS, damping: float = DAMPING) -> Network:
    """The network with every weight on the symmetric grid of its output channel, as float32.

    The grid's step is the channel's largest |weight| / (2 ** (bits - 1) - 1), and one weight lies at the grid's end: a
    quantiser that rounds to nearest by the same rule finds exactly these integers. Zeros stay zeros. Biases stay real
    and take the mean of what rounding changed.
    """
    now = network
    for layer in network.weighted_layers:
        weights = matrix(layer)
        found = problems(moments(network, now, layer.name, evidence), weights, damping)
        rounded = [on_grid(problem, _zeros(rows), bits) for problem, rows in zip(found, weights, strict=True)]
        now = now.replacing(with_matrix(layer, np.stack(rounded)))
    return now


def round_to_nearest(network: Network, *, bits: int = BITS) -> Network:
    """What a quantiser does that looks at no data: each weight to the nearest point of the same grid."""
    changed = []
    for layer in network.weighted_layers:
        rows = matrix(layer)
        step = steps(rows[..., :-1], bits)[..., None]
        changed.append(with_matrix(layer, np.concatenate([np.rint(rows[..., :-1] / step) * step, rows[..., -1:]], -1)))
    return network.replacing(*changed)


def steps(weights: Array, bits: int) -> Array:
    """[...]: the grid's step for each row of [..., width] weights without their bias; for a row of zeros 1."""
    largest = np.abs(weights).max(axis=-1)
    return np.asarray(np.where(largest > 0, largest / levels(bits), 1))


def levels(bits: int) -> int:
    """The largest integer of the symmetric grid."""
    return int(2 ** (bits - 1) - 1)


def on_grid(problem: Problem, held: Array, bits: int) -> Array:
    """[outputs, width]: the best rows on their grids, zero where `held` ([outputs, width]); the bias last and real."""
    batch = max(1, MEMORY // (8 * held.shape[1] ** 2))
    parts = []
    for start in range(0, len(held), batch):
        rows = slice(start, start + batch)
        parts.append(_swept(Problem(problem.hessian, problem.pull[rows], problem.inverse), held[rows], bits))
    return np.concatenate(parts)


def _swept(problem: Problem, held: Array, bits: int) -> Array:
    rows = refit(problem, ~held)
    step, most = steps(rows[:, :-1], bits), levels(bits)
    largest = np.abs(rows[:, :-1]).argmax(axis=1)
    pinned = np.sign(rows[np.arange(len(rows)), largest]) * most
    # the columns that the data wakes most come first; the bias, which is free, makes up for them all
    order = np.append(np.argsort(-np.diag(problem.hessian)[:-1], kind="stable"), len(problem.hessian) - 1)
    feedback = _feedback(problem.hessian, held, order)
    result = rows.copy()
    for place, column in enumerate(order[:-1].tolist()):
        integer = np.clip(np.rint(result[:, column] / step), -most, most)
        value = np.where(held[:, column], 0, np.where(largest == column, pinned, integer) * step)
        error = (result[:, column] - value) / feedback[:, place, place]
        result[:, order[place:]] -= error[:, None] * feedback[:, place, place:]
        result[:, column] = value
    return result


def _feedback(hessian: Array, held: Array, order: Array) -> Array:
    """[outputs or 1, width, width]: the upper Cholesky factor of each row's inverse Hessian, columns in `order`.

    A held weight is cut off from the others, so that it takes no part in making up for them.
    """
    masks = held if held.any() else held[:1]
    cut = masks[:, :, None] | masks[:, None, :]
    own = np.where(cut, np.eye(len(hessian)), hessian)
    inverse = np.linalg.inv(own)[:, order][:, :, order]
    return np.linalg.cholesky((inverse + inverse.transpose(0, 2, 1)) / 2).transpose(0, 2, 1)


def _zeros(rows: Array) -> Array:
    """Which weights are to stay zero; never the bias."""
    held = rows == 0
    held[:, -1] = False
    return np.asarray(held)

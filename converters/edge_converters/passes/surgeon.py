"""Optimal brain surgery on one layer: which weights go first, what the others become, what error that leaves. Pure.

Minimises |Y - W X|^2 over the weights that stay, for rows X with the moments of `unfolding.Moments`: Hassibi & Stork,
"Second Order Derivatives for Network Pruning: Optimal Brain Surgeon", NIPS 1992; exactly and row by row as in Frantar,
Singh & Alistarh, "Optimal Brain Compression", NeurIPS 2022.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_converters.networks import Array
from edge_converters.passes.unfolding import Moments

DAMPING: Final = 0.01
"""Of the mean of the Hessian's diagonal; it ties the weights to those they were."""
MEMORY: Final = 1 << 24
"""Bytes of inverse Hessians worked on at once: what a processor's cache holds."""


@dataclass(frozen=True)
class Pattern:
    """Which zeros are allowed. Weights of a row are in order of kernel place, then input channel."""

    block: int = 1
    """So many neighbouring weights go or stay together."""
    of: int = 0
    """Among each so many neighbours ..."""
    keep: int = 0
    """... this many stay, if `of` is not 0."""

    def fits(self, inputs: int) -> bool:
        """Whether a layer with so many input channels (of a group) can have it."""
        return inputs % (self.of or self.block) == 0

    @property
    def fixed(self) -> float | None:
        """The share of zeros, where the pattern leaves no choice of it."""
        return 1 - self.keep / self.of if self.of else None


UNSTRUCTURED: Final = Pattern()
BLOCK_OF_4: Final = Pattern(block=4)
TWO_OF_FOUR: Final = Pattern(of=4, keep=2)


@dataclass(frozen=True)
class Problem:
    """Least squares of one group of outputs: minimise w H w' - 2 w b for each row w; the bias comes last."""

    hessian: Array
    """[width, width], damped."""
    pull: Array
    """[outputs, width]: b of each row."""
    inverse: Array
    """[width, width]."""

    @property
    def best(self) -> Array:
        """[outputs, width]: the rows that leave the least error when nothing is pruned."""
        return np.asarray(self.pull @ self.inverse)


@dataclass(frozen=True)
class Order:
    """For every row the blocks in the order in which they go, and the error that each adds."""

    blocks: Array
    """[outputs, steps]"""
    losses: Array
    """[outputs, steps], never falling along a row."""


def problems(moments: Moments, weights: Array, damping: float = DAMPING) -> Iterator[Problem]:
    """One for each group. `weights` (see `unfolding.matrix`) are what the damping pulls towards."""
    for inputs, targets, before in zip(moments.inputs, moments.targets, weights, strict=True):
        weight_diagonal = np.diag(inputs)[:-1]
        pulls = np.full(len(inputs), damping * max(float(weight_diagonal.mean()), 1e-12))
        pulls[-1] = 1e-9 * moments.rows  # the bias is free
        hessian = inputs + np.diag(pulls)
        yield Problem(hessian, targets.T + before * pulls, np.linalg.inv(hessian))


def removal_order(problem: Problem, pattern: Pattern, weights: Array) -> Order:
    """Greedily, the block whose removal costs least goes first, and the others move to make up for it."""
    width = problem.hessian.shape[0]
    rows = max(1, MEMORY // (8 * width * width))
    parts = [_ordered(problem, pattern, weights[start : start + rows]) for start in range(0, len(weights), rows)]
    return Order(np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))


def survivors(orders: list[Order], pattern: Pattern, count: int, width: int) -> Array:
    """[groups, outputs, width] of booleans: what stays when `count` blocks go, the cheapest first."""
    losses = np.stack([order.losses for order in orders])
    stays = np.ones((*losses.shape[:2], (width - 1) // pattern.block), bool)
    # equal losses: the earlier step first, so that what goes is a beginning of each row's order
    ranked = np.lexsort([np.broadcast_to(np.arange(losses.shape[2]), losses.shape).ravel(), losses.ravel()])
    chosen = np.unravel_index(ranked[:count], losses.shape)
    blocks = np.stack([order.blocks for order in orders])
    stays[chosen[0], chosen[1], blocks[chosen]] = False
    spread = np.repeat(stays, pattern.block, axis=2)
    return np.concatenate([spread, np.ones((*losses.shape[:2], 1), bool)], axis=2)


def refit(problem: Problem, stays: Array) -> Array:
    """[outputs, width]: the best rows with zeros where not `stays` ([outputs, width])."""
    rows = np.zeros_like(problem.pull)
    for row, kept, pull in zip(rows, stays, problem.pull, strict=True):
        row[kept] = np.linalg.solve(problem.hessian[np.ix_(kept, kept)], pull[kept])
    return rows


def _ordered(problem: Problem, pattern: Pattern, weights: Array) -> tuple[Array, Array]:
    outputs, width = weights.shape
    blocks, size = (width - 1) // pattern.block, pattern.block
    every = np.arange(outputs)
    rows, inverse = weights.copy(), np.repeat(problem.inverse[None], outputs, axis=0)
    columns = np.arange(blocks * size).reshape(blocks, size)
    left = np.ones((outputs, blocks), bool)
    steps = blocks if not pattern.of else blocks // pattern.of * (pattern.of - pattern.keep)
    order, losses = np.zeros((outputs, steps), np.intp), np.zeros((outputs, steps))
    for step in range(steps):
        costs = _costs(rows, inverse, columns)
        costs[~_allowed(left, pattern)] = np.inf
        block = costs.argmin(axis=1)
        order[:, step], losses[:, step] = block, costs[every, block]
        left[every, block] = False
        _eliminate(rows, inverse, columns[block])
    return order, np.maximum.accumulate(np.maximum(losses, 0), axis=1)


def _costs(rows: Array, inverse: Array, columns: Array) -> Array:
    """[outputs, blocks]: the error that removing a block adds. A block that is gone has no meaningful cost."""
    if columns.shape[1] == 1:
        diagonal = np.einsum("oww->ow", inverse)[:, columns[:, 0]]
        return np.asarray(rows[:, columns[:, 0]] ** 2 / np.maximum(diagonal, 1e-300))
    corner = inverse[:, columns[:, :, None], columns[:, None, :]]
    inner = _inverted(corner)
    part = rows[:, columns]
    return np.asarray(np.einsum("obi,obij,obj->ob", part, inner, part, optimize=True))


def _eliminate(rows: Array, inverse: Array, gone: Array) -> None:
    """Takes columns `gone` [outputs, size] out of each row and of its inverse Hessian, in place."""
    every = np.arange(len(rows))
    column = np.take_along_axis(inverse, gone[:, None, :], axis=2)
    corner = np.take_along_axis(column, gone[:, :, None], axis=1)
    solved = column @ _inverted(corner)
    rows -= (solved @ np.take_along_axis(rows, gone, axis=1)[:, :, None])[:, :, 0]
    inverse -= solved @ column.transpose(0, 2, 1)
    rows[every[:, None], gone] = 0
    # exactly nothing is left of them; a tiny number would grow in later steps
    inverse[every[:, None], gone] = 0
    inverse[every[:, None], :, gone] = 0


def _inverted(corner: Array) -> Array:
    """Inverses of small positive matrices; of nothing where a block is already gone."""
    size = corner.shape[-1]
    if size == 1:
        return np.asarray(1 / np.where(corner > 0, corner, np.inf))
    gone = np.einsum("...ii->...i", corner).min(axis=-1) <= 0
    return np.linalg.inv(np.where(gone[..., None, None], np.eye(size), corner))


def _allowed(left: Array, pattern: Pattern) -> Array:
    """[outputs, blocks]: whether a block may go now."""
    if not pattern.of:
        return left
    grouped = left.reshape(len(left), -1, pattern.of)
    free = grouped.sum(axis=2, keepdims=True) > pattern.keep
    return np.asarray((grouped & free).reshape(left.shape))

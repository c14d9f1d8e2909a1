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
"""Bytes of matrices, one for each row, that are in work at once."""
TINY: Final = 1e-300


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
    rows = max(1, MEMORY // (8 * weights.shape[1] ** 2))
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


def inverted(symmetric: Array) -> Array:
    """[..., n, n] inverses; where rounding has left one singular, pseudo-inverses: what is redundant costs nothing."""
    try:
        return np.linalg.inv(symmetric)
    except np.linalg.LinAlgError:
        return np.linalg.pinv(symmetric, hermitian=True)


def refit(problem: Problem, stays: Array) -> Array:
    """[outputs, width]: the best rows with zeros where not `stays` ([outputs, width])."""
    rows = np.zeros_like(problem.pull)
    for row, kept, pull in zip(rows, stays, problem.pull, strict=True):
        row[kept] = np.linalg.solve(problem.hessian[np.ix_(kept, kept)], pull[kept])
    return rows


def _ordered(problem: Problem, pattern: Pattern, weights: Array) -> tuple[Array, Array]:
    outputs, size = len(weights), pattern.block
    blocks = (weights.shape[1] - 1) // size
    every = np.arange(outputs)
    state = _State.start(problem.inverse, weights, size)
    left = np.ones((outputs, blocks), bool)
    steps = blocks if not pattern.of else blocks // pattern.of * (pattern.of - pattern.keep)
    order, losses = np.zeros((outputs, steps), np.intp), np.zeros((outputs, steps))
    for step in range(steps):
        costs = np.where(_allowed(left, pattern), state.costs(), np.inf)
        block = costs.argmin(axis=1)
        order[:, step], losses[:, step] = block, costs[every, block]
        left[every, block] = False
        for place in range(size):
            state.eliminate(block * size + place)
    return order, np.maximum.accumulate(np.maximum(losses, 0), axis=1)


@dataclass
class _State:
    """Rows in the middle of their surgery.

    A row's inverse Hessian without the columns that went is the first one less the outer products of `factors`: a
    Cholesky decomposition whose pivots are what goes. Only its diagonal is kept up to date.
    """

    inverse: Array
    """[width, width], the first one, of all rows."""
    rows: Array
    """[outputs, width]"""
    corners: Array
    """[outputs, blocks, size, size]: the diagonal of each row's inverse, by blocks."""
    factors: Array
    """[outputs, steps, width], of which `count` are there."""
    count: int = 0

    @classmethod
    def start(cls, inverse: Array, weights: Array, size: int) -> _State:
        columns = np.arange(len(inverse) - 1).reshape(-1, size)
        corners = np.repeat(inverse[columns[:, :, None], columns[:, None, :]][None], len(weights), axis=0)
        return cls(inverse, weights.copy(), corners, np.zeros((len(weights), columns.size, len(inverse))))

    def costs(self) -> Array:
        """[outputs, blocks]: the error that removing a block adds; for a block that is gone nothing that counts."""
        outputs, blocks, size, _ = self.corners.shape
        part = self.rows[:, :-1].reshape(outputs, blocks, size)
        if size == 1:
            return np.asarray(part[..., 0] ** 2 / np.maximum(self.corners[..., 0, 0], TINY))
        gone = np.einsum("obii->obi", self.corners).min(axis=2) <= TINY
        inner = inverted(np.where(gone[..., None, None], np.eye(size), self.corners))
        return np.asarray(np.einsum("obi,obij,obj->ob", part, inner, part, optimize=True))

    def eliminate(self, columns: Array) -> None:
        """Takes one column [outputs] out of each row."""
        every, before = np.arange(len(self.rows)), self.factors[:, : self.count]
        shared = before[every, :, columns]
        factor = self.inverse[columns] - (shared[:, None, :] @ before)[:, 0]
        pivot = np.sqrt(np.maximum(factor[every, columns], TINY))[:, None]
        factor /= pivot
        self.rows -= factor * (self.rows[every, columns][:, None] / pivot)
        self.rows[every, columns] = 0
        self.factors[:, self.count] = factor
        self.count += 1
        outputs, blocks, size, _ = self.corners.shape
        part = factor[:, :-1].reshape(outputs, blocks, size)
        self.corners -= part[..., :, None] * part[..., None, :]


def _allowed(left: Array, pattern: Pattern) -> Array:
    """[outputs, blocks]: whether a block may go now."""
    if not pattern.of:
        return left
    grouped = left.reshape(len(left), -1, pattern.of)
    free = grouped.sum(axis=2, keepdims=True) > pattern.keep
    return np.asarray((grouped & free).reshape(left.shape))

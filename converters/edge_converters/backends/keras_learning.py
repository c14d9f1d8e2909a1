"""The training loop: Adam on a cosine, zeros held, and of all epochs the one that answers the validation part best.

The state before the first epoch counts as one of them, so that training which does not help changes nothing. The same
input gives the same weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from edge_converters.backends.keras_aims import Aim
from edge_converters.networks import Array

BATCH: Final = 32
ANSWERED: Final = 256
"""Samples that are answered at once."""
PATIENCE: Final = 10
"""Epochs without a better one before training ends."""
RATES: Final = (3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6)
"""Learning rates that are tried for some batches each; models differ in what they bear by a factor of a thousand."""
TRIAL: Final = 32
"""Batches of a trial, at most."""

Forward = Callable[[Any, bool], Any]
"""Answers a batch; the second argument tells whether it is trained by it."""


@dataclass(frozen=True)
class Part:
    """Inputs [n, ...], labels [n, ...] (zeros where there are none) and the source's answers [n, ...]."""

    x: Array
    y: Array
    taught: Array


@dataclass(frozen=True)
class Room:
    """What is learnt from, and what tells how well."""

    learning: Part
    validation: Part
    calibration: Array
    aim: Aim
    seed: int


@dataclass(frozen=True)
class Pupil:
    """A model that can be trained."""

    forward: Forward
    trainable: Sequence[Any]
    """Variables that change by gradients."""
    state: Sequence[Any]
    """All variables: what an epoch is kept by."""
    settle: Callable[[], None] = lambda: None
    """Called before it is judged."""


@dataclass(frozen=True)
class Learned:
    """Scores on the validation part at the start and at the best epoch; 0: none was better than the start."""

    start: float
    end: float
    epochs: int
    best: int
    rate: float
    """Of learning, at the beginning."""


def learn(pupil: Pupil, room: Room, *, epochs: int, rate: float | None, told: Callable[[int], None]) -> Learned:
    """Train, and leave the pupil as it was in its best epoch; `told` hears of each epoch that is over.

    Without a `rate` one of `RATES` is found by short trials.
    """
    course = _Course(pupil, room)
    loss, start = course.judge()
    kept, best, end, epoch = course.state(), 0, start, 0
    rate = rate or course.find_rate(loss)
    for epoch in range(1, epochs + 1):
        course.train(rate * (1 + np.cos(np.pi * (epoch - 1) / epochs)) / 2)
        told(epoch)
        now, score = course.judge()
        if now < loss:
            loss, kept, best, end = now, course.state(), epoch, score
        elif epoch - best >= PATIENCE:
            break
    course.go_back(kept)
    return Learned(start, end, epoch, best, rate)


def answers(forward: Callable[[Any], Any], x: Array) -> Array:
    """Of all of `x` [n, ...]."""
    parts = [forward(tf.constant(x[start : start + ANSWERED])) for start in range(0, len(x), ANSWERED)]
    return np.concatenate([part.numpy() for part in parts])


class _Course:
    """One pupil's training, epoch by epoch."""

    def __init__(self, pupil: Pupil, room: Room) -> None:
        self._pupil, self._room = pupil, room
        self._optimizer = keras.optimizers.Adam(RATES[0])
        self._optimizer.build(pupil.trainable)
        # what is zero has no gradient, hence no momentum, and stays zero exactly
        self._masks = [tf.constant(_mask(variable)) for variable in pupil.trainable]
        self._step = tf.function(self._follow_gradient)
        self._answer = tf.function(lambda x: pupil.forward(x, False))
        self._rng = np.random.default_rng(room.seed)

    def train(self, rate: float, most: int | None = None) -> None:
        """One epoch, or `most` batches of it."""
        self._optimizer.learning_rate = rate
        part = self._room.learning
        for rows in _batches(self._rng.permutation(len(part.x)))[:most]:
            self._step(*(tf.constant(each[rows]) for each in (part.x, part.y, part.taught)))

    def judge(self) -> tuple[float, float]:
        """Loss and score on the validation part."""
        self._pupil.settle()
        part, aim = self._room.validation, self._room.aim
        given = answers(self._answer, part.x)
        loss = float(aim.loss(given, part.y, part.taught))
        return loss if np.isfinite(loss) else np.inf, aim.score(given, part.y if aim.labelled else part.taught)

    def find_rate(self, start: float) -> float:
        """The highest with at least half the gain of the best: a short trial favours low ones. It leaves nothing."""
        begin, losses = self.state(), []
        for rate in RATES:
            self.train(rate, TRIAL)
            losses.append(self.judge()[0])
            self.go_back(begin)
        enough = min(losses) + max(start - min(losses), 0) / 2
        return next(rate for rate, loss in zip(RATES, losses, strict=True) if loss <= enough)

    def state(self) -> list[Array]:
        """Of all variables, to go back to."""
        return [variable.numpy().copy() for variable in self._pupil.state]

    def go_back(self, state: list[Array]) -> None:
        """To an earlier state, without momentum."""
        for variable, value in zip(self._pupil.state, state, strict=True):
            variable.assign(value)
        for variable in self._optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))
        self._pupil.settle()

    def _follow_gradient(self, x: Any, y: Any, taught: Any) -> None:
        variables = self._pupil.trainable
        with tf.GradientTape() as tape:
            loss = self._room.aim.loss(self._pupil.forward(x, True), y, taught)
        gradients = tape.gradient(loss, [each.value for each in variables], unconnected_gradients="zero")
        self._optimizer.apply([each * mask for each, mask in zip(gradients, self._masks, strict=True)], variables)


def _mask(variable: Any) -> Array:
    """Zero where a kernel's weight is zero; biases and the like may leave zero."""
    value = variable.numpy()
    return (value != 0).astype(np.float32) if variable.name.endswith("kernel") else np.ones_like(value)


def _batches(order: Array) -> list[Array]:
    """Whole ones alone, where there are any: each epoch leaves out others."""
    count = max(1, len(order) // BATCH)
    return [order[start * BATCH : (start + 1) * BATCH] for start in range(count)]

"""Steps that mislead a Keras or SavedModel source, by its own gradients: FGSM, or PGD where there are several steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from edge_converters.backends.arrays import Array, save_arrays
from edge_converters.backends.channel import tell
from edge_converters.backends.tensorflow_source import load
from edge_converters.errors import NotConvertible

REACH = 2.5
"""PGD's steps together go so many times as far as they may, so that they can turn (Madry et al. 2018)."""


def attack(
    source: str, kind: str, inputs: str, starts: str, classes: str | None, sizes: list[float], steps: int, output: str
) -> dict[str, Any]:
    """Write the misleading inputs as `size_<i>` [n, ...] to the .npz `output`.

    `inputs` and `starts` (in -1..1, of a size) are .npy; `classes` the true ones: their probability is lowered. Without
    them the answer is driven away from what it was.

    Raises:
        NotConvertible: the model shows no gradient.
    """
    model = load(source, kind)
    x, begin = np.load(inputs), np.load(starts)
    true = None if classes is None else np.load(classes)
    batch = len(x) if model.shape[0] is None else 1
    made: dict[str, list[Array]] = {f"size_{place}": [] for place in range(len(sizes))}
    call = tf.function(model.call)
    for start in range(0, len(x), batch):
        tell(start, len(x))
        rows = slice(start, start + batch)
        clean = tf.constant(x[rows])
        goal = first(call(clean)) if true is None else tf.constant(true[rows])
        for name, size in zip(made, sizes, strict=True):
            made[name].append(_moved(call, clean, begin[rows] * size, goal, size, steps).numpy())
    save_arrays(output, {name: np.concatenate(parts) for name, parts in made.items()})
    return {}


def _moved(call: Any, clean: Any, begin: Array, goal: Any, size: float, steps: int) -> Any:
    stride = size if steps == 1 else REACH * size / steps
    x = clean + begin
    for _ in range(steps):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = _loss(first(call(x)), goal)
        gradient = tape.gradient(loss, x)
        if gradient is None:
            raise NotConvertible("the source shows no gradient", "Give the Keras file instead of its SavedModel.")
        x = clean + tf.clip_by_value(x + stride * tf.sign(gradient) - clean, -size, size)
    return x


def _loss(answers: Any, goal: Any) -> Any:
    if goal.dtype.is_floating:
        return tf.reduce_sum(tf.square(answers - goal))
    rows = tf.reshape(answers, (tf.shape(answers)[0], -1))
    # probabilities near 1 have hardly any gradient left; their logarithms do
    if rows.shape[1] == 1:
        rows = tf.concat([1 - rows, rows], axis=1)
    sums = tf.reduce_sum(rows, axis=1)
    likely = tf.reduce_all(rows >= 0) & tf.reduce_all(tf.abs(sums - 1) < 0.01)
    logits = tf.cond(likely, lambda: tf.math.log(rows + 1e-12), lambda: rows)
    return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(goal, logits))


def first(answers: dict[str, Any]) -> Any:
    """The first output."""
    return next(iter(answers.values()))

"""What a model that is trained shall answer: labels, its source's answers, or both. Answers are taken before softmax.

Half of the loss is by labels, half by the source's answers at a temperature (Hinton, Vinyals & Dean, "Distilling the
Knowledge in a Neural Network", arXiv 1503.02531); without labels the source's answers alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tensorflow as tf

from edge_converters.errors import BadInput
from edge_converters.networks import Array

TEMPERATURE: Final = 3.0
LABELS_SHARE: Final = 0.5

Loss = Callable[[Any, Any], Any]
"""From answers [n, ...] and what they should be: the mean loss."""


@dataclass(frozen=True)
class Aim:
    """How answers are judged."""

    measure: str
    by_labels: Loss
    by_source: Loss
    score: Callable[[Array, Array], float]
    """Of answers, and of labels or else the source's answers; 1 is best."""
    labelled: bool

    def loss(self, answers: Any, labels: Any, taught: Any) -> Any:
        """What is made small."""
        soft = self.by_source(answers, taught)
        return soft if not self.labelled else LABELS_SHARE * self.by_labels(answers, labels) + (1 - LABELS_SHARE) * soft


def choose_aim(head: str, labels: Array | None, taught: Array) -> Aim:
    """The aim of a model that ends with the function `head`, `taught` being its answers before that [n, ...].

    Raises:
        BadInput: the labels do not fit the answers.
    """
    whole = labels is not None and labels.dtype.kind in "iu"
    rows = taught.ndim == 2
    if head == "softmax" or (whole and rows and head != "sigmoid" and taught.shape[1] > 1):
        if labels is not None:
            _check_classes(labels, taught)
        return _classes(labels is not None)
    if labels is not None and labels.reshape(len(labels), -1).shape[1] != taught.reshape(len(taught), -1).shape[1]:
        raise BadInput(
            f"y of the training data has the shape {labels.shape}, the model answers {taught.shape}",
            "Give as many values a sample as the model answers, or class numbers for a classifier; or leave y out.",
        )
    return _yes_or_no(labels is not None) if head == "sigmoid" else _values(labels is not None, float(np.var(taught)))


def _check_classes(labels: Array, taught: Array) -> None:
    if taught.ndim != 2 or labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise BadInput(
            f"y of the training data is {labels.dtype} of shape {labels.shape}, the model's answers {taught.shape}",
            "Save one class number a sample, or leave y out: then the source's answers are learnt.",
        )
    if labels.min() < 0 or labels.max() >= taught.shape[1]:
        raise BadInput(
            f"y of the training data holds classes {labels.min()} to {labels.max()}, the model tells "
            f"{taught.shape[1]} apart",
            "Number the classes from 0, in the order of the model's answers.",
        )


def _classes(labelled: bool) -> Aim:
    def by_labels(answers: Any, labels: Any) -> Any:
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, answers))

    def by_source(answers: Any, taught: Any) -> Any:
        wanted = tf.nn.softmax(taught / TEMPERATURE)
        found = tf.nn.log_softmax(answers / TEMPERATURE)
        apart = tf.reduce_sum(wanted * (tf.nn.log_softmax(taught / TEMPERATURE) - found), axis=-1)
        return TEMPERATURE**2 * tf.reduce_mean(apart)

    def score(answers: Array, wanted: Array) -> float:
        right = wanted if labelled else wanted.argmax(axis=-1)
        return float(np.mean(answers.argmax(axis=-1) == right))

    return Aim("accuracy" if labelled else "agreement with the source", by_labels, by_source, score, labelled)


def _yes_or_no(labelled: bool) -> Aim:
    def by_labels(answers: Any, labels: Any) -> Any:
        shaped = tf.reshape(tf.cast(labels, tf.float32), tf.shape(answers))
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(shaped, answers))

    def by_source(answers: Any, taught: Any) -> Any:
        return by_labels(answers, tf.nn.sigmoid(taught)) - by_labels(taught, tf.nn.sigmoid(taught))

    def score(answers: Array, wanted: Array) -> float:
        right = wanted.reshape(answers.shape) > 0.5 if labelled else wanted > 0
        return float(np.mean((answers > 0) == right))

    return Aim("accuracy" if labelled else "agreement with the source", by_labels, by_source, score, labelled)


def _values(labelled: bool, variance: float) -> Aim:
    scale = max(variance, 1e-12)

    def by_values(answers: Any, wanted: Any) -> Any:
        return tf.reduce_mean(tf.square(answers - tf.reshape(tf.cast(wanted, tf.float32), tf.shape(answers)))) / scale

    def score(answers: Array, wanted: Array) -> float:
        true = wanted.reshape(answers.shape).astype(np.float64)
        return float(1 - np.mean((answers - true) ** 2) / max(true.var(axis=0).mean(), 1e-12))

    return Aim("R2" if labelled else "R2 against the source", by_values, by_values, score, labelled)

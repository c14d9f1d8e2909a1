"""How a model is judged follows from its answers: classes, values, or many of both; what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest

from edge_converters.errors import BadInput
from edge_converters.metrics import choose_metric, scores

RNG = np.random.default_rng(4)
LOGITS = RNG.normal(size=(40, 5)).astype(np.float32)
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
LABELS = PROBABILITIES.argmax(axis=1)
ROWS = np.arange(40)

KINDS = {
    "labels": ({"p": PROBABILITIES}, LABELS, (7,), 0, "accuracy", "classification"),
    "probabilities": ({"p": PROBABILITIES}, None, (7,), 0, "top-class agreement", "classification"),
    "one probability": ({"p": PROBABILITIES[:, :1]}, None, (7,), 0, "top-class agreement", "classification"),
    "logits with names": ({"p": LOGITS}, None, (7,), 5, "top-class agreement", "classification"),
    "values in a row": ({"v": LOGITS}, None, (7,), 0, "variance of the source's answers", "regression"),
    "an autoencoder": ({"v": LOGITS}, None, (5,), 0, "variance of the source's answers", "regression"),
    "of pictures": ({"v": LOGITS.reshape(8, 5, 5, 1)}, None, (5, 5, 1), 0, "variance of the source's", "regression"),
    "a detector": ({"b": LOGITS, "s": LOGITS}, None, (7,), 0, "elements within 5 %", "other"),
    "a map": ({"m": LOGITS.reshape(8, 5, 5)}, None, (7,), 0, "elements within 5 %", "other"),
}


@pytest.mark.parametrize(("answers", "labels", "sample", "named", "name", "task"), KINDS.values(), ids=KINDS.keys())
def test_the_metric_fits_the_answers(answers, labels, sample, named, name, task):
    metric = choose_metric(answers, labels, sample, named)

    assert metric.name.startswith(name)
    assert metric.task == task
    rows = np.arange(len(next(iter(answers.values()))))
    assert scores(metric, answers, answers, rows).tolist() == [1.0] * len(rows)


REFUSED = {
    "labels for an autoencoder": ({"v": LOGITS}, LABELS, (5,), 0, r"model gives none: it answers with v \(5,\)"),
    "labels for a detector": ({"b": LOGITS, "s": LOGITS}, LABELS, (7,), 0, r"it answers with b \(5,\), s \(5,\)"),
    "names for a map": ({"m": LOGITS.reshape(8, 5, 5)}, None, (7,), 5, "there are class names, but the model gives"),
    "too many classes": ({"p": PROBABILITIES}, LABELS + 1, (7,), 0, "y holds classes 1 to 5, the model tells 5 apart"),
    "negative classes": ({"p": PROBABILITIES}, LABELS - 1, (7,), 0, "y holds classes -1 to 3"),
    "too few names": ({"p": PROBABILITIES}, None, (7,), 4, "there are 4 class names, the model tells 5 apart"),
}


@pytest.mark.parametrize(("answers", "labels", "sample", "named", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_labels_that_do_not_fit_are_refused(answers, labels, sample, named, sentence):
    with pytest.raises(BadInput, match=sentence) as refusal:
        choose_metric(answers, labels, sample, named)

    assert refusal.value.hint


def test_kept_variance_is_r2_and_does_not_count_what_is_the_same_in_every_answer():
    level = np.linspace(50, 90, 5, dtype=np.float32)
    answers = {"v": LOGITS + level}
    metric = choose_metric(answers, None, (5,))
    noisy = {"v": answers["v"] + np.sqrt(np.float32(0.01)) * RNG.permutation(LOGITS)}

    assert scores(metric, answers, noisy, ROWS).mean() == pytest.approx(0.99, abs=0.003)
    mean_answer = {"v": np.broadcast_to(answers["v"].mean(axis=0), LOGITS.shape)}
    assert scores(metric, answers, mean_answer, ROWS).mean() < 0.25

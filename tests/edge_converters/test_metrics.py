"""How a model is judged follows from its answers: classes, values, or many of both; what does not fit is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as known

from edge_converters.answers import count_confusions
from edge_converters.costs import read_costs
from edge_converters.decisions import judge_split
from edge_converters.detection import Found, mean_average_precision, overlap, suppress
from edge_converters.doubts import doubt
from edge_converters.errors import BadInput
from edge_converters.guard import Guard, Verdict
from edge_converters.measures import METRICS, choose_metric
from edge_converters.metrics import Metric, Outputs, scores, sliced

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


def test_labels_that_have_nothing_to_do_with_the_answers_are_doubted():
    answers = {"p": np.eye(5)[np.arange(400) % 5]}
    right, mixed = np.arange(400) % 5, np.arange(400) // 5 % 5
    by_chance = doubt(choose_metric(answers, mixed, (7,)), answers)

    assert by_chance is not None
    assert "guessing among 5 classes is right in 20.0%" in by_chance
    assert doubt(choose_metric(answers, right, (7,)), answers) is None
    assert doubt(choose_metric(answers, None, (7,)), answers) is None


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


def judged(metric: Metric, reference: Outputs, outputs: Outputs, rows: np.ndarray):
    found = metric.weigh(reference, outputs, rows)
    return found.source, found.variant, found.upper(found.n)


MANY = RNG.normal(size=(400, 4))
MANY[np.arange(400), RNG.integers(0, 4, 400)] += 2
WORSE = MANY + RNG.normal(size=MANY.shape) * 0.8
TRUE = np.where(RNG.random(400) < 0.8, MANY.argmax(axis=1), RNG.integers(0, 4, 400))
ALL = np.arange(400)


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_f1_top_and_auc_are_the_known_ones():
    """scikit-learn's, on four classes given as probabilities."""
    before, after = softmax(MANY), softmax(WORSE)
    expected = {
        "f1": lambda p: known.f1_score(TRUE, p.argmax(axis=1), average="macro"),
        "top-2": lambda p: known.top_k_accuracy_score(TRUE, p, k=2),
        "auc": lambda p: known.roc_auc_score(TRUE, p, multi_class="ovr"),
        "accuracy": lambda p: known.accuracy_score(TRUE, p.argmax(axis=1)),
    }
    for name, value in expected.items():
        metric = choose_metric({"p": before}, TRUE, (7,), asked=name)
        source, variant, bound = judged(metric, {"p": before}, {"p": after}, ALL)
        assert (source, variant) == (pytest.approx(value(before)), pytest.approx(value(after)))
        assert source - variant < bound < source - variant + 0.1


def test_logits_give_the_same_auc_as_their_probabilities():
    found = [
        judged(choose_metric({"p": before}, TRUE, (7,), asked="auc"), {"p": before}, {"p": after}, ALL)
        for before, after in ((MANY, WORSE), (softmax(MANY), softmax(WORSE)))
    ]

    assert found[0] == pytest.approx(found[1])


@given(st.integers(0, 2**32))
def test_an_auc_of_two_classes_counts_the_pairs_ranked_right(seed: int):
    rng = np.random.default_rng(seed)
    told = rng.integers(0, 5, 20) / 4
    true = np.r_[0, 1, rng.integers(0, 2, 18)]
    metric = choose_metric({"p": told[:, None]}, true, (7,), asked="auc")
    value = metric.weigh({"p": told[:, None]}, {"p": told[:, None]}, np.arange(20)).source

    assert value == pytest.approx(known.roc_auc_score(true, told))


def test_the_bound_of_an_auc_difference_is_delongs():
    """The covariance of placements (DeLong et al. 1988, equation 5), for 60 anomalies among 340 ordinary samples."""
    true = np.r_[np.ones(60, np.int64), np.zeros(340, np.int64)]
    before = RNG.normal(size=400) + 1.5 * true
    after = before + RNG.normal(size=400) * 0.5
    metric = choose_metric({"p": before[:, None]}, true, (7,), asked="auc")
    source, variant, bound = judged(metric, {"p": before[:, None]}, {"p": after[:, None]}, ALL)
    places = []
    for told in (before, after):
        wins = (told[:60, None] > told[None, 60:]).astype(float)
        places.append((wins.mean(axis=1), wins.mean(axis=0)))
    positive, negative = (np.var(one - other, ddof=1) for one, other in zip(*places, strict=True))
    error = np.sqrt(positive / 60 + negative / 340)

    assert bound - (source - variant) == pytest.approx(1.67 * error, rel=0.03)


def test_an_autoencoder_is_judged_by_how_it_tells_anomalies():
    x = RNG.normal(size=(200, 6)).astype(np.float32)
    y = (np.arange(200) % 4 == 0).astype(np.int64)
    good = x + (0.1 + 0.4 * y[:, None]) * RNG.normal(size=x.shape)
    blunt = x + 0.5 * RNG.normal(size=x.shape)
    metric = choose_metric({"v": good}, y, (6,), asked="auc-reconstruction", inputs=x)
    judgement = judge_split(sliced(metric, {}), {"v": good}, {"v": blunt}, np.arange(200), Guard())

    assert judgement.source == pytest.approx(known.roc_auc_score(y, np.square(good - x).mean(axis=1)))
    assert judgement.verdict is Verdict.FAIL
    assert {each.name for each in judgement.slices} == {"class 0", "class 1"}


def test_rmse_is_in_the_units_of_the_answer_and_its_drop_is_the_rise_as_a_share():
    y = RNG.normal(size=(300, 1)).astype(np.float32) * 50
    before, after = y + RNG.normal(size=y.shape) * 2, y + RNG.normal(size=y.shape) * 2.02
    metric = choose_metric({"v": before}, y[:, 0], (7,), asked="rmse")
    judgement = judge_split(metric, {"v": before}, {"v": after}, np.arange(300), Guard(0.2, 0.2))

    assert judgement.source == pytest.approx(known.root_mean_squared_error(y, before))
    assert judgement.drop == pytest.approx(judgement.variant / judgement.source - 1)
    assert judgement.verdict is Verdict.PASS
    assert choose_metric({"v": before}, y, (7,)).name == "R2"


def test_true_values_are_judged_by_r2():
    y = RNG.normal(size=(300, 2)).astype(np.float32)
    before = y + 0.1 * RNG.normal(size=y.shape)
    metric = choose_metric({"v": before}, y, (7,))

    assert scores(metric, {"v": before}, {"v": before}, np.arange(300)).mean() == pytest.approx(
        known.r2_score(y, before, multioutput="variance_weighted"), abs=1e-6
    )


def test_a_false_negative_that_costs_five_times_a_false_positive_weighs_as_much(tmp_path: Path):
    for name, text in (("costs.toml", "matrix = [[0, 1], [5, 0]]"), ("costs.csv", "0,1\n5,0\n")):
        (tmp_path / name).write_text(text)
        costs = read_costs(tmp_path / name)
        told = np.array([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.1, 0.9]])
        metric = choose_metric({"p": told}, np.array([0, 0, 1, 1]), (7,), costs=costs)

        assert scores(metric, {"p": told}, {"p": told}, np.arange(4)).tolist() == [1, 0.8, 0, 1]


def test_a_users_function_judges_samples_or_all_of_them(tmp_path: Path):
    (tmp_path / "own.py").write_text(
        "def sure(outputs, labels):\n    p = outputs['p']\n    return p[range(len(p)), labels]\n\n"
        "def gap(outputs, labels):\n    right = outputs['p'].argmax(1) == labels\n    return right.mean() ** 2\n"
    )
    before, after = {"p": softmax(MANY)}, {"p": softmax(WORSE)}
    sure = choose_metric(before, TRUE, (7,), asked=f"{tmp_path / 'own.py'}:sure")
    gap = choose_metric(before, TRUE, (7,), asked=f"{tmp_path / 'own.py'}:gap")

    assert judged(sure, before, after, ALL)[0] == pytest.approx(before["p"][ALL, TRUE].mean())
    source, variant, bound = judged(gap, before, after, ALL)
    assert source == pytest.approx((before["p"].argmax(axis=1) == TRUE).mean() ** 2)
    assert source - variant < bound < source - variant + 0.15
    assert gap.name.endswith("own.py:gap")


OWN_FAULTS = {
    "no file": ("nothing.py:f", "", r"nothing\.py is no Python file"),
    "no function": ("own.py:g", "def f(): pass", "has no function g"),
    "broken": ("own.py:f", "1 / 0", "fails: ZeroDivisionError"),
    "ends": ("own.py:f", "def f(o, y):\n    raise SystemExit(3)", "fails: SystemExit: 3"),
    "fails": ("own.py:f", "def f(o, y):\n    return o['q']", "fails: KeyError: 'q'"),
    "shape": ("own.py:f", "def f(o, y):\n    return o['p']", r"returns the shape \(40, 5\) for 40 samples"),
    "range": ("own.py:f", "def f(o, y):\n    return 7.5", "returns scores from 7.5 to 7.5"),
}


@pytest.mark.parametrize(("place", "text", "sentence"), OWN_FAULTS.values(), ids=OWN_FAULTS.keys())
def test_a_users_function_that_does_not_fit_is_named(tmp_path: Path, place: str, text: str, sentence: str):
    (tmp_path / "own.py").write_text(text)

    with pytest.raises(BadInput, match=sentence) as refusal:
        choose_metric({"p": PROBABILITIES}, LABELS, (7,), asked=str(tmp_path / place))

    assert refusal.value.hint


UNFIT = {
    "unknown": ({"p": PROBABILITIES}, LABELS, "acuracy", "there is no metric 'acuracy'"),
    "too many on top": ({"p": PROBABILITIES}, LABELS, "top-5", "top-5 of 5 classes is always right"),
    "no labels": ({"p": PROBABILITIES}, None, "f1", "there are no classes in y"),
    "no true values": ({"v": LOGITS}, None, "rmse", "rmse needs true values"),
    "other true values": (
        {"v": LOGITS},
        np.float32(LABELS),
        "r2",
        r"shape \(\) for each sample, the model answers with",
    ),
    "no autoencoder": ({"p": PROBABILITIES}, LABELS, "auc-reconstruction", "answers with its own input"),
    "no detector": ({"p": PROBABILITIES}, LABELS, "map50", "map50 needs boxes"),
    "no objects": (
        {"b": LOGITS.reshape(10, 5, 4), "s": LOGITS.reshape(10, 5, 4)[..., :2]},
        None,
        "map50",
        "true objects",
    ),
    "one class": ({"p": PROBABILITIES}, LABELS * 0, "auc", "hold only class 0"),
}


@pytest.mark.parametrize(("answers", "labels", "asked", "sentence"), UNFIT.values(), ids=UNFIT.keys())
def test_a_metric_that_does_not_fit_is_refused(answers, labels, asked, sentence):
    with pytest.raises(BadInput, match=sentence) as refusal:
        choose_metric(answers, labels, (7,), asked=asked, inputs=LOGITS).weigh(answers, answers, ROWS)

    assert refusal.value.hint


@pytest.mark.parametrize("text", ["0,1", "0,-1\n5,0", "1,1\n5,0", "0,x\n5,0", "0,0\n0,0", "0,nan\n1,0"])
def test_costs_that_are_no_costs_are_refused_with_an_example(tmp_path: Path, text: str):
    (tmp_path / "costs.csv").write_text(text)

    with pytest.raises(BadInput) as refusal:
        read_costs(tmp_path / "costs.csv")

    assert "[[0, 1], [5, 0]]" in refusal.value.hint


def test_a_class_lost_for_another_is_seen_in_its_slice_and_in_the_confusion():
    true = np.repeat(np.arange(5), 60)
    before = np.eye(5)[true] * 0.9 + 0.02
    after = before.copy()
    after[180:240] = np.eye(5)[4] * 0.9 + 0.02
    metric = sliced(choose_metric({"p": before}, true, (7,)), {}, ("up", "down", "left", "right", "stop"))
    judgement = judge_split(metric, {"p": before}, {"p": after}, np.arange(300), Guard(0.25, 0.1))

    assert [each.name for each in judgement.failed_slices] == ["class right"]
    assert judgement.confusion is not None
    assert judgement.confusion.classes[3] == "right"
    assert judgement.confusion.before[3] == (0, 0, 0, 60, 0)
    assert judgement.confusion.after[3] == (0, 0, 0, 0, 60)


def test_without_labels_the_sources_classes_are_the_slices():
    metric = sliced(choose_metric({"p": PROBABILITIES}, None, (7,)), {})

    assert sum(members.sum() for members in metric.members.values()) == 40
    confusion = count_confusions(metric, {"p": PROBABILITIES}, {"p": PROBABILITIES}, ROWS)
    assert confusion is not None
    assert np.trace(np.array(confusion.before)) == 40


CLASSIFIER_METRICS = sorted(set(METRICS) - {"auc-reconstruction", "rmse-reconstruction", "r2", "rmse", "map50"})


@pytest.mark.parametrize("name", CLASSIFIER_METRICS)
def test_every_metric_of_a_classifier_bounds_what_was_lost(name: str):
    before, after = {"p": softmax(MANY)}, {"p": softmax(WORSE)}
    source, variant, bound = judged(choose_metric(before, TRUE, (7,), asked=name), before, after, ALL)

    assert 0 < source - variant < bound < 0.5


def scene(rng: np.random.Generator, shift: float) -> tuple[Outputs, np.ndarray]:
    """Of 40 pictures with two objects of three classes: anchors on them, off by `shift`, among noise."""
    corner = rng.uniform(0, 0.7, (40, 2, 2))
    boxes = np.concatenate([corner, corner + 0.2], axis=2)
    label = rng.integers(0, 3, (40, 2))
    true = np.concatenate([label[..., None], boxes], axis=2).astype(np.float32)
    found = np.concatenate([boxes + shift, boxes + shift + 0.01, rng.uniform(0, 1, (40, 6, 4))], axis=1)
    told = np.concatenate([np.eye(3)[label] * 0.9, np.eye(3)[label] * 0.8, rng.uniform(0, 0.04, (40, 6, 3))], axis=1)
    return {"boxes": found, "scores": told}, true


def test_a_detector_is_judged_by_its_boxes():
    exact, true = scene(np.random.default_rng(1), 0.0)
    beside, _ = scene(np.random.default_rng(1), 0.12)
    metric = choose_metric(exact, true, (3, 240, 320), asked="map50")

    assert judged(metric, exact, exact, ROWS)[:2] == (1.0, 1.0)
    assert judge_split(metric, exact, beside, ROWS, Guard()).verdict is Verdict.FAIL
    assert scores(metric, exact, exact, ROWS).tolist() == [1.0] * 40


def test_average_precision_is_the_area_under_the_precision_that_is_still_to_come():
    """Hit, miss, hit of three objects: precision 1 up to recall 1/3, 2/3 up to 2/3, and one is never found."""
    found = Found(np.array([0.9, 0.8, 0.7]), np.zeros(3, int), np.array([True, False, True]), np.array([3, 0]))

    assert mean_average_precision([found]) == pytest.approx(1 / 3 + 2 / 3 / 3)


def test_an_object_found_twice_counts_once_and_overlaps_are_suppressed():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [0, 5, 10, 15]], float)

    assert overlap(boxes, boxes)[0].tolist() == pytest.approx([1, 9 / 11, 0, 1 / 3])
    assert suppress(boxes).tolist() == [0, 2, 3]

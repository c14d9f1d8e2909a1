"""A conversion says so when it cannot know, when its data cannot be right, and what data it never looked at shows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge_contracts.ids import ModelName
from edge_converters.conversion import convert
from edge_converters.datasets import Data, Samples, make_data
from edge_converters.guard import Guard, Verdict
from edge_converters.identity import Identity
from edge_converters.job import Method, Proof
from edge_converters.reports import Conversion, as_json
from edge_profiles.boards import load
from tests.edge_converters.conftest import KEYWORD_INPUT, Shared

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def converted(shared: Shared, data: Data, folder: Path, **asked) -> Conversion:
    source, board = shared / "keyword_spotting/kws_ref_model", load("cortex-m4-stm32l4r5")
    return convert(source, [board], data, output=folder / "bundle", method=Method(latency=False), **asked)


@pytest.mark.parametrize("scale", [100, 0.01])
def test_calibration_of_another_scale_fails_with_its_cause_and_nothing_is_written(
    shared: Shared, keyword_data: Data, tmp_path: Path, scale: float
):
    calibration = Samples(keyword_data.calibration.x.astype(np.float32) * scale, None)
    data = make_data(calibration, keyword_data.evaluation, KEYWORD_INPUT)
    outcome = converted(shared, data, tmp_path)

    assert outcome.verdict is Verdict.FAIL
    assert outcome.bundle is None
    assert list(tmp_path.iterdir()) == []
    (report,) = outcome.reports
    assert "calibration inputs range over" in report.best.sentence
    assert "while evaluation inputs range over -3 to 115" in report.best.sentence
    assert "Prepare both files in the same way" in report.hint


def test_a_fifth_of_a_point_with_50_labels_is_undecidable_with_the_number_needed(
    shared: Shared, keyword_data: Data, tmp_path: Path
):
    few = keyword_data.evaluation.take(np.random.default_rng(0).choice(399, 50, replace=False))
    data = make_data(keyword_data.calibration, few, KEYWORD_INPUT)
    outcome = converted(shared, data, tmp_path, proof=Proof(Guard(max_drop=0.002, slack=0)))

    assert outcome.verdict is Verdict.UNDECIDABLE
    (report,) = outcome.reports
    judgement = report.best.judgement
    assert judgement is not None
    assert judgement.n == 35
    assert judgement.needed is not None
    assert judgement.needed > 35
    assert f"of which the decision takes {judgement.needed}" in report.hint


def test_a_test_split_is_reported_beside_the_decision_with_slices_and_confusions(
    shared: Shared, keyword_data: Data, tmp_path: Path
):
    evaluation = keyword_data.evaluation
    evaluation = Samples(evaluation.x, evaluation.y, {"site": np.arange(399) % 2})
    data = make_data(
        keyword_data.calibration,
        evaluation.take(np.arange(300)),
        KEYWORD_INPUT,
        test=evaluation.take(np.arange(300, 399)),
    )
    names = tuple((shared / "keyword_spotting/labels.txt").read_text().split())
    identity, proof = Identity(ModelName("keywords"), labels=names), Proof(Guard(0.05, 0.05), metric="f1")
    outcome = converted(shared, data, tmp_path, identity=identity, proof=proof)

    assert outcome.verdict is Verdict.PASS
    assert outcome.samples == {"calibration": 100, "ranking": 90, "decision": 210, "test": 99}
    (plain,) = as_json(outcome)["reports"]
    judgement = next(each["judgement"] for each in plain["candidates"] if each["judgement"])
    assert json.dumps(plain)
    assert plain["test"]["n"] == 99
    assert plain["test"]["source"] > 0.8
    assert {each["name"] for each in judgement["slices"]} >= {f"class {names[0]}", "site 0", "site 1"}
    assert np.sum(judgement["confusion"]["before"]) == np.sum(judgement["confusion"]["after"]) == 210
    assert judgement["confusion"]["classes"] == list(names)

"""Keras files of both generations become variants, judged as fits their answers; a cut one is the user's to repair."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_converters.datasets import Data, Samples, make_data
from edge_converters.errors import BadInput
from edge_converters.guard import Guard, Verdict
from edge_converters.tasks import Task
from edge_converters.variants import make_variant
from edge_converters.workers import Worker
from edge_profiles.boards import load
from edge_profiles.schemes import Scheme
from tests.edge_converters.conftest import Shared, own_profile, shop_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MODELS = {
    "anomaly_detection/ad01.h5": [None, 640],
    "image_classification/pretrainedResnet.h5": [None, 32, 32, 3],
    "visual_wake_words/vww_96.h5": [None, 96, 96, 3],
    "streaming_wakeword/str_ww_ref_model.h5": [None, 30, 1, 40],
}


def spectra() -> Data:
    """Made up: five frames of 128 bands, alike from frame to frame."""
    rng = np.random.default_rng(0)
    level, slow = rng.normal(-3, 8, (1, 1, 128)), rng.normal(0, 1, (160, 1, 128)).cumsum(axis=2)
    x = (level + slow + rng.normal(0, 1.5, (160, 5, 128))).reshape(160, 640).astype(np.float32)
    return make_data(Samples(x[:60], None), Samples(x[60:], None))


def test_keras_files_are_read_the_old_ones_too_and_cut_ones_refused(
    shared: Shared, made_by_tensorflow: Path, worker: Worker, tmp_path: Path
):
    cut = tmp_path / "cut.h5"
    cut.write_bytes((shared / "anomaly_detection/ad01.h5").read_bytes()[:50_000])
    paths = {shared / name: shape for name, shape in MODELS.items()} | {made_by_tensorflow / "small.keras": [None, 6]}
    for path, shape in paths.items():
        found = worker.call(Task.DESCRIBE_TENSORFLOW, source=str(path), kind="keras")
        assert found["shape"] == shape, path.name

    with pytest.raises(BadInput, match=r"cut\.h5 is not a readable model") as refusal:
        worker.call(Task.DESCRIBE_TENSORFLOW, source=str(cut), kind="keras")
    assert refusal.value.hint


def test_a_file_of_keras_2_becomes_a_variant_for_each_kind_of_runtime(shared: Shared, worker: Worker, tmp_path: Path):
    """A wake word, told by its real spectrograms at various loudness; without labels agreement counts."""
    with np.load(shared / "streaming_wakeword/calibration_samples.npz") as arrays:
        real, rng = arrays["specs"].astype(np.float32), np.random.default_rng(0)
    louder = np.concatenate([real * rng.uniform(0.85, 1.1, (45, 1, 1, 1)).astype(np.float32) for _ in range(6)])
    data = make_data(Samples(real, None), Samples(louder, None))
    boards = [load(name) for name in ("x86-64-vnni", "rpi4-litert", "cortex-m4-stm32l4r5")]
    source = shared / "streaming_wakeword/str_ww_ref_model.h5"

    shop = shop_for(source, data, worker, tmp_path)
    made = [make_variant(board, shop) for board in boards]

    assert shop.metric.name == "top-class agreement with the source"
    assert [(each.report.verdict, each.report.taken) for each in made] == [
        (Verdict.PASS, "qdq-u8s8"),
        (Verdict.PASS, "int8"),
        (Verdict.PASS, "int8"),
    ]
    assert all(each.variant is not None and each.variant.answers is not None for each in made)


def test_an_autoencoder_is_judged_by_the_variance_that_is_kept_not_by_a_class(
    shared: Shared, worker: Worker, tmp_path: Path
):
    """Made-up spectra that int8 carries within a point if some layers stay float; an int8-only board is told so."""
    data = spectra()
    pi = own_profile("pi-without-dynamic", "rpi4-litert", 'int8", "fp16', tmp_path)
    source = shared / "anomaly_detection/ad01.h5"

    shop = shop_for(source, data, worker, tmp_path)
    on_pi, on_board = (make_variant(board, shop).report for board in (pi, load("cortex-m4-stm32l4r5")))

    assert shop.metric.name.startswith("variance of the source's answers that is kept")
    assert on_board.verdict is Verdict.UNREACHABLE
    assert on_board.variant is None
    assert on_pi.verdict is Verdict.PASS
    assert on_pi.taken is not None
    assert re.fullmatch(r"int8 \+ [1-9] layers kept in float", on_pi.taken)
    assert [candidate.judgement is None for candidate in on_pi.candidates] == [True, True, True, True, True, False]
    assert "in ranking (n = 30), over the 1.00 allowed" in on_pi.candidates[0].sentence
    assert on_board.best.judgement is not None
    assert 0.01 < on_board.best.judgement.drop < 0.5
    assert "allow it by --max-drop 0." in on_board.hint


def test_a_size_budget_is_kept_by_one_scale_for_dense_layers_whose_channels_are_alike(
    shared: Shared, worker: Worker, tmp_path: Path
):
    """The anomaly autoencoder in 280,000 bytes: with a scale for each channel the file has 293,664."""
    data = spectra()
    board = load("cortex-m4-stm32l4r5")
    assert board.budgets.size is not None
    size = board.budgets.size.model_copy(update={"value": 280_000.0})
    budgets = board.budgets.model_copy(update={"size": size})
    small = board.model_copy(update={"schemes": (Scheme.INT8,), "budgets": budgets})
    shop = replace(shop_for(shared / "anomaly_detection/ad01.h5", data, worker, tmp_path), guard=Guard(0.2, 0.1))

    made = make_variant(small, shop)

    assert made.report.verdict is Verdict.PASS
    assert made.report.taken == "int8 + one scale for dense layers of alike channels"
    assert made.variant is not None
    assert made.variant.figures["size"].value <= 280_000
    assert all("budgets.size" in each.sentence for each in made.report.candidates[:-1])

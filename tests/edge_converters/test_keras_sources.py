"""Keras files of both generations are read, and a cut one is the user's to repair."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_converters.errors import BadInput
from edge_converters.tasks import Task
from edge_converters.workers import Worker
from tests.edge_converters.conftest import Shared

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MODELS = {
    "anomaly_detection/ad01.h5": [None, 640],
    "image_classification/pretrainedResnet.h5": [None, 32, 32, 3],
    "visual_wake_words/vww_96.h5": [None, 96, 96, 3],
    "streaming_wakeword/str_ww_ref_model.h5": [None, 30, 1, 40],
}


def test_keras_files_are_read_the_old_ones_too_and_cut_ones_refused(shared: Shared, tmp_path: Path):
    cut = tmp_path / "cut.h5"
    cut.write_bytes((shared / "anomaly_detection/ad01.h5").read_bytes()[:50_000])
    with Worker() as worker:
        for name, shape in MODELS.items():
            found = worker.call(Task.DESCRIBE_TENSORFLOW, source=str(shared / name), kind="keras")
            assert found["shape"] == shape, name

        with pytest.raises(BadInput, match=r"cut\.h5 is not a readable model") as refusal:
            worker.call(Task.DESCRIBE_TENSORFLOW, source=str(cut), kind="keras")
    assert refusal.value.hint

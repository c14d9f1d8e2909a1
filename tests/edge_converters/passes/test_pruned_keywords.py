"""The keyword model with half of its weights zero, one-shot and without labels, still knows its keywords."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_converters.backends.onnx_network import read, runner, write
from edge_converters.datasets import Data
from edge_converters.networks import Evidence
from edge_converters.passes.judging import answers, output_error
from edge_converters.passes.pruning import prune
from edge_converters.passes.rounding import round_weights

pytestmark = pytest.mark.slow


def test_half_of_the_weights_go_and_the_keywords_stay_known(keyword_onnx: Path, keyword_data: Data):
    content = keyword_onnx.read_bytes()
    network, run = read(content), runner(content)
    calibration, others = (
        keyword_data.model_input(part.x) for part in (keyword_data.calibration, keyword_data.evaluation)
    )
    expected = answers(network, run, others)

    pruned = prune(network, Evidence(calibration, run), sparsity=0.5)
    written = write(content, round_weights(pruned, Evidence(calibration, run)))

    half = network.weight_count // 2
    assert sum(int((layer.weight == 0).sum()) for layer in read(written).weighted_layers) >= half
    assert output_error(pruned, run, others, expected) < 0.04
    scores = answers(read(written), runner(written), others)[0]
    right, right_before = ((each.argmax(axis=1) == keyword_data.evaluation.y).mean() for each in (scores, expected[0]))
    assert right > right_before - 0.03
    assert (scores.argmax(axis=1) == expected[0].argmax(axis=1)).mean() > 0.92
    assert np.isfinite(scores).all()

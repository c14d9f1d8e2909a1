"""A detector from an old ONNX file, two outputs, no labels: judged by agreement with the float model."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edge_converters.bundles import read_bundle
from edge_converters.guard import Verdict
from tests.edge_converters.conftest import Converted

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

Convert = Callable[[str], Converted]


@pytest.mark.parametrize("profile", ["x86-64-vnni", "rpi4-litert", "gpu-litert", "ethos-u55-128"])
def test_a_detector_is_converted_and_agrees_with_its_source(face_conversion: Convert, profile: str):
    outcome = face_conversion(profile).outcome

    assert outcome.verdict is Verdict.PASS, outcome.reports
    assert outcome.bundle is not None
    manifest = read_bundle(outcome.bundle).manifest
    (variant,) = manifest.variants
    assert manifest.task == "other"
    assert manifest.baseline.classes == ()
    assert sorted(spec.name for spec in variant.outputs) == ["boxes", "scores"]
    assert variant.accuracy is not None
    assert variant.accuracy.variant_value > 0.99


def test_the_detector_is_one_partition_on_the_tensor_processor(face_conversion: Convert):
    """Its 25 batch normalisations are folded; left alone they cut the graph into 26 pieces."""
    (report,) = face_conversion("hexagon-qnn").outcome.reports

    assert report.verdict is Verdict.PASS, report
    assert report.figures is not None
    assert report.figures["partitions"].value == 1
    assert report.figures["npu_within_1_lsb"].value >= 0.5


def test_a_model_too_large_for_the_microcontroller_is_refused_with_the_reason(face_conversion: Convert):
    outcome = face_conversion("cortex-m4-stm32l4r5").outcome
    (report,) = outcome.reports

    assert outcome.verdict is Verdict.FAIL
    assert outcome.bundle is None
    assert "EXP" in report.candidates[0].sentence
    assert report.candidates[0].hint

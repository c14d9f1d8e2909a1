"""A detector from an old ONNX file, two outputs, no labels: judged by agreement with the float model."""

from __future__ import annotations

import pytest

from edge_converters.bundles import read_bundle
from edge_converters.guard import Verdict
from tests.edge_converters.conftest import FACE_PROFILES, Converted

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_detector_is_converted_and_agrees_with_its_source(face_conversion: Converted):
    outcome = face_conversion.outcome

    assert outcome.verdict is Verdict.PASS, outcome.reports
    assert outcome.bundle is not None
    manifest = read_bundle(outcome.bundle).manifest
    assert manifest.task == "other"
    assert manifest.baseline.classes == ()
    assert [variant.profile for variant in manifest.variants] == list(FACE_PROFILES)
    for variant in manifest.variants:
        assert sorted(spec.name for spec in variant.outputs) == ["boxes", "scores"]
        assert variant.accuracy is not None
        assert variant.accuracy.variant_value > 0.99


def test_the_detector_is_one_partition_on_the_tensor_processor(face_conversion: Converted):
    """Its 25 batch normalisations are folded; left alone they cut the graph into 26 pieces."""
    (report,) = (report for report in face_conversion.outcome.reports if report.profile == "hexagon-qnn")

    assert report.figures is not None
    assert report.figures["partitions"].value == 1
    assert report.figures["npu_within_1_lsb"].value >= 0.9

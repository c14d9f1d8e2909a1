"""An ONNX variant is a file that ONNX's own checker takes, whatever scheme it is in."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from edge_converters.backends import onnx_variant
from tests.architecture.project import ROOT

MODELS = ROOT / "tests/support/models"


@pytest.mark.parametrize(
    ("scheme", "accelerator"), [("fp32", "cpu"), ("fp16", "cuda"), ("qdq-u8s8", "cpu"), ("qdq-u8s8", "qnn-htp")]
)
def test_the_file_of_a_scheme_is_sound(scheme, accelerator, tmp_path):
    with np.load(MODELS / "samples.npz") as arrays:
        np.save(tmp_path / "calibration.npy", arrays["x"].astype(np.float32)[:16])

    calibration, output = str(tmp_path / "calibration.npy"), str(tmp_path / "variant.onnx")
    onnx_variant.make(str(MODELS / "digits-fp32.onnx"), scheme, calibration, output, accelerator)

    onnx.checker.check_model(onnx.load(output), full_check=True)

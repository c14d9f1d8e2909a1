"""A canonical ONNX graph as a SavedModel, by onnx2tf, which is kept from the network."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np
import onnx
import onnx2tf

SAMPLE_FILE = "calibration_image_sample_data_20x128x128x3_float32.npy"
"""onnx2tf downloads this for image-like inputs unless it lies in the working directory; it is not used further."""


def to_saved_model(canonical: str, saved_model: str) -> dict[str, Any]:
    """Write a SavedModel whose input keeps its layout and whose outputs keep their names."""
    entry = onnx.load(canonical).graph.input[0].name
    before = os.getcwd()  # noqa: PTH109 - the library reads the working directory
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            np.save(SAMPLE_FILE, np.zeros((20, 128, 128, 3), np.float32))
            onnx2tf.convert(
                input_onnx_file_path=canonical,
                output_folder_path=saved_model,
                keep_shape_absolutely_input_names=[entry],
                output_signaturedefs=True,
                non_verbose=True,
                verbosity="error",
            )
        finally:
            os.chdir(before)
    return {}

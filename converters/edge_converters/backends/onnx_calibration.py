"""ONNX Runtime's static quantisation in two steps, so that its calibrator and its quantiser never hold a model at once.

The calibrator works on a graph whose weights stay in their file; by its own way it holds them three times. What comes
out is what `onnxruntime.quantization.quantize` makes in one step.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path

import onnx
from onnxruntime.quantization import CalibrationDataReader, MinMaxCalibrater, quantize_static
from onnxruntime.quantization.calibrate import TensorsData, save_tensors_data
from onnxruntime.quantization.quantize import StaticQuantConfig
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

from edge_converters.backends import onnx_files


def quantise(canonical: str, output: str, config: StaticQuantConfig) -> None:
    """Write the quantised graph to `output`. Ranges are the lowest and highest values seen."""
    kinds = list(config.op_types_to_quantize or {*QLinearOpsRegistry, *QDQRegistry})
    with tempfile.TemporaryDirectory(dir=Path(output).parent) as place:
        folder = Path(place)
        shutil.copyfile(canonical, folder / "whole.onnx")  # what refers to its weights must lie beside it
        model = onnx_files.read(folder / "whole.onnx")
        onnx.save(model, folder / "light.onnx")
        save_tensors_data(_seen(model, folder, kinds, config.calibration_data_reader), folder / "ranges.json")
        quantize_static(
            folder / "light.onnx",
            output,
            None,
            quant_format=config.quant_format,
            activation_type=config.activation_type,
            weight_type=config.weight_type,
            op_types_to_quantize=kinds,
            nodes_to_quantize=config.nodes_to_quantize,
            nodes_to_exclude=config.nodes_to_exclude,
            per_channel=config.per_channel,
            reduce_range=config.reduce_range,
            extra_options=config.extra_options,
            calibration_cache_path=folder / "ranges.json",
        )


def _seen(model: onnx.ModelProto, folder: Path, kinds: Collection[str], samples: CalibrationDataReader) -> TensorsData:
    onnx.save(onnx_files.without_weights(model), folder / "bare.onnx")
    calibrator = MinMaxCalibrater(folder / "bare.onnx", kinds, str(folder / "probed.onnx"))
    calibrator.model = onnx_files.with_weights_of(model, calibrator.model)
    calibrator.augment_graph()
    calibrator.create_inference_session()
    calibrator.collect_data(samples)
    return calibrator.compute_data()

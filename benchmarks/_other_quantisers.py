"""Quantisers of others in their usual recipes, each in a process of its own: float model and samples in, file out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from edge_converters.sources import Source, SourceKind
from edge_profiles.schemes import Format

NNCF: Final = "nncf==3.4.0"
NNCF_PLACE: Final = Path(__file__).resolve().parents[1] / ".cache" / "nncf"
QUIET: Final = {"TF_CPP_MIN_LOG_LEVEL": "3", "ORT_DISABLE_TELEMETRY": "1", "PYTHONWARNINGS": "ignore"}

TENSORFLOW: Final = """
import sys, numpy, tensorflow as tf
source, samples, output = sys.argv[1:]
rows = numpy.load(samples)
if source.endswith(".h5"):
    import tf_keras
    model = tf_keras.models.load_model(source, compile=False)
    call = tf.function(lambda x: model(x, training=False))
    spec = tf.TensorSpec((1, *rows.shape[1:]), tf.float32)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([call.get_concrete_function(spec)], model)
else:
    converter = tf.lite.TFLiteConverter.from_saved_model(source)
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = lambda: ([row[None]] for row in rows)
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
converter.inference_input_type = converter.inference_output_type = tf.int8
open(output, "wb").write(converter.convert())
"""
TENSORFLOW_PER_TENSOR: Final = TENSORFLOW.replace(
    "converter.optimizations =", "converter._experimental_disable_per_channel = True\nconverter.optimizations ="
).replace("open(", "converter._experimental_disable_per_channel_quantization_for_dense_layers = True\nopen(", 1)
_ROWS: Final = """
import sys, numpy, onnx
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize, quantize_static
source, samples, output = sys.argv[1:]
class Rows(CalibrationDataReader):
    def __init__(self):
        entry = onnx.load(source).graph.input[0].name
        self.rows = iter([{entry: row[None]} for row in numpy.load(samples)])
    def get_next(self):
        return next(self.rows, None)
"""
_U8S8: Final = "activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, per_channel=True"
ONNXRUNTIME_ALONE: Final = f"{_ROWS}quantize_static(source, output, Rows(), {_U8S8})"
"""Without the preparation that its authors advise: the least that it can take."""
_ONNXRUNTIME: Final = f"""{_ROWS}
from onnxruntime.quantization.shape_inference import quant_pre_process
quant_pre_process(source, output + ".ready", skip_symbolic_shape=True)
quantize_static(output + ".ready", output, Rows(), OPTIONS)
"""
ONNXRUNTIME_FOR_QNN: Final = f"""{_ROWS}
from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config, qnn_preprocess_model
ready = output + ".ready.onnx"
ready = ready if qnn_preprocess_model(source, ready) else source
config = get_qnn_qdq_config(ready, Rows(), activation_type=QuantType.QUInt16, weight_type=QuantType.QInt8)
quantize(ready, output, config)
"""
_NNCF: Final = """
import sys, numpy, onnx, nncf
source, samples, output = sys.argv[1:]
model = onnx.load(source)
entry = model.graph.input[0].name
rows = nncf.Dataset(numpy.load(samples), lambda row: {entry: row[None]})
onnx.save(nncf.quantize(model, rows, subset_size=len(numpy.load(samples))), output)
"""


@dataclass(frozen=True)
class Other:
    """A quantiser in one recipe."""

    name: str
    code: str
    model: Path
    suffix: str
    python: str = sys.executable

    def make(self, samples: Path, folder: Path) -> Path:
        """Its file of the model, with ranges from `samples` (.npy of float inputs)."""
        output = folder / f"{re.sub(r'[^a-z0-9]+', '-', self.name.lower())}.{self.suffix}"
        command = [self.python, "-c", self.code, str(self.model), str(samples), str(output)]
        done = subprocess.run(command, env={**os.environ, **QUIET}, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{self.name} failed: {done.stderr[-1500:]}")
        return output


def others_for(kind: Format, source: Source, floats: Path) -> list[Other]:
    """Those that make files of this format from the source, or from its float file."""
    if kind == "tflite":
        stock = Other(f"TensorFlow Lite converter {version('tensorflow')}, int8", TENSORFLOW, source.path, "tflite")
        return [] if source.kind is SourceKind.ONNX else [stock]
    title = f"ONNX Runtime {version('onnxruntime')} quantize_static"
    return [
        Other(f"{title}, as it comes", _ONNXRUNTIME.replace(", OPTIONS", ""), floats, "onnx"),
        Other(f"{title}, u8s8 per channel", _ONNXRUNTIME.replace("OPTIONS", _U8S8), floats, "onnx"),
        Other(f"NNCF {NNCF.partition('==')[2]} quantize", _NNCF, floats, "onnx", str(nncf_python())),
    ]


def nncf_python() -> Path:
    """The interpreter of an environment with NNCF, made on first use: it must not become a need of this project."""
    python = Path(os.environ.get("NNCF_PYTHON", NNCF_PLACE / "bin" / "python"))
    if not python.exists():
        venv.create(NNCF_PLACE, with_pip=True)
        wanted = [NNCF, f"onnx=={version('onnx')}", f"onnxruntime=={version('onnxruntime')}"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    return python

"""Float TFLite files of the shared models, and what TensorFlow's own converter makes of the same models."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge_converters.tasks import Task
from edge_converters.workers import Worker
from tests.edge_converters.conftest import Shared

Array = npt.NDArray[np.generic]

SOURCES = {
    "keyword": "keyword_spotting/kws_ref_model",
    "person": "visual_wake_words/vww_96.h5",
    "picture": "image_classification/pretrainedResnet.h5",
    "machine": "anomaly_detection/ad01.h5",
    "wake word": "streaming_wakeword/str_ww_ref_model.h5",
}
SCHEMES = ("fp16", "dynamic", "int8", "int16x8")
BY_THE_CONVERTER = """
import pathlib, sys, numpy, tensorflow as tf
lite = tf.lite
INTEGERS = {"int8": (tf.int8, lite.OpsSet.TFLITE_BUILTINS_INT8),
    "int16x8": (tf.int16, lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8)}
def convert(folder, scheme):
    samples = numpy.load(folder / "samples.npy")
    converter = lite.TFLiteConverter.from_saved_model(str(folder / "saved-model"))
    converter.optimizations = [lite.Optimize.DEFAULT]
    if scheme == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    if scheme in INTEGERS:
        kind, operators = INTEGERS[scheme]
        converter.representative_dataset = lambda: ([row[None]] for row in samples)
        converter.target_spec.supported_ops = [operators]
        converter.inference_input_type = converter.inference_output_type = kind
    (folder / f"{scheme}-by-the-converter.tflite").write_bytes(converter.convert())
for folder in pathlib.Path(sys.argv[1]).iterdir():
    for scheme in sys.argv[2:]:
        convert(folder, scheme)
"""


@dataclass(frozen=True)
class Model:
    """A folder with `saved-model`, `float.tflite`, `samples.npy` and, by scheme, `<scheme>-by-the-converter.tflite`."""

    name: str
    folder: Path

    @property
    def content(self) -> bytes:
        return (self.folder / "float.tflite").read_bytes()

    @property
    def samples(self) -> Array:
        return np.load(self.folder / "samples.npy")

    def by_the_converter(self, scheme: str) -> bytes:
        """Made by TensorFlow's converter from the SavedModel: for all models when one is first asked for."""
        path = self.folder / f"{scheme}-by-the-converter.tflite"
        if not path.exists():
            command = [sys.executable, "-c", BY_THE_CONVERTER, str(self.folder.parent), *SCHEMES]
            subprocess.run(command, check=True, capture_output=True)
        return path.read_bytes()


@pytest.fixture(scope="session")
def models(shared: Shared, worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    """Every shared model that becomes a float TFLite file, with inputs drawn from its own range."""
    made, root = {}, tmp_path_factory.mktemp("models")
    for name, source in SOURCES.items():
        model = Model(name, root / name)
        model.folder.mkdir()
        path, saved = str(shared / source), str(model.folder / "saved-model")
        kind = "keras" if source.endswith(".h5") else "saved-model"
        shape = worker.call(Task.DESCRIBE_TENSORFLOW, source=path, kind=kind)["shape"]
        worker.call(Task.PREPARE_TENSORFLOW, source=path, kind=kind, saved_model=saved)
        output = str(model.folder / "float.tflite")
        worker.call(Task.TFLITE_FROM_SAVED_MODEL, saved_model=saved, output=output)
        rng = np.random.default_rng(0)
        np.save(model.folder / "samples.npy", rng.uniform(0, 1, (24, *shape[1:])).astype(np.float32))
        made[name] = model
    return made


def answers(content: bytes, samples: Array, *, delegate: bool = True) -> Array:
    """The first output to each sample, as real numbers; with XNNPACK unless `delegate` is false."""
    kernels = OpResolverType.AUTO if delegate else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    (entry,), end = interpreter.get_input_details(), interpreter.get_output_details()[0]
    rows = []
    for sample in samples:
        interpreter.set_tensor(entry["index"], stored(sample, entry)[None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(end["index"]))
    scale, zero = end["quantization"]
    got = np.concatenate(rows)
    return got if scale == 0 else (got.astype(np.float64) - zero) * scale


def stored(sample: Array, entry: dict[str, object]) -> Array:
    """A real sample as an input of this description stores it."""
    scale, zero = entry["quantization"]
    if scale == 0:
        return sample
    limits = np.iinfo(entry["dtype"])
    return np.clip(np.rint(sample / scale) + zero, limits.min, limits.max).astype(entry["dtype"])

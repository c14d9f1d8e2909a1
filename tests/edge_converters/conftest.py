"""Real models and real conversions, each made once in a test session."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets

from edge_contracts.ids import ModelName
from edge_contracts.manifest import Preprocessing
from edge_converters.conversion import convert
from edge_converters.datasets import Data, Samples, make_data
from edge_converters.drafts import Workshop
from edge_converters.floats import prepare
from edge_converters.guard import Guard
from edge_converters.identity import Identity
from edge_converters.measures import choose_metric
from edge_converters.reports import Conversion
from edge_converters.sources import recognise
from edge_converters.workers import Worker
from edge_profiles.boards import FOLDER, load, load_file
from edge_profiles.profile import Profile
from tests.architecture.project import ROOT

SHARED = Path(os.environ.get("EDGE_SHARED_MODELS", ROOT.parent / "shared" / "models"))
EVERY_PROFILE = (
    "x86-64-vnni",
    "rpi4-litert",
    "gpu-litert",
    "hexagon-qnn",
    "cortex-m4-stm32l4r5",
    "ethos-u55-128",
)
FACE_PROFILES = ("x86-64-vnni", "rpi4-litert", "gpu-litert", "hexagon-qnn", "ethos-u55-128")
MAKE = """
import pathlib, sys, keras, numpy, tensorflow
for path in pathlib.Path(sys.argv[1]).glob("*.jpg"):
    numpy.save(pathlib.Path(sys.argv[2]) / path.stem, tensorflow.io.decode_jpeg(path.read_bytes()).numpy())
keras.utils.set_random_seed(0)
layers = [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3, activation="softmax")]
keras.Sequential([keras.Input((6,)), *layers]).save(pathlib.Path(sys.argv[2]) / "small.keras")
layers = [keras.layers.Dense(16, activation="swish"), keras.layers.LayerNormalization(),
    keras.layers.Reshape((2, 2, 4)), keras.layers.Conv2D(4, 1, groups=2, activation="gelu"), keras.layers.Flatten(),
    keras.layers.Dense(8, dtype="mixed_float16"), keras.layers.Dense(3)]
keras.Sequential([keras.Input((6,)), *layers]).save(pathlib.Path(sys.argv[2]) / "modern.keras")
layers = [keras.layers.Bidirectional(keras.layers.GRU(4)), keras.layers.Dense(3)]
keras.Sequential([keras.Input((9, 3)), *layers]).save(pathlib.Path(sys.argv[2]) / "repeated.keras")
import tf_keras
layers = [tf_keras.layers.Dense(8, activation="relu", input_shape=(6,)), tf_keras.layers.Dense(3)]
tf_keras.Sequential(layers).save(pathlib.Path(sys.argv[2]) / "older.keras")
"""
OWN = {"my-pi": ("rpi4-litert", "dynamic"), "my-pc": ("x86-64-vnni", "fp16")}
"""Profiles that a user wrote: a shipped one with another scheme."""
KEYWORD_INPUT = Preprocessing(offset=83, scale=0.5847029089927673)
"""The float input is (stored - 83) * scale, as the data's authors say."""


@dataclass(frozen=True)
class Shared:
    """The folder of models trained by others."""

    folder: Path

    def __truediv__(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            pytest.skip(f"{path} is not here; EDGE_SHARED_MODELS names the folder of shared models")
        return path


@pytest.fixture(scope="session")
def shared() -> Shared:
    return Shared(SHARED)


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """One child for all that is no whole conversion: it loads TensorFlow once."""
    with Worker() as child:
        yield child


def own_profile(name: str, like: str, scheme: str, folder: Path) -> Profile:
    """A profile from a file as a user writes it: `like`, with one scheme."""
    path = folder / f"{name}.toml"
    text = (FOLDER / f"{like}.toml").read_text().replace(f'name = "{like}"', f'name = "{name}"')
    path.write_text(re.sub(r"(?m)^schemes = .*$", f'schemes = ["{scheme}"]', text))
    return load_file(path)


@pytest.fixture(scope="session")
def keyword_data(shared: Shared) -> Data:
    """Labelled keywords, 100 for calibration and the rest for evaluation; a repeated clip is taken once."""
    with np.load(shared / "keyword_spotting/mfcc_int8_500.npz") as arrays:
        x, y = arrays["x"], arrays["y"].astype(np.int64)
    first = np.sort(np.unique(x.reshape(len(x), -1), axis=0, return_index=True)[1])
    x, y = x[first], y[first]
    return make_data(Samples(x[:100], None), Samples(x[100:], y[100:]), KEYWORD_INPUT)


@dataclass(frozen=True)
class Converted:
    """A conversion that was made once, and what it was made from."""

    outcome: Conversion
    data: Data
    source: Path


@pytest.fixture(scope="session")
def keyword_conversion(shared: Shared, keyword_data: Data, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """KWS from its SavedModel, for every profile and for a user's own."""
    source, folder = shared / "keyword_spotting/kws_ref_model", tmp_path_factory.mktemp("profiles")
    boards = [load(name) for name in EVERY_PROFILE]
    boards += [own_profile(name, *how, folder) for name, how in OWN.items()]
    output = tmp_path_factory.mktemp("conversion") / "bundle"
    return Converted(converted_to(source, boards, keyword_data, output), keyword_data, source)


@pytest.fixture(scope="session")
def keyword_shop(
    shared: Shared, keyword_data: Data, worker: Worker, tmp_path_factory: pytest.TempPathFactory
) -> Workshop:
    """KWS as float files in both formats, ready to be made into variants one by one."""
    source, folder = shared / "keyword_spotting/kws_ref_model", tmp_path_factory.mktemp("shop")
    return shop_for(source, keyword_data, worker, folder)


@pytest.fixture(scope="session")
def keyword_onnx(keyword_shop: Workshop) -> Path:
    """KWS as an ONNX source."""
    return keyword_shop.floats.canonical["onnx"]


@pytest.fixture(scope="session")
def keyword_onnx_conversion(
    keyword_onnx: Path, keyword_data: Data, tmp_path_factory: pytest.TempPathFactory
) -> Converted:
    """KWS from ONNX, for every profile."""
    boards, output = [load(name) for name in EVERY_PROFILE], tmp_path_factory.mktemp("conversion") / "bundle"
    return Converted(converted_to(keyword_onnx, boards, keyword_data, output), keyword_data, keyword_onnx)


@pytest.fixture(scope="session")
def made_by_tensorflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two photographs that come with scikit-learn as .npy [height, width, 3], and nets by Keras 3 and 2."""
    photographs = Path(sklearn.datasets.__file__).parent / "images"
    folder = tmp_path_factory.mktemp("made")
    subprocess.run([sys.executable, "-c", MAKE, str(photographs), str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def face_data(made_by_tensorflow: Path) -> Data:
    """Crops of photographs, without labels, as bytes in [3, 240, 320]."""
    photographs = [np.load(path) for path in sorted(made_by_tensorflow.glob("*.npy"))]
    rng = np.random.default_rng(0)
    crops = []
    for turn in range(28):
        picture = photographs[turn % len(photographs)]
        top, left = (int(rng.integers(0, side - size)) for side, size in zip(picture.shape, (240, 320), strict=False))
        crops.append(picture[top : top + 240, left : left + 320].transpose(2, 0, 1))
    x = np.stack(crops)
    return make_data(Samples(x[:12], None), Samples(x[12:], None), Preprocessing(offset=127, scale=1 / 128))


@pytest.fixture(scope="session")
def face_conversion(shared: Shared, face_data: Data, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """The face detector from its opset-9 ONNX file, for every profile that it fits."""
    source, output = shared / "face_detection/version-slim-320.onnx", tmp_path_factory.mktemp("conversion") / "bundle"
    boards = [load(name) for name in FACE_PROFILES]
    return Converted(converted_to(source, boards, face_data, output), face_data, source)


def converted_to(source: Path, boards: Sequence[Profile], data: Data, output: Path) -> Conversion:
    """A conversion at the default guard."""
    return convert(source, boards, data, output=output, identity=Identity(ModelName("test")))


def shop_for(source: Path, data: Data, worker: Worker, folder: Path) -> Workshop:
    """The float files of a source in both formats, ready to be made into variants one by one."""
    floats = prepare(recognise(source), data, ("tflite", "onnx"), folder, worker, seed=0)
    metric = choose_metric(floats.reference, data.evaluation.y, data.evaluation.x.shape[1:])
    return Workshop(data, floats, metric, Guard(), worker)

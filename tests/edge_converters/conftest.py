"""Real models and real conversions, each made once in a test session."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edge_contracts.ids import ModelName
from edge_contracts.manifest import Preprocessing
from edge_converters.conversion import convert
from edge_converters.datasets import Data, Samples, make_data
from edge_converters.guard import Guard
from edge_converters.reports import Conversion
from edge_converters.routes import travel
from edge_converters.sources import recognise
from edge_converters.workers import Worker
from edge_profiles.boards import load
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
DECODE = """
import pathlib, sys, numpy, tensorflow
for path in pathlib.Path(sys.argv[1]).glob("*.jpg"):
    numpy.save(pathlib.Path(sys.argv[2]) / path.stem, tensorflow.io.decode_jpeg(path.read_bytes()).numpy())
"""
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
    """KWS from its SavedModel, for every profile."""
    source = shared / "keyword_spotting/kws_ref_model"
    return Converted(_convert(source, keyword_data, EVERY_PROFILE, tmp_path_factory), keyword_data, source)


@pytest.fixture(scope="session")
def keyword_onnx(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """KWS as an ONNX source."""
    with Worker() as worker:
        return travel(
            recognise(shared / "keyword_spotting/kws_ref_model"), "onnx", tmp_path_factory.mktemp("onnx"), worker
        )


@pytest.fixture(scope="session")
def keyword_onnx_conversion(
    keyword_onnx: Path, keyword_data: Data, tmp_path_factory: pytest.TempPathFactory
) -> Converted:
    """KWS from ONNX, for every profile."""
    return Converted(_convert(keyword_onnx, keyword_data, EVERY_PROFILE, tmp_path_factory), keyword_data, keyword_onnx)


@pytest.fixture(scope="session")
def face_data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Crops of the two photographs that come with scikit-learn, without labels, as bytes in [3, 240, 320]."""
    folder = Path(pytest.importorskip("sklearn.datasets").__file__).parent / "images"
    decoded = tmp_path_factory.mktemp("photographs")
    subprocess.run([sys.executable, "-c", DECODE, str(folder), str(decoded)], check=True, capture_output=True)
    photographs = [np.load(path) for path in sorted(decoded.glob("*.npy"))]
    rng = np.random.default_rng(0)
    crops = []
    for turn in range(40):
        picture = photographs[turn % len(photographs)]
        top, left = (int(rng.integers(0, side - size)) for side, size in zip(picture.shape, (240, 320), strict=False))
        crops.append(picture[top : top + 240, left : left + 320].transpose(2, 0, 1))
    x = np.stack(crops)
    return make_data(Samples(x[:12], None), Samples(x[12:], None), Preprocessing(offset=127, scale=1 / 128))


@pytest.fixture(scope="session")
def face_conversion(shared: Shared, face_data: Data, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """The face detector from its opset-9 ONNX file, for every profile that it fits."""
    source = shared / "face_detection/version-slim-320.onnx"
    return Converted(_convert(source, face_data, FACE_PROFILES, tmp_path_factory), face_data, source)


def _convert(
    source: Path, data: Data, profiles: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Conversion:
    output = tmp_path_factory.mktemp("conversion") / "bundle"
    boards = [load(name) for name in profiles]
    return convert(source, boards, data, output=output, model=ModelName("test"), guard=Guard(max_drop=0.01))

"""The shared models and their labelled data, for the scripts beside this file."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import numpy as np

from edge_contracts.manifest import Preprocessing
from edge_converters.datasets import Data, Samples, make_data
from edge_profiles.boards import FOLDER, load_file
from edge_profiles.profile import Profile

SHARED = Path(os.environ.get("EDGE_SHARED_MODELS", Path(__file__).resolve().parents[2] / "shared" / "models"))
KEYWORD_INPUT = Preprocessing(offset=83, scale=0.5847029089927673)
"""The float input is (stored - 83) * scale, as the data's authors say."""


def shared(name: str) -> Path:
    """A model of the shared folder; ends the script in one sentence where it is not there."""
    path = SHARED / name
    if not path.exists():
        sys.exit(f"{path} is not here; EDGE_SHARED_MODELS names the folder of shared models")
    return path


def keyword_model() -> Path:
    """DS-CNN of MLPerf Tiny: 12 keywords."""
    return shared("keyword_spotting/kws_ref_model")


def keyword_data() -> Data:
    """100 clips for calibration, 399 labelled ones for evaluation; a repeated clip is taken once."""
    with np.load(shared("keyword_spotting/mfcc_int8_500.npz")) as arrays:
        x, y = arrays["x"], arrays["y"].astype(np.int64)
    first = np.sort(np.unique(x.reshape(len(x), -1), axis=0, return_index=True)[1])
    x, y = x[first], y[first]
    return make_data(Samples(x[:100], None), Samples(x[100:], y[100:]), KEYWORD_INPUT)


def picture_model() -> Path:
    """ResNet-8 of MLPerf Tiny: 10 classes of 32 x 32 pictures."""
    return shared("image_classification/pretrainedResnet.h5")


def picture_data() -> Data:
    """Smooth random pictures in 0..255 without labels: enough for ranges and times, not for accuracy."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (232, 4, 4, 3)).astype(np.float32)
    x = coarse.repeat(8, axis=1).repeat(8, axis=2) + rng.normal(0, 8, (232, 32, 32, 3)).astype(np.float32)
    return make_data(Samples(x[:100], None), Samples(x[100:], None))


def profile_with(board: str, scheme: str, folder: Path) -> Profile:
    """A shipped profile with one scheme, under the scheme's name."""
    name = f"{board}-{scheme}"
    text = (FOLDER / f"{board}.toml").read_text().replace(f'name = "{board}"', f'name = "{name}"')
    path = folder / f"{name}.toml"
    path.write_text(re.sub(r"(?m)^schemes = .*$", f'schemes = ["{scheme}"]', text))
    return load_file(path)

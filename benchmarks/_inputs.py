"""Unlabelled but real inputs for the shared models: crops of photographs, and log-mel vectors of recorded words.

Calibration and evaluation never share a pixel or a recording: crops come from different halves of the photographs,
vectors from different clips.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sklearn.datasets
from _models import shared

from edge_contracts.manifest import Preprocessing
from edge_converters.datasets import Data, Samples, make_data

Array = npt.NDArray[np.float32]

CALIBRATION, EVALUATION = 120, 400
LARGEST_SHRINK = 6
DECODE = """
import pathlib, sys, numpy, tensorflow
for path in pathlib.Path(sys.argv[1]).glob("*.jpg"):
    numpy.save(pathlib.Path(sys.argv[2]) / path.stem, tensorflow.io.decode_jpeg(path.read_bytes()).numpy())
"""
FFT, HOP, MELS, FRAMES, RATE = 1024, 512, 128, 5, 16_000
"""Of the DCASE 2020 task 2 baseline, whose autoencoder ad01 is."""
CALIBRATION_CLIPS = 30


def photographs() -> list[Array]:
    """The two that come with scikit-learn, [height, width, 3] in 0..255."""
    images = Path(sklearn.datasets.__file__).parent / "images"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", DECODE, str(images), folder], check=True, capture_output=True)
        return [np.load(path).astype(np.float32) for path in sorted(Path(folder).glob("*.npy"))]


def crops(height: int, width: int, preprocessing: Preprocessing, *, channels_first: bool = False) -> Data:
    """Squares of many sizes, brought to `height` x `width` by averaging; bytes, mirrored at random."""
    pictures, rng = photographs(), np.random.default_rng(0)
    halves = [[picture[:, : picture.shape[1] // 2] for picture in pictures]]
    halves += [[picture[:, picture.shape[1] // 2 :] for picture in pictures]]
    counts = (CALIBRATION, EVALUATION) if height * width < 10_000 else (CALIBRATION // 4, EVALUATION // 4)
    sides = []
    for half, count in zip(halves, counts, strict=True):
        taken = [_crop(half[turn % len(half)], height, width, rng) for turn in range(count)]
        x = np.unique(np.stack(taken).round().astype(np.uint8), axis=0)
        sides.append(Samples(x.transpose(0, 3, 1, 2) if channels_first else x, None))
    return make_data(*sides, preprocessing)


def _crop(picture: Array, height: int, width: int, rng: np.random.Generator) -> Array:
    most = min(picture.shape[0] // height, picture.shape[1] // width, LARGEST_SHRINK)
    by = int(rng.integers(1, most + 1))
    top, left = (
        int(rng.integers(0, side - size * by + 1)) for side, size in zip(picture.shape, (height, width), strict=False)
    )
    window = picture[top : top + height * by, left : left + width * by]
    small = window.reshape(height, by, width, by, 3).mean(axis=(1, 3))
    return small[:, ::-1] if rng.random() < 0.5 else small


def mel_vectors() -> Data:
    """Five frames of 128 log-mel energies each, as the DCASE 2020 task 2 baseline makes them, of recorded words."""
    with np.load(shared("keyword_spotting/audio_int16_16khz_100.npz")) as arrays:
        clips = next(arrays[name] for name in arrays.files if arrays[name].ndim == 2)
    vectors = [_log_mel(clip / np.float32(32768)) for clip in clips]
    parts = [np.concatenate(each) for each in (vectors[:CALIBRATION_CLIPS], vectors[CALIBRATION_CLIPS:])]
    calibration, evaluation = (np.unique(part, axis=0) for part in parts)
    known = {row.tobytes() for row in calibration}  # digital silence is in many clips
    evaluation = np.stack([row for row in evaluation if row.tobytes() not in known])
    return make_data(Samples(calibration, None), Samples(evaluation, None))


def _log_mel(signal: Array) -> Array:
    """20 / 2 * log10 of the mel power spectrogram, five successive frames to a vector of 640."""
    padded = np.pad(signal, FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP]
    window = np.hanning(FFT + 1)[:-1]
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    energies = 10 * np.log10(power @ _mel_filters().T + np.finfo(np.float64).eps)
    rows = np.lib.stride_tricks.sliding_window_view(energies, FRAMES, axis=0)
    return rows.transpose(0, 2, 1).reshape(len(rows), FRAMES * MELS).astype(np.float32)


def _mel_filters() -> npt.NDArray[np.float64]:
    """Triangles of equal area on Slaney's mel scale, linear to 1 kHz and logarithmic above (Auditory Toolbox, 1998)."""
    step = np.log(6.4) / 27
    top = 15 + np.log(RATE / 2 / 1000) / step
    mels = np.linspace(0, top, MELS + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(step * (mels - 15)))
    bins = np.fft.rfftfreq(FFT, 1 / RATE)
    rising = (bins[None] - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins[None]) / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    filters: npt.NDArray[np.float64] = triangles * (2 / (edges[2:] - edges[:-2]))[:, None]
    return filters

"""What training before conversion gives: pruning with zeros held, students, and int8 that a net was trained for.

Each line is a conversion of the same Keras file for LiteRT (the profile rpi4-litert with the scheme int8 alone), judged
on data that no step has seen. `untrained` is the same change of the model without a single epoch. Splits and seeds are
printed; the training part is the one that the source itself was trained on, as it is for most users.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sklearn.datasets
from _models import profile_with, shared

from edge_converters import Guard, Method, Proof, convert
from edge_converters.datasets import Data, Samples, make_data, make_training, read_data, read_training
from edge_converters.reports import Conversion
from edge_converters.training import Training, describe, parse
from edge_profiles.profile import Profile

SEED = 7
ANY_DROP = Proof(Guard(max_drop=1.0, slack=1.0))
"""Figures are shown whatever they are."""
DIGITS = ("", "prune=0.8", "prune=0.9", "prune=2:4", "distil=0.5", "distil=0.25", "qat", "distil=0.5 prune=0.5 qat")
HOSTILE = ("", "fine-tune", "qat")
MACHINE = ("", "qat")
MAKE_HOSTILE = """
import sys, keras, numpy
model = keras.models.load_model(sys.argv[1])
convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
for first, second in zip(convolutions, convolutions[1:]):
    factors = 2.0 ** (14 * (numpy.random.default_rng(0).permutation(first.filters) < first.filters // 4))
    kernel, bias = first.get_weights()
    first.set_weights([kernel * factors, bias * factors])
    kernel, bias = second.get_weights()
    second.set_weights([kernel / factors[:, None], bias])
model.save(sys.argv[2])
"""
"""The same answers, with a quarter of the channels of two layers 16,384 times as large as the others."""


@dataclass(frozen=True)
class Case:
    """A source with its data."""

    name: str
    source: Path
    data: Data
    training: Samples


def digits(folder: Path) -> Case:
    """The net of the demo, trained on 900 of scikit-learn's digits."""
    subprocess.run([sys.executable, "-m", "edge_sdk.demo.digits", str(folder)], check=True, capture_output=True)
    images = sklearn.datasets.load_digits()
    order = np.random.default_rng(SEED).permutation(len(images.target))[:900]  # as edge_sdk.demo.digits splits them
    x = (images.images[order] / 16).astype(np.float32)[..., None]
    np.savez(folder / "training.npz", x=x, y=images.target[order])
    data = read_data(folder / "calibration.npz", folder / "evaluation.npz")
    return Case("digits", folder / "model.keras", data, read_training(folder / "training.npz", data))


def hostile(folder: Path, case: Case) -> Case:
    """The same net made hard for int8."""
    source = folder / "hostile.keras"
    command = [sys.executable, "-c", MAKE_HOSTILE, str(case.source), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return Case("digits, scaled against int8", source, case.data, case.training)


def machine() -> Case:
    """The autoencoder of MLPerf Tiny on made-up spectra; without labels it learns its own answers."""
    rng = np.random.default_rng(SEED)
    level, slow = rng.normal(-3, 8, (1, 1, 128)), rng.normal(0, 1, (1300, 1, 128)).cumsum(axis=2)
    x = (level + slow + rng.normal(0, 1.5, (1300, 5, 128))).reshape(1300, 640).astype(np.float32)
    data = make_data(Samples(x[:200], None), Samples(x[200:600], None))
    source = shared("anomaly_detection/ad01.h5")
    return Case("anomaly autoencoder", source, data, make_training(Samples(x[600:], None), data))


def converted(case: Case, steps: str, profile: Profile, output: Path) -> Conversion:
    """With every recipe of the ladder that ranking asks for."""
    training = Training(case.training, parse(steps.split())) if steps else None
    method = Method(training=training, latency="distil" in steps, seed=SEED)
    return convert(case.source, [profile], case.data, output=output, proof=ANY_DROP, method=method)


def show(steps: str, outcome: Conversion, seconds: float) -> None:
    """A line for the variant, and one for each lesson."""
    (report,) = outcome.reports
    judged = report.best.judgement
    assert judged is not None
    assert outcome.bundle is not None
    content = next(outcome.bundle.glob("variants/*/model.tflite")).read_bytes()
    packed = len(zlib.compress(content, 9))
    print(
        f"  {steps or 'as it is':24} {judged.source:8.2%} -> {judged.variant:8.2%} (n = {judged.n}), {report.taken}, "
        f"{len(content):,} bytes ({packed:,} compressed), source {report.float_bytes:,}; {seconds:.0f} s"
    )
    for lesson in outcome.lessons:
        print(f"      {describe(lesson)}; rate {lesson.settings['rate']:g}")
    if report.comparison is not None:
        print(f"      latency {report.comparison.ratio:.2f} of the source's ({report.comparison.verdict})")


def main() -> None:
    print(f"seed {SEED}; conversion for rpi4-litert, int8 alone; any drop is let through")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        profile = profile_with("rpi4-litert", "int8", folder)
        plain = digits(folder)
        cases = ((plain, DIGITS), (hostile(folder, plain), HOSTILE), (machine(), MACHINE))
        for case, wishes in cases:
            counts = ", ".join(f"{count} {name}" for name, count in case.data.counts.items())
            print(f"{case.name}: {len(case.training)} training samples, {counts}")
            for number, steps in enumerate(wishes):
                begin = time.monotonic()
                output = folder / f"{case.source.stem}-{number}"
                show(steps, converted(case, steps, profile, output), time.monotonic() - begin)


if __name__ == "__main__":
    main()

"""Our variants beside those of ONNX Runtime's quantiser, the stock TensorFlow Lite converter and NNCF.

Same float model, same calibration samples, same evaluation samples, same engine. Ours is what `edge-sdk convert` takes
by itself of the int8 recipes of a profile. A variant of ours is dominated by another if its answers are further from
the float model's, its file is larger and it is slower, each beyond noise. NNCF needs libraries of its own: the script
makes a virtual environment for it beside this one. `--docs FILE` also writes the table and the figures behind it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from _inputs import crops, mel_vectors
from _models import keyword_data, keyword_model, picture_model, profile_with, shared
from _other_quantisers import Other, others_for
from _pages import comparison_page

from edge_contracts.manifest import Preprocessing
from edge_converters.datasets import Data
from edge_converters.drafts import Workshop, make_draft
from edge_converters.files import RUN_ON_CPU, inspect_file, run, stored_inputs
from edge_converters.floats import prepare
from edge_converters.guard import Guard
from edge_converters.ladder import Budget, Climb
from edge_converters.latency import Stopwatch
from edge_converters.machine import describe_machine
from edge_converters.measures import choose_metric
from edge_converters.metrics import Outputs, in_order, scores
from edge_converters.sources import recognise
from edge_converters.variants import make_variant
from edge_converters.workers import Worker
from edge_profiles.profile import Profile
from edge_profiles.schemes import Format

Array = npt.NDArray[Any]

DRAWS: Final = 2000
"""Of the bootstrap over evaluation samples."""
WIDE: Final = Guard(slack=1.0)
"""What is chosen rests on the ranking split and `max_drop`; whether it would be confirmed is not asked here."""
BRIEF: Final = Climb(budget=Budget(seconds=60))
"""Past it, what lost least in ranking is taken."""


@dataclass(frozen=True)
class Subject:
    """A model with its data."""

    name: str
    source: Path
    data: Data


@dataclass(frozen=True)
class Quality:
    """How far a file's answers are from the float model's on samples that chose nothing.

    `error` is the root of the mean squared difference, as a share of the float answers' spread; `score` the accuracy
    on labels (`accuracy`), or where there are none the share of samples with the float model's class (`agreement`).
    """

    error: float
    score: float | None
    errors: tuple[float, ...]
    """Of each sample, squared."""


@dataclass(frozen=True)
class Row:
    """Ours beside another's. Ratios are ours over theirs; intervals hold 95 % (error) and 99 % (latency)."""

    model: str
    engine: str
    other: str
    recipe: str
    n: int
    float_score: float | None
    score_name: str
    scores: tuple[float | None, float | None]
    errors: tuple[float, float]
    error_ratio: tuple[float, float, float]
    sizes: tuple[int, int]
    milliseconds: tuple[float, float]
    latency_ratio: tuple[float, float, float]
    aa_spread: float
    faster: str

    @property
    def worse(self) -> tuple[str, ...]:
        """In what ours is behind, beyond noise."""
        found = {
            "error": self.error_ratio[1] > 1,
            "size": self.sizes[0] > self.sizes[1],
            "latency": self.faster == "loss",
        }
        return tuple(name for name, behind in found.items() if behind)

    @property
    def better(self) -> tuple[str, ...]:
        """In what ours is ahead, beyond noise."""
        found = {
            "error": self.error_ratio[2] < 1,
            "size": self.sizes[0] < self.sizes[1],
            "latency": self.faster == "gain",
        }
        return tuple(name for name, ahead in found.items() if ahead)

    @property
    def dominated(self) -> bool:
        """Behind in all three."""
        return len(self.worse) == 3


SUBJECTS: Final[dict[str, Callable[[], Subject]]] = {
    "KWS": lambda: Subject("KWS", keyword_model(), keyword_data()),
    "ResNet-8": lambda: Subject("ResNet-8", picture_model(), crops(32, 32, Preprocessing())),
    "VWW": lambda: Subject(
        "VWW", shared("visual_wake_words/vww_96.h5"), crops(96, 96, Preprocessing(offset=0, scale=1 / 255))
    ),
    "AD": lambda: Subject("AD", shared("anomaly_detection/ad01.h5"), mel_vectors()),
    "face slim-320": lambda: Subject(
        "face slim-320",
        shared("face_detection/version-slim-320.onnx"),
        crops(240, 320, Preprocessing(offset=127, scale=1 / 128), channels_first=True),
    ),
}
ENGINES: Final = (("rpi4-litert", "int8"), ("x86-64-vnni", "qdq-u8s8"))


def compare(subject: Subject, board: str, scheme: str, folder: Path) -> list[Row]:
    """Ours beside each other quantiser that makes files for this engine."""
    profile, data = profile_with(board, scheme, folder), subject.data
    source = recognise(subject.source)
    with Worker() as worker, Stopwatch() as stopwatch:
        floats = prepare(source, data, (profile.format,), folder, worker, seed=0)
        metric = choose_metric(floats.reference, data.evaluation.y, data.evaluation.x.shape[1:])
        shop = Workshop(data, floats, metric, WIDE, worker, climb=BRIEF)
        recipe = make_variant(profile, shop).report.recipe
        assert recipe is not None
        ours = make_draft(profile, recipe, shop).file.path
        own = _judged(ours, profile.format, shop)
        rows = []
        for other in others_for(profile.format, source, floats.files[profile.format].path):
            theirs = other.make(floats.material.calibration, folder)
            rows.append(_row(subject, profile, str(recipe), (ours, theirs), own, other, shop, stopwatch))
    return rows


def _judged(file: Path, kind: Format, shop: Workshop) -> Quality:
    names = list(shop.floats.reference)
    opened = inspect_file(file, kind, tuple(names), shop.worker)
    inputs = stored_inputs(opened, shop.data.model_input(shop.data.evaluation.x), "evaluation")
    got = in_order(names, run(opened, RUN_ON_CPU[kind], inputs, shop.worker, threads=1)[0])
    rows = shop.data.decision_rows
    errors = _squared(shop.floats.reference, got)[rows]
    counted = shop.metric.task == "classification"
    score = float(scores(shop.metric, shop.floats.reference, got, rows).mean()) if counted else None
    return Quality(float(np.sqrt(errors.mean())), score, tuple(errors.tolist()))


def _squared(reference: Outputs, got: Outputs) -> Array:
    """Each sample's mean squared difference over the variance of the float answers, averaged over the outputs."""
    parts = []
    for name, values in reference.items():
        difference = np.square(got[name].astype(np.float64) - values).reshape(len(values), -1).mean(axis=1)
        parts.append(difference / values.astype(np.float64).var())
    mean: Array = np.mean(parts, axis=0)
    return mean


def _row(
    subject: Subject,
    profile: Profile,
    recipe: str,
    files: tuple[Path, Path],
    own: Quality,
    other: Other,
    shop: Workshop,
    stopwatch: Stopwatch,
) -> Row:
    theirs = _judged(files[1], profile.format, shop)
    names = tuple(shop.floats.reference)
    inputs = [_trial(file, profile.format, names, shop) for file in files]
    timing = stopwatch.measure(files[0], inputs[0], files[1], inputs[1], profile)
    assert timing is not None
    assert timing.comparison is not None
    reference = shop.floats.reference
    rows = shop.data.decision_rows
    labelled = shop.data.evaluation.y is not None
    float_score = float(scores(shop.metric, reference, reference, rows).mean()) if own.score is not None else None
    return Row(
        subject.name,
        f"{profile.engine} on this {profile.accelerator}",
        other.name,
        recipe,
        len(rows),
        float_score,
        "accuracy" if labelled else "agreement",
        (own.score, theirs.score),
        (own.error, theirs.error),
        _ratio(own, theirs),
        (files[0].stat().st_size, files[1].stat().st_size),
        (timing.variant.p50, timing.base.p50),
        (timing.comparison.ratio, timing.comparison.low, timing.comparison.high),
        timing.comparison.aa_spread,
        str(timing.comparison.verdict),
    )


def _trial(file: Path, kind: Format, names: tuple[str, ...], shop: Workshop) -> Path:
    opened = inspect_file(file, kind, names, shop.worker)
    return stored_inputs(opened, shop.data.model_input(shop.data.evaluation.x[shop.tried]), "timing")


def _ratio(own: Quality, theirs: Quality) -> tuple[float, float, float]:
    """Of the errors, with the interval of a bootstrap in which both sides see the same samples."""
    ours, others = np.array(own.errors), np.array(theirs.errors)
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(ours), (DRAWS, len(ours)))
    ratios = np.sqrt(ours[drawn].mean(axis=1) / others[drawn].mean(axis=1))
    low, high = np.percentile(ratios, (2.5, 97.5))
    return own.error / theirs.error, float(low), float(high)


def show(row: Row) -> None:
    """One comparison in three lines."""
    print(f"{row.model}, {row.engine}: ours ({row.recipe}) beside {row.other}, n = {row.n}")
    if row.float_score is not None:
        ours, theirs = (f"{score:.2%}" for score in row.scores if score is not None)
        print(f"  {row.score_name}: {ours} beside {theirs} (float: {row.float_score:.2%})")
    figures = (("error", row.error_ratio, row.errors), ("latency", row.latency_ratio, row.milliseconds))
    for name, (ratio, low, high), (ours, theirs) in figures:
        print(f"  {name}: {ratio:.3f} x ({low:.3f} .. {high:.3f}); {ours:.4g} beside {theirs:.4g}")
    print(f"  size: {row.sizes[0] / row.sizes[1]:.3f} x; {row.sizes[0]} beside {row.sizes[1]} bytes")
    print(
        f"  ours is {'DOMINATED' if row.dominated else 'not dominated'}: better in {row.better}, worse in {row.worse}"
    )


def main() -> int:
    """Compare what the arguments name, or all."""
    names = [name for name in sys.argv[1:] if name in SUBJECTS] or list(SUBJECTS)
    rows: list[Row] = []
    for subject in (SUBJECTS[name]() for name in names):
        for board, scheme in ENGINES:
            with tempfile.TemporaryDirectory() as folder:
                found = compare(subject, board, scheme, Path(folder))
            for row in found:
                show(row)
            sys.stdout.flush()
            rows += found
        if "--docs" in sys.argv:
            _write(Path(sys.argv[sys.argv.index("--docs") + 1]), rows)
    return int(any(row.dominated for row in rows))


def _write(page: Path, rows: list[Row]) -> None:
    content = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": describe_machine(),
        "rows": [{**asdict(row), "better": row.better, "worse": row.worse} for row in rows],
    }
    page.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
    page.write_text(comparison_page(json.loads(page.with_suffix(".json").read_text())))


if __name__ == "__main__":
    sys.exit(main())

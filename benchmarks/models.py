"""The headline figures of single models, measured beside their targets. Ends with 1 if one is missed.

Keywords: int8 drop on labels that chose nothing, and the file for microcontrollers. Visual wake words: what removing
dead channels alone changes and saves. Anomaly autoencoder: the rise of the reconstruction error, and that the default
guard refuses one scale per tensor where that hurts. Face detection on Hexagon: partitions, unprepared and prepared.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from _inputs import crops, mel_vectors
from _models import keyword_data, keyword_model, profile_with, shared
from _other_quantisers import ONNXRUNTIME_FOR_QNN, TENSORFLOW_PER_TENSOR, Other

from edge_contracts.manifest import Preprocessing
from edge_converters.datasets import Data
from edge_converters.decisions import judge_split
from edge_converters.drafts import Draft, Workshop, make_draft
from edge_converters.files import RUN_ON_CPU, inspect_file, run, stored_inputs
from edge_converters.floats import prepare
from edge_converters.guard import Guard, Verdict
from edge_converters.measures import ask, metric_for
from edge_converters.metrics import in_order, scores
from edge_converters.recipes import Recipe
from edge_converters.sources import recognise
from edge_converters.tasks import Task
from edge_converters.variants import make_variant
from edge_converters.workers import Worker
from edge_profiles.boards import load
from edge_profiles.profile import Bytes, Profile
from edge_profiles.schemes import Scheme

Array = npt.NDArray[Any]
AD_BYTES: Final = 280_000
Figures = list[tuple[str, str, str, bool | None]]
"""What, the measured value, the target, and whether it is met; None where there is no target."""


def opened(
    source: Path, data: Data, boards: list[Profile], folder: Path, worker: Worker, metric: str | None
) -> Workshop:
    """Float files and the metric, ready to make variants."""
    formats = tuple(dict.fromkeys(board.format for board in boards))
    floats = prepare(recognise(source), data, formats, folder, worker, seed=0)
    judged = metric_for(ask(metric), floats.reference, data.evaluation, data.model_input(data.evaluation.x))
    return Workshop(data, floats, judged, Guard(), worker)


def score(draft: Draft, shop: Workshop) -> float:
    """The mean over the decision split, which neither ranges nor the choice of a recipe have seen."""
    return float(scores(shop.metric, shop.floats.reference, draft.real, shop.data.decision_rows).mean())


def float_score(shop: Workshop) -> float:
    """The source's own."""
    reference = shop.floats.reference
    return float(scores(shop.metric, reference, reference, shop.data.decision_rows).mean())


def keywords(folder: Path, worker: Worker) -> Figures:
    """Labelled; TFLite and ONNX."""
    boards = [load("cortex-m4-stm32l4r5"), load("x86-64-vnni")]
    shop = opened(keyword_model(), keyword_data(), boards, folder, worker, None)
    found: Figures = []
    for board, scheme in zip(boards, (Scheme.INT8, Scheme.QDQ_U8S8), strict=True):
        draft = make_draft(board, Recipe(scheme), shop)
        drop, n = float_score(shop) - score(draft, shop), len(shop.data.decision_rows)
        shown = f"{100 * drop:+.2f} points (float {float_score(shop):.2%}, n = {n})"
        found.append((f"KWS {board.format} {scheme}: drop", shown, "at most 0.2", drop <= 0.002))
        if board.format == "tflite":
            found.append(
                ("KWS: file for the Cortex-M4", f"{draft.file.size} bytes", "at most 35,000", draft.file.size <= 35_000)
            )
    return found


def wake_words(folder: Path, worker: Worker) -> Figures:
    """Dead channels alone: float answers before and after, on inputs that were not used to find them."""
    data = crops(96, 96, Preprocessing(offset=0, scale=1 / 255))
    shop = opened(shared("visual_wake_words/vww_96.h5"), data, [load("rpi4-litert")], folder, worker, None)
    before, after = shop.floats.files["tflite"], shop.floats.canonical["tflite"]
    names = tuple(shop.floats.reference)
    answers = []
    for path in (before.path, after):
        file = inspect_file(path, "tflite", names, worker)
        noise = np.random.default_rng(1).uniform(0, 1, (100, 96, 96, 3)).astype(np.float32)
        inputs = stored_inputs(file, np.concatenate([data.model_input(data.evaluation.x), noise]), "dead")
        answers.append(in_order(names, run(file, RUN_ON_CPU["tflite"], inputs, worker, threads=1)[0]))
    worst = max(float(np.abs(answers[0][name] - answers[1][name]).max()) for name in names)
    source, *_, last = shop.floats.steps["tflite"]
    draft = make_draft(load("rpi4-litert"), Recipe(Scheme.INT8), shop)
    n = len(data.evaluation) + 100
    return [
        ("VWW: largest change of a float answer", f"{worst:.2g} (n = {n})", "at most 1e-5", worst <= 1e-5),
        ("VWW: output channels", f"{source.channels} before, {last.channels} after", "", None),
        ("VWW: int8 TFLite", f"{draft.file.size} bytes", "at most 110,000", draft.file.size <= 110_000),
    ]


def anomalies(folder: Path, worker: Worker) -> Figures:
    """Reconstruction error of held-back vectors: as it comes, and as a profile with so little room takes it.

    By the default metric without labels the guard is asked about one scale for every layer too.
    """
    data, board = mel_vectors(), load("rpi4-litert")
    room = Bytes(value=AD_BYTES, unit="byte", source="what the figure is asked for")
    small = board.model_copy(update={"budgets": board.budgets.model_copy(update={"size": room})})
    shop = opened(shared("anomaly_detection/ad01.h5"), data, [board], folder, worker, None)
    (name, values), rows = next(iter(shop.floats.reference.items())), shop.data.decision_rows
    entry = data.model_input(data.evaluation.x)[rows]
    error = float(np.square(values[rows] - entry).mean())
    taken = make_variant(small, shop).report.recipe
    assert taken is not None
    files = {
        f"AD {taken}, {AD_BYTES:,} bytes allowed": make_draft(small, taken, shop).file.path,
        "AD stock int8, one scale everywhere": _stock_per_tensor(shop, folder),
    }
    free = make_draft(board, Recipe(Scheme.INT8), shop).file.size
    found: Figures = [("AD int8, no limit: file", f"{free} bytes", "", None)]
    for what, path in files.items():
        got = _answers(path, name, shop)
        rise = float(np.square(got[rows] - entry).mean()) / error - 1
        judgement = judge_split(shop.metric, shop.floats.reference, {name: got}, rows, shop.guard)
        ours, size = "stock" not in what, path.stat().st_size
        shown = f"{rise:+.2%} of {error:.4g} (n = {len(rows)})"
        found += [
            (f"{what}: reconstruction error", shown, "within 2 %" if ours else "", abs(rise) <= 0.02 if ours else None),
            (
                f"{what}: file",
                f"{size} bytes",
                f"at most {AD_BYTES:,}" if ours else "",
                size <= AD_BYTES if ours else None,
            ),
            (
                f"{what}: by the default guard",
                f"{judgement.verdict}, drop {100 * judgement.drop:.2f} points of {shop.metric.name}",
                "pass" if ours else "not passed",
                (judgement.verdict is Verdict.PASS) is ours,
            ),
        ]
    return found


def _answers(path: Path, name: str, shop: Workshop) -> Array:
    file = inspect_file(path, "tflite", (name,), shop.worker)
    inputs = stored_inputs(file, shop.data.model_input(shop.data.evaluation.x), "judged")
    return run(file, RUN_ON_CPU["tflite"], inputs, shop.worker, threads=1)[0][name]


def _stock_per_tensor(shop: Workshop, folder: Path) -> Path:
    source = shared("anomaly_detection/ad01.h5")
    other = Other("per tensor", TENSORFLOW_PER_TENSOR, source, "tflite")
    return other.make(shop.floats.material.calibration, folder)


def faces(folder: Path, worker: Worker) -> Figures:
    """On the tensor processor's simulator: the opset-9 file quantised as it is, and as the profile's variant is."""
    found: Figures = []
    data = crops(240, 320, Preprocessing(offset=127, scale=1 / 128), channels_first=True)
    for model in ("version-RFB-320_without_postprocessing", "version-slim-320"):
        source, place = shared(f"face_detection/{model}.onnx"), folder / model
        place.mkdir()
        board = profile_with("hexagon-qnn", "qdq-u16s8", folder)
        shop = opened(source, data, [board], place, worker, None)
        raw = Other("unprepared", ONNXRUNTIME_FOR_QNN, source, "onnx").make(shop.floats.material.calibration, place)
        np.save(place / "some.npy", data.model_input(data.evaluation.x[shop.tried]))
        with Worker() as own:
            answer = own.call(
                Task.RUN_QNN, model=str(raw), inputs=str(place / "some.npy"), outputs=str(place / "raw.npz"), threads=1
            )
        left = sum(answer["on_cpu"].values())
        draft = make_draft(board, Recipe(Scheme.QDQ_U16S8), shop)
        partitions = draft.trial.figures["partitions"].value
        short = model.removeprefix("version-").partition("_")[0]
        found += [
            (f"{short} unprepared", f"{answer['partitions']} partitions, {left} nodes on the CPU", "", None),
            (
                f"{short} prepared",
                f"{partitions:.0f} partition(s), coverage {draft.trial.figures['coverage'].value:.0%}",
                "1",
                partitions == 1,
            ),
        ]
        for name, values in shop.floats.reference.items():
            rows = shop.tried
            apart = draft.trial.real[name] - values[rows]
            root = float(np.sqrt(np.square(apart).mean()) / values[rows].std())
            shown = f"root mean square {root:.3f} of the spread, largest {np.abs(apart).max():.3g} (n = {len(rows)})"
            found.append((f"{short} output {name} against float", shown, "", None))
    return found


ROWS: Final[dict[str, Callable[[Path, Worker], Figures]]] = {
    "keywords": keywords,
    "wake-words": wake_words,
    "anomalies": anomalies,
    "faces": faces,
}


def main() -> int:
    """Measure what the arguments name, or all."""
    missed = 0
    for name in sys.argv[1:] or ROWS:
        with tempfile.TemporaryDirectory() as folder, Worker() as worker:
            for what, shown, target, met in ROWS[name](Path(folder), worker):
                verdict = "   " if met is None else "ok " if met else "NOT"
                print(f"{verdict} {what}: {shown}{f'  [{target}]' if target else ''}", flush=True)
                missed += met is False
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())

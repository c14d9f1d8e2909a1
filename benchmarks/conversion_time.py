"""How long `edge-sdk convert` takes beside the raw converters, anew and from the cache: whole processes, in turns.

The raw converter only makes the file. `edge-sdk convert` also reads and checks the data, proves the float conversion,
runs the variant on all evaluation samples, judges it and writes a bundle; and unless it is told not to, it times the
variant beside the float model. Library imports are counted on both sides; `less imports` takes the time of importing
the raw converter's library, measured in the same turn, away from both. A small model shows what a command costs that
does next to nothing; a larger one what the work costs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _inputs import crops
from _models import keyword_data, keyword_model, profile_with, shared
from _other_quantisers import ONNXRUNTIME_ALONE, QUIET, TENSORFLOW

from edge_contracts.manifest import Preprocessing
from edge_converters import Method, convert
from edge_converters.datasets import Data

TURNS = 5
EDGE_SDK = ("-c", "from edge_sdk.cli import main; main()")


@dataclass(frozen=True)
class Route:
    """A raw converter, and the profile of the same scheme."""

    title: str
    source: Path
    raw: str
    imports: str
    profile: str
    data: Data


def taken(arguments: list[str], cache: Path) -> float:
    """Seconds of a fresh process; ends the script where it fails."""
    environment = {**os.environ, **QUIET, "EDGE_SDK_CACHE": str(cache)}
    start = time.monotonic()
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - start
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return seconds


def turn(route: Route, files: dict[str, Path], folder: Path) -> dict[str, float]:
    """Each way once."""
    given = route.data.preprocessing
    cache = Path(tempfile.mkdtemp(dir=folder))
    data = ["--calibration", str(files["calibration"]), "--evaluation", str(files["evaluation"])]
    inputs = ["--offset", str(given.offset), "--scale", str(given.scale)]
    ours = [*EDGE_SDK, "convert", str(route.source), "--profile", route.profile, *data, *inputs, "--max-drop", "1"]
    ours += ["--output", str(folder / "bundle")]
    return {
        "imports": taken(["-c", route.imports], cache),
        "raw": taken(["-c", route.raw, str(route.source), str(files["samples"]), str(folder / "raw")], cache),
        "without timing": taken([*ours, "--no-cache", "--no-latency"], cache),
        "with timing": taken(ours, cache),
        "from cache": taken(ours, cache),
    }


def show(route: Route, turns: list[dict[str, float]]) -> None:
    """Medians, and the least and most of the ratios of each turn."""
    print(f"{route.title}, {route.data.counts}, {len(turns)} turns", flush=True)
    for way in turns[0]:
        seconds = [each[way] for each in turns]
        print(f"  {way:15} {np.median(seconds):6.2f} s  ({min(seconds):.2f} .. {max(seconds):.2f})")
    for way in ("without timing", "with timing"):
        ratios = [each[way] / each["raw"] for each in turns]
        print(f"  {way} / raw: {np.median(ratios):.2f}  ({min(ratios):.2f} .. {max(ratios):.2f})")
        less = [(each[way] - each["imports"]) / (each["raw"] - each["imports"]) for each in turns]
        print(f"    less imports: {np.median(less):.2f}  ({min(less):.2f} .. {max(less):.2f})")
    faster = [each["with timing"] / each["from cache"] for each in turns]
    print(f"  from cache: {np.median(faster):.1f} x faster  ({min(faster):.1f} .. {max(faster):.1f})")


def save(data: Data, folder: Path) -> dict[str, Path]:
    """The data as the command takes it, and the calibration as the raw converters do."""
    folder.mkdir()
    files = {name: folder / f"{name}.npz" for name in ("calibration", "evaluation")}
    np.savez(files["calibration"], x=data.calibration.x)
    labels = {} if data.evaluation.y is None else {"y": data.evaluation.y}
    np.savez(files["evaluation"], x=data.evaluation.x, **labels)
    np.save(folder / "samples.npy", data.model_input(data.calibration.x))
    return {**files, "samples": folder / "samples.npy"}


def float_onnx(data: Data, folder: Path) -> Path:
    """The keyword model as an ONNX source."""
    profile = profile_with("x86-64-vnni", "fp32", folder)
    convert(keyword_model(), [profile], data, output=folder / "onnx", method=Method(latency=False))
    (path,) = (folder / "onnx").rglob("model.onnx")
    return path


def routes(folder: Path) -> tuple[Route, ...]:
    """A small and a larger model for each raw converter."""
    words, faces = keyword_data(), crops(240, 320, Preprocessing(offset=127, scale=1 / 128), channels_first=True)
    wakes = crops(96, 96, Preprocessing(offset=0, scale=1 / 255))
    tensorflow, onnxruntime = "import tensorflow", "import onnxruntime.quantization"
    wake, face = (
        shared("visual_wake_words/vww_96.h5"),
        shared("face_detection/version-RFB-320_without_postprocessing.onnx"),
    )
    return (
        Route("KWS, SavedModel -> TFLite int8", keyword_model(), TENSORFLOW, tensorflow, "rpi4-litert", words),
        Route("VWW, Keras -> TFLite int8", wake, TENSORFLOW, tensorflow, "rpi4-litert", wakes),
        Route("KWS, ONNX -> QDQ u8s8", float_onnx(words, folder), ONNXRUNTIME_ALONE, onnxruntime, "x86-64-vnni", words),
        Route("RFB-320, ONNX -> QDQ u8s8", face, ONNXRUNTIME_ALONE, onnxruntime, "x86-64-vnni", faces),
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for number, route in enumerate(routes(folder)):
            files = save(route.data, folder / f"data-{number}")
            show(route, [turn(route, files, folder) for _ in range(TURNS)])


if __name__ == "__main__":
    main()

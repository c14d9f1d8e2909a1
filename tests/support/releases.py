"""Releases built from the small models in `tests/support/models`, as a device holds them after all verification.

`make_models.py` made the files. Nothing here needs an engine, TensorFlow or the server.
"""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_agent.ports import Release
from edge_contracts.features import make_baselines
from edge_contracts.ids import Digest, ModelName, ProfileName, VariantName
from edge_contracts.manifest import (
    CONFIDENCE_BINS,
    Accelerator,
    Baseline,
    Engine,
    EngineNeeds,
    FileRef,
    Limits,
    Lineage,
    Manifest,
    Preprocessing,
    ProfileClass,
    TensorSpec,
    Tolerance,
    Variant,
)
from edge_contracts.payload import Payload, pack_payload
from edge_contracts.window import confidence_bin

MODELS: Final = Path(__file__).with_name("models")
MODEL: Final = ModelName("digits")
GOLDEN_SAMPLES: Final = 8
_MADE: Final = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)

_ORT, _LITERT, _MICRO = Engine.ONNXRUNTIME, Engine.LITERT, Engine.TFLITE_MICRO
_CPU, _GPU, _HTP, _MCU = Accelerator.CPU, Accelerator.GPU, Accelerator.QNN_HTP, Accelerator.MCU

KINDS: Final[dict[str, tuple[str, ProfileClass, EngineNeeds, Tolerance]]] = {
    "cpu-ort": ("digits-fp32.onnx", ProfileClass.CPU, EngineNeeds(engine=_ORT), Tolerance(absolute=1e-4)),
    "cpu-ort-qdq": ("digits-qdq.onnx", ProfileClass.CPU, EngineNeeds(engine=_ORT), Tolerance(absolute=0.01)),
    "cpu-litert": ("digits-int8.tflite", ProfileClass.CPU, EngineNeeds(engine=_LITERT), Tolerance(absolute=0.01)),
    "cpu-litert-fp32": ("digits-fp32.tflite", ProfileClass.CPU, EngineNeeds(engine=_LITERT), Tolerance(absolute=1e-4)),
    "gpu": (
        "digits-fp16.tflite",
        ProfileClass.GPU,
        EngineNeeds(engine=_LITERT, accelerator=_GPU, fallback=_CPU, coverage_floor=1.0),
        Tolerance(absolute=1e-3),
    ),
    "npu": (
        "digits-qdq.onnx",
        ProfileClass.NPU,
        EngineNeeds(engine=_ORT, accelerator=_HTP, coverage_floor=0.9),
        Tolerance(absolute=0.02),
    ),
    "mcu": (
        "digits-int8.tflite",
        ProfileClass.MCU,
        EngineNeeds(engine=_MICRO, accelerator=_MCU, arena_bytes=32 * 1024),
        Tolerance(absolute=0.01),
    ),
    "broken": ("digits-int8-broken.tflite", ProfileClass.CPU, EngineNeeds(engine=_LITERT), Tolerance(absolute=0.01)),
    "broken-ort": (
        "digits-fp32-broken.onnx",
        ProfileClass.CPU,
        EngineNeeds(engine=_ORT),
        Tolerance(absolute=1e-4),
    ),
    "blank-nan": ("digits-blank-nan.onnx", ProfileClass.CPU, EngineNeeds(engine=_ORT), Tolerance(absolute=1e-4)),
}
"""One working kind for each engine and accelerator, and faulty ones: wrong answers, and NaN for a blank image."""


@cache
def _data() -> dict[str, npt.NDArray[Any]]:
    """The samples file, read once: NumPy parses a header as Python, which threads of 3.11 cannot do at once."""
    with np.load(MODELS / "samples.npz") as data:
        return dict(data)


def samples() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """64 labelled images the models were not trained on: x [64, 8, 8, 1] in 0..1, y [64]."""
    return _data()["x"], _data()["y"]


def variant(
    kind: str,
    *,
    profile: str | None = None,
    needs: EngineNeeds | None = None,
    limits: Limits | None = None,
    model: bytes | None = None,
    answers_of: str | None = None,
) -> tuple[Variant, Payload]:
    """A variant and its payload. `answers_of` names the kind whose answers are the golden ones (its own by default);
    `model` replaces the model file's bytes."""
    file, profile_class, own_needs, tolerance = KINDS[kind]
    payload = Payload(model if model is not None else (MODELS / file).read_bytes(), _golden(file, answers_of))
    specs = json.loads((MODELS / "specs.json").read_text())[file]
    made = Variant(
        name=VariantName(f"{kind}-{MODEL}"),
        profile=ProfileName(profile or kind),
        profile_class=profile_class,
        format="onnx" if file.endswith(".onnx") else "tflite",
        scheme=file.removeprefix("digits-").partition(".")[0],
        needs=needs or own_needs,
        model=_ref(payload.model),
        golden=_ref(payload.golden),
        payload=_ref(pack_payload(payload)),
        inputs=tuple(TensorSpec(**spec) for spec in specs["inputs"]),
        outputs=tuple(TensorSpec(**spec) for spec in specs["outputs"]),
        tolerance=tolerance,
        limits=limits or Limits(),
        recipe_digest=Digest.of(b"recipe " + kind.encode()),
    )
    return made, payload


def manifest(*variants: Variant, version: int = 1, preprocessing: Preprocessing | None = None) -> Manifest:
    """A manifest of these variants with the baseline of the 64 samples."""
    return Manifest(
        model=MODEL,
        version=version,
        created=_MADE,
        labels=tuple("0123456789"),
        preprocessing=preprocessing or Preprocessing(),
        variants=variants,
        baseline=_baseline(),
        lineage=Lineage(source_digest=Digest.of(b"digits"), source_name="digits", tool_version="0.1.0", seed=7),
    )


def release(
    kind: str = "cpu-litert", version: int = 1, *, preprocessing: Preprocessing | None = None, **changes: Any
) -> Release:
    """A release with one variant; `changes` go to `variant`."""
    made, payload = variant(kind, **changes)
    return Release(manifest(made, version=version, preprocessing=preprocessing), made, payload)


def _golden(file: str, answers_of: str | None) -> bytes:
    data = _data()
    answers = data[KINDS[answers_of][0] if answers_of else file]
    buffer = io.BytesIO()
    np.savez(buffer, input_0=data["x"][:GOLDEN_SAMPLES], output_0=answers[:GOLDEN_SAMPLES])
    return buffer.getvalue()


def _baseline() -> Baseline:
    data = _data()
    answers = data["digits-fp32.onnx"]
    confidence = np.bincount([confidence_bin(float(p)) for p in answers.max(axis=1)], minlength=CONFIDENCE_BINS)
    return Baseline(
        n=len(answers),
        features=make_baselines("image", data["x"]),
        classes=tuple(np.bincount(answers.argmax(axis=1), minlength=10).tolist()),
        confidence=tuple(confidence.tolist()),
    )


def _ref(data: bytes) -> FileRef:
    return FileRef(digest=Digest.of(data), length=len(data))

"""Published models, trained by others, through the agent's engines: a keyword spotter and a face detector."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from ai_edge_litert.interpreter import Interpreter

from edge_agent.adapters.census import ProbedEngines, find_engines
from edge_agent.core.health import judge_selftest
from edge_agent.ports import Release
from edge_contracts.ids import Digest, ModelName
from edge_contracts.manifest import (
    Accelerator,
    DataType,
    Engine,
    EngineNeeds,
    FileRef,
    Quantization,
    TensorSpec,
    Tolerance,
)
from edge_contracts.payload import Payload
from tests.edge_agent.serving.conftest import Serve
from tests.support.releases import release
from tests.support.tools import missing

pytestmark = pytest.mark.device

SHARED = Path(os.environ.get("EDGE_SHARED_MODELS", Path(__file__).parents[4] / "shared/models"))
PUBLISHED = ModelName("published")
NEEDS = {
    "cpu": EngineNeeds(engine=Engine.LITERT),
    "gpu": EngineNeeds(engine=Engine.LITERT, accelerator=Accelerator.GPU, coverage_floor=1.0),
    "mcu": EngineNeeds(engine=Engine.TFLITE_MICRO, accelerator=Accelerator.MCU, arena_bytes=64 * 1024),
}


@pytest.fixture(scope="module")
def census() -> ProbedEngines:
    return find_engines()


def published(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not here; set EDGE_SHARED_MODELS to the folder of the published models")
    return path


def as_release(model: bytes, golden: dict[str, np.ndarray], task: str = "classification", **about: Any) -> Release:
    """A release of a model that brings no manifest of its own."""
    buffer = io.BytesIO()
    np.savez(buffer, **golden)
    base = release("cpu-litert")
    variant = base.variant.model_copy(update={**about, "model": FileRef(digest=Digest.of(model), length=len(model))})
    manifest = base.manifest.model_copy(update={"model": PUBLISHED, "task": task, "variants": (variant,)})
    return Release(manifest, variant, Payload(model, buffer.getvalue()))


def keyword_spotter(path: Path, x: np.ndarray, needs: EngineNeeds) -> Release:
    """MLPerf Tiny's int8 model; its golden answers are the ones of LiteRT's reference kernels."""
    model = path.read_bytes()
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    (put,), (got,) = interpreter.get_input_details(), interpreter.get_output_details()
    answers = []
    for row in x:
        interpreter.set_tensor(put["index"], row[None])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(got["index"])[0])
    spec_in, spec_out = (
        TensorSpec(
            name=tensor["name"],
            datatype=DataType.INT8,
            shape=tuple(int(n) for n in tensor["shape"]),
            quantization=Quantization(scale=float(tensor["quantization"][0]), zero_point=tensor["quantization"][1]),
        )
        for tensor in (put, got)
    )
    return as_release(
        model,
        {"input_0": x, "output_0": np.array(answers)},
        needs=needs,
        inputs=(spec_in,),
        outputs=(spec_out,),
        tolerance=Tolerance(absolute=0.02),
    )


@pytest.mark.parametrize("kind", NEEDS)
def test_the_keyword_spotter_keeps_its_accuracy_on_each_engine(serve: Serve, census: ProbedEngines, kind: str) -> None:
    path = published("keyword_spotting/kws_ref_model.tflite")
    if not census.runs(NEEDS[kind]):
        missing(f"this machine has no {kind}: {census.found()}")
    data = np.load(path.with_name("mfcc_int8_500.npz"))
    made = keyword_spotter(path, data["x"][:8], NEEDS[kind])
    serving = serve()

    facts = serving.prepare(made)
    serving.activate()
    (put,), (got,) = made.variant.inputs, made.variant.outputs
    right = [
        serving.infer(PUBLISHED, None, {put.name: row[None]}).outputs[got.name].argmax() == label
        for row, label in zip(data["x"][:200], data["y"][:200], strict=True)
    ]

    assert judge_selftest(facts, made.variant) is None
    assert facts.fallback is False
    assert np.mean(right) > 0.88


def test_a_detector_with_two_outputs_answers_by_name(serve: Serve) -> None:
    model = published("face_detection/version-slim-320.onnx").read_bytes()
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(5).normal(0, 0.3, (2, 3, 240, 320)).astype(np.float32)
    scores, boxes = (
        np.concatenate(each) for each in zip(*(session.run(None, {"input": row[None]}) for row in x), strict=True)
    )
    made = as_release(
        model,
        {"input_0": x, "output_0": boxes, "output_1": scores},
        task="other",
        needs=EngineNeeds(engine=Engine.ONNXRUNTIME),
        format="onnx",
        inputs=(TensorSpec(name="input", datatype=DataType.FP32, shape=(1, 3, 240, 320)),),
        outputs=(
            TensorSpec(name="boxes", datatype=DataType.FP32, shape=(1, 4420, 4)),
            TensorSpec(name="scores", datatype=DataType.FP32, shape=(1, 4420, 2)),
        ),
        tolerance=Tolerance(absolute=1e-4),
    )
    serving = serve(made)

    facts, answer = serving.active_selftest(), serving.infer(PUBLISHED, None, {"input": x[:1]})

    assert facts is not None
    assert judge_selftest(facts, made.variant) is None
    assert answer.outputs["boxes"].shape == (1, 4420, 4)
    assert np.allclose(answer.outputs["scores"], scores[:1], atol=1e-4)

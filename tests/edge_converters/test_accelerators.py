"""Accelerators that a converting machine lacks: tried where they are, and where not that is said, never guessed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from edge_contracts.manifest import Accelerator, TensorSpec
from edge_converters.backends import onnxruntime_provider_engine as engine
from edge_converters.checks import try_on_target
from edge_converters.errors import CheckFailed
from edge_converters.files import ModelFile
from edge_profiles.boards import load, shipped
from tests.support.releases import MODELS, samples

ABSENT = {
    "jetson-orin-nano-cuda": "ONNX Runtime is not built with CUDAExecutionProvider here",
    "jetson-orin-nano-tensorrt": "ONNX Runtime is not built with TensorrtExecutionProvider here",
    "intel-npu-openvino": "OpenVINO|onnxruntime-ep-openvino",
    "coral-edge-tpu": "Google's edgetpu_compiler is no part of this product",
}
PROVIDERS = {Accelerator.CUDA: "CUDAExecutionProvider", Accelerator.TENSORRT: "TensorrtExecutionProvider"}
HERE = set(ort.get_available_providers())
SPECS = json.loads((MODELS / "specs.json").read_text())


@dataclass(frozen=True)
class Digits:
    """A trained model, its inputs as stored, and the CPU's answers."""

    file: ModelFile
    inputs: Path
    expected: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    path = MODELS / "digits-fp32.onnx"
    specs = {side: tuple(TensorSpec(**spec) for spec in each) for side, each in SPECS[path.name].items()}
    x = samples()[0].astype(np.float32)
    inputs = tmp_path_factory.mktemp("digits") / "x.npy"
    np.save(inputs, x)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    (name,) = (spec.name for spec in specs["outputs"])
    expected = np.concatenate([session.run([name], {specs["inputs"][0].name: row[None]})[0] for row in x])
    file = ModelFile(path, "onnx", specs["inputs"], specs["outputs"], (), (), 1.0, len(onnx.load(path).graph.node))
    return Digits(file, inputs, {name: expected})


@pytest.mark.parametrize("name", ABSENT)
def test_what_is_not_here_is_not_tried_and_that_is_said_with_the_reason(digits: Digits, name: str):
    profile = load(name)
    if PROVIDERS.get(profile.accelerator) in HERE:
        pytest.skip(f"this machine has {profile.accelerator}")

    trial = try_on_target(digits.file, profile, digits.inputs, digits.expected)

    assert not trial.ran
    assert trial.figures == {}
    assert trial.sentence.startswith(f"not tried on {profile.accelerator}: ")
    assert any(reason in trial.sentence for reason in ABSENT[name].split("|"))
    assert trial.sentence.endswith(f"; the profile allows {profile.fallback}")


@pytest.mark.parametrize("name", ABSENT)
def test_without_a_fallback_what_is_not_here_is_refused(digits: Digits, name: str):
    profile = load(name).model_copy(update={"fallback": None})
    if PROVIDERS.get(profile.accelerator) in HERE:
        pytest.skip(f"this machine has {profile.accelerator}")

    with pytest.raises(CheckFailed, match=f"and {name} allows no fallback") as refusal:
        try_on_target(digits.file, profile, digits.inputs, digits.expected)

    assert refusal.value.hint


def test_every_profile_whose_accelerator_may_be_absent_allows_a_fallback():
    assert {profile.name for profile in shipped() if profile.fallback} >= set(ABSENT)


def test_a_provider_that_is_here_answers_and_tells_what_it_took(digits: Digits, tmp_path: Path):
    """On the one that every machine has: the others are asked in the same words."""
    provider, outputs = "CPUExecutionProvider", tmp_path / "y.npz"
    options = ort.SessionOptions()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    session = ort.InferenceSession(digits.file.path, options, providers=[provider])

    answer = engine.answer(session, str(digits.inputs), str(outputs))
    taken, left = engine.assignment(session, provider), engine.assignment(session, "CUDAExecutionProvider")

    with np.load(outputs) as arrays:
        np.testing.assert_allclose(arrays["output_0"], *digits.expected.values(), atol=1e-6)
    assert answer["samples"] == len(np.load(digits.inputs))
    assert taken["taken"] > 0
    assert taken["on_cpu"] == {}
    assert (left["taken"], left["partitions"]) == (0, 0)
    assert sum(left["on_cpu"].values()) == taken["taken"]

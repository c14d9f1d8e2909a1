"""An ONNX variant is a file that ONNX's own checker takes, whatever scheme it is in and whatever passes made it."""

from __future__ import annotations

import shutil

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from edge_converters.backends import onnx_variant
from edge_converters.making import Material, edit, layers_of, make_file
from edge_converters.recipes import Call, Recipe
from edge_converters.tasks import Task
from edge_profiles.schemes import Scheme
from tests.architecture.project import ROOT

MODELS = ROOT / "tests/support/models"


@pytest.mark.parametrize(
    ("scheme", "accelerator"), [("fp32", "cpu"), ("fp16", "cuda"), ("qdq-u8s8", "cpu"), ("qdq-u8s8", "qnn-htp")]
)
def test_the_file_of_a_scheme_is_sound(scheme, accelerator, tmp_path):
    with np.load(MODELS / "samples.npz") as arrays:
        np.save(tmp_path / "calibration.npy", arrays["x"].astype(np.float32)[:16])

    calibration, output = str(tmp_path / "calibration.npy"), str(tmp_path / "variant.onnx")
    onnx_variant.make(str(MODELS / "digits-fp32.onnx"), scheme, calibration, output, accelerator)

    onnx.checker.check_model(onnx.load(output), full_check=True)


def test_a_graph_that_was_folded_once_is_folded_again_with_what_passes_added(worker, tmp_path):
    """Products of sequences: ONNX Runtime fuses one with its bias, and later the one that a pass gave a bias."""
    rng = np.random.default_rng(0)
    weights = {"w1": rng.normal(size=(6, 5)), "b1": rng.normal(size=5), "w2": rng.normal(size=(5, 3))}
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["m"]),
        helper.make_node("Add", ["m", "b1"], ["a"]),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("MatMul", ["r", "w2"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "sequences",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, (1, 4, 6))],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, (1, 4, 3))],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "source.onnx")
    np.save(tmp_path / "calibration.npy", rng.normal(size=(16, 4, 6)).astype(np.float32))
    canonical = tmp_path / "canonical.onnx"
    worker.call(Task.PREPARE_ONNX, source=str(tmp_path / "source.onnx"), canonical=str(canonical))

    made = edit(canonical, "onnx", [Call("correct-biases")] * 2, Material(tmp_path / "calibration.npy", 0), worker)

    assert ort.InferenceSession(made.path).get_outputs()[0].shape == [1, 4, 3]


def test_one_layer_stays_float_in_a_graph_whose_nodes_have_no_names(worker, tmp_path):
    model = onnx.load(MODELS / "digits-fp32.onnx")
    for node in model.graph.node:
        node.ClearField("name")
    onnx.save(model, tmp_path / "unnamed.onnx")
    with np.load(MODELS / "samples.npz") as arrays:
        np.save(tmp_path / "calibration.npy", arrays["x"].astype(np.float32)[:16])
    canonical, material = tmp_path / "canonical.onnx", Material(tmp_path / "calibration.npy", 0)
    worker.call(Task.PREPARE_ONNX, source=str(tmp_path / "unnamed.onnx"), canonical=str(canonical))
    first, *others = layers_of(canonical, "onnx", worker)

    made = make_file(canonical, "onnx", Recipe(Scheme.QDQ_U8S8, keep=(first.name,)), "cpu", material, worker)

    stored = worker.call(Task.INSPECT_ONNX, model=str(made.path))["weights"]
    assert stored["FP32"] == [first.weights]
    assert stored["INT8"] == sorted((each.weights for each in others), reverse=True)


def test_a_recipe_may_have_many_passes(worker, tmp_path):
    path = shutil.copy(MODELS / "digits-fp32.onnx", tmp_path / "canonical.onnx")
    with np.load(MODELS / "samples.npz") as arrays:
        np.save(tmp_path / "calibration.npy", arrays["x"].astype(np.float32)[:16])
    passes = [Call("equalise"), Call("factorise", (("energy", 0.99),)), Call("round-weights")] * 8

    made = edit(path, "onnx", passes, Material(tmp_path / "calibration.npy", 0), worker)

    assert [step.name for step in made.steps[1:]] == [call.name for call in passes]
    onnx.checker.check_model(onnx.load(made.path), full_check=True)

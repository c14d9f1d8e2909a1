"""A float route keeps layout, padding and a batch of one: pictures that are not square, pads on one side alone."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_converters.backends import tflite_compaction, tflite_weights
from edge_converters.datasets import Samples, make_data
from edge_converters.errors import CheckFailed, NotConvertible
from edge_converters.floats import prepare
from edge_converters.lint.inspection import check_source
from edge_converters.making import make_file
from edge_converters.parity import check_parity
from edge_converters.recipes import Recipe
from edge_converters.sources import recognise
from edge_converters.tasks import Task
from edge_profiles.schemes import Scheme
from tests.architecture.project import ROOT

MODELS = ROOT / "tests/support/models"
RNG = np.random.default_rng(4)
X = RNG.normal(size=(40, 3, 9, 12)).astype(np.float32)
"""Channels first, as ONNX has them."""
WEIGHTS = {
    "w1": RNG.normal(size=(6, 3, 3, 2)).astype(np.float32),
    "b1": RNG.normal(size=6).astype(np.float32),
    "w2": RNG.normal(size=(6, 1, 3, 3)).astype(np.float32),
    "w3": RNG.normal(size=(6, 4)).astype(np.float32),
}


def padded(pads: list[int]) -> onnx.ModelProto:
    """A convolution with these pads (top, left, bottom, right), stride 2; a depthwise one; the mean of each map."""
    nodes = [
        helper.make_node("Conv", ["picture", "w1", "b1"], ["first"], "first", pads=pads, strides=[2, 2]),
        helper.make_node("Relu", ["first"], ["active"], "relu"),
        helper.make_node("Conv", ["active", "w2"], ["second"], "second", pads=[1, 1, 1, 1], group=6),
        helper.make_node("GlobalAveragePool", ["second"], ["means"], "means"),
        helper.make_node("Flatten", ["means"], ["flat"], "flat"),
        helper.make_node("MatMul", ["flat", "w3"], ["scores"], "dense"),
    ]
    graph = helper.make_graph(
        nodes,
        "padded",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [None, *X.shape[1:]])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 4])],
        [numpy_helper.from_array(values, name) for name, values in WEIGHTS.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def answers(model: onnx.ModelProto, x: np.ndarray) -> dict[str, np.ndarray]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return {"scores": session.run(None, {"picture": x})[0]}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("pads", [[0, 0, 1, 1], [1, 0, 0, 2], [1, 1, 1, 1]])
def test_pads_and_layout_survive_the_way_to_both_formats(pads, worker, tmp_path):
    (tmp_path / "padded.onnx").write_bytes(padded(pads).SerializeToString())
    data = make_data(Samples(X[:20], None), Samples(X[20:], None))

    floats = prepare(recognise(tmp_path / "padded.onnx"), data, ("onnx", "tflite"), tmp_path, worker, seed=0)

    assert max(floats.parity.values()) < 1e-5
    assert np.allclose(floats.reference["scores"], answers(padded(pads), X[20:])["scores"], atol=1e-5)


def test_pads_on_the_other_side_are_refused():
    with pytest.raises(CheckFailed, match=r"differs from the source by .* in 'scores'"):
        check_parity(answers(padded([0, 0, 1, 1]), X), answers(padded([1, 1, 0, 0]), X), "the file")


def test_pictures_read_in_the_other_layout_are_refused():
    mixed = np.ascontiguousarray(X.transpose(0, 2, 3, 1)).reshape(X.shape)

    with pytest.raises(CheckFailed, match="differs from the source"):
        check_parity(answers(padded([0, 0, 1, 1]), X), answers(padded([0, 0, 1, 1]), mixed), "the file")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_keras_3_compiles_or_computes_in_a_way_of_its_own_reaches_both_formats(
    made_by_tensorflow, worker, tmp_path
):
    """Swish has a gradient of its own, a grouped convolution is compiled, GELU is in no list, a layer is float16."""
    x = RNG.normal(size=(60, 6)).astype(np.float32)
    data = make_data(Samples(x[:20], None), Samples(x[20:], None))

    floats = prepare(recognise(made_by_tensorflow / "modern.keras"), data, ("onnx", "tflite"), tmp_path, worker, seed=0)

    assert max(floats.parity.values()) < 1e-5
    with pytest.raises(NotConvertible, match="int16x8 has no form of NEG"):
        make_file(floats.canonical["tflite"], "tflite", Recipe(Scheme.INT16X8), "cpu", floats.material, worker)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("form", ["{}", "net/{}:0", "сеть {}"])
def test_maps_as_answers_keep_their_layout_beside_scores_whatever_names_they_have(form, worker, tmp_path):
    model = padded([1, 1, 1, 1])
    model.graph.output.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, [None, 6, 5, 7]))
    for node in model.graph.node:
        node.input[:], node.output[:] = map(form.format, node.input), map(form.format, node.output)
    for each in (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        each.name = form.format(each.name)
    (tmp_path / "maps.onnx").write_bytes(model.SerializeToString())
    data = make_data(Samples(X[:20], None), Samples(X[20:], None))

    floats = prepare(recognise(tmp_path / "maps.onnx"), data, ("tflite",), tmp_path, worker, seed=0)

    assert floats.parity["tflite"] < 1e-5
    assert {each.name: each.shape for each in floats.files["tflite"].outputs} == {
        form.format("scores"): (1, 4),
        form.format("second"): (1, 6, 5, 7),
    }


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_tflite_source_in_half_precision_without_names_reaches_both_formats(worker, tmp_path):
    halved = tflite_weights.to_half((MODELS / "digits-fp32.tflite").read_bytes())
    (tmp_path / "half.tflite").write_bytes(tflite_compaction.compact(halved))
    with np.load(MODELS / "samples.npz") as arrays:
        x = arrays["x"].astype(np.float32)
    data = make_data(Samples(x[:20], None), Samples(x[20:], None))

    floats = prepare(recognise(tmp_path / "half.tflite"), data, ("onnx", "tflite"), tmp_path, worker, seed=0)

    assert max(floats.parity.values()) < 1e-5


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_operator_without_a_way_to_tflite_is_named(worker, tmp_path):
    model = padded([1, 1, 1, 1])
    model.graph.node[3].CopyFrom(helper.make_node("LpPool", ["second"], ["means"], "norms", kernel_shape=[5, 7]))
    (tmp_path / "norms.onnx").write_bytes(model.SerializeToString())
    data = make_data(Samples(X[:20], None), Samples(X[20:], None))

    with pytest.raises(NotConvertible, match="no way from ONNX to TFLite for an operator LpPool") as refusal:
        prepare(recognise(tmp_path / "norms.onnx"), data, ("tflite",), tmp_path, worker, seed=0)

    assert "Replace it" in refusal.value.hint


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_file_of_keras_2_in_the_newer_form_is_read_by_the_older_keras(made_by_tensorflow, worker):
    found = worker.call(Task.DESCRIBE_TENSORFLOW, source=str(made_by_tensorflow / "older.keras"), kind="keras")

    assert found["shape"] == [None, 6]


@pytest.mark.slow
def test_a_layer_that_repeats_is_named_before_work_starts(made_by_tensorflow, worker):
    with pytest.raises(NotConvertible, match=r"GRU 'forward_gru' repeats .* with unroll=True it does not") as refusal:
        check_source(recognise(made_by_tensorflow / "repeated.keras"), worker)

    assert "Unroll it" in refusal.value.hint

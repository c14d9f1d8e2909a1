"""What a layer is said to see is what it sees: its rows times its weights are what the engine answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edge_converters.backends.onnx_network import read
from edge_converters.networks import Fused
from edge_converters.passes import unfolding
from edge_converters.passes.unfolding import matrix, moments, unfold, with_matrix
from tests.support.networks import Builder, evidence, run, small_net

EVERYWHERE = 10**9


@settings(max_examples=25, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    strides=st.tuples(st.integers(1, 2), st.integers(1, 3)),
    dilations=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    groups=st.sampled_from([1, 2, 4]),
)
def test_rows_times_weights_are_the_convolution(kernel, strides, dilations, groups):
    build = Builder((4, 8, 9))
    end = build.conv("x", 8, kernel, groups=groups, strides=strides, dilations=dilations, fused=Fused.NONE)
    network = build.network(end)
    (layer,) = network.layers
    samples = evidence(network, 3).samples

    rows = unfold(network, layer, samples, EVERYWHERE, (0,))

    answers = np.einsum("grw,gow->rgo", rows, matrix(layer)).reshape(-1, 8)
    expected = np.moveaxis(run(network, [end], samples)[end], 1, -1).reshape(-1, 8)
    np.testing.assert_allclose(answers, expected, atol=1e-4)


def test_the_oracle_answers_as_the_engine_does():
    rng = np.random.default_rng(0)
    shapes = {"a": (6, 2, 3, 3), "b": (6, 1, 3, 2), "c": (6, 3, 1, 1), "d": (5, 6), "d_bias": (5,)}
    weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    nodes = [
        helper.make_node("Conv", ["x", "a"], ["a1"], pads=[1, 2, 0, 1], strides=[2, 1]),
        helper.make_node("Relu", ["a1"], ["a2"]),
        helper.make_node("Conv", ["a2", "b"], ["b1"], group=6, pads=[1, 0, 1, 1], dilations=[1, 1]),
        helper.make_node("Conv", ["b1", "c"], ["c1"], group=2),
        helper.make_node("Add", ["c1", "a2"], ["e"]),
        helper.make_node("GlobalAveragePool", ["e"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "d", "d_bias"], ["g"], transB=1),
        helper.make_node("Softmax", ["g"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(*each) for each in (("x", 1, [1, 2, 8, 8]), ("y", 1, [1, 5]))]
    constants = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    graph = helper.make_graph(nodes, "small", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content = onnx.shape_inference.infer_shapes(model).SerializeToString()
    samples = rng.normal(size=(4, 2, 8, 8)).astype(np.float32)
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])

    answers = run(read(content), ["y"], samples)["y"]

    assert graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    expected = np.concatenate([session.run(None, {"x": sample[None]})[0] for sample in samples])
    np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_a_layer_leaves_no_error_on_its_own_rows_and_another_leaves_what_is_measured():
    network = small_net()
    known = evidence(network)
    for layer in network.weighted_layers:
        seen = moments(network, network, layer.name, known)
        plain = replace(layer, fused=Fused.NONE)
        other = plain.with_constants(weight=layer.weight * 0.9, bias=layer.bias + 0.1)
        (name,) = layer.outputs
        before, after = (run(network.replacing(each), [name], known.samples)[name] for each in (plain, other))

        assert np.abs(seen.errors(matrix(layer))).max() < 1e-6 * seen.energy.max()
        by_channel = ((np.moveaxis(after - before, 1, 0).reshape(len(layer.weight), -1)) ** 2).sum(axis=1)
        np.testing.assert_allclose(seen.errors(matrix(other)).ravel(), by_channel, rtol=1e-3)


def test_many_samples_are_summed_a_batch_at_a_time(monkeypatch):
    network = small_net()
    known, name = evidence(network), network.weighted_layers[2].name
    at_once = moments(network, network, name, known)
    monkeypatch.setattr(unfolding, "BATCH", 7)
    in_parts = moments(network, network, name, known)

    np.testing.assert_allclose(in_parts.inputs, at_once.inputs)
    np.testing.assert_allclose(in_parts.targets, at_once.targets)
    assert in_parts.rows == at_once.rows


def test_positions_are_drawn_from_every_sample_up_to_the_bound():
    network = small_net()
    known, layer = evidence(network, 20), network.weighted_layers[0]

    some = moments(network, network, layer.name, known, rows=100)

    assert some.rows == 100
    assert np.array_equal(some.inputs, moments(network, network, layer.name, known, rows=100).inputs)


@pytest.mark.parametrize("index", range(7))
def test_weights_as_rows_come_back_as_they_were(index):
    layer = small_net().weighted_layers[index]

    again = with_matrix(layer, matrix(layer))

    np.testing.assert_array_equal(again.weight, layer.weight)
    np.testing.assert_array_equal(again.bias, layer.bias)

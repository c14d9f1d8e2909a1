"""ONNX graphs in forms that exporters write and passes do not edit: they stay whole, and what is around them right."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from edge_converters.backends import onnx_network
from edge_converters.networks import Evidence, Network
from edge_converters.passes.batch_normalisation import fold_batch_normalisation
from edge_converters.passes.dead_channels import remove_dead_channels
from edge_converters.passes.equalisation import equalise
from edge_converters.passes.rounding import round_weights
from edge_converters.passes.structured_pruning import prune_channels

Array = npt.NDArray[np.float32]
RNG = np.random.default_rng(0)
node = helper.make_node


def normal(*shape: int) -> Array:
    return (RNG.normal(size=shape) / np.sqrt(max(1, np.prod(shape[1:])))).astype(np.float32)


def stem(channels: int = 6) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    """A convolution of 3 maps of 8 x 8 whose second map is always zero and whose third is constant."""
    weight, bias = normal(channels, 3, 3, 3), normal(channels)
    weight[1:3], bias[1:3] = 0, (-1, 0.7)
    nodes = [node("Conv", ["x", "cw", "cb"], ["c"], pads=[1, 1, 1, 1]), node("Relu", ["c"], ["r"])]
    return nodes, {"cw": weight, "cb": bias}


def head(channels: int = 6, width: int = 8) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    nodes = [
        node("Conv", ["t", "ow"], ["o"]),
        node("Flatten", ["o"], ["f"]),
        node("Gemm", ["f", "gw"], ["y"]),
    ]
    return nodes, {"ow": normal(4, channels, 1, 1), "gw": normal(4 * 8 * width, 5)}


def around(
    *middle: onnx.NodeProto, channels: int = 6, maps: int = 6, width: int = 8, **weights: npt.ArrayLike
) -> bytes:
    """Nodes from `r` to `t` between the stem and the head."""
    (first, stored), (last, others) = stem(channels), head(maps, width)
    return built([*first, *middle, *last], {**stored, **others, **weights}, (1, 3, 8, 8))


def behind(*nodes: onnx.NodeProto, **weights: npt.ArrayLike) -> bytes:
    """Nodes from `f`, the stem's 384 features, to `y`."""
    first, stored = stem()
    return built([*first, node("Flatten", ["r"], ["f"]), *nodes], {**stored, **weights}, (1, 3, 8, 8))


def built(nodes: list[onnx.NodeProto], weights: dict[str, npt.ArrayLike], shape: tuple[int, ...]) -> bytes:
    graph = helper.make_graph(
        nodes,
        "unusual",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(onnx.shape_inference.infer_shapes(model, strict_mode=True).SerializeToString())


def mixer(steps: int) -> bytes:
    """A product along features, one along time, and their sum; with 6 time steps both have the same length."""
    first = np.where(np.arange(6) == 1, 0, normal(5, 6)).astype(np.float32)
    nodes = [
        node("MatMul", ["x", "w1"], ["h0"]),
        node("Add", ["h0", "b1"], ["h1"]),
        node("Relu", ["h1"], ["h"]),
        node("Transpose", ["h"], ["turned"], perm=[0, 2, 1]),
        node("MatMul", ["turned", "w2"], ["m0"]),
        node("Relu", ["m0"], ["m"]),
        node("Transpose", ["m"], ["back"], perm=[0, 2, 1]),
        node("Add", ["back", "h"], ["sum"]),
        node("Flatten", ["sum"], ["f"]),
        node("Gemm", ["f", "gw"], ["y"]),
    ]
    biases = np.array([0.1, -1, 0.2, 0.3, 0, 0], np.float32)
    weights = {"w1": first, "b1": biases, "w2": normal(steps, steps), "gw": normal(6 * steps, 4)}
    return built(nodes, weights, (1, steps, 5))


HALF_READ = np.where(np.arange(8)[:, None] == 3, 0, normal(8, 8)).astype(np.float32)
MODELS = {
    "a bias of two axes": behind(
        node("Gemm", ["f", "w", "b"], ["z"]),
        node("Relu", ["z"], ["zr"]),
        node("Gemm", ["zr", "w2", "b2"], ["y"]),
        w=normal(384, 7), b=normal(1, 7), w2=normal(7, 3), b2=normal(1, 3),
    ),
    "one bias for all outputs": behind(node("Gemm", ["f", "w", "b"], ["y"]), w=normal(384, 7), b=np.float32(0.3)),
    "a product with a stack of matrices": behind(node("MatMul", ["f", "w"], ["y"]), w=normal(1, 384, 7)),
    "a product with a vector": behind(node("MatMul", ["f", "w"], ["y"]), w=normal(384)),
    "a product along the width": around(node("MatMul", ["r", "w"], ["t"]), w=HALF_READ),
    "a product along as many columns as maps": around(
        node("MatMul", ["r", "w"], ["m"]), node("Relu", ["m"], ["t"]), channels=8, maps=8, w=HALF_READ
    ),
    "the same added to every map": around(
        node("Conv", ["r", "w"], ["a"]), node("Add", ["a", "r"], ["t"]), w=normal(1, 6, 1, 1)
    ),
    "a mean over maps": around(
        node("ReduceMean", ["r", "axis"], ["a"]), node("Add", ["r", "a"], ["t"]), axis=np.array([1])
    ),
    "zeros put before and behind the maps": around(
        node("Pad", ["r", "pads"], ["t"]), maps=10, pads=np.array([0, 2, 0, 0, 0, 2, 0, 0])
    ),
    "maps split in unequal parts": around(
        node("Split", ["r", "sizes"], ["few", "many"], axis=1), node("Add", ["many", "shift"], ["t"]),
        maps=4, sizes=np.array([2, 4]), shift=normal(4, 1, 1),
    ),
    "bounds of one element": around(
        node("Clip", ["r", "low", "high"], ["t"]), low=np.zeros(1, np.float32), high=np.full(1, 0.5, np.float32)
    ),
    "rows of pixels": built(
        [*stem()[0], node("Flatten", ["r"], ["f"], axis=3), node("MatMul", ["f", "w"], ["y"])],
        {**stem()[1], "w": normal(8, 4)},
        (1, 3, 8, 8),
    ),
    "features and time mixed": mixer(7),
    "as many features as time steps": mixer(6),
}  # fmt: skip


def evidence_of(content: bytes) -> tuple[Network, Evidence]:
    network = onnx_network.read(content)
    shape = network.shapes["x"][1:]
    samples = np.random.default_rng(1).normal(size=(24, *shape)).astype(np.float32)
    return network, Evidence(samples, onnx_network.runner(content))


def answers(content: bytes, samples: Array) -> Array:
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    return np.stack([session.run(None, {"x": each[None]})[0].ravel() for each in samples])


@pytest.mark.parametrize("name", MODELS)
def test_lossless_passes_leave_the_answers_of_unusual_graphs(name: str):
    content = MODELS[name]
    network, evidence = evidence_of(content)

    smaller = remove_dead_channels(fold_batch_normalisation(network, evidence), evidence)

    written = onnx_network.write(content, smaller)
    expected = answers(content, evidence.samples)
    np.testing.assert_allclose(answers(written, evidence.samples), expected, atol=1e-5 * np.abs(expected).max())


def test_channels_are_pruned_beside_a_grouped_convolution_which_keeps_its_own():
    content = around(
        node("Conv", ["r", "g"], ["gc"], group=2, pads=[1, 1, 1, 1]), node("Relu", ["gc"], ["q"]),
        node("Conv", ["q", "p", "pb"], ["pc"]), node("Relu", ["pc"], ["t"]),
        maps=12, g=normal(8, 3, 3, 3), p=normal(12, 8, 1, 1), pb=normal(12),
    )  # fmt: skip
    network, evidence = evidence_of(content)

    smaller = prune_channels(network, evidence, share=0.1)

    by_name = {layer.name: layer for layer in smaller.weighted_layers}
    assert {layer.weight.shape for layer in smaller.weighted_layers if layer.groups == 2} == {(8, 3, 3, 3)}
    got, expected = answers(onnx_network.write(content, smaller), evidence.samples), answers(content, evidence.samples)
    assert len(by_name["pc"].weight) < 12
    assert np.corrcoef(got.ravel(), expected.ravel())[0, 1] > 0.8


def test_a_constant_for_each_channel_shrinks_with_the_channels_it_is_added_to():
    content = around(
        node("Add", ["c", "shift"], ["moved"]), node("Relu", ["moved"], ["a"]), node("Relu", ["c"], ["b"]),
        node("Add", ["a", "b"], ["t"]),
        shift=normal(6, 1, 1),
    )  # fmt: skip
    network, evidence = evidence_of(content)

    smaller = prune_channels(network, evidence, share=0.6)

    kept = len(smaller.layer("c").weight)
    written = onnx.load_from_string(onnx_network.write(content, smaller))
    assert 0 < kept < 6
    assert {tuple(each.dims) for each in written.graph.initializer if each.name.endswith("/operand")} == {(kept, 1, 1)}


def test_a_graph_that_passes_edited_is_edited_again_and_holds_each_constant_once():
    content = around(
        node("Conv", ["r", "w"], ["a"]), node("Relu", ["a"], ["t"]), maps=8, w=normal(8, 6, 3, 3)[:, :, :1, :1]
    )

    for edit in (equalise, partial(prune_channels, share=0.2), partial(prune_channels, share=0.2), round_weights):
        network, evidence = evidence_of(content)
        edited = edit(network, evidence)
        content = onnx_network.write(content, edited)

        onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
        again = onnx_network.read(content)
        assert [layer.weight.tobytes() for layer in again.weighted_layers] == [
            layer.weight.tobytes() for layer in edited.weighted_layers
        ]


def test_a_layer_of_a_foreign_domain_whose_shape_is_unknown_is_no_channels_business():
    nodes = [
        node("Scaler", ["x"], ["s"], domain="ai.onnx.ml", offset=[0.5], scale=[2.0]),
        node("MatMul", ["s", "w"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "scaled",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, (1, 6))],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, (1, 3))],
        [numpy_helper.from_array(normal(6, 3), "w")],
    )
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)]
    content = helper.make_model(graph, opset_imports=domains, ir_version=8).SerializeToString()
    network, evidence = evidence_of(content)

    assert remove_dead_channels(network, evidence) is network

"""Batch normalisation and constant factors become part of the layer before them."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edge_converters.backends import onnx_network
from edge_converters.networks import Evidence, Kind
from edge_converters.passes.batch_normalisation import fold_batch_normalisation


def normalised_twice() -> bytes:
    """Conv, BatchNormalization, Relu, MatMul, Add, Mul, Add: what exporters leave unfolded."""
    rng = np.random.default_rng(3)
    constants = {
        "w": rng.normal(size=(4, 2, 3, 3)),
        "scale": rng.uniform(0.5, 2, 4),
        "offset": rng.normal(size=4),
        "mean": rng.normal(size=4),
        "variance": rng.uniform(0.5, 2, 4),
        "dense": rng.normal(size=(4 * 36, 5)),
        "bias": rng.normal(size=5),
        "factor": rng.normal(size=(1, 5)),
        "shift": rng.normal(size=5),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "scale", "offset", "mean", "variance"], ["n"]),
        helper.make_node("Relu", ["n"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("MatMul", ["f", "dense"], ["m"]),
        helper.make_node("Add", ["m", "bias"], ["a"]),
        helper.make_node("Mul", ["a", "factor"], ["p"]),
        helper.make_node("Add", ["p", "shift"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "twice",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, (1, 2, 6, 6))],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, (1, 5))],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(onnx.shape_inference.infer_shapes(model).SerializeToString())


def test_folded_layers_answer_the_same_and_the_written_graph_is_smaller():
    content = normalised_twice()
    network, run = onnx_network.read(content), onnx_network.runner(content)
    samples = np.random.default_rng(0).normal(size=(6, 2, 6, 6)).astype(np.float32)

    folded = fold_batch_normalisation(network, Evidence(samples, run))

    assert [layer.kind for layer in folded.layers] == [Kind.CONV, Kind.FLATTEN, Kind.DENSE]
    before, after = (run(each, ["y"], samples)["y"] for each in (network, folded))
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)
    written = onnx.load_from_string(onnx_network.write(content, folded))
    onnx.checker.check_model(written, full_check=True)
    assert [node.op_type for node in written.graph.node] == ["Conv", "Relu", "Flatten", "MatMul", "Add"]
    assert onnx_network.read(onnx_network.write(content, folded)).weight_count == network.weight_count


def test_a_result_that_others_read_too_is_left_alone():
    model = onnx.load_from_string(normalised_twice())
    model.graph.output.append(helper.make_tensor_value_info("c", onnx.TensorProto.FLOAT, (1, 4, 6, 6)))
    content = bytes(model.SerializeToString())
    network = onnx_network.read(content)

    folded = fold_batch_normalisation(
        network, Evidence(np.zeros((1, 2, 6, 6), np.float32), onnx_network.runner(content))
    )

    assert Kind.BATCH_NORM in {layer.kind for layer in folded.layers}

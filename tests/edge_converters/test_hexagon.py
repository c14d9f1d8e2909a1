"""16-bit variants for the Hexagon tensor processor: scales it computes exactly, and answers next to the CPU's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edge_converters.backends.hexagon_rounding import BYTE, FACTOR_BITS, round_up, whole_byte
from edge_converters.backends.onnx_variant import make
from edge_converters.bundles import model_file, read_bundle
from edge_converters.tasks import Task
from edge_converters.tensors import to_real, to_stored
from edge_converters.workers import Worker
from tests.edge_converters.conftest import Converted

CHANNELS = 6


def small_net() -> onnx.ModelProto:
    """Conv, depthwise, grouped Conv, pool, Gemm with ReLUs between; channels differ in range."""
    rng = np.random.default_rng(1)
    uneven = np.geomspace(1, 4, CHANNELS)[:, None, None, None]
    shapes = {"a": (CHANNELS, 2, 3, 3), "b": (CHANNELS, 1, 3, 3), "c": (CHANNELS, 3, 1, 1), "d": (CHANNELS * 4, 5)}
    weights = {name: rng.normal(size=shape) * (uneven if len(shape) == 4 else 1) for name, shape in shapes.items()}
    biases = {f"{name}_bias": rng.normal(size=5 if name == "d" else CHANNELS) * 0.1 for name in shapes}
    constants = {name: values.astype(np.float32) for name, values in (weights | biases).items()}
    constants["flat"] = np.array([1, -1])
    relu = [helper.make_node("Relu", [f"{name}1"], [f"{name}2"]) for name in "abc"]
    nodes = [
        helper.make_node("Conv", ["x", "a", "a_bias"], ["a1"], pads=[1] * 4),
        relu[0],
        helper.make_node("Conv", ["a2", "b", "b_bias"], ["b1"], group=CHANNELS, pads=[1] * 4),
        relu[1],
        helper.make_node("Conv", ["b2", "c", "c_bias"], ["c1"], group=2),
        relu[2],
        helper.make_node("AveragePool", ["c2"], ["p"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Reshape", ["p", "flat"], ["f"]),
        helper.make_node("Gemm", ["f", "d", "d_bias"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


def answers(model: onnx.ModelProto, samples: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"x": sample[None]})[0] for sample in samples])


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(40, 2, 8, 8)).astype(np.float32)


@given(st.integers(0, 65535), st.floats(1e-6, 10))
def test_a_zero_point_of_whole_bytes_still_holds_the_range(zero: int, scale: float):
    wider, new = whole_byte(np.array(scale, np.float32), np.array(zero, np.uint16))

    assert int(new) % BYTE == 0
    assert int(new) * float(wider) >= zero * float(np.float32(scale)) * (1 - 1e-6)
    assert (65535 - int(new)) * float(wider) >= (65535 - zero) * float(np.float32(scale)) * (1 - 1e-6)


@given(st.floats(1e-12, 1e6))
def test_factors_are_rounded_up_by_less_than_their_last_bit(value: float):
    rounded = float(round_up(np.array(value)))
    fraction, _ = np.frexp(rounded)

    assert value <= rounded <= value * (1 + 2.0 ** (1 - FACTOR_BITS))
    assert fraction * 2**FACTOR_BITS == int(fraction * 2**FACTOR_BITS)


def test_the_numbers_in_the_file_are_round_and_it_still_computes_the_model(samples, tmp_path: Path):
    model = small_net()
    onnx.save(model, tmp_path / "canonical.onnx")
    np.save(tmp_path / "calibration.npy", samples)
    paths = (str(tmp_path / name) for name in ("calibration.npy", "variant.onnx"))
    make(str(tmp_path / "canonical.onnx"), "qdq-u16s8", *paths, accelerator="cpu-of-this-test")
    variant = onnx.load(tmp_path / "variant.onnx")
    constants = {weight.name: numpy_helper.to_array(weight) for weight in variant.graph.initializer}
    stored = samples / constants["x_scale"] + constants["x_zero_point"]
    got = answers(variant, np.clip(np.rint(stored), 0, 65535).astype(np.uint16))
    real = (got - constants["y_zero_point"].astype(np.float64)) * constants["y_scale"]
    expected = answers(model, samples)

    biases = [values for name, values in constants.items() if name.endswith("bias_quantized")]
    assert len(biases) == 4
    assert all((values % BYTE == 0).all() for values in biases)
    zeros = [value for name, value in constants.items() if name.endswith("_zero_point") and value.dtype == np.uint16]
    assert all(int(value) % BYTE == 0 for value in zeros)
    assert np.abs(real - expected).max() < 0.03 * np.ptp(expected)
    assert np.abs(np.roll(real, 1, axis=0) - expected).max() > 0.1 * np.ptp(expected)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_on_held_back_keywords_the_tensor_processor_answers_within_one_256th_of_the_cpu(
    keyword_conversion: Converted, tmp_path: Path
):
    """133 samples not used for calibration, run from the bundle's own file on the simulator and on the CPU."""
    assert keyword_conversion.outcome.bundle is not None
    bundle, data = read_bundle(keyword_conversion.outcome.bundle), keyword_conversion.data
    (variant,) = bundle.manifest.for_profile("hexagon-qnn")
    labels = data.evaluation.y[::3]
    np.save(tmp_path / "x.npy", to_stored(variant.inputs[0], data.model_input(data.evaluation.x[::3])))
    found, ran = {}, {}
    for task in (Task.RUN_QNN, Task.RUN_ONNXRUNTIME):
        files = {"inputs": str(tmp_path / "x.npy"), "outputs": str(tmp_path / f"{task}.npz")}
        with Worker() as worker:  # one that has loaded the QNN provider cannot load TensorFlow
            ran[task] = worker.call(task, model=str(bundle.path / model_file(variant)), threads=1, **files)
        with np.load(files["outputs"]) as arrays:
            found[task] = to_real(variant.outputs[0], arrays["output_0"])
    processor, cpu = found[Task.RUN_QNN], found[Task.RUN_ONNXRUNTIME]

    assert len(labels) == 133
    assert ran[Task.RUN_QNN]["partitions"] == 1
    assert ran[Task.RUN_QNN]["on_cpu"] == {}
    assert np.abs(processor - cpu).max() <= 1 / 256
    assert (processor.argmax(axis=1) == cpu.argmax(axis=1)).all()
    assert (processor.argmax(axis=1) == labels).mean() >= (cpu.argmax(axis=1) == labels).mean()
    assert np.abs(np.roll(processor, 1, axis=0) - cpu).max() > 0.5

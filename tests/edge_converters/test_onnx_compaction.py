"""A compact QDQ file is much smaller, answers the same bits, and can still be compared by the float graph's names."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort

from edge_converters.backends.onnx_compaction import compact
from tests.architecture.project import ROOT

MODELS = ROOT / "tests/support/models"


def answers(model: onnx.ModelProto, x: np.ndarray) -> list[np.ndarray]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [session.run(None, {model.graph.input[0].name: sample[None]})[0] for sample in x]


def test_a_compact_file_is_smaller_and_answers_the_same():
    model = onnx.load(MODELS / "digits-qdq.onnx")
    with np.load(MODELS / "samples.npz") as arrays:
        x = arrays["x"].astype(np.float32)
    before, size = answers(model, x), model.ByteSize()
    floats = {name for node in model.graph.node if node.op_type in {"Conv", "Gemm", "MatMul"} for name in node.output}
    read_back = {
        name
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and not node.input[0].endswith("_quantized")
        for name in node.output
    }

    compact(model)

    onnx.checker.check_model(model)
    assert all(np.array_equal(*pair) for pair in zip(before, answers(model, x), strict=True))
    assert model.ByteSize() < 0.7 * size
    assert floats | read_back <= {name for node in model.graph.node for name in node.output}


def test_compaction_is_done_once():
    model = onnx.load(MODELS / "digits-qdq.onnx")
    compact(model)
    once = model.SerializeToString()

    compact(model)

    assert len(model.SerializeToString()) == len(once)

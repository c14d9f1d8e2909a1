"""ONNX models whose large weights stay in their file: what is read, run and written is the same model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edge_converters.backends import onnx_files, onnx_source, onnx_survey
from edge_converters.protobuf_fields import BYTES, fields, number

LARGE_ROWS = onnx_files.LARGE // (4 * 64)


def layered(heights: list[int]) -> onnx.ModelProto:
    """Products with constants of [64, height] and [height, 64], in turns."""
    rng = np.random.default_rng(0)
    nodes, weights, last = [], [], "x"
    for place, height in enumerate(heights):
        for way, shape in (("up", (64, height)), ("down", (height, 64))):
            name = f"{way}{place}"
            weights.append(numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name))
            nodes.append(helper.make_node("MatMul", [last, name], [f"{name}/y"]))
            last = f"{name}/y"
    nodes.append(helper.make_node("Softmax", [last], ["y"]))
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 64])] for name in ("x", "y")]
    graph = helper.make_graph(nodes, "layered", *ends, weights, doc_string="products")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="a test")
    model.ir_version = 8
    return model


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path


@settings(max_examples=20, deadline=None)
@given(heights=st.lists(st.sampled_from([1, 7, LARGE_ROWS - 1, LARGE_ROWS, LARGE_ROWS + 3]), min_size=1, max_size=4))
def test_a_model_is_written_as_it_was_read_wherever_its_weights_lie(heights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    path = saved(layered(heights), folder)

    light = onnx_files.read(path)

    onnx_files.save(light, folder, str(folder / "again.onnx"))
    assert (folder / "again.onnx").read_bytes() == path.read_bytes()
    expected = [numpy_helper.to_array(weight) for weight in onnx.load(path).graph.initializer]
    for weight, values in zip(light.graph.initializer, expected, strict=True):
        np.testing.assert_array_equal(onnx_files.array(weight, folder), values)
    assert light.ByteSize() < 4096 + sum(4 * 64 * 2 * height for height in heights if height < LARGE_ROWS)
    assert onnx_files.whole(light, folder) == onnx.load(path)


def test_a_session_answers_the_same_without_the_weights_in_its_model(tmp_path):
    path = saved(layered([LARGE_ROWS, 5]), tmp_path)
    x = np.random.default_rng(1).normal(size=(1, 64)).astype(np.float32)
    expected = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})

    session = onnx_files.open_session(onnx_files.read(path), tmp_path, ort.SessionOptions())

    np.testing.assert_array_equal(session.run(None, {"x": x}), expected)


def test_what_looks_at_the_structure_sees_the_same_graph(tmp_path):
    model = layered([LARGE_ROWS, 5])
    light = onnx_files.read(saved(model, tmp_path))

    bare = onnx_files.without_weights(light)
    onnx.checker.check_model(bare)
    onnx_files.infer_shapes(light)

    assert {entry.name for entry in bare.graph.input} == {"x", "up0", "down0"}
    assert light.graph.value_info == onnx.shape_inference.infer_shapes(model).graph.value_info
    again = onnx_files.with_weights_of(light, bare)
    assert [each.name for each in again.graph.initializer] == [each.name for each in model.graph.initializer]
    assert [each.name for each in again.graph.input] == ["x"]


def test_packed_weights_are_read_whole(tmp_path):
    model, content = layered([1]), b"\x21" * onnx_files.LARGE
    shape = [2 * onnx_files.LARGE]
    model.graph.initializer.add(name="nibbles", data_type=TensorProto.INT4, dims=shape, raw_data=content)

    assert onnx_files.read(saved(model, tmp_path)) == model


def test_a_link_is_read_whole_for_what_it_leads_to_lies_elsewhere(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link.onnx").symlink_to(saved(layered([LARGE_ROWS]), tmp_path / "elsewhere"))

    assert onnx_files.read(tmp_path / "link.onnx") == layered([LARGE_ROWS])


def test_constants_that_are_nodes_in_another_file_are_taken_in(tmp_path):
    values = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    model = layered([1])
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(values, "c"))
    model.graph.node.extend([constant, helper.make_node("MatMul", ["y", "c"], ["z"])])
    model.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 64]))
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, convert_attribute=True, size_threshold=0, location="weights")

    assert not onnx_survey.survey(str(path))["troubles"]
    onnx_source.prepare(str(path), str(tmp_path / "canonical.onnx"))

    x = np.ones((1, 64), np.float32)
    kept = onnx.load(tmp_path / "canonical.onnx", load_external_data=False).SerializeToString()
    got = ort.InferenceSession(kept, providers=["CPUExecutionProvider"]).run(["z"], {"x": x})
    expected = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(["z"], {"x": x})
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(cut=st.integers(1, 40_000))
def test_a_truncated_file_is_refused_by_the_parser(cut, tmp_path_factory):
    path = saved(layered([LARGE_ROWS]), tmp_path_factory.mktemp("onnx"))
    path.write_bytes(path.read_bytes()[:-cut])

    with pytest.raises(DecodeError):
        onnx_files.read(path)


@given(values=st.lists(st.tuples(st.integers(1, 2**29 - 1), st.binary(max_size=300)), max_size=8))
def test_fields_are_found_where_they_were_written(values):
    parts = [number(key << 3 | BYTES) + number(len(value)) + value for key, value in values]
    content = b"".join(parts)

    found = list(fields(memoryview(content), 0, len(content)))

    assert [(each.number, content[each.value : each.end]) for each in found] == values
    assert [content[each.start : each.end] for each in found] == parts

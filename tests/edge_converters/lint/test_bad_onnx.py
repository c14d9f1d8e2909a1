"""Every bad ONNX model is refused by name; a good one is not, however it is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edge_converters.lint.inspection import lint
from edge_converters.sources import recognise
from edge_profiles.boards import load
from tests.edge_converters.lint.bad_onnx import BAD, SHAPE, changed, good
from tests.edge_converters.test_command import edge_sdk


def found(model: onnx.ModelProto, tmp_path, worker, *profiles):
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return lint(recognise(path), [load(each) for each in profiles], tmp_path, worker)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_model_is_told_by_code_and_names(name, tmp_path, worker):
    change, code, words = BAD[name]

    told = [each for each in found(changed(change), tmp_path, worker) if each.severity == "error"]

    assert [each for each in told if each.code == code and words in each.sentence], told
    assert all(each.hint for each in told)


def test_nothing_is_said_of_a_good_model_in_any_opset(tmp_path, worker):
    for opset in (9, 11, 13, 17):
        assert found(good(opset), tmp_path, worker) == ()


def test_weights_that_an_old_file_lists_among_its_inputs_are_no_inputs(tmp_path, worker):
    model = good(8)
    model.ir_version = 3
    weights = [
        helper.make_tensor_value_info(each.name, each.data_type, list(each.dims)) for each in model.graph.initializer
    ]
    model.graph.input.extend(weights)

    assert found(model, tmp_path, worker, "x86-64-vnni") == ()


def test_a_choice_that_does_not_depend_on_the_input_is_no_control_flow(tmp_path, worker):
    model = good()
    sides = {
        name: helper.make_graph([helper.make_node(operator, ["features"], [name])], name, [], [_free(name)])
        for name, operator in (("yes", "Relu"), ("no", "Neg"))
    }
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "chosen"))
    choice = helper.make_node("If", ["chosen"], ["active"], "choice", then_branch=sides["yes"], else_branch=sides["no"])
    model.graph.node[1].CopyFrom(choice)

    assert [each.code for each in found(model, tmp_path, worker)] == ["control-flow"]


def test_infinity_as_a_bound_or_a_mask_is_fine(tmp_path, worker):
    model = good()
    model.graph.initializer.append(numpy_helper.from_array(np.array(np.inf, np.float32), "high"))
    model.graph.node[1].CopyFrom(helper.make_node("Clip", ["features", "", "high"], ["active"], "clip"))

    assert found(model, tmp_path, worker) == ()


def test_weights_in_another_file_are_found_there_and_missed_by_name(tmp_path, worker):
    path = tmp_path / "model.onnx"
    onnx.save_model(good(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    whole, complete = recognise(path).digest, lint(recognise(path), [], tmp_path, worker)
    content = (tmp_path / "weights.bin").read_bytes()
    (tmp_path / "weights.bin").write_bytes(content[:-300])
    short = lint(recognise(path), [], tmp_path, worker)
    (tmp_path / "weights.bin").unlink()
    missing = lint(recognise(path), [], tmp_path, worker)

    assert complete == ()
    assert recognise(path).digest != whole
    assert "weights.bin ends before the weight" in short[0].sentence
    assert "the weight 'conv.weight' is kept in weights.bin, which is missing" in missing[0].sentence


def test_weights_outside_of_the_models_folder_are_not_read(tmp_path, worker):
    (tmp_path / "secret.bin").write_bytes(bytes(4096))
    inner = tmp_path / "inner"
    inner.mkdir()
    onnx.save_model(good(), inner / "model.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    model = onnx.load(inner / "model.onnx", load_external_data=False)
    for weight in model.graph.initializer:
        weight.external_data[0].value = "../secret.bin"
    (inner / "model.onnx").write_bytes(model.SerializeToString())

    told = lint(recognise(inner / "model.onnx"), [], tmp_path, worker)

    assert {each.code for each in told} == {"external-data"}
    assert "../secret.bin, elsewhere" in told[0].sentence


def test_an_accelerator_s_own_objections_name_it(tmp_path, worker):
    model = good()
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 1, 1, 1], np.float32), "scales"))
    model.graph.node[1].CopyFrom(
        helper.make_node("Resize", ["features", "", "scales"], ["active"], "grow", mode="cubic")
    )

    told = found(model, tmp_path, worker, "hexagon-qnn", "x86-64-vnni")

    assert [(each.code, each.severity, each.profile) for each in told] == [("slow-on-target", "warning", "hexagon-qnn")]
    assert "Resize 'grow' uses cubic" in told[0].sentence


def test_the_command_lints_many_models_and_ends_with_3_where_one_is_bad(tmp_path):
    (tmp_path / "good.onnx").write_bytes(good().SerializeToString())
    (tmp_path / "bad.onnx").write_bytes(changed(BAD["nan-weight"][0]).SerializeToString())
    (tmp_path / "no.onnx").write_bytes(b"<html>not found</html>")
    before = sorted(tmp_path.iterdir())

    fine = edge_sdk("lint", "good.onnx", folder=tmp_path)
    mixed = edge_sdk("lint", "good.onnx", "bad.onnx", "no.onnx", "gone.onnx", "--json", folder=tmp_path)

    assert (fine.returncode, mixed.returncode) == (0, 3), mixed.stderr
    assert "good.onnx: nothing to object to" in fine.stdout
    told = {each["model"]: [finding["code"] for finding in each["findings"]] for each in json.loads(mixed.stdout)}
    assert told == {
        "good.onnx": [],
        "bad.onnx": ["not-finite"],
        "no.onnx": ["unreadable"],
        "gone.onnx": ["unreadable"],
    }
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["control-flow", "zero-scale", "custom-operator", "cycle"])
def test_a_conversion_is_refused_with_the_same_words(name, tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "model.onnx").write_bytes(changed(BAD[name][0]).SerializeToString())
    for file in ("c.npz", "e.npz"):
        np.savez(tmp_path / file, x=rng.normal(size=(20, *SHAPE)).astype(np.float32))
    before = sorted(tmp_path.iterdir())
    options = ("--profile", "x86-64-vnni", "--calibration", "c.npz", "--evaluation", "e.npz", "--no-cache")

    done = edge_sdk("convert", "model.onnx", *options, folder=tmp_path)

    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("edge-sdk: model.onnx: ")
    assert BAD[name][2] in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert sorted(tmp_path.iterdir()) == before


def _free(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)


def test_a_file_of_two_gibibytes_is_refused_unread(tmp_path: Path):
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.write(b"\x08\x08")
        file.truncate(2 * 1024**3)

    done = edge_sdk("lint", "huge.onnx", folder=tmp_path)

    assert done.returncode == 3
    assert "huge.onnx has 2.0 GiB; models of 2 GiB and more are not converted" in done.stdout

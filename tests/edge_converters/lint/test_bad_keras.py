"""Keras, SavedModel and TFLite sources: what is wrong is named, and no code from a model file is ever run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edge_converters.backends import tflite_files
from edge_converters.lint.inspection import lint
from edge_converters.sources import recognise
from edge_profiles.boards import load
from tests.edge_converters.test_command import edge_sdk

pytestmark = pytest.mark.slow

BAD = {
    "nan-weight.keras": ("not-finite", "conv"),
    "nan-weight.h5": ("not-finite", "the weight 'model_weights/conv/"),
    "lambda.keras": ("runs-code", "Lambda 'trick' carries code of its own"),
    "lambda.h5": ("runs-code", "Lambda 'trick' carries code of its own"),
    "custom-layer.keras": ("custom-operator", "Twice 'twice' is a custom operator of acme"),
    "custom-layer.h5": ("custom-operator", "Twice 'twice' is a custom operator of acme"),
    "two-inputs.keras": ("input", "the model has 2 inputs (left, right)"),
    "free-sides.keras": ("input", "the input 'picture' has the shape (None, None, None, 1), which is free"),
    "python": ("runs-code", "EagerPyFunc"),
    "loop": ("control-flow", "While"),
    "writes": ("outside-files", "WriteFile"),
    "random": ("random", "RandomUniform"),
    "infinite": ("not-finite", "192 infinite among 192 values"),
    "no-variables": ("unreadable", "variables/variables.index is missing"),
    "cut-variables": ("unreadable", "its variables:"),
    "garbled-variables": ("unreadable", "its variables:"),
}


def told(path: Path, worker, *profiles: str):
    return lint(recognise(path), [load(each) for each in profiles], path.parent / f"way-{path.name}", worker)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_model_is_told_by_code_and_names(name, models, worker):
    code, words = BAD[name]

    found = told(models / name, worker)

    assert [each for each in found if each.code == code and words in each.sentence and each.hint], found
    assert not (models / "canary").exists()


@pytest.mark.parametrize("name", ["good.keras", "good.h5", "good", "good.tflite"])
def test_nothing_is_said_of_a_good_model(name, models, worker):
    assert told(models / name, worker) == ()


def test_an_operator_without_a_builtin_is_named_for_the_profiles_that_need_one(models, worker):
    (models / "way-flex").mkdir()

    found = told(models / "flex", worker, "rpi4-litert")

    assert [(each.code, each.profile) for each in found] == [("no-route", "rpi4-litert")]
    assert "Betainc" in found[0].sentence


def test_an_operator_that_the_firmware_lacks_is_named(models, worker, tmp_path):
    (models / "way-good.tflite").mkdir(exist_ok=True)
    text = (Path(load.__code__.co_filename).parent / "boards/cortex-m4-stm32l4r5.toml").read_text()
    (tmp_path / "own.toml").write_text(text.replace('"CONV_2D", ', "").replace('"CONV_2D",', ""))

    found = told(models / "good.tflite", worker, str(tmp_path / "own.toml"))

    assert [each.code for each in found] == ["not-on-target"]
    assert "has no kernel for CONV_2D" in found[0].sentence


def test_a_quantised_tflite_file_is_refused_and_its_bad_parameters_are_named(models, tmp_path, worker):
    small = Path(__file__).parents[2] / "support/models/digits-int8.tflite"
    model = tflite_files.unpack(small.read_bytes())
    tensor = next(each for each in model.subgraphs[0].tensors if each.quantization and each.type == 9)
    tensor.quantization.scale = np.array([0.0], np.float32)
    tensor.quantization.zeroPoint = np.array([400], np.int64)
    (tmp_path / "bad.tflite").write_bytes(tflite_files.pack(model))

    plain, bad = told(small, worker), told(tmp_path / "bad.tflite", worker)

    assert [each.code for each in plain] == ["already-quantised"]
    sentences = " / ".join(each.sentence for each in bad if each.code == "bad-quantisation")
    assert "is 0, not a positive number" in sentences
    assert "the zero point is 400, outside of -128 to 127" in sentences


def test_the_command_refuses_them_without_running_their_code(models, tmp_path):
    for name in ("lambda.h5", "lambda.keras", "nan-weight.h5"):
        shutil.copy(models / name, tmp_path)
    shutil.copytree(models / "writes", tmp_path / "writes")
    rng = np.random.default_rng(0)
    for file in ("c.npz", "e.npz"):
        np.savez(tmp_path / file, x=rng.normal(size=(20, 8, 8, 1)).astype(np.float32))
    before = sorted(tmp_path.rglob("*"))
    options = ("--profile", "rpi4-litert", "--calibration", "c.npz", "--evaluation", "e.npz", "--no-cache")

    listed = edge_sdk("lint", "lambda.h5", "lambda.keras", "nan-weight.h5", "writes", "--json", folder=tmp_path)
    refused = edge_sdk("convert", "lambda.h5", *options, folder=tmp_path)

    assert (listed.returncode, refused.returncode) == (3, 3), refused.stderr
    codes = {each["model"]: each["findings"][0]["code"] for each in json.loads(listed.stdout)}
    assert codes == {
        "lambda.h5": "runs-code",
        "lambda.keras": "runs-code",
        "nan-weight.h5": "not-finite",
        "writes": "outside-files",
    }
    assert "edge-sdk: lambda.h5: Lambda 'trick' carries code of its own" in refused.stderr
    assert not (models / "canary").exists()
    assert sorted(tmp_path.rglob("*")) == before

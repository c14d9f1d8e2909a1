"""`edge-sdk convert` and `edge-sdk profiles` with unusable input: one sentence, a hint, code 3, nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

from edge_sdk.cli import app
from edge_sdk.cli.combinations import NEEDS, TAKES_THE_PLACE

COMMAND = (sys.executable, "-c", "from edge_sdk.cli import main; main()")


def edge_sdk(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "c.npz", x=rng.normal(size=(20, 3)))
    np.savez(tmp_path / "e.npz", x=rng.normal(size=(20, 3)), y=np.zeros(20, np.int64))
    np.savez(tmp_path / "no-x.npz", samples=rng.normal(size=(20, 3)))
    (tmp_path / "model.onnx").write_bytes(b"\x08\x07not a graph")
    (tmp_path / "recipe.toml").write_text("scheme = 'qdq-u8s8'\n[[passes]]\nname = 'equalize'\n")
    (tmp_path / "other.toml").write_text("scheme = 'int8'\n")
    (tmp_path / "broken.toml").write_text("name = 'x'\n[memory\n")
    return tmp_path


FAULTS = {
    "corrupt model": ({}, "model.onnx is not a readable ONNX model"),
    "no model": ({"source": "nothing.onnx"}, "nothing.onnx is not readable: No such file"),
    "unknown profile": ({"--profile": "toaster"}, "there is no hardware profile 'toaster'"),
    "broken profile": ({"--profile": "./broken.toml"}, "broken.toml is not TOML: "),
    "missing array": ({"--evaluation": "no-x.npz"}, "no-x.npz has no array x (it has: samples)"),
    "same data": ({"--evaluation": "c.npz"}, "20 samples of c.npz are also in c.npz"),
    "no such metric": ({"--metric": "acuracy"}, "there is no metric 'acuracy'"),
    "no metric of one's own": ({"--metric": "own.py:f"}, "own.py is no Python file"),
    "too little to learn from": ({"--training": "e.npz", "--train": "qat"}, "e.npz holds 20 samples, at least 64"),
    "no costs": ({"--costs": "broken.toml"}, "broken.toml holds no matrix of numbers"),
    "test data that was used": ({"--test": "e.npz"}, "20 of 20 samples of e.npz are also in e.npz"),
    "pruning all": ({"--prune": "1.5"}, "sparsity of the pass prune is 1.5"),
    "unknown pattern": ({"--prune": "0.5", "--prune-pattern": "4:2"}, "pattern of the pass prune is '4:2'"),
    "unknown sampler": ({"--search": "3", "--sampler": "tpee"}, "there is no sampler 'tpee'"),
    "unknown pass": ({"--recipe": "recipe.toml"}, "recipe.toml: there is no pass 'equalize'"),
    "bad name": ({"--model": "My Model"}, "'My Model' is not a ModelName; an example is 'keyword-spotting'"),
}


IDLE = {
    "pattern of no pruning": (("--prune-pattern", "2:4"), "--prune-pattern does nothing without --prune"),
    "its default is given too": (("--prune-pattern", "unstructured"), "--prune-pattern does nothing without --prune"),
    "nothing to learn from": (("--train", "qat"), "--train does nothing without --training"),
    "nothing to learn": (("--training", "e.npz"), "--training does nothing without --train"),
    "end of no search": (("--search-seconds", "9"), "--search-seconds does nothing without --search"),
    "sampler of no search": (("--sampler", "grid"), "--sampler does nothing without --search"),
    "storage of no search": (("--storage", "sqlite:///s.db"), "--storage does nothing without --search"),
    "name for nobody": (("--search", "3", "--study", "mine"), "--study does nothing without --storage"),
    "kind of inputs not tried": (("--input-kind", "image"), "--input-kind does nothing without --robustness"),
    "kind of no inputs": (
        ("--no-robustness", "--input-kind", "image"),
        "--input-kind does nothing without --robustness",
    ),
    "recipe and pruning": (("--recipe", "other.toml", "--prune", "0.5"), "--prune does nothing beside --recipe"),
    "recipe and effort": (("--effort", "0", "--recipe", "other.toml"), "--effort does nothing beside --recipe"),
    "search of one recipe": (("--recipe", "other.toml", "--search", "3"), "--search does nothing beside --recipe"),
    "budget of a search": (("--search", "3", "--budget", "60"), "--budget does nothing beside --search"),
}


@pytest.mark.parametrize(("given", "sentence"), IDLE.values(), ids=IDLE.keys())
def test_an_option_that_would_be_ignored_is_refused_before_anything_is_read(
    folder: Path, given: tuple[str, ...], sentence: str
):
    data = ("--calibration", "missing.npz", "--evaluation", "missing.npz")
    done = edge_sdk("convert", "missing.onnx", "--profile", "rpi4-litert", *data, *given, folder=folder)

    assert done.returncode == 3, done.stderr
    said, hint = done.stderr.splitlines()
    assert said == f"edge-sdk: {sentence}"
    assert hint.strip().endswith(".")


def test_every_combination_that_is_refused_is_of_options_that_there_are():
    parameters = {each.name for each in typer.main.get_command(app).commands["convert"].params}
    others = {name for names, _ in TAKES_THE_PLACE.values() for name in names}

    assert {*NEEDS, *NEEDS.values(), *TAKES_THE_PLACE, *others} <= parameters


@pytest.mark.parametrize(("changes", "sentence"), FAULTS.values(), ids=FAULTS.keys())
def test_unusable_input_is_one_sentence_and_a_hint(folder: Path, changes: dict[str, str], sentence: str):
    options = {"source": "model.onnx", "--profile": "x86-64-vnni", "--calibration": "c.npz", "--evaluation": "e.npz"}
    options |= changes
    before = sorted(folder.iterdir())

    done = edge_sdk(
        "convert", options.pop("source"), *(part for pair in options.items() for part in pair), folder=folder
    )

    assert done.returncode == 3, done.stderr
    said = done.stderr.splitlines()
    assert sentence in said[0]
    assert len(said) <= 2
    assert "Traceback" not in done.stderr
    assert sorted(folder.iterdir()) == before


def test_recipes_are_listed_shown_and_validated(folder: Path):
    listed = json.loads(edge_sdk("recipes", "list", "rpi4-litert", "--json", folder=folder).stdout)
    shown = edge_sdk("recipes", "show", "rpi4-litert", "4", folder=folder).stdout
    (folder / "mine.toml").write_text(shown)
    valid = json.loads(edge_sdk("recipes", "validate", "mine.toml", "--json", folder=folder).stdout)
    refused = edge_sdk("recipes", "validate", "recipe.toml", folder=folder)
    passes = json.loads(edge_sdk("recipes", "passes", "--json", folder=folder).stdout)

    assert valid == {"mine.toml": listed[3]}
    assert refused.returncode == 3
    assert "Did you mean equalise?" in refused.stderr
    assert all(each["source"] and each["does"] for each in passes)


def test_profiles_are_listed_shown_and_validated(folder: Path):
    listed = json.loads(edge_sdk("profiles", "list", "--json", folder=folder).stdout)
    shown = json.loads(edge_sdk("profiles", "show", "rpi4-litert", "--json", folder=folder).stdout)
    refused = edge_sdk("profiles", "validate", "broken.toml", folder=folder)

    assert {profile["class"] for profile in listed} == {"cpu", "gpu", "npu", "mcu"}
    assert shown in listed
    assert "Raspberry Pi 4" in shown["memory"]["ram"]["source"]
    assert refused.returncode == 3
    assert "broken.toml is not TOML" in refused.stderr

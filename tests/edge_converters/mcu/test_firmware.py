"""The keyword model for a Cortex-M4, as its bundle brings it to a firmware: sources, arena and flash."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_contracts.ids import ModelName
from edge_contracts.manifest import Variant
from edge_contracts.payload import unpack_payload
from edge_converters.bundles import Bundle, model_file, read_bundle
from edge_converters.errors import CheckFailed
from edge_converters.firmware import with_library
from edge_converters.identity import Identity
from edge_converters.mcu import toolchain
from edge_converters.mcu.cores import CORES
from edge_converters.mcu.library import FOLDER
from edge_converters.outcomes import Made
from edge_converters.tasks import Task
from edge_converters.workers import Worker
from edge_profiles.boards import load
from tests.edge_converters.conftest import Converted
from tests.support.programs import flashed
from tests.support.tools import missing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

BOARD = "cortex-m4-stm32l4r5"


@pytest.fixture(scope="module")
def bundle(keyword_conversion: Converted) -> Bundle:
    assert keyword_conversion.outcome.bundle is not None, keyword_conversion.outcome
    return read_bundle(keyword_conversion.outcome.bundle)


@pytest.fixture(scope="module")
def variant(bundle: Bundle) -> Variant:
    (found,) = bundle.manifest.for_profile(BOARD)
    return found


@pytest.fixture(scope="module")
def model(bundle: Bundle, variant: Variant) -> Path:
    return bundle.path / model_file(variant)


@pytest.fixture(scope="module")
def library(model: Path) -> Path:
    return model.parent / FOLDER


@pytest.fixture
def made(keyword_conversion: Converted, variant: Variant, model: Path, library: Path) -> Made:
    """As the conversion made it, before it had a name."""
    (report,) = (each for each in keyword_conversion.outcome.reports if each.profile == BOARD)
    operators = library / "operators.txt"
    files = {str(path.relative_to(model.parents[2])): path.read_bytes() for path in (model, operators)}
    figures = {name: figure for name, figure in variant.figures.items() if name != "flash"}
    return Made(replace(report, target=""), variant.model_copy(update={"figures": figures}), files)


def test_the_bundle_brings_a_library_that_registers_the_models_operators_and_no_other(library: Path):
    registered = re.findall(r"resolver\.Add(\w+)\(\)", (library / "model_ops.h").read_text())

    assert {path.name for path in library.iterdir()} == {
        *("model.h", "model_data.c", "model_ops.h", "operators.txt", "example.cc", "README.md")
    }
    assert set(registered) == {"AveragePool2D", "Conv2D", "DepthwiseConv2D", "FullyConnected", "Softmax"}


def test_a_program_linked_for_the_core_holds_the_model_file_byte_for_byte(library: Path, model: Path, tmp_path: Path):
    if not toolchain.present():
        missing(f"{toolchain.PREFIX}gcc is not installed: apt-get install {toolchain.PACKAGE}")
    main = b'#include "model.h"\nint main(void) { return test_model[TEST_MODEL_LENGTH - 1u]; }\n'
    sources = {path.name: path.read_bytes() for path in library.iterdir()}

    toolchain.link({**sources, "main.c": main}, CORES["cortex-m4"], tmp_path)

    content, symbols = flashed(tmp_path / "program.elf")
    assert content[symbols["test_model"] :][: model.stat().st_size] == model.read_bytes()
    toolchain.check_header("model_ops.h", tmp_path, CORES["cortex-m4"])


def test_the_flash_was_linked_and_measured_and_is_the_models_and_little_more(variant: Variant, model: Path):
    if not toolchain.present():
        missing(f"{toolchain.PREFIX}gcc is not installed: apt-get install {toolchain.PACKAGE}")
    figure = variant.figures["flash"]

    assert figure.kind == "measured"
    assert "-mcpu=cortex-m4" in figure.source
    assert model.stat().st_size <= figure.value <= model.stat().st_size + 256


def test_the_planned_activations_are_those_that_tflite_micro_measures_and_each_is_called_what_it_is(variant: Variant):
    figures = variant.figures

    assert figures["arena_planned"].value == figures["arena_head"].value
    assert figures["arena_planned_core"].value >= figures["arena_planned"].value
    assert {name: each.kind for name, each in figures.items() if name.startswith("arena")} == {
        **dict.fromkeys(("arena", "arena_head", "arena_tail"), "measured"),
        **dict.fromkeys(("arena_planned", "arena_planned_core"), "estimated"),
    }


def test_the_model_answers_the_same_in_exactly_the_arena_that_was_measured(
    bundle: Bundle, variant: Variant, model: Path, worker: Worker, tmp_path: Path
):
    measured = int(variant.figures["arena"].value)
    golden = unpack_payload(bundle.payloads[variant.name], variant.model, variant.golden).golden
    with np.load(io.BytesIO(golden)) as arrays:
        inputs, expected = arrays["input_0"], arrays["output_0"]
    np.save(tmp_path / "x.npy", inputs)
    paths = {"model": str(model), "inputs": str(tmp_path / "x.npy"), "outputs": str(tmp_path / "y.npz")}

    worker.call(Task.RUN_TFLITE_MICRO, **paths, arena=measured, output_count=1)

    with np.load(tmp_path / "y.npz") as arrays:
        assert (arrays["output_0"] == expected).all()
    with pytest.raises(CheckFailed, match=f"needs {measured} bytes"):
        worker.call(Task.RUN_TFLITE_MICRO, **paths, arena=measured - 16, output_count=1)


def test_the_headers_arena_covers_what_was_measured_what_is_planned_and_a_margin(library: Path, variant: Variant):
    header = (library / "model.h").read_text()
    (arena,) = re.findall(r"define TEST_ARENA_BYTES (\d+)u", header)
    planned, core = (variant.figures[name].value for name in ("arena_planned", "arena_planned_core"))

    assert int(arena) >= variant.figures["arena"].value + (core - planned) + 1024
    assert f"{variant.figures['arena'].value:.0f} measured" in header


def test_the_library_bears_the_models_name_and_labels(made: Made):
    named = with_library(made, load(BOARD), Identity(ModelName("other-words"), 3, ("no", "yes")))

    assert named.files is not None
    header = next(content.decode() for name, content in named.files.items() if name.endswith("model.h"))
    assert "#define OTHER_WORDS_MODEL_VERSION 3" in header
    assert "#define OTHER_WORDS_LABEL_COUNT 2" in header


def test_without_the_compiler_the_library_is_there_and_the_report_says_what_is_not(
    made: Made, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", "/nowhere")

    named = with_library(made, load(BOARD), Identity(ModelName("test")))

    assert named.variant is not None
    assert "flash" not in named.variant.figures
    assert "arm-none-eabi-gcc is not installed" in named.report.target
    assert any(name.endswith("model_data.c") for name in named.files or {})


def test_a_core_with_a_compiler_of_its_own_gets_no_flash_figure(made: Made):
    board = load(BOARD).model_copy(update={"architecture": "xtensa-lx7"})

    named = with_library(made, board, Identity(ModelName("test")))

    assert "xtensa-lx7 has a compiler of its own" in named.report.target

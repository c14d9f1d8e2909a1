"""The C library of a model, compiled: it links for its core and holds the model byte for byte."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_contracts.ids import ModelName
from edge_converters.mcu import toolchain
from edge_converters.mcu.cores import CORES
from edge_converters.mcu.library import probe, write_library
from tests.support.libraries import CONTENTS, LABELS, MODEL
from tests.support.programs import addresses, flashed
from tests.support.tools import missing


@pytest.fixture(scope="module", autouse=True)
def compiler() -> None:
    if not toolchain.present():
        missing(f"{toolchain.PREFIX}gcc is not installed: apt-get install {toolchain.PACKAGE}")


@pytest.mark.parametrize("core", CORES)
def test_the_library_links_for_every_core_and_its_flash_is_the_models_and_little_more(core: str, tmp_path: Path):
    linked = toolchain.link({**write_library(CONTENTS), **probe(CONTENTS)}, CORES[core], tmp_path)

    assert len(MODEL) <= linked.flash <= len(MODEL) + 256
    assert f"-mcpu={core}" in linked.compiler
    content, symbols = flashed(tmp_path / "program.elf")
    place = symbols["key_words_v2_model"]
    assert content[place : place + len(MODEL)] == MODEL
    toolchain.check_header("model_ops.h", tmp_path, CORES[core])


def test_the_model_is_aligned_and_its_labels_are_kept_as_they_were(tmp_path: Path):
    toolchain.link({**write_library(CONTENTS), **probe(CONTENTS)}, CORES["cortex-m4"], tmp_path)

    content, _ = flashed(tmp_path / "program.elf")
    assert addresses(tmp_path / "program.elf")["key_words_v2_model"] % 16 == 0
    assert all(label.encode() + b"\0" in content for label in LABELS)


@pytest.mark.slow
def test_a_name_that_is_a_keyword_gives_a_library_that_compiles(tmp_path: Path):
    contents = replace(CONTENTS, name=ModelName("int"), operators=())

    toolchain.link({**write_library(contents), **probe(contents)}, CORES["cortex-m7"], tmp_path)

    toolchain.check_header("model_ops.h", tmp_path, CORES["cortex-m7"])

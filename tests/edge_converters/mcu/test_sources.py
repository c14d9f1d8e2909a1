"""The texts of a C library: whatever a model and its tensors are called, and exactly its operators."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_contracts.manifest import Quantization
from edge_converters.errors import CheckFailed
from edge_converters.mcu.identifiers import identifier, quoted
from edge_converters.mcu.library import write_library
from edge_converters.mcu.operators import METHODS, methods
from edge_profiles.boards import shipped
from tests.support.libraries import CONTENTS


def test_the_header_says_all_that_a_firmware_asks():
    header = write_library(CONTENTS)["model.h"].decode()

    assert "#define KEY_WORDS_V2_ARENA_BYTES 4096u" in header
    assert "typedef int8_t key_words_v2_input_0_t;" in header
    assert '#define KEY_WORDS_V2_INPUT_0_NAME "mel \\04249\\042"' in header
    assert "#define KEY_WORDS_V2_INPUT_0_SHAPE {1, 49, 10, 1}" in header
    assert "#define KEY_WORDS_V2_INPUT_0_ELEMENTS 490u" in header
    assert "#define KEY_WORDS_V2_INPUT_0_SCALE 0.1f" in header
    assert "#define KEY_WORDS_V2_INPUT_0_ZERO_POINT (-3)" in header
    assert "#define KEY_WORDS_V2_LABEL_COUNT 3" in header
    assert "OUTPUT_0_SCALE" not in header


@given(st.floats(2**-100, 2**100, width=32))
def test_a_scale_in_the_header_is_the_same_32_bit_number(scale: float):
    spec = CONTENTS.inputs[0].model_copy(update={"quantization": Quantization(scale=scale, zero_point=0)})

    header = write_library(replace(CONTENTS, inputs=(spec,)))["model.h"].decode()

    (literal,) = re.findall(r"INPUT_0_SCALE (\d[\d.e+-]*)f$", header, re.MULTILINE)
    assert np.float32(literal) == np.float32(scale)
    assert set(".e") & set(literal)


def test_the_same_values_give_the_same_bytes_and_no_labels_give_no_table():
    assert write_library(CONTENTS) == write_library(replace(CONTENTS))
    assert "labels" not in write_library(replace(CONTENTS, labels=()))["model.h"].decode()


def test_exactly_the_models_operators_are_registered():
    header = write_library(CONTENTS)["model_ops.h"].decode()

    assert re.findall(r"resolver\.(\w+)\(\)", header) == ["AddConv2D", "AddSoftmax"]
    with pytest.raises(CheckFailed, match="SignalRfft"):
        methods(["SignalRfft", "ADD"])


def test_every_operator_that_a_shipped_board_allows_can_be_registered():
    allowed = {
        name for each in shipped() if each.engine == "tflite-micro" and each.operators for name in each.operators.allow
    }

    assert allowed
    assert allowed <= set(METHODS)


def test_every_registered_operator_has_a_kernel_in_the_installed_tflite_micro():
    """The library's symbols name its kernels: `Register_CONV_2D()` for `AddConv2D`."""
    place = find_spec("tflite_micro")
    assert place is not None
    assert place.submodule_search_locations is not None
    (library,) = (Path(folder) / "python/tflite_micro/_runtime.so" for folder in place.submodule_search_locations)
    kernels = set(re.findall(rb"\d+Register_(\w+?)Ev\b", library.read_bytes()))

    assert {name.encode() for name in METHODS} <= kernels


@pytest.mark.parametrize("operator", METHODS)
def test_a_method_is_its_operators_name_in_other_letters(operator: str):
    assert METHODS[operator].lower() == f"add{operator.replace('_', '').lower()}"


@given(st.text(max_size=40))
def test_any_name_becomes_an_identifier_and_stays_one(text: str):
    made = identifier(text)

    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", made)
    assert identifier(made) == made


@given(st.text(max_size=40))
def test_any_text_becomes_a_literal_that_reads_back_as_its_bytes(text: str):
    literal = quoted(text)

    assert literal.isascii()
    assert "??" not in literal
    inner = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), literal[1:-1])
    assert inner.encode("latin-1") == text.encode("utf-8", "replace")

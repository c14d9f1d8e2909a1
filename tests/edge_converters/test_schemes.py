"""Each scheme of each engine, made and run for real: the file holds what was asked for, and the check can fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from edge_contracts.manifest import Accelerator
from edge_converters.checks import verify
from edge_converters.drafts import Draft, Workshop, make_draft
from edge_converters.errors import CheckFailed
from edge_converters.files import inspect_file
from edge_converters.recipes import Recipe
from edge_profiles.boards import load
from edge_profiles.profile import Profile
from edge_profiles.schemes import SCHEMES, Scheme
from tests.edge_converters.conftest import own_profile

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

BOARDS = {"litert": "rpi4-litert", "onnxruntime": "x86-64-vnni"}
CASES = [
    (BOARDS[engine], scheme)
    for (engine, accelerator), schemes in SCHEMES.items()
    if accelerator is Accelerator.CPU
    for scheme in schemes
]
ENDS = {Scheme.INT8: "INT8", Scheme.INT16X8: "INT16"}
STORED = {Scheme.FP32: "FP32", Scheme.FP16: "FP16"}


@pytest.fixture(scope="module")
def drafts(keyword_shop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, Scheme], Draft]:
    folder = tmp_path_factory.mktemp("profiles")
    return {
        (board, scheme): make_draft(own_profile("mine", board, scheme, folder), Recipe(scheme), keyword_shop)
        for board, scheme in CASES
    }


@pytest.mark.parametrize(("board", "scheme"), CASES)
def test_the_weights_are_stored_as_asked_and_the_answers_are_the_sources(drafts, keyword_shop, board, scheme):
    draft = drafts[board, scheme]

    assert max(draft.file.weights, key=lambda kind: sum(draft.file.weights[kind])) == STORED.get(scheme, "INT8")
    tops = [next(iter(answers.values())).argmax(1) for answers in (keyword_shop.floats.reference, draft.real)]
    assert (tops[0] == tops[1]).mean() > 0.97


@pytest.mark.parametrize(("board", "scheme"), CASES)
def test_only_integer_schemes_take_and_give_stored_values(drafts, board, scheme):
    file = drafts[board, scheme].file

    kinds = {spec.datatype for spec in (*file.inputs, *file.outputs)}
    assert kinds == {ENDS.get(scheme, "FP32")}


@pytest.mark.parametrize("board", BOARDS.values())
def test_smaller_numbers_make_smaller_files(drafts, board):
    """ONNX QDQ keeps a scale and a zero point for each tensor by name, which outweighs so small a network's halves."""
    sizes = {scheme: drafts[which, scheme].file.size for which, scheme in CASES if which == board}

    assert all(size < sizes[Scheme.FP32] for scheme, size in sizes.items() if scheme is not Scheme.FP32)


@pytest.mark.parametrize(("board", "scheme"), CASES)
def test_a_file_of_another_scheme_is_not_taken_for_it(drafts, board, scheme):
    """The control: of one board, each file passes as what it is; a float one as nothing else, nor it as a float one."""
    profile, other = load(board), Scheme.FP16 if scheme is Scheme.FP32 else Scheme.FP32

    verify(drafts[board, scheme].file, profile, scheme)
    with pytest.raises(CheckFailed, match=f"{scheme} asks for weights in") as refusal:
        verify(drafts[board, other].file, profile, scheme)
    assert refusal.value.hint


def test_dynamic_weights_without_stored_activations_are_not_int8(drafts):
    with pytest.raises(CheckFailed, match=r"also holds one with \d+ elements of FP32"):
        verify(drafts["rpi4-litert", Scheme.DYNAMIC].file, load("rpi4-litert"), Scheme.INT8)


OTHER_ACTIVATIONS = [
    ("x86-64-vnni", Scheme.QDQ_U8S8, Scheme.QDQ_S8S8, "INT8", "UINT8"),
    ("x86-64-vnni", Scheme.QDQ_S8S8, Scheme.QDQ_U16S8, "UINT16", "INT8"),
    ("rpi4-litert", Scheme.INT16X8, Scheme.INT8, "INT8", "INT16"),
]


@pytest.mark.parametrize(("board", "made", "asked", "wanted", "found"), OTHER_ACTIVATIONS)
def test_weights_alone_do_not_make_a_scheme(drafts, board, made, asked, wanted, found):
    with pytest.raises(CheckFailed, match=f"{asked} asks for activations in {wanted}, .* that read {found}"):
        verify(drafts[board, made].file, load(board), asked)


class _Rows(CalibrationDataReader):
    def __init__(self, entry: str, rows: np.ndarray) -> None:
        self._rows = iter([{entry: row[None]} for row in rows])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._rows, None)


def test_one_scale_for_all_channels_is_found_out(keyword_shop: Workshop, tmp_path: Path):
    """A real file by the same library, told to quantise per tensor."""
    canonical, profile = keyword_shop.floats.canonical["onnx"], load("x86-64-vnni")
    rows = _Rows(onnx.load(canonical).graph.input[0].name, np.load(keyword_shop.floats.material.calibration)[:8])
    kinds = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    path = tmp_path / "per-tensor.onnx"
    quantize_static(canonical, path, rows, quant_format=QuantFormat.QDQ, per_channel=False, **kinds)
    file = inspect_file(path, "onnx", tuple(keyword_shop.floats.reference), keyword_shop.worker)

    assert file.per_axis == 0
    with pytest.raises(CheckFailed, match="100% of the convolutions have one scale for all channels"):
        verify(file, profile, Scheme.QDQ_U8S8)


def test_a_profile_of_ones_own_may_ask_for_any_scheme_of_its_engine(tmp_path: Path):
    for board, scheme in CASES:
        profile: Profile = own_profile("mine", board, scheme, tmp_path)
        assert profile.schemes == (scheme,)

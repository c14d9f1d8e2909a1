"""Compact files: fewer bytes, and the same bits out of every runtime that reads them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edge_converters.backends import tflite_files
from edge_converters.backends.tflite_compaction import compact
from edge_converters.tasks import Task
from edge_converters.workers import Worker
from tests.edge_converters.conftest import Shared
from tests.edge_converters.tflite.conftest import SCHEMES, SOURCES, answers, stored

SMALL = [Path(__file__).parents[2] / f"support/models/digits-{kind}.tflite" for kind in ("fp32", "fp16", "int8")]
SHIPPED = [
    "keyword_spotting/kws_ref_model.tflite",
    "visual_wake_words/vww_96_int8.tflite",
    "image_classification/pretrainedResnet_quant.tflite",
    "anomaly_detection/ad01_int8.tflite",
    "micro_speech/micro_speech_quantized.tflite",
]
"""Files that other people made, by older converters."""
IN_TFLITE_MICRO = """
import sys, numpy
from tflite_micro.python.tflite_micro import runtime
interpreter = runtime.Interpreter.from_file(sys.argv[1] + ".tflite", arena_size=8 << 20)
interpreter.print_allocations()
rows = []
for sample in numpy.load(sys.argv[2]):
    interpreter.set_input(sample[None], 0)
    interpreter.invoke()
    rows.append(interpreter.get_output(0))
numpy.save(sys.argv[1] + ".npy", numpy.stack(rows))
"""
CASES = [(name, scheme) for name in SOURCES for scheme in SCHEMES]
MICRO = [(name, scheme) for name, scheme in CASES if scheme.startswith("int")]


@pytest.fixture(scope="module")
def own_worker() -> Iterator[Worker]:
    """A child for Vela alone: with TensorFlow in the same process it may end it."""
    with Worker() as child:
        yield child


def samples_of(content: bytes) -> np.ndarray:
    """Eight random inputs, as the file takes them."""
    (entry,) = Interpreter(model_content=content).get_input_details()
    shape, rng = (8, *entry["shape"][1:]), np.random.default_rng(0)
    if entry["dtype"] is np.float32:
        return rng.uniform(-1, 1, shape).astype(np.float32)
    scale, zero = entry["quantization"]
    limits = np.iinfo(entry["dtype"])
    return ((rng.integers(limits.min, limits.max, shape) - zero) * scale).astype(np.float32)


def check_same(content: bytes, samples: np.ndarray) -> bytes:
    smaller = compact(content)
    for delegate in (False, True):
        np.testing.assert_array_equal(
            answers(smaller, samples, delegate=delegate), answers(content, samples, delegate=delegate)
        )
    assert len(smaller) < len(content)
    return smaller


@pytest.mark.parametrize("path", SMALL, ids=lambda path: path.stem)
def test_a_small_file_gets_smaller_and_answers_the_same(path):
    check_same(path.read_bytes(), samples_of(path.read_bytes()))


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_a_file_of_an_older_converter_gets_smaller_and_answers_the_same(shared: Shared, name):
    content = (shared / name).read_bytes()
    check_same(content, samples_of(content))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "scheme"), CASES)
def test_the_converters_files_get_smaller_and_answer_the_same(models, name, scheme):
    check_same(models[name].by_the_converter(scheme), models[name].samples[:3])


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "scheme"), MICRO)
def test_tflite_micro_answers_the_same_in_as_much_memory(models, tmp_path, name, scheme):
    content = models[name].by_the_converter(scheme)
    (entry,) = Interpreter(model_content=content).get_input_details()
    np.save(tmp_path / "inputs.npy", np.stack([stored(sample, entry) for sample in models[name].samples[:3]]))

    def run(which: str, file: bytes) -> tuple[np.ndarray, int]:
        (tmp_path / f"{which}.tflite").write_bytes(file)
        command = [sys.executable, "-c", IN_TFLITE_MICRO, str(tmp_path / which), str(tmp_path / "inputs.npy")]
        printed = subprocess.run(command, check=True, capture_output=True, text=True)
        total = re.search(r"Arena allocation total (\d+) bytes", printed.stdout + printed.stderr)
        return np.load(tmp_path / f"{which}.npy"), int(total[1])

    (before, arena), (after, smaller_arena) = run("stock", content), run("compact", compact(content))
    np.testing.assert_array_equal(after, before)
    assert smaller_arena <= arena


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "scheme"), MICRO)
def test_vela_compiles_it_to_the_same_network(models, own_worker: Worker, tmp_path, name, scheme):
    def compiled(which: str, file: bytes) -> dict[str, Any]:
        (tmp_path / which).write_bytes(file)
        board = {"accelerator_config": "ethos-u55-128", "system_config": "Ethos_U55_High_End_Embedded"}
        paths = {"model": str(tmp_path / which), "output": str(tmp_path / "compiled.tflite")}
        said = own_worker.call(Task.COMPILE_VELA, **paths, **board, memory_mode="Shared_Sram")
        figures = {key: said["summary"][key] for key in ("inference_time", "sram_memory_used", "nn_macs")}
        return {**figures, "cpu": said["cpu"], "npu": said["npu"]}

    content = models[name].by_the_converter(scheme)
    assert compiled("compact.tflite", compact(content)) == compiled("stock.tflite", content)


def test_doing_it_again_changes_nothing():
    once = compact(SMALL[0].read_bytes())

    assert compact(once) == once == compact(SMALL[0].read_bytes())


@pytest.mark.parametrize("path", SMALL, ids=lambda path: path.stem)
def test_names_that_callers_use_stay_and_others_go(path):
    content = path.read_bytes()
    before, after = (Interpreter(model_content=each) for each in (content, compact(content)))

    assert after.get_signature_list() == before.get_signature_list()
    for ends in ("get_input_details", "get_output_details"):
        old, new = (getattr(each, ends)()[0] for each in (before, after))
        assert (new["name"], new["shape"].tolist(), new["quantization"]) == (
            old["name"],
            old["shape"].tolist(),
            old["quantization"],
        )
    assert before.get_signature_runner() is not None
    assert sum(bool(each["name"]) for each in after.get_tensor_details()) == 2


def test_stored_numbers_lie_where_kernels_read_them_in_place():
    """TFLite Micro takes int32 and int64 from the flash by address: the schema asks for 16 bytes."""
    content = compact(SMALL[2].read_bytes())
    starts = [
        content.index(np.asarray(buffer.data).tobytes())
        for buffer in tflite_files.unpack(content).buffers
        if buffer.data is not None and len(buffer.data) >= 16
    ]

    assert len(starts) >= 5
    assert all(start % tflite_files.BUFFER_ALIGNMENT == 0 for start in starts)


def test_the_note_of_the_oldest_runtime_stays():
    def notes(content: bytes) -> dict[bytes, bytes]:
        model = tflite_files.unpack(content)
        return {note.name: bytes(model.buffers[note.buffer].data) for note in model.metadata or []}

    before, after = (notes(each) for each in (SMALL[2].read_bytes(), compact(SMALL[2].read_bytes())))
    assert after == {tflite_files.RUNTIME_NOTE: before[tflite_files.RUNTIME_NOTE]}
    assert len(before) > 1


@pytest.mark.parametrize("path", SMALL, ids=lambda path: path.stem)
def test_constants_behind_the_flatbuffer_are_the_same_ones(path: Path):
    model = tflite_files.unpack(path.read_bytes())

    apart = tflite_files.pack_apart(model)

    again = tflite_files.unpack(apart)
    assert compact(apart) == compact(path.read_bytes())
    for before, after in zip(model.buffers, again.buffers, strict=False):
        np.testing.assert_array_equal(after.data, before.data)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_keyword_file_for_a_microcontroller_fits_in_35_kilobytes(models):
    assert len(compact(models["keyword"].by_the_converter("int8"))) <= 35_000

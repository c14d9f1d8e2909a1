"""Files with random damage end in a sentence or in a float file that is shown to equal them: never in a traceback."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_converters.datasets import Data, Samples, make_data
from edge_converters.errors import ConverterError
from edge_converters.floats import DESCRIBE, prepare
from edge_converters.lint.inspection import check_source
from edge_converters.routes import travel
from edge_converters.sources import Source, recognise
from edge_converters.workers import Worker, WorkerDied
from edge_profiles.schemes import Format
from tests.architecture.project import ROOT
from tests.edge_converters.lint.bad_onnx import SHAPE, good

CONVERTED = "converted"


def flip(content: bytearray, rng: random.Random) -> None:
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def overwrite(content: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(content))
    content[start : start + 8] = rng.randbytes(8)


def cut(content: bytearray, rng: random.Random) -> None:
    del content[rng.randrange(len(content)) :]


def drop(content: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(content))
    del content[start : start + rng.randrange(1, 64)]


def insert(content: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(content))
    content[start:start] = rng.randbytes(rng.randrange(1, 16))


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (flip, overwrite, cut, drop, insert)


def read(source: Source, data: Data, kind: Format, way: Path, worker: Worker) -> None:
    """As far as the framework loads it: what comes then is the same for all sources, and slow."""
    worker.call(DESCRIBE[source.kind], source=str(source.path), kind=source.kind)


def reach(source: Source, data: Data, kind: Format, way: Path, worker: Worker) -> None:
    """To the float file."""
    worker.call(DESCRIBE[source.kind], source=str(source.path), kind=source.kind)
    travel(source, kind, way, worker)


def prove(source: Source, data: Data, kind: Format, way: Path, worker: Worker) -> None:
    """To the float file, and that it equals the source: takes a second and more with TFLite."""
    prepare(source, data, (kind,), way, worker, seed=0)


class Bench:
    """Converts damaged copies in one child; a new one when it died."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.worker, self.deaths, self.convert = folder, Worker(), 0, reach

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.__exit__(None, None, None)

    def outcome(self, path: Path, data: Data, kind: Format) -> str:
        way = self.folder / "way"
        shutil.rmtree(way, ignore_errors=True)
        way.mkdir()
        try:
            source = recognise(path)
            check_source(source, self.worker)
            self.convert(source, data, kind, way, self.worker)
        except WorkerDied as error:
            self.deaths += 1
            self.worker.__exit__(WorkerDied, None, None)
            self.worker = Worker()
            return f"{error} {error.hint}"
        except ConverterError as error:
            return f"{error} {error.hint}" if error.hint else "Traceback: no hint"
        return CONVERTED


@pytest.fixture
def bench(tmp_path) -> Iterator[Bench]:
    with Bench(tmp_path) as each:
        yield each


def told(bench: Bench, whole: Path, data: Data, kind: Format, count: int, victim: str = "") -> Counter[str]:
    """What became of `count` damaged copies; each sentence is one line."""
    rng, found = random.Random(1), Counter[str]()
    for turn in range(count):
        copy = bench.folder / f"damaged{whole.suffix}"
        if whole.is_dir():
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(whole, copy)
        content = bytearray((whole / victim).read_bytes())
        DAMAGES[turn % len(DAMAGES)](content, rng)
        (copy / victim).write_bytes(content)
        sentence = bench.outcome(copy, data, kind)
        assert "Traceback" not in sentence
        assert "\n" not in sentence, sentence
        found["converted" if sentence == CONVERTED else "refused"] += 1
        found["unforeseen"] += "failed: " in sentence
    return found


def samples(shape: tuple[int, ...]) -> Data:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, *shape)).astype(np.float32)
    return make_data(Samples(x[:20], None), Samples(x[20:], None))


def test_damaged_onnx_files(bench, tmp_path):
    whole = tmp_path / "whole.onnx"
    whole.write_bytes(good().SerializeToString())

    bench.convert = prove
    found = told(bench, whole, samples(SHAPE), "onnx", 120)

    assert bench.outcome(whole, samples(SHAPE), "onnx") == CONVERTED
    assert found["refused"] > 60
    assert found["unforeseen"] <= 5, found
    assert bench.deaths <= 3, found


@pytest.mark.slow
def test_damaged_tflite_files(bench):
    whole = ROOT / "tests/support/models/digits-fp32.tflite"

    found = told(bench, whole, samples((8, 8, 1)), "tflite", 100)

    assert bench.outcome(whole, samples((8, 8, 1)), "tflite") == CONVERTED
    assert found["refused"] > 30
    assert bench.deaths <= 10, found


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "victim", "count"),
    [
        ("good.keras", "", 30),
        ("good.h5", "", 30),
        ("good", "saved_model.pb", 20),
        ("good", "variables/variables.index", 10),
        ("good", "variables/variables.data-00000-of-00001", 10),
    ],
)
def test_damaged_keras_files(bench, models, name, victim, count):
    bench.convert = read
    found = told(bench, models / name, samples((8, 8, 1)), "tflite", count, victim)

    assert found["refused"] > count / 3, found
    assert bench.deaths <= count / 10, found

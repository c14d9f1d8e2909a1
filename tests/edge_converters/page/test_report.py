"""`edge-sdk convert` leaves a page that says what report.json says, loads nothing, and names the cause of a failure."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from tests.edge_converters.conftest import own_profile
from tests.support.browser import browser
from tests.support.pages import Page, read

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

COMMAND = (sys.executable, "-c", "from edge_sdk.cli import main; main()")
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "<nine>")


def edge_sdk(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, "EDGE_SDK_CACHE": str(folder / "cache")}
    said = [str(each) for each in arguments]
    return subprocess.run([*COMMAND, *said], cwd=folder, capture_output=True, text=True, env=settings)


@dataclass(frozen=True)
class Ran:
    """A command that has ended, and where."""

    done: subprocess.CompletedProcess[str]
    folder: Path

    def page(self, name: str) -> Page:
        return read(self.folder / name)


def digits(folder: Path) -> None:
    """A net of two layers that was trained on half of scikit-learn's digits, and data from the other half."""
    x, y = load_digits(return_X_y=True)
    net = MLPClassifier((32,), max_iter=60, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is good enough long before
        net.fit(x[900:] / 16, y[900:])
    onnx.save(as_onnx(net), folder / "digits.onnx")
    x = x.reshape(-1, 8, 8, 1).astype(np.float32) / 16
    site = np.where(np.arange(len(x)) % 3, "north", "south")
    np.savez(folder / "c.npz", x=x[:100])
    np.savez(folder / "e.npz", x=x[100:900], y=y[100:900], slice_site=site[100:900])
    (folder / "names.txt").write_text("\n".join(NAMES))


def as_onnx(net: MLPClassifier) -> onnx.ModelProto:
    constants = {"shape": np.array([1, 64])}
    for place, (weights, biases) in enumerate(zip(net.coefs_, net.intercepts_, strict=True)):
        constants |= {f"w{place}": weights.astype(np.float32), f"b{place}": biases.astype(np.float32)}
    nodes = [
        helper.make_node("Reshape", ["image", "shape"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w0", "b0"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["kept"]),
        helper.make_node("Gemm", ["kept", "w1", "b1"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["digit"]),
    ]
    return model_of(nodes, ("image", [1, 8, 8, 1]), ("digit", [1, 10]), constants)


def model_of(nodes, entry, exit, constants) -> onnx.ModelProto:
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name, shape in (entry, exit)]
    kept = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "graph", *ends, kept)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Digits for a PC, with everything the report can hold."""
    folder = tmp_path_factory.mktemp("passed")
    digits(folder)
    data = ("--calibration", "c.npz", "--evaluation", "e.npz", "--labels", "names.txt", "--robustness")
    done = edge_sdk("convert", "digits.onnx", "--profile", "x86-64-vnni", *data, "--output", "bundle", folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return Ran(done, folder)


def test_the_page_is_well_formed_and_loads_nothing(passed: Ran):
    page = passed.page("bundle/report.html")
    text = (passed.folder / "bundle/report.html").read_text(encoding="utf-8")

    assert page.faults == page.open == page.fetched == []
    assert re.findall(r"https?://|//[a-z]+\.|@import|url\(|<script|<link", text) == []
    assert "default-src 'none'" in text
    assert page.unnamed == 0
    assert len(page.ids) == len({*page.ids})
    assert {target.removeprefix("#") for target in page.targets} <= {*page.ids}


def test_the_numbers_of_the_page_are_those_of_the_report(passed: Ran):
    page = passed.page("bundle/report.html")
    report = json.loads((passed.folder / "bundle/report.json").read_text())["reports"][0]
    (best,) = [each for each in report["candidates"] if each["judgement"]]
    judged = best["judgement"]

    row = page.row("x86-64-vnni", best["scheme"])
    assert row[2] == f"{best['size_bytes'] / 1024:.1f} KiB before {report['float_bytes'] / 1024:.1f} KiB"
    assert row[3] == f"{judged['variant']:.2%} before {judged['source']:.2%}"
    assert row[4] == f"{judged['drop'] * 100:+.2f} at most {judged['upper_bound'] * 100:.2f}"
    for side, told in zip(("latency", "float_latency"), row[5].split(" before "), strict=True):
        number, unit = told.split()
        assert float(number) / {"µs": 1000, "ms": 1}[unit] == pytest.approx(report[side]["p50"], rel=0.01)
    assert f"× {report['comparison']['ratio']:.2f}" in row[6]
    assert f"A/A ± {report['comparison']['aa_spread'] * 100:.1f} %" in row[6]
    for part in judged["slices"]:
        cells = page.row(part["name"], str(part["n"]))
        assert cells[4:6] == [f"{part['drop'] * 100:+.2f}", f"{part['upper_bound'] * 100:.2f}"]
    assert {"class <nine>", "site north", "site south"} <= {part["name"] for part in judged["slices"]}
    after = judged["confusion"]["after"]
    assert ["<nine>", *(str(count or "·") for count in after[9])] in page.rows
    assert "fold-batch-normalisation" in page.words
    for layer in sorted((each for each in report["layers"] if each["decibels"]), key=lambda each: each["decibels"])[:3]:
        assert f"{layer['decibels']:.1f} dB" in page.words


def test_the_page_tells_where_everything_came_from(passed: Ran):
    words = passed.page("bundle/report.html").words
    record = json.loads((passed.folder / "bundle/record.json").read_text())

    assert record["source"]["digest"] in words
    assert all(digest in words for digest in record["data"]["digests"].values())
    assert all(f"{name} {version}" in words for name, version in record["versions"].items())
    assert record["machine"] in words
    assert record["variants"][0]["recipe_digest"] in words


def test_robustness_is_in_page_report_and_terminal(passed: Ran):
    page = passed.page("bundle/report.html")
    found = json.loads((passed.folder / "bundle/report.json").read_text())["reports"][0]["robustness"]

    assert found["kind"] == "image"
    assert {each["name"] for each in found["sweeps"]} == {
        "Gaussian noise",
        "brightness",
        "contrast lost",
        "blur",
        "occlusion",
        "SPSA step",
    }
    for sweep in found["sweeps"]:
        row = next(row for row in page.rows if row and row[0].startswith(sweep["name"]) and len(row) == 6)
        assert row[3:5] == [f"{sweep['excess']['drop'] * 100:+.2f}", f"{sweep['excess']['upper_bound'] * 100:.2f}"]
        assert not sweep["excess"]["brittle"]
        assert [level["source"] for level in sweep["levels"]][-1] < found["source"]
    assert "the source shows no gradients: guessed from each model's own answers" in page.words
    assert f"{found['calibration']['source']:.2%} float, {found['calibration']['variant']:.2%} variant" in page.words
    assert sum(found["residuals"][0]["counts"]) == 560 * 10
    assert "x86-64-vnni: robustness: under none of 8 kinds of worse input" in passed.done.stdout


def test_a_person_reads_the_page_at_any_width_without_a_complaint_of_the_browser(passed: Ran):
    with browser() as person:
        for width, dark in ((1280, False), (380, True)):
            person.dark(dark)
            person.size(width, 900)
            person.open((passed.folder / "bundle/report.html").as_uri())
            assert person.evaluate("document.documentElement.scrollWidth") <= width
            assert person.evaluate("document.querySelectorAll('svg.chart').length") >= 12
            texts = "[...document.querySelectorAll('svg text')].map(each => each.getBoundingClientRect())"
            assert person.evaluate(f"{texts}.every(box => box.left >= 0 && box.right <= {width})")
        assert "x86-64-vnni" in person.text()
        assert person.problems == []


def test_the_same_outcome_gives_the_same_page(passed: Ran):
    """In processes whose sets have another order, and from the cache."""
    script = (
        "import json, sys; from pathlib import Path; from pydantic import TypeAdapter;"
        "from edge_converters.page.rendering import render; from edge_converters.reports import Conversion;"
        "kept = json.loads(Path('bundle/report.json').read_text());"
        "sys.stdout.buffer.write(render(TypeAdapter(Conversion).validate_python(kept)))"
    )
    pages = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=passed.folder,
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }

    assert len(pages) == 1
    (page,) = pages
    kept = (passed.folder / "bundle/report.html").read_bytes()
    assert kept.partition(b'id="provenance"')[0] == page.partition(b'id="provenance"')[0]


def test_data_that_cannot_be_right_leaves_no_bundle_but_a_page_that_says_so(tmp_path: Path):
    digits(tmp_path)
    with np.load(tmp_path / "c.npz") as arrays:
        np.savez(tmp_path / "dark.npz", x=arrays["x"] * 0.2)
    data = ("--calibration", "dark.npz", "--evaluation", "e.npz", "--no-latency")

    done = edge_sdk("convert", "digits.onnx", "--profile", "x86-64-vnni", *data, "--report", "r.html", folder=tmp_path)

    assert done.returncode in {1, 9}
    assert not list(tmp_path.glob("*.bundle"))
    assert "Report: r.html" in done.stdout
    page = read(tmp_path / "r.html")
    assert page.faults == page.open == []
    assert "No bundle was written" in page.words
    verdict = page.row("x86-64-vnni", "fail")
    assert "alibration inputs range over 0 to 0.2 while evaluation inputs range over 0 to 1" in verdict[3]
    assert "What to do. Prepare both files in the same way" in verdict[3]


@pytest.fixture
def judge_of_the_largest(tmp_path: Path) -> Path:
    """Tells which of six values is the largest: as a float model at any volume, in int8 only within the known range."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["l"]), helper.make_node("Softmax", ["l"], ["y"])]
    model = model_of(nodes, ("x", [1, 6]), ("y", [1, 6]), {"w": np.eye(6, dtype=np.float32) * 40})
    onnx.save(model, tmp_path / "largest.onnx")
    return tmp_path / "largest.onnx"


def test_a_failing_variant_has_its_losses_on_the_page(judge_of_the_largest: Path, tmp_path: Path):
    own_profile("my-pc", "x86-64-vnni", "qdq-u8s8", tmp_path)
    x = np.random.default_rng(0).uniform(0.5, 1, (600, 6)).astype(np.float32)
    np.savez(tmp_path / "c.npz", x=x[:100] * 0.8)
    np.savez(tmp_path / "e.npz", x=x[100:], y=x[100:].argmax(axis=1))
    data = ("--calibration", "c.npz", "--evaluation", "e.npz", "--no-latency", "--report", "r.html")

    done = edge_sdk("convert", judge_of_the_largest, "--profile", "./my-pc.toml", *data, folder=tmp_path)

    assert done.returncode == 9, done.stdout + done.stderr
    page = read(tmp_path / "r.html")
    assert page.faults == page.open == []
    (told,) = [line for line in done.stdout.splitlines() if line.startswith("my-pc: unreachable: ")]
    lost = re.search(r"drop \+[\d.]+ points in the decision", told)
    assert lost is not None
    verdict = page.row("my-pc", "unreachable")
    assert lost[0] in verdict[3].replace("Drop", "drop")
    assert "What to do. Look at the samples of class" in verdict[3]
    failed = [row for row in page.rows if len(row) == 7 and row[0].startswith("class ") and row[6] == "fail"]
    assert failed
    assert "dB" in page.words


def test_a_variant_that_breaks_beyond_its_range_is_flagged_as_brittle(judge_of_the_largest: Path, tmp_path: Path):
    x = np.random.default_rng(0).uniform(0.5, 1, (1000, 6)).astype(np.float32)
    np.savez(tmp_path / "c.npz", x=x[:200])
    np.savez(tmp_path / "e.npz", x=x[200:], y=x[200:].argmax(axis=1))
    data = ("--calibration", "c.npz", "--evaluation", "e.npz", "--max-drop", "0.05", "--robustness", "--no-latency")

    done = edge_sdk(
        "convert", judge_of_the_largest, "--profile", "x86-64-vnni", *data, "--output", "bundle", folder=tmp_path
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"x86-64-vnni: BRITTLE: loses over 5 points more .* under gain", done.stdout)
    found = json.loads((tmp_path / "bundle/report.json").read_text())["reports"][0]["robustness"]
    gain = next(each for each in found["sweeps"] if each["name"] == "gain")
    assert gain["excess"]["brittle"]
    assert gain["levels"][-1]["source"] > 0.99
    assert gain["levels"][-1]["variant"] < 0.8
    words = read(tmp_path / "bundle/report.html").words
    assert "x86-64-vnni is brittle" in words
    assert "under: gain" in words


def test_an_unknown_kind_of_input_is_refused(tmp_path: Path):
    digits(tmp_path)
    data = ("--calibration", "c.npz", "--evaluation", "e.npz", "--robustness", "--input-kind", "smell")

    done = edge_sdk("convert", "digits.onnx", "--profile", "x86-64-vnni", *data, folder=tmp_path)

    assert done.returncode == 3
    assert "there is no kind of input 'smell'" in done.stderr
    assert "image, spectrogram, vector" in done.stderr

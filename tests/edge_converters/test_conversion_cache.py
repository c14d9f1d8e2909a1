"""The second conversion of the same is taken from the cache, whole and unchanged; whatever matters makes it anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_contracts.manifest import MANIFEST_FILE
from edge_converters import production
from edge_converters.bundles import read_bundle
from edge_converters.cache import Cache
from edge_converters.conversion import convert
from edge_converters.datasets import Data, Samples, make_data
from edge_converters.errors import BadInput
from edge_converters.guard import Guard, Verdict
from edge_converters.job import Method, Proof
from edge_converters.reports import Conversion
from edge_converters.tasks import Task
from edge_converters.workers import Worker, WorkerDied
from edge_profiles.boards import load
from tests.edge_converters.conftest import own_profile

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LENIENT = Guard(max_drop=0.5, slack=0.5)
TELLING = {"report.json", "report.html", "record.json"}
"""What says when something was made and how long it took."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of two layers."""
    rng = np.random.default_rng(0)
    weights = {"a": rng.normal(size=(6, 64)), "b": rng.normal(size=(64, 3)) * 0.3}
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "b"], ["l"]),
        helper.make_node("Softmax", ["l"], ["y"]),
    ]
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, n])] for name, n in (("x", 6), ("y", 3))]
    kept = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    model = helper.make_model(helper.make_graph(nodes, "g", *ends, kept), opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    path = tmp_path_factory.mktemp("source") / "small.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def data() -> Data:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 6)).astype(np.float32)
    return make_data(Samples(x[:60], None), Samples(x[60:], None))


class Told:
    """Steps as a person would see them."""

    def __init__(self) -> None:
        self.said: list[tuple[str, int, int]] = []

    def __call__(self, what: str, done: int, total: int) -> None:
        self.said.append((what, done, total))

    @property
    def made(self) -> set[str]:
        """The profiles that something was made for."""
        return {what.partition(":")[0] for what, _, _ in self.said if "making the file" in what}


Run = Callable[..., tuple[Conversion, Told]]


@pytest.fixture
def run(source: Path, data: Data, tmp_path: Path) -> Run:
    """Converts into a new folder each time, with one cache."""
    cache, count = Cache(tmp_path / "cache"), iter(range(100))

    def converted(*profiles, data=data, latency=False, guard=LENIENT, seed=0) -> tuple[Conversion, Told]:
        told = Told()
        outcome = convert(
            source,
            profiles,
            data,
            output=tmp_path / f"bundle-{next(count)}",
            proof=Proof(guard),
            method=Method(latency=latency, seed=seed),
            cache=cache,
            on_step=told,
        )
        return outcome, told

    return converted


def files(outcome: Conversion) -> dict[str, bytes]:
    assert outcome.bundle is not None, outcome
    folder = outcome.bundle
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_second_run_starts_no_process_and_gives_the_same(run: Run, monkeypatch: pytest.MonkeyPatch):
    first, _ = run(load("x86-64-vnni"), latency=True)

    def no_process(*_, **__):
        raise AssertionError("a process was started")

    monkeypatch.setattr(production, "Worker", no_process)
    monkeypatch.setattr("subprocess.Popen", no_process)
    second, told = run(load("x86-64-vnni"), latency=True)

    (before,), (after,) = first.reports, second.reports
    assert before.from_cache is None
    assert after.from_cache is not None
    assert replace(after, from_cache=None) == before
    assert after.latency is not None
    assert after.comparison is not None
    assert replace(second, reports=(), bundle=None, memory=None) == replace(first, reports=(), bundle=None, memory=None)
    assert told.made == set()
    old, new = (read_bundle(each.bundle).manifest for each in (first, second) if each.bundle)
    assert new.model_copy(update={"created": old.created}) == old
    old_files, new_files = files(first), files(second)
    assert old_files.keys() == new_files.keys()
    differing = {Path(name).name for name in old_files if old_files[name] != new_files[name]}
    assert differing <= {MANIFEST_FILE, *TELLING}


def test_a_profile_more_leaves_the_others_as_they_are(run: Run, tmp_path: Path):
    mine = own_profile("mine", "x86-64-vnni", "fp16", tmp_path)
    run(load("x86-64-vnni"))

    both, told = run(load("x86-64-vnni"), mine)

    assert told.made == {"mine"}
    assert both.verdict is Verdict.PASS
    assert [each.from_cache is None for each in both.reports] == [False, True]
    assert {variant.profile for variant in read_bundle(both.bundle).manifest.variants} == {"x86-64-vnni", "mine"}


def test_whatever_matters_makes_it_anew(run: Run, data: Data, tmp_path: Path):
    board = load("x86-64-vnni")
    run(board)
    turned = np.roll(np.arange(len(data.evaluation)), 1)
    evaluation = data.evaluation
    other_order = make_data(data.calibration, Samples(evaluation.x[turned], None))
    labelled = make_data(data.calibration, Samples(evaluation.x, np.arange(len(evaluation)) % 3))
    other_board = own_profile("x86-64-vnni", "x86-64-vnni", "fp16", tmp_path)

    changes = [
        {"guard": Guard(max_drop=0.4, slack=0.5)},
        {"seed": 1},
        {"data": other_order},
        {"data": labelled, "guard": Guard(max_drop=1, slack=1)},
    ]
    for change in changes:
        assert run(board, **change)[1].made == {"x86-64-vnni"}, change
    assert run(other_board)[1].made == {"x86-64-vnni"}
    assert run(board)[1].made == set()


def test_a_damaged_entry_is_made_again(run: Run, tmp_path: Path):
    run(load("x86-64-vnni"))
    for path in [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])

    again, told = run(load("x86-64-vnni"))

    assert again.verdict is Verdict.PASS
    assert told.made == {"x86-64-vnni"}
    assert run(load("x86-64-vnni"))[1].made == set()


def test_what_a_dead_process_left_undone_is_tried_again(run: Run, monkeypatch: pytest.MonkeyPatch):
    """The whole machinery, with a trial on the target that dies the first time."""

    def dies(*_):
        raise WorkerDied("the process for run-litert ended with signal SIGKILL", "Memory is short.")

    with monkeypatch.context() as patch:
        patch.setattr("edge_converters.drafts.try_on_target", dies)
        first, _ = run(load("x86-64-vnni"))
    second, told = run(load("x86-64-vnni"))

    assert first.verdict is Verdict.FAIL
    assert not all(candidate.settled for candidate in first.reports[0].candidates)
    assert told.made == {"x86-64-vnni"}
    assert second.verdict is Verdict.PASS


def test_a_shortage_of_memory_is_a_death_of_the_process_and_no_fault_of_the_model(source: Path, tmp_path: Path):
    """An array that says it has a million times a billion numbers."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**15,)}
    with (tmp_path / "huge.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    inputs, answers = {"real": str(tmp_path / "huge.npy")}, str(tmp_path / "answers.npz")

    with pytest.raises(WorkerDied, match=r"SIGABRT: .*Unable to allocate"), Worker() as worker:
        worker.call(Task.RUN_ONNX_SOURCE, source=str(source), kind="onnx", inputs=inputs, answers=answers)


def test_a_scheme_that_fails_is_remembered_too(run: Run, data: Data):
    """Labels that nobody could learn: the drop is not to be had, and the second run knows it at once."""
    strict = Guard(max_drop=0.0, slack=0.0)
    first, _ = run(load("x86-64-vnni"), guard=strict)
    second, told = run(load("x86-64-vnni"), guard=strict)

    assert first.verdict is not Verdict.PASS
    assert told.made == set()
    assert [replace(each, from_cache=None) for each in second.reports] == list(first.reports)


def test_the_same_moment_and_input_give_the_same_bytes_anew(
    source: Path, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    made = []
    for place in ("one", "two"):
        proof, method = Proof(LENIENT), Method(latency=False)
        outcome = convert(source, [load("x86-64-vnni")], data, output=tmp_path / place, proof=proof, method=method)
        made.append(files(outcome))
    records = [json.loads(each["record.json"]) for each in made]

    assert made[0].keys() == made[1].keys()
    assert {name for name in made[0] if made[0][name] != made[1][name] and Path(name).name not in TELLING} == set()
    assert read_bundle(tmp_path / "one").manifest.created.isoformat() == "2023-11-14T22:13:20+00:00"
    for record in records:
        for each_time in ("began", "steps", "memory"):
            assert record.pop(each_time)
    assert records[0] == records[1]


def test_a_moment_that_is_none_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(BadInput, match="SOURCE_DATE_EPOCH is 'yesterday'") as refusal:
        run(load("x86-64-vnni"))
    assert refusal.value.hint


def test_the_record_tells_how_every_file_came_about(run: Run, source: Path):
    outcome, _ = run(load("x86-64-vnni"))
    again, _ = run(load("x86-64-vnni"))
    record, later = (json.loads(files(each)["record.json"]) for each in (outcome, again))
    (variant,) = read_bundle(outcome.bundle).manifest.variants

    assert record["source"]["name"] == "small.onnx"
    assert record["data"]["samples"]["calibration"] == 60
    assert record["variants"][0]["recipe_digest"] == variant.recipe_digest
    assert record["variants"][0]["recipe"]["scheme"] == variant.scheme
    assert record["versions"]["onnxruntime"]
    assert "cores" in record["machine"]
    assert {step["what"] for step in record["steps"]} >= {"x86-64-vnni"}
    assert all(step["seconds"] >= 0 for step in record["steps"])
    assert record["memory"]["peak"] > record["memory"]["libraries"] > 20e6
    assert record["variants"][0]["from_cache"] is None
    assert later["variants"][0]["from_cache"] is not None


def test_steps_are_told_in_order_to_the_end(run: Run):
    _, told = run(load("x86-64-vnni"), latency=True)

    done = [done for _, done, _ in told.said]
    assert done == sorted(done)
    assert {total for _, _, total in told.said} == {3}
    assert told.said[-1] == ("done", 3, 3)
    assert any("timing it beside the float model" in what for what, _, _ in told.said)

"""What goes wrong in a child process becomes one sentence in this one."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest

from edge_converters.errors import BackendMissing, BadInput
from edge_converters.tasks import Task
from edge_converters.workers import Worker, WorkerDied


def test_a_missing_library_names_the_extra(tmp_path: Path):
    (tmp_path / "ethosu.py").write_text("raise ModuleNotFoundError(\"No module named 'ethosu'\", name='ethosu')")

    with (
        pytest.raises(BackendMissing, match="needs the library ethosu") as refusal,
        Worker({"PYTHONPATH": str(tmp_path)}) as worker,
    ):
        worker.call(Task.COMPILE_VELA, model="", output="", accelerator_config="", system_config="", memory_mode="")

    assert "pip install 'edge-sdk[convert]'" in refusal.value.hint


def test_a_killed_child_is_reported_with_its_signal():
    with Worker() as worker:
        os.kill(worker.pid, signal.SIGKILL)
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)

        with pytest.raises(WorkerDied, match="signal SIGKILL"):
            worker.call(Task.DESCRIBE_ONNX, source="", kind="onnx")


def test_a_corrupt_model_is_the_users_to_repair_and_the_child_goes_on(tmp_path: Path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x07not a graph")

    with Worker() as worker:
        for _ in range(2):
            with pytest.raises(BadInput, match="is not a readable ONNX model") as refusal:
                worker.call(Task.DESCRIBE_ONNX, source=str(path), kind="onnx")
    assert refusal.value.hint


def test_a_model_that_aborts_tflite_micro_does_not_take_us_along(tmp_path: Path):
    path = tmp_path / "model.tflite"
    path.write_bytes(os.urandom(4096))

    with pytest.raises(Exception, match=r"run-tflite-micro|TFLite Micro") as refusal, Worker() as worker:
        worker.call(Task.RUN_TFLITE_MICRO, model=str(path), inputs="", outputs="", arena=1000, output_count=1)

    assert refusal.value.hint


@pytest.mark.parametrize("end", ["asked for nothing more", "killed"])
def test_what_a_library_leaves_in_the_temporary_folder_goes_with_the_child(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """TensorFlow writes code it makes to a file and removes it at exit, if there is one."""
    place, libraries = tmp_path / "tmp", tmp_path / "libraries"
    for folder in (place, libraries):
        folder.mkdir()
    (libraries / "ethosu.py").write_text(
        "import tempfile\ntempfile.NamedTemporaryFile(delete=False)\nraise ModuleNotFoundError('no', name='ethosu')"
    )
    monkeypatch.setattr(tempfile, "tempdir", str(place))

    with Worker({"PYTHONPATH": str(libraries)}) as worker:
        with pytest.raises(BackendMissing):
            worker.call(Task.COMPILE_VELA, model="", output="", accelerator_config="", system_config="", memory_mode="")
        during = [path for path in place.rglob("*") if path.is_file()]
        if end == "killed":
            os.kill(worker.pid, signal.SIGKILL)

    assert during, "the library wrote where the child is told to"
    assert not list(place.iterdir())

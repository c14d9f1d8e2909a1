"""A worker leaves with its agent, and takes the decrypted model along."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.edge_agent.serving.conftest import Serve

AGENT = """
import sys, threading
from edge_agent.adapters.serving import ProcessServing
from edge_agent.adapters.worker_orders import WorkerFaults
from edge_agent.adapters.worker_process import WorkerSettings
from tests.support.releases import MODEL, release, samples

serving = ProcessServing(workers=WorkerSettings(faults=WorkerFaults(hang_after=1)))
serving.prepare(release("cpu-litert"))
serving.activate()
print("ready", flush=True)
if sys.argv[1] == "idle":
    threading.Event().wait()
serving.infer(MODEL, None, {"image": samples()[0][:1]})
"""


def workers(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children() if "edge_agent.worker" in child.cmdline()]


@pytest.mark.parametrize("moment", ["idle", "hanging"])
def test_a_killed_agent_leaves_no_worker_behind(moment: str) -> None:
    root = Path(__file__).parents[3]
    agent = subprocess.Popen([sys.executable, "-c", AGENT, moment], cwd=root, stdout=subprocess.PIPE, text=True)
    assert agent.stdout is not None
    with agent, agent.stdout as lines:
        assert lines.readline() == "ready\n"
        (worker,) = workers(agent.pid)
        if moment == "hanging":
            time.sleep(0.5)
        agent.send_signal(signal.SIGKILL)

        assert psutil.wait_procs([worker], timeout=10)[1] == []


def test_the_decrypted_model_is_in_no_file_and_in_no_core_dump(serve: Serve) -> None:
    serve("cpu-litert")
    (worker,) = workers(os.getpid())

    opened = {Path(f"/proc/{worker.pid}/fd/{fd.name}").readlink() for fd in Path(f"/proc/{worker.pid}/fd").iterdir()}

    assert worker.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert [path for path in opened if path.suffix in {".tflite", ".onnx"} or "memfd" in str(path)] == []
    assert worker.open_files() == []

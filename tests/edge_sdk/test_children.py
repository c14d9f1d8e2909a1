"""Child processes: ready lines, last words, and that they never outlive who started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge_sdk.children import start_child
from edge_sdk.errors import ChildFailed

READY = 'import json, time; print(json.dumps({"ready": 1}), flush=True); time.sleep(600)'
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + READY


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def ends(pid: int, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


def test_a_child_is_ready_when_it_says_so_and_stops_when_asked(tmp_path: Path) -> None:
    child = start_child("it", python(READY), tmp_path / "log")

    assert child.ready(20) == {"ready": 1}
    assert child.running
    child.stop()
    assert child.exit_code == -signal.SIGTERM
    child.stop()


def test_a_child_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    child = start_child("the thing", python("import sys; sys.exit('port 80 is in use')"), tmp_path / "log")

    with pytest.raises(ChildFailed, match="the thing ended at once: port 80 is in use"):
        child.ready(20)
    child.stop()


def test_a_child_that_never_gets_ready_is_told(tmp_path: Path) -> None:
    child = start_child("it", python("import time; time.sleep(600)"), tmp_path / "log")

    with pytest.raises(ChildFailed, match="not ready after"):
        child.ready(0.2)
    child.stop()


def test_a_stubborn_child_is_ended_with_what_it_started(tmp_path: Path) -> None:
    program = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {READY!r}]); {STUBBORN}"
    child = start_child("it", python(program), tmp_path / "log")
    child.ready(20)
    grandchildren = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()

    child.stop(0.5)

    assert child.exit_code == -signal.SIGKILL
    assert all(ends(int(pid)) for pid in grandchildren)


def test_a_missing_program_is_told(tmp_path: Path) -> None:
    child = start_child("it", ["/no/such/python", "-c", ""], tmp_path / "log")

    with pytest.raises(ChildFailed, match="No such file or directory"):
        child.ready(20)
    child.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal is Linux's")
def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, time\n"
        "from edge_sdk.children import start_child\n"
        f"child = start_child('it', [sys.executable, '-c', {READY!r}], pathlib.Path({str(tmp_path / 'log')!r}))\n"
        "child.ready(20)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(python(program), stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout as output:
        pid = int(output.readline())

    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()

    assert ends(pid)
